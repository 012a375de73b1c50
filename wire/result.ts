// A refusal is a value: hostile input never throws. Throwing is left for bugs in our own code.
// Codes are the closed list in codes.ts, printed in docs/PROTOCOL.md.

import type { RefusalCode } from './codes.ts';

/** Facts about a refusal that are safe to show: numbers, hashes, names. Never secrets or peer bytes. */
export type RefusalDetail = Readonly<Record<string, string | number | boolean | null>>;

export interface Refusal {
  readonly code: RefusalCode;
  readonly detail: RefusalDetail;
}

export type Result<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

export function accept<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function refuse(code: RefusalCode, detail: RefusalDetail = {}): Result<never> {
  return { ok: false, refusal: { code, detail } };
}

/** For tests and for values that our own code has made: a refusal here is a bug. */
export function assertAccepted<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Error(
    `unexpected refusal ${result.refusal.code} ${JSON.stringify(result.refusal.detail)}`,
  );
}
