// An order book of the simulated exchange: fifty levels a side around the market's price, changed by ticks, each
// with update ids that follow one another. What is random in a market is a counter here, so that runs are alike.

import { divide, formatPlaces, multiply, parseAmount, roundTo } from '../amount.ts';
import type { Amount } from '../amount.ts';
import { hashOf } from '../world-ids.ts';

const LEVELS = 50;

export type Level = readonly [price: Amount, quantity: Amount];

export interface BookUpdate {
  readonly firstId: number;
  readonly lastId: number;
  /** Of the update before. */
  readonly previousId: number;
  /** A quantity of zero: the level is gone. */
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
}

export interface Tick extends BookUpdate {
  readonly trade: {
    readonly id: number;
    readonly price: Amount;
    readonly quantity: Amount;
    readonly isSale: boolean;
  };
}

export class Book {
  readonly #name: string;
  readonly #bids = new Map<Amount, Amount>();
  readonly #asks = new Map<Amount, Amount>();
  lastId = 1_000_000;
  #center: Amount;
  #count = 0;

  constructor(name: string, price: Amount) {
    this.#name = name;
    this.#center = price;
    this.#fill(price);
  }

  /** The best first. */
  get bids(): readonly Level[] {
    return [...this.#bids].sort(([left], [right]) => (left > right ? -1 : 1));
  }

  get asks(): readonly Level[] {
    return [...this.#asks].sort(([left], [right]) => (left < right ? -1 : 1));
  }

  /** Ids pass without an update, as when a venue loses some. */
  skip(ids: number): void {
    this.lastId += ids;
  }

  /** Some levels change, all of them where the price has moved; a trade at the best price. */
  tick(price: Amount): Tick {
    const changes = price === this.#center ? this.#change() : this.#move(price);
    this.#count += 1;
    const previousId = this.lastId;
    const firstId = previousId + 1;
    this.lastId = firstId + (this.#count % 3);
    const isSale = this.#count % 2 === 0;
    const [best] = isSale ? this.bids : this.asks;
    const trade = {
      id: this.#count,
      price: best?.[0] ?? price,
      quantity: this.#quantity(`trade-${String(this.#count)}`),
      isSale,
    };
    return { firstId, lastId: this.lastId, previousId, ...changes, trade };
  }

  /** Between 0.001 and 6.5 or so, with five places. */
  #quantity(what: string): Amount {
    const units = Number.parseInt(hashOf(this.#name, what).slice(0, 4), 16) * 10 + 100;
    return parseAmount((units / 100_000).toFixed(5));
  }

  #fill(price: Amount): void {
    const places = price >= parseAmount('10') ? 2 : 5;
    const smallest = parseAmount(places === 2 ? '0.01' : '0.00001');
    const step = roundTo(divide(price, parseAmount('10000')), places) || smallest;
    const center = roundTo(price, places);
    for (let level = 1; level <= LEVELS; level += 1) {
      const distance = multiply(step, parseAmount(String(level)));
      this.#bids.set(center - distance, this.#quantity(`bid-${String(level)}`));
      this.#asks.set(center + distance, this.#quantity(`ask-${String(level)}`));
    }
  }

  #change(): Pick<BookUpdate, 'bids' | 'asks'> {
    const at = this.#count % LEVELS;
    const [bid] = this.bids.slice(at, at + 1);
    const [ask] = this.asks.slice(LEVELS - 1 - at, LEVELS - at);
    const quantity = this.#quantity(String(this.#count));
    if (bid !== undefined) this.#bids.set(bid[0], quantity);
    if (ask !== undefined) this.#asks.set(ask[0], quantity);
    return {
      bids: bid === undefined ? [] : [[bid[0], quantity]],
      asks: ask === undefined ? [] : [[ask[0], quantity]],
    };
  }

  #move(price: Amount): Pick<BookUpdate, 'bids' | 'asks'> {
    const gone = { bids: [...this.#bids.keys()], asks: [...this.#asks.keys()] };
    this.#bids.clear();
    this.#asks.clear();
    this.#center = price;
    this.#fill(price);
    return { bids: changed(gone.bids, this.#bids), asks: changed(gone.asks, this.#asks) };
  }
}

/** Levels that are gone, then those that are there. */
function changed(before: readonly Amount[], now: ReadonlyMap<Amount, Amount>): readonly Level[] {
  const gone = before.filter((level) => !now.has(level)).map((level): Level => [level, 0n]);
  return [...gone, ...now];
}

export interface Places {
  readonly price: number;
  readonly quantity: number;
}

/** `[[price, quantity]]` as venues write them. */
export function writtenLevels(levels: readonly Level[], places: Places): readonly string[][] {
  return levels.map(([price, quantity]) => [
    formatPlaces(price, places.price),
    formatPlaces(quantity, places.quantity),
  ]);
}
