import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExternalFlow, PeriodValues } from '../../../wire/performance/period-return.ts';
import { periodReturn } from '../../../wire/performance/period-return.ts';
import { hourReturn } from '../../../wire/performance/hour-return.ts';
import { ratioOf } from '../../../wire/performance/ratio.ts';
import { money } from './golden.ts';
import { blindHour, hour, HOUR_MS } from './hours.ts';

function period(
  equityStart: bigint | null,
  equityEnd: bigint | null,
  flows: readonly ExternalFlow[] = [],
): PeriodValues {
  return { startMs: 0, endMs: HOUR_MS, equityStart, equityEnd, flows, complete: true };
}

function flow(atMs: number, amount: bigint | null, equityBefore: bigint | null): ExternalFlow {
  return { atMs, amount, equityBefore };
}

const AMOUNT = fc.bigInt({ min: 1n, max: 10n ** 30n });
/** Of what is there: gains and losses by parts of a thousand. */
const FACTOR = fc.integer({ min: 1, max: 3000 });

describe('a period without flows', () => {
  it('is the quotient of its values', () => {
    expect(periodReturn(period(money(1000), money(1010)))).toEqual({
      ratio: '0.01',
      method: 'twr',
      reason: null,
    });
  });

  it('rounds half to even at the 18th digit', () => {
    const start = 2n * 10n ** 18n;
    const ratios = [1n, 2n, 3n, -1n].map((gain) => periodReturn(period(start, start + gain)).ratio);
    expect(ratios).toEqual(['0', '0.000000000000000001', '0.000000000000000002', '0']);
  });

  it.each([
    [null, money(1), 'no_value'],
    [money(1), null, 'no_value'],
    [0n, 0n, 'no_capital'],
    [0n, 1n, 'capital_not_positive'],
    [-1n, 1n, 'capital_not_positive'],
  ] as const)('from %s to %s is not known: %s', (start, end, reason) => {
    expect(periodReturn(period(start, end))).toEqual({ ratio: null, method: null, reason });
  });

  it('says that all was lost, and more', () => {
    expect(periodReturn(period(money(10), 0n)).ratio).toBe('-1');
    expect(periodReturn(period(money(10), money(-1))).ratio).toBe('-1.1');
  });

  it('is refused where nobody knows what happened, and where nobody could write it', () => {
    expect(periodReturn({ ...period(money(1), money(1)), complete: false }).reason).toBe(
      'incomplete',
    );
    const grown = (end: bigint): string | null => periodReturn(period(1n, end)).reason;
    // 10^30 − 1, and one more.
    expect(grown(10n ** 30n)).toBeNull();
    expect(grown(10n ** 30n + 1n)).toBe('too_large');
  });
});

