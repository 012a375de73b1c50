// The order book of one instrument, from snapshots and updates by the venue's sequence rule. While the
// updates do not make a book there is none: both sides are empty. Hostile input can make a wrong book,
// even a crossed one, because prices are asserted by the host; it cannot make one with a hole unseen.

import type { Batch } from '../batch.ts';
import { BOOK_SIDE, GROUP_FLAG } from '../batch.ts';
import type { SequenceRule } from '../configuration.ts';
import { BookSequence } from './book-sequence.ts';
import { BookSide } from './book-side.ts';

/** Copied rows of an event that cannot be applied yet. */
interface Levels {
  readonly side: Uint8Array;
  readonly price: Float64Array;
  readonly quantity: Float64Array;
}

export class OrderBook {
  readonly bids: BookSide = new BookSide(1);
  readonly asks: BookSide = new BookSide(-1);
  readonly #sequence: BookSequence;
  /** Parts of the event that is not complete. */
  #parts: Levels[] = [];
  readonly #held: (readonly Levels[])[] = [];

  constructor(rule: SequenceRule) {
    this.#sequence = new BookSequence(rule);
  }

  /** False before the first snapshot and from a gap to the next snapshot. */
  get valid(): boolean {
    return this.#sequence.valid;
  }

  /** Update id that the book stands at. */
  get lastUpdateId(): number {
    return this.#sequence.lastId;
  }

  /** Scaled; null without a book or without bids. */
  get bestBid(): number | null {
    return this.bids.price(0);
  }

  get bestAsk(): number | null {
    return this.asks.price(0);
  }

  /** Data is missing: there is no book until the next snapshot. */
  interrupt(): void {
    this.#sequence.interrupt();
    this.#parts = [];
    this.#clear();
  }

  /** Applies group `group` of a batch whose instrument is this book's. */
  apply(batch: Batch, group: number): void {
    const flags = batch.groupFlags[group] ?? 0;
    const start = batch.groupFirstRow[group] ?? 0;
    const end = start + (batch.groupRows[group] ?? 0);
    if ((flags & GROUP_FLAG.first) !== 0) this.#parts = [];
    const step = this.#sequence.group(
      flags,
      batch.groupFirstId[group] ?? 0,
      batch.groupLastId[group] ?? 0,
      batch.groupPreviousId[group] ?? 0,
      end - start,
    );
    if (!this.#sequence.valid) this.#clear();
    switch (step) {
      case 'part':
        this.#parts.push(copyLevels(batch, start, end));
        return;
      case 'hold':
        this.#held.push([...this.#parts, copyLevels(batch, start, end)]);
        break;
      case 'reset':
        this.#clear();
        this.#applyAll(batch, start, end);
        this.#applyHeld();
        break;
      case 'apply':
        this.#applyAll(batch, start, end);
        break;
      case 'drop':
      case 'skip':
        break;
    }
    this.#parts = [];
    while (this.#held.length > this.#sequence.heldEvents) this.#held.shift();
    if (!this.#sequence.valid) this.#clear();
  }

  #applyHeld(): void {
    let step = this.#sequence.nextHeld();
    while (step !== null) {
      const event = this.#held.shift() ?? [];
      if (step === 'apply') for (const part of event) this.#applyLevels(part);
      step = this.#sequence.nextHeld();
    }
  }

  #applyAll(batch: Batch, start: number, end: number): void {
    for (const part of this.#parts) this.#applyLevels(part);
    for (let row = start; row < end; row++) {
      const side = batch.side[row] === BOOK_SIDE.bid ? this.bids : this.asks;
      side.set(batch.price[row] ?? 0, batch.quantity[row] ?? 0);
    }
  }

  #applyLevels(levels: Levels): void {
    for (let row = 0; row < levels.side.length; row++) {
      const side = levels.side[row] === BOOK_SIDE.bid ? this.bids : this.asks;
      side.set(levels.price[row] ?? 0, levels.quantity[row] ?? 0);
    }
  }

  #clear(): void {
    this.bids.clear();
    this.asks.clear();
  }
}

function copyLevels(batch: Batch, start: number, end: number): Levels {
  return {
    side: batch.side.slice(start, end),
    price: batch.price.slice(start, end),
    quantity: batch.quantity.slice(start, end),
  };
}
