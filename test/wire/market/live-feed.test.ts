import { describe, expect, it } from 'vitest';
import type { Instrument } from '../../../wire/instrument.ts';
import { backoffMs } from '../../../wire/market/backoff.ts';
import type { EncodedBatch } from '../../../wire/market/batcher.ts';
import { LiveFeed } from '../../../wire/market/live-feed.ts';
import { Market } from '../../../wire/market/market.ts';
import { BINANCE_SPOT } from '../../../wire/market/venues/binance.ts';
import { parseBatch } from '../../../wire/batch.ts';
import { assertAccepted } from '../../../wire/result.ts';

const BTC: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'BTCUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 5,
  sequence_rule: 'binance-spot',
};
const ETH: Instrument = { ...BTC, id: 2, symbol: 'ETHUSDT' };

interface Stage {
  readonly feed: LiveFeed;
  readonly batches: EncodedBatch[];
  readonly gaps: number[];
  readonly market: Market;
}

function stage(random: () => number = () => 0): Stage {
  const batches: EncodedBatch[] = [];
  const gaps: number[] = [];
  const market = new Market([BTC, ETH]);
  const feed = new LiveFeed({
    venue: BINANCE_SPOT,
    instruments: [BTC, ETH],
    stream: 7,
    closeRows: 1024,
    closeMs: 50,
    random,
    sender: {
      send: (batch) => {
        batches.push(batch);
        market.apply(assertAccepted(parseBatch(batch.bytes)));
      },
      skip: (stream, sequence) => {
        expect(stream).toBe(7);
        gaps.push(sequence);
      },
    },
  });
  return { feed, batches, gaps, market };
}

let clockNs = 1_700_000_000_000_000_000n;
function update(feed: LiveFeed, U: number, u: number, s = 'BTCUSDT'): void {
  const text = JSON.stringify({ e: 'depthUpdate', E: 1, s, U, u, b: [['100.10', '1.5']], a: [] });
  expect(feed.message(text, ++clockNs)).toBeNull();
}

function snapshot(feed: LiveFeed, lastUpdateId: number): void {
  const text = JSON.stringify({ lastUpdateId, bids: [['99.99', '2']], asks: [['100.20', '3']] });
  expect(feed.snapshot(text, BTC, ++clockNs)).toBeNull();
}

