import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { parseAmount, roundTo } from '../../../simulator/exchange/amount.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { parseBatch } from '../../../wire/batch.ts';
import type { Instrument } from '../../../wire/instrument.ts';
import { LiveFeed } from '../../../wire/market/live-feed.ts';
import { Market } from '../../../wire/market/market.ts';
import { findVenue } from '../../../wire/market/venues/venues.ts';
import type { LiveConnection, LiveDialer } from '../../../wire/node/live-stream.ts';
import { LiveStream } from '../../../wire/node/live-stream.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { eventually } from '../../helpers/live-venue.ts';
import { ask } from './dial.ts';

interface Case {
  readonly id: string;
  readonly venue: 'binance' | 'bybit';
  readonly symbol: string;
  readonly market: Instrument['market'];
  readonly rule: Instrument['sequence_rule'];
}

const CASES: readonly Case[] = [
  {
    id: 'binance-spot',
    venue: 'binance',
    symbol: 'BTC/USDT',
    market: 'spot',
    rule: 'binance-spot',
  },
  {
    id: 'binance-linear',
    venue: 'binance',
    symbol: 'BTC/USDT:USDT',
    market: 'linear',
    rule: 'binance-futures',
  },
  { id: 'bybit-spot', venue: 'bybit', symbol: 'BTC/USDT', market: 'spot', rule: 'bybit' },
  { id: 'bybit-linear', venue: 'bybit', symbol: 'BTC/USDT:USDT', market: 'linear', rule: 'bybit' },
];

let exchange: RunningExchange;

beforeEach(async () => {
  exchange = await startExchange();
});

afterEach(() => exchange.close());

function dialerTo(host: string, path: string, restHost: string | null): LiveDialer {
  return {
    connect: async ({ onText, onAlive, onEnd }): Promise<LiveConnection> => {
      const { port, ca } = exchange;
      const tls = connect({ host: '127.0.0.1', port, ca, servername: host });
      const socket = new WebSocket(`wss://${host}${path}`, { createConnection: () => tls });
      socket.on('error', () => undefined);
      socket.on('close', onEnd);
      socket.on('pong', onAlive);
      socket.on('message', (data) => {
        onText((data as Buffer).toString('utf8'));
      });
      await once(socket, 'open');
      return {
        send: (text) => {
          socket.send(text);
        },
        ping: () => {
          socket.ping();
        },
        close: () => {
          socket.terminate();
        },
      };
    },
    snapshot: async (target) => {
      const answer = await ask(exchange, `https://${restHost ?? ''}${target}`);
      if (answer.status !== 200) throw new Error(String(answer.status));
      return answer.body.toString('utf8');
    },
  };
}

interface Listening {
  readonly feed: LiveFeed;
  readonly stream: LiveStream;
  readonly market: Market;
}

function listen({ id, venue: name, market: kind, rule }: Case): Listening {
  const venue = findVenue(id);
  const [host, restHost = null] = [...(venue?.hosts ?? [])][0] ?? [];
  if (venue === null || host === undefined) throw new Error(`no venue ${id}`);
  const instrument: Instrument = {
    id: 1,
    venue: name,
    symbol: 'BTCUSDT',
    market: kind,
    price_scale: 2,
    quantity_scale: 5,
    sequence_rule: rule,
  };
  const market = new Market([instrument]);
  const feed = new LiveFeed({
    venue,
    instruments: [instrument],
    stream: 1,
    closeRows: 1024,
    closeMs: 5,
    random: () => 0,
    sender: {
      send: (batch) => {
        market.apply(assertAccepted(parseBatch(batch.bytes)));
      },
      skip: () => undefined,
    },
  });
  const stream = new LiveStream({
    venue,
    instruments: [instrument],
    feed,
    dialer: dialerTo(host, venue.path, restHost),
    nowNs: () => BigInt(Date.now()) * 1_000_000n,
    random: () => 0,
    times: { tickMs: 5, reconnect: { firstMs: 10, maxMs: 20 } },
  });
  const stop = new AbortController();
  const running = stream.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
  });
  return { feed, stream, market };
}

/** The simulator's best bid, in hundredths. */
function bestBid({ venue, symbol }: Case): number {
  const kept = exchange.control.world.venue(venue);
  const market = kept.markets.get(symbol);
  const [best] = market === undefined ? [] : kept.book(market).bids;
  return Number(roundTo((best?.[0] ?? 0n) * 100n, 0) / parseAmount('1'));
}

describe.each(CASES)('streams of $id, as the live feed reads them', (one) => {
  const { venue, symbol } = one;

  it('make the book that the venue has, over moves, a gap, a reset and a restart', async () => {
    const { control } = exchange;
    const { feed, stream, market } = listen(one);
    const isSame = (): boolean => feed.bookValid(1) && market.of(1)?.book.bestBid === bestBid(one);
    const ticked = (): boolean => {
      control.tick({ venue, symbol });
      return isSame();
    };
    await eventually(() => control.streams.clients === 1, 'connection');
    await eventually(ticked, 'book');
    control.price({ venue, symbol, price: '61234.5' });
    await eventually(ticked, 'moved');
    expect(feed.counters).toMatchObject({ refused: 0, booksLost: 0, gaps: 0 });

    control.disturb({ type: 'gap', venue, symbol });
    control.tick({ venue, symbol });
    await eventually(() => feed.counters.booksLost === 1, 'gap noticed');
    await eventually(ticked, 'book after the gap');

    control.disturb({ type: 'reset', venue });
    await eventually(() => stream.counters.connected === 2, 'reconnected');
    await eventually(ticked, 'book after the reset');

    const before = feed.counters.snapshots;
    control.disturb({ type: 'restart', venue, symbol });
    control.tick({ venue, symbol });
    await eventually(() => ticked() && feed.counters.snapshots > before, 'book after a restart');
    expect(feed.counters.refused).toBe(0);
  });
});

it('combined streams carry their names, and a pace ticks what is listened to', async () => {
  const { port, ca, control } = exchange;
  const host = 'stream.binance.com';
  const tls = connect({ host: '127.0.0.1', port, ca, servername: host });
  const url = `wss://${host}/stream?streams=btcusdt@trade/ethusdt@bookTicker`;
  const socket = new WebSocket(url, { createConnection: () => tls });
  const names = new Set<string>();
  socket.on('message', (data) => {
    names.add((JSON.parse((data as Buffer).toString()) as { readonly stream: string }).stream);
  });
  await once(socket, 'open');
  control.pace({ everyMs: 5 });
  await eventually(() => names.size === 2, 'both');
  expect(names).toEqual(new Set(['btcusdt@trade', 'ethusdt@bookTicker']));
  control.pace({ everyMs: 0 });
  socket.terminate();
});

it('a fault refuses a connection', async () => {
  const { port, ca, control } = exchange;
  control.fault({ type: 'status', status: 503, host: 'stream.bybit.com', times: 1 });
  const host = 'stream.bybit.com';
  const tls = connect({ host: '127.0.0.1', port, ca, servername: host });
  const socket = new WebSocket(`wss://${host}/v5/public/spot`, { createConnection: () => tls });
  const [error] = (await once(socket, 'error')) as [Error];
  expect(error.message).toBe('Unexpected server response: 503');
});
