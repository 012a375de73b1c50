import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { KRAKEN_SPOT } from '../../../host-proxy/feed/kraken.ts';
import type { Instrument } from '../../../wire/instrument.ts';
import type { DepthEvent } from '../../../wire/market/events.ts';
import type { VenueParser } from '../../../wire/market/venues/venue.ts';
import { assertAccepted } from '../../../wire/result.ts';

const BTC: Instrument = {
  id: 6,
  venue: 'kraken',
  symbol: 'BTC/USD',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 8,
  sequence_rule: 'none',
};

type Level = readonly [price: string, qty: string];
// The example of docs.kraken.com, "Book checksum (WebSocket v2)", and its checksum.
const ASKS: readonly Level[] = [
  ['45285.2', '0.00100000'],
  ['45286.4', '1.54571953'],
  ['45286.6', '1.54571109'],
  ['45289.6', '1.54560911'],
  ['45290.2', '0.15890660'],
  ['45291.8', '1.54553491'],
  ['45294.7', '0.04454749'],
  ['45296.1', '0.35380000'],
  ['45297.5', '0.09945542'],
  ['45299.5', '0.18772827'],
];
const BIDS: readonly Level[] = [
  ['45283.5', '0.10000000'],
  ['45283.4', '1.54582015'],
  ['45282.1', '0.10000000'],
  ['45281.0', '0.10000000'],
  ['45280.3', '1.54592586'],
  ['45279.0', '0.07990000'],
  ['45277.6', '0.03310103'],
  ['45277.5', '0.30000000'],
  ['45277.3', '1.54602737'],
  ['45276.6', '0.15445238'],
];
const CHECKSUM = 3_310_070_434;

function levels(list: readonly Level[]): string {
  return `[${list.map(([price, qty]) => `{"price":${price},"qty":${qty}}`).join(',')}]`;
}

function book(
  type: string,
  bids: readonly Level[],
  asks: readonly Level[],
  checksum: number,
  symbol = 'BTC/USD',
): string {
  const at = '"timestamp":"2023-10-06T17:35:55.440295Z"';
  return `{"channel":"book","type":"${type}","data":[{"symbol":"${symbol}","bids":${levels(bids)},"asks":${levels(asks)},"checksum":${checksum},${at}}]}`;
}

function digits(text: string): string {
  return text.replace('.', '').replace(/^0+/u, '');
}

function checksumOf(asks: readonly Level[], bids: readonly Level[]): number {
  const top = [...asks.slice(0, 10), ...bids.slice(0, 10)];
  return crc32(top.map(([price, qty]) => digits(price) + digits(qty)).join(''));
}

function newParser(): VenueParser {
  return KRAKEN_SPOT.parser([BTC]);
}

function depthOf(parser: VenueParser, text: string): DepthEvent {
  return assertAccepted(parser.parse(text, 7n))[0] as DepthEvent;
}

describe('kraken books', () => {
  it('are taken as they were written, with the checksum of the documentation', () => {
    const event = depthOf(newParser(), book('snapshot', BIDS, ASKS, CHECKSUM));
    expect(event).toMatchObject({ type: 'depth', instrument: 6, snapshot: true, bids: 10 });
    expect(event.exchangeTimeNs).toBe(1_696_613_755_440_295_000n);
    expect(event.levels.slice(0, 2)).toEqual([4_528_350, 10_000_000]);
    expect(event.levels.slice(20, 22)).toEqual([4_528_520, 100_000]);
  });

  it('are refused when the checksum is another', () => {
    const parsed = newParser().parse(book('snapshot', BIDS, ASKS, CHECKSUM + 1), 7n);
    expect(parsed).toMatchObject({ refusal: { detail: { field: 'checksum' } } });
  });

  it('notice an update that did not come', () => {
    const parser = newParser();
    depthOf(parser, book('snapshot', BIDS, ASKS, CHECKSUM));
    const missed: readonly Level[] = [['45283.5', '0.2'], ...BIDS.slice(1)];
    const then: readonly Level[] = [
      ...ASKS.slice(0, 1),
      ['45286.4', '2.00000000'],
      ...ASKS.slice(2),
    ];
    const update = book('update', [], [['45286.4', '2.00000000']], checksumOf(then, missed));
    expect(parser.parse(update, 7n)).toMatchObject({ refusal: { detail: { field: 'checksum' } } });
    // The next snapshot is a new beginning.
    expect(depthOf(parser, book('snapshot', BIDS, ASKS, CHECKSUM)).snapshot).toBe(true);
    const good = book('update', [], [['45286.4', '2.00000000']], checksumOf(then, BIDS));
    expect(depthOf(parser, good)).toMatchObject({ bids: 0, levels: [4_528_640, 200_000_000] });
  });

  it('take out what falls out of the hundred levels', () => {
    const parser = newParser();
    const asks = Array.from({ length: 100 }, (_, at): Level => [`${200 + at}.0`, '1.0']);
    depthOf(parser, book('snapshot', [], asks, checksumOf(asks, [])));
    const better: Level = ['199.0', '3.0'];
    const event = depthOf(parser, book('update', [], [better], checksumOf([better, ...asks], [])));
    expect(event.levels).toEqual([19_900, 300_000_000, 29_900, 0]);
    // A level that is taken out by the venue makes no room for what is gone.
    const removed = depthOf(parser, book('update', [], [['199.0', '0.0']], checksumOf(asks, [])));
    expect(removed.levels).toEqual([19_900, 0]);
  });
});

describe('kraken messages', () => {
  it('are trades with their ids', () => {
    const text =
      '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":5147.10,"qty":6.42346326,"ord_type":"limit","trade_id":4665846,"timestamp":"2023-09-25T07:48:36.925533Z"}]}';
    expect(assertAccepted(newParser().parse(text, 7n))).toEqual([
      {
        type: 'trade',
        instrument: 6,
        receiveTimeNs: 7n,
        exchangeTimeNs: 1_695_628_116_925_533_000n,
        id: 4_665_846,
        price: 514_710,
        quantity: 642_346_326,
        buyerTook: false,
      },
    ]);
  });

  it.each([
    '{"channel":"heartbeat"}',
    '{"channel":"status","type":"update","data":[{"system":"online"}]}',
    '{"method":"pong","time_in":"x"}',
    '{"method":"subscribe","result":{"channel":"book"},"success":true}',
    book('snapshot', [], [], 0, 'ETH/USD'),
  ])('are nothing for %s', (text) => {
    expect(newParser().parse(text, 7n)).toEqual({ ok: true, value: [] });
  });

  it.each([
    [
      'venue_refused',
      '{"error":"Currency pair not supported","method":"subscribe","success":false}',
    ],
    ['capture_malformed', '{"channel":"ticker","type":"update","data":[]}'],
    ['capture_malformed', book('snapshot', [['1e5', '1']], [], 0)],
    ['capture_malformed', book('snapshot', [['1.001', '1']], [], 0)],
    ['capture_malformed', book('update', BIDS, ASKS, -1)],
    ['capture_malformed', book('later', BIDS, ASKS, CHECKSUM)],
  ])('refuse as %s', (code, text) => {
    expect(newParser().parse(text, 7n)).toMatchObject({ refusal: { code } });
  });

  it('are subscribed to', () => {
    expect(KRAKEN_SPOT.subscribe([BTC]).map((text) => JSON.parse(text) as unknown)).toEqual([
      {
        method: 'subscribe',
        params: { channel: 'book', symbol: ['BTC/USD'], depth: 100, snapshot: true },
      },
      { method: 'subscribe', params: { channel: 'trade', symbol: ['BTC/USD'], snapshot: false } },
    ]);
  });
});
