import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONVENTIONS } from '../../../wire/performance/conventions.ts';
import { drawdowns } from '../../../wire/performance/drawdown.ts';
import type { ReturnPoint } from '../../../wire/performance/link.ts';
import { linkReturns } from '../../../wire/performance/link.ts';
import { formatRatio, Ratio, ratioOf } from '../../../wire/performance/ratio.ts';
import type { RiskMetrics } from '../../../wire/performance/risk.ts';
import { riskMetrics } from '../../../wire/performance/risk.ts';
import { ROOT } from '../../../scripts/bundle.ts';
import { goldenCase, numberOf } from './golden.ts';
import { otherConventions } from './other-conventions.ts';
import { series } from './series.ts';

const MONTHLY = otherConventions(12, 2);

/** `count` returns that go up and down. */
function wave(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => (at % 3 === 2 ? '-0.01' : '0.01'));
}

function reasons(metrics: RiskMetrics): Readonly<Record<string, string | null>> {
  return {
    volatility: metrics.volatility.reason,
    sharpe: metrics.sharpe.reason,
    sortino: metrics.sortino.reason,
    win_rate: metrics.win_rate.reason,
    calmar: metrics.calmar.reason,
  };
}

describe('minimum samples', () => {
  it.each([
    ['daily', 29, 'below_minimum', 'below_minimum'],
    ['daily', 30, null, null],
    ['daily', 31, null, null],
    ['hourly', 719, 'below_minimum', null],
    ['hourly', 720, null, null],
  ] as const)('%s, %i returns', (frequency, count, dispersion, counts) => {
    expect(reasons(riskMetrics(series(wave(count)), CONVENTIONS[frequency]))).toEqual({
      volatility: dispersion,
      sharpe: dispersion,
      sortino: dispersion,
      win_rate: counts,
      calmar: 'below_minimum',
    });
  });

  it.each([
    [23, 'below_minimum'],
    [24, null],
  ])('win rate and profit factor of %i hours', (count, reason) => {
    const metrics = riskMetrics(series(wave(count)), CONVENTIONS.hourly);
    expect([metrics.win_rate.reason, metrics.profit_factor.reason]).toEqual([reason, reason]);
  });

  it.each([
    [364, 'below_minimum'],
    [365, null],
    [366, null],
  ])('nothing is annualised over %i days', (count, reason) => {
    const metrics = riskMetrics(series(wave(count)), CONVENTIONS.daily);
    expect([metrics.annual_return.reason, metrics.calmar.reason]).toEqual([reason, reason]);
  });

  it('gaps do not count for the sample, are counted, and leave no annual return', () => {
    const returns = [...wave(365), null, null];
    const metrics = riskMetrics(series(returns), CONVENTIONS.daily);
    expect(metrics).toMatchObject({ sample: 365, gaps: 2, annual_return: { reason: 'gaps' } });
    const without = riskMetrics(series(wave(365)), CONVENTIONS.daily);
    expect(metrics.volatility).toEqual(without.volatility);
    expect(metrics.sharpe).toEqual(without.sharpe);
    // A hole is a gap as well as a period without a return.
    const points = series(wave(33)).filter((_, at) => at !== 7);
    expect(riskMetrics(points, CONVENTIONS.daily)).toMatchObject({ sample: 32, gaps: 1 });
  });
});

function of(returns: readonly string[]): RiskMetrics {
  return riskMetrics(series(returns), otherConventions(4, 2));
}

describe('what has no answer', () => {
  it('no returns', () => {
    const metrics = of([]);
    expect(metrics).toMatchObject({ sample: 0, gaps: 0, maximum_drawdown: null });
    expect(new Set(Object.values(reasons(metrics)))).toEqual(new Set(['below_minimum']));
  });

  it('returns that are all equal', () => {
    const metrics = of(['0.013', '0.013', '0.013']);
    expect(metrics.volatility).toEqual({ value: '0', reason: null });
    expect(metrics.sharpe).toEqual({ value: null, reason: 'no_variance' });
    expect(metrics.sortino).toEqual({ value: null, reason: 'no_shortfall' });
    expect(metrics.profit_factor).toEqual({ value: null, reason: 'no_losses' });
    expect(metrics.win_rate).toEqual({ value: '1', reason: null });
  });

  it('returns of zero', () => {
    const metrics = of(['0', '0', '0']);
    expect(metrics.win_rate).toEqual({ value: null, reason: 'no_moves' });
    expect(metrics.profit_factor).toEqual({ value: null, reason: 'no_moves' });
  });

  it('no fall in a year', () => {
    expect(of(['0.1', '0.1', '0', '0.1']).calmar).toEqual({ value: null, reason: 'no_drawdown' });
  });

  it('nothing left', () => {
    const metrics = of(['0.1', '0.1', '-1', '0.1']);
    expect(metrics.annual_return).toEqual({ value: null, reason: 'wiped_out' });
    expect(metrics.calmar).toEqual({ value: null, reason: 'wiped_out' });
    expect(metrics.maximum_drawdown?.depth).toBe('1');
  });
});

