import { describe, expect, it } from 'vitest';
import type { Instrument } from '../../../../wire/instrument.ts';
import { OKX } from '../../../../wire/market/venues/okx.ts';
import type { Venue } from '../../../../wire/market/venues/venue.ts';
import { assertAccepted } from '../../../../wire/result.ts';

const BTC: Instrument = {
  id: 4,
  venue: 'okx',
  symbol: 'BTC-USDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 8,
  sequence_rule: 'okx',
};
const spot = OKX.find(({ id }) => id === 'okx-spot') as Venue;
const parser = spot.parser([BTC]);
// The shapes of OKX's v5 documentation.
const UPDATE = {
  arg: { channel: 'books', instId: 'BTC-USDT' },
  action: 'update',
  data: [
    {
      asks: [['8476.98', '0', '0', '0']],
      bids: [['8476.97', '0.00001', '0', '12']],
      ts: '1700000000100',
      checksum: -855_196_043,
      prevSeqId: 123_456,
      seqId: 123_457,
    },
  ],
};
const TRADE = {
  arg: { channel: 'trades', instId: 'BTC-USDT' },
  data: [
    {
      instId: 'BTC-USDT',
      tradeId: '130639474',
      px: '42219.9',
      sz: '0.12060306',
      side: 'buy',
      ts: '1700000000000',
      count: '3',
    },
  ],
};
const [BOOK] = UPDATE.data;

describe('okx messages', () => {
  it('are updates and snapshots of books', () => {
    const update = {
      type: 'depth',
      instrument: 4,
      receiveTimeNs: 7n,
      exchangeTimeNs: 1_700_000_000_100_000_000n,
      snapshot: false,
      firstId: 123_457,
      lastId: 123_457,
      previousId: 123_456,
      levels: [847_697, 1000, 847_698, 0],
      bids: 1,
    };
    expect(parser.parse(JSON.stringify(UPDATE), 7n)).toEqual({ ok: true, value: [update] });
    const first = { ...UPDATE, action: 'snapshot', data: [{ ...BOOK, prevSeqId: -1 }] };
    expect(assertAccepted(parser.parse(JSON.stringify(first), 7n))).toEqual([
      { ...update, snapshot: true, previousId: -1 },
    ]);
  });

  it('are trades, without ids', () => {
    expect(assertAccepted(parser.parse(JSON.stringify(TRADE), 7n))).toMatchObject([
      { type: 'trade', id: 0, price: 4_221_990, quantity: 12_060_306, buyerTook: true },
    ]);
  });

  it.each([
    ['a subscription', '{"event":"subscribe","arg":{"channel":"books"},"connId":"x"}'],
    ['a notice', '{"event":"notice","code":"64008","msg":"The connection will soon be closed"}'],
    ['a pong', 'pong'],
    ['another instrument', JSON.stringify({ ...TRADE, arg: { channel: 'trades', instId: 'X' } })],
  ])('are nothing for %s', (_, text) => {
    expect(parser.parse(text, 7n)).toEqual({ ok: true, value: [] });
  });

  it('may refuse a subscription', () => {
    const parsed = parser.parse('{"event":"error","code":"60018","msg":"no"}', 7n);
    expect(parsed).toMatchObject({ refusal: { code: 'venue_refused' } });
  });

  it.each([
    ['seqId', { ...UPDATE, data: [{ ...BOOK, seqId: '1' }] }],
    ['prevSeqId', { ...UPDATE, data: [{ ...BOOK, prevSeqId: -1 }] }],
    ['ts', { ...UPDATE, data: [{ ...BOOK, ts: '1.5' }] }],
    ['bids', { ...UPDATE, data: [{ ...BOOK, bids: [['1']] }] }],
    ['action', { ...UPDATE, action: 'delta' }],
    ['channel', { ...UPDATE, arg: { channel: 'books5', instId: 'BTC-USDT' } }],
    ['side', { ...TRADE, data: [{ ...TRADE.data[0], side: 'Buy' }] }],
    ['arg', { data: [] }],
  ])('are refused by the field %s', (field, message) => {
    const parsed = parser.parse(JSON.stringify(message), 7n);
    expect(parsed).toMatchObject({ refusal: { code: 'capture_malformed', detail: { field } } });
  });

  it('are subscribed to', () => {
    expect(spot.subscribe([BTC])).toEqual([
      '{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"},{"channel":"trades","instId":"BTC-USDT"}]}',
    ]);
    expect(spot.resubscribe(BTC).map((text) => (JSON.parse(text) as { op: string }).op)).toEqual([
      'unsubscribe',
      'subscribe',
    ]);
  });
});
