// Risk figures over a series of returns, by conventions that are part of the answer. Periods without a return are left
// out of the sample and counted; below a minimum sample a figure is null and says why. Everything is computed from the
// texts of the returns, so that whoever has the signed hours gets the same figures.

import type { Conventions } from './conventions.ts';
import type { Drawdown } from './drawdown.ts';
import { maximumDrawdown } from './drawdown.ts';
import type { ReturnPoint } from './link.ts';
import { gapsOf, GrowthIndex } from './link.ts';
import { formatStatistic, NIL, ONE, Ratio, ratioOf, sumOf } from './ratio.ts';

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
  /** Not a figure that can be written with 40 digits. */
  | 'too_large';

export interface Statistic {
  /** 12 digits after the point. */
  readonly value: string | null;
  readonly reason: StatisticReason | null;
}

export interface RiskMetrics {
  readonly conventions: Conventions;
  /** Returns in the sample. */
  readonly sample: number;
  /** Periods that are not in it. */
  readonly gaps: number;
  readonly mean: Statistic;
  readonly volatility: Statistic;
  readonly downside_deviation: Statistic;
  readonly sharpe: Statistic;
  readonly sortino: Statistic;
  readonly annual_return: Statistic;
  readonly calmar: Statistic;
  /** With gaps a lower bound; null without a fall. */
  readonly maximum_drawdown: Drawdown | null;
  readonly win_rate: Statistic;
  readonly profit_factor: Statistic;
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

function atLeast(minimum: number, sample: readonly Ratio[], make: () => Computed): Computed {
  return sample.length < Math.max(minimum, 1) ? 'below_minimum' : make();
}

/** Not annualised; N − 1. */
function standardDeviation(sample: readonly Ratio[]): Ratio {
  const mean = sumOf(sample).div(sample.length);
  const squares = sumOf(sample.map((value) => value.minus(mean).pow(2)));
  return squares.div(sample.length - 1).sqrt();
}

/** Not annualised; over all N. */
function downsideDeviation(sample: readonly Ratio[]): Ratio {
  const squares = sumOf(sample.filter((value) => value.lt(NIL)).map((value) => value.pow(2)));
  return squares.div(sample.length).sqrt();
}

function annualReturn(points: readonly ReturnPoint[], sample: number, perYear: number): Computed {
  const index = new GrowthIndex();
  for (const { ratio } of points) if (ratio !== null) index.apply(ratio);
  if (index.value.lte(NIL)) return 'wiped_out';
  return index.value.pow(new Ratio(perYear).div(sample)).minus(1);
}

/** `points` in the order of time, all of one length. */
export function riskMetrics(points: readonly ReturnPoint[], conventions: Conventions): RiskMetrics {
  const { periods_per_year: perYear, minimum_periods: minimum } = conventions;
  const sample = points.flatMap(({ ratio }) => (ratio === null ? [] : [ratioOf(ratio)]));
  const length = points[0] === undefined ? 1 : points[0].endMs - points[0].startMs;
  const gaps = gapsOf(points, points[0]?.startMs ?? 0, points.at(-1)?.endMs ?? 0);
  const missing = gaps.reduce(
    (sum, { fromMs, toMs }) => sum + Math.ceil((toMs - fromMs) / length),
    0,
  );
  const root = new Ratio(perYear).sqrt();
  const dispersion = (make: () => Computed): Computed =>
    atLeast(Math.max(minimum.dispersion, 2), sample, make);

  const mean = dispersion(() => sumOf(sample).div(sample.length));
  const deviation = dispersion(() => standardDeviation(sample));
  const downside = dispersion(() => downsideDeviation(sample));
  const annual = atLeast(minimum.annual, sample, () =>
    missing > 0 ? 'gaps' : annualReturn(points, sample.length, perYear),
  );
  const drawdown = maximumDrawdown(points);
  const wins = sample.filter((value) => value.gt(NIL));
  const losses = sample.filter((value) => value.lt(NIL));
  const times = (computed: Computed): Computed =>
    typeof computed === 'string' ? computed : computed.times(root);
  return {
    conventions,
    sample: sample.length,
    gaps: missing,
    mean: statistic(mean),
    volatility: statistic(times(deviation)),
    downside_deviation: statistic(times(downside)),
    sharpe: statistic(times(over(mean, deviation, 'no_variance'))),
    sortino: statistic(times(over(mean, downside, 'no_shortfall'))),
    annual_return: statistic(annual),
    calmar: statistic(
      over(annual, drawdown === null ? NIL : ratioOf(drawdown.depth), 'no_drawdown'),
    ),
    maximum_drawdown: drawdown,
    win_rate: statistic(
      atLeast(minimum.counts, sample, () =>
        over(ONE.times(wins.length), ONE.times(wins.length + losses.length), 'no_moves'),
      ),
    ),
    profit_factor: statistic(
      atLeast(minimum.counts, sample, () =>
        over(
          sumOf(wins),
          sumOf(losses).abs(),
          losses.length + wins.length === 0 ? 'no_moves' : 'no_losses',
        ),
      ),
    ),
  };
}
