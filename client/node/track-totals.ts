// Sums over the accounts of a user, added up here from signed statements. The enclave says sums of its own, which nobody
// signed: they are compared and not used. Money of a test environment is none, and adds up with nothing that is.

import type { Fixed } from '../../wire/fixed.ts';
import { formatFixed, parseFixed } from '../../wire/fixed.ts';
import type * as Wire from '../../wire/grpc/messages.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';

/** In US dollars, decimal texts; null: one of the accounts does not know its part. */
export interface TrackTotals {
  /** How many accounts are in the sums. */
  readonly accounts: number;
  /** Equity without what is not realised. */
  readonly balance: string | null;
  readonly equity: string | null;
  readonly realizedPnl: string | null;
  readonly unrealizedPnl: string | null;
  readonly fees: string | null;
  readonly funding: string | null;
  readonly volume: string | null;
  readonly trades: number;
}

type Amounts = Omit<TrackTotals, 'accounts' | 'trades'>;
type Figures = Pick<MetricsStatement, 'environment' | 'figures'>;

function amountOf({ figures }: Figures, name: string): Fixed | null {
  const value = figures.get(name);
  return typeof value === 'string' ? parseFixed(value) : null;
}

function balanceOf(account: Figures): Fixed | null {
  const equity = amountOf(account, 'equity_end');
  const unrealised = amountOf(account, 'unrealised_end');
  return equity === null || unrealised === null ? null : equity - unrealised;
}

const AMOUNTS: Readonly<Record<keyof Amounts, (account: Figures) => Fixed | null>> = {
  balance: balanceOf,
  equity: (account) => amountOf(account, 'equity_end'),
  realizedPnl: (account) => amountOf(account, 'realised'),
  unrealizedPnl: (account) => amountOf(account, 'unrealised_end'),
  fees: (account) => amountOf(account, 'fees'),
  funding: (account) => amountOf(account, 'funding'),
  volume: (account) => amountOf(account, 'volume'),
};

function sumOf(values: readonly (Fixed | null)[]): string | null {
  let sum = 0n;
  for (const value of values) {
    if (value === null) return null;
    sum += value;
  }
  return formatFixed(sum);
}

export function totalsOf(all: readonly Figures[]): TrackTotals {
  const live = all.filter(({ environment }) => environment === 'live');
  const accounts = live.length === 0 ? all : live;
  const amounts = Object.fromEntries(
    Object.entries(AMOUNTS).map(([name, read]) => [name, sumOf(accounts.map(read))]),
  ) as Record<keyof Amounts, string | null>;
  const trades = accounts.reduce((sum, { figures }) => {
    const value = figures.get('trades');
    return typeof value === 'number' ? sum + value : sum;
  }, 0);
  return { accounts: accounts.length, ...amounts, trades };
}

/** Refuses `record_mismatch` with the first sum of the enclave that is another one. */
export function compareTotals(
  totals: TrackTotals,
  said: Wire.AggregatedMetricsResponse,
): Result<null> {
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['total_balance', totals.balance, said.totalBalance],
    ['total_equity', totals.equity, said.totalEquity],
    ['total_realized_pnl', totals.realizedPnl, said.totalRealizedPnl],
    ['total_unrealized_pnl', totals.unrealizedPnl, said.totalUnrealizedPnl],
    ['total_fees', totals.fees, said.totalFees],
    ['total_funding', totals.funding, said.totalFunding],
    ['total_volume', totals.volume, said.totalVolume],
    ['total_trades', totals.trades, said.totalTrades],
  ];
  const wrong = pairs.find(([, own, other]) => own !== other);
  return wrong === undefined ? accept(null) : refuse('record_mismatch', { what: wrong[0] });
}
