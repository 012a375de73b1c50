import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalDecimal, isCanonicalDecimal, parseDecimal } from '../../wire/decimal.ts';
import {
  divideFixed,
  divideRounded,
  FIXED_ONE,
  FIXED_SCALE,
  formatFixed,
  MAX_FIXED,
  multiplyFixed,
  multiplyThree,
  parseFixed,
  shareOf,
  toFixed,
} from '../../wire/fixed.ts';

const fixed = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n });

describe('Fixed', () => {
  it('is what the text says, and the text again', () => {
    fc.assert(
      fc.property(fixed, (value) => {
        const text = formatFixed(value);
        expect(toFixed(text)).toBe(value);
        expect(parseFixed(text)).toBe(value);
        expect(canonicalDecimal(text)).toBe(text);
      }),
    );
  });

  it('takes 18 digits after the point and not 19', () => {
    expect(toFixed(`0.${'0'.repeat(17)}1`)).toBe(1n);
    expect(toFixed(`0.${'0'.repeat(18)}1`)).toBeNull();
    expect(toFixed('1e-18')).toBe(1n);
    expect(toFixed('1e-19')).toBeNull();
    expect(toFixed(`1.5${'0'.repeat(30)}`)).toBe((3n * FIXED_ONE) / 2n);
  });

  it('ends at 10^30, on both sides', () => {
    const most = `1${'0'.repeat(30)}`;
    expect(toFixed(most)).toBe(MAX_FIXED);
    expect(toFixed(`-${most}`)).toBe(-MAX_FIXED);
    expect(toFixed(`${most}.000000000000000001`)).toBeNull();
    expect(toFixed(`-${most}.000000000000000001`)).toBeNull();
  });

  it.each(['', '-', '.', '1,5', 'NaN', 'Infinity', '0x10', '1e', ' 1', '1 ', '--1'])(
    'refuses %j',
    (text) => {
      expect(toFixed(text)).toBeNull();
    },
  );

  it.each(['+1', '01', '1.0', '.5', '5.', '1e3', '-0'])(
    'reads %j, and not where it is signed',
    (text) => {
      expect(toFixed(text)).not.toBeNull();
      expect(parseFixed(text)).toBeNull();
    },
  );
});

/** What a decimal looks like, mostly; zeros where they do not belong, and too many digits. */
const digits = fc.string({ unit: fc.constantFrom('0', '1', '9'), maxLength: 20 });
const written = fc
  .tuple(fc.constantFrom('', '-'), digits, fc.constantFrom('', '.'), digits)
  .map((parts) => parts.join(''));

describe('the short way of reading', () => {
  it('comes to what the general one does', () => {
    fc.assert(
      fc.property(written, (text) => {
        const value = parseDecimal(text);
        const exact =
          value === null || value.scale > FIXED_SCALE
            ? null
            : value.units * 10n ** BigInt(FIXED_SCALE - value.scale);
        expect(toFixed(text)).toBe(exact);
        expect(parseFixed(text)).toBe(isCanonicalDecimal(text) ? exact : null);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('rounding', () => {
  it.each([
    [5n, 10n, 0n],
    [15n, 10n, 2n],
    [25n, 10n, 2n],
    [26n, 10n, 3n],
    [-5n, 10n, 0n],
    [-15n, 10n, -2n],
    [-25n, 10n, -2n],
    [-26n, 10n, -3n],
    [15n, -10n, -2n],
    [-25n, -10n, 2n],
    [-26n, -10n, 3n],
    [24n, 10n, 2n],
  ])('%d / %d = %d: half goes to even', (numerator, denominator, quotient) => {
    expect(divideRounded(numerator, denominator)).toBe(quotient);
  });

  it('is never off by more than half, and does not depend on the sign', () => {
    const divisor = fixed.filter((value) => value !== 0n);
    fc.assert(
      fc.property(fixed, divisor, (numerator, denominator) => {
        const quotient = divideRounded(numerator, denominator);
        const rest = numerator - quotient * denominator;
        const size = denominator < 0n ? -denominator : denominator;
        expect(2n * (rest < 0n ? -rest : rest) <= size).toBe(true);
        expect(divideRounded(-numerator, denominator)).toBe(-quotient);
        expect(divideRounded(numerator, -denominator)).toBe(-quotient);
      }),
    );
  });

  it('of a product is that of a quotient by one, at a half too', () => {
    const half = FIXED_ONE / 2n;
    const near = fc.tuple(fixed, fc.constantFrom(0n, half, -half, half - 1n, half + 1n));
    fc.assert(
      fc.property(fixed, fixed, near, (a, b, [whole, rest]) => {
        expect(multiplyFixed(a, b)).toBe(divideRounded(a * b, FIXED_ONE));
        const product = whole * FIXED_ONE + rest;
        expect(multiplyFixed(product, 1n)).toBe(divideRounded(product, FIXED_ONE));
      }),
    );
  });

  it('rounds a product of three once', () => {
    const third = divideFixed(FIXED_ONE, 3n * FIXED_ONE);
    expect(formatFixed(multiplyThree(third, 3n * FIXED_ONE, 1n))).toBe('0.000000000000000001');
    expect(multiplyFixed(multiplyFixed(third, 1n), 3n * FIXED_ONE)).toBe(0n);
  });
});

describe('shares', () => {
  it('add up to the whole, whatever the parts', () => {
    const parts = fc.array(fc.bigInt({ min: 1n, max: 10n ** 24n }), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(fixed, parts, (value, sizes) => {
        const whole = sizes.reduce((sum, size) => sum + size, 0n);
        let left = whole;
        let sum = 0n;
        for (const size of sizes) {
          sum += shareOf(value, left, whole) - shareOf(value, left - size, whole);
          left -= size;
        }
        expect(sum).toBe(value);
      }),
    );
  });
});
