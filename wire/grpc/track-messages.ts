// Rows of gRPC as signed statements have them. The ledger answers with these; a client makes them anew from the statement that
// it has verified, and compares. What no statement says is given to them. The ledger makes hundreds for one answer, with
// intrinsics that are frozen: loops, and no object that is not a part of the message.

import { assertDecimal, formatDecimal, isCanonicalDecimal, multiplyDecimals } from '../decimal.ts';
import type { Fixed } from '../fixed.ts';
import { formatFixed, parseFixed } from '../fixed.ts';
import type { MarketFigures } from '../track/figures.ts';
import { DAY_MS, HOUR_MS, TRACK_CURRENCY } from '../track/head.ts';
import type { HourStatement } from '../track/hour.ts';
import type { MetricsStatement } from '../track/metrics.ts';
import type { SnapshotStatement } from '../track/snapshot.ts';
import type * as Wire from './messages.ts';
import { LotMethod, Reconciliation, ReturnMethod } from './messages.ts';

const HOURS_OF_A_DAY = DAY_MS / HOUR_MS;
const HUNDRED = assertDecimal('100');

const METHODS = {
  twr: ReturnMethod.TIME_WEIGHTED,
  modified_dietz: ReturnMethod.MODIFIED_DIETZ,
} as const;

const RECONCILIATIONS = {
  reconciled: Reconciliation.RECONCILED,
  beyond: Reconciliation.BEYOND_TOLERANCE,
  unknown: Reconciliation.NOT_RECONCILED,
} as const;

type Figures = MetricsStatement['figures'];

