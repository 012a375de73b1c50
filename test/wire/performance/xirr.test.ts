// All 33 files of flows. expected.json has what another solver answers for 16 of them; it gives one root where there are
// several, and none for a file that has one, so that each file is judged by itself: a search in steps with bisection, which
// shares nothing with ours, says how many rates there are and which.

import * as fc from 'fast-check';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isolateRoots } from '../../../wire/performance/real-roots.ts';
import { Ratio } from '../../../wire/performance/ratio.ts';
import type { InvestorFlow } from '../../../wire/performance/xirr.ts';
import { MAX_XIRR_FLOWS, XIRR_YEAR_MS, xirr } from '../../../wire/performance/xirr.ts';
import { FIXTURES, money, numberOf } from './golden.ts';

const DAY_MS = 86_400_000;
const FOLDER = join(FIXTURES, 'xirr');
const FILES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.csv'))
  .map((name) => name.slice(0, -4))
  .toSorted();
const EXPECTED = (
  JSON.parse(readFileSync(join(FOLDER, 'expected.json'), 'utf8')) as {
    readonly xirr_act365: Readonly<Record<string, number | null>>;
  }
).xirr_act365;

function flowsOf(name: string): readonly InvestorFlow[] {
  const text = readFileSync(join(FOLDER, `${name}.csv`), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [day = '', amount = ''] = line.replaceAll('"', '').split(',');
      return { atMs: Date.parse(day.trim()), amount: money(amount.trim()) };
    });
}

/** Present value at the first flow; or at the last, for rates so low that powers overflow. Its sign is the same. */
function presentValue(flows: readonly InvestorFlow[], s: number): number {
  const times = flows.map(({ atMs }) => atMs / XIRR_YEAR_MS);
  const at = s >= 0 ? Math.min(...times) : Math.max(...times);
  return flows.reduce(
    (sum, { amount }, index) => sum + Number(amount) * Math.exp(-s * ((times[index] ?? 0) - at)),
    0,
  );
}

/** Rates whose logarithm lies within ±1,100, in steps that are fine around 0. */
function search(flows: readonly InvestorFlow[]): readonly number[] {
  const steps = 2500;
  const roots: number[] = [];
  let before: readonly [number, number] | null = null;
  for (let step = -steps; step <= steps; step++) {
    const s = Math.sign(step) * Math.expm1((Math.abs(step) / steps) * 7);
    const value = presentValue(flows, s);
    if (before !== null && before[1] > 0 !== value > 0) roots.push(bisect(flows, before[0], s));
    before = [s, value];
  }
  return roots;
}