describe('a period with flows', () => {
  it('does not move with a deposit whose value is known', () => {
    const flows = [flow(1000, money(500), money(1100))];
    expect(periodReturn(period(money(1000), money(1600), flows))).toEqual({
      ratio: '0.1',
      method: 'twr',
      reason: null,
    });
  });

  it('weighs a flow without a value by the exact part of the time', () => {
    // A third of the hour is left: 100 / (1000 + 600 / 3).
    const flows = [flow((HOUR_MS * 2) / 3, money(600), null)];
    expect(periodReturn(period(money(1000), money(1700), flows))).toEqual({
      ratio: '0.083333333333333333',
      method: 'modified_dietz',
      reason: null,
    });
  });

  it('uses Modified Dietz only between the values that are known', () => {
    const flows = [
      flow(HOUR_MS / 2, money(1000), money(1100)),
      flow((HOUR_MS * 3) / 4, money(200), null),
    ];
    // 1.1, then 2,100 grow by 220 with 200 more for half of the rest: 1.1 · 1.1.
    const result = periodReturn(period(money(1000), money(2520), flows));
    expect(result).toEqual({ ratio: '0.21', method: 'modified_dietz', reason: null });
  });

  it('takes the value at the start for a flow at the start', () => {
    const flows = [flow(0, money(1000), null)];
    expect(periodReturn(period(money(1000), money(2200), flows))).toEqual({
      ratio: '0.1',
      method: 'twr',
      reason: null,
    });
  });

  it('takes flows of one instant as one, whichever of them carries the value after the other', () => {
    const end = money(1320);
    const sum = [flow(7, money(200), money(1000))];
    const same = [flow(7, money(50), money(1000)), flow(7, money(150), money(1000))];
    const stepwise = [flow(7, money(50), money(1000)), flow(7, money(150), money(1050))];
    const expected = periodReturn(period(money(1000), end, sum));
    expect(expected.ratio).toBe('0.1');
    expect(periodReturn(period(money(1000), end, same))).toEqual(expected);
    expect(periodReturn(period(money(1000), end, stepwise))).toEqual(expected);
  });

  it('starts with the first deposit and ends with the last withdrawal', () => {
    const opened = [flow(10, money(1000), 0n)];
    expect(periodReturn(period(0n, money(1050), opened)).ratio).toBe('0.05');
    const closed = [flow(10, money(-1100), money(1100))];
    expect(periodReturn(period(money(1000), 0n, closed)).ratio).toBe('0.1');
  });

  it('does not bring back with a deposit what was lost', () => {
    const flows = [flow(10, money(1000), 0n)];
    expect(periodReturn(period(money(1000), money(5000), flows)).ratio).toBe('-1');
    const below = [flow(10, money(1000), money(-100))];
    expect(periodReturn(period(money(1000), money(5000), below)).ratio).toBe('-1.1');
  });

  it.each([
    ['without an amount', [flow(10, null, money(1000))], 'flow_not_valued'],
    ['before the period', [flow(-1, 1n, null)], 'flow_outside'],
    ['behind the period', [flow(HOUR_MS + 1, 1n, null)], 'flow_outside'],
    ['of more than there is', [flow(10, money(-3000), null)], 'capital_not_positive'],
    [
      'that leaves less than nothing',
      [flow(10, money(-3000), money(1000))],
      'capital_not_positive',
    ],
  ] as const)('%s has no return', (_, flows, reason) => {
    const values = period(money(1000), money(1000), flows);
    expect(periodReturn(values)).toEqual({ ratio: null, method: null, reason });
  });

  it('takes flows at both of its ends', () => {
    const flows = [flow(0, money(100), null), flow(HOUR_MS, money(100), money(1210))];
    expect(periodReturn(period(money(1000), money(1310), flows)).ratio).toBe('0.1');
  });
});

/** 1 + r of one stretch after the other, and a flow between two: the truth that has to come out. */
const STRETCHES = fc.array(fc.record({ factor: FACTOR, flow: AMOUNT, isOut: fc.boolean() }), {
  minLength: 1,
  maxLength: 8,
});

describe('properties', () => {
  it('the return does not depend on deposits and withdrawals, when each is valued', () => {
    fc.assert(
      fc.property(AMOUNT, STRETCHES, (start, stretches) => {
        // Divisible by 1,000 to the eighth, so that each value is whole.
        const unit = 10n ** 24n;
        let value = start * unit;
        let expected = ratioOf('1');
        const flows = stretches.map(({ factor, flow: amount, isOut }, at) => {
          value = (value * BigInt(factor)) / 1000n;
          expected = expected.times(factor).div(1000);
          // Never more than half of what is there; still divisible.
          const step = unit / 1000n ** BigInt(at + 1);
          const size = isOut ? -((value / 2n / step) * step) : amount * unit;
          const one = flow((at + 1) * 100, size, value);
          value += size;
          return one;
        });
        const result = periodReturn(period(start * unit, value, flows));
        const difference = ratioOf(result.ratio ?? '999')
          .plus(1)
          .minus(expected)
          .abs();
        expect(difference.lte('5e-19')).toBe(true);
      }),
    );
  });

  it('the return does not depend on the unit of the currency', () => {
    fc.assert(
      fc.property(
        AMOUNT,
        AMOUNT,
        AMOUNT,
        AMOUNT,
        fc.integer({ min: 1, max: 10_000 }),
        (a, b, c, d, by) => {
          const k = BigInt(by);
          const one = (scale: bigint): unknown =>
            periodReturn(
              period(a * scale, d * scale, [
                flow(50, c * scale, b * scale),
                flow(500_000, c * scale, null),
              ]),
            );
          expect(one(k)).toEqual(one(1n));
        },
      ),
    );
  });

  it('a flow of nothing changes nothing', () => {
    fc.assert(
      fc.property(AMOUNT, AMOUNT, AMOUNT, fc.integer({ min: 0, max: HOUR_MS }), (a, b, c, atMs) => {
        const without = periodReturn(period(a, c));
        expect(periodReturn(period(a, c, [flow(atMs, 0n, null)])).ratio).toBe(without.ratio);
        const valued = periodReturn(period(a, c, [flow(atMs, 0n, b)])).ratio ?? '';
        const difference = ratioOf(valued).minus(without.ratio ?? '');
        expect(difference.abs().lte('1e-18')).toBe(true);
      }),
    );
  });
});

