// Decimal text of venues to scaled integers, without floats: exact or refused, never rounded.

const ZERO = 48;
const POINT = 46;
const MINUS = 45;
const MAX_BEFORE_DIGIT = Math.floor(Number.MAX_SAFE_INTEGER / 10);

/**
 * `text` × 10^scale as a safe integer. Null for anything but `-?digits[.digits]`, for decimals beyond the
 * scale that are not zeros, and for values beyond ±(2^53-1).
 */
export function parseDecimal(text: string, scale: number): number | null {
  const negative = text.charCodeAt(0) === MINUS;
  const start = negative ? 1 : 0;
  const length = text.length;
  let value = 0;
  let decimals = -1;
  for (let index = start; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code === POINT) {
      if (decimals >= 0 || index === start || index === length - 1) return null;
      decimals = 0;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9) return null;
    if (decimals === scale) {
      if (digit !== 0) return null;
      continue;
    }
    if (decimals >= 0) decimals++;
    if (value > MAX_BEFORE_DIGIT) return null;
    value = value * 10 + digit;
  }
  if (length === start) return null;
  for (let missing = scale - Math.max(decimals, 0); missing > 0; missing--) {
    if (value > MAX_BEFORE_DIGIT) return null;
    value *= 10;
  }
  if (value > Number.MAX_SAFE_INTEGER) return null;
  return negative && value !== 0 ? -value : value;
}

/** A scaled integer as text with all its decimals, for people: 6183763, 2 is `61837.63`. */
export function formatDecimal(value: bigint | number, scale: number): string {
  const scaled = BigInt(value);
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const sign = scaled < 0n ? '-' : '';
  return scale === 0 ? sign + whole : `${sign}${whole}.${digits.slice(digits.length - scale)}`;
}
