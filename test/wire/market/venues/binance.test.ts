import { describe, expect, it } from 'vitest';
import { BinanceParser } from '../../../../wire/market/venues/binance.ts';
import type { Instrument } from '../../../../wire/configuration.ts';
import { assertAccepted } from '../../../../wire/result.ts';

const ETH: Instrument = {
  id: 7,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 8,
  sequence_rule: 'binance-spot',
};
const parser = new BinanceParser([ETH]);
const RECEIVED = 1_723_161_254_024_619_568n;
const common = { instrument: 7, receiveTimeNs: RECEIVED };
const MS = 1_000_000n;

const DEPTH = {
  e: 'depthUpdate',
  E: 1_723_161_255_308,
  s: 'ETHUSDT',
  U: 35_346_513_499,
  u: 35_346_513_505,
  b: [
    ['2683.80000000', '3.02920000'],
    ['2679.00000000', '0.00000000'],
  ],
  a: [['2733.70000000', '0.00000001']],
};
const TRADE = {
  e: 'trade',
  E: 1_723_161_255_612,
  s: 'ETHUSDT',
  t: 1_520_538_925,
  p: '2683.80000000',
  q: '0.00200000',
  T: 1_723_161_255_611,
  m: true,
  M: true,
};
const BEST = {
  u: 35_346_513_501,
  s: 'ETHUSDT',
  b: '2683.80000000',
  B: '3.02920000',
  a: '2683.81000000',
  A: '31.43950000',
};
const SNAPSHOT = { lastUpdateId: 12, bids: [['2683.80', '1']], asks: [['2683.81', '2']] };

const manyLevels = (length: number): string[][] => Array.from({ length }, () => ['1', '1']);

function parse(message: unknown): unknown {
  return assertAccepted(parser.parse(JSON.stringify(message), RECEIVED));
}

function refusedField(message: unknown): unknown {
  const text = typeof message === 'string' ? message : JSON.stringify(message);
  const result = parser.parse(text, RECEIVED);
  if (result.ok) return result.value;
  expect(result.refusal.code).toBe('capture_malformed');
  return result.refusal.detail['field'];
}

describe('binance messages', () => {
  it('reads a depth update, inside a combined stream or not', () => {
    const expected = {
      ...common,
      type: 'depth',
      exchangeTimeNs: 1_723_161_255_308n * MS,
      snapshot: false,
      firstId: 35_346_513_499,
      lastId: 35_346_513_505,
      previousId: -1,
      levels: [268_380, 302_920_000, 267_900, 0, 273_370, 1],
      bids: 2,
    };
    expect(parse(DEPTH)).toEqual(expected);
    expect(parse({ stream: 'ethusdt@depth@100ms', data: DEPTH })).toEqual(expected);
    // USD-M: the transaction time counts, and there is pu.
    const futures = { ...DEPTH, T: 1_723_161_255_300, pu: 9 };
    expect(parse(futures)).toEqual({
      ...expected,
      exchangeTimeNs: 1_723_161_255_300n * MS,
      previousId: 9,
    });
  });

  it('reads a trade: a buyer that is the maker means that the seller took', () => {
    const expected = {
      ...common,
      type: 'trade',
      exchangeTimeNs: 1_723_161_255_611n * MS,
      id: 1_520_538_925,
      price: 268_380,
      quantity: 200_000,
      buyerTook: false,
    };
    expect(parse(TRADE)).toEqual(expected);
    expect(parse({ ...TRADE, m: false })).toEqual({ ...expected, buyerTook: true });
  });

  it('reads best prices with and without times', () => {
    const expected = {
      ...common,
      type: 'best',
      exchangeTimeNs: null,
      updateId: 35_346_513_501,
      bidPrice: 268_380,
      bidQuantity: 302_920_000,
      askPrice: 268_381,
      askQuantity: 3_143_950_000,
    };
    expect(parse(BEST)).toEqual(expected);
    const futures = { ...BEST, e: 'bookTicker', T: 5, E: 6 };
    expect(parse(futures)).toEqual({ ...expected, exchangeTimeNs: 5n * MS });
  });

  it('reads a snapshot, which does not name its symbol', () => {
    const expected = {
      ...common,
      type: 'depth',
      exchangeTimeNs: null,
      snapshot: true,
      firstId: 12,
      lastId: 12,
      previousId: -1,
      levels: [268_380, 100_000_000, 268_381, 200_000_000],
      bids: 1,
    };
    expect(parse(SNAPSHOT)).toEqual(expected);
    expect(parse({ ...SNAPSHOT, E: 3, T: 2 })).toEqual({ ...expected, exchangeTimeNs: 2n * MS });
    const two = new BinanceParser([ETH, { ...ETH, id: 8, symbol: 'BTCUSDT' }]);
    expect(two.parse(JSON.stringify(SNAPSHOT), RECEIVED)).toMatchObject({
      refusal: { code: 'capture_malformed', detail: { field: 's' } },
    });
  });

  it('passes over other instruments', () => {
    expect(parse({ ...TRADE, s: 'BTCUSDT' })).toBe(null);
  });

  it.each<[string, unknown, string]>([
    ['no JSON', '{"a":', 'json'],
    ['an array', [1], 'message'],
    ['data that is none', { data: 5 }, 'data'],
    ['no symbol', { e: 'trade' }, 's'],
    ['an unknown type', { ...TRADE, e: 'kline' }, 'e'],
    ['a price with too many decimals', { ...TRADE, p: '2683.801' }, 'p'],
    ['a price of 0', { ...TRADE, p: '0.00' }, 'p'],
    ['a price as a number', { ...TRADE, p: 2683.8 }, 'p'],
    ['a quantity below 0', { ...TRADE, q: '-1' }, 'q'],
    ['a quantity of 0 in a trade', { ...TRADE, q: '0' }, 'q'],
    ['a quantity out of range', { ...TRADE, q: '90071993' }, 'q'],
    ['no maker side', { ...TRADE, m: 1 }, 'm'],
    ['a trade id as text', { ...TRADE, t: '5' }, 't'],
    ['an id above 2^53', '{"e":"trade","s":"ETHUSDT","m":true,"t":9007199254740993,"T":1}', 't'],
    ['a time below 0', { ...TRADE, T: -1 }, 'T'],
    ['a time beyond the range', { ...TRADE, T: 8_640_000_000_001 }, 'T'],
    ['u before U', { ...DEPTH, u: 1 }, 'u'],
    ['pu below 0', { ...DEPTH, pu: -1 }, 'pu'],
    ['levels that are none', { ...DEPTH, b: {} }, 'b'],
    ['a level of one value', { ...DEPTH, a: [['1.00']] }, 'a'],
    ['a best ask that is missing', { ...BEST, a: undefined }, 'a'],
    ['a best quantity out of range', { ...BEST, B: '1e5' }, 'B'],
    ['a snapshot without bids', { ...SNAPSHOT, bids: undefined }, 'bids'],
    ['20,001 levels', { ...SNAPSHOT, asks: manyLevels(20_001) }, 'asks'],
  ])('refuses %s', (_, message, field) => {
    expect(refusedField(message)).toBe(field);
  });

  it('takes 20,000 levels a side', () => {
    expect(parse({ ...SNAPSHOT, asks: manyLevels(20_000) })).toMatchObject({ bids: 1 });
  });
});
