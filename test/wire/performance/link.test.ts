import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { indexLine } from '../../../verifier/report/index-line.ts';
import { monthlyReturns } from '../../../verifier/track/months.ts';
import { dailyReturns } from '../../../wire/performance/calendar.ts';
import { drawdowns, maximumDrawdown } from '../../../wire/performance/drawdown.ts';
import { linkReturns } from '../../../wire/performance/link.ts';
import { ratioOf } from '../../../wire/performance/ratio.ts';
import { HOUR_MS, START_MS } from './hours.ts';
import { series } from './series.ts';

const DAY_MS = 24 * HOUR_MS;
const RETURN = fc.integer({ min: -900_000, max: 2_000_000 }).map((value) => String(value / 1e6));

describe('linking', () => {
  it('multiplies', () => {
    expect(linkReturns(series(['0.1', '-0.1', '0.5']))).toMatchObject({
      ratio: '0.485',
      observed: '0.485',
      periods: 3,
      gaps: [],
    });
  });

  it('has no answer over a gap, says what was observed, and where the gaps are', () => {
    const linked = linkReturns(series(['0.1', null, null, '0.1'], 0, 10));
    expect(linked).toMatchObject({ ratio: null, observed: '0.21', periods: 2 });
    expect(linked.gaps).toEqual([{ fromMs: 10, toMs: 30, reason: 'incomplete' }]);
  });

  it('takes a hole between periods, before the first and behind the last for a gap', () => {
    const all = series(['0.1', '0.1', '0.1'], 10, 10);
    const points = all.filter((_, at) => at !== 1);
    const linked = linkReturns(points, 0, 50);
    expect(linked.ratio).toBeNull();
    expect(linked.gaps).toEqual([
      { fromMs: 0, toMs: 10, reason: 'missing' },
      { fromMs: 20, toMs: 30, reason: 'missing' },
      { fromMs: 40, toMs: 50, reason: 'missing' },
    ]);
  });

  it('keeps a total loss', () => {
    expect(linkReturns(series(['-1', '5'])).ratio).toBe('-1');
    expect(linkReturns(series(['-1.5', '-3'])).ratio).toBe('-1.5');
  });

  it('of nothing is nothing', () => {
    expect(linkReturns([])).toMatchObject({ ratio: null, observed: null, method: null });
  });

  it('names the weaker method', () => {
    const [first, second] = series(['0.1', '0.1']);
    if (first === undefined || second === undefined) throw new Error('two');
    expect(linkReturns([first, second]).method).toBe('twr');
    expect(linkReturns([first, { ...second, method: 'modified_dietz' }]).method).toBe(
      'modified_dietz',
    );
  });

  it('refuses periods that overlap: nobody may count one twice', () => {
    const points = series(['0.1', '0.1'], 0, 10);
    expect(() => linkReturns([...points, ...points])).toThrow(RangeError);
  });

  it('at any place split, gives the same', () => {
    fc.assert(
      fc.property(fc.array(RETURN, { minLength: 2, maxLength: 60 }), fc.nat(), (returns, cut) => {
        const points = series(returns);
        const at = 1 + (cut % (points.length - 1));
        const grown = (part: typeof points): ReturnType<typeof ratioOf> =>
          ratioOf(linkReturns(part).ratio ?? '').plus(1);
        const whole = grown(points);
        const parts = grown(points.slice(0, at)).times(grown(points.slice(at)));
        // Each part is rounded at its 18th digit.
        const scale = whole
          .plus(grown(points.slice(0, at)))
          .plus(grown(points.slice(at)))
          .plus(1);
        expect(whole.minus(parts).abs().lte(scale.times('2e-18'))).toBe(true);
      }),
    );
  });
});

describe('days and months', () => {
  it('are those of UTC, from hours; parts of a day are marked', () => {
    const from = START_MS - 2 * HOUR_MS;
    const hours = series(
      Array.from({ length: 2 + 24 + 3 }, () => '0.001'),
      from,
      HOUR_MS,
    );
    const days = dailyReturns(hours);
    expect(days.map(({ startMs, periods, whole }) => [startMs, periods, whole])).toEqual([
      [from, 2, false],
      [START_MS, 24, true],
      [START_MS + DAY_MS, 3, false],
    ]);
    expect(days[1]?.ratio).toBe(linkReturns(hours.slice(2, 26)).ratio);
    const months = monthlyReturns(hours);
    expect(months.map(({ startMs, endMs }) => [startMs, endMs])).toEqual([
      [from, START_MS],
      [START_MS, START_MS + DAY_MS + 3 * HOUR_MS],
    ]);
  });

  it('a day without any hour is there, as a gap', () => {
    const hours = series(
      Array.from({ length: 72 }, () => '0.001'),
      START_MS,
      HOUR_MS,
    ).filter((_, at) => at < 24 || at >= 48);
    const days = dailyReturns(hours);
    expect(days.map(({ ratio }) => ratio === null)).toEqual([false, true, false]);
    expect(days[1]?.gaps).toEqual([
      { fromMs: START_MS + DAY_MS, toMs: START_MS + 2 * DAY_MS, reason: 'missing' },
    ]);
  });

  it('one missing hour takes its day and its month, and no other', () => {
    const hours = series(
      Array.from({ length: 72 }, (_, at) => (at === 30 ? null : '0.001')),
      START_MS,
      HOUR_MS,
    );
    expect(dailyReturns(hours).map(({ ratio }) => ratio === null)).toEqual([false, true, false]);
    expect(monthlyReturns(hours).map(({ ratio }) => ratio)).toEqual([null]);
  });
});

describe('drawdowns', () => {
  it('have peak, trough and recovery', () => {
    // Index: 1.1, 0.88, 0.99, 1.1, 1.21, 1.089
    const points = series(['0.1', '-0.2', '0.125', '0.111111111111111111', '0.1', '-0.1'], 0, 10);
    const [first, second, ...more] = drawdowns(points);
    expect(more).toEqual([]);
    expect(first).toEqual({ depth: '0.2', peakMs: 10, troughMs: 20, recoveryMs: 50 });
    expect(second).toEqual({ depth: '0.1', peakMs: 50, troughMs: 60, recoveryMs: null });
    expect(maximumDrawdown(points)).toEqual(first);
  });

  it('count from the start: the index begins at 1', () => {
    expect(maximumDrawdown(series(['-0.5', '1'], 5, 10))).toEqual({
      depth: '0.5',
      peakMs: 5,
      troughMs: 15,
      recoveryMs: 25,
    });
  });

  it('there is none where nothing fell', () => {
    expect(maximumDrawdown(series(['0', '0.1']))).toBeNull();
    expect(maximumDrawdown([])).toBeNull();
  });

  it('never depend on what is paid in: they stand on the index alone', () => {
    fc.assert(
      fc.property(fc.array(RETURN, { minLength: 1, maxLength: 40 }), (returns) => {
        const points = series(returns);
        const deepest = maximumDrawdown(points);
        const line = indexLine(points);
        const depths = line.map(({ drawdown }) => ratioOf(drawdown));
        const most = depths.reduce((a, b) => (b.gt(a) ? b : a), ratioOf('0'));
        expect(ratioOf(deepest?.depth ?? '0').eq(most)).toBe(true);
      }),
    );
  });
});
