// Careful access to what a venue answered. A field that is missing, or of another type, is null; never 0, never an
// empty text that could pass for one.

import { canonicalDecimal } from '../../wire/decimal.ts';

export type Raw = Readonly<Record<string, unknown>>;

export function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function rawOf(value: unknown): Raw {
  return isRaw(value) ? value : {};
}

/** A member, or a member of a member: `rawAt(answer, 'result', 'list')`. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let found: unknown = value;
  for (const name of path) found = isRaw(found) ? found[name] : undefined;
  return found;
}

export function listAt(value: unknown, ...path: readonly string[]): readonly Raw[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found.filter(isRaw) : [];
}

/** Null for a missing list, so that an answer of another shape is no empty account. */
export function listOrNullAt(value: unknown, ...path: readonly string[]): readonly Raw[] | null {
  return Array.isArray(at(value, ...path)) ? listAt(value, ...path) : null;
}

/** Texts and numbers; null for the rest and for an empty text. */
export function textAt(value: unknown, ...path: readonly string[]): string | null {
  const found = at(value, ...path);
  if (typeof found === 'number' && Number.isFinite(found)) return String(found);
  return typeof found === 'string' && found.length > 0 ? found : null;
}

export function boolAt(value: unknown, ...path: readonly string[]): boolean | null {
  const found = at(value, ...path);
  if (found === true || found === 'true') return true;
  return found === false || found === 'false' ? false : null;
}

/** Canonical, or null. */
export function decimalAt(value: unknown, ...path: readonly string[]): string | null {
  const text = textAt(value, ...path);
  return text === null ? null : canonicalDecimal(text);
}

/** A time in milliseconds, from a whole number of them. */
export function timeAt(value: unknown, ...path: readonly string[]): number | null {
  const text = textAt(value, ...path);
  if (text === null || !/^[0-9]{1,15}$/u.test(text)) return null;
  return Number(text);
}
