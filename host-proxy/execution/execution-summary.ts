// What the paper account did, for people and for `--json`. Amounts are decimal text of the quote currency,
// rounded down to 10^-8.

import type { RefusalCode } from '../../wire/codes.ts';
import { formatDecimal } from '../../wire/market/scaled.ts';
import type { Account, Position } from './account.ts';
import type { Amount } from './money.ts';
import { notional, toQuote8 } from './money.ts';
import type { PaperBroker } from './paper-broker.ts';

export interface ExecutionCounters {
  /** Batches played. */
  batches: number;
  /** RELEASE frames. */
  released: number;
  accepted: number;
  fills: number;
  filled: number;
  cancelled: number;
  expired: number;
  /** Orders that a former process left open. */
  reconciled: number;
  /** Signals that became no order, by code; each got a report. */
  rejected: Partial<Record<RefusalCode, number>>;
  /** Releases that failed the check against the log, by code. */
  refused: Partial<Record<RefusalCode, number>>;
}

export interface PositionSummary {
  readonly symbol: string;
  readonly quantity: string;
  /** Null without a position. */
  readonly averagePrice: string | null;
  readonly realised: string;
  /** Null without a market. */
  readonly unrealised: string | null;
  readonly fees: string;
  readonly volume: string;
}

export interface ExecutionSummary extends ExecutionCounters {
  readonly open: number;
  readonly positions: readonly PositionSummary[];
  readonly realised: string | null;
  readonly unrealised: string | null;
  readonly fees: string | null;
  readonly volume: string | null;
  /** realised + unrealised − fees; null while a position has no market. */
  readonly profit: string | null;
}

export function newCounters(): ExecutionCounters {
  return {
    batches: 0,
    released: 0,
    accepted: 0,
    fills: 0,
    filled: 0,
    cancelled: 0,
    expired: 0,
    reconciled: 0,
    rejected: {},
    refused: {},
  };
}

const text = (amount: Amount): string => formatDecimal(toQuote8(amount), 8);

function summarizePosition(position: Position): PositionSummary {
  const { instrument, quantity, cost, unrealised } = position;
  const unit = notional(instrument, 1, quantity);
  return {
    symbol: instrument.symbol,
    quantity: formatDecimal(quantity, instrument.quantity_scale),
    averagePrice: unit === 0n ? null : formatDecimal(cost / unit, instrument.price_scale),
    realised: text(position.realised),
    unrealised: unrealised === null ? null : text(unrealised),
    fees: text(position.fees),
    volume: text(position.volume),
  };
}

export function summarize(
  counters: ExecutionCounters,
  account: Account,
  broker: PaperBroker,
): ExecutionSummary {
  const totals = account.totals();
  return {
    ...counters,
    rejected: { ...counters.rejected },
    refused: { ...counters.refused },
    open: broker.openOrders,
    positions: account.positions.map(summarizePosition),
    realised: totals && text(totals.realised),
    unrealised: totals && text(totals.unrealised),
    fees: totals && text(totals.fees),
    volume: totals && text(totals.volume),
    profit: totals && text(totals.equity),
  };
}
