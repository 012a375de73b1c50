// What earlier systems got wrong in reading exchanges, one test each, by the numbers of the project's list. 1 to 6 are of
// keys, logs and images, 15 and 17 of servers and of tests; those of ledgers (7, 13, 14) are here as far as it is a
// connector that has to bring what a ledger needs.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Venue } from '../../../enclave/connector/classes.ts';
import type { Job } from '../../../enclave/connector/job.ts';
import { parseExactJson } from '../../../enclave/connector/json.ts';
import type { Fill, Flow } from '../../../enclave/connector/records.ts';
import type { AccountAnswer } from '../../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { Internet, Outcome } from '../../helpers/connector-desk.ts';
import { jobOf, routes, runJob, START_MS } from '../../helpers/connector-desk.ts';
import { credentialsOf, simulatedInternet } from '../../helpers/simulated-venues.ts';
import { bybitInstruments, reply, sample } from '../../helpers/venue-shapes.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let exchange: RunningExchange;
let nowMs = Date.now();

beforeAll(async () => {
  exchange = await startExchange({ clock: () => nowMs });
});

afterAll(() => exchange.close());

function open(): AccountAnswer {
  nowMs += DAY_MS;
  return exchange.control.account({ venue: 'binance' });
}

function poll(
  venue: Venue,
  account: AccountAnswer,
  change: Partial<Job> = {},
  internet?: Internet,
): Promise<Outcome> {
  const job = jobOf(venue, {
    fromMs: nowMs - HOUR_MS,
    nowMs,
    credentials: credentialsOf(account),
    ...change,
  });
  return runJob(job, internet ?? simulatedInternet(exchange));
}

/** One host's path answers 500, as a venue's part may be down while the rest is not. */
function without(path: string): Internet {
  const whole = simulatedInternet(exchange);
  return (asked) =>
    asked.url.pathname === path
      ? {
          status: 500,
          body: { code: -1000, msg: 'An unknown error occurred while processing the request.' },
        }
      : whole(asked);
}

function fillsOf({ records }: Outcome): readonly Fill[] {
  return records.filter((record) => record.kind === 'fill');
}

function flowsOf({ records }: Outcome): readonly Flow[] {
  return records.filter((record) => record.kind === 'flow');
}

function balances({ records }: Outcome): Readonly<Record<string, string>> {
  return Object.fromEntries(
    records
      .filter((record) => record.kind === 'balance')
      .map(({ wallet, currency, total }) => [`${wallet} ${currency}`, total]),
  );
}

function bybit(executions: readonly unknown[], coins: readonly unknown[] = []): Internet {
  const nothing = reply({
    retCode: 0,
    result: { list: [], rows: [], balance: [], nextPageCursor: '' },
  });
  return routes({
    '/v5/market/instruments-info': ({ query }) => {
      const whole = bybitInstruments(query.get('category'));
      if (query.get('category') !== 'linear') return whole;
      const names = {
        symbol: '1000000MOGUSDT',
        baseCoin: '1000000MOG',
        quoteCoin: 'USDT',
        settleCoin: 'USDT',
      };
      return { body: sample('bybit', 'fetchFutureMarkets', 0, names) };
    },
    '/v5/account/wallet-balance': reply({
      retCode: 0,
      result: { list: [{ accountType: 'UNIFIED', coin: coins }] },
    }),
    '/v5/asset/transfer/query-account-coins-balance': nothing,
    '/v5/position/list': nothing,
    '/v5/execution/list': ({ query }) =>
      query.get('category') === 'linear' && !query.has('cursor')
        ? { body: { retCode: 0, result: { list: executions, nextPageCursor: '' } } }
        : nothing(),
    '/v5/asset/deposit/query-record': nothing,
    '/v5/asset/withdraw/query-record': nothing,
    '/v5/asset/transfer/query-inter-transfer-list': nothing,
  });
}

