// Some days of a trader, for tests and the demo: money in, a trade each hour at the market's own moving price, more money in
// the middle, some of it out again. Everything is at times in the past and the same in every run; an outage is a
// fault of the venue that whoever tells the story sets and clears.

import { divide, formatAmount, multiply, parseAmount, roundTo } from './amount.ts';
import type { AccountAnswer, Control } from './control.ts';
import type { VenueName } from './markets.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

export interface StoryOptions {
  readonly venue: VenueName;
  /** Spot; its quote is the money. `BTC/USDT` without it. */
  readonly symbol?: string;
  /** So many before now; 48. */
  readonly hours?: number;
  /** Of the first deposit; 10,000. The one in the middle is half of it. */
  readonly amount?: string;
  readonly isSandbox?: boolean;
}

export interface StoryAnswer extends AccountAnswer {
  /** When the first deposit came, and the one in the middle. */
  readonly startMs: number;
  readonly depositMs: number;
  readonly withdrawalMs: number;
  readonly trades: number;
}

/** Throws RangeError for a market that is not there. */
export function tellStory(control: Control, options: StoryOptions): StoryAnswer {
  const { venue, symbol = 'BTC/USDT', hours = 48, amount = '10000', isSandbox = false } = options;
  const market = control.world.venue(venue).markets.get(symbol);
  if (market === undefined || market.settle !== null || hours < 4) {
    throw new RangeError(`no story at ${venue} of ${String(hours)} hours with ${symbol}`);
  }
  control.move({ isMoving: true });
  const answer = control.account({ venue, isSandbox, permissions: ['read'] });
  const { account } = answer;
  const nowMs = control.world.nowMs();
  const startMs = nowMs - (nowMs % HOUR_MS) - hours * HOUR_MS + 5 * MINUTE_MS;
  const half = Math.floor(hours / 2);
  const depositMs = startMs + half * HOUR_MS + 17 * MINUTE_MS;
  const withdrawalMs = depositMs + HOUR_MS + 11 * MINUTE_MS;
  const money = { account, currency: market.quote };
  const first = parseAmount(amount);
  const share = (part: string): string =>
    formatAmount(roundTo(multiply(first, parseAmount(part)), 2));
  control.deposit({ ...money, amount, timeMs: startMs });
  let trades = 0;
  for (let hour = 0; hour < hours; hour += 1) {
    const timeMs = startMs + hour * HOUR_MS + 25 * MINUTE_MS;
    // What may be not over yet belongs to no story.
    if (timeMs >= nowMs) break;
    if (hour === half) control.deposit({ ...money, amount: share('0.5'), timeMs: depositMs });
    if (hour === half + 1) {
      control.withdraw({ ...money, amount: share('0.05'), timeMs: withdrawalMs });
    }
    // In quarters of what a fifth of the money buys; three purchases, then two sales of less.
    const price = parseAmount(control.priceAt({ venue, symbol, timeMs }).price);
    const isSale = hour % 5 > 2;
    const part = multiply(first, parseAmount(isSale ? '0.03' : '0.04'));
    const size = formatAmount(roundTo(divide(part, price), 5));
    control.trade({ account, symbol, side: isSale ? 'sell' : 'buy', amount: size, timeMs });
    trades += 1;
  }
  return { ...answer, startMs, depositMs, withdrawalMs, trades };
}
