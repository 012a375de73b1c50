// What each market made of the whole account's capital, hour by hour: profit and loss of the market over the average
// capital of the hour (Modified Dietz), so that the parts of an hour add up to its return on that base. Profit and loss is
// the change of what is there of a market, less what was paid for it, with its income, funding and fees; what is left of
// the account's is `spot`, with cash and coins, interest, the residual, and what currencies did meanwhile.

import type { Fixed } from '../fixed.ts';
import { absolute } from '../fixed.ts';
import type { FigureMarket, HourFigures } from '../track/figures.ts';
import { FIGURE_MARKETS, HOUR_MS } from '../track/figures.ts';
import { hourReturn, isJump, isLargeFlow, unexplainedGain } from './hour-return.ts';
import type { ReturnPoint } from './link.ts';
import type { ReturnReason } from './period-return.ts';
import { exactRatio } from './ratio.ts';

const OTHERS: readonly FigureMarket[] = FIGURE_MARKETS.filter((market) => market !== 'spot');

export interface MarketReturns {
  readonly market: FigureMarket;
  readonly points: readonly ReturnPoint[];
}

function marketOf(
  hour: HourFigures,
  market: FigureMarket,
): HourFigures['byMarket'][number] | undefined {
  return hour.byMarket.find((one) => one.market === market);
}

/** Of a market other than spot; null where a part of it is not known. */
function profitOf(hour: HourFigures, before: HourFigures, market: FigureMarket): Fixed | null {
  // Of an hour without a value nobody knows what it had.
  if (before.equityEnd === null) return null;
  const own = marketOf(hour, market);
  const then = marketOf(before, market);
  const start = then === undefined ? 0n : then.equity;
  if (own === undefined) return start === null ? null : -start;
  const { equity, outlay, income, funding, fees } = own;
  if (equity === null || outlay === null || start === null) return null;
  if (income === null || funding === null || fees === null) return null;
  return equity - start - outlay + income + funding - fees;
}

interface Base {
  /** Average capital times the milliseconds of an hour. */
  readonly capital: bigint;
  readonly profit: Fixed;
  /** So much came or went within the hour that an average says nothing of what a profit was made with. */
  readonly isLoose: boolean;
}

function baseOf(hour: HourFigures): Base | null {
  const { equityStart, equityEnd, startMs, flows } = hour;
  if (equityStart === null || equityEnd === null) return null;
  let capital = equityStart * BigInt(HOUR_MS);
  let profit = equityEnd - equityStart - unexplainedGain(hour);
  let moved = 0n;
  for (const { atMs, amount } of flows) {
    if (amount === null) return null;
    if (atMs > startMs) moved += absolute(amount);
    capital += amount * BigInt(startMs + HOUR_MS - atMs);
    profit -= amount;
  }
  return { capital, profit, isLoose: isLargeFlow(moved, equityStart) };
}

function point(hour: HourFigures, profit: Fixed | null, base: Base | null): ReturnPoint {
  const times = { startMs: hour.startMs, endMs: hour.startMs + HOUR_MS };
  const fault: ReturnReason | null =
    hourReturn(hour).reason ?? (profit === null || base === null ? 'no_value' : null);
  if (fault !== null || profit === null || base === null) {
    return { ...times, ratio: null, method: null, reason: fault };
  }
  if (base.isLoose && profit !== 0n) {
    return { ...times, ratio: null, method: null, reason: 'flow_not_valued' };
  }
  if (base.capital <= 0n) {
    return { ...times, ratio: null, method: null, reason: 'capital_not_positive' };
  }
  const ratio = exactRatio(profit * BigInt(HOUR_MS), base.capital);
  if (ratio === null) return { ...times, ratio, method: null, reason: 'too_large' };
  return { ...times, ratio, method: 'modified_dietz', reason: null };
}

/** One hour after another; the first of `hours` is only where the second starts from. */
export function marketReturns(hours: readonly HourFigures[]): readonly MarketReturns[] {
  const points = new Map<FigureMarket, ReturnPoint[]>();
  // Markets that the account had in one of the hours, in the order of FIGURE_MARKETS.
  const had = new Set(hours.flatMap(({ byMarket }) => byMarket.map(({ market }) => market)));
  for (const market of FIGURE_MARKETS) if (had.has(market)) points.set(market, []);
  for (const [at, hour] of hours.entries()) {
    const before = hours[at - 1];
    if (before?.startMs !== hour.startMs - HOUR_MS) continue;
    const base = isJump(before, hour) ? null : baseOf(hour);
    let rest = base?.profit ?? null;
    for (const market of OTHERS) {
      const profit = had.has(market) ? profitOf(hour, before, market) : 0n;
      points.get(market)?.push(point(hour, profit, base));
      rest = rest === null || profit === null ? null : rest - profit;
    }
    points.get('spot')?.push(point(hour, rest, base));
  }
  return [...points].map(([market, ofMarket]) => ({ market, points: ofMarket }));
}