describe('mistake 7: deposits and withdrawals were ignored', () => {
  it('they come with amount, fee and time, so that none shows as profit', async () => {
    const account = open();
    const { account: id } = account;
    exchange.control.deposit({ account: id, currency: 'USDT', amount: '1000.5' });
    exchange.control.withdraw({ account: id, currency: 'USDT', amount: '100', fee: '1.25' });
    const flows = flowsOf(await poll('binance', account));
    expect(
      flows.map(({ type, direction, amount, fee }) => [type, direction, amount, fee?.amount]),
    ).toEqual([
      ['deposit', 'in', '1000.5', undefined],
      ['withdrawal', 'out', '100', '1.25'],
    ]);
  });

  it('Interactive Brokers writes Deposits/Withdrawals, and that is what is looked for', async () => {
    const text = `<FlexQueryResponse><FlexStatements><FlexStatement accountId="U1" fromDate="20261101" toDate="20261102"><CashTransactions>${cashLine('Deposits/Withdrawals', '250')}${cashLine('Deposits/Withdrawals', '-50')}${cashLine('Deposits &amp; Withdrawals', '7')}</CashTransactions></FlexStatement></FlexStatements></FlexQueryResponse>`;
    const flows = flowsOf(await flex(text));
    expect(flows.map(({ type, amount }) => [type, amount])).toEqual([
      ['deposit', '250'],
      ['withdrawal', '50'],
      ['deposit', '7'],
    ]);
  });
});

const cashLine = (type: string, amount: string): string =>
  `<CashTransaction accountId="U1" currency="EUR" type="${type}" amount="${amount}" dateTime="20261102;120000" transactionID="${amount}" />`;

function flex(statement: string): Promise<Outcome> {
  const ticket =
    '<FlexStatementResponse><Status>Success</Status><ReferenceCode>1</ReferenceCode></FlexStatementResponse>';
  return runJob(
    jobOf('ibkr', {
      nowMs: START_MS + 2 * DAY_MS,
      credentials: { apiKey: utf8('t'), secret: utf8('1'), passphrase: null },
    }),
    ({ url }) => ({ body: url.pathname.endsWith('SendRequest') ? ticket : statement }),
  );
}

describe('mistake 8: quantities of coins were added up as dollars', () => {
  it('each coin is a line of its own with its quantity, and none is left out', async () => {
    const coins = [
      { coin: 'BTC', walletBalance: '0.5', equity: '0.5' },
      { coin: 'USDT', walletBalance: '100', equity: '100' },
      { coin: 'DOGE', walletBalance: '7', equity: '7' },
    ];
    const outcome = await runJob(jobOf('bybit'), bybit([], coins));
    expect(balances(outcome)).toEqual({
      'unified BTC': '0.5',
      'unified USDT': '100',
      'unified DOGE': '7',
    });
  });
});

describe('mistake 9: the same wallet was counted several times by calls at once', () => {
  it('three accounts of one key, polled at the same time, have a wallet each', async () => {
    const account = open();
    const { account: id } = account;
    for (const [wallet, amount] of [
      ['spot', '1'],
      ['linear', '2'],
      ['margin', '3'],
    ] as const) {
      exchange.control.deposit({ account: id, currency: 'USDT', amount, wallet });
    }
    const outcomes = await Promise.all([
      poll('binance', account),
      poll('binanceusdm', account),
      poll('binancemargin', account),
      poll('binance', account),
    ]);
    expect(outcomes.map(balances)).toEqual([
      { 'spot USDT': '1' },
      { 'futures USDT': '2' },
      { 'margin USDT': '3' },
      { 'spot USDT': '1' },
    ]);
  });
});

describe('mistake 10: a call that failed was a balance of zero', () => {
  it('now a gap, with its reason, and the rest still comes', async () => {
    const account = open();
    exchange.control.deposit({ account: account.account, currency: 'USDT', amount: '5' });
    const outcome = await poll('binance', account, {}, without('/api/v3/account'));
    expect(balances(outcome)).toEqual({});
    expect(outcome.done.outcome).toBe('partial');
    expect(outcome.done.coverage).toContainEqual(
      expect.objectContaining({ what: 'balances', complete: false, reason: 'unavailable' }),
    );
    expect(flowsOf(outcome)).toHaveLength(1);
  });

  it('a wallet with one line that cannot be read is no wallet', async () => {
    const coins = [
      { coin: 'USDT', walletBalance: '100' },
      { coin: 'BTC', walletBalance: 'n/a' },
    ];
    const outcome = await runJob(jobOf('bybit'), bybit([], coins));
    expect(balances(outcome)).toEqual({});
    expect(outcome.done.coverage).toContainEqual(
      expect.objectContaining({ what: 'balances', market: 'unified', reason: 'record_malformed' }),
    );
  });

  it('what is owed is a negative balance, and is not dropped', async () => {
    const coins = [{ coin: 'USDT', walletBalance: '-12.5' }];
    expect(balances(await runJob(jobOf('bybit'), bybit([], coins)))).toEqual({
      'unified USDT': '-12.5',
    });
  });
});

