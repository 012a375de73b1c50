// Ratios and roots. Sums and quotients of whole numbers are exact and rounded once; roots, powers and quotients of roots are
// decimal.js with 60 significant digits, rounded half even, so that two programs that do the same steps get the same
// text. Money never comes in here but as a dividend or a divisor: amounts are bigint and stay so.
//
//   ratio text   canonical decimal, at most 18 digits after the point (12 for statistics), no exponent, no -0

import { Decimal } from 'decimal.js';
import type { Fixed } from '../fixed.ts';
import { divideRounded, FIXED_ONE, formatFixed, parseFixed } from '../fixed.ts';

export const RATIO_DIGITS = 18;
export const STATISTIC_DIGITS = 12;
/** Significant digits of each step. */
export const PRECISION = 60;
/** Digits before the point that a published figure may have. */
export const MAX_WHOLE_DIGITS = 30;

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

export const NIL: Ratio = new Ratio(0);
const LARGEST: Ratio = new Ratio(10).pow(MAX_WHOLE_DIGITS);
const LARGEST_FIXED: bigint = FIXED_ONE * 10n ** BigInt(MAX_WHOLE_DIGITS);

/** Of a text that a parser or a function of ours has made. */
export function ratioOf(text: string): Ratio {
  return new Ratio(text);
}

/** A return in units of 10^-18. Throws a RangeError for a text that none of our functions has made. */
export function ratioUnits(text: string): Fixed {
  const value = parseFixed(text);
  if (value === null) throw new RangeError('a return with more than 18 digits');
  return value;
}

/** `numerator` / `denominator` with 60 digits; the denominator is not 0. */
export function quotient(numerator: bigint, denominator: bigint): Ratio {
  return new Ratio(numerator.toString()).div(denominator.toString());
}

/** `numerator` / `denominator` (positive), exact until it is rounded half even at its 18th digit. Null: too large. */
export function exactRatio(numerator: bigint, denominator: bigint): string | null {
  const rounded = divideRounded(numerator * FIXED_ONE, denominator);
  const isLarge = rounded >= LARGEST_FIXED || rounded <= -LARGEST_FIXED;
  return isLarge ? null : formatFixed(rounded);
}

/** Canonical text, rounded half even. */
export function formatRatio(value: Ratio, digits: number = RATIO_DIGITS): string {
  const rounded = value.toDecimalPlaces(digits, Decimal.ROUND_HALF_EVEN);
  return rounded.isZero() ? '0' : rounded.toFixed();
}

function isWritable(value: Ratio): boolean {
  return value.isFinite() && value.abs().lt(LARGEST);
}

/** Null for what is too large to be a figure. */
export function formatStatistic(value: Ratio): string | null {
  return isWritable(value) ? formatRatio(value, STATISTIC_DIGITS) : null;
}
