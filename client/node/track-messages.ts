// The readable rows of gRPC as they have to be, built anew from the statement that the enclave has signed, and the first
// field in which one differs from what was shown. Rows are compared by the table of their message, so that no field of it
// is left out; what no statement says is named here.

import { equalBytes } from '../../wire/bytes.ts';
import { assertDecimal, formatDecimal, multiplyDecimals } from '../../wire/decimal.ts';
import type { Fixed } from '../../wire/fixed.ts';
import { formatFixed, parseFixed } from '../../wire/fixed.ts';
import type * as Wire from '../../wire/grpc/messages.ts';
import { LotMethod, Reconciliation, ReturnMethod } from '../../wire/grpc/messages.ts';
import type { FieldSchema, MessageSchema } from '../../wire/grpc/protobuf.ts';
import type { MarketFigures } from '../../wire/track/figures.ts';
import { HOUR_MS, TRACK_CURRENCY } from '../../wire/track/head.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';
import type { SnapshotStatement } from '../../wire/track/snapshot.ts';

const HOURS_OF_A_DAY = 24;
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

export function amountText(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

/** Change of equity without what came in or went out; null where a part of it is not known. */
export function netReturnOf({ figures }: HourStatement): string | null {
  const { equityStart, equityEnd, inflow, outflow } = figures;
  if (equityStart === null || equityEnd === null || inflow === null || outflow === null)
    return null;
  return formatFixed(equityEnd - equityStart - inflow + outflow);
}

/** `evidence` is what was verified. */
export function returnMessage(hour: HourStatement, evidence: Wire.Evidence | null): Wire.Return {
  const { figures, venue, supersedes } = hour;
  const { ratio, method, reason } = hour.return;
  const percent = ratio === null ? null : multiplyDecimals(assertDecimal(ratio), HUNDRED);
  return {
    period: new Date(figures.startMs).toISOString().replace('.000Z', 'Z'),
    netReturn: netReturnOf(hour),
    percentageReturn: percent === null ? null : formatDecimal(percent),
    balance: amountText(figures.equityEnd),
    start: figures.startMs,
    end: figures.startMs + HOUR_MS,
    exchange: venue,
    ratio,
    method: method === null ? ReturnMethod.NO_METHOD : METHODS[method],
    reason: reason ?? '',
    currency: TRACK_CURRENCY,
    residual: amountText(figures.residual),
    reconciliation: RECONCILIATIONS[figures.status],
    coverage: { polls: figures.polls, complete: figures.complete, gaps: figures.gaps },
    supersedes: supersedes?.counter ?? null,
    evidence,
  };
}

function sum(values: readonly (Fixed | null)[]): Fixed | null {
  return values.reduce((a, b) => (a === null || b === null ? null : a + b), 0n);
}

type Summed = Omit<MarketFigures, 'market' | 'outlay' | 'income'>;

function marketMessage(row: Summed | undefined): Wire.MarketMetrics | null {
  if (row === undefined) return null;
  return {
    equity: amountText(row.equity),
    // No statement has it.
    availableMargin: null,
    volume: amountText(row.volume),
    trades: row.trades,
    tradingFees: amountText(row.fees),
    fundingFees: amountText(row.funding),
    realizedPnl: amountText(row.realised),
    unrealizedPnl: amountText(row.unrealised),
  };
}

function breakdownMessage({
  byMarket,
  equity,
  unrealised,
}: SnapshotStatement): Wire.MarketBreakdown {
  const of = (name: MarketFigures['market']): Wire.MarketMetrics | null =>
    marketMessage(byMarket.find(({ market }) => market === name));
  const global = {
    equity,
    volume: sum(byMarket.map(({ volume }) => volume)),
    trades: byMarket.reduce((count, { trades }) => count + trades, 0),
    fees: sum(byMarket.map(({ fees }) => fees)),
    funding: sum(byMarket.map(({ funding }) => funding)),
    realised: sum(byMarket.map(({ realised }) => realised)),
    unrealised,
  };
  return {
    global: marketMessage(global),
    spot: of('spot'),
    swap: of('swap'),
    options: of('option'),
    stocks: of('stock'),
    futures: of('future'),
    cfd: null,
    forex: null,
    commodities: null,
  };
}

/** `userUid`: who was asked for. */
export function snapshotMessage(
  snapshot: SnapshotStatement,
  userUid: string,
  evidence: Wire.Evidence | null,
): Wire.DailySnapshot {
  const { basis } = snapshot;
  return {
    userUid,
    exchange: snapshot.venue,
    timestamp: snapshot.atMs,
    totalEquity: amountText(snapshot.equity),
    realizedBalance: amountText(snapshot.balance),
    unrealizedPnl: amountText(snapshot.unrealised),
    deposits: amountText(snapshot.deposits),
    withdrawals: amountText(snapshot.withdrawals),
    breakdown: breakdownMessage(snapshot),
    currency: TRACK_CURRENCY,
    residual: null,
    coverage: {
      polls: basis.hours,
      complete: basis.completeHours === HOURS_OF_A_DAY,
      gaps: snapshot.gaps,
    },
    supersedes: snapshot.supersedes?.counter ?? null,
    evidence,
  };
}

class Named {
  readonly #figures: MetricsStatement['figures'];

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

  fixed(name: string): Fixed | null {
    const value = this.text(name);
    return value === null ? null : parseFixed(value);
  }
}

/** What the figures are about: hours that were worked out backwards are in the statement, and not in them. */
export function periodOf(metrics: MetricsStatement): {
  readonly fromMs: number;
  readonly toMs: number;
} {
  const named = new Named(metrics);
  return {
    fromMs: named.number('start_ms') ?? metrics.fromMs,
    toMs: named.number('end_ms') ?? metrics.toMs,
  };
}

function ratiosMessage(named: Named): Wire.Ratios {
  return {
    cumulativeReturn: named.text('return'),
    cumulativeReturnBridged: named.text('return_bridged'),
    volatility: named.text('daily.volatility'),
    sharpe: named.text('daily.sharpe'),
    sortino: named.text('daily.sortino'),
    calmar: named.text('daily.calmar'),
    maxDrawdown: named.text('daily.drawdown'),
    drawdownPeak: named.number('daily.drawdown_peak_ms'),
    drawdownTrough: named.number('daily.drawdown_trough_ms'),
    drawdownRecovery: named.number('daily.drawdown_recovery_ms'),
    winRate: named.text('daily.win_rate'),
    profitFactor: named.text('daily.profit_factor'),
    xirr: named.text('xirr'),
  };
}

/** Their order says nothing. */
export function byName(conventions: readonly Wire.Convention[]): readonly Wire.Convention[] {
  return conventions.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** `lastSync` is in no statement: when the enclave last polled is its word, and is given to nobody. */
export function metricsMessage(
  metrics: MetricsStatement,
  lastSync: number,
  evidence: Wire.Evidence | null,
): Wire.AccountMetrics {
  const named = new Named(metrics);
  const [equity, unrealised] = [named.fixed('equity_end'), named.fixed('unrealised_end')];
  const { fromMs, toMs } = periodOf(metrics);
  return {
    exchange: metrics.venue,
    balance: amountText(equity === null || unrealised === null ? null : equity - unrealised),
    equity: named.text('equity_end'),
    realizedPnl: named.text('realised'),
    unrealizedPnl: named.text('unrealised_end'),
    fees: named.text('fees'),
    funding: named.text('funding'),
    volume: named.text('volume'),
    trades: named.number('trades') ?? 0,
    periodStart: fromMs,
    periodEnd: toMs,
    ratios: ratiosMessage(named),
    conventions: byName(Array.from(metrics.conventions, ([name, value]) => ({ name, value }))),
    // `realised` is the sum of hours that say so.
    lotMethod: LotMethod.FIFO,
    coverage: {
      polls: named.number('polls') ?? 0,
      complete: named.number('hours_incomplete') === 0,
      gaps: [...new Set(metrics.gaps.map(({ reason }) => reason))].toSorted(),
    },
    residual: named.text('residual'),
    currency: TRACK_CURRENCY,
    lastSync,
    evidence,
    gain: named.text('gain'),
    lowestCapital: named.text('capital_lowest'),
    meanCapital: named.text('capital_mean'),
    smallCapitalShare: named.text('capital_small_share'),
  };
}

function isMessage(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isSame(signed: unknown, shown: unknown): boolean {
  const isBytes = signed instanceof Uint8Array && shown instanceof Uint8Array;
  return isBytes ? equalBytes(signed, shown) : signed === shown;
}

/** Behind the name of the field: empty where the value itself differs, null where nothing does. */
function valueDifference(
  type: FieldSchema['type'],
  signed: unknown,
  shown: unknown,
): string | null {
  const isInner = typeof type === 'function' && isMessage(signed) && isMessage(shown);
  if (!isInner) return isSame(signed, shown) ? null : '';
  const inner = differenceOf(type(), signed, shown);
  return inner === null ? null : `.${inner}`;
}

/** Name of the first field that differs, as the proto has it, behind those that it is in; null: none. */
export function differenceOf<Message extends object>(
  { fields }: MessageSchema<Message>,
  signed: Message,
  shown: Message,
): string | null {
  for (const { name, type, label } of fields) {
    const [owns = [], others = []] = [signed, shown].map((message) => {
      const value = Reflect.get(message, name) as unknown;
      return label === 'repeated' ? (value as readonly unknown[]) : [value];
    });
    const what = name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
    if (owns.length !== others.length) return what;
    for (const [at, own] of owns.entries()) {
      const found = valueDifference(type, own, others[at]);
      if (found !== null) return what + found;
    }
  }
  return null;
}
