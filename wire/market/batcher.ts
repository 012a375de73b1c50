// Turns market events into encoded batches: a batch is closed when it has enough rows, when the next
// event was received too long after its first, or by `flush()`, which a wall-clock timer calls in a live
// feed. Events of more rows than a batch holds are split into parts. Only receive times are compared.

import { BOOK_SIDE, GROUP_FLAG, ROW } from '../batch.ts';
import { MAX_BATCH_ROWS } from '../limits.ts';
import { BatchBuilder } from './batch-builder.ts';
import type { BestEvent, DepthEvent, MarketEvent, TradeEvent } from './events.ts';
import { rowsOf } from './events.ts';

const NS_PER_MS = 1_000_000n;

export interface BatcherOptions {
  /** Stream id of the configuration. */
  readonly stream: number;
  /** A batch with this many rows is closed; 1 to 1,024. It may be exceeded by the last event's rows. */
  readonly closeRows: number;
  /** A batch is closed before an event that was received this much later than its first event. */
  readonly closeMs: number;
  readonly onBatch: (batch: EncodedBatch) => void;
}

export interface EncodedBatch {
  readonly stream: number;
  readonly sequence: number;
  readonly timeNs: bigint;
  readonly rows: number;
  readonly bytes: Uint8Array;
}

export class Batcher {
  readonly #options: BatcherOptions;
  readonly #builder: BatchBuilder;
  readonly #closeNs: bigint;
  #sequence = 0;
  /** From this receive time on an event is too late for the open batch. */
  #closeFromNs = 0n;
  #timeNs = 0n;

  constructor(options: BatcherOptions) {
    const { closeRows, closeMs } = options;
    if (!Number.isInteger(closeRows) || closeRows < 1 || closeRows > MAX_BATCH_ROWS) {
      throw new RangeError('a batch is closed at 1 to 1,024 rows');
    }
    if (!Number.isInteger(closeMs) || closeMs < 1) throw new RangeError('closeMs is at least 1');
    this.#options = options;
    this.#closeNs = BigInt(closeMs) * NS_PER_MS;
    this.#builder = new BatchBuilder(options.stream);
  }

  /** Sequence that the next batch will have. */
  get nextSequence(): number {
    return this.#sequence;
  }

  /** True while events wait for their batch to be closed. */
  get pending(): boolean {
    return this.#builder.rows > 0 || this.#builder.groups > 0;
  }

  /** Closes the batch if it is too old for this event; `add` does the same. */
  closeBefore(event: MarketEvent): void {
    if (event.receiveTimeNs >= this.#closeFromNs && this.pending) this.flush();
  }

  add(event: MarketEvent): void {
    this.closeBefore(event);
    const rows = rowsOf(event);
    // What fits into a batch of its own is not torn apart.
    if (rows > this.#builder.freeRows || this.#builder.freeGroups === 0) this.flush();
    this.#touch(event.receiveTimeNs);
    switch (event.type) {
      case 'depth':
        this.#addDepth(event, rows);
        break;
      case 'trade':
        this.#addTrade(event);
        break;
      case 'best':
        this.#addBest(event);
        break;
    }
    if (this.#builder.rows >= this.#options.closeRows) this.flush();
  }

  /** Closes the batch if it has anything. */
  flush(): void {
    if (!this.pending) return;
    const rows = this.#builder.rows;
    const sequence = this.#sequence++;
    const bytes = this.#builder.encode(sequence, this.#timeNs);
    this.#options.onBatch({
      stream: this.#options.stream,
      sequence,
      timeNs: this.#timeNs,
      rows,
      bytes,
    });
  }

  /** Closes the batch, and takes a sequence for what is missing after it: the caller declares it. */
  skip(): number {
    this.flush();
    return this.#sequence++;
  }

  #touch(receiveTimeNs: bigint): void {
    if (!this.pending) this.#closeFromNs = receiveTimeNs + this.#closeNs;
    // A local clock that is set back does not take the batch time with it.
    if (receiveTimeNs > this.#timeNs) this.#timeNs = receiveTimeNs;
  }

  #addDepth(event: DepthEvent, rows: number): void {
    let done = 0;
    do {
      const count = Math.min(rows - done, this.#builder.freeRows);
      const first = done === 0 ? GROUP_FLAG.first : 0;
      const last = done + count === rows ? GROUP_FLAG.last : 0;
      this.#builder.addGroup({
        instrument: event.instrument,
        firstRow: this.#builder.rows,
        rows: count,
        flags: (event.snapshot ? GROUP_FLAG.snapshot : 0) | first | last,
        firstId: event.firstId,
        lastId: event.lastId,
        previousId: event.previousId,
      });
      for (let level = done; level < done + count; level++) this.#addLevel(event, level);
      done += count;
      if (done < rows) this.flush();
      this.#touch(event.receiveTimeNs);
    } while (done < rows);
  }

  #addLevel(event: DepthEvent, level: number): void {
    this.#builder.addRow({
      instrument: event.instrument,
      kind: event.snapshot ? ROW.snapshotLevel : ROW.level,
      side: level < event.bids ? BOOK_SIDE.bid : BOOK_SIDE.ask,
      exchangeTimeNs: event.exchangeTimeNs,
      receiveTimeNs: event.receiveTimeNs,
      price: event.levels[2 * level] ?? 0,
      quantity: event.levels[2 * level + 1] ?? 0,
      id: event.lastId,
    });
  }

  #addTrade(event: TradeEvent): void {
    this.#builder.addRow({
      instrument: event.instrument,
      kind: ROW.trade,
      side: event.buyerTook ? BOOK_SIDE.bid : BOOK_SIDE.ask,
      exchangeTimeNs: event.exchangeTimeNs,
      receiveTimeNs: event.receiveTimeNs,
      price: event.price,
      quantity: event.quantity,
      id: event.id,
    });
  }

  #addBest(event: BestEvent): void {
    this.#addQuote(event, BOOK_SIDE.bid, event.bidPrice, event.bidQuantity);
    this.#addQuote(event, BOOK_SIDE.ask, event.askPrice, event.askQuantity);
  }

  #addQuote(event: BestEvent, side: number, price: number, quantity: number): void {
    this.#builder.addRow({
      instrument: event.instrument,
      kind: ROW.best,
      side,
      exchangeTimeNs: event.exchangeTimeNs,
      receiveTimeNs: event.receiveTimeNs,
      price,
      quantity,
      id: event.updateId,
    });
  }
}