describe('figures', () => {
  const metrics = riskMetrics(series(['0.1', '-0.05', '0.02', '-0.01']), otherConventions(4, 2));

  it('are those of the definitions, worked out by hand', () => {
    // Mean 0.015; squares of differences: 0.007225 + 0.004225 + 0.000025 + 0.000625 = 0.0121.
    const deviation = new Ratio('0.0121').div(3).sqrt();
    expect(metrics.mean.value).toBe('0.015');
    expect(numberOf(metrics.volatility.value)).toBeCloseTo(deviation.times(2).toNumber(), 12);
    const sharpe = new Ratio('0.03').div(deviation).toNumber();
    expect(numberOf(metrics.sharpe.value)).toBeCloseTo(sharpe, 12);
    // Shortfalls over all four: (0.0025 + 0.0001) / 4.
    const downside = new Ratio('0.00065').sqrt();
    expect(numberOf(metrics.sortino.value)).toBeCloseTo(
      new Ratio('0.03').div(downside).toNumber(),
      12,
    );
    expect(metrics.win_rate.value).toBe('0.5');
    expect(metrics.profit_factor.value).toBe('2');
    // 1.1 · 0.95 · 1.02 · 0.99, a year; from 1.1 down to 1.045.
    expect(metrics.annual_return.value).toBe('0.055241');
    expect(metrics.maximum_drawdown?.depth).toBe('0.05');
  });

  it('bring their conventions', () => {
    expect(CONVENTIONS.hourly).toMatchObject({
      frequency: 'hourly',
      periods_per_year: 8760,
      ddof: 1,
    });
    expect(CONVENTIONS.daily).toMatchObject({ frequency: 'daily', periods_per_year: 365, ddof: 1 });
    expect(riskMetrics([], CONVENTIONS.daily).conventions).toBe(CONVENTIONS.daily);
  });

  it('of other returns of the same number are other figures: more variance is less Sharpe', () => {
    const calm = riskMetrics(series(['0.02', '0.01', '0.02', '0.01']), otherConventions(4, 2));
    expect(numberOf(calm.sharpe.value)).toBeGreaterThan(numberOf(metrics.sharpe.value));
  });
});

// Of another's licence: read where it is, never copied.
const MANAGERS = join(ROOT, '../shared/data/performance/PA_managers.csv');

interface Managers {
  readonly published: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly computed_full_precision: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly rf_examples: Readonly<Record<string, number>> & {
    readonly SP500_dd: readonly (readonly [string, string, string, number, ...number[]])[];
  };
}

interface Table {
  readonly days: readonly number[];
  readonly column: (name: string) => readonly (string | null)[];
}

function readTable(path: string): Table {
  const [head = '', ...lines] = readFileSync(path, 'utf8').trim().split(/\r?\n/u);
  const names = head.split(',');
  const rows = lines.map((line) => line.split(','));
  return {
    days: rows.map(([day = '']) => Date.parse(day)),
    column: (name) => rows.map((row) => row[names.indexOf(name)] || null),
  };
}

/** Months as the file has them: each point ends at the day of its row; a column begins where it has its first return. */
function monthsOf(table: Table, name: string): readonly ReturnPoint[] {
  const points = table.column(name).flatMap((ratio, at): readonly ReturnPoint[] => {
    const endMs = table.days[at] ?? 0;
    const startMs = table.days[at - 1] ?? endMs - 31 * 86_400_000;
    return ratio === null ? [] : [{ startMs, endMs, ratio, method: 'twr', reason: null }];
  });
  return points;
}

