// The account's orders at Binance, put together from their fills: what tells a client its own order ids, since
// trades do not. Those that are open are kept by the simulator, and have no fills.

import { divide } from '../../amount.ts';
import type { Fill } from '../../world.ts';
import { DAY_MS, eight, integer, limitOf, mandatory, marketOf, spanOf, within } from './context.ts';
import type { Signed, SpanRule } from './context.ts';
import { binanceRefusal } from './refusals.ts';

type Segment = 'spot' | 'linear' | 'inverse';

function spanRule(segment: Segment): SpanRule {
  return {
    maximumMs: segment === 'spot' ? DAY_MS : 7 * DAY_MS,
    defaultMs: segment === 'spot' ? Number.MAX_SAFE_INTEGER : 7 * DAY_MS,
    refuse: () => binanceRefusal(400, -1127, 'More than 24 hours between startTime and endTime.'),
  };
}

interface Order {
  readonly number: number;
  readonly timeMs: number;
  readonly fills: readonly Fill[];
}

function ordersOf(fills: readonly Fill[]): readonly Order[] {
  const byOrder = Map.groupBy(fills, ({ order }) => order);
  return [...byOrder]
    .map(([number, parts]) => ({ number, timeMs: parts[0]?.timeMs ?? 0, fills: parts }))
    .toSorted((left, right) => left.number - right.number);
}

function written({ number, fills }: Order, segment: Segment): object | null {
  const [first] = fills;
  const last = fills.at(-1);
  if (first === undefined || last === undefined) return null;
  const amount = fills.reduce((sum, fill) => sum + fill.amount, 0n);
  const cost = fills.reduce((sum, fill) => sum + fill.cost, 0n);
  const average = segment === 'inverse' ? first.price : divide(cost, amount);
  return {
    symbol: first.market.id,
    orderId: number,
    ...(segment === 'spot' ? { orderListId: -1 } : {}),
    clientOrderId: first.clientOrderId ?? `web_${String(number)}`,
    price: eight(first.price),
    origQty: eight(amount),
    executedQty: eight(amount),
    ...(segment === 'spot' ? { cummulativeQuoteQty: eight(cost) } : { avgPrice: eight(average) }),
    ...(segment === 'linear' ? { cumQuote: eight(cost) } : {}),
    ...(segment === 'inverse' ? { cumBase: eight(cost) } : {}),
    status: 'FILLED',
    timeInForce: 'GTC',
    type: 'LIMIT',
    side: first.side.toUpperCase(),
    stopPrice: '0.00000000',
    time: first.timeMs,
    updateTime: last.timeMs,
    ...(segment === 'spot' ? { isWorking: true, workingTime: first.timeMs } : {}),
  };
}

function all(context: Signed, segment: Segment): readonly Order[] {
  const market = marketOf(context, segment, mandatory(context, 'symbol'));
  return ordersOf(context.account.fills.filter((fill) => fill.market === market));
}

/** By `orderId` from there, by time the oldest first, the most recent ones without either. */
export function allOrders(context: Signed, segment: Segment): readonly (object | null)[] {
  const limit = limitOf(context, 'limit', 500, 1000);
  const from = integer(context, 'orderId');
  const orders = all(context, segment);
  const { parameters } = context.call;
  const isTimed = parameters.has('startTime') || parameters.has('endTime');
  const found =
    from === null
      ? within(orders, spanOf(context, spanRule(segment)))
      : orders.filter(({ number }) => number >= from);
  const page = isTimed || from !== null ? found.slice(0, limit) : found.slice(-limit);
  return page.map((order) => written(order, segment));
}

export function oneOrder(context: Signed, segment: Segment): object | null {
  const id = integer(context, 'orderId');
  const client = context.call.parameters.get('origClientOrderId');
  const order = all(context, segment).find(
    ({ number, fills }) => number === id || fills[0]?.clientOrderId === client,
  );
  if (order === undefined) throw binanceRefusal(400, -2013, 'Order does not exist.');
  return written(order, segment);
}

/** Of one symbol, or of all. */
export function openOrders(context: Signed, wallet: 'spot' | 'margin'): readonly object[] {
  const id = context.call.parameters.get('symbol');
  const wanted = id === null ? null : marketOf(context, 'spot', id);
  return context.account.orders
    .filter((order) => order.wallet === wallet && (wanted === null || order.market === wanted))
    .map(({ number, market, side, price, amount, timeMs }) => ({
      symbol: market.id,
      orderId: number,
      orderListId: -1,
      clientOrderId: `web_${String(number)}`,
      price: eight(price),
      origQty: eight(amount),
      executedQty: '0.00000000',
      cummulativeQuoteQty: '0.00000000',
      status: 'NEW',
      timeInForce: 'GTC',
      type: 'LIMIT',
      side: side.toUpperCase(),
      stopPrice: '0.00000000',
      icebergQty: '0.00000000',
      time: timeMs,
      updateTime: timeMs,
      isWorking: true,
      workingTime: timeMs,
    }));
}
