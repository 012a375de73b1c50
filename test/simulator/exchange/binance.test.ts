import { createHmac } from 'node:crypto';
import { binance } from 'ccxt';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startExchange } from '../../../simulator/exchange/server.ts';
import type { AccountAnswer } from '../../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { ask, fetchFor } from './dial.ts';
import type { Answer } from './dial.ts';

const START_MS = Date.UTC(2026, 10, 2);
const DAY_MS = 86_400_000;

let exchange: RunningExchange;
let nowMs = START_MS;

beforeAll(async () => {
  exchange = await startExchange({ clock: () => nowMs });
});

beforeEach(() => {
  // A new minute for the limits.
  nowMs = Math.max(Date.now(), nowMs + 60_000);
});

afterAll(() => exchange.close());

function client(account: AccountAnswer, options: object = {}): binance {
  const made = new binance({
    apiKey: account.api_key,
    secret: account.secret,
    fetchImplementation: fetchFor(exchange),
    number: String,
    enableRateLimit: false,
    options: { fetchCurrencies: false, fetchMargins: false, ...options },
  });
  made.nonce = () => nowMs;
  made.milliseconds = () => nowMs;
  return made;
}

function signed(account: AccountAnswer, query: string): string {
  const signature = createHmac('sha256', account.secret).update(query).digest('hex');
  return `${query}&signature=${signature}`;
}

function get(account: AccountAnswer, path: string, query: string): Promise<Answer> {
  const headers = { 'x-mbx-apikey': account.api_key };
  return ask(exchange, `https://${path}?${signed(account, query)}`, { headers });
}

function at(ms: number, more = ''): string {
  return `timestamp=${String(ms)}${more}`;
}

function code({ status, body }: Answer): [number, unknown] {
  return [status, (JSON.parse(body.toString()) as { readonly code?: unknown }).code];
}

