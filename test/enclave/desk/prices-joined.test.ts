// Prices with everything real but the processes: the desk's queue and limiter, the connector's own code, and the simulated
// exchange over TLS. What comes back is the exchange's own price at the moment, to the last digit.

import { describe, expect, it } from 'vitest';
import type { Venue } from '../../../enclave/connector/classes.ts';
import type { PriceItem } from '../../../enclave/connector/job.ts';
import type { PriceAnswer } from '../../../enclave/desk/price-desk.ts';
import type { VenueName } from '../../../simulator/exchange/markets.ts';
import { OUTCOME, TRIGGER } from '../../../wire/exchange-call.ts';
import type { PolledExchange } from '../../helpers/polled-exchange.ts';
import { polledExchange } from '../../helpers/polled-exchange.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const DAY_MS: number = 24 * HOUR_MS;
const NOON_MS: number = Date.UTC(2026, 10, 20, 12);

async function ask(
  scene: PolledExchange,
  venue: Venue,
  items: readonly PriceItem[],
): Promise<PriceAnswer> {
  const asked = scene.polling.prices.ask(venue, 'live', items);
  await scene.idle();
  return asked;
}

function hours(kind: PriceItem['kind'], symbol: string, count: number, endMs = NOON_MS): PriceItem {
  return { kind, symbol, fromMs: endMs - (count - 1) * HOUR_MS, toMs: endMs, stepMs: HOUR_MS };
}

/** Of each row, as the exchange had it just before. */
function truth(scene: PolledExchange, venue: VenueName, { rows }: PriceAnswer): readonly string[] {
  return rows.map(({ symbol, atMs }) => {
    return scene.exchange.control.priceAt({ venue, symbol, timeMs: atMs - 1 }).price;
  });
}

interface Case {
  readonly venue: Venue;
  readonly at: VenueName;
  readonly items: readonly PriceItem[];
  readonly sources: readonly string[];
}

const CASES: readonly Case[] = [
  {
    venue: 'binance',
    at: 'binance',
    items: [hours('spot', 'BTC/USDT', 30)],
    sources: ['api.binance.com/api/v3/klines'],
  },
  {
    venue: 'binancemargin',
    at: 'binance',
    items: [hours('spot', 'ETH/USDT', 3)],
    sources: ['api.binance.com/api/v3/klines'],
  },
  {
    venue: 'binanceusdm',
    at: 'binance',
    items: [hours('mark', 'BTC/USDT:USDT', 250), hours('spot', 'BNB/USDT', 2)],
    sources: ['fapi.binance.com/fapi/v1/markPriceKlines', 'api.binance.com/api/v3/klines'],
  },
  {
    venue: 'binancecoinm',
    at: 'binance',
    items: [hours('mark', 'BTC/USD:BTC', 120)],
    sources: ['dapi.binance.com/dapi/v1/markPriceKlines'],
  },
  {
    venue: 'bybit',
    at: 'bybit',
    items: [hours('mark', 'BTC/USD:BTC', 110), hours('spot', 'BTC/USDC', 1)],
    sources: ['api.bybit.com/v5/market/mark-price-kline', 'api.bybit.com/v5/market/kline'],
  },
  {
    venue: 'bitget',
    at: 'bitget',
    items: [hours('mark', 'BTC/USDT:USDT', 101), hours('spot', 'XRP/USDT', 1)],
    sources: [
      'api.bitget.com/api/v2/mix/market/candles',
      'api.bitget.com/api/v2/spot/market/candles',
    ],
  },
  {
    venue: 'mexc',
    at: 'mexc',
    items: [hours('mark', 'ETH/USDT:USDT', 101), hours('spot', 'SOL/USDT', 2)],
    sources: [
      'api.mexc.com/api/v1/contract/kline/fair_price/ETH_USDT',
      'api.mexc.com/api/v3/klines',
    ],
  },
  {
    venue: 'kraken',
    at: 'kraken',
    items: [hours('spot', 'USDT/USD', 24), hours('spot', 'EUR/USD', 1)],
    sources: ['api.kraken.com/0/public/OHLC'],
  },
  {
    venue: 'krakenfutures',
    at: 'krakenfutures',
    items: [hours('mark', 'BTC/USD:USD', 101)],
    sources: ['futures.kraken.com/api/charts/v1/mark/PF_XBTUSD/1h'],
  },
  {
    venue: 'coinbase',
    at: 'coinbase',
    items: [hours('spot', 'USDT/USD', 101)],
    sources: ['api.coinbase.com/api/v3/brokerage/market/products/USDT-USD/candles'],
  },
  {
    venue: 'okx',
    at: 'okx',
    items: [hours('mark', 'BTC/USDT:USDT', 101), hours('spot', 'ADA/USDT', 1)],
    sources: ['www.okx.com/api/v5/market/mark-price-candles', 'www.okx.com/api/v5/market/candles'],
  },
  {
    venue: 'alpaca',
    at: 'alpaca',
    items: [hours('spot', 'BTC/USD', 101)],
    sources: ['data.alpaca.markets/v1beta3/crypto/us/bars'],
  },
];

