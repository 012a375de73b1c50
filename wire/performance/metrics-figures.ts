// A performance as the named figures of a metrics statement (wire/track/metrics.ts), and back to nothing: the verifier
// makes the same list from the signed hours and compares texts. Each null has a reason beside it; conventions are part
// of the list, so that no figure travels without its own.

import type { Fixed } from '../fixed.ts';
import { formatFixed } from '../fixed.ts';
import type { MetricsGap, MetricValue } from '../track/metrics.ts';
import { MAX_METRICS_GAPS } from '../track/metrics.ts';
import type { Capital } from './capital.ts';
import type { Conventions } from './conventions.ts';
import type { LinkedReturn } from './link.ts';
import type { MarketPerformance, Performance } from './performance.ts';
import type { RiskMetrics, Statistic } from './risk.ts';

export interface MetricsFigures {
  readonly figures: ReadonlyMap<string, MetricValue>;
  /** Of each figure that is null. */
  readonly reasons: ReadonlyMap<string, string>;
  readonly conventions: ReadonlyMap<string, string>;
  /** The first of them; figure `gaps` counts all. */
  readonly gaps: readonly MetricsGap[];
}

const STATISTICS = [
  'mean',
  'volatility',
  'downside_deviation',
  'sharpe',
  'sortino',
  'annual_return',
  'annual_return_bridged',
  'calmar',
  'win_rate',
  'profit_factor',
] as const satisfies readonly (keyof RiskMetrics)[];

class Named {
  readonly figures = new Map<string, MetricValue>();
  readonly reasons = new Map<string, string>();

  put(name: string, value: MetricValue, reason: string | null): void {
    this.figures.set(name, value);
    if (value === null) this.reasons.set(name, reason ?? 'unknown');
  }

  money(name: string, value: Fixed | null, reason = 'no_value'): void {
    this.put(name, value === null ? null : formatFixed(value), reason);
  }

  statistic(name: string, { value, reason }: Statistic): void {
    this.put(name, value, reason);
  }

  linked(name: string, { ratio, bridged, observed, gaps }: LinkedReturn): void {
    this.put(name, ratio, gaps[0]?.reason ?? 'no_returns');
    this.put(`${name}_bridged`, bridged, gaps.length > 0 ? 'gaps' : 'no_returns');
    this.put(`${name}_observed`, observed, 'no_returns');
  }

  capital(prefix: string, capital: Capital): void {
    this.money(`${prefix}gain`, capital.gain);
    this.money(`${prefix}capital_lowest`, capital.lowest);
    this.money(`${prefix}capital_mean`, capital.mean);
    this.money(`${prefix}capital_highest`, capital.highest);
    this.put(`${prefix}capital_hours`, capital.hours, null);
    this.put(`${prefix}capital_small_hours`, capital.smallHours, null);
    this.put(`${prefix}capital_small_share`, capital.smallShare, 'no_value');
  }

  risk(prefix: string, metrics: RiskMetrics): void {
    this.put(`${prefix}.sample`, metrics.sample, null);
    this.put(`${prefix}.bridged`, metrics.bridged, null);
    this.put(`${prefix}.gaps`, metrics.gaps, null);
    for (const name of STATISTICS) this.statistic(`${prefix}.${name}`, metrics[name]);
    const fall = metrics.maximum_drawdown;
    const none = metrics.sample === 0 ? 'below_minimum' : 'no_drawdown';
    this.put(`${prefix}.drawdown`, fall?.depth ?? null, none);
    this.put(`${prefix}.drawdown_peak_ms`, fall?.peakMs ?? null, none);
    this.put(`${prefix}.drawdown_trough_ms`, fall?.troughMs ?? null, none);
    const open = fall === null ? none : 'not_recovered';
    this.put(`${prefix}.drawdown_recovery_ms`, fall?.recoveryMs ?? null, open);
    this.put(`${prefix}.worst`, metrics.worst?.ratio ?? null, 'below_minimum');
    this.put(`${prefix}.worst_end_ms`, metrics.worst?.endMs ?? null, 'below_minimum');
  }