describe('binance, as ccxt speaks to it', () => {
  it('tells what the ledger holds', async () => {
    const { control } = exchange;
    const account = control.account({ venue: 'binance' });
    const of = { account: account.account };
    control.deposit({ ...of, currency: 'USDT', amount: '100000.00000001' });
    control.trade({
      ...of,
      symbol: 'BTC/USDT',
      side: 'buy',
      price: '65000.01',
      amount: '0.5',
      fee: '0.01',
      feeCurrency: 'USDT',
      clientOrderId: 'ours-1',
    });
    control.transfer({ ...of, currency: 'USDT', amount: '20000', toWallet: 'linear' });
    control.trade({ ...of, symbol: 'BTC/USDT:USDT', side: 'sell', price: '65000', amount: '0.1' });
    control.trade({ ...of, symbol: 'BTC/USDT:USDT', side: 'buy', price: '64000', amount: '0.05' });
    control.funding({ ...of, symbol: 'BTC/USDT:USDT', amount: '-0.25' });
    control.withdraw({ ...of, currency: 'USDT', amount: '10', fee: '1' });
    const ccxt = client(account);
    await ccxt.loadMarkets();
    const since = nowMs - 1000;
    const ledger = control.ledger(of);

    expect(ledger.balances).toEqual({
      spot: { BTC: '0.5', USDT: '47488.98500001' },
      linear: { USDT: '20044.9' },
    });
    const spot = await ccxt.fetchBalance();
    expect(spot['USDT']?.total).toBe('47488.98500001');
    const swap = await ccxt.fetchBalance({ type: 'swap' });
    expect(swap['USDT']?.total).toBe('20094.90000000');
    expect(ledger.realized).toEqual({ USDT: '50' });

    const [trade] = await ccxt.fetchMyTrades('BTC/USDT', since);
    expect(trade).toMatchObject({ price: '65000.01000000', cost: '32500.00500000' });
    expect(trade?.fee).toEqual({ currency: 'USDT', cost: '0.01000000' });
    const swaps = await ccxt.fetchMyTrades('BTC/USDT:USDT', since);
    expect(swaps.map(({ side, amount }) => [side, amount])).toEqual([
      ['sell', '0.10000000'],
      ['buy', '0.05000000'],
    ]);
    const [order] = await ccxt.fetchOrders('BTC/USDT', since);
    expect([order?.id, order?.clientOrderId]).toEqual([trade?.order, 'ours-1']);
    const [position] = await ccxt.fetchPositions();
    expect(position).toMatchObject({ symbol: 'BTC/USDT:USDT', side: 'short', contracts: '0.05' });
    const [funding] = await ccxt.fetchFundingHistory('BTC/USDT:USDT', since);
    expect(funding?.amount).toBe('-0.25000000');
    const [deposit] = await ccxt.fetchDeposits(undefined, since);
    expect(deposit).toMatchObject({ amount: '100000.00000001', status: 'ok' });
    const [withdrawal] = await ccxt.fetchWithdrawals(undefined, since);
    expect(withdrawal).toMatchObject({ amount: '10', fee: { cost: '1', currency: 'USDT' } });
    const [transfer] = await ccxt.fetchTransfers('USDT', since);
    expect(transfer).toMatchObject({ amount: '20000', fromAccount: 'spot', toAccount: 'linear' });
  });

  it('keeps COIN-M and margin wallets apart, in their own coins', async () => {
    const { control } = exchange;
    const account = control.account({ venue: 'binance' });
    const of = { account: account.account };
    control.deposit({ ...of, currency: 'BTC', amount: '2' });
    control.transfer({ ...of, currency: 'BTC', amount: '1', toWallet: 'inverse' });
    control.transfer({ ...of, currency: 'BTC', amount: '0.5', toWallet: 'margin' });
    control.trade({ ...of, symbol: 'BTC/USD:BTC', side: 'buy', price: '50000', amount: '10' });
    control.trade({
      ...of,
      symbol: 'ETH/USDT',
      side: 'buy',
      price: '3000',
      amount: '1',
      wallet: 'margin',
      fee: '0',
    });
    control.price({ venue: 'binance', symbol: 'BTC/USD:BTC', price: '62500' });
    const ccxt = client(account);
    await ccxt.loadMarkets();
    const inverse = await ccxt.fetchBalance({ type: 'swap', subType: 'inverse' });
    // 1000 USD at 50,000 and 62,500: 0.02 - 0.016 BTC unrealised; 0.05 % of 0.02 BTC paid.
    expect(inverse['BTC']?.total).toBe('1.00399000');
    const [trade] = await ccxt.fetchMyTrades('BTC/USD:BTC', nowMs - 1000);
    expect(trade).toMatchObject({ amount: '10.00000000', fee: { currency: 'BTC' } });
    const margin = await ccxt.fetchBalance({ type: 'margin' });
    expect(margin['USDT']).toMatchObject({ free: '0.00000000', debt: '3000' });
    expect(margin['ETH']?.free).toBe('1.00000000');
    const [bought] = await ccxt.fetchMyTrades('ETH/USDT', nowMs - 1000, 10, {
      marginMode: 'cross',
    });
    expect(bought?.amount).toBe('1.00000000');
    expect(await ccxt.fetchMyTrades('ETH/USDT', nowMs - 1000)).toEqual([]);
  });
});