describe('mistake 11: sold-out pairs and long histories were lost', () => {
  it('a pair that is neither held nor open is still asked for, day by day back to the start', async () => {
    const account = open();
    const { account: id } = account;
    const fromMs = nowMs - 10 * DAY_MS;
    const settings = { ...jobOf('binance').settings, symbols: ['ETH/USDT'] };
    exchange.control.deposit({ account: id, currency: 'USDT', amount: '10000', timeMs: fromMs });
    const trade = { account: id, symbol: 'ETH/USDT', amount: '1', price: '3000' } as const;
    exchange.control.trade({ ...trade, side: 'buy', timeMs: fromMs + 2 * DAY_MS });
    exchange.control.trade({ ...trade, side: 'sell', timeMs: fromMs + 5 * DAY_MS });
    const outcome = await poll('binance', account, { fromMs, settings });
    expect(fillsOf(outcome).map(({ side }) => side)).toEqual(['buy', 'sell']);
    const line = outcome.done.coverage.find(({ market }) => market === 'ETH/USDT');
    expect(line).toMatchObject({ fromMs, complete: true });
  });

  it('more than a page is read to its end', async () => {
    const account = open();
    const { account: id } = account;
    exchange.control.deposit({
      account: id,
      currency: 'USDT',
      amount: '1000000',
      wallet: 'linear',
    });
    for (let at = 0; at < 1100; at++) {
      exchange.control.trade({
        account: id,
        symbol: 'BTC/USDT:USDT',
        side: 'buy',
        amount: '0.001',
        price: '60000',
      });
    }
    expect(fillsOf(await poll('binanceusdm', account))).toHaveLength(1100);
  });
});

describe('mistake 12: funding only of what was traded that day', () => {
  it('a position that is held gets its funding, without a trade', async () => {
    const account = open();
    const { account: id } = account;
    exchange.control.deposit({ account: id, currency: 'USDT', amount: '100000', wallet: 'linear' });
    const trade = {
      account: id,
      symbol: 'ETH/USDT:USDT',
      side: 'buy',
      amount: '1',
      price: '3000',
    } as const;
    exchange.control.trade({ ...trade, timeMs: nowMs - 20 * DAY_MS });
    exchange.control.funding({ account: id, symbol: 'ETH/USDT:USDT', amount: '-0.3' });
    const { records } = await poll('binanceusdm', account);
    expect(records.filter(({ kind }) => kind === 'funding')).toEqual([
      expect.objectContaining({ symbol: 'ETH/USDT:USDT', amount: '-0.3', currency: 'USDT' }),
    ]);
  });

  it('a name with six digits in it is no dated future', async () => {
    const names = { symbol: '1000000MOGUSDT', execTime: String(START_MS + 1000) };
    const { result } = sample('bybit', 'fetchMyTrades', 0, names) as {
      readonly result: { readonly list: readonly unknown[] };
    };
    const [fill] = fillsOf(await runJob(jobOf('bybit'), bybit(result.list)));
    expect(fill).toMatchObject({ symbol: '1000000MOG/USDT:USDT', market: 'swap' });
  });
});

describe('mistake 13: fees in any coin were dollars, and amounts were floats', () => {
  it('a fee has the coin that it was paid in', async () => {
    const account = open();
    const { account: id } = account;
    exchange.control.deposit({ account: id, currency: 'USDT', amount: '10000' });
    exchange.control.deposit({ account: id, currency: 'BNB', amount: '1' });
    exchange.control.trade({
      account: id,
      symbol: 'ETH/USDT',
      side: 'buy',
      amount: '1',
      price: '3000',
      fee: '0.01',
      feeCurrency: 'BNB',
    });
    const [fill] = fillsOf(await poll('binance', account));
    expect(fill?.fees).toEqual([{ currency: 'BNB', amount: '0.01' }]);
  });

  it.each([
    ['0.1', 0.1],
    ['0.10', '0.10'],
    ['1e-7', 1e-7],
    ['12345678901234567890', '12345678901234567890'],
    ['0.12345678901234567890123', '0.12345678901234567890123'],
    ['1000.00000001', 1000.00000001],
    ['9007199254740993', '9007199254740993'],
  ])('a number that is written %s keeps its digits', (text, value) => {
    expect(parseExactJson(`{"a":[${text}]}`)).toEqual({ a: [value] });
  });
});

