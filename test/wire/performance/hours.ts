// Hours of an account for tests: what is not named is an hour in which nothing happened.

import type { Fixed } from '../../../wire/fixed.ts';
import { toleranceOf } from '../../../wire/performance/tolerance.ts';
import type { HourFigures, MarketFigures } from '../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../wire/track/figures.ts';
import { money } from './golden.ts';

export { HOUR_MS };

/** 2026-01-01T00:00Z. */
export const START_MS: number = Date.UTC(2026, 0, 1);

/** All of it is of spot, as a ledger says of an account that has nothing else. */
function spotOf(figures: Omit<HourFigures, 'byMarket'>): MarketFigures {
  const { trades, volume, fees, funding, realised, income } = figures;
  const { equityEnd: equity, unrealisedEnd: unrealised } = figures;
  const sums = { trades, volume, fees, funding, realised, income, equity, unrealised };
  return { market: 'spot', outlay: 0n, ...sums };
}

export function hour(at: number, figures: Partial<HourFigures> = {}): HourFigures {
  const { equityStart = money(1000), equityEnd = money(1000) } = figures;
  const made = {
    startMs: START_MS + at * HOUR_MS,
    equityStart,
    equityEnd,
    unrealisedEnd: 0n,
    inflow: 0n,
    outflow: 0n,
    flows: [],
    realised: 0n,
    realisedAverage: 0n,
    unrealisedChange: 0n,
    funding: 0n,
    fees: 0n,
    income: 0n,
    residual: 0n,
    tolerance: toleranceOf(equityStart, equityEnd, 0n),
    status: 'reconciled',
    trades: 0,
    volume: 0n,
    prices: [],
    pricesDigest: new Uint8Array(32),
    polls: 12,
    complete: true,
    gaps: [],
    rebuilt: false,
    ...figures,
  } as const;
  return { byMarket: [spotOf(made)], ...made };
}

/** Another hour with the same figures but those that are named; a row of spot alone goes with them. */
export function changed(one: HourFigures, figures: Partial<HourFigures>): HourFigures {
  const made = { ...one, ...figures };
  const isSpot = one.byMarket.length === 1 && one.byMarket[0]?.market === 'spot';
  return { ...made, byMarket: figures.byMarket ?? (isSpot ? [spotOf(made)] : one.byMarket) };
}

/** An hour in which nobody saw the account. */
export function blindHour(at: number): HourFigures {
  const unknown = { equityStart: null, equityEnd: null, inflow: null, outflow: null };
  return hour(at, {
    ...unknown,
    residual: null,
    tolerance: 0n,
    status: 'unknown',
    complete: false,
    polls: 0,
    gaps: ['not_completed', 'poll_missed'],
    byMarket: [],
  });
}

export interface Move {
  /** Gain of the hour, of what is there after the flow. */
  readonly gain: Fixed;
  /** In (+) or out (−), at the middle of the hour. */
  readonly flow: Fixed;
  /** What was gained before the flow. */
  readonly before: Fixed;
  readonly valued: boolean;
}

/** Consecutive hours from 1,000, by what happens in each. */
export function record(moves: readonly Move[], from: Fixed = money(1000)): readonly HourFigures[] {
  let equity = from;
  return moves.map(({ gain, flow, before, valued }, at) => {
    const equityStart = equity;
    const atFlow = equityStart + before;
    equity = atFlow + flow + gain;
    const flows = [
      {
        atMs: START_MS + at * HOUR_MS + HOUR_MS / 2,
        amount: flow,
        equityBefore: valued ? atFlow : null,
        reference: null,
      },
    ];
    return hour(at, {
      equityStart,
      equityEnd: equity,
      inflow: flow > 0n ? flow : 0n,
      outflow: flow < 0n ? -flow : 0n,
      flows: flow === 0n ? [] : flows,
      realised: gain + before,
      realisedAverage: gain + before,
    });
  });
}
