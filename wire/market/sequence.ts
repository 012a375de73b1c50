// Finds the holes that a venue's own numbers prove, for the gap records of the log: update ids of books
// and trade ids (docs/PROTOCOL.md 5, reasons 4 and 5). Keeps no prices. A host that drops data without
// saying so is caught here, where the venue numbers its events; nowhere else.

import type { Batch } from '../batch.ts';
import { ROW } from '../batch.ts';
import type { Instrument } from '../configuration.ts';
import type { Gap } from '../enclave-payloads.ts';
import { GAP } from '../enclave-payloads.ts';
import { BookSequence, idAfter, TradeSequence } from './book-sequence.ts';

interface Sequences {
  readonly book: BookSequence;
  readonly trades: TradeSequence;
}

export class SequenceTracker {
  readonly #sequences = new Map<number, Sequences>();

  constructor(instruments: readonly Pick<Instrument, 'id' | 'sequence_rule'>[]) {
    for (const { id, sequence_rule: rule } of instruments) {
      this.#sequences.set(id, { book: new BookSequence(rule), trades: new TradeSequence(rule) });
    }
  }

  /** True while the updates seen so far make a book. */
  bookValid(instrument: number): boolean {
    return this.#sequences.get(instrument)?.book.valid ?? false;
  }

  /**
   * The gaps that this batch shows: at most one per instrument and reason, the first book gap and the
   * trades that are missing in all, so that a hostile host cannot fill the log with them.
   */
  apply(batch: Batch): readonly Gap[] {
    const gaps = new Map<string, Gap>();
    for (let group = 0; group < batch.groups; group++) this.#applyGroup(batch, group, gaps);
    for (let row = 0; row < batch.rows; row++) {
      if (batch.kind[row] === ROW.trade) this.#applyTrade(batch, row, gaps);
    }
    return [...gaps.values()];
  }

  #applyGroup(batch: Batch, group: number, gaps: Map<string, Gap>): void {
    const instrument = batch.groupInstrument[group] ?? 0;
    const book = this.#sequences.get(instrument)?.book;
    if (book === undefined) return;
    const step = book.group(
      batch.groupFlags[group] ?? 0,
      batch.groupFirstId[group] ?? 0,
      batch.groupLastId[group] ?? 0,
      batch.groupPreviousId[group] ?? 0,
      batch.groupRows[group] ?? 0,
    );
    if (step === 'reset') while (book.nextHeld() !== null);
    const gap = book.takeGap();
    const key = `book ${instrument.toString()}`;
    if (gap === null || gaps.has(key)) return;
    const { firstMissing, count } = gap;
    gaps.set(key, { reason: GAP.venueSequence, firstMissing, count, instrument, code: null });
  }

  #applyTrade(batch: Batch, row: number, gaps: Map<string, Gap>): void {
    const instrument = batch.instrument[row] ?? 0;
    const trades = this.#sequences.get(instrument)?.trades;
    if (trades === undefined) return;
    const expected = idAfter(trades.lastId);
    const missing = trades.next(batch.id[row] ?? 0);
    if (missing <= 0) return;
    const key = `trades ${instrument.toString()}`;
    const before = gaps.get(key);
    gaps.set(key, {
      reason: GAP.tradeSequence,
      firstMissing: before?.firstMissing ?? expected,
      count: (before?.count ?? 0) + missing,
      instrument,
      code: null,
    });
  }
}
