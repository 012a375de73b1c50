// Statements in which each value is another one, and the messages of gRPC that they have to become, written out by hand: no
// code of ours has made them. The ledger has to answer exactly these, and a client has to take exactly these.

import type * as Wire from '../../wire/grpc/messages.ts';
import type { MarketFigures } from '../../wire/track/figures.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';
import type { SnapshotStatement } from '../../wire/track/snapshot.ts';
import { money } from '../wire/performance/golden.ts';
import { FIGURES, ORIGIN } from './track.ts';

const ACCOUNT = new Uint8Array(32).fill(0xac);
const HASH = new Uint8Array(32).fill(0x4a);
const HEAD = {
  origin: ORIGIN,
  accountCommitment: ACCOUNT,
  venue: 'bybit',
  environment: 'live',
} as const;

export const HOUR_STATEMENT: HourStatement = {
  ...HEAD,
  kind: 'hour',
  previous: HASH,
  counter: 41,
  supersedes: { counter: 40, reason: 'late_data' },
  figures: {
    ...FIGURES,
    // 2026-11-21T22:00:00Z
    startMs: 1_795_298_400_000,
    equityStart: money('1000.5'),
    equityEnd: money('1300.25'),
    unrealisedEnd: money('-31.5'),
    inflow: money('200'),
    outflow: money('30'),
    flows: [],
    realised: money('32.5'),
    realisedAverage: money('33.5'),
    unrealisedChange: money('34.5'),
    funding: money('35.5'),
    fees: money('36.5'),
    income: money('37.5'),
    residual: money('-0.000000000000000004'),
    tolerance: money('38.5'),
    status: 'reconciled',
    trades: 39,
    volume: money('42.5'),
    polls: 11,
    complete: true,
    gaps: ['no_price', 'late_poll'],
    rebuilt: true,
  },
  return: { ratio: '0.0123', method: 'modified_dietz', reason: 'no_valuation_at_flow' },
  basis: { polls: [], missingPrices: [], late: 43 },
  lotMethod: 'fifo',
};

export const RETURN: Omit<Wire.Return, 'evidence'> = {
  period: '2026-11-21T22:00:00Z',
  netReturn: '129.75',
  percentageReturn: '1.23',
  balance: '1300.25',
  start: 1_795_298_400_000,
  end: 1_795_302_000_000,
  exchange: 'bybit',
  ratio: '0.0123',
  method: 2,
  reason: 'no_valuation_at_flow',
  currency: 'USD',
  residual: '-0.000000000000000004',
  reconciliation: 1,
  coverage: { polls: 11, complete: true, gaps: ['no_price', 'late_poll'] },
  supersedes: 40,
  rebuilt: true,
};

function market(
  name: MarketFigures['market'],
  trades: number,
  amounts: readonly [string, string, string, string, string, string, string, string],
): MarketFigures {
  const [equity, volume, fees, funding, realised, unrealised, outlay, income] = amounts.map(money);
  const own = { equity, volume, fees, funding, realised, unrealised, outlay, income };
  return { market: name, trades, ...own } as MarketFigures;
}

export const SNAPSHOT_STATEMENT: SnapshotStatement = {
  ...HEAD,
  kind: 'snapshot',
  previous: HASH,
  counter: 52,
  supersedes: { counter: 51, reason: 'late_data' },
  // 2026-11-22T00:00:00Z
  atMs: 1_795_305_600_000,
  equity: money('5000.5'),
  balance: money('5100.5'),
  unrealised: money('-100'),
  deposits: money('53.5'),
  withdrawals: money('54.5'),
  byMarket: [
    market('spot', 3, ['7.1', '1', '0.1', '-6', '2', '7.2', '7.3', '7.4']),
    market('swap', 40, ['80.1', '20', '0.02', '-70', '30', '80.2', '80.3', '80.4']),
    market('future', 500, ['900.1', '300', '0.003', '-800', '400', '900.2', '900.3', '900.4']),
    market('option', 6000, ['11.1', '4000', '0.0004', '-9000', '5000', '11.2', '11.3', '11.4']),
    market('stock', 70_000, ['12.1', '50000', '0.00005', '-10000', '60000', '12.2', '12.3', '1.4']),
  ],
  basis: { lastCounter: 50, hours: 24, completeHours: 24 },
  gaps: ['first_day', 'no_price'],
};

