// Ratios and roots: decimal.js with 60 significant digits, rounded half even, so that two programs that do the same
// steps get the same text. Money never comes in here but as a dividend or a divisor: amounts are bigint and stay so.
//
//   ratio text   canonical decimal, at most 18 digits after the point (12 for statistics), no exponent, no -0

import { Decimal } from 'decimal.js';

export const RATIO_DIGITS = 18;
export const STATISTIC_DIGITS = 12;
/** Significant digits of each step. */
export const PRECISION = 60;
/** Digits before the point that a published figure may have. */
const MAX_WHOLE_DIGITS = 40;

/** A constructor of our own: nobody else's settings reach it, and ours reach nobody else. */
export const Ratio: typeof Decimal = Decimal.clone({
  precision: PRECISION,
  rounding: Decimal.ROUND_HALF_EVEN,
  toExpNeg: -9e15,
  toExpPos: 9e15,
  maxE: 9e15,
  minE: -9e15,
  defaults: true,
});
export type Ratio = Decimal;

export const ONE: Ratio = new Ratio(1);
export const NIL: Ratio = new Ratio(0);
const LARGEST: Ratio = new Ratio(10).pow(MAX_WHOLE_DIGITS);

/** Of a text that a parser or a function of ours has made. */
export function ratioOf(text: string): Ratio {
  return new Ratio(text);
}

/** `numerator` / `denominator`, both in the same unit; the denominator is not 0. */
export function quotient(numerator: bigint, denominator: bigint): Ratio {
  return new Ratio(numerator.toString()).div(denominator.toString());
}

/** Canonical text, rounded half even. */
export function formatRatio(value: Ratio, digits: number = RATIO_DIGITS): string {
  const rounded = value.toDecimalPlaces(digits, Decimal.ROUND_HALF_EVEN);
  return rounded.isZero() ? '0' : rounded.toFixed();
}

export function isWritable(value: Ratio): boolean {
  return value.isFinite() && value.abs().lt(LARGEST);
}

/** Null for what is too large to be a figure. */
export function formatStatistic(value: Ratio): string | null {
  return isWritable(value) ? formatRatio(value, STATISTIC_DIGITS) : null;
}

export function sumOf(values: readonly Ratio[]): Ratio {
  return values.reduce((sum, value) => sum.plus(value), NIL);
}
