// What a venue's markets were worth, now and in the past. A price holds from when it was set (by control, or by a
// trade) until the next; where prices move, a course of its own carries each currency up and down between the two, the
// same at every venue and in every run, so that candles of last month are as certain as those of today.

import { divide, multiply, parseAmount, roundTo } from './amount.ts';
import type { Amount } from './amount.ts';
import type { Market } from './markets.ts';

interface Set {
  readonly atMs: number;
  readonly price: Amount;
}

export interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
  readonly isQuiet: boolean;
}

const ONE = parseAmount('1');
const HOUR_MS = 3_600_000;
/** How far a currency goes, each way, and how its courses are shifted against each other. */
const SWINGS: Readonly<Record<string, string>> = {
  USD: '0',
  USDT: '0.0004',
  USDC: '0.0002',
  EUR: '0.004',
};
const COIN_SWING = '0.03';
const COURSES: readonly (readonly [periodMs: number, share: bigint])[] = [
  [3 * HOUR_MS, 1n],
  [19 * HOUR_MS, 3n],
  [131 * HOUR_MS, 6n],
];

/** From -1 to 1 and back, in straight lines. */
function triangle(timeMs: number, periodMs: number): Amount {
  const at = ((timeMs % periodMs) + periodMs) % periodMs;
  const quarters = (BigInt(at) * 4n * ONE) / BigInt(periodMs);
  if (quarters <= ONE) return quarters;
  return quarters <= 3n * ONE ? 2n * ONE - quarters : quarters - 4n * ONE;
}

function shiftOf(currency: string): number {
  return currency.split('').reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 1_000_003;
}

/** Around 1. */
function courseOf(currency: string, timeMs: number): Amount {
  const swing = parseAmount(SWINGS[currency] ?? COIN_SWING);
  const sum = COURSES.reduce((total, [periodMs, share]) => {
    const shifted = timeMs + shiftOf(currency) * 60_000;
    return total + triangle(shifted, periodMs) * share;
  }, 0n);
  return ONE + multiply(swing, sum / 10n);
}

export class Prices {
  readonly #markets: ReadonlyMap<string, Market>;
  readonly #nowMs: () => number;
  readonly #sets = new Map<string, Set[]>();
  /** Spans in which no market was open: there are no candles of them. Quiet ones: candles, and no deal in them. */
  readonly outages: Outage[] = [];
  /** False: prices stay where they were set. */
  isMoving = false;

  constructor(markets: ReadonlyMap<string, Market>, nowMs: () => number) {
    this.#markets = markets;
    this.#nowMs = nowMs;
  }

  /** Holds from `atMs` on, now without it, until the next one that was set. */
  set(symbol: string, price: Amount, atMs: number = this.#nowMs()): void {
    const sets = this.#sets.get(symbol) ?? [];
    const later = sets.findIndex((other) => other.atMs > atMs);
    sets.splice(later < 0 ? sets.length : later, 0, { atMs, price });
    this.#sets.set(symbol, sets);
  }

  /** Undefined for a market that is not there. */
  get(symbol: string, atMs: number = this.#nowMs()): Amount | undefined {
    const market = this.#markets.get(symbol);
    const sets = this.#sets.get(symbol) ?? [];
    const last = sets.findLast((other) => other.atMs <= atMs) ?? sets[0];
    if (market === undefined || last === undefined) return undefined;
    if (!this.isMoving || last.atMs === atMs) return last.price;
    const { base, quote } = market;
    const then = divide(courseOf(base, last.atMs), courseOf(quote, last.atMs));
    const now = divide(courseOf(base, atMs), courseOf(quote, atMs));
    const price = divide(multiply(last.price, now), then);
    return roundTo(price, price >= parseAmount('100') ? 2 : 6);
  }

  /** Moments after `fromMs` and before `toMs` at which a price was set. */
  changes(symbol: string, fromMs: number, toMs: number): readonly number[] {
    const sets = this.#sets.get(symbol) ?? [];
    return sets.map(({ atMs }) => atMs).filter((atMs) => atMs > fromMs && atMs < toMs);
  }
}
