// What a client rejects with: a closed code, its facts, and what a person can do. Nothing of a secret is in it.

import { hintOf } from '../verifier/hints.ts';
import type { RefusalCode } from '../wire/codes.ts';
import { REFUSAL_CODES } from '../wire/codes.ts';
import type { Refusal, RefusalDetail, Result } from '../wire/result.ts';

export class SecureClientError extends Error {
  override readonly name = 'SecureClientError';
  /** Of the list in docs/PROTOCOL.md 13. */
  readonly code: RefusalCode;
  readonly detail: RefusalDetail;
  /** For people. */
  readonly next: string;

  constructor({ code, detail }: Refusal) {
    const facts = Object.entries(detail).map(([name, value]) => `${name} ${String(value)}`);
    const shown = facts.length === 0 ? '' : ` (${facts.join(', ')})`;
    super(`${code}: ${REFUSAL_CODES[code]}${shown}; ${hintOf(code)}`);
    this.code = code;
    this.detail = detail;
    this.next = hintOf(code);
  }
}

export function valueOf<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new SecureClientError(result.refusal);
}
