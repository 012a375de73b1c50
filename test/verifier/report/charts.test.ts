import { describe, expect, it } from 'vitest';
import { charts } from '../../../verifier/report/charts.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import { money } from '../../wire/performance/golden.ts';
import { blindHour, changed, record } from '../../wire/performance/hours.ts';

const HOURS = record(
  [0, 0, 0, -500, 0, 0].map((gain) => ({
    gain: money(gain),
    flow: 0n,
    before: 0n,
    valued: true,
  })),
);
const UNSEEN = { complete: false, residual: null, status: 'unknown', gaps: ['timeout'] } as const;

/** Heights of the pieces of a chart's line, from the left, 0 at the top. */
function pieces(hours: typeof HOURS, chart: number): readonly (readonly number[])[] {
  const drawn = charts(
    performanceOf(hours),
    hours.map((figures) => ({ figures })),
  )[chart];
  return [
    ...(drawn?.text ?? '').matchAll(/<polyline\s+class="line(?: loss)?"\s+points="([^"]*)"/gu),
  ].map(([, points = '']) => points.split(' ').map((point) => Number(point.split(',')[1])));
}

describe('the line of an index', () => {
  it('breaks at a gap, and goes on where the gap has ended', () => {
    const unseen = HOURS.map((one, at) =>
      at === 3 ? changed(one, { ...UNSEEN, gaps: ['not_completed'] }) : one,
    );
    for (const chart of [1, 2]) {
      const [before = [], behind = [], ...more] = pieces(unseen, chart);
      expect(more).toEqual([]);
      expect(new Set(before).size).toBe(1);
      expect(new Set(behind).size).toBe(1);
      expect(behind[0]).toBeGreaterThan(before[0] ?? Infinity);
    }
  });

  it('goes on where it was when nobody knows what the gap has changed', () => {
    const blind = HOURS.map((one, at) => (at === 3 ? blindHour(3) : one));
    const [before = [], behind = []] = pieces(blind, 1);
    expect(behind[0]).toBe(before[0]);
    expect(pieces(HOURS, 1)).toHaveLength(1);
  });
});
