// Frames between the desk and a connector process, over a Channel (wire/channel.ts): types, limits and values. What
// each side writes and reads is in its connector-frames.ts; the desk takes what a connector sends as hostile. A
// connector has no other way out: each HTTP request is a FETCH. One job at a time on one connector; RECORDS
// of a job count when its DONE is there, with the cursors that go with them, and not before.
//
//   desk → connector   JOB, FETCHED, BODY, FETCH_FAILED
//   connector → desk   FETCH, RECORDS, CALL_CLASS, DONE

import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import type { Fields } from '../../wire/fields.ts';
import type { CallClass, Coverage, ErrorClass } from './classes.ts';
import type { ConnectorRecord, RecordKind } from './records.ts';
import { mapOf } from './records.ts';

export const CONNECTOR_FRAME = {
  job: 0x80,
  fetched: 0x81,
  body: 0x82,
  fetchFailed: 0x83,
  fetch: 0x88,
  records: 0x89,
  callClass: 0x8a,
  done: 0x8b,
} as const;

export const TO_CONNECTOR_TYPES: readonly number[] = [
  CONNECTOR_FRAME.job,
  CONNECTOR_FRAME.fetched,
  CONNECTOR_FRAME.body,
  CONNECTOR_FRAME.fetchFailed,
];
export const FROM_CONNECTOR_TYPES: readonly number[] = [
  CONNECTOR_FRAME.fetch,
  CONNECTOR_FRAME.records,
  CONNECTOR_FRAME.callClass,
  CONNECTOR_FRAME.done,
];

/** Both ways; `firstCreditBytes` of the channel is FIRST_CREDIT_BYTES. */
export const MAX_CONNECTOR_FRAME_BYTES: number = 512 * 1024;
/** Of one BODY frame. */
export const MAX_BODY_CHUNK_BYTES: number = 256 * 1024;
/** Of a whole answer, inflated; the desk refuses more with `too_large`, and so does a connector. */
export const MAX_ANSWER_BYTES: number = 16 * 1024 * 1024;
export const MAX_RECORDS_BYTES: number = 256 * 1024;
export const MAX_RECORDS_PER_PAGE = 500;
const MAX_HEADERS = 64;
const MAX_HEADER_CHARACTERS = 4096;
export const MAX_SMALL_BYTES = 4096;

export interface Fetch {
  readonly job: number;
  readonly call: number;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array | null;
  /** In the venue's own units, canonical decimal. */
  readonly weight: string;
  /** Counted from 0. */
  readonly attempt: number;
}

/** Head of an answer; `more`: BODY frames follow, the last one with `last`. */
export interface Fetched {
  readonly call: number;
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly more: boolean;
}

export interface Body {
  readonly call: number;
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

export interface FetchFailed {
  readonly call: number;
  readonly errorClass: ErrorClass;
  readonly retryAfterMs: number | null;
}

export interface Records {
  readonly job: number;
  readonly kind: RecordKind;
  readonly records: readonly ConnectorRecord[];
}

/** What the body of an answer meant, for limiter and breaker. */
export interface CallMeaning {
  readonly call: number;
  readonly callClass: CallClass;
}

/** What the key may do, as the venue says; null: it does not say. */
export interface Permissions {
  readonly read: boolean | null;
  readonly trade: boolean | null;
  readonly withdraw: boolean | null;
  readonly transfer: boolean | null;
  readonly ipRestricted: boolean | null;
  readonly subAccount: boolean | null;
  readonly expiresMs: number | null;
  /** The venue's own name of the account. */
  readonly accountId: string | null;
}

export interface Done {
  readonly job: number;
  readonly outcome: 'complete' | 'partial' | 'failed';
  /** Of the call that ended it, when failed; of the first one that failed, when partial. */
  readonly errorClass: ErrorClass | null;
  /** For the next job of this account; null keeps the old ones. */
  readonly cursors: Uint8Array | null;
  readonly coverage: readonly Coverage[];
  /** Of a check. */
  readonly permissions: Permissions | null;
  /** The venue's answer to what time it is, less ours; null: not asked. */
  readonly clockOffsetMs: number | null;
}

export function encodeMap(values: readonly CborValue[]): Uint8Array {
  return encodeCbor(mapOf(values));
}

export function headersOf(headers: ReadonlyMap<string, string>): CborValue {
  return [...headers].map(([name, value]) => mapOf([name, value]));
}

export function readHeaders(fields: Fields, field: number): ReadonlyMap<string, string> {
  const headers = fields.maps(
    field,
    MAX_HEADERS,
    (header) => [header.text(1, 128), header.text(2, MAX_HEADER_CHARACTERS, 0)] as const,
  );
  return new Map(headers);
}
