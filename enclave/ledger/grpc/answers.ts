// Answers of the track record as messages: field by field, so that nothing goes out that has no field here. A text that is
// no canonical decimal where an amount belongs is a bug and throws.

import {
  isCanonicalDecimal,
  assertDecimal,
  formatDecimal,
  multiplyDecimals,
} from '../../../wire/decimal.ts';
import type * as Wire from '../../../wire/grpc/messages.ts';
import {
  Freshness,
  HealthCheckResponseStatus,
  LotMethod,
  Reconciliation,
  ReturnMethod,
} from '../../../wire/grpc/messages.ts';
import type {
  AccountMetrics,
  Breakdown,
  Evidence,
  MarketFigures,
  MetricsAnswer,
  ReturnsAnswer,
  SnapshotsAnswer,
  SyncAnswer,
  SyncQuery,
  TrackCoverage,
  TrackHealth,
  TrackMarket,
  TrackQuery,
  TrackReturn,
  TrackSnapshot,
} from '../track-service-types.ts';

const HUNDRED = assertDecimal('100');

function amount(text: string | null): string | null {
  if (text !== null && !isCanonicalDecimal(text)) throw new RangeError('not a canonical decimal');
  return text;
}

function percentOf(ratio: string | null): string | null {
  return ratio === null ? null : formatDecimal(multiplyDecimals(assertDecimal(ratio), HUNDRED));
}

function evidenceOf({ accountCommitment, ...evidence }: Evidence): Wire.Evidence {
  return { ...evidence, account: accountCommitment };
}

function coverageOf({ polls, complete, gaps }: TrackCoverage): Wire.Coverage {
  return { polls, complete, gaps };
}

function freshnessOf(freshness: 'consistent' | 'fresh'): number {
  return freshness === 'fresh' ? Freshness.FRESH : Freshness.CONSISTENT;
}

const METHODS = {
  twr: ReturnMethod.TIME_WEIGHTED,
  modified_dietz: ReturnMethod.MODIFIED_DIETZ,
} as const;

const RECONCILIATIONS = {
  reconciled: Reconciliation.RECONCILED,
  beyond: Reconciliation.BEYOND_TOLERANCE,
  unknown: Reconciliation.NOT_RECONCILED,
} as const;

function returnOf(row: TrackReturn): Wire.Return {
  return {
    period: new Date(row.startMs).toISOString().replace('.000Z', 'Z'),
    netReturn: amount(row.netReturn),
    percentageReturn: percentOf(row.ratio),
    balance: amount(row.balance),
    start: row.startMs,
    end: row.endMs,
    exchange: row.exchange,
    ratio: amount(row.ratio),
    method: row.method === null ? ReturnMethod.NO_METHOD : METHODS[row.method],
    reason: row.reason ?? '',
    currency: row.currency,
    residual: amount(row.residual),
    reconciliation: RECONCILIATIONS[row.reconciliation],
    coverage: coverageOf(row.coverage),
    supersedes: row.supersedes,
    evidence: evidenceOf(row.evidence),
  };
}

export function returnsAnswer(answer: ReturnsAnswer): Wire.HistoricalReturnsResponse {
  return {
    success: true,
    returns: answer.returns.map(returnOf),
    nextPageToken: answer.nextPage ?? '',
    freshness: freshnessOf(answer.freshness),
  };
}

function marketOf(figures: MarketFigures | undefined): Wire.MarketMetrics | null {
  if (figures === undefined) return null;
  return {
    equity: amount(figures.equity),
    availableMargin: amount(figures.availableMargin),
    volume: amount(figures.volume),
    trades: figures.trades,
    tradingFees: amount(figures.tradingFees),
    fundingFees: amount(figures.fundingFees),
    realizedPnl: amount(figures.realizedPnl),
    unrealizedPnl: amount(figures.unrealizedPnl),
  };
}

function breakdownOf(breakdown: Breakdown): Wire.MarketBreakdown {
  const of = (market: TrackMarket): Wire.MarketMetrics | null => marketOf(breakdown[market]);
  return {
    global: of('global'),
    spot: of('spot'),
    swap: of('swap'),
    options: of('options'),
    stocks: of('stocks'),
    futures: of('futures'),
    cfd: of('cfd'),
    forex: of('forex'),
    commodities: of('commodities'),
  };
}

