// How figures are printed: rounded half to even from the exact text, with the exact text still in the JSON. Null is a word,
// never a zero and never an empty cell.

import type { Fixed } from '../../wire/fixed.ts';
import { divideRounded, FIXED_ONE } from '../../wire/fixed.ts';
import { formatRatio, ratioOf } from '../../wire/performance/ratio.ts';

export const UNKNOWN = 'not known';

function grouped(whole: string): string {
  return whole.replaceAll(/\B(?=(?:\d{3})+$)/gu, ',');
}

/** Always `digits` digits behind the point, U+2212 for a minus. */
function decimals(text: string, digits: number): string {
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.');
  const body = `${grouped(whole)}${digits === 0 ? '' : `.${fraction.padEnd(digits, '0')}`}`;
  const isZero = /^[0.,]*$/u.test(body);
  return text.startsWith('-') && !isZero ? `\u2212${body}` : body;
}

/** Of a ratio: 0.0123 is 1.23 %. */
export function percent(ratio: string | null, digits = 2): string {
  if (ratio === null) return UNKNOWN;
  return `${decimals(formatRatio(ratioOf(ratio).times(100), digits), digits)} %`;
}

export function decimal(value: string | null, digits = 2): string {
  return value === null ? UNKNOWN : decimals(formatRatio(ratioOf(value), digits), digits);
}

/** Of US dollars, to the cent. */
export function dollars(value: Fixed | null): string {
  if (value === null) return UNKNOWN;
  const cents = divideRounded(value, FIXED_ONE / 100n);
  const digits = (cents < 0n ? -cents : cents).toString().padStart(3, '0');
  return decimals(`${cents < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`, 2);
}

export function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Minutes of UTC. */
export function minute(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

export function count(value: number): string {
  return grouped(String(value));
}

/** 1 hour, 2 hours. */
export function named(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}
