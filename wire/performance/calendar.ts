// Periods of a calendar, days of UTC above all: the first and the last of a record are usually not whole, and a part of a
// day is no daily return.

import type { LinkedReturn, ReturnPoint } from './link.ts';
import { linkReturns } from './link.ts';

export const DAY_MS = 86_400_000;

export interface CalendarReturn extends LinkedReturn {
  /** The record covers the period from its first to its last moment; otherwise it began or ended in it. */
  readonly whole: boolean;
}

/** Start of the day of UTC. */
function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}

export function calendarReturns(
  points: readonly ReturnPoint[],
  startOf: (ms: number) => number,
  nextOf: (startMs: number) => number,
): readonly CalendarReturn[] {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined) return [];
  const groups = Map.groupBy(points, ({ startMs }) => startOf(startMs));
  const periods: CalendarReturn[] = [];
  // A period without any record has an entry too: it is a gap.
  for (let at = startOf(first.startMs); at < last.endMs; at = nextOf(at)) {
    const fromMs = Math.max(at, first.startMs);
    const toMs = Math.min(nextOf(at), last.endMs);
    const whole = fromMs === at && toMs === nextOf(at);
    periods.push({ ...linkReturns(groups.get(at) ?? [], fromMs, toMs), whole });
  }
  return periods;
}

/** From hours; hours do not cross midnight. */
export function dailyReturns(hours: readonly ReturnPoint[]): readonly CalendarReturn[] {
  return calendarReturns(hours, dayOf, (startMs) => startMs + DAY_MS);
}
