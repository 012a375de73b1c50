import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDecimals,
  assertDecimal,
  canonicalDecimal,
  formatDecimal,
  isCanonicalDecimal,
  MAX_DECIMAL_DIGITS,
  multiplyDecimals,
  negateDecimal,
  parseDecimal,
} from '../../wire/decimal.ts';

const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 28n), max: 10n ** 28n }), fc.integer({ min: 0, max: 28 }))
  .map(([units, scale]) => formatDecimal({ units, scale }));

describe('decimal texts', () => {
  it.each([
    ['0', '0'],
    ['-0', '0'],
    ['-0.000', '0'],
    ['+1', '1'],
    ['007', '7'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['1.2300', '1.23'],
    ['1e-18', '0.000000000000000001'],
    ['1.5E3', '1500'],
    ['1000.00000001', '1000.00000001'],
    ['0e99', '0'],
    ['1200e-2', '12'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalDecimal(text)).toBe(canonical);
  });

  it.each([
    '',
    '.',
    '-',
    'e5',
    '1e',
    '1e100',
    '0x1',
    '1,5',
    ' 1',
    '1 ',
    'NaN',
    'Infinity',
    '1.2.3',
    '١',
  ])('refuses %j', (text) => {
    expect(canonicalDecimal(text)).toBeNull();
  });

  it('has at most 60 digits, written out or by an exponent', () => {
    const most = '9'.repeat(MAX_DECIMAL_DIGITS);
    expect(canonicalDecimal(most)).toBe(most);
    expect(canonicalDecimal(`${most}9`)).toBeNull();
    expect(canonicalDecimal('1e59')).toBe(`1${'0'.repeat(59)}`);
    expect(canonicalDecimal('1e60')).toBeNull();
    expect(canonicalDecimal('1e-59')).toBe(`0.${'0'.repeat(58)}1`);
    expect(canonicalDecimal('1e-60')).toBeNull();
    expect(isCanonicalDecimal(most)).toBe(true);
    expect(isCanonicalDecimal(`${most}9`)).toBe(false);
  });

  it.each(['1.0', '01', '+1', '-0', '1e3', '.5', '5.', '', 'x'])('%j is not canonical', (text) => {
    expect(isCanonicalDecimal(text)).toBe(false);
  });

  it('bounds the text before it makes a bigint of it', () => {
    expect(parseDecimal('0'.repeat(1_000_000))).toBeNull();
  });

  it('gives one text for one value, and the value back', () => {
    fc.assert(
      fc.property(decimals, (text) => {
        expect(isCanonicalDecimal(text)).toBe(true);
        expect(canonicalDecimal(text)).toBe(text);
        expect(formatDecimal(assertDecimal(`${text}${text.includes('.') ? '' : '.'}000`))).toBe(
          text,
        );
      }),
    );
  });
});

describe('arithmetic', () => {
  it('adds what floats cannot: a tenth and two tenths', () => {
    expect(formatDecimal(addDecimals(assertDecimal('0.1'), assertDecimal('0.2')))).toBe('0.3');
  });

  it('is exact: sums come apart again, products distribute', () => {
    fc.assert(
      fc.property(decimals, decimals, decimals, (one, two, three) => {
        const [a, b, c] = [assertDecimal(one), assertDecimal(two), assertDecimal(three)];
        expect(formatDecimal(addDecimals(addDecimals(a, b), negateDecimal(b)))).toBe(one);
        expect(formatDecimal(multiplyDecimals(a, addDecimals(b, c)))).toBe(
          formatDecimal(addDecimals(multiplyDecimals(a, b), multiplyDecimals(a, c))),
        );
      }),
    );
  });

  it('throws for a text that no parser of ours has made', () => {
    expect(() => assertDecimal('1,5')).toThrow(RangeError);
  });
});
