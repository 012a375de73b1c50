// Exact decimals of the simulated exchange: a bigint that counts 10^-18 units. Everything that is added up in the
// ledger is one of these; nothing ever becomes a float. Only division rounds, towards zero, and where a venue
// would write eight decimals `roundTo` says so.

/** In units of 10^-18. */
export type Amount = bigint;

const PLACES = 18;
const UNIT: bigint = 10n ** BigInt(PLACES);
const DECIMAL = /^(?<sign>-?)(?<whole>\d{1,30})(?:\.(?<fraction>\d{1,18}))?$/u;

/** Throws where the text is no plain decimal of at most 18 places. */
export function parseAmount(text: string): Amount {
  const groups = DECIMAL.exec(text)?.groups;
  if (groups === undefined)
    throw new RangeError(`no decimal: ${JSON.stringify(text.slice(0, 60))}`);
  const { sign = '', whole = '0', fraction = '' } = groups;
  const value = BigInt(whole) * UNIT + BigInt(fraction.padEnd(PLACES, '0'));
  return sign === '-' ? -value : value;
}

/** Canonical: no exponent, no trailing zeros. */
export function formatAmount(value: Amount): string {
  const text = formatPlaces(value, PLACES);
  return text.replace(/\.?0+$/u, '');
}

/** Exactly that many decimals, as venues pad them; what is beyond is cut. */
export function formatPlaces(value: Amount, places: number): string {
  const magnitude = value < 0n ? -value : value;
  const digits = magnitude.toString().padStart(PLACES + 1, '0');
  const whole = digits.slice(0, -PLACES);
  const fraction = digits.slice(-PLACES).slice(0, places);
  const text = places === 0 ? whole : `${whole}.${fraction}`;
  return value < 0n && /[1-9]/u.test(text) ? `-${text}` : text;
}

export function multiply(left: Amount, right: Amount): Amount {
  return (left * right) / UNIT;
}

/** Rounds towards zero. */
export function divide(left: Amount, right: Amount): Amount {
  return (left * UNIT) / right;
}

/** Cuts towards zero. */
export function roundTo(value: Amount, places: number): Amount {
  const step = 10n ** BigInt(PLACES - places);
  return (value / step) * step;
}

export function absolute(value: Amount): Amount {
  return value < 0n ? -value : value;
}
