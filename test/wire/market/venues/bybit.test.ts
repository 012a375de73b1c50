import { describe, expect, it } from 'vitest';
import type { Instrument } from '../../../../wire/instrument.ts';
import { BYBIT } from '../../../../wire/market/venues/bybit.ts';
import type { Venue } from '../../../../wire/market/venues/venue.ts';
import { assertAccepted } from '../../../../wire/result.ts';

const BTC: Instrument = {
  id: 3,
  venue: 'bybit',
  symbol: 'BTCUSDT',
  market: 'linear',
  price_scale: 2,
  quantity_scale: 3,
  sequence_rule: 'bybit',
};
const linear = BYBIT.find(({ id }) => id === 'bybit-linear') as Venue;
const parser = linear.parser([BTC]);
// The shapes of Bybit's v5 documentation.
const BOOK = {
  topic: 'orderbook.50.BTCUSDT',
  type: 'delta',
  ts: 1_700_000_000_100,
  data: { s: 'BTCUSDT', b: [['27450.00', '0.400']], a: [['27451.5', '0']], u: 18, seq: 99 },
  cts: 1_700_000_000_050,
};
const TRADE = {
  topic: 'publicTrade.BTCUSDT',
  type: 'snapshot',
  ts: 1_700_000_000_100,
  data: [
    {
      T: 1_700_000_000_000,
      s: 'BTCUSDT',
      S: 'Sell',
      v: '0.010',
      p: '27451.00',
      i: 'x-y',
      BT: false,
    },
    { T: 1_700_000_000_001, s: 'BTCUSDT', S: 'Buy', v: '1', p: '27451.01', i: 'x-z', BT: false },
  ],
};

describe('bybit messages', () => {
  it('are updates and snapshots of books', () => {
    const update = {
      type: 'depth',
      instrument: 3,
      receiveTimeNs: 7n,
      exchangeTimeNs: 1_700_000_000_050_000_000n,
      snapshot: false,
      firstId: 18,
      lastId: 18,
      previousId: -1,
      levels: [2_745_000, 400, 2_745_150, 0],
      bids: 1,
    };
    expect(parser.parse(JSON.stringify(BOOK), 7n)).toEqual({ ok: true, value: [update] });
    const { cts: _, ...without } = BOOK;
    const snapshot = assertAccepted(
      parser.parse(JSON.stringify({ ...without, type: 'snapshot' }), 7n),
    );
    expect(snapshot).toEqual([
      { ...update, snapshot: true, exchangeTimeNs: 1_700_000_000_100_000_000n },
    ]);
  });

  it('are several trades, without ids', () => {
    const trades = assertAccepted(parser.parse(JSON.stringify(TRADE), 7n));
    expect(trades).toMatchObject([
      { type: 'trade', id: 0, price: 2_745_100, quantity: 10, buyerTook: false },
      { type: 'trade', id: 0, price: 2_745_101, quantity: 1000, buyerTook: true },
    ]);
  });

  it.each([
    ['a subscription', { success: true, ret_msg: '', conn_id: 'x', op: 'subscribe' }],
    ['a pong', { success: true, ret_msg: 'pong', conn_id: 'x', op: 'ping' }],
    ['a topic that is not ours', { ...BOOK, topic: 'orderbook.50.ETHUSDT' }],
  ])('are nothing for %s', (_, message) => {
    expect(parser.parse(JSON.stringify(message), 7n)).toEqual({ ok: true, value: [] });
  });

  it('may refuse a subscription', () => {
    const refused = { success: false, ret_msg: 'Invalid topic', conn_id: 'x', op: 'subscribe' };
    const parsed = parser.parse(JSON.stringify(refused), 7n);
    expect(parsed).toMatchObject({ refusal: { code: 'venue_refused' } });
  });

  it.each([
    ['u', { ...BOOK, data: { ...BOOK.data, u: '18' } }],
    ['b', { ...BOOK, data: { ...BOOK.data, b: [[27450, '1']] } }],
    ['a', { ...BOOK, data: { ...BOOK.data, a: [['1.001', '1']] } }],
    ['type', { ...BOOK, type: 'update' }],
    ['cts', { ...BOOK, cts: -1 }],
    ['topic', { data: BOOK.data }],
    ['S', { ...TRADE, data: [{ ...TRADE.data[0], S: 'buy' }] }],
    ['v', { ...TRADE, data: [{ ...TRADE.data[0], v: '0' }] }],
    ['data', { ...TRADE, data: Array.from({ length: 1025 }, () => TRADE.data[0]) }],
    ['message', []],
  ])('are refused by the field %s', (field, message) => {
    const parsed = parser.parse(JSON.stringify(message), 7n);
    expect(parsed).toMatchObject({ refusal: { code: 'capture_malformed', detail: { field } } });
  });
});

describe('bybit subscriptions', () => {
  it('have at most ten topics', () => {
    const many = Array.from({ length: 6 }, (_, at) => ({ ...BTC, id: at + 1, symbol: `S${at}` }));
    const args = linear
      .subscribe(many)
      .map((text) => (JSON.parse(text) as { readonly args: readonly string[] }).args);
    expect(args.map(({ length }) => length)).toEqual([10, 2]);
    expect(args[0]?.slice(0, 2)).toEqual(['orderbook.50.S0', 'publicTrade.S0']);
  });

  it('begin a book again', () => {
    expect(linear.resubscribe(BTC)).toEqual([
      '{"op":"unsubscribe","args":["orderbook.50.BTCUSDT"]}',
      '{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}',
    ]);
    expect(linear.path).toBe('/v5/public/linear');
  });
});
