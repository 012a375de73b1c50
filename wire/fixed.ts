// Money as whole numbers: a Fixed is a bigint that counts 10^-18 of a unit of its currency. Sums and differences are
// those of bigint and exact. Whatever needs more digits is refused where it comes in (null), never rounded
// unseen; products and quotients round half to even, once, where a function of this file says so.

import { isCanonicalDecimal, parseDecimal } from './decimal.ts';

/** 10^-18 of a unit: 1 is written `FIXED_ONE`. */
export type Fixed = bigint;

/** Digits after the point. */
export const FIXED_SCALE = 18;
export const FIXED_ONE: Fixed = 10n ** BigInt(FIXED_SCALE);
const HALF: Fixed = FIXED_ONE / 2n;
const MINUS_HALF: Fixed = -HALF;
const ONE_SQUARED = FIXED_ONE * FIXED_ONE;
/** Beyond it a text is refused: 10^30 units, which no account holds. */
export const MAX_FIXED: Fixed = 10n ** 48n;

const POWERS: readonly bigint[] = Array.from(
  { length: FIXED_SCALE + 1 },
  (_, at) => 10n ** BigInt(at),
);

/** What venues write mostly; read without a detour, because there are millions of them. */
const PLAIN = /^(-?[0-9]{1,18})(?:\.([0-9]{1,18}))?$/u;
/** Those of them that are canonical, and `-0`. */
const PLAIN_CANONICAL = /^(-?(?:0|[1-9][0-9]{0,17}))(?:\.([0-9]{0,17}[1-9]))?$/u;

function fixedOf([, whole = '', fraction = '']: RegExpExecArray): Fixed {
  return BigInt(whole + fraction) * (POWERS[FIXED_SCALE - fraction.length] ?? 1n);
}

/** Exact, of any text that parseDecimal takes; null for another, beyond 18 digits after the point, or beyond 10^30. */
export function toFixed(text: string): Fixed | null {
  const plain = PLAIN.exec(text);
  if (plain !== null) return fixedOf(plain);
  const value = parseDecimal(text);
  if (value === null || value.scale > FIXED_SCALE) return null;
  const fixed = value.units * (POWERS[FIXED_SCALE - value.scale] ?? 1n);
  return fixed <= MAX_FIXED && fixed >= -MAX_FIXED ? fixed : null;
}

/** Of the one canonical text (wire/decimal.ts) only, for what is signed. */
export function parseFixed(text: string): Fixed | null {
  const plain = text === '-0' ? null : PLAIN_CANONICAL.exec(text);
  if (plain !== null) return fixedOf(plain);
  return isCanonicalDecimal(text) ? toFixed(text) : null;
}

/** Canonical: equal values are equal texts. */
export function formatFixed(value: Fixed): string {
  const digits = (value < 0n ? -value : value).toString().padStart(FIXED_SCALE + 1, '0');
  const point = digits.length - FIXED_SCALE;
  let end = digits.length;
  while (end > point && digits[end - 1] === '0') end--;
  const whole = `${value < 0n ? '-' : ''}${digits.slice(0, point)}`;
  return end === point ? whole : `${whole}.${digits.slice(point, end)}`;
}

/** `numerator` / `denominator`, half to even. Throws a RangeError for a denominator of zero, which is a bug. */
export function divideRounded(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const rest = numerator - quotient * denominator;
  if (rest === 0n) return quotient;
  const twice = rest < 0n ? -(rest + rest) : rest + rest;
  const size = denominator < 0n ? -denominator : denominator;
  if (twice < size || (twice === size && quotient % 2n === 0n)) return quotient;
  return rest < 0n === denominator < 0n ? quotient + 1n : quotient - 1n;
}

/** divideRounded by FIXED_ONE, whose half is known: nothing is done more often. */
export function multiplyFixed(a: Fixed, b: Fixed): Fixed {
  const product = a * b;
  const quotient = product / FIXED_ONE;
  const rest = product - quotient * FIXED_ONE;
  if (rest === 0n) return quotient;
  if (rest < HALF && rest > MINUS_HALF) return quotient;
  if ((rest === HALF || rest === MINUS_HALF) && quotient % 2n === 0n) return quotient;
  return rest > 0n ? quotient + 1n : quotient - 1n;
}

/** a·b·c, rounded once. */
export function multiplyThree(a: Fixed, b: Fixed, c: Fixed): Fixed {
  return divideRounded(a * b * c, ONE_SQUARED);
}

/** Throws a RangeError for b = 0, which is a bug. */
export function divideFixed(a: Fixed, b: Fixed): Fixed {
  return divideRounded(a * FIXED_ONE, b);
}

/**
 * What `part` of `whole` has of `value`. Asked for what is left before and after, the differences of it add up to
 * `value` without a residue: share(v, w, w) = v, share(v, 0, w) = 0.
 */
export function shareOf(value: Fixed, part: Fixed, whole: Fixed): Fixed {
  return part === whole ? value : divideRounded(value * part, whole);
}

export function absolute(value: Fixed): Fixed {
  return value < 0n ? -value : value;
}
