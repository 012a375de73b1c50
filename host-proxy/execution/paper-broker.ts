// A broker that fills orders against recorded or live market data, in event time: the clock is the latest
// receive time of the data, so the same batches and orders give the same fills whenever they are played.
//
// Model. An order reaches the market `latencyMs` after its decision. It takes the book's levels up to its
// limit; each fill is `slippageTicks` price units worse than its level, within the limit. What is left
// rests at its limit and is filled there when a trade prints beyond the limit, up to the trade's quantity,
// or when the other side of the book reaches the limit, up to its quantity; then it expires. Resting
// orders have no place in the venue's queue, our orders do not move the market, and one feed's data is
// applied when the enclave is done with it. Batches that were dropped are not seen here either: over a
// hole nothing is filled, and there is no book before the next snapshot. Hostile market data gives wrong
// fills, nothing worse.

import type { Batch } from '../../wire/batch.ts';
import { ROW } from '../../wire/batch.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { InstrumentMarket } from '../../wire/market/market.ts';
import { Market } from '../../wire/market/market.ts';
import type { Side } from '../../wire/payloads.ts';
import { SIDE } from '../../wire/payloads.ts';
import type { DoubledPrice } from './account.ts';
import { Liquidity } from './liquidity.ts';
import { feeQuote8, notional } from './money.ts';

const NS_PER_MS = 1_000_000n;

export interface PaperOptions {
  /** From the decision to the venue. */
  readonly latencyMs: number;
  /** Fees in millionths of the notional: 1,000 is ten basis points. */
  readonly takerFeePpm: number;
  readonly makerFeePpm: number;
  /** Units of the price scale by which fills that take are worse than the book's level. */
  readonly slippageTicks: number;
}

export interface OrderRequest {
  readonly clientOrderId: string;
  readonly instrument: number;
  readonly side: Side;
  /** Scaled. */
  readonly quantity: number;
  readonly limit: number;
  readonly decisionNs: bigint;
  readonly expiresNs: bigint;
}

export interface BrokerFill {
  readonly price: number;
  readonly quantity: number;
  /** × 10^8 of the quote currency. */
  readonly fee: number;
  readonly timeNs: bigint;
}

export type OrderEnd = 'filled' | 'cancelled' | 'expired';

export interface BrokerHandlers {
  readonly onFill: (clientOrderId: string, fill: BrokerFill) => void;
  readonly onEnd: (clientOrderId: string, end: OrderEnd, timeNs: bigint) => void;
}

interface OpenOrder {
  readonly request: OrderRequest;
  readonly buyer: boolean;
  readonly arrivesNs: bigint;
  remaining: number;
  resting: boolean;
}

export class PaperBroker {
  readonly #options: PaperOptions;
  readonly #handlers: BrokerHandlers;
  readonly #market: Market;
  readonly #liquidity = new Map<number, Liquidity>();
  /** In the order of submission. */
  #orders: OpenOrder[] = [];
  #clockNs = 0n;
  /** The next arrival or expiry; null when there is none. */
  #nextDueNs: bigint | null = null;

  constructor(instruments: readonly Instrument[], options: PaperOptions, handlers: BrokerHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#market = new Market(instruments);
    for (const { id, market } of instruments) {
      if (market === 'inverse') throw new RangeError('inverse contracts are not simulated');
      const traded = this.#market.of(id);
      if (traded !== null) this.#liquidity.set(id, new Liquidity(traded));
    }
  }

  /** Latest receive time of the market data. */
  get clockNs(): bigint {
    return this.#clockNs;
  }

  get openOrders(): number {
    return this.#orders.length;
  }

  /** Twice the middle of the book; null without a book that has both sides. */
  mid(instrument: number): DoubledPrice | null {
    const book = this.#market.of(instrument)?.book;
    const bid = book?.bestBid ?? null;
    const ask = book?.bestAsk ?? null;
    return bid === null || ask === null ? null : BigInt(bid) + BigInt(ask);
  }

  /** Scaled quantity of the open orders of one side. */
  openQuantity(instrument: number, side: Side): bigint {
    let sum = 0n;
    for (const { request, remaining } of this.#orders) {
      if (request.instrument === instrument && request.side === side) sum += BigInt(remaining);
    }
    return sum;
  }

