// How complete and how fresh the market data was, as far as the enclave's own clock shows: for each
// instrument the longest time without data, and how far batch times lay behind (or ahead of) the leaves
// that hold them. A host may withhold, delay or stamp as it likes; these numbers are the bound of it.

import type { Batch } from '../batch.ts';

export interface InstrumentFacts {
  /** Rows of all batches. */
  readonly rows: number;
  /** Longest time without any data of it, from the boot to the last leaf. */
  readonly longestSilenceMs: number;
}

export interface FeedFacts {
  /** By instrument id, all of the configuration. */
  readonly instruments: ReadonlyMap<number, InstrumentFacts>;
  /** Leaf time minus batch time, over all batches; null without one. */
  readonly lagMs: { readonly smallest: number; readonly largest: number } | null;
}

interface InstrumentState {
  rows: number;
  lastMs: number;
  silenceMs: number;
}

function msOf(timeNs: bigint): number {
  return Number(timeNs / 1_000_000n);
}

export class FeedTimes {
  readonly #instruments = new Map<number, InstrumentState>();
  #smallestMs = Number.POSITIVE_INFINITY;
  #largestMs = Number.NEGATIVE_INFINITY;

  constructor(instruments: Iterable<number>, bootNs: bigint) {
    for (const id of instruments) {
      this.#instruments.set(id, { rows: 0, lastMs: msOf(bootNs), silenceMs: 0 });
    }
  }

  /** The batch in a leaf of that time. */
  addBatch(leafNs: bigint, batch: Batch): void {
    const nowMs = msOf(leafNs);
    const lagMs = nowMs - msOf(batch.timeNs);
    this.#smallestMs = Math.min(this.#smallestMs, lagMs);
    this.#largestMs = Math.max(this.#largestMs, lagMs);
    let id = 0;
    let state: InstrumentState | undefined;
    for (let row = 0; row < batch.rows; row++) {
      const other = batch.instrument[row] ?? 0;
      if (other !== id || state === undefined) {
        id = other;
        state = this.#hear(id, nowMs);
      }
      if (state !== undefined) state.rows++;
    }
    // An update that changes nothing is a sign of life too.
    for (let group = 0; group < batch.groups; group++) {
      this.#hear(batch.groupInstrument[group] ?? 0, nowMs);
    }
  }

  facts(lastNs: bigint): FeedFacts {
    const endMs = msOf(lastNs);
    const instruments = new Map<number, InstrumentFacts>();
    for (const [id, { rows, lastMs, silenceMs }] of this.#instruments) {
      instruments.set(id, { rows, longestSilenceMs: Math.max(silenceMs, endMs - lastMs) });
    }
    const [smallest, largest] = [this.#smallestMs, this.#largestMs];
    return { instruments, lagMs: largest < smallest ? null : { smallest, largest } };
  }

  #hear(id: number, nowMs: number): InstrumentState | undefined {
    const state = this.#instruments.get(id);
    if (state === undefined || state.lastMs === nowMs) return state;
    state.silenceMs = Math.max(state.silenceMs, nowMs - state.lastMs);
    state.lastMs = nowMs;
    return state;
  }
}
