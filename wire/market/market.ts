// All that a strategy or the paper broker knows of the market: books, best quotes, last trades and bars
// of each instrument, from the same batches in the same order, so that both see the same. A hole in a
// stream's batch sequence (dropped, skipped or refused: the log has a gap leaf) ends the books and quotes
// that the stream has fed: what is missing may have changed them.

import type { Batch } from '../batch.ts';
import { BOOK_SIDE, ROW } from '../batch.ts';
import type { Instrument } from '../configuration.ts';
import { Bars } from './bars.ts';
import { TradeSequence } from './book-sequence.ts';
import { OrderBook } from './order-book.ts';

/** The venue's own best bid and ask (Binance bookTicker). Scaled; 0 before the first. */
export interface Quote {
  bidPrice: number;
  bidQuantity: number;
  askPrice: number;
  askQuantity: number;
  updateId: number;
}

export interface LastTrade {
  price: number;
  quantity: number;
  /** Venue's id; 0 where there is none. */
  id: number;
  /** Exchange time, or receive time where the venue gives none. */
  timeNs: bigint;
  buyerTook: boolean;
}

export class InstrumentMarket {
  readonly instrument: Instrument;
  readonly book: OrderBook;
  readonly quote: Quote = {
    bidPrice: 0,
    bidQuantity: 0,
    askPrice: 0,
    askQuantity: 0,
    updateId: 0,
  };
  readonly bars: readonly Bars[];
  /** The stream that its book or quote came from last; null before the first. */
  stream: number | null = null;
  #lastTrade: LastTrade | null = null;
  #trades = 0;
  readonly #tradeSequence: TradeSequence;

  constructor(instrument: Instrument, barIntervalsMs: readonly number[]) {
    this.instrument = instrument;
    this.book = new OrderBook(instrument.sequence_rule);
    this.bars = barIntervalsMs.map((intervalMs) => new Bars(intervalMs));
    this.#tradeSequence = new TradeSequence(instrument.sequence_rule);
  }

  get lastTrade(): LastTrade | null {
    return this.#lastTrade;
  }

  /** Trades that counted so far. */
  get trades(): number {
    return this.#trades;
  }

  /** Data of its stream is missing. Trades are facts: those that were seen stay, and so do their bars. */
  interrupt(): void {
    this.book.interrupt();
    const { quote } = this;
    quote.bidPrice = 0;
    quote.bidQuantity = 0;
    quote.askPrice = 0;
    quote.askQuantity = 0;
    quote.updateId = 0;
  }

  applyGroup(batch: Batch, group: number): void {
    this.stream = batch.stream;
    this.book.apply(batch, group);
  }

  applyTrade(batch: Batch, row: number): void {
    const id = batch.id[row] ?? 0;
    if (this.#tradeSequence.next(id) < 0) return;
    const price = batch.price[row] ?? 0;
    const quantity = batch.quantity[row] ?? 0;
    const buyerTook = batch.side[row] === BOOK_SIDE.bid;
    const times = batch.flags[row] === 0 ? batch.receiveTimeNs : batch.exchangeTimeNs;
    const timeNs = times[row] ?? 0n;
    this.#lastTrade = { price, quantity, id, timeNs, buyerTook };
    this.#trades++;
    for (const bars of this.bars) bars.add(timeNs, price, quantity, buyerTook);
  }

  applyBest(batch: Batch, row: number): void {
    this.stream = batch.stream;
    const price = batch.price[row] ?? 0;
    const quantity = batch.quantity[row] ?? 0;
    if (batch.side[row] === BOOK_SIDE.bid) {
      this.quote.bidPrice = price;
      this.quote.bidQuantity = quantity;
    } else {
      this.quote.askPrice = price;
      this.quote.askQuantity = quantity;
    }
    this.quote.updateId = batch.id[row] ?? 0;
  }
}

export class Market {
  readonly #instruments = new Map<number, InstrumentMarket>();
  /** Per stream, the sequence of its next batch. */
  readonly #next = new Map<number, number>();

  /** Bars are kept per instrument for each of the intervals, in their order. */
  constructor(instruments: readonly Instrument[], barIntervalsMs: readonly number[] = []) {
    for (const instrument of instruments) {
      this.#instruments.set(instrument.id, new InstrumentMarket(instrument, barIntervalsMs));
    }
  }

  /** Null for an instrument that the market was not made with. */
  of(instrument: number): InstrumentMarket | null {
    return this.#instruments.get(instrument) ?? null;
  }

  /**
   * Call with each batch before anything of it is applied; `apply` does. Ends what its stream has fed
   * when batches are missing before it.
   */
  enter({ stream, sequence }: Batch): void {
    const next = this.#next.get(stream) ?? 0;
    this.#next.set(stream, sequence + 1);
    if (sequence <= next) return;
    for (const market of this.#instruments.values()) {
      if (market.stream === stream) market.interrupt();
    }
  }

  /** Rows of other instruments are passed over. */
  apply(batch: Batch): void {
    this.enter(batch);
    for (let group = 0; group < batch.groups; group++) {
      this.#instruments.get(batch.groupInstrument[group] ?? 0)?.applyGroup(batch, group);
    }
    for (let row = 0; row < batch.rows; row++) {
      const kind = batch.kind[row];
      if (kind === ROW.trade) {
        this.#instruments.get(batch.instrument[row] ?? 0)?.applyTrade(batch, row);
      } else if (kind === ROW.best) {
        this.#instruments.get(batch.instrument[row] ?? 0)?.applyBest(batch, row);
      }
    }
  }
}