  market({ market, linked, hourly, daily }: MarketPerformance): void {
    this.linked(`${market}.return`, linked);
    this.risk(`${market}.hourly`, hourly);
    this.risk(`${market}.daily`, daily);
  }
}

const MONEY = [
  'equityStart',
  'equityEnd',
  'unrealisedEnd',
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

const SUMS = ['volume', 'fees', 'funding', 'realised', 'income', 'equity', 'unrealised'] as const;

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
}

function conventionsOf(
  prefix: string,
  conventions: Conventions,
): readonly (readonly [string, string])[] {
  const { minimum_periods: minimum, ...named } = conventions;
  return [...Object.entries(named), ...Object.entries(minimum).map(minimumOf)].map(
    ([name, value]) => [`${prefix}.${name}`, String(value)],
  );
}

function minimumOf([name, value]: readonly [string, number]): readonly [string, number] {
  return [`minimum_${name}`, value];
}

export function metricsFigures(performance: Performance): MetricsFigures {
  const { coverage, linked, moneyWeighted, hourly, daily, totals, markets } = performance;
  const { gaps, capital, rebuilt } = performance;
  const named = new Named();
  named.linked('return', linked);
  named.capital('', capital);
  if (rebuilt !== null) {
    named.linked('rebuilt.return', rebuilt.linked);
    named.put('rebuilt.start_ms', rebuilt.linked.startMs, null);
    named.put('rebuilt.end_ms', rebuilt.linked.endMs, null);
    named.capital('rebuilt.', rebuilt.capital);
  }
  const isSeen = coverage.recorded > 0;
  named.put('start_ms', isSeen ? coverage.startMs : null, 'no_returns');
  named.put('end_ms', isSeen ? coverage.endMs : null, 'no_returns');
  named.put('xirr', moneyWeighted.annual, moneyWeighted.reason);
  named.put('xirr_period', moneyWeighted.period, moneyWeighted.reason);
  named.risk('hourly', hourly);
  named.risk('daily', daily);
  named.put('hours', coverage.hours, null);
  named.put('hours_recorded', coverage.recorded, null);
  named.put('hours_with_return', coverage.returns, null);
  named.put('hours_incomplete', coverage.incomplete, null);
  named.put('hours_rebuilt', coverage.rebuilt, null);
  named.put('polls', coverage.polls, null);
  named.put('gaps', gaps.length, null);
  named.put('gaps_unknown', gaps.filter(({ change }) => change === null).length, null);
  for (const name of MONEY) named.money(snake(name), totals[name]);
  named.put('trades', totals.trades, null);
  named.money('residual', totals.residual.sum, 'not_compared');
  named.money('residual_absolute', totals.residual.absolute, 'not_compared');
  named.put('hours_reconciled', totals.residual.reconciled, null);
  named.put('hours_beyond_tolerance', totals.residual.beyond, null);
  named.put('hours_not_reconciled', totals.residual.unknown, null);
  for (const own of totals.byMarket) {
    named.put(`${own.market}.trades`, own.trades, null);
    for (const name of SUMS) named.money(`${own.market}.${name}`, own[name]);
  }
  for (const market of markets) named.market(market);
  return {
    figures: named.figures,
    reasons: named.reasons,
    conventions: new Map([
      ...conventionsOf('hourly', hourly.conventions),
      ...conventionsOf('daily', daily.conventions),
      ['returns', 'time-weighted, valued at each flow; modified Dietz where that value is missing'],
      [
        'xirr',
        'actual days / 365, all rates above -100 %; null when there is none or more than one, or below a year',
      ],
      ['fees', 'net of trading fees and funding; gross figures are not given'],
      ['return', 'null with gaps; _observed: without them, never to be shown without _bridged'],
      ['bridged', 'change over each gap by its values before and behind, modified Dietz'],
      ['drawdown', 'over gaps by their change; a lower bound where gaps_unknown is not 0'],
      ['rebuilt', 'hours from before the enclave saw the account: in no other figure'],
      [
        'capital',
        'value at the start of an hour; lowest and small: or what a flow left; small: below a tenth of the mean',
      ],
    ]),
    gaps: gaps.slice(0, MAX_METRICS_GAPS).map(({ unknown: _unknown, ...gap }) => gap),
  };
}
