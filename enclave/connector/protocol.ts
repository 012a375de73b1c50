// Frames between the desk and a connector process, over a Channel (wire/channel.ts). The desk takes what a
// connector sends as hostile: sizes, times, names and decimals are checked here, hosts and budgets by the
// desk. A connector has no other way out: each HTTP request is a FETCH. One job at a time on one connector;
// RECORDS of a job count when its DONE is there, with the cursors that go with them, and not before.
//
//   desk → connector   JOB, FETCHED, BODY, FETCH_FAILED
//   connector → desk   FETCH, RECORDS, CALL_CLASS, DONE

import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { isCanonicalDecimal } from '../../wire/decimal.ts';
import type { Fields } from '../../wire/fields.ts';
import { parseFields } from '../../wire/fields.ts';
import type { Result } from '../../wire/result.ts';
import type { CallClass, Coverage, ErrorClass } from './classes.ts';
import { CALL_CLASSES, COVERAGE_REASONS, COVERAGE_SUBJECTS, ERROR_CLASSES } from './classes.ts';
import { MAX_CURSOR_BYTES, MAX_ID } from './job.ts';
import type { ConnectorRecord, RecordKind } from './records.ts';
import { mapOf, MAX_TIME_MS, oneOf, oneOfOrNull, READ_RECORD, RECORD_KINDS } from './records.ts';

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
const MAX_REQUEST_BODY_BYTES: number = 64 * 1024;
const MAX_URL_CHARACTERS = 8192;
const MAX_HEADERS = 64;
const MAX_HEADER_CHARACTERS = 4096;
const MAX_COVERAGE = 1024;
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

export function parseFetch(bytes: Uint8Array): Result<Fetch> {
  return parseFields('fetch', bytes, MAX_CONNECTOR_FRAME_BYTES, (fields) => {
    const weight = fields.text(7, 20);
    if (!isCanonicalDecimal(weight) || weight.startsWith('-')) return fields.refuse(7);
    return {
      job: fields.uint(1, MAX_ID),
      call: fields.uint(2, MAX_ID),
      method: oneOf(fields, 3, ['GET', 'POST', 'PUT', 'DELETE']),
      url: fields.text(4, MAX_URL_CHARACTERS),
      headers: readHeaders(fields, 5),
      body: fields.bytesOrNull(6, 0, MAX_REQUEST_BODY_BYTES),
      weight,
      attempt: fields.uint(8, 100),
    };
  });
}

export function encodeFetched(fetched: Fetched): Uint8Array {
  return encodeMap([fetched.call, fetched.status, headersOf(fetched.headers), fetched.more]);
}

export function encodeBody(body: Body): Uint8Array {
  return encodeMap([body.call, body.bytes, body.last]);
}

export function encodeFetchFailed(failed: FetchFailed): Uint8Array {
  return encodeMap([failed.call, failed.errorClass, failed.retryAfterMs]);
}

export function parseRecords(bytes: Uint8Array): Result<Records> {
  return parseFields('records', bytes, MAX_RECORDS_BYTES, (fields) => {
    const kind = oneOf(fields, 2, RECORD_KINDS);
    const records = fields.maps(3, MAX_RECORDS_PER_PAGE, READ_RECORD[kind]);
    return { job: fields.uint(1, MAX_ID), kind, records };
  });
}

export function parseCallMeaning(bytes: Uint8Array): Result<CallMeaning> {
  return parseFields('call_class', bytes, MAX_SMALL_BYTES, (fields) => ({
    call: fields.uint(1, MAX_ID),
    callClass: oneOf(fields, 2, CALL_CLASSES),
  }));
}

function boolOrNull(fields: Fields, field: number): boolean | null {
  return fields.take(field) === null ? null : fields.bool(field);
}

function readPermissions(fields: Fields): Permissions {
  return {
    read: boolOrNull(fields, 1),
    trade: boolOrNull(fields, 2),
    withdraw: boolOrNull(fields, 3),
    transfer: boolOrNull(fields, 4),
    ipRestricted: boolOrNull(fields, 5),
    subAccount: boolOrNull(fields, 6),
    expiresMs: fields.uintOrNull(7, MAX_TIME_MS),
    accountId: fields.textOrNull(8, 128),
  };
}

export function parseDone(bytes: Uint8Array): Result<Done> {
  return parseFields('done', bytes, MAX_CONNECTOR_FRAME_BYTES, (fields) => ({
    job: fields.uint(1, MAX_ID),
    outcome: oneOf(fields, 2, ['complete', 'partial', 'failed']),
    errorClass: oneOfOrNull(fields, 3, ERROR_CLASSES),
    cursors: fields.bytesOrNull(4, 1, MAX_CURSOR_BYTES),
    coverage: fields.maps(5, MAX_COVERAGE, (coverage) => ({
      what: oneOf(coverage, 1, COVERAGE_SUBJECTS),
      market: coverage.text(2, 64),
      fromMs: coverage.uint(3, MAX_TIME_MS),
      toMs: coverage.uint(4, MAX_TIME_MS),
      complete: coverage.bool(5),
      reason: oneOfOrNull(coverage, 6, COVERAGE_REASONS),
    })),
    permissions: fields.mapOrNull(6, readPermissions),
    clockOffsetMs: fields.take(7) === null ? null : fields.int(7),
  }));
}
