// The desk's half of the frames between desk and connector (enclave/connector/protocol.ts): what it answers, and what it
// takes, which is hostile. Sizes, times, names and decimals are checked here, hosts and budgets in calls.ts.

import { encodeCbor } from '../../wire/cbor.ts';
import { isCanonicalDecimal } from '../../wire/decimal.ts';
import type { Fields } from '../../wire/fields.ts';
import { parseFields } from '../../wire/fields.ts';
import type { Result } from '../../wire/result.ts';
import {
  CALL_CLASSES,
  COVERAGE_REASONS,
  COVERAGE_SUBJECTS,
  ERROR_CLASSES,
} from '../connector/classes.ts';
import type { Job } from '../connector/job.ts';
import { MAX_CURSOR_BYTES, MAX_ID } from '../connector/job.ts';
import type {
  Body,
  CallMeaning,
  Done,
  Fetch,
  Fetched,
  FetchFailed,
  Permissions,
  Records,
} from '../connector/protocol.ts';
import {
  encodeMap,
  headersOf,
  MAX_CONNECTOR_FRAME_BYTES,
  MAX_RECORDS_BYTES,
  MAX_RECORDS_PER_PAGE,
  MAX_SMALL_BYTES,
  readHeaders,
} from '../connector/protocol.ts';
import {
  mapOf,
  MAX_TIME_MS,
  oneOf,
  oneOfOrNull,
  READ_RECORD,
  RECORD_KINDS,
} from '../connector/records.ts';

const MAX_REQUEST_BODY_BYTES: number = 64 * 1024;
const MAX_URL_CHARACTERS = 8192;
const MAX_COVERAGE = 1024;

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

export function encodeJob(job: Job): Uint8Array {
  const { settings, credentials, budget } = job;
  return encodeCbor(
    mapOf([
      job.id,
      job.kind,
      job.venue,
      mapOf([
        settings.accountType,
        settings.environment,
        settings.label,
        settings.allowTrading,
        settings.symbols,
      ]),
      mapOf([credentials.apiKey, credentials.secret, credentials.passphrase]),
      job.cursors,
      job.fromMs,
      job.nowMs,
      job.priority,
      mapOf([budget.calls, budget.retries, budget.deadlineMs]),
      job.prices.map(({ kind, symbol, fromMs, toMs, stepMs }) =>
        mapOf([kind, symbol, fromMs, toMs, stepMs]),
      ),
      job.reads,
    ]),
  );
}
