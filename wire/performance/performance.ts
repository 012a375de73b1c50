// The record of an account over a time, from the figures of its hours: linked returns, money-weighted return, risk by
// hours and by days, capital, sums, reconciliation, and each market. It begins with the first hour that was seen: what was
// worked out backwards from before it stands beside. Whoever has the signed hours gets the same answer to the last
// digit: the verifier computes it again. Conventions are in the answer; docs/TRACK-RECORD.md has them for people.

import type { FigureMarket, HourFigures } from '../track/figures.ts';
import { HOUR_MS } from '../track/figures.ts';
import type { BridgedGap } from './bridges.ts';
import { bridge } from './bridges.ts';
import type { CalendarReturn } from './calendar.ts';
import { dailyReturns } from './calendar.ts';
import type { Capital } from './capital.ts';
import { capitalOf } from './capital.ts';
import { CONVENTIONS } from './conventions.ts';
import { hourPoint, isJump, isObserved, VALUE_JUMP } from './hour-return.ts';
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
  /** Hours that were worked out backwards; none of them has a return here. */
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

/** Hours before the first that was seen, worked out backwards from it: what would not have been shown had it gone wrong. */
export interface Rebuilt {
  readonly linked: LinkedReturn;
  readonly gaps: readonly BridgedGap[];
  readonly capital: Capital;
}

export interface Performance {
  readonly coverage: Coverage;
  /** The whole record: null over a gap, with what the gaps changed beside it. */
  readonly linked: LinkedReturn;
  /** With what the value changed over each. */
  readonly gaps: readonly BridgedGap[];
  /** No part of any other figure; null without such hours. */
  readonly rebuilt: Rebuilt | null;
  readonly capital: Capital;
  readonly moneyWeighted: MoneyWeighted;
  readonly hourly: RiskMetrics;
  /** Of whole days of UTC. */
  readonly daily: RiskMetrics;
  readonly days: readonly CalendarReturn[];
  readonly totals: Totals;
  readonly markets: readonly MarketPerformance[];
  /** One for each hour that has figures, from the first that was seen, without the empty ones at both ends. */
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
function pointsOf(hours: readonly HourFigures[], isSeen: boolean): readonly ReturnPoint[] {
  return hours.map((hour, at) => {
    const point = hourPoint(hour);
    const isRebuilt = isSeen && hour.rebuilt;
    if (point.ratio === null || !(isRebuilt || isJump(hours[at - 1], hour))) return point;
    const { startMs, endMs } = point;
    const reason = isRebuilt ? 'rebuilt' : VALUE_JUMP;
    return { startMs, endMs, ratio: null, method: null, reason };
  });
}

function rebuiltOf(all: readonly HourFigures[]): Rebuilt | null {
  const hours = withCapital(all);
  if (hours.length === 0) return null;
  const { points, gaps } = bridge(hours, pointsOf(hours, false));
  return { linked: linkReturns(points), gaps, capital: capitalOf(hours) };
}

function coverageOf(
  all: readonly HourFigures[],
  hours: readonly HourFigures[],
  points: readonly ReturnPoint[],
): Coverage {
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
    rebuilt: all.filter(({ rebuilt }) => rebuilt).length,
    polls: hours.reduce((sum, { polls }) => sum + polls, 0),
  };
}

/** Days as points of a series: those that the record covers from their first to their last hour. */
function wholeDays(days: readonly CalendarReturn[]): readonly ReturnPoint[] {
  return days
    .filter(({ whole }) => whole)
    .map(({ startMs, endMs, ratio, bridged, method, gaps }) => {
      if (ratio !== null) return { startMs, endMs, ratio, method, reason: null };
      return { startMs, endMs, ratio, bridged, method: null, reason: firstReason(gaps) };
    });
}

function firstReason(gaps: LinkedReturn['gaps']): ReturnPoint['reason'] {
  const reason = gaps[0]?.reason ?? 'incomplete';
  return reason === 'missing' ? 'incomplete' : reason;
}

/** A market has no return where the account has none. */
function marketsOf(
  hours: readonly HourFigures[],
  account: readonly ReturnPoint[],
): readonly MarketPerformance[] {
  const reasons = new Map(account.map(({ startMs, reason }) => [startMs, reason] as const));
  return marketReturns(hours).map(({ market, points: own }) => {
    const points = own.map((point): ReturnPoint => {
      const reason = reasons.get(point.startMs) ?? point.reason;
      const { startMs, endMs } = point;
      return reason === null ? point : { startMs, endMs, ratio: null, method: null, reason };
    });
    return {
      market,
      linked: linkReturns(points),
      hourly: riskMetrics(points, CONVENTIONS.hourly),
      daily: riskMetrics(wholeDays(dailyReturns(points)), CONVENTIONS.daily),
    };
  });
}

/** `all` in the order of time, one for an hour: of a corrected hour the last one. Throws a RangeError otherwise, which is a bug. */
export function performanceOf(all: readonly HourFigures[]): Performance {
  const firstSeen = all.findIndex(({ rebuilt }) => !rebuilt);
  const seen = firstSeen < 0 ? all.length : firstSeen;
  const hours = withCapital(all.slice(seen));
  const { points, gaps } = bridge(hours, pointsOf(hours, true));
  const days = dailyReturns(points);
  return {
    coverage: coverageOf(all, hours, points),
    linked: linkReturns(points),
    gaps,
    rebuilt: rebuiltOf(all.slice(0, seen)),
    capital: capitalOf(hours),
    moneyWeighted: moneyWeighted(hours),
    hourly: riskMetrics(points, CONVENTIONS.hourly),
    daily: riskMetrics(wholeDays(days), CONVENTIONS.daily),
    days,
    totals: totalsOf(hours),
    markets: marketsOf(hours, points),
    points,
  };
}
