// The record of an account over a time, from the figures of its hours: linked returns, money-weighted return, risk by
// hours and by days, sums, reconciliation, and each market. Whoever has the signed hours gets the same answer to the last
// digit: the verifier computes it again. Conventions are in the answer; docs/TRACK-RECORD.md has them for people.

import type { FigureMarket, HourFigures } from '../track/figures.ts';
import { HOUR_MS } from '../track/figures.ts';
import type { CalendarReturn } from './calendar.ts';
import { dailyReturns, monthlyReturns } from './calendar.ts';
import { CONVENTIONS } from './conventions.ts';
import { hourPoint, isJump, isObserved } from './hour-return.ts';
import type { LinkedReturn, ReturnPoint } from './link.ts';
import { linkReturns } from './link.ts';
import { marketReturns } from './market-returns.ts';
import { moneyWeighted } from './money-weighted.ts';
import type { RiskMetrics } from './risk.ts';
import { riskMetrics } from './risk.ts';
import type { Totals } from './totals.ts';
import { totalsOf } from './totals.ts';
import type { MoneyWeighted } from './xirr.ts';

export interface Coverage {
  readonly startMs: number;
  readonly endMs: number;
  /** Hours from the start to the end. */
  readonly hours: number;
  /** Hours of which there are figures. */
  readonly recorded: number;
  /** Hours of which there is a return. */
  readonly returns: number;
  /** Hours in which a poll that was due failed or told less than all. */
  readonly incomplete: number;
  /** Hours that were worked out backwards. */
  readonly rebuilt: number;
  readonly polls: number;
}

export interface MarketPerformance {
  readonly market: FigureMarket;
  /** On the whole account's capital, from the record's second hour on. */
  readonly linked: LinkedReturn;
  readonly hourly: RiskMetrics;
  readonly daily: RiskMetrics;
}

export interface Performance {
  readonly coverage: Coverage;
  /** The whole record: null over a gap, with what was observed beside it. */
  readonly linked: LinkedReturn;
  readonly moneyWeighted: MoneyWeighted;
  readonly hourly: RiskMetrics;
  /** Of whole days of UTC. */
  readonly daily: RiskMetrics;
  readonly days: readonly CalendarReturn[];
  readonly months: readonly CalendarReturn[];
  readonly totals: Totals;
  readonly markets: readonly MarketPerformance[];
  /** One for each hour that has figures, without the empty ones at both ends. */
  readonly points: readonly ReturnPoint[];
}

function isEmpty(hour: HourFigures): boolean {
  return hourPoint(hour).reason === 'no_capital';
}

/** A record begins with the first capital and ends with the last. */
function withCapital(hours: readonly HourFigures[]): readonly HourFigures[] {
  const first = hours.findIndex((hour) => !isEmpty(hour));
  return first < 0 ? [] : hours.slice(first, hours.findLastIndex((hour) => !isEmpty(hour)) + 1);
}

/** An hour that does not begin where the one before ended links to nothing. */
function pointsOf(hours: readonly HourFigures[]): readonly ReturnPoint[] {
  return hours.map((hour, at) => {
    const point = hourPoint(hour);
    if (point.ratio === null || !isJump(hours[at - 1], hour)) return point;
    const { startMs, endMs } = point;
    return { startMs, endMs, ratio: null, method: null, reason: 'value_jump' };
  });
}

function coverageOf(hours: readonly HourFigures[], points: readonly ReturnPoint[]): Coverage {
  const startMs = hours[0]?.startMs ?? 0;
  const last = hours.at(-1);
  const endMs = last === undefined ? startMs : last.startMs + HOUR_MS;
  return {
    startMs,
    endMs,
    hours: (endMs - startMs) / HOUR_MS,
    recorded: hours.length,
    returns: points.filter(({ ratio }) => ratio !== null).length,
    incomplete: hours.filter((hour) => !hour.complete || !isObserved(hour)).length,
    rebuilt: hours.filter(({ rebuilt }) => rebuilt).length,
    polls: hours.reduce((sum, { polls }) => sum + polls, 0),
  };
}

/** Days as points of a series: those that the record covers from their first to their last hour. */
function wholeDays(days: readonly CalendarReturn[]): readonly ReturnPoint[] {
  return days
    .filter(({ whole }) => whole)
    .map(({ startMs, endMs, ratio, method, gaps }) =>
      ratio === null
        ? { startMs, endMs, ratio, method: null, reason: firstReason(gaps) }
        : { startMs, endMs, ratio, method, reason: null },
    );
}

function firstReason(gaps: LinkedReturn['gaps']): ReturnPoint['reason'] {
  const reason = gaps[0]?.reason ?? 'incomplete';
  return reason === 'missing' ? 'incomplete' : reason;
}

function marketsOf(hours: readonly HourFigures[]): readonly MarketPerformance[] {
  return marketReturns(hours).map(({ market, points }) => ({
    market,
    linked: linkReturns(points),
    hourly: riskMetrics(points, CONVENTIONS.hourly),
    daily: riskMetrics(wholeDays(dailyReturns(points)), CONVENTIONS.daily),
  }));
}

/** `all` in the order of time, one for an hour: of a corrected hour the last one. Throws a RangeError otherwise, which is a bug. */
export function performanceOf(all: readonly HourFigures[]): Performance {
  const hours = withCapital(all);
  const points = pointsOf(hours);
  const days = dailyReturns(points);
  return {
    coverage: coverageOf(hours, points),
    linked: linkReturns(points),
    moneyWeighted: moneyWeighted(hours),
    hourly: riskMetrics(points, CONVENTIONS.hourly),
    daily: riskMetrics(wholeDays(days), CONVENTIONS.daily),
    days,
    months: monthlyReturns(points),
    totals: totalsOf(hours),
    markets: marketsOf(hours),
    points,
  };
}
