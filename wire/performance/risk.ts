// Risk figures over a series of returns, by conventions that are part of the answer. Over a gap the last period stands for
// what the value changed, and those before it for nothing, so that a bad hour does not leave the sample with a gap; periods
// of which that is not known are left out and counted. Below a minimum sample a figure is null and says why. Everything is computed from the
// texts of the returns, so that whoever has the signed hours gets the same figures.

import type { Fixed } from '../fixed.ts';
import { FIXED_ONE } from '../fixed.ts';
import type { Conventions } from './conventions.ts';
import type { Drawdown } from './drawdown.ts';
import { maximumDrawdown } from './drawdown.ts';
import type { ReturnPoint } from './link.ts';
import { gapsOf, GrowthIndex, INDEX_ONE, stepOf } from './link.ts';
import { formatStatistic, NIL, quotient, Ratio, ratioOf, ratioUnits } from './ratio.ts';

export type StatisticReason =
  /** Fewer returns than the conventions ask for. */
  | 'below_minimum'
  /** All returns are equal. */
  | 'no_variance'
  /** No return below the minimum acceptable one. */
  | 'no_shortfall'
  /** The index never fell. */
  | 'no_drawdown'
  /** No return below zero; or none other than zero. */
  | 'no_losses'
  | 'no_moves'
  /** A part of the period is not known, and the figure is about all of it. */
  | 'gaps'
  /** Nothing was left at the end. */
  | 'wiped_out'
  /** Not a figure that can be written with 30 digits. */
  | 'too_large';

export interface Statistic {
  /** 12 digits after the point. */
  readonly value: string | null;
  readonly reason: StatisticReason | null;
}

export interface RiskMetrics {
  readonly conventions: Conventions;
  /** Returns in the sample, `bridged` among them. */
  readonly sample: number;
  /** Periods of gaps whose change is known; they count for no minimum. */
  readonly bridged: number;
  /** Periods that are not in the sample. */
  readonly gaps: number;
  readonly mean: Statistic;
  readonly volatility: Statistic;
  readonly downside_deviation: Statistic;
  readonly sharpe: Statistic;
  readonly sortino: Statistic;
  /** Null with gaps. */
  readonly annual_return: Statistic;
  /** The same over gaps whose change is known. */
  readonly annual_return_bridged: Statistic;
  readonly calmar: Statistic;
  /** A lower bound where `gaps` is not 0; null without a fall. */
  readonly maximum_drawdown: Drawdown | null;
  /** The lowest return of the sample, of equals the first. */
  readonly worst: Worst | null;
  readonly win_rate: Statistic;
  readonly profit_factor: Statistic;
}

export interface Worst {
  readonly ratio: string;
  readonly endMs: number;
}

type Computed = Ratio | StatisticReason;

function statistic(computed: Computed): Statistic {
  if (typeof computed === 'string') return { value: null, reason: computed };
  const value = formatStatistic(computed);
  return value === null ? { value, reason: 'too_large' } : { value, reason: null };
}

/** `over`: the quotient of two computed figures, with the reason of the first that is none. */
function over(dividend: Computed, divisor: Computed, whenZero: StatisticReason): Computed {
  if (typeof dividend === 'string') return dividend;
  if (typeof divisor === 'string') return divisor;
  return divisor.isZero() ? whenZero : dividend.div(divisor);
}

/** Sums over the sample in units of 10^-18, exact. */
interface Sums {
  readonly count: number;
  readonly bridged: number;
  readonly sum: Fixed;
  /** In units of 10^-36. */
  readonly squares: bigint;
  readonly shortfallSquares: bigint;
  readonly wins: number;
  readonly losses: number;
  readonly won: Fixed;
  /** Without its sign. */
  readonly lost: Fixed;
  readonly worst: Worst | null;
}

function sumsOf(points: readonly ReturnPoint[]): Sums {
  let [count, bridged, wins, losses] = [0, 0, 0, 0];
  let [worst, lowest]: [Worst | null, Fixed] = [null, 0n];
  let [sum, squares, shortfallSquares, won, lost] = [0n, 0n, 0n, 0n, 0n];
  for (const point of points) {
    const ratio = stepOf(point);
    if (ratio === null) continue;
    const value = ratioUnits(ratio);
    const square = value * value;
    count++;
    if (point.ratio === null) bridged++;
    if (worst === null || value < lowest) {
      [worst, lowest] = [{ ratio, endMs: point.endMs }, value];
    }
    sum += value;
    squares += square;
    if (value > 0n) {
      wins++;
      won += value;
    } else if (value < 0n) {
      losses++;
      lost -= value;
      shortfallSquares += square;
    }
  }
  return { count, bridged, sum, squares, shortfallSquares, wins, losses, won, lost, worst };
}