function bisect(flows: readonly InvestorFlow[], from: number, to: number): number {
  let [low, high] = [from, to];
  const isPositive = presentValue(flows, low) > 0;
  for (let step = 0; step < 100; step++) {
    const middle = (low + high) / 2;
    if (presentValue(flows, middle) > 0 === isPositive) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Exactly, as far as 60 digits go: relative to the sum of magnitudes. */
function relativeValue(flows: readonly InvestorFlow[], annual: string): number {
  const growth = new Ratio(annual).plus(1);
  const startMs = Math.min(...flows.map(({ atMs }) => atMs));
  const parts = flows.map(({ atMs, amount }) =>
    growth.pow(new Ratio(startMs - atMs).div(XIRR_YEAR_MS)).times(amount.toString()),
  );
  const sum = parts.reduce((a, b) => a.plus(b));
  const magnitude = parts.reduce((a, b) => a.plus(b.abs()), new Ratio(0));
  return sum.div(magnitude).abs().toNumber();
}

describe('flows of pyxirr', () => {
  it('are 33 files', () => {
    expect(FILES).toHaveLength(33);
    expect(Object.keys(EXPECTED).filter((name) => !FILES.includes(name))).toEqual([]);
  });

  it.each(FILES)('%s', (name) => {
    const flows = flowsOf(name);
    const roots = search(flows);
    const found = xirr(flows);
    const reason = roots.length === 0 ? 'none' : 'several';
    expect(found.reason).toBe(roots.length === 1 ? null : reason);
    expect(found.annual === null).toBe(roots.length !== 1);
    // Where the other solver has an answer it is one of the rates.
    const expected = EXPECTED[name];
    const rates = roots.map((s) => Math.expm1(s));
    const isRate = rates.some((rate) => Math.abs(rate - (expected ?? 0)) < 1e-8 * (1 + rate));
    expect(isRate || expected === undefined || expected === null).toBe(true);
  });

  const single = FILES.filter((name) => xirr(flowsOf(name)).annual !== null);
  it('have one rate in eleven files', () => {
    expect(single).toHaveLength(11);
  });

  it.each(single)('%s: nothing is left of the flows at its rate', (name) => {
    const flows = flowsOf(name);
    const { annual } = xirr(flows);
    const [root = Number.NaN] = search(flows);
    expect(numberOf(annual)).toBeCloseTo(Math.expm1(root), 9);
    // The rate has 12 digits; the value moves by that times the years.
    expect(relativeValue(flows, annual ?? '')).toBeLessThan(1e-9);
  });

  it('30-20: the other solver finds nothing, and there is one', () => {
    expect(EXPECTED['30-20']).toBeNull();
    expect(xirr(flowsOf('30-20')).annual).toBe('-0.897353821488');
  });
});

function yearly(...amounts: readonly (number | string)[]): readonly InvestorFlow[] {
  return amounts.map((amount, year) => ({ atMs: year * XIRR_YEAR_MS, amount: money(amount) }));
}

function many(count: number): readonly InvestorFlow[] {
  return Array.from({ length: count }, (_, at) => ({ atMs: at * DAY_MS, amount: 1n }));
}

describe('rates', () => {
  it.each([
    ['no flow', []],
    ['one', yearly(-1)],
    ['only paid in', yearly(-1, -1)],
    ['only paid out', yearly(1, 1)],
    ['flows that cancel', [...yearly(-1), ...yearly(1)]],
    ['no real root', yearly(-1, 2, -1.5)],
  ])('there is none: %s', (_, flows) => {
    expect(xirr(flows)).toEqual({ annual: null, period: null, reason: 'none' });
  });

  it('there are several: 10 % and 20 %', () => {
    expect(xirr(yearly(-1, 2.3, -1.32)).reason).toBe('several');
  });

  it('a rate that is touched and not crossed is no answer', () => {
    expect(xirr(yearly(-1, 2.2, -1.21)).reason).toBe('undecided');
  });

  it('a rate of exactly zero is one', () => {
    expect(xirr(yearly(-100, 40, 60))).toMatchObject({ annual: '0', period: '0', reason: null });
    expect(xirr(yearly(-1, 1))).toMatchObject({ annual: '0', period: '0', reason: null });
  });

  it('over part of a year, the period has its own return', () => {
    const flows = [
      { atMs: 0, amount: money(-100) },
      { atMs: 73 * DAY_MS, amount: money(110) },
    ];
    expect(xirr(flows)).toEqual({ annual: '0.61051', period: '0.1', reason: null });
  });

  it('a rate that nobody can write is none: a gain of a half within an hour', () => {
    const flows = [
      { atMs: 0, amount: money(-100) },
      { atMs: 3_600_000, amount: money(150) },
    ];
    expect(xirr(flows)).toEqual({ annual: null, period: '0.5', reason: 'too_large' });
  });

  it('takes 2,000 flows and not one more', () => {
    expect(xirr(many(MAX_XIRR_FLOWS)).reason).toBe('none');
    expect(xirr(many(MAX_XIRR_FLOWS + 1)).reason).toBe('too_many_flows');
  });
});

const RATE = fc.integer({ min: -900, max: 5000 }).map((value) => value / 1000);

describe('properties', () => {
  it('finds the rate that the last flow was made with', () => {
    const payment = fc.record({ day: fc.integer({ min: 0, max: 1500 }), amount: fc.nat(10 ** 6) });
    fc.assert(
      fc.property(fc.array(payment, { minLength: 1, maxLength: 20 }), RATE, (payments, rate) => {
        const paid = payments.map(({ day, amount }) => ({
          atMs: day * DAY_MS,
          amount: money(-1 - amount),
        }));
        const endMs = 2000 * DAY_MS;
        const worth = paid.reduce(
          (sum, { atMs, amount }) =>
            sum.plus(
              new Ratio(1 + rate)
                .pow(new Ratio(endMs - atMs).div(XIRR_YEAR_MS))
                .times(amount.toString()),
            ),
          new Ratio(0),
        );
        const last = { atMs: endMs, amount: BigInt(worth.neg().toFixed(0)) };
        const found = xirr([...paid, last]);
        expect(numberOf(found.annual)).toBeCloseTo(rate, 9);
      }),
      { numRuns: 60 },
    );
  });

  it('neither the order of flows, their unit, nor the date they start at changes the rate', () => {
    const flow = fc.record({
      atMs: fc.integer({ min: 0, max: 1200 }).map((day) => day * DAY_MS),
      amount: fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }),
    });
    fc.assert(
      fc.property(fc.array(flow, { minLength: 2, maxLength: 10 }), (flows) => {
        const found = xirr(flows);
        expect(xirr(flows.toReversed())).toEqual(found);
        expect(xirr(flows.map(({ atMs, amount }) => ({ atMs, amount: amount * 1000n })))).toEqual(
          found,
        );
        const later = flows.map(({ atMs, amount }) => ({ atMs: atMs + 777 * DAY_MS, amount }));
        expect(xirr(later)).toEqual(found);
      }),
      { numRuns: 60 },
    );
  });

  it('finds as many roots as a polynomial was made of', () => {
    // Π (x − x_i) with x = e^(−s): years as powers.
    // Up to 3: four roots in a row from 3.4 on, a tenth apart, cannot be told apart by doubles, and are `undecided`.
    const root = fc.integer({ min: 1, max: 30 }).map((value) => value / 10);
    fc.assert(
      fc.property(fc.uniqueArray(root, { minLength: 1, maxLength: 4 }), (roots) => {
        let polynomial = [1];
        for (const x of roots) {
          const shifted = [0, ...polynomial];
          polynomial = shifted.map((value, at) => value - x * (polynomial[at] ?? 0));
        }
        const terms = polynomial.map((c, t) => ({ t, c }));
        const found = isolateRoots(terms);
        expect(found).toHaveLength(roots.length);
        const isInside = roots
          .toSorted((a, b) => b - a)
          .map((x, at) => {
            const bracket = found?.[at];
            return (bracket?.low ?? 0) <= -Math.log(x) && -Math.log(x) <= (bracket?.high ?? 0);
          });
        expect(isInside).not.toContain(false);
      }),
    );
  });

  it('says of roots that doubles cannot tell apart that it cannot', () => {
    // 3.4, 3.5, 3.6 and 3.7.
    const polynomial = [158.508, -178.77800000000002, 75.59, -14.2, 1];
    expect(isolateRoots(polynomial.map((c, t) => ({ t, c })))).toBeNull();
  });
});