describe('an hour of the record', () => {
  const end = { equityEnd: money(1010) };
  const blind = { ...end, complete: false, status: 'unknown' } as const;

  it('counts when every poll told all, or when the ledger was compared with the venue', () => {
    expect(hourReturn(hour(0, end)).ratio).toBe('0.01');
    expect(hourReturn(hour(0, { ...end, status: 'unknown' })).ratio).toBe('0.01');
    const gaps = ['not_completed'];
    for (const status of ['reconciled', 'beyond'] as const) {
      expect(hourReturn(hour(0, { ...blind, gaps, status })).ratio).toBe('0.01');
    }
  });

  it('counts when polls failed and a later one told everything', () => {
    const gaps = ['exchange_network', 'poll_missed'];
    expect(hourReturn(hour(0, { ...blind, gaps })).ratio).toBe('0.01');
  });

  it.each(['not_completed', 'not_booked', 'not_known', 'too_precise', 'record_malformed'])(
    'does not count when something may be missing: %s',
    (gap) => {
      expect(hourReturn(hour(0, { ...blind, gaps: ['poll_missed', gap] }))).toEqual({
        ratio: null,
        method: null,
        reason: 'incomplete',
      });
    },
  );

  it('does not count when it is incomplete and does not say why', () => {
    expect(hourReturn(hour(0, { ...blind, gaps: [] })).reason).toBe('incomplete');
    const loss = { ...end, residual: money('-5'), status: 'beyond' } as const;
    expect(hourReturn(hour(0, loss)).ratio).toBe('0.01');
  });

  it('is a gap when there is more than any record explains: it may be a deposit', () => {
    const gain = { equityEnd: money(1010), residual: money(10), status: 'beyond' } as const;
    const refused = { ratio: null, method: null, reason: 'gain_unexplained' };
    expect(hourReturn(hour(0, gain))).toEqual(refused);
    expect(hourReturn(hour(0, { ...gain, residual: 1n }))).toEqual(refused);
    expect(hourReturn(hour(0, { ...gain, residual: 1n, status: 'reconciled' })).ratio).toBe('0.01');
  });

  it('has its loss all the same, without what no record explains', () => {
    // 100 lost, and a dollar from nowhere that would make a gap of it.
    const loss = { equityEnd: money(901), residual: money(1), status: 'beyond' } as const;
    expect(hourReturn(hour(0, loss))).toEqual({ ratio: '-0.1', method: 'twr', reason: null });
  });

  it('grows by nothing that no record explains, however little it is', () => {
    const dust = { equityStart: money('0.05'), equityEnd: money('0.06'), residual: money('0.01') };
    expect(hourReturn(hour(0, dust)).ratio).toBe('0');
    const lost = { equityEnd: money('999.99'), residual: money('-0.01') };
    expect(hourReturn(hour(0, lost)).ratio).toBe('-0.00001');
  });

  it.each([
    ['100', 'modified_dietz'],
    ['100.000000000000000001', null],
  ])('has to be valued at flows that come to more than a tenth: %s', (amount, method) => {
    const [half, atMs] = [money('50'), hour(0).startMs + 1_800_000];
    const rest = money(amount) - half;
    const flows = [
      { atMs, amount: half, equityBefore: null, reference: null },
      { atMs: atMs + 60_000, amount: -rest, equityBefore: null, reference: null },
    ];
    const facts = { flows, inflow: half, outflow: rest, equityEnd: money(1010) };
    const found = hourReturn(hour(0, facts));
    expect(found.method).toBe(method);
    expect(found.reason).toBe(method === null ? 'flow_not_valued' : null);
  });

  it('is a gap when nobody looked, never zero', () => {
    expect(hourReturn(blindHour(0)).ratio).toBeNull();
    expect(hourReturn(blindHour(0)).reason).toBe('incomplete');
  });

  it('has no return when a flow has no price', () => {
    expect(hourReturn(hour(0, { inflow: null })).reason).toBe('flow_not_valued');
    expect(hourReturn(hour(0, { outflow: null })).reason).toBe('flow_not_valued');
  });
});
