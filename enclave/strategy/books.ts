// The market behind a strategy's context: books, quotes, last trades and bars of the subscribed
// instruments, as primitives, because objects of the runner must not reach the strategy.

import type { Batch } from '../../wire/batch.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { Bar } from '../../wire/market/bars.ts';
import type { InstrumentMarket } from '../../wire/market/market.ts';
import { Market } from '../../wire/market/market.ts';
import { BOOK_FIELDS } from './realm-types.ts';

const BID = 1;

export class Books {
  readonly #market: Market;
  readonly #slots: readonly InstrumentMarket[];
  /** Our own view of the memory that the strategy reads. */
  readonly #tops: Float64Array;

  /** `instruments` are the subscribed ones, in the order of their slots. */
  constructor(
    instruments: readonly Instrument[],
    barIntervalsMs: readonly number[],
    tops: Float64Array,
  ) {
    this.#market = new Market(instruments, barIntervalsMs);
    this.#slots = instruments.flatMap(({ id }) => this.#market.of(id) ?? []);
    this.#tops = new Float64Array(tops.buffer);
  }

  apply(batch: Batch): void {
    this.#market.apply(batch);
    const tops = this.#tops;
    this.#slots.forEach(({ book, quote, lastTrade, trades }, slot) => {
      const at = slot * BOOK_FIELDS;
      tops[at] = book.valid ? 1 : 0;
      // The later of the venue's own best quote and the depth, which comes less often.
      const quoted = quote.bidPrice > 0 && quote.askPrice > 0;
      if (quoted && (!book.valid || quote.updateId >= book.lastUpdateId)) {
        tops[at + 1] = quote.bidPrice;
        tops[at + 2] = quote.bidQuantity;
        tops[at + 3] = quote.askPrice;
        tops[at + 4] = quote.askQuantity;
      } else {
        tops[at + 1] = book.bids.price(0) ?? 0;
        tops[at + 2] = book.bids.quantity(0);
        tops[at + 3] = book.asks.price(0) ?? 0;
        tops[at + 4] = book.asks.quantity(0);
      }
      tops[at + 5] = lastTrade?.price ?? 0;
      tops[at + 6] = lastTrade?.quantity ?? 0;
      tops[at + 7] = trades;
    });
  }

  levelPrice(slot: number, side: number, level: number): number {
    const book = this.#slots[slot]?.book;
    return (side === BID ? book?.bids : book?.asks)?.price(level) ?? 0;
  }

  levelQuantity(slot: number, side: number, level: number): number {
    const book = this.#slots[slot]?.book;
    return (side === BID ? book?.bids : book?.asks)?.quantity(level) ?? 0;
  }

  /** One field of a bar: `back` 0 is the one that is not complete, 1 the last complete one. */
  bar(slot: number, interval: number, back: number, field: keyof Bar): number | bigint {
    const bars = this.#slots[slot]?.bars[interval];
    const bar = back === 0 ? bars?.current : bars?.closed[bars.closed.length - back];
    return bar?.[field] ?? 0;
  }
}
