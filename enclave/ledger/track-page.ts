// A page of an account's track record, as the ledger answers the question `track` that came over HTTPS: signed statements by
// their counters. The desk takes it as hostile and looks at its form alone; who asked verifies signatures and chain.

import { parseUtf8, utf8 } from '../../wire/bytes.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { parseFields } from '../../wire/fields.ts';
import type { Result } from '../../wire/result.ts';

export const MAX_PAGE_STATEMENTS = 500;
/** As text: sealed for a client it stays below MAX_ANSWER_BYTES of wire/envelope.ts. */
export const MAX_PAGE_BYTES: number = 512 * 1024;
const MAX_ARGUMENT_BYTES = 64;

/** As JSON. */
export interface TrackPage {
  /** Each as `signedStatementToJson` writes it. */
  readonly statements: readonly object[];
  /** Counter of the newest statement; 0: there is none. */
  readonly head: number;
  /** `after` of the next question; null: these were the last. */
  readonly next: number | null;
  readonly freshness: 'consistent' | 'fresh';
}

export function encodeTrackAsk(after: number): Uint8Array {
  return encodeCbor(new Map([[1, after]]));
}

export function parseTrackAsk(bytes: Uint8Array): Result<number> {
  return parseFields('track_ask', bytes, MAX_ARGUMENT_BYTES, (fields) => fields.uint(1));
}

export function encodeTrackPage(page: TrackPage): Uint8Array {
  return utf8(JSON.stringify(page));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isCounter(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Null for anything else. What the statements say is not looked at. */
export function parseTrackPage(bytes: Uint8Array): TrackPage | null {
  let value: unknown;
  try {
    value = JSON.parse(parseUtf8(bytes) ?? '');
  } catch {
    return null;
  }
  if (!isObject(value) || Object.keys(value).length !== 4) return null;
  const { statements, head, next, freshness } = value as Readonly<Record<string, unknown>>;
  if (!Array.isArray(statements) || statements.length > MAX_PAGE_STATEMENTS) return null;
  const list = (statements as readonly unknown[]).filter(isObject);
  if (list.length < statements.length) return null;
  if (!isCounter(head) || (next !== null && !isCounter(next))) return null;
  if (freshness !== 'consistent' && freshness !== 'fresh') return null;
  return { statements: list, head, next, freshness };
}
