// Sums of hours: money, exact. A sum is null as soon as one of its parts is not known, and a missing hour makes every
// sum about the hours that are there only; the record's gaps say so.

import type { Fixed } from '../fixed.ts';
import { absolute } from '../fixed.ts';
import type { FigureMarket, HourFigures, MarketFigures } from '../track/figures.ts';
import { FIGURE_MARKETS } from '../track/figures.ts';

const SUMMED = [
  'inflow',
  'outflow',
  'realised',
  'realisedAverage',
  'unrealisedChange',
  'funding',
  'fees',
  'income',
  'volume',
] as const;
type Summed = (typeof SUMMED)[number];

export interface MarketTotals extends MarketFigures {
  /** Hours in which it had something. */
  readonly hours: number;
}

export interface Totals extends Readonly<Record<Summed, Fixed | null>> {
  readonly equityStart: Fixed | null;
  readonly equityEnd: Fixed | null;
  readonly unrealisedEnd: Fixed | null;
  readonly trades: number;
  readonly residual: ResidualTotals;
  /** In the order of FIGURE_MARKETS. */
  readonly byMarket: readonly MarketTotals[];
}

export interface ResidualTotals {
  /** Over the hours where it is known; null when that is none. */
  readonly sum: Fixed | null;
  /** Without signs, so that two errors cannot hide each other. */
  readonly absolute: Fixed | null;
  readonly reconciled: number;
  readonly beyond: number;
  readonly unknown: number;
}

function addAll(values: readonly (Fixed | null)[]): Fixed | null {
  let sum = 0n;
  for (const value of values) {
    if (value === null) return null;
    sum += value;
  }
  return sum;
}

/** Null where no hour has it. */
export function marketTotals(
  market: FigureMarket,
  hours: readonly Pick<HourFigures, 'byMarket'>[],
): MarketTotals | null {
  const own = hours.flatMap(({ byMarket }) => byMarket.filter((one) => one.market === market));
  if (own.length === 0) return null;
  const last = hours.at(-1)?.byMarket.find((one) => one.market === market);
  return {
    market,
    hours: own.length,
    trades: own.reduce((sum, { trades }) => sum + trades, 0),
    volume: addAll(own.map(({ volume }) => volume)),
    fees: addAll(own.map(({ fees }) => fees)),
    funding: addAll(own.map(({ funding }) => funding)),
    realised: addAll(own.map(({ realised }) => realised)),
    // Nothing is left of a market that the last hour does not have.
    equity: last === undefined ? 0n : last.equity,
    unrealised: last === undefined ? 0n : last.unrealised,
    outlay: addAll(own.map(({ outlay }) => outlay)),
    income: addAll(own.map(({ income }) => income)),
  };
}

/** `hours` in the order of time. */
export function totalsOf(hours: readonly HourFigures[]): Totals {
  const residuals = hours.flatMap(({ residual }) => (residual === null ? [] : [residual]));
  const isKnown = residuals.length > 0;
  const count = (status: HourFigures['status']): number =>
    hours.filter((hour) => hour.status === status).length;
  const sums = Object.fromEntries(
    SUMMED.map((name) => [name, addAll(hours.map((hour) => hour[name]))]),
  ) as Record<Summed, Fixed | null>;
  return {
    ...sums,
    equityStart: hours[0]?.equityStart ?? null,
    equityEnd: hours.at(-1)?.equityEnd ?? null,
    unrealisedEnd: hours.at(-1)?.unrealisedEnd ?? null,
    trades: hours.reduce((sum, { trades }) => sum + trades, 0),
    residual: {
      sum: isKnown ? residuals.reduce((sum, value) => sum + value, 0n) : null,
      absolute: isKnown ? residuals.reduce((sum, value) => sum + absolute(value), 0n) : null,
      reconciled: count('reconciled'),
      beyond: count('beyond'),
      unknown: count('unknown'),
    },
    byMarket: FIGURE_MARKETS.flatMap((market) => marketTotals(market, hours) ?? []),
  };
}
