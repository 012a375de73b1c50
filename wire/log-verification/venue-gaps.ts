// The holes in the venue's own numbers, found again: after a batch the log must have exactly the gap
// leaves that the batch shows, as its next leaves, and a gap of that kind nowhere else. An enclave of the
// attested image keeps this by itself; a log that claims fewer gaps, or others, is not of its making.

import type { Batch } from '../batch.ts';
import type { Instrument } from '../instrument.ts';
import type { Leaf } from '../leaf.ts';
import { SequenceTracker } from '../market/sequence.ts';
import type { Gap } from '../enclave-payloads.ts';
import { GAP } from '../enclave-payloads.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

const FROM_BATCH: ReadonlySet<number> = new Set([GAP.venueSequence, GAP.tradeSequence]);

export class VenueGaps {
  readonly #tracker: SequenceTracker;
  /** Gaps of the last batch that have no leaf yet. */
  #due: readonly Gap[] = [];
  #batch = { index: 0, stream: 0 };

  constructor(instruments: readonly Pick<Instrument, 'id' | 'sequence_rule'>[]) {
    this.#tracker = new SequenceTracker(instruments);
  }

  /** The batch in the leaf at `index`. */
  addBatch(index: number, batch: Batch): void {
    this.#due = this.#tracker.apply(batch);
    this.#batch = { index, stream: batch.stream };
  }

  /** A leaf of any kind but a gap: refused as `gap_mismatch` while a gap is due. */
  addOther(): Result<null> {
    const [due] = this.#due;
    return due === undefined ? accept(null) : mismatch(due, null);
  }

  addGap(leaf: Pick<Leaf, 'stream' | 'causes'>, gap: Gap): Result<null> {
    const [due, ...rest] = this.#due;
    if (due === undefined) {
      if (FROM_BATCH.has(gap.reason)) return mismatch(null, gap);
      return leaf.causes.length === 0 ? accept(null) : refuse('cause_invalid');
    }
    const same =
      due.reason === gap.reason &&
      due.firstMissing === gap.firstMissing &&
      due.count === gap.count &&
      due.instrument === gap.instrument &&
      gap.code === null;
    if (!same) return mismatch(due, gap);
    const { index, stream } = this.#batch;
    if (leaf.stream !== stream) return refuse('leaf_misplaced', { stream: leaf.stream });
    if (leaf.causes.length !== 1 || leaf.causes[0] !== index) return refuse('cause_invalid');
    this.#due = rest;
    return accept(null);
  }
}

function mismatch(due: Gap | null, logged: Gap | null): Result<never> {
  return refuse('gap_mismatch', { expected: gapText(due), actual: gapText(logged) });
}

function gapText(gap: Gap | null): string | null {
  if (gap === null) return null;
  const { reason, firstMissing, count, instrument } = gap;
  const fields = [reason, instrument, firstMissing, count].map((field) => field ?? 'unknown');
  return `reason ${fields[0]}, instrument ${fields[1]}, from ${fields[2]}, count ${fields[3]}`;
}
