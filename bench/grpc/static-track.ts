// A track record that costs nothing to ask: answers are made once. What is left of a call's time is the way.

import { randomBytes } from 'node:crypto';
import type {
  AccountMetrics,
  Evidence,
  MetricsAnswer,
  ReturnsAnswer,
  TrackReturn,
  TrackService,
} from '../../enclave/ledger/track-service-types.ts';
import { accept, refuse } from '../../wire/result.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);
/** An hour's statement of an account with a few polls. */
const STATEMENT_BYTES = 1200;

function evidence(counter: number | null): Evidence {
  return {
    statement: new Uint8Array(randomBytes(STATEMENT_BYTES)),
    signature: new Uint8Array(randomBytes(64)),
    origin: 'trackseal.example/bench/e0000000001',
    leafIndex: 1000,
    position: counter ?? 0,
    leafSalt: new Uint8Array(randomBytes(16)),
    accountCommitment: new Uint8Array(randomBytes(32)),
    counter,
  };
}

const COVERAGE = { polls: 12, complete: true, gaps: [] } as const;

function hour(index: number): TrackReturn {
  return {
    startMs: START_MS + index * HOUR_MS,
    endMs: START_MS + (index + 1) * HOUR_MS,
    exchange: 'kraken',
    netReturn: '12.5',
    ratio: '0.000480769230769231',
    method: 'twr',
    reason: null,
    balance: '26012.5',
    currency: 'USD',
    residual: '0',
    reconciliation: 'reconciled',
    coverage: COVERAGE,
    supersedes: null,
    evidence: evidence(index + 1),
  };
}

const ACCOUNT: AccountMetrics = {
  exchange: 'kraken',
  sums: {
    balance: '26015.5',
    equity: '26012.5',
    realizedPnl: '20',
    unrealizedPnl: '-3',
    fees: '2.5',
    funding: '0',
    volume: '51000',
    trades: 3,
  },
  capital: {
    gain: '260',
    lowestCapital: '26000',
    meanCapital: '26005.5',
    smallCapitalShare: '0',
  },
  period: { startMs: START_MS, endMs: START_MS + HOUR_MS },
  ratios: {
    cumulativeReturn: '0.01',
    cumulativeReturnBridged: '0.01',
    volatility: '0.12',
    sharpe: '1.5',
    sortino: '2',
    calmar: '1',
    maxDrawdown: '0.01',
    drawdownPeakMs: START_MS,
    drawdownTroughMs: START_MS,
    drawdownRecoveryMs: null,
    winRate: '0.5',
    profitFactor: '1.1',
    xirr: '0.2',
  },
  conventions: { frequency: 'daily', ddof: '1' },
  lotMethod: 'fifo',
  coverage: COVERAGE,
  residual: '0',
  currency: 'USD',
  lastSyncMs: START_MS,
  evidence: evidence(null),
};

const METRICS: MetricsAnswer = {
  totals: ACCOUNT.sums,
  currency: 'USD',
  lastSyncMs: START_MS,
  accounts: [ACCOUNT],
  freshness: 'fresh',
};

const DAY: ReturnsAnswer = {
  returns: Array.from({ length: 24 }, (_, index) => hour(index)),
  nextPage: null,
  freshness: 'fresh',
};

export const STATIC_TRACK: TrackService = {
  syncJob: () => Promise.resolve(refuse('not_ready')),
  historicalReturns: () => Promise.resolve(accept(DAY)),
  aggregatedMetrics: () => Promise.resolve(accept(METRICS)),
  snapshotTimeSeries: () =>
    Promise.resolve(accept({ snapshots: [], nextPage: null, freshness: 'fresh' })),
  health: () => ({ healthy: true, version: 'bench', uptimeMs: 0, stored: true, origin: '' }),
};
