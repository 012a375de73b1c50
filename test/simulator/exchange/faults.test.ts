import { gunzipSync } from 'node:zlib';
import { binance, bybit, coinbase, kraken } from 'ccxt';
import type { Exchange } from 'ccxt';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Trouble } from '../../../simulator/exchange/call.ts';
import type { Fault } from '../../../simulator/exchange/faults.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { ask, fetchFor } from './dial.ts';

const TIME = 'https://api.binance.com/api/v3/time';
const MIB = 1024 * 1024;

let exchange: RunningExchange;

beforeAll(async () => {
  exchange = await startExchange();
});

afterEach(() => {
  exchange.control.clear();
});

afterAll(() => exchange.close());

describe('a fault', () => {
  it('meets what it is aimed at, after some and as often as it should', async () => {
    const { control } = exchange;
    const { id } = control.fault({
      type: 'status',
      status: 500,
      host: 'api.binance.com',
      path: '/api/v3/time',
      method: 'GET',
      after: 1,
      times: 2,
    });
    const statuses: number[] = [];
    for (let count = 0; count < 4; count += 1) statuses.push((await ask(exchange, TIME)).status);
    expect(statuses).toEqual([200, 500, 500, 200]);
    expect(control.faults.list()).toEqual([{ id, type: 'status', met: 2 }]);
    expect((await ask(exchange, 'https://fapi.binance.com/fapi/v1/time')).status).toBe(200);
  });

  it.each<[Fault, RegExp]>([
    [{ type: 'reset' }, /socket hang up|ECONNRESET/u],
    [{ type: 'cut', bytes: 3 }, /aborted|ECONNRESET/u],
    [{ type: 'hang' }, /abort|timeout/iu],
    [{ type: 'bad-http' }, /Parse Error/u],
    [{ type: 'bad-gzip' }, /incorrect header check/u],
    [{ type: 'certificate', kind: 'wrong-authority' }, /certificate/u],
    [{ type: 'certificate', kind: 'wrong-name' }, /altnames/u],
    [{ type: 'certificate', kind: 'expired' }, /expired/u],
  ])('%o: no answer', async (fault, message) => {
    exchange.control.fault({ ...fault, host: 'api.binance.com' });
    await expect(ask(exchange, TIME, { timeoutMs: 1000 })).rejects.toThrow(message);
    exchange.control.clear();
    expect((await ask(exchange, TIME)).status).toBe(200);
  });

  it.each<[Fault, number, RegExp]>([
    [{ type: 'malformed' }, 200, /^\{"serverTi[^}]*$/u],
    [{ type: 'wrong-shape' }, 200, /^null$/u],
    [{ type: 'empty' }, 200, /^$/u],
    [{ type: 'html' }, 502, /Bad Gateway/u],
    [{ type: 'redirect', location: 'https://evil.example/' }, 302, /^$/u],
    [{ type: 'slow', delayMs: 5 }, 200, /serverTime/u],
    [{ type: 'drip', bytes: 7, everyMs: 1 }, 200, /serverTime":\d+\}$/u],
  ])('%o: another answer', async (fault, status, body) => {
    exchange.control.fault(fault);
    const answer = await ask(exchange, TIME);
    expect(answer.status).toBe(status);
    expect(answer.body.toString()).toMatch(body);
  });

  it('a body that is too large, plain or packed', async () => {
    exchange.control.fault({ type: 'huge', bytes: 2 * MIB, times: 1 });
    expect((await ask(exchange, TIME)).body).toHaveLength(2 * MIB);
    exchange.control.fault({ type: 'gzip-bomb', bytes: 8 * MIB, times: 1 });
    const answer = await ask(exchange, TIME);
    expect(answer.headers['content-encoding']).toBe('gzip');
    expect(Number(answer.headers['content-length'])).toBeLessThan(MIB);
    expect(answer.body).toHaveLength(8 * MIB);
    expect(() => gunzipSync(Buffer.from('no'))).toThrow(/header|end of file/u);
  });

  it('is refused where it is none', () => {
    const wrong = { type: 'status', status: 99 } as unknown as Fault;
    expect(() => exchange.control.fault(wrong)).toThrow(/status/u);
  });
});

const CLIENTS: Readonly<Record<string, (config: object) => Exchange>> = {
  binance: (config) => new binance({ ...config, options: { fetchCurrencies: false } }),
  bybit: (config) => new bybit(config),
  kraken: (config) => new kraken(config),
  coinbase: (config) => new coinbase(config),
};

// Which of ccxt's classes each venue's words become. What is not in its table is the default of its status.
const CLASSES: Readonly<Record<string, Partial<Record<Trouble, string>>>> = {
  binance: {
    maintenance: 'OnMaintenance',
    rate_limited: 'DDoSProtection',
    banned: 'DDoSProtection',
    invalid_nonce: 'InvalidNonce',
    authentication: 'AuthenticationError',
    permission: 'AuthenticationError',
    bad_request: 'BadRequest',
  },
  bybit: {
    maintenance: 'ExchangeNotAvailable',
    rate_limited: 'RateLimitExceeded',
    // 403 alike: only the body tells a ban, which ends, from a country, which does not.
    banned: 'RateLimitExceeded',
    geo_blocked: 'RateLimitExceeded',
    invalid_nonce: 'InvalidNonce',
    authentication: 'AuthenticationError',
    permission: 'PermissionDenied',
    account: 'AccountSuspended',
    bad_request: 'BadRequest',
  },
  kraken: {
    maintenance: 'OnMaintenance',
    unavailable: 'ExchangeNotAvailable',
    rate_limited: 'DDoSProtection',
    banned: 'DDoSProtection',
    invalid_nonce: 'InvalidNonce',
    authentication: 'AuthenticationError',
    permission: 'PermissionDenied',
  },
  coinbase: {
    maintenance: 'ExchangeNotAvailable',
    rate_limited: 'RateLimitExceeded',
    authentication: 'AuthenticationError',
  },
};

const TROUBLE_CASES: readonly [string, Trouble, string][] = Object.entries(CLASSES).flatMap(
  ([venue, classes]) =>
    Object.entries(classes).map(([kind, name]): [string, Trouble, string] => [
      venue,
      kind as Trouble,
      name,
    ]),
);

describe('trouble in the venue’s own words', () => {
  it.each(TROUBLE_CASES)('%s, %s: ccxt throws %s', async (venue, kind, name) => {
    const { control } = exchange;
    const account = control.account({ venue: venue as 'binance' });
    const { api_key: apiKey, secret } = account;
    const make = CLIENTS[venue];
    const client = make?.({
      apiKey,
      secret,
      fetchImplementation: fetchFor(exchange),
      enableRateLimit: false,
    });
    control.limits({ venue: venue as 'binance', scale: 100 });
    await client?.loadMarkets();
    control.fault({ type: 'trouble', kind, venue: venue as 'binance' });
    const caught: unknown = await client?.fetchBalance().catch((error: unknown) => error);
    expect(caught instanceof Error ? caught.constructor.name : caught).toBe(name);
  });
});