function atLeast(minimum: number, { count, bridged }: Sums, make: () => Computed): Computed {
  return count - bridged < Math.max(minimum, 1) ? 'below_minimum' : make();
}

/** Not annualised; N − 1: sqrt((N·Σx² − (Σx)²) / (N·(N − 1))). */
function standardDeviation({ count, sum, squares }: Sums): Ratio {
  const n = BigInt(count);
  const variance = quotient(n * squares - sum * sum, n * (n - 1n) * FIXED_ONE * FIXED_ONE);
  return variance.sqrt();
}

/** Not annualised; over all N. */
function downsideDeviation({ count, shortfallSquares }: Sums): Ratio {
  return quotient(shortfallSquares, BigInt(count) * FIXED_ONE * FIXED_ONE).sqrt();
}

function annualReturn(points: readonly ReturnPoint[], sample: number, perYear: number): Computed {
  const index = new GrowthIndex();
  for (const point of points) index.apply(stepOf(point) ?? '0');
  if (index.value <= 0n) return 'wiped_out';
  return quotient(index.value, INDEX_ONE).pow(new Ratio(perYear).div(sample)).minus(1);
}

function profitFactor(won: Fixed, lost: Fixed): Computed {
  if (lost > 0n) return quotient(won, lost);
  return won === 0n ? 'no_moves' : 'no_losses';
}

/** `points` in the order of time, all of one length. */
export function riskMetrics(points: readonly ReturnPoint[], conventions: Conventions): RiskMetrics {
  const { periods_per_year: perYear, minimum_periods: minimum } = conventions;
  const sample = sumsOf(points);
  const length = points[0] === undefined ? 1 : points[0].endMs - points[0].startMs;
  const gaps = gapsOf(points, points[0]?.startMs ?? 0, points.at(-1)?.endMs ?? 0);
  const unreturned = gaps.reduce(
    (sum, { fromMs, toMs }) => sum + Math.ceil((toMs - fromMs) / length),
    0,
  );
  const missing = unreturned - sample.bridged;
  const root = new Ratio(perYear).sqrt();
  const dispersion = (make: () => Computed): Computed =>
    atLeast(Math.max(minimum.dispersion, 2), sample, make);

  const mean = dispersion(() => quotient(sample.sum, BigInt(sample.count) * FIXED_ONE));
  const deviation = dispersion(() => standardDeviation(sample));
  const downside = dispersion(() => downsideDeviation(sample));
  const annual = atLeast(minimum.annual, sample, () =>
    missing > 0 ? 'gaps' : annualReturn(points, sample.count, perYear),
  );
  const drawdown = maximumDrawdown(points);
  const { wins, losses, won, lost } = sample;
  const times = (computed: Computed): Computed =>
    typeof computed === 'string' ? computed : computed.times(root);
  return {
    conventions,
    sample: sample.count,
    bridged: sample.bridged,
    gaps: missing,
    mean: statistic(mean),
    volatility: statistic(times(deviation)),
    downside_deviation: statistic(times(downside)),
    sharpe: statistic(times(over(mean, deviation, 'no_variance'))),
    sortino: statistic(times(over(mean, downside, 'no_shortfall'))),
    annual_return: statistic(sample.bridged > 0 && typeof annual !== 'string' ? 'gaps' : annual),
    annual_return_bridged: statistic(annual),
    calmar: statistic(
      over(annual, drawdown === null ? NIL : ratioOf(drawdown.depth), 'no_drawdown'),
    ),
    maximum_drawdown: drawdown,
    worst: sample.worst,
    win_rate: statistic(
      atLeast(minimum.counts, sample, () =>
        wins + losses === 0 ? 'no_moves' : quotient(BigInt(wins), BigInt(wins + losses)),
      ),
    ),
    profit_factor: statistic(atLeast(minimum.counts, sample, () => profitFactor(won, lost))),
  };
}