function less(
  points: readonly ReturnPoint[],
  riskFree: (at: number) => Ratio,
): readonly ReturnPoint[] {
  return points.map((point, at) => ({
    ...point,
    ratio: formatRatio(ratioOf(point.ratio ?? '').minus(riskFree(at))),
  }));
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

const hasManagers = existsSync(MANAGERS);
if (!hasManagers) console.log('skipped: ../shared/data/performance/PA_managers.csv is not here');

describe.skipIf(!hasManagers)(
  'monthly returns of six managers, as PerformanceAnalytics has them',
  () => {
    const golden = goldenCase('PerformanceAnalytics-managers') as unknown as Managers;
    const table = hasManagers ? readTable(MANAGERS) : { days: [], column: () => [] };

    it.each(['HAM1', 'HAM2', 'HAM3', 'HAM4', 'HAM5', 'HAM6'])('%s', (name) => {
      const points = monthsOf(table, name);
      const metrics = riskMetrics(points, MONTHLY);
      const ann = numberOf(metrics.annual_return.value);
      const found: Readonly<Record<string, number>> = {
        n: metrics.sample,
        cum: numberOf(linkReturns(points).observed),
        ann,
        sd: numberOf(metrics.volatility.value),
        // Their figure: geometric return over deviation. Ours is arithmetic, below.
        sharpe0: ann / numberOf(metrics.volatility.value),
        mdd: numberOf(metrics.maximum_drawdown?.depth ?? null),
        // A month's, not annualised.
        sortino: numberOf(metrics.sortino.value) / Math.sqrt(12),
        calmar: numberOf(metrics.calmar.value),
        ddev: numberOf(metrics.downside_deviation.value) / Math.sqrt(12),
      };
      for (const [figure, value] of Object.entries(golden.computed_full_precision[name] ?? {})) {
        expect(found[figure], figure).toBeCloseTo(value, 9);
      }
      // Published with four digits.
      for (const [figure, value] of Object.entries(golden.published[name] ?? {})) {
        expect(Math.abs((found[figure] ?? 0) - value), figure).toBeLessThan(1.01e-4);
      }
    });

    it('Sharpe ratios over a rate without risk: it is taken off each return before', () => {
      const { rf_examples: examples } = golden;
      const constant = new Ratio('0.035').div(12);
      const fixed = riskMetrics(
        less(monthsOf(table, 'HAM1'), () => constant),
        MONTHLY,
      );
      const annual = numberOf(fixed.sharpe.value);
      expect(annual).toBeCloseTo(examples['HAM1_annualised_sharpe_rf_3_5pct'] ?? 0, 9);
      expect(annual / Math.sqrt(12)).toBeCloseTo(examples['HAM1_sharpe_monthly_rf_3_5pct'] ?? 0, 9);
      const bills = table.column('US 3m TR');
      const above = less(monthsOf(table, 'HAM1'), (at) => ratioOf(bills[at] ?? '0'));
      const sharpe = numberOf(riskMetrics(above, MONTHLY).sharpe.value) / Math.sqrt(12);
      expect(sharpe).toBeCloseTo(examples['HAM1_sharpe_monthly_rf_US3mTR'] ?? 0, 9);
    });

    it('drawdowns of an index, with their dates', () => {
      const { rf_examples: examples } = golden;
      const points = monthsOf(table, 'SP500 TR');
      const deepest = drawdowns(points).toSorted((a, b) => Number(b.depth) - Number(a.depth));
      const metrics = riskMetrics(points, MONTHLY);
      expect(numberOf(metrics.maximum_drawdown?.depth ?? null)).toBeCloseTo(
        examples['SP500_maxdd'] ?? 0,
        4,
      );
      const found = deepest.slice(0, 2).map(({ depth, peakMs, troughMs, recoveryMs }) => {
        // Theirs begins with the first month below the peak, and counts that month.
        const [from, trough, to] = [peakMs, troughMs, recoveryMs].map((ms) =>
          table.days.indexOf(ms ?? 0),
        ) as [number, number, number];
        const fall = Math.round(-Number(depth) * 1e4) / 1e4;
        const [first, low, end] = [from + 1, trough, to].map((at) => dayOf(table.days[at] ?? 0));
        return [first, low, end, fall, to - from, trough - from, to - trough];
      });
      expect(found).toEqual(examples.SP500_dd);
    });
  },
);