describe('live feed', () => {
  it('asks for a snapshot once updates are held, and the book follows', () => {
    const { feed, market } = stage();
    feed.opened(0);
    expect(feed.due(1)).toBeNull();
    update(feed, 11, 12);
    expect(feed.due(2)).toEqual(BTC);
    // One request at a time, also of others.
    expect(feed.due(3)).toBeNull();
    update(feed, 13, 14);
    snapshot(feed, 12);
    feed.flush();
    expect(feed.bookValid(1)).toBe(true);
    expect(market.of(1)?.book).toMatchObject({ valid: true, lastUpdateId: 14, bestBid: 10010 });
    expect(feed.counters).toMatchObject({ snapshots: 1, snapshotsAsked: 1, booksLost: 0, gaps: 0 });
  });

  it('asks for the book of a quiet instrument after a while', () => {
    const { feed } = stage();
    feed.opened(1000);
    expect(feed.due(2999)).toBeNull();
    expect([feed.due(3000), feed.due(3000), feed.due(3000)]).toEqual([BTC, ETH, null]);
  });

  it('asks again for a snapshot older than the updates, later each time', () => {
    const { feed } = stage();
    feed.opened(0);
    update(feed, 11, 12);
    expect(feed.due(0)).toEqual(BTC);
    snapshot(feed, 5);
    expect(feed.bookValid(1)).toBe(false);
    expect(feed.due(499)).toBeNull();
    expect(feed.due(500)).toEqual(BTC);
    snapshot(feed, 6);
    expect(feed.due(1499)).toBeNull();
    expect(feed.due(1500)).toEqual(BTC);
    snapshot(feed, 11);
    expect(feed.bookValid(1)).toBe(true);
    expect(feed.counters.booksLost).toBe(2);
  });

  it.each([
    ['a hole', 17, 18],
    ['an update that goes back', 9, 10],
  ])('loses the book at %s, and finds it again with the next snapshot', (_, U, u) => {
    const { feed, market, gaps } = stage();
    feed.opened(0);
    update(feed, 11, 12);
    feed.due(0);
    snapshot(feed, 11);
    update(feed, 13, 14);
    update(feed, U, u);
    feed.flush();
    expect(market.of(1)?.book.valid).toBe(false);
    expect(feed.counters.booksLost).toBe(1);
    // The stream itself is whole: the enclave finds the hole in the venue's numbers.
    expect(gaps).toEqual([]);
    expect(feed.due(600)).toEqual(BTC);
    snapshot(feed, u);
    update(feed, u + 1, u + 2);
    feed.flush();
    expect(market.of(1)?.book).toMatchObject({ valid: true, lastUpdateId: u + 2 });
  });

  it('declares one gap for a lost connection, and ends all books', () => {
    const { feed, gaps, batches, market } = stage();
    feed.opened(0);
    update(feed, 11, 12);
    snapshot(feed, 11);
    feed.flush();
    expect(market.of(1)?.book.valid).toBe(true);
    update(feed, 13, 14);
    feed.interrupt();
    // What had come goes out before.
    expect(batches.map(({ sequence }) => sequence)).toEqual([0, 1]);
    expect(gaps).toEqual([2]);
    expect(feed.bookValid(1)).toBe(false);
    // Attempts that fail find nothing new to declare.
    feed.interrupt();
    feed.interrupt();
    expect(gaps).toEqual([2]);
    // A snapshot that was asked for on the old connection is passed over.
    snapshot(feed, 20);
    feed.opened(10_000);
    update(feed, 21, 22);
    feed.flush();
    expect(batches.at(-1)?.sequence).toBe(3);
    expect(market.of(1)?.book.valid).toBe(false);
    expect(feed.due(10_000)).toEqual(BTC);
  });

  it('has nothing to declare before the first message', () => {
    const { feed, gaps } = stage();
    feed.opened(0);
    feed.interrupt();
    expect(gaps).toEqual([]);
  });

  it.each([
    ['no JSON', '{', 'capture_malformed', 'json'],
    [
      'a number for a price',
      '{"e":"trade","s":"BTCUSDT","t":1,"p":100.5,"q":"1","m":true}',
      'capture_malformed',
      'p',
    ],
    [
      'too many decimals',
      '{"e":"trade","s":"BTCUSDT","t":1,"p":"1.005","q":"1","m":true}',
      'capture_malformed',
      'p',
    ],
    ['an unknown type', '{"e":"kline","s":"BTCUSDT"}', 'capture_malformed', 'e'],
    ['a refused subscription', '{"error":{"code":2,"msg":"x"},"id":1}', 'venue_refused', undefined],
  ])('refuses %s', (_, text, code, field) => {
    const { feed } = stage();
    const refusal = feed.message(text, 1n);
    expect(refusal?.code).toBe(code);
    expect(refusal?.detail['field']).toBe(field);
    expect(feed.counters.refused).toBe(1);
  });

  it.each([
    [8191, true],
    [8192, true],
    [8193, false],
  ])('takes a snapshot of twice %i levels: %s', (count, taken) => {
    const { feed } = stage();
    feed.opened(0);
    const side = Array.from({ length: count }, (_, at) => [`${at + 1}.00`, '1']);
    const text = JSON.stringify({ lastUpdateId: 1, bids: side, asks: side });
    expect(feed.snapshot(text, BTC, 1n)?.code).toBe(taken ? undefined : 'capture_malformed');
    expect(feed.bookValid(1)).toBe(taken);
  });

  it('passes over answers and other instruments', () => {
    const { feed } = stage();
    expect(feed.message('{"result":null,"id":1}', 1n)).toBeNull();
    update(feed, 1, 2, 'XRPUSDT');
    expect(feed.counters).toMatchObject({ messages: 2, events: 0, refused: 0 });
  });
});

describe('backoff', () => {
  it('doubles up to its cap, between half and all of it', () => {
    const backoff = { firstMs: 100, maxMs: 1000 };
    const at = (random: number): number[] =>
      [0, 1, 2, 3, 4, 1e6].map((attempt) => backoffMs(backoff, attempt, random));
    expect(at(0)).toEqual([50, 100, 200, 400, 500, 500]);
    expect(at(0.999)).toEqual([100, 200, 400, 800, 1000, 1000]);
  });
});
