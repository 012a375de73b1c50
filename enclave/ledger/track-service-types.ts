// What gRPC asks of the track record, and what it gets: aggregates, each with the signed statement that they were read
// from. Questions have passed the bounds of grpc/requests.ts. An answer has no price, quantity, symbol, order or fill.
// Amounts are canonical decimal texts in `currency`; what is unknown is null, never zero. A refusal is a value.

import type { Result } from '../../wire/result.ts';

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

/** The signed bytes behind a row. */
export interface Evidence {
  /** As signed; docs/PROTOCOL.md has the layouts of wire/track/. */
  readonly statement: Uint8Array;
  /** Ed25519 of the desk of that epoch. */
  readonly signature: Uint8Array;
  /** Of the epoch whose log has the leaf. */
  readonly origin: string;
  readonly leafIndex: number;
  /** Of the statement in its leaf. */
  readonly position: number;
  /** Opens the digest of the leaf: 16 bytes. */
  readonly leafSalt: Uint8Array;
  readonly accountCommitment: Uint8Array;
  /** In the account's chain, from 1; null for a metrics statement, which rests on a span of it. */
  readonly counter: number | null;
}

/** `fresh`: the head of the chain came over the enclave's own TLS; `consistent`: the database may be behind. */
export type Freshness = 'consistent' | 'fresh';

export interface TrackCoverage {
  readonly polls: number;
  readonly complete: boolean;
  /** Closed words. */
  readonly gaps: readonly string[];
}

export interface TrackReturn {
  readonly startMs: number;
  readonly endMs: number;
  readonly exchange: string;
  /** Change of equity without flows. */
  readonly netReturn: string | null;
  /** 0.01 is one per cent; null over a gap. */
  readonly ratio: string | null;
  readonly method: 'twr' | 'modified_dietz' | null;
  /** Why there is no ratio; a closed word. */
  readonly reason: string | null;
  /** Equity at the end. */
  readonly balance: string | null;
  readonly currency: string;
  readonly residual: string | null;
  readonly reconciliation: 'reconciled' | 'beyond' | 'unknown';
  readonly coverage: TrackCoverage;
  /** Counter of the record that this one corrects. */
  readonly supersedes: number | null;
  readonly evidence: Evidence;
}

export interface ReturnsAnswer {
  /** By start, then account. */
  readonly returns: readonly TrackReturn[];
  readonly nextPage: string | null;
  readonly freshness: Freshness;
}

export interface MarketFigures {
  readonly equity: string | null;
  readonly availableMargin: string | null;
  readonly volume: string | null;
  readonly trades: number;
  readonly tradingFees: string | null;
  readonly fundingFees: string | null;
  readonly realizedPnl: string | null;
  readonly unrealizedPnl: string | null;
}

export const TRACK_MARKETS = [
  'global',
  'spot',
  'swap',
  'options',
  'stocks',
  'futures',
  'cfd',
  'forex',
  'commodities',
] as const;
export type TrackMarket = (typeof TRACK_MARKETS)[number];

/** Markets that the account has not are left out. */
export type Breakdown = Readonly<Partial<Record<TrackMarket, MarketFigures>>>;

export interface TrackSnapshot {
  readonly exchange: string;
  /** 00:00 UTC. */
  readonly atMs: number;
  readonly equity: string | null;
  readonly realizedBalance: string | null;
  readonly unrealizedPnl: string | null;
  /** Since the day before. */
  readonly deposits: string | null;
  readonly withdrawals: string | null;
  readonly breakdown: Breakdown;
  readonly currency: string;
  readonly residual: string | null;
  readonly coverage: TrackCoverage;
  readonly supersedes: number | null;
  readonly evidence: Evidence;
}

export interface SnapshotsAnswer {
  readonly snapshots: readonly TrackSnapshot[];
  readonly nextPage: string | null;
  readonly freshness: Freshness;
}

/** A ratio of wire/performance/, null below its minimum sample. */
export interface TrackRatios {
  readonly cumulativeReturn: string | null;
  /** With what the value changed over gaps. */
  readonly cumulativeReturnBridged: string | null;
  readonly volatility: string | null;
  readonly sharpe: string | null;
  readonly sortino: string | null;
  readonly calmar: string | null;
  readonly maxDrawdown: string | null;
  readonly drawdownPeakMs: number | null;
  readonly drawdownTroughMs: number | null;
  readonly drawdownRecoveryMs: number | null;
  readonly winRate: string | null;
  readonly profitFactor: string | null;
  readonly xirr: string | null;
}

/** Sums of one account, or of all that were asked for. */
export interface TrackSums {
  readonly balance: string | null;
  readonly equity: string | null;
  readonly realizedPnl: string | null;
  readonly unrealizedPnl: string | null;
  readonly fees: string | null;
  readonly funding: string | null;
  readonly volume: string | null;
  readonly trades: number;
}

/** What the ratios rest on. */
export interface TrackCapital {
  readonly gain: string | null;
  readonly lowestCapital: string | null;
  readonly meanCapital: string | null;
  readonly smallCapitalShare: string | null;
}

export interface AccountMetrics {
  readonly exchange: string;
  readonly sums: TrackSums;
  readonly capital: TrackCapital;
  readonly period: TrackRange;
  readonly ratios: TrackRatios;
  /** Names of wire/performance/: frequency, ddof, annualisation, … → value. */
  readonly conventions: Readonly<Record<string, string>>;
  readonly lotMethod: 'fifo' | 'average';
  readonly coverage: TrackCoverage;
  readonly residual: string | null;
  readonly currency: string;
  /** Of the last complete poll; null before it. */
  readonly lastSyncMs: number | null;
  readonly evidence: Evidence;
}

export interface MetricsAnswer {
  /** Over `accounts`, all in `currency`; a sum is null when one of its parts is. */
  readonly totals: TrackSums;
  readonly currency: string;
  readonly lastSyncMs: number | null;
  readonly accounts: readonly AccountMetrics[];
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
  readonly latestSnapshot: TrackSnapshot | null;
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
