import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDecimal, parseDecimal } from '../../../wire/market/scaled.ts';

describe('decimal', () => {
  it.each<[string, number, number | null]>([
    ['61837.63000000', 2, 6_183_763],
    ['0.00000001', 8, 1],
    ['0', 0, 0],
    ['-0.0', 2, 0],
    ['-1.5', 1, -15],
    ['7', 3, 7000],
    ['2292.22972000', 5, 229_222_972],
    ['2292.22972000', 4, null],
    ['90071992.54740991', 8, 9_007_199_254_740_991],
    ['90071992.54740992', 8, null],
    ['-90071992.54740992', 8, null],
    ['90071992547409910', 0, null],
    ['9007199254740991', 1, null],
    ['', 2, null],
    ['-', 2, null],
    ['.5', 2, null],
    ['5.', 2, null],
    ['1.2.3', 2, null],
    ['+1', 2, null],
    ['1e3', 2, null],
    [' 1', 2, null],
    ['１', 2, null],
    ['0x10', 2, null],
  ])('%s at scale %i', (text, scale, expected) => {
    expect(parseDecimal(text, scale)).toBe(expected);
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 12 }), (value, scale) => {
        expect(parseDecimal(formatDecimal(value, scale), scale)).toBe(value === 0 ? 0 : value);
      }),
    );
  });

  it('agrees with exact arithmetic on any digits', () => {
    const digits = fc.stringMatching(/^[0-9]{1,18}$/u);
    fc.assert(
      fc.property(
        digits,
        fc.option(digits),
        fc.integer({ min: 0, max: 12 }),
        (whole, part, scale) => {
          const text = part === null ? whole : `${whole}.${part}`;
          const decimals = (part ?? '').padEnd(scale, '0');
          const exact = BigInt(whole + decimals.slice(0, scale));
          const lost = /[1-9]/u.test(decimals.slice(scale));
          const fits = !lost && exact <= BigInt(Number.MAX_SAFE_INTEGER);
          expect(parseDecimal(text, scale)).toBe(fits ? Number(exact) : null);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
