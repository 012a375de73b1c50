// What gRPC asks of the track record, and what it gets: signed statements, which grpc/answers.ts writes out as messages, and
// sums of them. Questions have passed the bounds of grpc/requests.ts. An answer has no price, quantity, symbol, order or
// fill. Amounts are US dollars; what is unknown is null, never zero. A refusal is a value.

import type { Fixed } from '../../wire/fixed.ts';
import type { Result } from '../../wire/result.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';
import type { SnapshotStatement } from '../../wire/track/snapshot.ts';
import type { TrackStatement } from '../../wire/track/statement.ts';

/** Who asks: a holder of a certificate under the owner's `client_ca`. Whoever holds one reads every account. */
export interface TrackCaller {
  /** SHA-256 of the client's certificate, DER. */
  readonly certificate: Uint8Array;
}

/** An account is asked for by its user, or by its commitment in hex (64 characters), in place of a user id. */
export interface TrackQuery {
  /** 1 to 100 characters. */
  readonly userUid: string;
  /** Venue, lower case; null: all venues of the user. */
  readonly exchange: string | null;
}

export type SyncType = 'incremental' | 'historical' | 'full';

export interface SyncQuery extends TrackQuery {
  readonly type: SyncType;
  /** ms since the Unix epoch, start < end; both or none. A sync reads until now: an end before this hour is refused. */
  readonly range: TrackRange | null;
}

export interface TrackRange {
  readonly startMs: number;
  /** Exclusive; at most five years after the start. */
  readonly endMs: number;
}

export interface RangeQuery extends TrackQuery {
  /** Null: all there is. */
  readonly range: TrackRange | null;
  /** Rows of one answer, 1 to MAX_PAGE_ROWS. */
  readonly pageSize: number;
  /** `nextPage` of the answer before, as it was given; null for the first. Hostile: refuse `api_malformed`. */
  readonly pageToken: string | null;
}

/** An answer has at most 4 MiB: 500 rows with statements of up to 7 KiB. Give fewer rows when they are larger. */
export const MAX_PAGE_ROWS = 500;
export const MAX_ANSWER_ROWS_BYTES: number = 3 * 1024 * 1024;

/** A statement, and the bytes that it was read from, with what signs them. */
export interface SignedRow<Statement extends TrackStatement> {
  readonly statement: Statement;
  readonly signed: SignedStatement;
}

/** `fresh`: the head of the chain came over the enclave's own TLS; `consistent`: the database may be behind. */
export type Freshness = 'consistent' | 'fresh';

export interface ReturnsAnswer {
  /** By start, then account. */
  readonly returns: readonly SignedRow<HourStatement>[];
  readonly nextPage: string | null;
  readonly freshness: Freshness;
}

export interface SnapshotsAnswer {
  readonly snapshots: readonly SignedRow<SnapshotStatement>[];
  readonly nextPage: string | null;
  readonly freshness: Freshness;
}

/** Null where a part of it is not known. */
export interface TrackSums {
  readonly balance: Fixed | null;
  readonly equity: Fixed | null;
  readonly realizedPnl: Fixed | null;
  readonly unrealizedPnl: Fixed | null;
  readonly fees: Fixed | null;
  readonly funding: Fixed | null;
  readonly volume: Fixed | null;
  readonly trades: number;
}

export interface MetricsRow extends SignedRow<MetricsStatement> {
  /** Of the account's last complete poll; null before it. */
  readonly lastSyncMs: number | null;
}

export interface MetricsAnswer {
  /** Over `accounts`; without those of test environments where there are others. */
  readonly totals: TrackSums;
  readonly lastSyncMs: number | null;
  readonly accounts: readonly MetricsRow[];
  readonly freshness: Freshness;
}

export interface SyncAnswer {
  /** Accounts that were polled. */
  readonly accounts: number;
  /** Records of the venue that were new. */
  readonly synced: number;
  /** Hours that were stated, or stated anew. */
  readonly hourlyReturnsGenerated: number;
  /** Null before the first one. */
  readonly latestSnapshot: SignedRow<SnapshotStatement> | null;
}

export interface TrackHealth {
  readonly healthy: boolean;
  readonly version: string;
  readonly uptimeMs: number;
  /** Whether rows are kept: there is a database, and it answers. */
  readonly stored: boolean;
  readonly origin: string;
}

/**
 * Refuses with closed codes; each has its gRPC status in grpc/status.ts. `account_unknown` for a user or venue without
 * accounts; `snapshot_exists` for a manual sync after a snapshot of its period. Never rejects but for bugs.
 * `signal` is aborted when the caller is gone or its deadline is over.
 */
export interface TrackService {
  syncJob(caller: TrackCaller, query: SyncQuery, signal: AbortSignal): Promise<Result<SyncAnswer>>;
  historicalReturns(
    caller: TrackCaller,
    query: RangeQuery,
    signal: AbortSignal,
  ): Promise<Result<ReturnsAnswer>>;
  aggregatedMetrics(
    caller: TrackCaller,
    query: TrackQuery,
    signal: AbortSignal,
  ): Promise<Result<MetricsAnswer>>;
  snapshotTimeSeries(
    caller: TrackCaller,
    query: RangeQuery,
    signal: AbortSignal,
  ): Promise<Result<SnapshotsAnswer>>;
  health(): TrackHealth;
}
