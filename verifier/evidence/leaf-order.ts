// What leaves of one log, some of which are missing, have to agree on: times never decrease, sequences of a
// stream grow, without holes where no leaf between them is missing, and causes are earlier leaves.

import type { Leaf } from '../../wire/leaf.ts';
import { KIND } from '../../wire/leaf.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

interface Seen {
  readonly sequence: number;
  /** Leaves that were missing before it. */
  readonly holes: number;
}

/** Fed by ascending index. */
export class LeafOrder {
  readonly #streams = new Map<number, Seen>();
  #next = 0;
  #holes = 0;
  #lastNs = 0n;

  add(index: number, leaf: Leaf): Result<null> {
    const { kind, timeNs, stream, sequence, causes } = leaf;
    this.#holes += index - this.#next;
    this.#next = index + 1;
    if (timeNs < this.#lastNs) return refuse('time_backwards', { index });
    this.#lastNs = timeNs;
    const place = kind === KIND.header ? 0 : kind === KIND.attestation ? 1 : null;
    if (place === null ? index < 2 : index !== place) {
      return refuse('leaf_misplaced', { index, kind });
    }
    if ((causes.at(-1) ?? -1) >= index) return refuse('cause_invalid', { index });
    const known = this.#streams.get(stream);
    const expected = (known?.sequence ?? -1) + 1;
    const gapless = this.#holes === (known?.holes ?? 0);
    if (sequence < expected || (gapless && sequence !== expected)) {
      return refuse('sequence_gap', { index, stream, expected, actual: sequence });
    }
    this.#streams.set(stream, { sequence, holes: this.#holes });
    return accept(null);
  }
}
