// Signed statements as gRPC answers them: each row says what its statement says and nothing else, and brings it along.

import type { Fixed } from '../../../wire/fixed.ts';
import { formatFixed } from '../../../wire/fixed.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import type { MarketFigures as StatedMarket } from '../../../wire/track/figures.ts';
import { HOUR_MS, TRACK_CURRENCY } from '../../../wire/track/head.ts';
import type { HourStatement } from '../../../wire/track/hour.ts';
import type { MetricsStatement, MetricValue } from '../../../wire/track/metrics.ts';
import type { SnapshotStatement } from '../../../wire/track/snapshot.ts';
import type {
  AccountMetrics,
  Breakdown,
  Evidence,
  MarketFigures,
  TrackMarket,
  TrackReturn,
  TrackSnapshot,
  TrackSums,
} from '../track-service-types.ts';
import { LOT_METHOD } from './statements.ts';
import type { SignedMetrics } from './metrics-maker.ts';

function text(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

export function evidenceOf(
  signed: SignedStatement,
  accountCommitment: Uint8Array,
  counter: number | null,
): Evidence {
  return { ...signed, accountCommitment, counter };
}

/** Change of equity without what came in or went out. */
function netReturn({ figures }: HourStatement): string | null {
  const { equityStart, equityEnd, inflow, outflow } = figures;
  if (equityStart === null || equityEnd === null || inflow === null || outflow === null)
    return null;
  return formatFixed(equityEnd - equityStart - inflow + outflow);
}

export function returnOf(hour: HourStatement, signed: SignedStatement): TrackReturn {
  const { figures, accountCommitment, counter } = hour;
  return {
    startMs: figures.startMs,
    endMs: figures.startMs + HOUR_MS,
    exchange: hour.venue,
    netReturn: netReturn(hour),
    ratio: hour.return.ratio,
    method: hour.return.method,
    reason: hour.return.reason,
    balance: text(figures.equityEnd),
    currency: TRACK_CURRENCY,
    residual: text(figures.residual),
    reconciliation: figures.status,
    coverage: { polls: figures.polls, complete: figures.complete, gaps: figures.gaps },
    supersedes: hour.supersedes?.counter ?? null,
    evidence: evidenceOf(signed, accountCommitment, counter),
  };
}

const MARKETS: Readonly<Record<StatedMarket['market'], TrackMarket>> = {
  spot: 'spot',
  swap: 'swap',
  future: 'futures',
  option: 'options',
  stock: 'stocks',
};

function sumOf(values: readonly (Fixed | null)[]): Fixed | null {
  let total = 0n;
  for (const value of values) {
    if (value === null) return null;
    total += value;
  }
  return total;
}

function marketOf(own: Omit<StatedMarket, 'market' | 'outlay' | 'income'>): MarketFigures {
  return {
    equity: text(own.equity),
    // Venues count margin in ways that do not add up to one figure.
    availableMargin: null,
    volume: text(own.volume),
    trades: own.trades,
    tradingFees: text(own.fees),
    fundingFees: text(own.funding),
    realizedPnl: text(own.realised),
    unrealizedPnl: text(own.unrealised),
  };
}

function breakdownOf({ byMarket, equity, unrealised }: SnapshotStatement): Breakdown {
  const sum = (name: 'volume' | 'fees' | 'funding' | 'realised'): Fixed | null =>
    sumOf(byMarket.map((own) => own[name]));
  const [volume, fees, funding] = [sum('volume'), sum('fees'), sum('funding')];
  const trades = byMarket.reduce((all, own) => all + own.trades, 0);
  const global = { equity, unrealised, volume, fees, funding, trades, realised: sum('realised') };
  const rows = byMarket.map((own) => [MARKETS[own.market], marketOf(own)] as const);
  return Object.fromEntries([['global', marketOf(global)], ...rows]);
}

export function snapshotOf(snapshot: SnapshotStatement, signed: SignedStatement): TrackSnapshot {
  const { basis, accountCommitment, counter } = snapshot;
  return {
    exchange: snapshot.venue,
    atMs: snapshot.atMs,
    equity: text(snapshot.equity),
    realizedBalance: text(snapshot.balance),
    unrealizedPnl: text(snapshot.unrealised),
    deposits: text(snapshot.deposits),
    withdrawals: text(snapshot.withdrawals),
    breakdown: breakdownOf(snapshot),
    currency: TRACK_CURRENCY,
    residual: null,
    coverage: {
      polls: basis.hours,
      complete: basis.completeHours === 24,
      gaps: snapshot.gaps,
    },
    supersedes: snapshot.supersedes?.counter ?? null,
    evidence: evidenceOf(signed, accountCommitment, counter),
  };
}

class Named {
  readonly #figures: ReadonlyMap<string, MetricValue>;
  constructor({ figures }: MetricsStatement) {
    this.#figures = figures;
  }

  text(name: string): string | null {
    const value = this.#figures.get(name) ?? null;
    return typeof value === 'string' ? value : null;
  }

  number(name: string): number | null {
    const value = this.#figures.get(name) ?? null;
    return typeof value === 'number' ? value : null;
  }
}

function difference(
  a: string | null,
  b: string | null,
  parse: (text: string) => Fixed | null,
): string | null {
  const [left, right] = [a === null ? null : parse(a), b === null ? null : parse(b)];
  return left === null || right === null ? null : formatFixed(left - right);
}

export function metricsOf(
  { statement, signed }: SignedMetrics,
  lastSyncMs: number | null,
  parse: (text: string) => Fixed | null,
): AccountMetrics {
  const named = new Named(statement);
  const unrealizedPnl = named.text('unrealised_end');
  const equity = named.text('equity_end');
  const sums: TrackSums = {
    balance: difference(equity, unrealizedPnl, parse),
    equity,
    realizedPnl: named.text('realised'),
    unrealizedPnl,
    fees: named.text('fees'),
    funding: named.text('funding'),
    volume: named.text('volume'),
    trades: named.number('trades') ?? 0,
  };
  return {
    exchange: statement.venue,
    sums,
    capital: {
      gain: named.text('gain'),
      lowestCapital: named.text('capital_lowest'),
      meanCapital: named.text('capital_mean'),
      smallCapitalShare: named.text('capital_small_share'),
    },
    period: {
      startMs: named.number('start_ms') ?? statement.fromMs,
      endMs: named.number('end_ms') ?? statement.toMs,
    },
    ratios: {
      cumulativeReturn: named.text('return'),
      cumulativeReturnBridged: named.text('return_bridged'),
      volatility: named.text('daily.volatility'),
      sharpe: named.text('daily.sharpe'),
      sortino: named.text('daily.sortino'),
      calmar: named.text('daily.calmar'),
      maxDrawdown: named.text('daily.drawdown'),
      drawdownPeakMs: named.number('daily.drawdown_peak_ms'),
      drawdownTroughMs: named.number('daily.drawdown_trough_ms'),
      drawdownRecoveryMs: named.number('daily.drawdown_recovery_ms'),
      winRate: named.text('daily.win_rate'),
      profitFactor: named.text('daily.profit_factor'),
      xirr: named.text('xirr'),
    },
    conventions: Object.fromEntries(statement.conventions),
    lotMethod: LOT_METHOD,
    coverage: {
      polls: named.number('polls') ?? 0,
      complete: named.number('hours_incomplete') === 0,
      gaps: [...new Set(statement.gaps.map(({ reason }) => reason))].toSorted(),
    },
    residual: named.text('residual'),
    currency: TRACK_CURRENCY,
    lastSyncMs,
    evidence: evidenceOf(signed, statement.accountCommitment, null),
  };
}