describe('binance refuses as Binance does', () => {
  it('what is not signed, late, early, revoked or from elsewhere', async () => {
    const { control } = exchange;
    const account = control.account({ venue: 'binance' });
    const path = 'api.binance.com/api/v3/account';
    expect(code(await ask(exchange, `https://${path}?${at(nowMs)}`))).toEqual([401, -2014]);
    const other = { ...account, api_key: 'A'.repeat(64) };
    expect(code(await get(other, path, at(nowMs)))).toEqual([401, -2015]);
    const forged = { ...account, secret: `${account.secret}x` };
    expect(code(await get(forged, path, at(nowMs)))).toEqual([400, -1022]);
    expect(code(await get(account, path, 'recvWindow=5000'))).toEqual([400, -1102]);
    expect(code(await get(account, path, at(nowMs - 5000)))).toEqual([200, undefined]);
    expect(code(await get(account, path, at(nowMs - 5001)))).toEqual([400, -1021]);
    expect(code(await get(account, path, at(nowMs + 999)))).toEqual([200, undefined]);
    expect(code(await get(account, path, at(nowMs + 1000)))).toEqual([400, -1021]);
    const wide = at(nowMs - 60_000, '&recvWindow=60000');
    expect(code(await get(account, path, wide))).toEqual([200, undefined]);
    const wider = at(nowMs, '&recvWindow=60001');
    expect(code(await get(account, path, wider))).toEqual([400, -1131]);
    control.skew({ venue: 'binance', ms: 7000 });
    expect(code(await get(account, path, at(nowMs)))).toEqual([400, -1021]);
    control.skew({ venue: 'binance', ms: 0 });
    control.revoke({ account: account.account });
    expect(code(await get(account, path, at(nowMs)))).toEqual([401, -2015]);
    const elsewhere = control.key({ account: account.account, addresses: ['192.0.2.1'] });
    expect(code(await get(elsewhere, path, at(nowMs)))).toEqual([401, -2015]);
  });

  it('a live key at the test net, and the other way round', async () => {
    const { control } = exchange;
    const live = control.account({ venue: 'binance' });
    const sandbox = control.account({ venue: 'binance', isSandbox: true });
    const query = `timestamp=${String(nowMs)}`;
    const testnet = 'testnet.binance.vision/api/v3/account';
    expect(code(await get(live, testnet, query))).toEqual([401, -2015]);
    expect(code(await get(sandbox, testnet, query))).toEqual([200, undefined]);
    expect(code(await get(sandbox, 'api.binance.com/api/v3/account', query))[0]).toBe(401);
  });

  it('windows that are too long, and pages by id', async () => {
    const { control } = exchange;
    const account = control.account({ venue: 'binance' });
    const of = { account: account.account };
    control.deposit({ ...of, currency: 'USDT', amount: '1000000', timeMs: nowMs - 9 * DAY_MS });
    for (const days of [3, 2, 1]) {
      const timeMs = nowMs - days * DAY_MS;
      const common = { ...of, symbol: 'BTC/USDT', side: 'buy' as const, price: '65000' };
      control.trade({ ...common, amount: '0.1', timeMs });
      control.trade({ ...common, amount: '0.2', timeMs });
    }
    const path = 'api.binance.com/api/v3/myTrades';
    const trades = async (query: string): Promise<readonly string[]> => {
      const { body } = await get(
        account,
        path,
        `symbol=BTCUSDT&${query}&timestamp=${String(nowMs)}`,
      );
      const records = JSON.parse(body.toString()) as readonly { readonly id: number }[];
      return records.map(({ id }) => String(id));
    };
    const all = await trades('limit=1000');
    expect(all).toHaveLength(6);
    const start = nowMs - 2 * DAY_MS;
    expect(await trades(`startTime=${String(start)}`)).toEqual(all.slice(2, 6));
    expect(await trades(`startTime=${String(start + 1)}`)).toEqual(all.slice(4));
    expect(await trades(`fromId=${all[3] ?? ''}&limit=2`)).toEqual(all.slice(3, 5));
    const long = `symbol=BTCUSDT&startTime=${String(start)}&endTime=${String(start + DAY_MS + 1)}`;
    const refused = await get(account, path, `${long}&timestamp=${String(nowMs)}`);
    expect(code(refused)).toEqual([400, -1127]);
    const both = `symbol=BTCUSDT&fromId=1&startTime=1&timestamp=${String(nowMs)}`;
    expect(code(await get(account, path, both))).toEqual([400, -1128]);
    expect(code(await get(account, path, `timestamp=${String(nowMs)}`))).toEqual([400, -1102]);
  });

  it('more weight than a minute has: 429, then 418 for who goes on', async () => {
    const url = 'https://api.binance.com/api/v3/ticker/24hr';
    exchange.control.limits({ venue: 'binance', scale: 160 / 6000 });
    const first = await ask(exchange, url);
    expect([first.status, first.headers['x-mbx-used-weight-1m']]).toEqual([200, '80']);
    expect((await ask(exchange, url)).status).toBe(200);
    const refused = await ask(exchange, url);
    expect(code(refused)).toEqual([429, -1003]);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    for (let count = 0; count < 9; count += 1) await ask(exchange, url);
    const banned = await ask(exchange, url);
    expect([banned.status, banned.headers['retry-after']]).toEqual([418, '120']);
    nowMs += 119_999;
    expect((await ask(exchange, url)).status).toBe(418);
    nowMs += 1;
    expect((await ask(exchange, url)).status).toBe(200);
    exchange.control.limits({ venue: 'binance', scale: 1 });
  });
});

it('an authority of its own, and says what it is', async () => {
  const answer = await ask(exchange, 'https://api.binance.com/api/v3/ping');
  expect(answer.headers['x-trackseal-simulator']).toBe('exchange');
  await expect(ask(exchange, 'https://www.example.com/')).rejects.toThrow(/./u);
  const stranger = await startExchange();
  const pretending = { ...exchange, ca: stranger.ca };
  await expect(ask(pretending, 'https://api.binance.com/api/v3/ping')).rejects.toThrow(
    /certificate/u,
  );
  await stranger.close();
});
