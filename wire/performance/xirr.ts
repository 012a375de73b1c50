// The money-weighted rate of return: the annual rate at which the flows of an investor are worth nothing, actual days
// (with fractions) over 365. All rates above −100 % are searched; where there is none, or more than one, there is no answer
// and the reason is told: a solver that returns some root returns a choice of its own.

import { isolateRoots, narrow } from './real-roots.ts';
import type { Term } from './real-roots.ts';
import { formatStatistic, NIL, Ratio } from './ratio.ts';
import type { StatisticReason } from './risk.ts';

export const XIRR_YEAR_MS: number = 365 * 86_400_000;
export const MAX_XIRR_FLOWS = 2000;
/** Newton from a root in double precision: two steps do. */
const MAX_STEPS = 12;
const ACCURACY: Ratio = new Ratio('1e-30');

/** Negative: paid in by the investor; positive: paid out, or still there at the end. */
export interface InvestorFlow {
  readonly atMs: number;
  readonly amount: bigint;
}

export type XirrReason =
  /** No rate makes the flows worth nothing. */
  | 'none'
  /** More than one does. */
  | 'several'
  /** Two rates too close to be told apart, or one that is touched and not crossed. */
  | 'undecided'
  | 'too_many_flows'
  | Extract<StatisticReason, 'too_large' | 'gaps' | 'below_minimum'>
  /** A value at the start or at the end, or of a flow, is not known. */
  | 'no_value';

export interface MoneyWeighted {
  /** A year, 12 digits after the point. */
  readonly annual: string | null;
  /** The same over the whole time from the first flow to the last. */
  readonly period: string | null;
  readonly reason: XirrReason | null;
}

export function noRate(reason: XirrReason): MoneyWeighted {
  return { annual: null, period: null, reason };
}

/** One flow an instant, in order, without those that cancel. */
function netFlows(flows: readonly InvestorFlow[]): readonly InvestorFlow[] {
  const sums = new Map<number, bigint>();
  for (const { atMs, amount } of flows) sums.set(atMs, (sums.get(atMs) ?? 0n) + amount);
  return [...sums]
    .filter(([, amount]) => amount !== 0n)
    .map(([atMs, amount]) => ({ atMs, amount }))
    .toSorted((a, b) => a.atMs - b.atMs);
}

interface Parts {
  readonly value: Ratio;
  /** −f' */
  readonly slope: Ratio;
}

function evaluate(net: readonly InvestorFlow[], s: Ratio): Parts {
  const startMs = net[0]?.atMs ?? 0;
  let [value, slope] = [NIL, NIL];
  for (const { atMs, amount } of net) {
    const years = new Ratio(atMs - startMs).div(XIRR_YEAR_MS);
    const part = s.times(years).neg().exp().times(amount.toString());
    value = value.plus(part);
    slope = slope.plus(part.times(years));
  }
  return { value, slope };
}

/** The root that double precision has found, to 30 digits; null when the decimals do not agree that it is one. */
function polish(net: readonly InvestorFlow[], start: number): Ratio | null {
  let s = new Ratio(start);
  for (let step = 0; step < MAX_STEPS; step++) {
    const { value, slope } = evaluate(net, s);
    if (slope.isZero()) return null;
    const move = value.div(slope);
    s = s.plus(move);
    if (move.abs().gt('1e-3')) return null;
    if (move.abs().lt(ACCURACY)) return s;
  }
  return null;
}

export function xirr(flows: readonly InvestorFlow[]): MoneyWeighted {
  const net = netFlows(flows);
  if (net.length > MAX_XIRR_FLOWS) return noRate('too_many_flows');
  const signs = new Set(net.map(({ amount }) => amount > 0n));
  if (signs.size < 2) return noRate('none');
  const startMs = net[0]?.atMs ?? 0;
  const terms: readonly Term[] = net.map(({ atMs, amount }) => ({
    t: (atMs - startMs) / XIRR_YEAR_MS,
    c: Number(amount),
  }));
  const roots = isolateRoots(terms);
  if (roots === null) return noRate('undecided');
  const [only, ...others] = roots;
  if (only === undefined) return noRate('none');
  if (others.length > 0) return noRate('several');
  const root = polish(net, narrow(terms, only));
  if (root === null) return noRate('undecided');
  const years = new Ratio((net.at(-1)?.atMs ?? startMs) - startMs).div(XIRR_YEAR_MS);
  const annual = formatStatistic(root.exp().minus(1));
  const period = formatStatistic(root.times(years).exp().minus(1));
  return { annual, period, reason: annual === null ? 'too_large' : null };
}
