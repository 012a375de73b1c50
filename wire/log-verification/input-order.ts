// Are all batches of the input streams accounted for? A batch sequence may jump only over batches that
// gap leaves name, and batch times never go back. An enclave of the attested image keeps this by itself:
// the verifier checks it so that nobody has to believe that.

import type { Gap } from '../enclave-payloads.ts';
import { GAP } from '../enclave-payloads.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

/** Ranges that gap leaves name between two batches of a stream; bounds the work per batch. */
const MAX_MISSING = 4096;

interface Range {
  readonly first: number;
  /** Exclusive. */
  readonly end: number;
}

interface StreamState {
  /** The next batch sequence that is not accounted for. */
  next: number;
  timeNs: bigint;
  /** Named by gap leaves since the last batch. */
  missing: Range[];
}

export interface BatchHead {
  readonly stream: number;
  readonly sequence: number;
  readonly timeNs: bigint;
}

export class InputOrder {
  readonly #streams = new Map<number, StreamState>();

  addGap(index: number, stream: number, gap: Gap): Result<null> {
    const isBatches =
      gap.reason === GAP.declared || gap.reason === GAP.skipped || gap.reason === GAP.refused;
    if (!isBatches || gap.firstMissing === null) return accept(null);
    const { missing } = this.#state(stream);
    const range = { first: gap.firstMissing, end: gap.firstMissing + (gap.count ?? 1) };
    const last = missing.at(-1);
    // An enclave names them one after another: any number of batches that are refused in a row is one.
    if (last?.end === range.first) missing.splice(-1, 1, { first: last.first, end: range.end });
    else if (missing.length === MAX_MISSING) return refuse('sequence_gap', { index, stream });
    else missing.push(range);
    return accept(null);
  }

  /** The batch in the leaf at `index`. */
  addBatch(index: number, batch: BatchHead): Result<null> {
    const state = this.#state(batch.stream);
    if (batch.sequence < state.next || batch.timeNs < state.timeNs) {
      return refuse('batch_out_of_order', { index, expected: state.next, actual: batch.sequence });
    }
    const expected = batch.sequence === state.next ? state.next : accountedTo(state);
    if (expected < batch.sequence) {
      return refuse('sequence_gap', { index, expected, actual: batch.sequence });
    }
    state.next = batch.sequence + 1;
    state.timeNs = batch.timeNs;
    if (state.missing.length > 0) {
      state.missing = state.missing.filter(({ end }) => end > state.next);
    }
    return accept(null);
  }

  #state(stream: number): StreamState {
    const known = this.#streams.get(stream);
    if (known !== undefined) return known;
    const fresh: StreamState = { next: 0, timeNs: 0n, missing: [] };
    this.#streams.set(stream, fresh);
    return fresh;
  }
}

/** The first batch sequence from `next` on that no gap leaf names. */
function accountedTo(state: StreamState): number {
  let accounted = state.next;
  for (const { first, end } of state.missing.toSorted((a, b) => a.first - b.first)) {
    if (first <= accounted && end > accounted) accounted = end;
  }
  return accounted;
}
