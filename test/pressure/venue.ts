// A venue that never waits: a book of ten levels that moves with every event, and a trade with each. It
// knows its true book at every update id, so that what others believe of it can be compared.

import { Batcher } from '../../wire/market/batcher.ts';
import type { EncodedBatch } from '../../wire/market/batcher.ts';
import { INSTRUMENT } from '../helpers/epoch-header.ts';

const MS = 1_000_000n;
const START_NS = 1_723_000_000_000_000_000n;
const MIDDLE = 6_000_000;
const LEVELS = 10;

export class Venue {
  readonly batches: EncodedBatch[] = [];
  readonly #stream: number;
  readonly #rows: number;
  readonly #batcher: Batcher;
  #updateId = 0;
  #tradeId = 0;
  #timeNs = START_NS;

  /** `rows`: of each batch, about. */
  constructor(stream: number, rows: number) {
    this.#stream = stream;
    this.#rows = rows;
    this.#batcher = new Batcher({
      stream: this.#stream,
      closeRows: 1024,
      closeMs: 60_000,
      onBatch: (batch) => this.batches.push(batch),
    });
  }

  get timeNs(): bigint {
    return this.#timeNs;
  }

  /** The next batch: with a snapshot of the book in front, if asked for. */
  next(snapshot: boolean): EncodedBatch {
    if (snapshot) this.#addDepth(LEVELS, true);
    for (let rows = 0; rows < this.#rows; rows += 3) {
      this.#timeNs += MS;
      this.#addDepth(1, false);
      this.#addTrade();
    }
    this.#batcher.flush();
    const batch = this.batches.at(-1);
    if (batch === undefined) throw new Error('a batch was closed above');
    return batch;
  }

  /** Quantity of a level at an update id; both sides move together. */
  static quantityAt(updateId: number, level: number): number {
    // A level is touched by every LEVELS-th update.
    const last = updateId - ((updateId - level + LEVELS) % LEVELS);
    return 100_000_000 + Math.max(last, 0);
  }

  static priceOf(side: 1 | 2, level: number): number {
    return side === 1 ? MIDDLE - 1 - level : MIDDLE + 1 + level;
  }

  #addDepth(count: number, snapshot: boolean): void {
    if (!snapshot) this.#updateId++;
    const id = this.#updateId;
    const first = snapshot ? 0 : id % LEVELS;
    const levels: number[] = [];
    for (const side of [1, 2] as const) {
      for (let level = first; level < first + count; level++) {
        levels.push(Venue.priceOf(side, level), Venue.quantityAt(id, level));
      }
    }
    this.#batcher.add({
      type: 'depth',
      instrument: INSTRUMENT,
      receiveTimeNs: this.#timeNs,
      exchangeTimeNs: null,
      snapshot,
      firstId: id,
      lastId: id,
      previousId: -1,
      levels,
      bids: count,
    });
  }

  #addTrade(): void {
    this.#batcher.add({
      type: 'trade',
      instrument: INSTRUMENT,
      receiveTimeNs: this.#timeNs,
      exchangeTimeNs: null,
      id: ++this.#tradeId,
      price: MIDDLE,
      quantity: 1000,
      buyerTook: true,
    });
  }
}
