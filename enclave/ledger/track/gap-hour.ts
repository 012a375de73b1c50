// Gaps that the ledger adds itself; an hour of which it knows nothing is stated all the same, with null for every figure.

import type { HourFigures } from '../../../wire/track/figures.ts';
import { MAX_FIGURES_GAPS } from '../../../wire/track/figures-codec.ts';

/** As many as a statement has room for, this one among them. */
export function gapsWith(gaps: readonly string[], code: string): readonly string[] {
  return [...new Set([code, ...gaps])].slice(0, MAX_FIGURES_GAPS).toSorted();
}

export function gapHour(startMs: number, polls: number, gaps: readonly string[]): HourFigures {
  return {
    startMs,
    equityStart: null,
    equityEnd: null,
    unrealisedEnd: null,
    inflow: null,
    outflow: null,
    flows: [],
    realised: null,
    realisedAverage: null,
    unrealisedChange: null,
    funding: null,
    fees: null,
    income: null,
    residual: null,
    tolerance: 0n,
    status: 'unknown',
    trades: 0,
    volume: null,
    byMarket: [],
    prices: [],
    pricesDigest: new Uint8Array(32),
    polls,
    complete: false,
    gaps: gaps.length === 0 ? ['not_known'] : gaps,
    rebuilt: false,
  };
}