describe('mistake 14: what was polled again came twice, and what is between polls not at all', () => {
  it('each fill comes once, however often and however late is polled', async () => {
    const account = open();
    const { account: id } = account;
    exchange.control.deposit({ account: id, currency: 'USDT', amount: '100000' });
    const trade = (): void => {
      exchange.control.trade({
        account: id,
        symbol: 'BTC/USDT',
        side: 'buy',
        amount: '0.001',
        price: '60000',
      });
    };
    const fromMs = nowMs - HOUR_MS;
    let cursors: Uint8Array | null = null;
    const seen: string[] = [];
    for (const stepMs of [0, 0, 1000, 300_000, 2 * HOUR_MS, 0]) {
      trade();
      nowMs += stepMs;
      trade();
      const outcome: Outcome = await poll('binance', account, { cursors, fromMs });
      seen.push(...fillsOf(outcome).map(({ id: fill }) => fill));
      cursors = outcome.done.cursors;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toHaveLength(exchange.control.ledger({ account: id }).fills);
  });

  it('no venue that needs a symbol is asked without one', async () => {
    const account = open();
    exchange.control.deposit({ account: account.account, currency: 'USDT', amount: '1' });
    const { asked, meanings } = await poll('binance', account);
    const trades = asked.filter(({ url }) => url.pathname.endsWith('/myTrades'));
    expect(trades.every(({ query }) => query.has('symbol'))).toBe(true);
    const calls = new Set(trades.map(({ fetch }) => fetch.call));
    const refused = meanings.filter(({ call, callClass }) => callClass !== 'ok' && calls.has(call));
    expect(refused).toEqual([]);
  });
});

describe('mistake 16: brokers', () => {
  const position =
    '<OpenPosition accountId="U1" currency="USD" assetCategory="STK" symbol="IBM" position="5" markPrice="210" costBasisPrice="200" fifoPnlUnrealized="50" forexCfdUnrealizedPl="0" levelOfDetail="SUMMARY" />';
  const statement = (account: string): string =>
    `<FlexStatement accountId="${account}" fromDate="20261101" toDate="20261102"><Trades><Trade accountId="${account}" currency="USD" assetCategory="STK" symbol="IBM" tradeID="1" tradeDate="20261102" quantity="1" tradePrice="1" /></Trades><OpenPositions>${position}</OpenPositions></FlexStatement>`;
  const text = `<FlexQueryResponse><FlexStatements count="2">${statement('U1')}${statement('U2')}</FlexStatements></FlexQueryResponse>`;

  it('a date such as 20261102 is one, and its trade is there', async () => {
    const [fill] = fillsOf(await flex(text));
    expect(fill?.timeMs).toBe(Date.parse('2026-11-02T05:00:00Z'));
  });

  it('all statements of a query count, with their accounts apart', async () => {
    expect(fillsOf(await flex(text)).map(({ id }) => id)).toEqual(['U1:1', 'U2:1']);
  });

  it('what is unrealised comes from the position, not from currencies and CFDs', async () => {
    const { records } = await flex(text);
    expect(records).toContainEqual(expect.objectContaining({ kind: 'position', unrealized: '50' }));
  });

  it('Alpaca: cash, journals and fees count, and an error is no empty list', async () => {
    const activities = [
      ['CSD', '100'],
      ['CSW', '-40'],
      ['JNLC', '-5'],
      ['FEE', '-0.03'],
      ['DIVNRA', '-1.5'],
    ].map(([type, amount], at) => ({
      id: `20261102000000000::${at}`,
      activity_type: type,
      net_amount: amount,
      date: '2026-11-02',
    }));
    const table = {
      '/v2/account': reply({ id: 'a', status: 'ACTIVE', cash: '1', currency: 'USD' }),
      '/v2/positions': reply([]),
    };
    const outcome = await runJob(
      jobOf('alpaca'),
      routes({ ...table, '/v2/account/activities': reply(activities) }),
    );
    expect(
      flowsOf(outcome).map(({ type, direction, amount }) => [type, direction, amount]),
    ).toEqual([
      ['deposit', 'in', '100'],
      ['withdrawal', 'out', '40'],
      ['transfer_out', 'out', '5'],
      ['fee', 'out', '0.03'],
      ['dividend', 'out', '1.5'],
    ]);
    const failed = await runJob(
      jobOf('alpaca'),
      routes({ ...table, '/v2/account/activities': () => ({ status: 500, body: '' }) }),
    );
    expect(failed.done.outcome).toBe('partial');
    expect(failed.done.coverage).toContainEqual(
      expect.objectContaining({ what: 'fills', complete: false, reason: 'unavailable' }),
    );
  });
});
