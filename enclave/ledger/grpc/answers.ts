// Answers of the track record as messages: rows as their statements say them, each with what was signed. What is beside the rows
// is written here, field by field, so that nothing goes out that has no field.

import { formatDecimal } from '../../../wire/decimal.ts';
import type * as Wire from '../../../wire/grpc/messages.ts';
import { Freshness, HealthCheckResponseStatus } from '../../../wire/grpc/messages.ts';
import {
  amountText,
  metricsMessage,
  returnMessage,
  snapshotMessage,
} from '../../../wire/grpc/track-messages.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import { TRACK_CURRENCY } from '../../../wire/track/head.ts';
import type { SnapshotStatement } from '../../../wire/track/snapshot.ts';
import type {
  MetricsAnswer,
  ReturnsAnswer,
  SignedRow,
  SnapshotsAnswer,
  SyncAnswer,
  SyncQuery,
  TrackHealth,
  TrackQuery,
} from '../track-service-types.ts';

function evidenceOf(
  signed: SignedStatement,
  account: Uint8Array,
  counter: number | null,
): Wire.Evidence {
  // Rows of a store have more.
  const { statement, signature, origin, leafIndex, position, leafSalt } = signed;
  return { statement, signature, origin, leafIndex, position, leafSalt, account, counter };
}

function freshnessOf(freshness: 'consistent' | 'fresh'): number {
  return freshness === 'fresh' ? Freshness.FRESH : Freshness.CONSISTENT;
}

export function returnsAnswer(answer: ReturnsAnswer): Wire.HistoricalReturnsResponse {
  const returns: Wire.Return[] = [];
  for (const { statement, signed } of answer.returns) {
    const evidence = evidenceOf(signed, statement.accountCommitment, statement.counter);
    returns.push(returnMessage(statement, evidence));
  }
  return {
    success: true,
    returns,
    nextPageToken: answer.nextPage ?? '',
    freshness: freshnessOf(answer.freshness),
  };
}

export function snapshotsAnswer(
  answer: SnapshotsAnswer,
  { userUid }: TrackQuery,
): Wire.SnapshotTimeSeriesResponse {
  const snapshots: Wire.DailySnapshot[] = [];
  for (const { statement, signed } of answer.snapshots) {
    const evidence = evidenceOf(signed, statement.accountCommitment, statement.counter);
    snapshots.push(snapshotMessage(statement, userUid, evidence));
  }
  return {
    snapshots,
    nextPageToken: answer.nextPage ?? '',
    freshness: freshnessOf(answer.freshness),
  };
}

export function metricsAnswer(answer: MetricsAnswer): Wire.AggregatedMetricsResponse {
  const { totals } = answer;
  const accounts: Wire.AccountMetrics[] = [];
  for (const { statement, signed, lastSyncMs } of answer.accounts) {
    const evidence = evidenceOf(signed, statement.accountCommitment, null);
    accounts.push(metricsMessage(statement, lastSyncMs ?? 0, evidence));
  }
  return {
    totalBalance: amountText(totals.balance),
    totalEquity: amountText(totals.equity),
    totalRealizedPnl: amountText(totals.realizedPnl),
    totalUnrealizedPnl: amountText(totals.unrealizedPnl),
    totalFees: amountText(totals.fees),
    totalTrades: totals.trades,
    lastSync: answer.lastSyncMs ?? 0,
    currency: TRACK_CURRENCY,
    totalVolume: amountText(totals.volume),
    totalFunding: amountText(totals.funding),
    accounts,
    freshness: freshnessOf(answer.freshness),
  };
}

function latestOf({ statement, signed }: SignedRow<SnapshotStatement>): Wire.Snapshot {
  return {
    balance: amountText(statement.balance),
    equity: amountText(statement.equity),
    timestamp: statement.atMs,
    currency: TRACK_CURRENCY,
    evidence: evidenceOf(signed, statement.accountCommitment, statement.counter),
  };
}

export function syncAnswer(answer: SyncAnswer, query: SyncQuery): Wire.SyncJobResponse {
  const { latestSnapshot } = answer;
  return {
    success: true,
    userUid: query.userUid,
    exchange: query.exchange ?? '',
    synced: answer.synced,
    hourlyReturnsGenerated: answer.hourlyReturnsGenerated,
    latestSnapshot: latestSnapshot === null ? null : latestOf(latestSnapshot),
    accounts: answer.accounts,
  };
}

export function healthAnswer(health: TrackHealth): Wire.HealthCheckResponse {
  const milliseconds = { units: BigInt(Math.max(0, Math.floor(health.uptimeMs))), scale: 3 };
  return {
    status: health.healthy
      ? HealthCheckResponseStatus.HEALTHY
      : HealthCheckResponseStatus.UNHEALTHY,
    enclave: true,
    version: health.version,
    uptime: formatDecimal(milliseconds),
    origin: health.origin,
    stored: health.stored,
  };
}
