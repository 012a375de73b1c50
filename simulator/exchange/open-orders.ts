// Orders that are open: they lock what they may cost, and are never filled by themselves. Only Binance's spot and margin
// accounts tell of them so far.

import { multiply, parseAmount } from './amount.ts';
import type { Amount } from './amount.ts';
import type { Market } from './markets.ts';
import type { Account, World } from './world.ts';

export interface OpenOrder {
  readonly number: number;
  readonly market: Market;
  readonly wallet: string;
  readonly side: 'buy' | 'sell';
  readonly price: Amount;
  readonly amount: Amount;
  readonly timeMs: number;
}

export interface OrderOptions {
  readonly account: string;
  /** Unified: `ETH/BTC`. */
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  readonly amount: string;
  readonly price: string;
  /** `margin`, for instance; the market's own without it. */
  readonly wallet?: string;
}

export function placeOrder(world: World, options: OrderOptions): OpenOrder {
  const account = world.account(options.account);
  const market = world.venue(account.venue).markets.get(options.symbol);
  if (market === undefined) throw new RangeError(`no market ${options.symbol}`);
  const order: OpenOrder = {
    number: world.nextNumber(),
    market,
    wallet: options.wallet ?? market.segment,
    side: options.side,
    price: parseAmount(options.price),
    amount: parseAmount(options.amount),
    timeMs: world.nowMs(),
  };
  account.orders.push(order);
  return order;
}

export function cancelOrder(world: World, accountId: string, number: number): void {
  const { orders } = world.account(accountId);
  const at = orders.findIndex((order) => order.number === number);
  if (at < 0) throw new RangeError(`no open order ${number}`);
  orders.splice(at, 1);
}

/** By currency. */
export function lockedOf(account: Account, wallet: string): ReadonlyMap<string, Amount> {
  const locked = new Map<string, Amount>();
  for (const order of account.orders) {
    if (order.wallet !== wallet) continue;
    const { market, side, price, amount } = order;
    const currency = side === 'buy' ? market.quote : market.base;
    const needed = side === 'buy' ? multiply(price, amount) : amount;
    locked.set(currency, (locked.get(currency) ?? 0n) + needed);
  }
  return locked;
}