export function amountText(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

/** Parsers refuse another text: one that comes here is a bug, throws, and does not go out. */
function decimalText(text: string | null): string | null {
  if (text !== null && !isCanonicalDecimal(text)) throw new RangeError('not a canonical decimal');
  return text;
}

function percentText(ratio: string | null): string | null {
  return ratio === null ? null : formatDecimal(multiplyDecimals(assertDecimal(ratio), HUNDRED));
}

/** Change of equity without what came in or went out; null where a part of it is not known. */
export function netReturnOf({ figures }: HourStatement): string | null {
  const { equityStart, equityEnd, inflow, outflow } = figures;
  if (equityStart === null || equityEnd === null || inflow === null || outflow === null)
    return null;
  return formatFixed(equityEnd - equityStart - inflow + outflow);
}

export function returnMessage(hour: HourStatement, evidence: Wire.Evidence | null): Wire.Return {
  const { figures, supersedes } = hour;
  const { ratio, method, reason } = hour.return;
  return {
    // Whole hours: there is nothing between the seconds and the Z.
    period: `${new Date(figures.startMs).toISOString().slice(0, 19)}Z`,
    netReturn: netReturnOf(hour),
    percentageReturn: percentText(ratio),
    balance: amountText(figures.equityEnd),
    start: figures.startMs,
    end: figures.startMs + HOUR_MS,
    exchange: hour.venue,
    ratio: decimalText(ratio),
    method: method === null ? ReturnMethod.NO_METHOD : METHODS[method],
    reason: reason ?? '',
    currency: TRACK_CURRENCY,
    residual: amountText(figures.residual),
    reconciliation: RECONCILIATIONS[figures.status],
    coverage: { polls: figures.polls, complete: figures.complete, gaps: figures.gaps },
    supersedes: supersedes?.counter ?? null,
    evidence,
    rebuilt: figures.rebuilt,
  };
}

function marketMessage(
  rows: readonly MarketFigures[],
  market: MarketFigures['market'],
): Wire.MarketMetrics | null {
  for (const row of rows) {
    if (row.market !== market) continue;
    return {
      equity: amountText(row.equity),
      // No statement has it: venues count margin in ways that do not add up to one figure.
      availableMargin: null,
      volume: amountText(row.volume),
      trades: row.trades,
      tradingFees: amountText(row.fees),
      fundingFees: amountText(row.funding),
      realizedPnl: amountText(row.realised),
      unrealizedPnl: amountText(row.unrealised),
    };
  }
  return null;
}

function sumOf(
  rows: readonly MarketFigures[],
  name: 'fees' | 'funding' | 'realised' | 'volume',
): string | null {
  let sum = 0n;
  for (const row of rows) {
    const value = row[name];
    if (value === null) return null;
    sum += value;
  }
  return formatFixed(sum);
}

function globalMessage(snapshot: SnapshotStatement): Wire.MarketMetrics {
  const { byMarket } = snapshot;
  let trades = 0;
  for (const row of byMarket) trades += row.trades;
  return {
    equity: amountText(snapshot.equity),
    availableMargin: null,
    volume: sumOf(byMarket, 'volume'),
    trades,
    tradingFees: sumOf(byMarket, 'fees'),
    fundingFees: sumOf(byMarket, 'funding'),
    realizedPnl: sumOf(byMarket, 'realised'),
    unrealizedPnl: amountText(snapshot.unrealised),
  };
}

/** `userUid`: who was asked for. */
export function snapshotMessage(
  snapshot: SnapshotStatement,
  userUid: string,
  evidence: Wire.Evidence | null,
): Wire.DailySnapshot {
  const { basis, byMarket, supersedes } = snapshot;
  return {
    userUid,
    exchange: snapshot.venue,
    timestamp: snapshot.atMs,
    totalEquity: amountText(snapshot.equity),
    realizedBalance: amountText(snapshot.balance),
    unrealizedPnl: amountText(snapshot.unrealised),
    deposits: amountText(snapshot.deposits),
    withdrawals: amountText(snapshot.withdrawals),
    breakdown: {
      global: globalMessage(snapshot),
      spot: marketMessage(byMarket, 'spot'),
      swap: marketMessage(byMarket, 'swap'),
      options: marketMessage(byMarket, 'option'),
      stocks: marketMessage(byMarket, 'stock'),
      futures: marketMessage(byMarket, 'future'),
      cfd: null,
      forex: null,
      commodities: null,
    },
    currency: TRACK_CURRENCY,
    residual: null,
    coverage: {
      polls: basis.hours,
      complete: basis.completeHours === HOURS_OF_A_DAY,
      gaps: snapshot.gaps,
    },
    supersedes: supersedes?.counter ?? null,
    evidence,
  };
}

function textOf(figures: Figures, name: string): string | null {
  const value = figures.get(name);
  return typeof value === 'string' ? decimalText(value) : null;
}

function numberOf(figures: Figures, name: string): number | null {
  const value = figures.get(name);
  return typeof value === 'number' ? value : null;
}

/** Of a figure that is an amount. */
export function fixedOf(figures: Figures, name: string): Fixed | null {
  const text = textOf(figures, name);
  return text === null ? null : parseFixed(text);
}

/** What the figures are about: hours that were worked out backwards are in the statement, and not in them. */
export function periodOf({ figures, fromMs, toMs }: MetricsStatement): {
  readonly fromMs: number;
  readonly toMs: number;
} {
  return {
    fromMs: numberOf(figures, 'start_ms') ?? fromMs,
    toMs: numberOf(figures, 'end_ms') ?? toMs,
  };
}

function ratiosMessage(figures: Figures): Wire.Ratios {
  return {
    cumulativeReturn: textOf(figures, 'return'),
    cumulativeReturnBridged: textOf(figures, 'return_bridged'),
    volatility: textOf(figures, 'daily.volatility'),
    sharpe: textOf(figures, 'daily.sharpe'),
    sortino: textOf(figures, 'daily.sortino'),
    calmar: textOf(figures, 'daily.calmar'),
    maxDrawdown: textOf(figures, 'daily.drawdown'),
    drawdownPeak: numberOf(figures, 'daily.drawdown_peak_ms'),
    drawdownTrough: numberOf(figures, 'daily.drawdown_trough_ms'),
    drawdownRecovery: numberOf(figures, 'daily.drawdown_recovery_ms'),
    winRate: textOf(figures, 'daily.win_rate'),
    profitFactor: textOf(figures, 'daily.profit_factor'),
    xirr: textOf(figures, 'xirr'),
  };
}

/** Equity without what is not realised. */
function balanceOf(figures: Figures): Fixed | null {
  const [equity, unrealised] = [fixedOf(figures, 'equity_end'), fixedOf(figures, 'unrealised_end')];
  return equity === null || unrealised === null ? null : equity - unrealised;
}

function conventionMessages({ conventions }: MetricsStatement): readonly Wire.Convention[] {
  const messages: Wire.Convention[] = [];
  for (const [name, value] of conventions) messages.push({ name, value });
  return messages;
}

function coverageMessage({ figures, gaps }: MetricsStatement): Wire.Coverage {
  const reasons = new Set<string>();
  for (const { reason } of gaps) reasons.add(reason);
  return {
    polls: numberOf(figures, 'polls') ?? 0,
    complete: numberOf(figures, 'hours_incomplete') === 0,
    gaps: Array.from(reasons).toSorted(),
  };
}

/** `lastSync` is in no statement: when the enclave last polled is its word. */
export function metricsMessage(
  metrics: MetricsStatement,
  lastSync: number,
  evidence: Wire.Evidence | null,
): Wire.AccountMetrics {
  const { figures } = metrics;
  const { fromMs, toMs } = periodOf(metrics);
  return {
    exchange: metrics.venue,
    balance: amountText(balanceOf(figures)),
    equity: textOf(figures, 'equity_end'),
    realizedPnl: textOf(figures, 'realised'),
    unrealizedPnl: textOf(figures, 'unrealised_end'),
    fees: textOf(figures, 'fees'),
    funding: textOf(figures, 'funding'),
    volume: textOf(figures, 'volume'),
    trades: numberOf(figures, 'trades') ?? 0,
    periodStart: fromMs,
    periodEnd: toMs,
    ratios: ratiosMessage(figures),
    conventions: conventionMessages(metrics),
    // `realised` is the sum of hours that say so.
    lotMethod: LotMethod.FIFO,
    coverage: coverageMessage(metrics),
    residual: textOf(figures, 'residual'),
    currency: TRACK_CURRENCY,
    lastSync,
    evidence,
    gain: textOf(figures, 'gain'),
    lowestCapital: textOf(figures, 'capital_lowest'),
    meanCapital: textOf(figures, 'capital_mean'),
    smallCapitalShare: textOf(figures, 'capital_small_share'),
  };
}
