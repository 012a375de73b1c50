// Limits that an order passes before it goes out, all in integers. They protect the firm from its own
// strategy; whoever controls the host can lift them, but every order and its fate is in the log.

import type { RefusalCode } from '../../wire/codes.ts';
import type { Side } from '../../wire/payloads.ts';
import { SIDE } from '../../wire/payloads.ts';
import type { Amount } from './money.ts';
import { notional, QUOTE8 } from './money.ts';
import type { Account, DoubledPrice } from './account.ts';

const MILLION = 1_000_000n;
const NS_PER_MS = 1_000_000n;
const NS_PER_DAY = 86_400_000n * NS_PER_MS;

export interface RiskLimits {
  /** Limit price × quantity, × 10^8 of the quote currency. */
  readonly maxOrderNotional: bigint;
  /** Position with all open orders of the same side filled, at mid or limit, whichever is more. */
  readonly maxPositionNotional: bigint;
  /** Orders in any window of event time. */
  readonly maxOrders: number;
  readonly orderWindowMs: number;
  /** Distance of the limit price from the middle of the book, in millionths of it. */
  readonly priceBandPpm: number;
  /** Loss since 00:00 UTC, realised and unrealised, fees included, at which orders stop. */
  readonly maxDailyLoss: bigint;
}

export interface RiskOrder {
  readonly instrument: number;
  readonly side: Side;
  readonly quantity: number;
  readonly limit: number;
}

export interface RiskContext {
  readonly nowNs: bigint;
  /** Null without a valid book with both sides. */
  readonly mid: DoubledPrice | null;
  /** Scaled quantity of open orders of the same instrument and side. */
  readonly openQuantity: bigint;
  readonly killed: boolean;
}

/** Equity at 00:00 UTC of a day, or at the first look at it. */
export interface DayStart {
  readonly day: bigint;
  readonly equity: Amount;
}

export class RiskGate {
  readonly #limits: RiskLimits;
  readonly #account: Account;
  /** Event times of the orders in the window. */
  #times: bigint[] = [];
  #dayStart: DayStart | null = null;

  constructor(limits: RiskLimits, account: Account) {
    this.#limits = limits;
    this.#account = account;
  }

  get dayStart(): DayStart | null {
    return this.#dayStart;
  }

  /** From the journal, after a restart. */
  restoreDay(dayStart: DayStart): void {
    this.#dayStart = dayStart;
  }

  /** Call as event time goes on, before the day's orders. True when a new day began. */
  enterDay(nowNs: bigint): boolean {
    const day = nowNs / NS_PER_DAY;
    const totals = this.#account.totals();
    if (this.#dayStart?.day === day || totals === null) return false;
    this.#dayStart = { day, equity: totals.equity };
    return true;
  }

  /** Null when the order may go out; it then counts for the order rate. */
  check(order: RiskOrder, context: RiskContext): RefusalCode | null {
    const refused = this.#refusalOf(order, context);
    if (refused === null) this.#times.push(context.nowNs);
    return refused;
  }

  #refusalOf(order: RiskOrder, context: RiskContext): RefusalCode | null {
    const limits = this.#limits;
    if (context.killed) return 'risk_kill_switch';
    if (context.mid === null) return 'risk_no_market';
    const { instrument } = this.#account.of(order.instrument);
    const orderNotional = notional(instrument, order.limit, BigInt(order.quantity));
    if (orderNotional > limits.maxOrderNotional * QUOTE8) return 'risk_order_notional';
    const distance = abs(2n * BigInt(order.limit) - context.mid);
    if (distance * MILLION > BigInt(limits.priceBandPpm) * context.mid) return 'risk_price_band';
    if (this.#positionTooLarge(order, context.mid, context)) return 'risk_position_notional';
    const windowStart = context.nowNs - BigInt(limits.orderWindowMs) * NS_PER_MS;
    this.#times = this.#times.filter((time) => time > windowStart);
    if (this.#times.length >= limits.maxOrders) return 'risk_order_rate';
    return this.#checkDailyLoss();
  }

  /** An order that can only make the position smaller always passes. */
  #positionTooLarge(order: RiskOrder, mid: DoubledPrice, context: RiskContext): boolean {
    const position = this.#account.of(order.instrument);
    const wanted = context.openQuantity + BigInt(order.quantity);
    const after = position.quantity + (order.side === SIDE.buy ? wanted : -wanted);
    if (abs(after) <= abs(position.quantity)) return false;
    const doubled = 2n * BigInt(order.limit);
    const price = doubled > mid ? doubled : mid;
    const value = notional(position.instrument, price, abs(after)) / 2n;
    return value > this.#limits.maxPositionNotional * QUOTE8;
  }

  #checkDailyLoss(): RefusalCode | null {
    const totals = this.#account.totals();
    // A position without a market: the loss is not known.
    if (totals === null || this.#dayStart === null) return 'risk_no_market';
    const loss = this.#dayStart.equity - totals.equity;
    return loss >= this.#limits.maxDailyLoss * QUOTE8 ? 'risk_daily_loss' : null;
  }
}

function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}
