// All that a strategy or the paper broker knows of the market: books, best quotes, last trades and bars
// of each instrument, from the same batches in the same order, so that both see the same.

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

  /** Rows of other instruments are passed over. */
  apply(batch: Batch): void {
    for (let group = 0; group < batch.groups; group++) {
      this.#instruments.get(batch.groupInstrument[group] ?? 0)?.book.apply(batch, group);
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
