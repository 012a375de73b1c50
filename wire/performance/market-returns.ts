// What each market made of the whole account's capital, hour by hour: profit and loss of the market over the average
// capital of the hour (Modified Dietz), so that the parts of an hour add up to its return on that base. For swaps and futures
// profit and loss is known: realised + funding − fees + change of what is not realised. Cash, coins and what is left of
// the account's profit are `spot`. Shares and options are bought with cash that the hour's figures do not name: they, and
// the spot part beside them, have no return of their own, and say so.

import type { Fixed } from '../fixed.ts';
import type { FigureMarket, HourFigures } from '../track/figures.ts';
import { FIGURE_MARKETS, HOUR_MS } from '../track/figures.ts';
import { hourReturn, unexplainedGain } from './hour-return.ts';
import type { ReturnPoint } from './link.ts';
import type { ReturnReason } from './period-return.ts';
import { exactRatio } from './ratio.ts';

const DERIVATIVES: ReadonlySet<FigureMarket> = new Set(['swap', 'future']);

export interface MarketReturns {
  readonly market: FigureMarket;
  /** Null with shares or options in the account, for them and for `spot`. */
  readonly points: readonly ReturnPoint[] | null;
}

function marketOf(
  hour: HourFigures,
  market: FigureMarket,
): HourFigures['byMarket'][number] | undefined {
  return hour.byMarket.find((one) => one.market === market);
}

/** Null where a part of it is not known. */
function profitOf(hour: HourFigures, before: HourFigures, market: FigureMarket): Fixed | null {
  // Of an hour without a value nobody knows what it had.
  if (before.equityEnd === null) return null;
  const own = marketOf(hour, market);
  const then = marketOf(before, market);
  const start = then === undefined ? 0n : then.equity;
  if (own === undefined) return start === null ? null : -start;
  const { realised, funding, fees, equity } = own;
  if (realised === null || funding === null || fees === null) return null;
  return equity === null || start === null ? null : realised + funding - fees + equity - start;
}

interface Base {
  /** Average capital times the milliseconds of an hour. */
  readonly capital: bigint;
  readonly profit: Fixed;
}

function baseOf(hour: HourFigures): Base | null {
  const { equityStart, equityEnd, startMs, flows } = hour;
  if (equityStart === null || equityEnd === null) return null;
  let capital = equityStart * BigInt(HOUR_MS);
  let profit = equityEnd - equityStart - unexplainedGain(hour);
  for (const { atMs, amount } of flows) {
    if (amount === null) return null;
    capital += amount * BigInt(startMs + HOUR_MS - atMs);
    profit -= amount;
  }
  return { capital, profit };
}

function point(hour: HourFigures, profit: Fixed | null, base: Base | null): ReturnPoint {
  const times = { startMs: hour.startMs, endMs: hour.startMs + HOUR_MS };
  const fault: ReturnReason | null =
    hourReturn(hour).reason ?? (profit === null || base === null ? 'no_value' : null);
  if (fault !== null || profit === null || base === null) {
    return { ...times, ratio: null, method: null, reason: fault };
  }
  if (base.capital <= 0n) {
    return { ...times, ratio: null, method: null, reason: 'capital_not_positive' };
  }
  const ratio = exactRatio(profit * BigInt(HOUR_MS), base.capital);
  if (ratio === null) return { ...times, ratio, method: null, reason: 'too_large' };
  return { ...times, ratio, method: 'modified_dietz', reason: null };
}

/** One hour after another; the first of `hours` is only where the second starts from. */
function pointsOf(hours: readonly HourFigures[], market: FigureMarket): readonly ReturnPoint[] {
  const points: ReturnPoint[] = [];
  for (const [at, hour] of hours.entries()) {
    const before = hours[at - 1];
    if (before?.startMs !== hour.startMs - HOUR_MS) continue;
    const base = baseOf(hour);
    const parts = [...DERIVATIVES].map((one) => profitOf(hour, before, one));
    const known = parts.flatMap((part) => (part === null ? [] : [part]));
    const rest =
      base === null || known.length < parts.length
        ? null
        : base.profit - known.reduce((sum, part) => sum + part, 0n);
    const profit = DERIVATIVES.has(market) ? profitOf(hour, before, market) : rest;
    points.push(point(hour, profit, base));
  }
  return points;
}

/** Markets that the account had in one of the hours, in the order of FIGURE_MARKETS. */
export function marketReturns(hours: readonly HourFigures[]): readonly MarketReturns[] {
  const had = new Set(hours.flatMap(({ byMarket }) => byMarket.map(({ market }) => market)));
  const isSeparable = !had.has('stock') && !had.has('option');
  return FIGURE_MARKETS.filter((market) => had.has(market)).map((market) => {
    const can = DERIVATIVES.has(market) || (market === 'spot' && isSeparable);
    return { market, points: can ? pointsOf(hours, market) : null };
  });
}
