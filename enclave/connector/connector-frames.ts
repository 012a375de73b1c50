// The connector's half of the frames between desk and connector: what it says, and what it takes. Limits are in
// protocol.ts, the desk's half in enclave/desk/connector-frames.ts.

import type { CborValue } from '../../wire/cbor.ts';
import { parseFields } from '../../wire/fields.ts';
import type { Result } from '../../wire/result.ts';
import { ERROR_CLASSES } from './classes.ts';
import { MAX_ID } from './job.ts';
import type {
  Body,
  CallMeaning,
  Done,
  Fetch,
  Fetched,
  FetchFailed,
  Permissions,
  Records,
} from './protocol.ts';
import {
  encodeMap,
  headersOf,
  MAX_BODY_CHUNK_BYTES,
  MAX_CONNECTOR_FRAME_BYTES,
  MAX_SMALL_BYTES,
  readHeaders,
} from './protocol.ts';
import { mapOf, oneOf, recordToCbor } from './records.ts';

export function encodeFetch(fetch: Fetch): Uint8Array {
  return encodeMap([
    fetch.job,
    fetch.call,
    fetch.method,
    fetch.url,
    headersOf(fetch.headers),
    fetch.body,
    fetch.weight,
    fetch.attempt,
  ]);
}

export function parseFetched(bytes: Uint8Array): Result<Fetched> {
  return parseFields('fetched', bytes, MAX_CONNECTOR_FRAME_BYTES, (fields) => ({
    call: fields.uint(1, MAX_ID),
    status: fields.uint(2, 999, 100),
    headers: readHeaders(fields, 3),
    more: fields.bool(4),
  }));
}

export function parseBody(bytes: Uint8Array): Result<Body> {
  return parseFields('body', bytes, MAX_CONNECTOR_FRAME_BYTES, (fields) => ({
    call: fields.uint(1, MAX_ID),
    bytes: fields.bytes(2, 0, MAX_BODY_CHUNK_BYTES),
    last: fields.bool(3),
  }));
}

export function parseFetchFailed(bytes: Uint8Array): Result<FetchFailed> {
  return parseFields('fetch_failed', bytes, MAX_SMALL_BYTES, (fields) => ({
    call: fields.uint(1, MAX_ID),
    errorClass: oneOf(fields, 2, ERROR_CLASSES),
    retryAfterMs: fields.uintOrNull(3),
  }));
}

/** At most MAX_RECORDS_PER_PAGE and MAX_RECORDS_BYTES; `pagesOf` in pages.ts cuts longer lists. */
export function encodeRecords({ job, kind, records }: Records): Uint8Array {
  return encodeMap([job, kind, records.map(recordToCbor)]);
}

export function encodeCallMeaning(meaning: CallMeaning): Uint8Array {
  return encodeMap([meaning.call, meaning.callClass]);
}

function permissionsOf(permissions: Permissions): CborValue {
  return mapOf([
    permissions.read,
    permissions.trade,
    permissions.withdraw,
    permissions.transfer,
    permissions.ipRestricted,
    permissions.subAccount,
    permissions.expiresMs,
    permissions.accountId,
  ]);
}

export function encodeDone(done: Done): Uint8Array {
  return encodeMap([
    done.job,
    done.outcome,
    done.errorClass,
    done.cursors,
    done.coverage.map(({ what, market, fromMs, toMs, complete, reason }) =>
      mapOf([what, market, fromMs, toMs, complete, reason]),
    ),
    done.permissions === null ? null : permissionsOf(done.permissions),
    done.clockOffsetMs,
  ]);
}