describe.each(CASES)('$venue', ({ venue, at, items, sources }) => {
  it('tells what its markets were worth by the hour, with host and endpoint', async () => {
    const scene = await polledExchange();
    scene.exchange.control.move({ isMoving: true });
    const answer = await ask(scene, venue, items);
    expect(scene.fatal).toEqual([]);
    expect(answer.missing).toEqual([]);
    expect(answer.rows).toHaveLength(
      items.reduce((sum, { fromMs, toMs }) => sum + (toMs - fromMs) / HOUR_MS + 1, 0),
    );
    expect(answer.rows.map(({ price }) => price)).toEqual(truth(scene, at, answer));
    expect([...new Set(answer.rows.map(({ source }) => source))]).toEqual(sources);
    const leaves = scene.polls.filter(({ trigger }) => trigger === TRIGGER.prices);
    expect(leaves.every(({ outcome }) => outcome === OUTCOME.complete)).toBe(true);
    expect(leaves.flatMap(({ calls }) => calls).length).toBeGreaterThan(sources.length);
  });
});

describe('prices', () => {
  it('are there by the minute, for a deposit between two hours', async () => {
    const scene = await polledExchange();
    scene.exchange.control.move({ isMoving: true });
    const atMs = NOON_MS - 37 * MINUTE_MS;
    const item = { fromMs: atMs, toMs: atMs, stepMs: MINUTE_MS } as const;
    const answer = await ask(scene, 'binance', [{ kind: 'spot', symbol: 'BTC/USDT', ...item }]);
    expect(answer.rows.map((row) => row.atMs)).toEqual([atMs]);
    expect(answer.rows.map(({ price }) => price)).toEqual(truth(scene, 'binance', answer));
  });

  it('are the last ones that somebody paid, and nothing that came later is in them', async () => {
    const scene = await polledExchange();
    const market = { venue: 'binance', symbol: 'BTC/USDT' } as const;
    scene.exchange.control.price({ ...market, price: '50000', timeMs: NOON_MS - HOUR_MS });
    scene.exchange.control.price({ ...market, price: '70000', timeMs: NOON_MS - 1 });
    // From the full hour on it is another one, which is not what the hour ended with.
    scene.exchange.control.price({ ...market, price: '90000', timeMs: NOON_MS });
    const { rows } = await ask(scene, 'binance', [hours('spot', 'BTC/USDT', 1)]);
    expect(rows.map(({ atMs, price }) => [atMs, price])).toEqual([[NOON_MS, '70000']]);
  });

  it('of a candle that has not ended are none', async () => {
    const scene = await polledExchange();
    const item = { ...hours('spot', 'BTC/USDT', 1), toMs: NOON_MS + HOUR_MS };
    const { rows } = await ask(scene, 'binance', [item]);
    expect(rows.map(({ atMs }) => atMs)).toEqual([NOON_MS]);
  });

  it.each([
    ['binance', 'BTC/USDT', true],
    ['bybit', 'BTC/USDT', true],
    ['bitget', 'BTC/USDT', true],
    ['mexc', 'BTC/USDT', true],
    ['kraken', 'BTC/USD', true],
    ['okx', 'BTC/USDT', true],
    ['alpaca', 'BTC/USD', true],
    // It has no candles without deals.
    ['coinbase', 'BTC/USD', false],
  ] as const)(
    'of hours without a deal are as old as the last one: %s',
    async (venue, symbol, told) => {
      const scene = await polledExchange();
      const { control } = scene.exchange;
      control.move({ isMoving: true });
      control.outage({ venue, fromMs: NOON_MS - 5 * HOUR_MS, toMs: NOON_MS, isQuiet: true });
      const { rows } = await ask(scene, venue, [hours('spot', symbol, 3)]);
      const dealtMs = NOON_MS - 5 * HOUR_MS;
      const { price } = control.priceAt({ venue, symbol, timeMs: dealtMs - 1 });
      const hoursTold = told ? [2, 1, 0] : [5];
      expect(rows.map((row) => [row.atMs, row.tradedMs, row.price])).toEqual(
        hoursTold.map((before) => [NOON_MS - before * HOUR_MS, dealtMs, price]),
      );
    },
  );

  it.each([23, 24, 25])('say how old they are, of %i hours without a deal', async (quiet) => {
    const scene = await polledExchange();
    const outage = { fromMs: NOON_MS - quiet * HOUR_MS, toMs: NOON_MS, isQuiet: true };
    scene.exchange.control.outage({ venue: 'binance', ...outage });
    const { rows } = await ask(scene, 'binance', [hours('spot', 'BTC/USDT', 1)]);
    // At least a day, where no deal was found in a day.
    const dealtMs = NOON_MS - Math.min(quiet, 25) * HOUR_MS;
    expect(rows.map(({ tradedMs }) => tradedMs)).toEqual([dealtMs]);
  });

  it('that a venue does not show any more, or never had, are missing with the reason', async () => {
    const scene = await polledExchange();
    const old = hours('spot', 'BTC/USD', 2, NOON_MS - 60 * DAY_MS);
    const { rows, missing } = await ask(scene, 'kraken', [old, hours('spot', 'LUNC/USD', 1)]);
    expect(rows).toEqual([]);
    expect(missing).toEqual([
      { symbol: 'BTC/USD', reason: 'history_limit' },
      { symbol: 'LUNC/USD', reason: 'venue_lacks' },
    ]);
  });

  it('of a stock need an account there, and reach back to when its market was open', async () => {
    const scene = await polledExchange();
    scene.exchange.control.move({ isMoving: true });
    const sunday = NOON_MS - 5 * DAY_MS;
    const item = hours('mark', 'AAPL', 1, sunday);
    const none = await ask(scene, 'alpaca', [item]);
    expect(none.missing).toEqual([{ symbol: 'AAPL', reason: 'authentication' }]);
    const answer = scene.exchange.control.account({ venue: 'alpaca' });
    scene.polling.add(scene.account(answer, 'alpaca'), null);
    await scene.idle();
    const { rows } = await ask(scene, 'alpaca', [item]);
    // Friday, when New York closed.
    expect(rows.map(({ kind, atMs }) => [kind, atMs])).toEqual([
      ['mark', Date.UTC(2026, 10, 13, 21)],
    ]);
  });

  it('come back after an outage, which leaves no hole', async () => {
    const scene = await polledExchange();
    scene.exchange.control.fault({ venue: 'bybit', type: 'trouble', kind: 'unavailable' });
    const item = hours('spot', 'BTC/USDT', 3);
    const during = await ask(scene, 'bybit', [item]);
    expect(during).toEqual({ rows: [], missing: [{ symbol: 'BTC/USDT', reason: 'unavailable' }] });
    scene.exchange.control.clear();
    // Connections from before were cut: the first question may still meet one of them.
    let answer = during;
    for (let tries = 0; tries < 5 && answer.missing.length > 0; tries++) {
      await scene.time.run(20 * MINUTE_MS, 1);
      answer = await ask(scene, 'bybit', [item]);
    }
    expect(answer.rows).toHaveLength(3);
  });

  it('are not taken from a page that is no answer, or a price that is none', async () => {
    const scene = await polledExchange();
    const body = JSON.stringify([
      [NOON_MS - HOUR_MS, '1', '1', '1', '0', '1', NOON_MS, '1', 1, '1', '1', '0'],
    ]);
    const path = '/api/v3/klines';
    scene.exchange.control.fault({ path, type: 'wrong-shape', body, times: 1 });
    const { missing } = await ask(scene, 'binance', [hours('spot', 'BTC/USDT', 1)]);
    expect(missing).toEqual([{ symbol: 'BTC/USDT', reason: 'history_limit' }]);
  });
});
