// What is left of a book's levels after our own paper fills: the real book does not know of them, so a
// quantity that was taken counts as gone until the venue reports that level again.

import type { Batch } from '../../wire/batch.ts';
import { BOOK_SIDE } from '../../wire/batch.ts';
import type { BookSide } from '../../wire/market/book-side.ts';
import type { InstrumentMarket } from '../../wire/market/market.ts';
import type { OrderBook } from '../../wire/market/order-book.ts';

/** Scaled price and quantity. */
export interface AvailableLevel {
  readonly price: number;
  readonly quantity: number;
}

export class Liquidity {
  readonly #traded: InstrumentMarket;
  /** Price to quantity taken. */
  readonly #takenBids = new Map<number, number>();
  readonly #takenAsks = new Map<number, number>();

  constructor(traded: InstrumentMarket) {
    this.#traded = traded;
  }

  get #book(): OrderBook {
    return this.#traded.book;
  }

  /** Applies a group to the book. */
  apply(batch: Batch, group: number): void {
    this.#traded.applyGroup(batch, group);
    if (this.#takenBids.size === 0 && this.#takenAsks.size === 0) return;
    const start = batch.groupFirstRow[group] ?? 0;
    const end = start + (batch.groupRows[group] ?? 0);
    for (let row = start; row < end; row++) {
      const taken = batch.side[row] === BOOK_SIDE.bid ? this.#takenBids : this.#takenAsks;
      taken.delete(batch.price[row] ?? 0);
    }
    if (!this.#book.valid) {
      this.#takenBids.clear();
      this.#takenAsks.clear();
    }
  }

  /** The best level that a buyer (asks) or a seller (bids) can still take; null when there is none. */
  best(buyer: boolean): AvailableLevel | null {
    const side: BookSide = buyer ? this.#book.asks : this.#book.bids;
    const taken = buyer ? this.#takenAsks : this.#takenBids;
    for (let depth = 0; depth < side.levels; depth++) {
      const price = side.price(depth) ?? 0;
      const quantity = side.quantity(depth) - (taken.get(price) ?? 0);
      if (quantity > 0) return { price, quantity };
    }
    return null;
  }

  take(buyer: boolean, price: number, quantity: number): void {
    const taken = buyer ? this.#takenAsks : this.#takenBids;
    taken.set(price, (taken.get(price) ?? 0) + quantity);
  }
}
