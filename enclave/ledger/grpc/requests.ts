// The bounds of every field of a request, before anything is done with it. What is out of them is refused with
// `call_malformed` and the name of the field as it is in the .proto.

import { utf8 } from '../../../wire/bytes.ts';
import type {
  AggregatedMetricsRequest,
  HistoricalReturnsRequest,
  SnapshotTimeSeriesRequest,
  SyncJobRequest,
} from '../../../wire/grpc/messages.ts';
import { SyncType } from '../../../wire/grpc/messages.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import type {
  RangeQuery,
  SyncQuery,
  SyncType as SyncWord,
  TrackQuery,
  TrackRange,
} from '../track-service-types.ts';
import { MAX_PAGE_ROWS } from '../track-service-types.ts';

/** As registration takes them, but for characters that are no text. */
const USER_UID = /^[^\p{C}\p{Zl}\p{Zp}]{1,100}$/u;
const MAX_USER_UID_BYTES = 100;
const EXCHANGE = /^[a-z0-9_-]{1,50}$/u;
const PAGE_TOKEN = /^[\x21-\x7e]{0,256}$/u;
const DEFAULT_PAGE_ROWS = 168;
/** Five years, two of which may be leap years. */
export const MAX_RANGE_MS: number = (5 * 365 + 2) * 86_400_000;
/** Year 10000. */
const MAX_TIME_MS = 253_402_300_800_000;

const SYNC_TYPES: Readonly<Record<number, SyncWord>> = {
  [SyncType.INCREMENTAL]: 'incremental',
  [SyncType.HISTORICAL]: 'historical',
  [SyncType.FULL]: 'full',
};

function malformed(field: string): Result<never> {
  return refuse('call_malformed', { field });
}

function parseQuery(request: AggregatedMetricsRequest): Result<TrackQuery> {
  const { userUid, exchange } = request;
  const isUser = USER_UID.test(userUid) && utf8(userUid).length <= MAX_USER_UID_BYTES;
  if (!isUser) return malformed('user_uid');
  if (exchange !== '' && !EXCHANGE.test(exchange)) return malformed('exchange');
  return accept({ userUid, exchange: exchange === '' ? null : exchange });
}

function isTime(ms: number): boolean {
  return ms > 0 && ms <= MAX_TIME_MS;
}

/** None when both are 0. */
function parseRange(startMs: number, endMs: number): Result<TrackRange | null> {
  if (startMs === 0 && endMs === 0) return accept(null);
  if (!isTime(startMs)) return malformed('start_date');
  if (!isTime(endMs) || endMs <= startMs) return malformed('end_date');
  if (endMs - startMs > MAX_RANGE_MS) return malformed('end_date');
  return accept({ startMs, endMs });
}

export function parseSyncRequest(request: SyncJobRequest): Result<SyncQuery> {
  const query = parseQuery(request);
  if (!query.ok) return query;
  const type = SYNC_TYPES[request.type];
  if (type === undefined) return malformed('type');
  const range = parseRange(request.startDate, request.endDate);
  if (!range.ok) return range;
  return accept({ ...query.value, type, range: range.value });
}

export function parseMetricsRequest(request: AggregatedMetricsRequest): Result<TrackQuery> {
  return parseQuery(request);
}

export function parseRangeRequest(
  request: HistoricalReturnsRequest | SnapshotTimeSeriesRequest,
): Result<RangeQuery> {
  const query = parseQuery(request);
  if (!query.ok) return query;
  const range = parseRange(request.startDate, request.endDate);
  if (!range.ok) return range;
  const { pageSize, pageToken } = request;
  if (pageSize < 0 || pageSize > MAX_PAGE_ROWS) return malformed('page_size');
  if (!PAGE_TOKEN.test(pageToken)) return malformed('page_token');
  return accept({
    ...query.value,
    range: range.value,
    pageSize: pageSize === 0 ? DEFAULT_PAGE_ROWS : pageSize,
    pageToken: pageToken === '' ? null : pageToken,
  });
}
