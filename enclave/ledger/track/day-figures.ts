// A snapshot at 00:00 UTC from the hours of the day before it. Sums are of what is known of every hour: one that is not
// known makes the sum unknown, and the reasons of all hours are those of the day.

import type { Fixed } from '../../../wire/fixed.ts';
import { marketTotals } from '../../../wire/performance/totals.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { FIGURE_MARKETS } from '../../../wire/track/figures.ts';
import { MAX_FIGURES_GAPS } from '../../../wire/track/figures-codec.ts';
import { DAY_MS, HOUR_MS } from '../../../wire/track/head.ts';
import type { SnapshotStatement } from '../../../wire/track/snapshot.ts';

/** What a day takes of an hour. */
export type DayHour = Pick<
  HourFigures,
  | 'startMs'
  | 'equityEnd'
  | 'unrealisedEnd'
  | 'inflow'
  | 'outflow'
  | 'byMarket'
  | 'complete'
  | 'gaps'
>;

export type DayFigures = Pick<
  SnapshotStatement,
  'equity' | 'balance' | 'unrealised' | 'deposits' | 'withdrawals' | 'byMarket' | 'gaps'
> & { readonly hours: number; readonly completeHours: number };

function sum(values: readonly (Fixed | null)[]): Fixed | null {
  let total = 0n;
  for (const value of values) {
    if (value === null) return null;
    total += value;
  }
  return total;
}

/** `all`: hours that are known, by start. Null unless the last hour of the day is among them. */
export function dayFigures(all: ReadonlyMap<number, DayHour>, atMs: number): DayFigures | null {
  const hours: DayHour[] = [];
  for (let startMs = atMs - DAY_MS; startMs < atMs; startMs += HOUR_MS) {
    const hour = all.get(startMs);
    if (hour !== undefined) hours.push(hour);
  }
  const last = hours.at(-1);
  if (last?.startMs !== atMs - HOUR_MS) return null;
  const { equityEnd: equity, unrealisedEnd: unrealised } = last;
  const gaps = new Set(hours.flatMap((hour) => hour.gaps));
  // The first day of a record is no whole one.
  if (hours.length < DAY_MS / HOUR_MS) gaps.add('first_day');
  const markets = FIGURE_MARKETS.map((market) => marketTotals(market, hours));
  return {
    equity,
    balance: equity === null || unrealised === null ? null : equity - unrealised,
    unrealised,
    deposits: sum(hours.map(({ inflow }) => inflow)),
    withdrawals: sum(hours.map(({ outflow }) => outflow)),
    byMarket: markets.filter((market) => market !== null),
    hours: hours.length,
    completeHours: hours.filter(({ complete }) => complete).length,
    gaps: [...gaps].toSorted().slice(0, MAX_FIGURES_GAPS),
  };
}
