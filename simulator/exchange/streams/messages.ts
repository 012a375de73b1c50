// What the simulated venues send over their WebSockets: Binance's streams (raw or combined) and Bybit's topics.

import { formatAmount, formatPlaces } from '../amount.ts';
import type { Market } from '../markets.ts';
import { uuidOf } from '../world-ids.ts';
import type { Book, Places, Tick } from './book.ts';
import { writtenLevels } from './book.ts';

export interface Message {
  /** A stream of Binance, a topic of Bybit. */
  readonly stream: string;
  readonly data: object;
}

function isSpot(market: Market): boolean {
  return market.segment === 'spot';
}

/** Spot pads to eight decimals, futures to those of the market. */
export function binancePlaces(market: Market): Places {
  return isSpot(market) ? { price: 8, quantity: 8 } : { price: 2, quantity: 3 };
}

/** Depth, trade and best prices of one tick. */
export function binanceMessages(
  market: Market,
  tick: Tick,
  book: Book,
  nowMs: number,
): readonly Message[] {
  const name = market.id.toLowerCase();
  const places = binancePlaces(market);
  const { firstId, lastId, previousId, trade } = tick;
  const [bid] = book.bids;
  const [ask] = book.asks;
  const price = (value: bigint): string => formatPlaces(value, places.price);
  const quantity = (value: bigint): string => formatPlaces(value, places.quantity);
  const depth = {
    e: 'depthUpdate',
    E: nowMs,
    ...(isSpot(market) ? {} : { T: nowMs }),
    s: market.id,
    U: firstId,
    u: lastId,
    ...(isSpot(market) ? {} : { pu: previousId }),
    b: writtenLevels(tick.bids, places),
    a: writtenLevels(tick.asks, places),
  };
  const traded = {
    e: 'trade',
    E: nowMs,
    T: nowMs,
    s: market.id,
    t: trade.id,
    p: price(trade.price),
    q: quantity(trade.quantity),
    m: trade.isSale,
    ...(isSpot(market) ? { M: true } : { X: 'MARKET' }),
  };
  const best = {
    ...(isSpot(market) ? {} : { e: 'bookTicker', T: nowMs, E: nowMs }),
    u: lastId,
    s: market.id,
    b: price(bid?.[0] ?? 0n),
    B: quantity(bid?.[1] ?? 0n),
    a: price(ask?.[0] ?? 0n),
    A: quantity(ask?.[1] ?? 0n),
  };
  return [
    { stream: `${name}@depth@100ms`, data: depth },
    { stream: `${name}@depth`, data: depth },
    { stream: `${name}@trade`, data: traded },
    { stream: `${name}@bookTicker`, data: best },
  ];
}

/** Bybit counts books by one. */
const bybitIds = new WeakMap<Book, number>();

function bybitBook(
  market: Market,
  topic: string,
  type: string,
  data: object,
  nowMs: number,
): Message {
  return {
    stream: topic,
    data: { topic, type, ts: nowMs, cts: nowMs, data: { s: market.id, ...data } },
  };
}

function bybitTopic(market: Market): string {
  return `orderbook.50.${market.id}`;
}

function plain(levels: readonly (readonly [bigint, bigint])[]): readonly string[][] {
  return levels.map(([price, quantity]) => [formatAmount(price), formatAmount(quantity)]);
}

/** The whole book: after subscribing, and with id 1 when the venue starts anew. */
export function bybitSnapshot(market: Market, book: Book, nowMs: number, isNew: boolean): Message {
  const u = isNew ? 1 : (bybitIds.get(book) ?? 1000);
  bybitIds.set(book, u);
  const data = { b: plain(book.bids), a: plain(book.asks), u, seq: book.lastId };
  return bybitBook(market, bybitTopic(market), 'snapshot', data, nowMs);
}

export function skipBybit(book: Book, ids: number): void {
  bybitIds.set(book, (bybitIds.get(book) ?? 1000) + ids);
}

export function bybitMessages(
  market: Market,
  tick: Tick,
  book: Book,
  nowMs: number,
): readonly Message[] {
  const u = (bybitIds.get(book) ?? 1000) + 1;
  bybitIds.set(book, u);
  const { trade } = tick;
  const data = { b: plain(tick.bids), a: plain(tick.asks), u, seq: tick.lastId };
  const topic = `publicTrade.${market.id}`;
  const traded = {
    T: nowMs,
    s: market.id,
    S: trade.isSale ? 'Sell' : 'Buy',
    v: formatAmount(trade.quantity),
    p: formatAmount(trade.price),
    L: 'PlusTick',
    i: uuidOf(`bybit-public-${market.symbol}`, trade.id),
    BT: false,
  };
  return [
    bybitBook(market, bybitTopic(market), 'delta', data, nowMs),
    { stream: topic, data: { topic, type: 'snapshot', ts: nowMs, data: [traded] } },
  ];
}
