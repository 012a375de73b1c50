// Candles as ccxt reads them are the exchange's own prices: at every venue, of spot markets and of marks, of now and of a
// month ago.

import { alpaca, binance, bitget, bybit, coinbase, kraken, krakenfutures, mexc, okx } from 'ccxt';
import type { Exchange } from 'ccxt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VenueName } from '../../../simulator/exchange/markets.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { fetchFor } from './dial.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** A Friday, twenty minutes and some seconds past noon. */
const MINUTE_START_MS: number = Date.UTC(2026, 10, 20, 12, 20);
const NOW_MS: number = MINUTE_START_MS + 7000;

interface Case {
  readonly venue: VenueName;
  readonly make: (config: object) => Exchange;
  readonly spot: string | null;
  readonly marks: readonly string[];
  /** How far back hours are there. */
  readonly days: number;
}

const CASES: readonly Case[] = [
  {
    venue: 'binance',
    make: (config) => new binance(config),
    spot: 'BTC/USDT',
    marks: ['BTC/USDT:USDT', 'BTC/USD:BTC'],
    days: 200,
  },
  {
    venue: 'bybit',
    make: (config) => new bybit(config),
    spot: 'ETH/USDT',
    marks: ['BTC/USDT:USDT', 'BTC/USD:BTC'],
    days: 200,
  },
  {
    venue: 'okx',
    make: (config) => new okx(config),
    spot: 'BTC/USDT',
    marks: ['BTC/USDT:USDT', 'BTC/USD:BTC'],
    days: 200,
  },
  {
    venue: 'bitget',
    make: (config) => new bitget(config),
    spot: 'BTC/USDT',
    marks: ['BTC/USDT:USDT', 'BTC/USD:BTC'],
    days: 89,
  },
  {
    venue: 'mexc',
    make: (config) => new mexc(config),
    spot: 'BTC/USDT',
    marks: ['BTC/USDT:USDT'],
    days: 200,
  },
  { venue: 'kraken', make: (config) => new kraken(config), spot: 'USDT/USD', marks: [], days: 28 },
  {
    venue: 'krakenfutures',
    make: (config) => new krakenfutures(config),
    spot: null,
    marks: ['BTC/USD:USD', 'BTC/USD:BTC'],
    days: 200,
  },
  {
    venue: 'coinbase',
    make: (config) => new coinbase(config),
    spot: 'USDT/USD',
    marks: [],
    days: 200,
  },
  { venue: 'alpaca', make: (config) => new alpaca(config), spot: 'BTC/USD', marks: [], days: 200 },
];

let exchange: RunningExchange;

beforeAll(async () => {
  exchange = await startExchange({ clock: () => NOW_MS });
  exchange.control.move({ isMoving: true });
  for (const { venue } of CASES) exchange.control.limits({ venue, scale: 100 });
});

afterAll(() => exchange.close());

function clientOf({ make }: Case): Exchange {
  const fetchImplementation = fetchFor(exchange);
  const made = make({ fetchImplementation, number: String, enableRateLimit: false });
  // Alpaca wants a key for anything.
  if (made.id === 'alpaca') {
    const { api_key: apiKey, secret } = exchange.control.account({ venue: 'alpaca' });
    Object.assign(made, { apiKey, secret });
  }
  made.milliseconds = () => NOW_MS;
  made.options['fetchCurrencies'] = false;
  made.has['fetchCurrencies'] = false;
  return made;
}

/** Ten candles from `fromMs` on, as texts. */
async function opens(
  client: Exchange,
  symbol: string,
  frame: string,
  fromMs: number,
  params: object,
): Promise<readonly unknown[]> {
  const stepMs = frame === '1h' ? HOUR_MS : 60_000;
  const showsNewest = ['bitget', 'bybit', 'mexc'].includes(client.id);
  const until = showsNewest ? { until: fromMs + 10 * stepMs - 1 } : {};
  const rows = await client.fetchOHLCV(symbol, frame, fromMs, 10, { ...params, ...until });
  return rows.map(([atMs, open]) => [atMs, String(Number(open))]);
}

function expected(venue: VenueName, symbol: string, frame: string, fromMs: number): unknown {
  const stepMs = frame === '1h' ? HOUR_MS : 60_000;
  return Array.from({ length: 10 }, (_, at) => {
    const timeMs = fromMs + at * stepMs;
    const { price } = exchange.control.priceAt({ venue, symbol, timeMs });
    return [timeMs, String(Number(price))];
  });
}

describe.each(CASES)('$venue', (one) => {
  const { venue, spot, marks, days } = one;
  const ends = (frame: string): readonly number[] =>
    frame === '1h'
      ? [MINUTE_START_MS - 20 * 60_000 - 9 * HOUR_MS, MINUTE_START_MS - 20 * 60_000 - days * DAY_MS]
      : [MINUTE_START_MS - 9 * 60_000];

  it.each(['1h', '1m'])('tells of spot markets what they were worth: %s', async (frame) => {
    if (spot === null) return;
    const client = clientOf(one);
    for (const fromMs of ends(frame)) {
      const rows = await opens(client, spot, frame, fromMs, {});
      expect(rows).toEqual(expected(venue, spot, frame, fromMs));
    }
  });

  it.each(marks)('tells marks of %s', async (symbol) => {
    const client = clientOf(one);
    const params = { price: 'mark', ...(venue === 'bitget' ? { kLineType: 'MARK' } : {}) };
    for (const frame of ['1h', '1m']) {
      for (const fromMs of ends(frame)) {
        const rows = await opens(client, symbol, frame, fromMs, params);
        expect(rows).toEqual(expected(venue, symbol, frame, fromMs));
      }
    }
  });
});

function krakenPrice(symbol: string, hour: number): string {
  return exchange.control.priceAt({ venue: 'kraken', symbol, timeMs: hour * HOUR_MS }).price;
}

describe('prices that move', () => {
  it('are the same in every run, and a stablecoin is not quite a dollar', () => {
    const hours = Array.from({ length: 100 }, (_, hour) => 494_000 + hour);
    const bitcoin = new Set(hours.map((hour) => krakenPrice('BTC/USD', hour)));
    const stable = new Set(hours.map((hour) => krakenPrice('USDT/USD', hour)));
    expect(bitcoin.size).toBe(100);
    expect(stable.size).toBeGreaterThan(50);
    expect([...stable].every((price) => Math.abs(Number(price) - 1) < 0.002)).toBe(true);
    expect(krakenPrice('BTC/USD', 494_000)).toBe('65226.66');
  });

  it('go on from where they were set, then and not before', () => {
    const atMs = NOW_MS - 2 * HOUR_MS;
    const read = (timeMs: number): number =>
      Number(exchange.control.priceAt({ venue: 'kraken', symbol: 'ETH/EUR', timeMs }).price);
    const before = read(atMs - 1);
    exchange.control.price({ venue: 'kraken', symbol: 'ETH/EUR', price: '5000', timeMs: atMs });
    expect(read(atMs - 1)).toBe(before);
    expect(read(atMs)).toBe(5000);
    expect(Math.abs(read(NOW_MS) / 5000 - 1)).toBeLessThan(0.05);
  });
});
