import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capitalOf } from '../../../wire/performance/capital.ts';
import { metricsFigures } from '../../../wire/performance/metrics-figures.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import { FIXED_ONE } from '../../../wire/fixed.ts';
import { money } from './golden.ts';
import { blindHour, changed, hour, HOUR_MS, record, START_MS } from './hours.ts';

function gain(dollars: number): Parameters<typeof record>[0][number] {
  return { gain: money(dollars), flow: 0n, before: 0n, valued: true };
}

describe('capital', () => {
  it('stands beside a return that few dollars made', () => {
    // Forty dollars become four hundred; then 100,000 come in, and nothing happens for a while.
    const small = record([gain(360)], money(40));
    const paid = hour(1, {
      equityStart: money(400),
      equityEnd: money(100_400),
      inflow: money(100_000),
      flows: [
        {
          atMs: START_MS + HOUR_MS + 1,
          amount: money(100_000),
          equityBefore: money(400),
          reference: null,
        },
      ],
    });
    const rest = Array.from({ length: 8 }, (_, at) =>
      hour(at + 2, { equityStart: money(100_400), equityEnd: money(100_400) }),
    );
    const found = performanceOf([...small, paid, ...rest]);
    expect(found.linked.ratio).toBe('9');
    expect(found.capital).toEqual({
      lowest: money(40),
      mean: money('80364'),
      highest: money(100_400),
      hours: 10,
      smallHours: 2,
      smallShare: '0.2',
      gain: money(360),
    });
    const { figures } = metricsFigures(found);
    expect(figures.get('gain')).toBe('360');
    expect(figures.get('capital_small_share')).toBe('0.2');
    expect(figures.get('capital_mean')).toBe('80364');
  });

  it.each([
    [99n, 1],
    [100n, 0],
    [101n, 0],
  ])('of %d is small when it is less than a tenth of the mean: %d hours', (own, small) => {
    // The mean is 1,000: what the others have makes up for it.
    const values = [own, 1000n, 2000n - own];
    const hours = values.map((value, at) => hour(at, { equityStart: value * FIXED_ONE }));
    const found = capitalOf(hours);
    expect(found.mean).toBe(1000n * FIXED_ONE);
    expect(found.smallHours).toBe(small);
  });

  it('is of the hours whose value is known, and of none it is not known', () => {
    expect(capitalOf([hour(0), blindHour(1), hour(2)])).toMatchObject({ hours: 2, gain: null });
    expect(capitalOf([blindHour(0)])).toEqual({
      lowest: null,
      mean: null,
      highest: null,
      hours: 0,
      smallHours: 0,
      smallShare: null,
      gain: null,
    });
    expect(capitalOf([hour(0), hour(2)]).gain).toBeNull();
  });

  it('that no record explains is no gain', () => {
    const found = capitalOf([
      hour(0, { residual: money(5), equityEnd: money(1005) }),
      hour(1, { equityStart: money(1015), equityEnd: money(1020) }),
    ]);
    expect(found.gain).toBe(money(5));
    // What is missing is a loss all the same.
    expect(capitalOf([hour(0, { residual: money(-5), equityEnd: money(995) })]).gain).toBe(
      money(-5),
    );
  });

  it('is within its bounds, and gains of parts add up', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 2, maxLength: 30 }),
        fc.nat(),
        (gains, cut) => {
          const hours = record(gains.map(gain), money(100_000));
          const { lowest, mean, highest, gain: all } = capitalOf(hours);
          if (lowest === null || mean === null || highest === null) throw new Error('known');
          expect(lowest <= mean && mean <= highest).toBe(true);
          const at = 1 + (cut % (hours.length - 1));
          const parts = [hours.slice(0, at), hours.slice(at)].map((part) => capitalOf(part).gain);
          expect((parts[0] ?? 0n) + (parts[1] ?? 0n)).toBe(all);
        },
      ),
    );
  });
});

describe('hours that were worked out backwards', () => {
  const hours = record(Array.from({ length: 6 }, () => gain(10)));
  const rebuilt = (until: number): typeof hours =>
    hours.map((one, at) => (at < until ? changed(one, { rebuilt: true, trades: 3 }) : one));

  it('are in no figure but their own', () => {
    const all = performanceOf(rebuilt(3));
    const seen = performanceOf(hours.slice(3));
    expect(all.rebuilt?.linked.ratio).toBe('0.03');
    expect(all.rebuilt?.capital.gain).toBe(money(30));
    expect(all.coverage).toEqual({ ...seen.coverage, rebuilt: 3 });
    expect({ ...all, rebuilt: null, coverage: seen.coverage }).toEqual(seen);
    const { figures } = metricsFigures(all);
    expect(figures.get('return')).toBe('0.029126213592233010'.replace(/0$/u, ''));
    expect(figures.get('rebuilt.return')).toBe('0.03');
    expect(figures.get('start_ms')).toBe(START_MS + 3 * HOUR_MS);
    expect(figures.get('rebuilt.start_ms')).toBe(START_MS);
    expect(figures.get('rebuilt.end_ms')).toBe(START_MS + 3 * HOUR_MS);
    expect(figures.get('trades')).toBe(0);
    expect(figures.get('hours_rebuilt')).toBe(3);
  });

  it('alone are no record', () => {
    const found = performanceOf(rebuilt(6));
    expect(found.linked).toMatchObject({ ratio: null, bridged: null, observed: null });
    expect(found.rebuilt?.linked.ratio).toBe('0.06');
    const { figures, reasons } = metricsFigures(found);
    expect([figures.get('return'), reasons.get('return')]).toEqual([null, 'no_returns']);
    expect([figures.get('start_ms'), figures.get('end_ms')]).toEqual([null, null]);
    expect(metricsFigures(performanceOf(hours)).figures.has('rebuilt.return')).toBe(false);
  });

  it('behind hours that were seen are a gap, with what it changed', () => {
    const again = hours.map((one, at) => (at === 2 ? changed(one, { rebuilt: true }) : one));
    const found = performanceOf(again);
    expect(found.rebuilt).toBeNull();
    expect(found.linked).toMatchObject({ ratio: null, bridged: '0.06' });
    expect(found.gaps).toMatchObject([{ reason: 'rebuilt', change: '0.009803921568627451' }]);
    expect(found.coverage).toMatchObject({ rebuilt: 1, returns: 5 });
  });

  it('have gaps of their own', () => {
    const broken = rebuilt(3).map((one, at) =>
      at === 1 ? changed(blindHour(1), { rebuilt: true }) : one,
    );
    const found = performanceOf(broken);
    expect(found.rebuilt?.gaps).toMatchObject([{ reason: 'incomplete', change: null }]);
    expect(found.rebuilt?.linked).toMatchObject({ ratio: null, bridged: null, periods: 2 });
    expect(found.gaps).toEqual([]);
  });
});