export const DAILY_SNAPSHOT: Omit<Wire.DailySnapshot, 'evidence' | 'userUid'> = {
  exchange: 'bybit',
  timestamp: 1_795_305_600_000,
  totalEquity: '5000.5',
  realizedBalance: '5100.5',
  unrealizedPnl: '-100',
  deposits: '53.5',
  withdrawals: '54.5',
  breakdown: {
    global: {
      equity: '5000.5',
      availableMargin: null,
      volume: '54321',
      trades: 76_543,
      tradingFees: '0.12345',
      fundingFees: '-19876',
      realizedPnl: '65432',
      unrealizedPnl: '-100',
    },
    spot: {
      equity: '7.1',
      availableMargin: null,
      volume: '1',
      trades: 3,
      tradingFees: '0.1',
      fundingFees: '-6',
      realizedPnl: '2',
      unrealizedPnl: '7.2',
    },
    swap: {
      equity: '80.1',
      availableMargin: null,
      volume: '20',
      trades: 40,
      tradingFees: '0.02',
      fundingFees: '-70',
      realizedPnl: '30',
      unrealizedPnl: '80.2',
    },
    futures: {
      equity: '900.1',
      availableMargin: null,
      volume: '300',
      trades: 500,
      tradingFees: '0.003',
      fundingFees: '-800',
      realizedPnl: '400',
      unrealizedPnl: '900.2',
    },
    options: {
      equity: '11.1',
      availableMargin: null,
      volume: '4000',
      trades: 6000,
      tradingFees: '0.0004',
      fundingFees: '-9000',
      realizedPnl: '5000',
      unrealizedPnl: '11.2',
    },
    stocks: {
      equity: '12.1',
      availableMargin: null,
      volume: '50000',
      trades: 70_000,
      tradingFees: '0.00005',
      fundingFees: '-10000',
      realizedPnl: '60000',
      unrealizedPnl: '12.2',
    },
    cfd: null,
    forex: null,
    commodities: null,
  },
  currency: 'USD',
  residual: null,
  coverage: { polls: 24, complete: true, gaps: ['first_day', 'no_price'] },
  supersedes: 51,
};

export const METRICS_STATEMENT: MetricsStatement = {
  ...HEAD,
  kind: 'metrics',
  fromMs: 1_795_298_400_001,
  toMs: 1_795_298_400_002,
  asOfMs: 1_795_298_400_003,
  first: { counter: 61, hash: HASH },
  last: { counter: 62, hash: HASH },
  figures: new Map<string, string | number | null>([
    ['equity_start', '9000.5'],
    ['equity_end', '8000.5'],
    ['realised', '701.5'],
    ['realised_average', '702.5'],
    ['unrealised_end', '-703.5'],
    ['fees', '704.5'],
    ['funding', '705.5'],
    ['volume', '706.5'],
    ['trades', 707],
    ['start_ms', 1_795_298_400_004],
    ['end_ms', 1_795_298_400_005],
    ['return', '0.701'],
    ['return_bridged', '0.702'],
    ['daily.volatility', '0.703'],
    ['hourly.volatility', '0.803'],
    ['daily.sharpe', '0.704'],
    ['daily.sortino', '0.705'],
    ['daily.calmar', '0.706'],
    ['daily.drawdown', '0.707'],
    ['daily.drawdown_peak_ms', 1_795_298_400_006],
    ['daily.drawdown_trough_ms', 1_795_298_400_007],
    ['daily.drawdown_recovery_ms', 1_795_298_400_008],
    ['daily.win_rate', '0.708'],
    ['daily.profit_factor', '0.709'],
    ['xirr', '0.711'],
    ['polls', 712],
    ['hours_incomplete', 0],
    ['residual', '713.5'],
    ['gain', '714.5'],
    ['capital_lowest', '715.5'],
    ['capital_mean', '716.5'],
    ['capital_small_share', '0.717'],
  ]),
  reasons: new Map(),
  conventions: new Map([
    ['ddof', 'one less'],
    ['frequency', 'by the hour'],
  ]),
  gaps: [
    { fromMs: 1, toMs: 2, reason: 'no_price', change: null },
    { fromMs: 3, toMs: 4, reason: 'late_poll', change: '1' },
    { fromMs: 5, toMs: 6, reason: 'no_price', change: null },
  ],
};

export const ACCOUNT_METRICS: Omit<Wire.AccountMetrics, 'evidence' | 'lastSync'> = {
  exchange: 'bybit',
  balance: '8704',
  equity: '8000.5',
  realizedPnl: '701.5',
  unrealizedPnl: '-703.5',
  fees: '704.5',
  funding: '705.5',
  volume: '706.5',
  trades: 707,
  periodStart: 1_795_298_400_004,
  periodEnd: 1_795_298_400_005,
  ratios: {
    cumulativeReturn: '0.701',
    cumulativeReturnBridged: '0.702',
    volatility: '0.703',
    sharpe: '0.704',
    sortino: '0.705',
    calmar: '0.706',
    maxDrawdown: '0.707',
    drawdownPeak: 1_795_298_400_006,
    drawdownTrough: 1_795_298_400_007,
    drawdownRecovery: 1_795_298_400_008,
    winRate: '0.708',
    profitFactor: '0.709',
    xirr: '0.711',
  },
  conventions: [
    { name: 'ddof', value: 'one less' },
    { name: 'frequency', value: 'by the hour' },
  ],
  lotMethod: 0,
  coverage: { polls: 712, complete: true, gaps: ['late_poll', 'no_price'] },
  residual: '713.5',
  currency: 'USD',
  gain: '714.5',
  lowestCapital: '715.5',
  meanCapital: '716.5',
  smallCapitalShare: '0.717',
};
