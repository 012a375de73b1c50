// A track record that costs nothing to ask: rows are there. What is left of a call's time is the way, with its messages.

import { randomBytes } from 'node:crypto';
import type { SignedRow, TrackService } from '../../enclave/ledger/track-service-types.ts';
import { FIXED_ONE } from '../../wire/fixed.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);
/** An hour's statement of an account with a few polls. */
const STATEMENT_BYTES = 1200;
const HEAD = {
  origin: 'trackseal.example/bench/e0000000001',
  accountCommitment: new Uint8Array(randomBytes(32)),
  venue: 'kraken',
  environment: 'live',
} as const;

function signed(position: number): SignedStatement {
  return {
    statement: new Uint8Array(randomBytes(STATEMENT_BYTES)),
    signature: new Uint8Array(randomBytes(64)),
    origin: HEAD.origin,
    leafIndex: 1000,
    position,
    leafSalt: new Uint8Array(randomBytes(16)),
  };
}

function hour(index: number): SignedRow<HourStatement> {
  const equityStart = 26_000n * FIXED_ONE;
  const earned = (25n * FIXED_ONE) / 2n;
  const statement: HourStatement = {
    ...HEAD,
    kind: 'hour',
    counter: index + 1,
    previous: null,
    supersedes: null,
    figures: {
      startMs: START_MS + index * HOUR_MS,
      equityStart,
      equityEnd: equityStart + earned,
      unrealisedEnd: 0n,
      inflow: 0n,
      outflow: 0n,
      flows: [],
      realised: earned,
      realisedAverage: earned,
      unrealisedChange: 0n,
      funding: 0n,
      fees: 0n,
      income: 0n,
      residual: 0n,
      tolerance: 0n,
      status: 'reconciled',
      trades: 3,
      volume: 51_000n * FIXED_ONE,
      byMarket: [],
      prices: [],
      pricesDigest: new Uint8Array(32),
      polls: 12,
      complete: true,
      gaps: [],
      rebuilt: false,
    },
    return: { ratio: '0.000480769230769231', method: 'twr', reason: null },
    basis: { polls: [], missingPrices: [], late: 0 },
    lotMethod: 'fifo',
  };
  return { statement, signed: signed(index + 1) };
}

const METRICS: MetricsStatement = {
  ...HEAD,
  kind: 'metrics',
  fromMs: START_MS,
  toMs: START_MS + HOUR_MS,
  asOfMs: START_MS + HOUR_MS,
  first: { counter: 1, hash: new Uint8Array(32) },
  last: { counter: 2, hash: new Uint8Array(32) },
  figures: new Map<string, string | number | null>([
    ['equity_end', '26012.5'],
    ['realised', '20'],
    ['unrealised_end', '-3'],
    ['fees', '2.5'],
    ['funding', '0'],
    ['volume', '51000'],
    ['trades', 3],
    ['gain', '260'],
    ['capital_lowest', '26000'],
    ['capital_mean', '26005.5'],
    ['capital_small_share', '0'],
    ['return', '0.01'],
    ['return_bridged', '0.01'],
    ['daily.volatility', '0.12'],
    ['daily.sharpe', '1.5'],
    ['daily.sortino', '2'],
    ['daily.calmar', '1'],
    ['daily.drawdown', '0.01'],
    ['daily.drawdown_peak_ms', START_MS],
    ['daily.drawdown_trough_ms', START_MS],
    ['daily.drawdown_recovery_ms', null],
    ['daily.win_rate', '0.5'],
    ['daily.profit_factor', '1.1'],
    ['xirr', '0.2'],
    ['polls', 12],
    ['hours_incomplete', 0],
    ['residual', '0'],
  ]),
  reasons: new Map(),
  conventions: new Map([
    ['frequency', 'daily'],
    ['ddof', '1'],
  ]),
  gaps: [],
};

const ANSWER = {
  totals: {
    balance: (52_031n * FIXED_ONE) / 2n,
    equity: (52_025n * FIXED_ONE) / 2n,
    realizedPnl: 20n * FIXED_ONE,
    unrealizedPnl: -3n * FIXED_ONE,
    fees: (5n * FIXED_ONE) / 2n,
    funding: 0n,
    volume: 51_000n * FIXED_ONE,
    trades: 3,
  },
  lastSyncMs: START_MS,
  accounts: [{ statement: METRICS, signed: signed(0), lastSyncMs: START_MS }],
  freshness: 'fresh',
} as const;

const DAY = {
  returns: Array.from({ length: 24 }, (_, index) => hour(index)),
  nextPage: null,
  freshness: 'fresh',
} as const;

export const STATIC_TRACK: TrackService = {
  syncJob: () => Promise.resolve(refuse('not_ready')),
  historicalReturns: () => Promise.resolve(accept(DAY)),
  aggregatedMetrics: () => Promise.resolve(accept(ANSWER)),
  snapshotTimeSeries: () =>
    Promise.resolve(accept({ snapshots: [], nextPage: null, freshness: 'fresh' })),
  health: () => ({ healthy: true, version: 'bench', uptimeMs: 0, stored: true, origin: '' }),
};
