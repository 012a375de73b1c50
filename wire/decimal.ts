// Exact decimals: what an exchange writes as text stays what it wrote. A value is `units` / 10^`scale`; sums,
// differences and products are exact on bigint, and there is no division. Text in is bounded before a bigint
// is made of it; text out is canonical, so that equal values are equal strings.
//
//   canonical   -? (0 | [1-9][0-9]*) (. [0-9]* [1-9])?    no exponent, no plus sign, never -0, at most 60 digits

export interface Decimal {
  readonly units: bigint;
  /** Digits after the point, 0 or more. */
  readonly scale: number;
}

export const MAX_DECIMAL_DIGITS = 60;
/** Sign, digits and point, and an exponent such as `e-18`. */
const MAX_TEXT_CHARACTERS: number = MAX_DECIMAL_DIGITS + 8;
/** Zeros that an exponent adds count as digits. */
const SYNTAX = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,2}))?$/u;
const CANONICAL = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?$/u;

export const ZERO: Decimal = { units: 0n, scale: 0 };

function isBounded(digits: number): boolean {
  return digits <= MAX_DECIMAL_DIGITS;
}

/**
 * Reads what exchanges write: a sign, leading and trailing zeros, `.5`, `5.`, and an exponent of at most two
 * digits. Null for anything else, and for a value that needs more than 60 digits.
 */
export function parseDecimal(text: string): Decimal | null {
  if (text.length > MAX_TEXT_CHARACTERS) return null;
  const match = SYNTAX.exec(text);
  if (match === null) return null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  if (whole.length + fraction.length === 0) return null;
  const shift = fraction.length - Number(exponent);
  const units = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  const value = normalise(
    shift >= 0 ? { units, scale: shift } : { units: units * 10n ** BigInt(-shift), scale: 0 },
  );
  const length = digitsOf(value.units);
  return isBounded(Math.max(length, value.scale + 1)) ? value : null;
}

function digitsOf(units: bigint): number {
  return (units < 0n ? -units : units).toString().length;
}

/** Without zeros at the end of the fraction. */
function normalise({ units, scale }: Decimal): Decimal {
  if (units === 0n) return ZERO;
  if (scale === 0 || units % 10n !== 0n) return { units, scale };
  const text = units.toString();
  let zeros = 0;
  while (zeros < scale && text.at(-1 - zeros) === '0') zeros++;
  return { units: BigInt(text.slice(0, text.length - zeros)), scale: scale - zeros };
}

/** Canonical, whatever the length. */
export function formatDecimal(value: Decimal): string {
  const { units, scale } = normalise(value);
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  const sign = units < 0n ? '-' : '';
  const fraction = scale === 0 ? '' : `.${digits.slice(point)}`;
  return `${sign}${digits.slice(0, point)}${fraction}`;
}

/** The one text of this value; null when it is no decimal. */
export function canonicalDecimal(text: string): string | null {
  const value = parseDecimal(text);
  return value === null ? null : formatDecimal(value);
}

export function isCanonicalDecimal(text: string): boolean {
  if (text.length > MAX_DECIMAL_DIGITS + 2 || text === '-0' || !CANONICAL.test(text)) return false;
  return isBounded(text.length - (text[0] === '-' ? 1 : 0) - (text.includes('.') ? 1 : 0));
}

/** For text that a parser of ours has checked; throws a RangeError for another, which is a bug. */
export function assertDecimal(text: string): Decimal {
  const value = parseDecimal(text);
  if (value === null) throw new RangeError('not a decimal');
  return value;
}

function unitsAt(value: Decimal, scale: number): bigint {
  return value.units * 10n ** BigInt(scale - value.scale);
}

export function addDecimals(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return normalise({ units: unitsAt(a, scale) + unitsAt(b, scale), scale });
}

export function negateDecimal(value: Decimal): Decimal {
  return { units: -value.units, scale: value.scale };
}

export function multiplyDecimals(a: Decimal, b: Decimal): Decimal {
  return normalise({ units: a.units * b.units, scale: a.scale + b.scale });
}

export function isNegative(value: Decimal): boolean {
  return value.units < 0n;
}