function snapshotOf(row: TrackSnapshot, userUid: string): Wire.DailySnapshot {
  return {
    userUid,
    exchange: row.exchange,
    timestamp: row.atMs,
    totalEquity: amount(row.equity),
    realizedBalance: amount(row.realizedBalance),
    unrealizedPnl: amount(row.unrealizedPnl),
    deposits: amount(row.deposits),
    withdrawals: amount(row.withdrawals),
    breakdown: breakdownOf(row.breakdown),
    currency: row.currency,
    residual: amount(row.residual),
    coverage: coverageOf(row.coverage),
    supersedes: row.supersedes,
    evidence: evidenceOf(row.evidence),
  };
}

export function snapshotsAnswer(
  answer: SnapshotsAnswer,
  { userUid }: TrackQuery,
): Wire.SnapshotTimeSeriesResponse {
  return {
    snapshots: answer.snapshots.map((row) => snapshotOf(row, userUid)),
    nextPageToken: answer.nextPage ?? '',
    freshness: freshnessOf(answer.freshness),
  };
}

function accountOf(account: AccountMetrics): Wire.AccountMetrics {
  const { sums, ratios, capital } = account;
  return {
    exchange: account.exchange,
    balance: amount(sums.balance),
    equity: amount(sums.equity),
    realizedPnl: amount(sums.realizedPnl),
    unrealizedPnl: amount(sums.unrealizedPnl),
    fees: amount(sums.fees),
    funding: amount(sums.funding),
    volume: amount(sums.volume),
    trades: sums.trades,
    periodStart: account.period.startMs,
    periodEnd: account.period.endMs,
    ratios: {
      cumulativeReturn: amount(ratios.cumulativeReturn),
      cumulativeReturnBridged: amount(ratios.cumulativeReturnBridged),
      volatility: amount(ratios.volatility),
      sharpe: amount(ratios.sharpe),
      sortino: amount(ratios.sortino),
      calmar: amount(ratios.calmar),
      maxDrawdown: amount(ratios.maxDrawdown),
      drawdownPeak: ratios.drawdownPeakMs,
      drawdownTrough: ratios.drawdownTroughMs,
      drawdownRecovery: ratios.drawdownRecoveryMs,
      winRate: amount(ratios.winRate),
      profitFactor: amount(ratios.profitFactor),
      xirr: amount(ratios.xirr),
    },
    conventions: Object.entries(account.conventions).map(([name, value]) => ({ name, value })),
    lotMethod: account.lotMethod === 'fifo' ? LotMethod.FIFO : LotMethod.AVERAGE_COST,
    coverage: coverageOf(account.coverage),
    residual: amount(account.residual),
    currency: account.currency,
    lastSync: account.lastSyncMs ?? 0,
    evidence: evidenceOf(account.evidence),
    gain: amount(capital.gain),
    lowestCapital: amount(capital.lowestCapital),
    meanCapital: amount(capital.meanCapital),
    smallCapitalShare: amount(capital.smallCapitalShare),
  };
}

export function metricsAnswer(answer: MetricsAnswer): Wire.AggregatedMetricsResponse {
  const { totals } = answer;
  return {
    totalBalance: amount(totals.balance),
    totalEquity: amount(totals.equity),
    totalRealizedPnl: amount(totals.realizedPnl),
    totalUnrealizedPnl: amount(totals.unrealizedPnl),
    totalFees: amount(totals.fees),
    totalTrades: totals.trades,
    lastSync: answer.lastSyncMs ?? 0,
    currency: answer.currency,
    totalVolume: amount(totals.volume),
    totalFunding: amount(totals.funding),
    accounts: answer.accounts.map(accountOf),
    freshness: freshnessOf(answer.freshness),
  };
}

export function syncAnswer(answer: SyncAnswer, query: SyncQuery): Wire.SyncJobResponse {
  const latest = answer.latestSnapshot;
  return {
    success: true,
    userUid: query.userUid,
    exchange: query.exchange ?? '',
    synced: answer.synced,
    hourlyReturnsGenerated: answer.hourlyReturnsGenerated,
    latestSnapshot:
      latest === null
        ? null
        : {
            balance: amount(latest.realizedBalance),
            equity: amount(latest.equity),
            timestamp: latest.atMs,
            currency: latest.currency,
            evidence: evidenceOf(latest.evidence),
          },
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
