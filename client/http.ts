// How a client asks: one request, one answer, sizes and times bounded. What an answer says is hostile until it is
// opened or verified; errors are plain, so that whoever carries them can invent one, which is no more than not answering.

import { isRefusalCode } from '../wire/codes.ts';
import { parseUtf8 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { refuse } from '../wire/result.ts';

export interface Ask {
  readonly method: 'GET' | 'POST';
  /** Beginning with a slash; appended to the base address. */
  readonly path: string;
  /** JSON. */
  readonly body: string | null;
  readonly maxBytes: number;
  /**
   * SHA-256 of the SubjectPublicKeyInfo that the peer must show before a byte of the request is sent. Null: nobody is
   * known yet. Who cannot see the peer's key (a browser) cannot keep this.
   */
  readonly pin: Uint8Array | null;
}

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
  /** Of the connection on which this answer came; null where the platform does not tell. */
  readonly tlsKeyHash: Uint8Array | null;
}

/** Never rejects: `source_unreachable`, `tls_key_mismatch`, `message_malformed` (larger than asked for). */
export type Http = (ask: Ask) => Promise<Result<Answer>>;

/** https, or null. A path in it is a prefix. */
export function parseBase(text: string): URL | null {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' || url.search !== '' || url.hash !== '') return null;
  if (url.username !== '' || url.password !== '') return null;
  url.pathname = url.pathname.replace(/\/+$/u, '');
  return url;
}

export function targetOf(base: URL, path: string): URL {
  const prefix = base.pathname === '/' ? '' : base.pathname;
  return new URL(`${prefix}${path}`, base);
}

/** An answer with another status than 200: the enclave's code where there is one. */
export function refusalOf({ status, body }: Answer): Result<never> {
  const fields = parseJson(body.subarray(0, 64 * 1024));
  for (const name of ['code', 'error']) {
    const code = fields?.[name];
    if (typeof code === 'string' && isRefusalCode(code)) return refuse(code, { status });
  }
  return refuse('source_unreachable', { what: 'not an answer of the enclave', status });
}

/** Null for anything but one object. */
export function parseJson(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(parseUtf8(bytes) ?? '');
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}