  /** The order is on its way; `settle()` when all orders of this moment are in. */
  submit(request: OrderRequest): void {
    this.#orders.push({
      request,
      buyer: request.side === SIDE.buy,
      arrivesNs: request.decisionNs + BigInt(this.#options.latencyMs) * NS_PER_MS,
      remaining: request.quantity,
      resting: false,
    });
    this.#schedule();
  }

  /** Lets orders arrive and expire that are due at the clock's time. */
  settle(): void {
    this.#runDue(this.#clockNs);
  }

  cancelAll(): void {
    for (const { request } of this.#orders.splice(0)) {
      this.#handlers.onEnd(request.clientOrderId, 'cancelled', this.#clockNs);
    }
    this.#nextDueNs = null;
  }

  /** Plays one batch, event by event. Orders that are due in between meet the book of that moment. */
  apply(batch: Batch): void {
    // First of all: what is due within a hole must not meet the book from before it.
    this.#market.enter(batch);
    let group = 0;
    let row = 0;
    while (row < batch.rows || group < batch.groups) {
      if (group < batch.groups && batch.groupFirstRow[group] === row) {
        const rows = batch.groupRows[group] ?? 0;
        if (rows > 0) this.#advance(batch.receiveTimeNs[row] ?? 0n);
        this.#applyGroup(batch, group);
        row += rows;
        group++;
      } else {
        this.#advance(batch.receiveTimeNs[row] ?? 0n);
        if (batch.kind[row] === ROW.trade) this.#applyTrade(batch, row);
        row++;
      }
    }
    this.#advance(batch.timeNs);
    this.settle();
  }

  #advance(timeNs: bigint): void {
    if (timeNs <= this.#clockNs) return;
    // What is due at the new time itself comes after the events of that time.
    this.#runDue(timeNs - 1n);
    this.#clockNs = timeNs;
  }

  #runDue(untilNs: bigint): void {
    while (this.#nextDueNs !== null && this.#nextDueNs <= untilNs) {
      const nowNs = this.#nextDueNs;
      const orders = this.#orders.slice();
      for (const order of orders) {
        if (order.request.expiresNs <= nowNs) this.#end(order, 'expired', nowNs);
        else if (!order.resting && order.arrivesNs <= nowNs) this.#arrive(order, nowNs);
      }
      this.#schedule();
    }
  }

  #schedule(): void {
    let next: bigint | null = null;
    for (const { request, arrivesNs, resting } of this.#orders) {
      const due = resting || arrivesNs > request.expiresNs ? request.expiresNs : arrivesNs;
      if (next === null || due < next) next = due;
    }
    this.#nextDueNs = next;
  }

  #arrive(order: OpenOrder, nowNs: bigint): void {
    order.resting = true;
    const { buyer, request } = order;
    const slippage = buyer ? this.#options.slippageTicks : -this.#options.slippageTicks;
    const liquidity = this.#liquidity.get(request.instrument);
    while (order.remaining > 0) {
      const level = liquidity?.best(buyer) ?? null;
      if (level === null) break;
      const price = level.price + slippage;
      if (price < 1 || (buyer ? price > request.limit : price < request.limit)) break;
      const quantity = Math.min(order.remaining, level.quantity);
      liquidity?.take(buyer, level.price, quantity);
      this.#fill(order, price, quantity, this.#options.takerFeePpm, nowNs);
    }
  }

  #applyGroup(batch: Batch, group: number): void {
    const instrument = batch.groupInstrument[group] ?? 0;
    const liquidity = this.#liquidity.get(instrument);
    if (liquidity === undefined) return;
    liquidity.apply(batch, group);
    for (const order of this.#restingOf(instrument)) {
      const { buyer, request } = order;
      while (order.remaining > 0) {
        const level = liquidity.best(buyer);
        if (level === null) break;
        if (buyer ? level.price > request.limit : level.price < request.limit) break;
        const quantity = Math.min(order.remaining, level.quantity);
        liquidity.take(buyer, level.price, quantity);
        this.#fill(order, request.limit, quantity, this.#options.makerFeePpm, this.#clockNs);
      }
    }
  }

  #applyTrade(batch: Batch, row: number): void {
    const traded = this.#market.of(batch.instrument[row] ?? 0);
    if (traded === null || !isNewTrade(traded, batch, row)) return;
    const price = batch.price[row] ?? 0;
    let left = batch.quantity[row] ?? 0;
    for (const order of this.#restingOf(traded.instrument.id)) {
      if (left === 0) return;
      const { buyer, request } = order;
      if (buyer ? price >= request.limit : price <= request.limit) continue;
      const quantity = Math.min(order.remaining, left);
      left -= quantity;
      this.#fill(order, request.limit, quantity, this.#options.makerFeePpm, this.#clockNs);
    }
  }

  #restingOf(instrument: number): readonly OpenOrder[] {
    if (this.#orders.length === 0) return this.#orders;
    return this.#orders.filter(
      ({ request, resting }) => resting && request.instrument === instrument,
    );
  }

  #fill(order: OpenOrder, price: number, quantity: number, ppm: number, timeNs: bigint): void {
    const { request } = order;
    const traded = this.#market.of(request.instrument);
    if (traded === null) throw new Error('a fill of an unknown instrument');
    const amount = notional(traded.instrument, price, BigInt(quantity));
    const fee = Number(feeQuote8(amount, ppm));
    if (!Number.isSafeInteger(fee)) throw new RangeError('a fee beyond 2^53');
    order.remaining -= quantity;
    this.#handlers.onFill(request.clientOrderId, { price, quantity, fee, timeNs });
    if (order.remaining === 0) this.#end(order, 'filled', timeNs);
  }

  #end(order: OpenOrder, end: OrderEnd, timeNs: bigint): void {
    this.#orders.splice(this.#orders.indexOf(order), 1);
    this.#schedule();
    this.#handlers.onEnd(order.request.clientOrderId, end, timeNs);
  }
}

function isNewTrade(traded: InstrumentMarket, batch: Batch, row: number): boolean {
  const before = traded.trades;
  traded.applyTrade(batch, row);
  return traded.trades > before;
}
