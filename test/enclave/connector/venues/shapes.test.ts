// Each venue's answers in recorded shapes, and the records that have to come of them: exact, signed the right way, with
// the venue's own ids.

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Venue } from '../../../../enclave/connector/classes.ts';
import type { Job } from '../../../../enclave/connector/job.ts';
import { listAt } from '../../../../enclave/connector/raw.ts';
import type { ConnectorRecord } from '../../../../enclave/connector/records.ts';
import { volumeOf } from '../../../../enclave/desk/poll-records.ts';
import { utf8 } from '../../../../wire/bytes.ts';
import type { Asked, Failure, Outcome, Reply } from '../../../helpers/connector-desk.ts';
import { jobOf, routes, runJob, START_MS } from '../../../helpers/connector-desk.ts';
import {
  BITGET_SPOT,
  BITGET_SWAP,
  bybitInstruments,
  COINBASE_PRODUCTS,
  KRAKEN_ASSETS,
  KRAKEN_FUTURES_INSTRUMENTS,
  KRAKEN_PAIRS,
  MEXC_SPOT,
  okxInstruments,
  reply,
  sample,
} from '../../../helpers/venue-shapes.ts';

type Table = Readonly<Record<string, (asked: Asked) => Reply | Failure>>;

const AT_MS: number = START_MS + 60_000;
const AT = String(AT_MS);

async function poll(venue: Venue, table: Table, change: Partial<Job> = {}): Promise<Outcome> {
  const outcome = await runJob(jobOf(venue, change), routes(table));
  const failed = outcome.meanings.filter(({ callClass }) => callClass !== 'ok');
  expect(failed).toEqual([]);
  expect(outcome.done.outcome).toBe('complete');
  return outcome;
}

function one(records: readonly ConnectorRecord[], kind: ConnectorRecord['kind']): ConnectorRecord {
  const found = records.filter((record) => record.kind === kind);
  expect(found).toHaveLength(1);
  return found[0] as ConnectorRecord;
}

function settingsOf(accountType: Job['settings']['accountType']): Partial<Job> {
  return { settings: { ...jobOf('binance').settings, accountType } };
}

describe('bybit', () => {
  const nothing = reply({
    retCode: 0,
    retMsg: 'OK',
    result: { list: [], rows: [], balance: [], nextPageCursor: '' },
  });
  const once =
    (body: unknown) =>
    ({ query }: Asked): Reply =>
      query.has('cursor') ? nothing() : { body };
  const funding = sample('bybit', 'fetchMyTrades', 0, {
    execTime: AT,
    execType: 'Funding',
    execFee: '0.25',
    execId: 'funding-1',
  }) as { readonly result: { readonly list: readonly unknown[] } };
  const trades = sample('bybit', 'fetchMyTrades', 0, { execTime: AT, orderLinkId: 'ours-1' }) as {
    readonly result: { readonly list: readonly unknown[] };
  };
  const executions = {
    retCode: 0,
    result: { nextPageCursor: 'next', list: [...trades.result.list, ...funding.result.list] },
  };
  const table: Table = {
    '/v5/market/instruments-info': ({ query }) => bybitInstruments(query.get('category')),
    '/v5/account/wallet-balance': reply({
      retCode: 0,
      result: {
        list: [
          {
            accountType: 'UNIFIED',
            coin: [{ coin: 'USDT', walletBalance: '100.5', spotBorrow: '20', equity: '99' }],
          },
        ],
      },
    }),
    '/v5/asset/transfer/query-account-coins-balance': nothing,
    '/v5/position/list': nothing,
    '/v5/execution/list': (asked) =>
      asked.query.get('category') === 'linear' ? once(executions)(asked) : nothing(),
    '/v5/asset/deposit/query-record': once(sample('bybit', 'fetchDeposits', 0, { successAt: AT })),
    '/v5/asset/withdraw/query-record': once(
      sample('bybit', 'fetchWithdrawals', 0, { createTime: AT }),
    ),
    '/v5/asset/transfer/query-inter-transfer-list': once(
      sample('bybit', 'fetchTransfers', 0, { timestamp: AT }),
    ),
  };

  it('gives fills, funding as it is paid, wallets less what is borrowed, and flows', async () => {
    const { records } = await poll('bybit', table);
    expect(one(records, 'fill')).toMatchObject({
      id: 'e0cbe81d-0f18-5866-9415-cf319b5dab3b',
      clientOrderId: 'ours-1',
      symbol: 'ETH/USDC:USDC',
      market: 'swap',
      settle: 'USDC',
      price: '1190.15',
      amount: '0.1',
      cost: '119.015',
      fees: [{ currency: 'USDC', amount: '0.071409' }],
      timeMs: AT_MS,
    });
    // A fee of 0.25 is paid.
    expect(one(records, 'funding')).toMatchObject({
      id: 'funding-1',
      currency: 'USDC',
      amount: '-0.25',
    });
    expect(one(records, 'balance')).toMatchObject({
      wallet: 'unified',
      currency: 'USDT',
      total: '80.5',
    });
    const flows = records.filter((record) => record.kind === 'flow');
    expect(flows.map(({ type, amount, status }) => [type, amount, status])).toEqual([
      ['deposit', '10000', 'ok'],
      ['withdrawal', '77', 'pending'],
      ['withdrawal', '26', 'ok'],
      ['transfer_in', '5000', 'ok'],
    ]);
  });

  it.each([
    ['FUND', 'UNIFIED', []],
    ['UNIFIED', 'FUND', []],
    ['CONTRACT', 'FUND', ['transfer_in']],
    ['UNIFIED', 'CONTRACT', ['transfer_out']],
  ])('moved from %s to %s is %j: both balances are told of some', async (from, to, types) => {
    const changes = { timestamp: AT, fromAccountType: from, toAccountType: to };
    const moved = sample('bybit', 'fetchTransfers', 0, changes);
    const { records } = await poll('bybit', {
      ...table,
      '/v5/asset/transfer/query-inter-transfer-list': ({ query }) =>
        query.has('cursor') ? nothing() : { body: moved },
    });
    const flows = records.filter((record) => record.kind === 'flow');
    const transfers = flows.map(({ type }) => type).filter((type) => type.startsWith('transfer'));
    expect([...new Set(transfers)]).toEqual(types);
  });

  it('asks in windows of at most seven days', async () => {
    const fromMs = START_MS - 20 * 86_400_000;
    const { asked } = await poll('bybit', table, { fromMs });
    const spans = asked
      .filter(
        ({ url, query }) =>
          url.pathname === '/v5/execution/list' && query.get('category') === 'spot',
      )
      .map(({ query }) => [Number(query.get('startTime')), Number(query.get('endTime'))] as const);
    expect(spans).toHaveLength(3);
    for (const [start, end] of spans) expect(end - start).toBeLessThan(7 * 86_400_000);
    expect(spans[0]?.[0]).toBe(fromMs);
    expect(spans.map(([start]) => start).slice(1)).toEqual(
      spans.map(([, end]) => end).slice(0, -1),
    );
  });

  it.each([
    ['1', { ContractTrade: ['Order'], Wallet: ['Withdraw'] }, { trade: false, withdraw: false }],
    [
      '0',
      { ContractTrade: ['Order'], Wallet: ['AccountTransfer'] },
      { trade: true, withdraw: false },
    ],
    ['0', { Spot: [], Wallet: ['Withdraw'] }, { trade: false, withdraw: true }],
  ])('a key with readOnly %s and %j may %j', async (readOnly, permissions, expected) => {
    const key = {
      userID: '24617703',
      readOnly: Number(readOnly),
      permissions,
      ips: ['*'],
      isMaster: true,
    };
    const job = { kind: 'check' as const };
    const internet = { ...table, '/v5/user/query-api': reply({ retCode: 0, result: key }) };
    const { done } = await poll('bybit', internet, job);
    expect(done.permissions).toMatchObject({
      ...expected,
      accountId: '24617703',
      ipRestricted: false,
    });
  });
});

describe('okx', () => {
  const none = { code: '0', msg: '', data: [] };
  const table: Table = {
    '/api/v5/public/instruments': ({ query }) => okxInstruments(query.get('instType')),
    '/api/v5/account/balance': reply(sample('okx', 'fetchBalance')),
    '/api/v5/asset/balances': reply(none),
    '/api/v5/account/positions': reply(sample('okx', 'fetchPositions')),
    '/api/v5/trade/fills-history': ({ query }) => ({
      body: query.get('instType') === 'SPOT' ? sample('okx', 'fetchMyTrades', 0, { ts: AT }) : none,
    }),
    '/api/v5/account/bills-archive': ({ query }) => ({
      body:
        query.get('type') === '8'
          ? { ...none, data: [sample('okx', 'fetchFundingHistory', 0, { ts: AT })] }
          : none,
    }),
    '/api/v5/asset/deposit-history': reply(none),
    '/api/v5/asset/withdrawal-history': reply(none),
  };

  it('gives fills with the fee in its own coin, funding with all digits, cash and positions apart', async () => {
    const { records } = await poll('okx', table);
    expect(one(records, 'fill')).toMatchObject({
      id: '107601752',
      symbol: 'ETH/USDT',
      fees: [{ currency: 'ETH', amount: '0.000007533' }],
    });
    expect(one(records, 'funding')).toMatchObject({
      symbol: 'ETH/USD:ETH',
      amount: '0.000014875271224',
    });
    expect(one(records, 'balance')).toMatchObject({ wallet: 'trading', total: '28.21006347' });
    expect(one(records, 'position')).toMatchObject({
      symbol: 'ETH/USD:ETH-210430',
      market: 'future',
      contractSize: '10',
      settle: 'ETH',
    });
  });

  it.each([
    ['6', '18', '5', []],
    ['18', '6', '-5', []],
    ['', '', '5', ['transfer_in']],
    ['18', '7', '-5', ['transfer_out']],
  ])(
    'moved from %s to %s by %s is %j: both balances are told of some',
    async (from, to, balChg, types) => {
      const moved = { billId: 'b1', type: '1', ccy: 'USDT', balChg, ts: AT, from, to };
      const { records } = await poll('okx', {
        ...table,
        '/api/v5/account/bills-archive': ({ query }) => ({
          body: { ...none, data: query.get('type') === '1' ? [moved] : [] },
        }),
      });
      const flows = records.filter((record) => record.kind === 'flow');
      expect(flows.map(({ type }) => type)).toEqual(types);
    },
  );

  it('does not take a full page that does not say where it ends for the last one', async () => {
    const [trade] = listAt(sample('okx', 'fetchMyTrades', 0, { ts: AT }), 'data');
    const unnamed = Array.from({ length: 100 }, (_, at) => ({
      ...trade,
      tradeId: `t${at}`,
      billId: '',
    }));
    const outcome = await runJob(
      jobOf('okx'),
      routes({
        ...table,
        '/api/v5/trade/fills-history': ({ query }) => ({
          body: query.get('instType') === 'SPOT' ? { ...none, data: unnamed } : none,
        }),
      }),
    );
    const rows = outcome.done.coverage.filter(({ market }) => market === 'spot');
    expect(rows).toEqual([expect.objectContaining({ complete: false, reason: 'bad_response' })]);
  });

  it('does not take an option, of which it has no facts, for a pair of spot', async () => {
    const [trade] = listAt(sample('okx', 'fetchMyTrades', 0, { ts: AT }), 'data');
    const option = { ...trade, instType: 'OPTION', instId: 'BTC-USD-261225-60000-C' };
    const { records } = await poll('okx', {
      ...table,
      '/api/v5/trade/fills-history': ({ query }) => ({
        body: query.get('instType') === 'OPTION' ? { ...none, data: [option] } : none,
      }),
    });
    const fill = one(records, 'fill');
    expect(fill).toMatchObject({ market: 'option', contractSize: null, cost: null });
    // Its price is in BTC, and for a hundredth of one: a product with the amount would be no dollars.
    expect(fill.kind === 'fill' ? volumeOf(fill) : fill).toBeNull();
  });

  it('says what came before the three months that the venue keeps', async () => {
    const fromMs = START_MS - 200 * 86_400_000;
    const { done } = await poll('okx', table, { fromMs });
    const lost = done.coverage.filter(({ reason }) => reason === 'history_limit');
    expect(lost.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['fills', 'funding', 'transfers']),
    );
    expect(lost.every((line) => line.fromMs === fromMs && !line.complete)).toBe(true);
  });

  it.each([
    ['read_only', { trade: false, withdraw: false }],
    ['read_only,trade', { trade: true, withdraw: false }],
    ['read_only,withdraw', { trade: false, withdraw: true }],
  ])('a key with %s may %j', async (perm, expected) => {
    const account = { uid: '44705892343619584', mainUid: '44705892343619584', perm, ip: '' };
    const internet = { ...table, '/api/v5/account/config': reply({ ...none, data: [account] }) };
    const { done } = await poll('okx', internet, { kind: 'check' });
    expect(done.permissions).toMatchObject({ ...expected, read: true, subAccount: false });
  });
});

describe('kraken', () => {
  const seconds = START_MS / 1000 + 60;
  const deposit = {
    refid: 'R',
    time: seconds,
    type: 'deposit',
    asset: 'ZUSD',
    amount: '10.0000',
    fee: '0.0100',
  };
  const spend = {
    refid: 'S',
    time: seconds,
    type: 'spend',
    asset: 'ZUSD',
    amount: '-5.0000',
    fee: '0',
  };
  const trade = { ...(sample('kraken', 'parseLedgerEntry') as object) };
  const ledger = { ...trade, LDEP: deposit, LSPE: spend };
  const table: Table = {
    '/0/public/Assets': reply(KRAKEN_ASSETS),
    '/0/public/AssetPairs': reply(KRAKEN_PAIRS),
    '/0/private/BalanceEx': reply(sample('kraken', 'fetchBalance')),
    '/0/private/OpenPositions': reply(sample('kraken', 'fetchPositions', 1)),
    '/0/private/TradesHistory': reply({
      error: [],
      result: {
        count: 1,
        trades: { TX1: sample('kraken', 'parseTrade', 2, { time: seconds + 0.3052235 }) },
      },
    }),
    '/0/private/Ledgers': reply({ error: [], result: { count: 3, ledger } }),
  };

  it('gives fills, balances less holds, and flows from the ledger, without its trades', async () => {
    const { records } = await poll('kraken', table);
    expect(one(records, 'fill')).toMatchObject({
      id: 'TX1',
      symbol: 'BTC/USD',
      market: 'margin',
      price: '72026.5',
      cost: '7.20265',
      timeMs: AT_MS + 305,
    });
    expect(records).toContainEqual({
      kind: 'balance',
      wallet: 'spot',
      currency: 'BTC',
      total: '1.2435',
      free: '0.4012',
    });
    const flows = records.filter((record) => record.kind === 'flow');
    expect(
      flows.map(({ id, type, direction, amount, currency }) => [
        id,
        type,
        direction,
        amount,
        currency,
      ]),
    ).toEqual([
      ['LDEP', 'deposit', 'in', '10', 'USD'],
      ['LSPE', 'conversion', 'out', '5', 'USD'],
    ]);
  });

  it('pages by offset, with an end that stays', async () => {
    const entry = sample('kraken', 'parseTrade', 2, { time: seconds });
    const all = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`T${at}`, entry]));
    const pages: Table = {
      ...table,
      '/0/private/TradesHistory': ({ query }) => {
        const offset = Number(query.get('ofs'));
        const trades = Object.fromEntries(Object.entries(all).slice(offset, offset + 50));
        return { body: { error: [], result: { count: 120, trades } } };
      },
    };
    const { records, asked } = await poll('kraken', pages);
    expect(records.filter(({ kind }) => kind === 'fill')).toHaveLength(120);
    const calls = asked.filter(({ url }) => url.pathname.endsWith('TradesHistory'));
    expect(calls.map(({ query }) => query.get('ofs'))).toEqual(['0', '50', '100']);
    expect(new Set(calls.map(({ query }) => query.get('end'))).size).toBe(1);
  });

  it.each([
    [['query-funds', 'query-open-trades', 'query-ledger'], { trade: false, withdraw: false }],
    [['query-funds', 'modify-trades'], { trade: true, withdraw: false }],
    [['query-funds', 'withdraw-funds'], { trade: false, withdraw: true }],
  ])('a key with %j may %j', async (permissions, expected) => {
    const info = reply({ error: [], result: { permissions } });
    const { done } = await poll(
      'kraken',
      { ...table, '/0/private/GetApiKeyInfo': info },
      { kind: 'check' },
    );
    expect(done.permissions).toMatchObject(expected);
  });
});

describe('krakenfutures', () => {
  const log = {
    id: 7,
    date: '2026-11-02T00:01:00.123Z',
    asset: 'xbt',
    info: 'futures trade',
    contract: 'pi_xbtusd',
    fee: 0.0000012,
    realized_funding: -1e-9,
    old_balance: 0,
    new_balance: 1,
    execution: 'f1',
    collateral: 'xbt',
  };
  const table: Table = {
    '/derivatives/api/v3/instruments': reply(KRAKEN_FUTURES_INSTRUMENTS),
    '/derivatives/api/v3/accounts': reply({
      result: 'success',
      accounts: {
        cash: { type: 'cashAccount', balances: { xbt: 1.5, pi_xbtusd: 3 } },
        flex: {
          type: 'multiCollateralMarginAccount',
          currencies: { USD: { quantity: 10.25, available: 10 } },
        },
      },
    }),
    '/derivatives/api/v3/openpositions': reply({
      result: 'success',
      openPositions: [{ side: 'short', symbol: 'PI_XBTUSD', price: 60000, size: 100 }],
    }),
    '/derivatives/api/v3/fills': reply({
      result: 'success',
      fills: [
        {
          fill_id: 'f1',
          symbol: 'PI_XBTUSD',
          side: 'buy',
          order_id: 'o1',
          cliOrdId: 'c1',
          size: 100,
          price: 60000.5,
          fillTime: '2026-11-02T00:01:00.123Z',
          fillType: 'maker',
        },
      ],
    }),
    '/api/history/v3/account-log': reply({ accountUid: 'x', logs: [log] }),
  };

  it('takes fees and funding from the account log, not from a price list', async () => {
    const { records } = await poll('krakenfutures', table);
    expect(one(records, 'fill')).toMatchObject({
      id: 'f1',
      clientOrderId: 'c1',
      symbol: 'BTC/USD:BTC',
      amount: '100',
      price: '60000.5',
      inverse: true,
      fees: null,
      liquidity: 'maker',
    });
    expect(one(records, 'funding')).toMatchObject({
      symbol: 'BTC/USD:BTC',
      currency: 'BTC',
      amount: '-0.000000001',
    });
    expect(one(records, 'flow')).toMatchObject({
      type: 'fee',
      direction: 'out',
      amount: '0.0000012',
      networkId: 'f1',
    });
    const wallets = records.filter((record) => record.kind === 'balance');
    expect(wallets.map(({ wallet, currency, total }) => [wallet, currency, total])).toEqual([
      ['cash', 'BTC', '1.5'],
      ['flex', 'USD', '10.25'],
    ]);
  });
});

const coinbaseProducts = ({ query }: Asked): Reply => ({
  body: query.get('product_type') === 'FUTURE' ? { products: [] } : COINBASE_PRODUCTS,
});

const transactionCalls = ({ asked }: Outcome): number =>
  asked.filter(({ url }) => url.pathname.endsWith('/transactions')).length;

describe('coinbase', () => {
  const uuid = '11111111-1111-1111-1111-111111111111';
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const credentials = {
    apiKey: utf8('organizations/o/apiKeys/k'),
    secret: utf8(key.export({ type: 'sec1', format: 'pem' })),
    passphrase: null,
  };
  const table: Table = {
    '/api/v3/brokerage/market/products': coinbaseProducts,
    '/api/v3/brokerage/accounts': reply({
      accounts: [
        {
          uuid,
          currency: 'USDC',
          available_balance: { value: '5.5', currency: 'USDC' },
          hold: { value: '0.5', currency: 'USDC' },
        },
      ],
      has_next: false,
      cursor: '',
    }),
    '/api/v3/brokerage/orders/historical/fills': reply(
      sample('coinbase', 'fetchMyTrades', 0, { trade_time: '2026-11-02T00:01:38.091377090Z' }),
    ),
    [`/v2/accounts/${uuid}/transactions`]: reply({
      pagination: {},
      data: [sample('coinbase', 'parseTransaction', 2, { created_at: '2026-11-02T00:01:31Z' })],
    }),
    '/api/v3/brokerage/key_permissions': reply({
      can_view: true,
      can_trade: true,
      can_transfer: false,
      portfolio_uuid: 'p',
    }),
  };
  const fresh = (): Partial<Job> => ({
    credentials: {
      ...credentials,
      apiKey: credentials.apiKey.slice(),
      secret: credentials.secret.slice(),
    },
  });

  it('gives fills with the price as it was written, and what moved each account', async () => {
    const { records } = await poll('coinbase', table, fresh());
    expect(one(records, 'fill')).toMatchObject({
      symbol: 'BTC/USDT',
      price: '21220.64',
      cost: '0.0046830664333996',
      fees: [{ currency: 'USDT', amount: '0.0000280983986004' }],
    });
    expect(one(records, 'balance')).toMatchObject({ currency: 'USDC', total: '6', free: '5.5' });
    expect(one(records, 'flow')).toMatchObject({
      type: 'withdrawal',
      amount: '14.008308',
      status: 'pending',
    });
  });

  it('does not ask again for the accounts of balances that did not change', async () => {
    const first = await poll('coinbase', table, fresh());
    const second = await poll('coinbase', table, { ...fresh(), cursors: first.done.cursors });
    expect([transactionCalls(first), transactionCalls(second)]).toEqual([1, 0]);
    expect(second.records.map(({ kind }) => kind)).toEqual(['balance']);
  });

  it('asks for them again behind each full hour, so that the hour is told', async () => {
    const hourMs = Date.UTC(2026, 10, 2, 12);
    let cursors: Job['cursors'] = null;
    const calls: number[] = [];
    for (const nowMs of [hourMs - 90_000, hourMs - 45_000, hourMs, hourMs + 60_000]) {
      const asked: Outcome = await poll('coinbase', table, { ...fresh(), cursors, nowMs });
      ({ cursors } = asked.done);
      calls.push(transactionCalls(asked));
    }
    expect(calls).toEqual([1, 0, 1, 0]);
  });

  it('tells what a key may do, and takes one that cannot sign for none', async () => {
    const { done } = await poll('coinbase', table, { ...fresh(), kind: 'check' });
    expect(done.permissions).toMatchObject({
      read: true,
      trade: true,
      withdraw: false,
      accountId: 'p',
    });
    const pem = '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n';
    const bad = { apiKey: utf8('organizations/o/apiKeys/k'), secret: utf8(pem), passphrase: null };
    const job = jobOf('coinbase', { credentials: bad, kind: 'check' });
    const outcome = await runJob(job, routes(table));
    expect(outcome.done).toMatchObject({ outcome: 'failed', errorClass: 'authentication' });
  });
});

describe('mexc', () => {
  const table: Table = {
    '/api/v3/exchangeInfo': reply(MEXC_SPOT),
    '/api/v1/contract/detail': reply(sample('mexc', 'fetchSwapMarkets')),
    '/api/v3/account': reply({
      balances: [
        { asset: 'USDT', free: '10', locked: '1' },
        { asset: 'BTC', free: '1', locked: '0' },
      ],
    }),
    '/api/v3/myTrades': ({ query }) => ({
      body:
        query.get('symbol') === 'BTCUSDT'
          ? sample('mexc', 'fetchMyTrades', 0, { time: AT_MS })
          : [],
    }),
    '/api/v3/capital/deposit/hisrec': reply([]),
    '/api/v3/capital/withdraw/history': reply([]),
    '/api/v3/capital/transfer': ({ query }) => ({
      body:
        query.get('fromAccountType') === 'FUTURES'
          ? sample('mexc', 'fetchTransfers', 0, { timestamp: AT_MS })
          : { rows: [], total: 0 },
    }),
    '/api/v1/private/account/assets': reply({
      success: true,
      code: 0,
      data: [{ currency: 'USDT', equity: 12.5, unrealized: 2.5, availableBalance: 3 }],
    }),
    '/api/v1/private/position/open_positions': reply(
      sample('mexc', 'fetchPositions', 0, { symbol: 'BTC_USDT' }),
    ),
    '/api/v1/private/position/funding_records': reply(
      sample('mexc', 'fetchFundingHistory', 0, { settleTime: AT_MS }),
    ),
    '/api/v1/private/position/list/history_positions': reply({ success: true, code: 0, data: [] }),
    '/api/v1/private/order/list/order_deals': reply(
      sample('mexc', 'fetchMyTrades', 1, { symbol: 'BTC_USDT', timestamp: AT }),
    ),
  };

  it('gives spot fills of the pairs that changed, and says that there may be others', async () => {
    const { records, done } = await poll('mexc', table);
    expect(one(records, 'fill')).toMatchObject({
      id: '133948532984922113',
      symbol: 'BTC/USDT',
      cost: '8.399102',
    });
    expect(one(records, 'flow')).toMatchObject({
      type: 'transfer_in',
      from: 'FUTURES',
      to: 'SPOT',
    });
    expect(done.coverage).toContainEqual(expect.objectContaining({ reason: 'symbols_unknown' }));
  });

  it('gives futures: funding of positions that are gone, wallets without what is unrealised', async () => {
    const { records } = await poll('mexc', table, settingsOf('futures'));
    expect(one(records, 'balance')).toMatchObject({ total: '10', free: '3' });
    const funding = records.filter((record) => record.kind === 'funding');
    expect(funding.map(({ id, amount, currency }) => [id, amount, currency])).toEqual([
      ['7423910', '0.00076180624', 'USDT'],
      ['7416473', '0.0014748588', 'USDT'],
    ]);
    expect(one(records, 'fill')).toMatchObject({
      id: '299444585',
      contractSize: '0.0001',
      amount: '1',
    });
  });
});

describe('bitget', () => {
  const none = { code: '00000', msg: 'success', data: null };
  const table: Table = {
    '/api/v2/spot/public/symbols': reply(BITGET_SPOT),
    '/api/v2/margin/currencies': reply({
      code: '00000',
      data: [{ symbol: 'BTCUSDT', isBorrowable: true }],
    }),
    '/api/v2/mix/market/contracts': ({ query }) => ({
      body: query.get('productType') === 'USDT-FUTURES' ? BITGET_SWAP : { ...none, data: [] },
    }),
    '/api/v2/spot/account/assets': reply({
      code: '00000',
      data: [{ coin: 'BTC', available: '1', frozen: '0.1', locked: '0' }],
    }),
    '/api/v2/spot/wallet/deposit-records': reply(
      sample('bitget', 'fetchDeposits', 0, { cTime: AT }),
    ),
    '/api/v2/spot/wallet/withdrawal-records': reply(none),
    '/api/v2/spot/account/bills': reply(none),
    '/api/v2/spot/trade/history-orders': reply({
      ...none,
      data: [{ symbol: 'BTCUSDT', orderId: '1' }],
    }),
    '/api/v2/spot/trade/fills': reply(sample('bitget', 'fetchMyTrades', 0, { cTime: AT })),
    '/api/v2/mix/account/accounts': ({ query }) => ({
      body:
        query.get('productType') === 'USDT-FUTURES'
          ? sample('bitget', 'fetchBalance', 3, { accountEquity: '10.5', unrealizedPL: '-0.5' })
          : { ...none, data: [] },
    }),
    '/api/v2/mix/position/all-position': ({ query }) => ({
      body: query.get('productType') === 'USDT-FUTURES' ? sample('bitget', 'fetchPositions') : none,
    }),
    '/api/v2/mix/order/fill-history': ({ query }) => ({
      body:
        query.get('productType') === 'USDT-FUTURES'
          ? sample('bitget', 'fetchMyTrades', 2, { cTime: AT })
          : { ...none, data: { fillList: null, endId: '' } },
    }),
    '/api/v2/mix/account/bill': ({ query }) => ({
      body:
        query.get('productType') === 'USDT-FUTURES'
          ? sample('bitget', 'fetchFundingHistory', 1, { cTime: AT })
          : { ...none, data: { bills: null, endId: '' } },
    }),
  };

  it('finds spot symbols in the history of orders', async () => {
    const { records } = await poll('bitget', table);
    expect(one(records, 'fill')).toMatchObject({
      id: '1098394344974925824',
      symbol: 'BTC/USDT',
      cost: '5.693536',
      fees: [{ currency: 'USDT', amount: '0.005693536' }],
    });
    expect(one(records, 'balance')).toMatchObject({ total: '1.1' });
    expect(one(records, 'flow')).toMatchObject({ type: 'deposit', amount: '0.0003', status: 'ok' });
  });

  it('gives futures of all symbols: fills, funding, wallets without what is unrealised', async () => {
    const { records } = await poll('bitget', table, settingsOf('futures'));
    expect(one(records, 'fill')).toMatchObject({
      symbol: 'BTC/USDT:USDT',
      amount: '0.001',
      cost: '37.2714',
    });
    expect(one(records, 'funding')).toMatchObject({ symbol: 'BTC/USDT:USDT', amount: '-0.004992' });
    expect(one(records, 'balance')).toMatchObject({ total: '11' });
    expect(one(records, 'position')).toMatchObject({
      side: 'long',
      contracts: '0.002',
      entry: '37355.5',
    });
  });

  it('refuses unified accounts, which it cannot read', async () => {
    const { done } = await runJob(jobOf('bitget', settingsOf('unified')), routes(table));
    expect(done).toMatchObject({ outcome: 'failed', errorClass: 'not_supported' });
  });

  it.each([
    [['stor', 'coor'], { trade: false, withdraw: false }],
    [['stow'], { trade: true, withdraw: false }],
    [['wwow', 'stor'], { trade: false, withdraw: true, transfer: false }],
    [['wtow', 'readonly'], { trade: false, withdraw: false, transfer: true }],
    [['trade', 'readonly'], { trade: true, withdraw: false }],
    [['newkindw'], { trade: true, withdraw: false }],
  ])('a key with %j may %j', async (authorities, expected) => {
    const info = reply({ code: '00000', data: { userId: '1', authorities, ips: '' } });
    const { done } = await poll(
      'bitget',
      { ...table, '/api/v2/spot/account/info': info },
      { kind: 'check' },
    );
    expect(done.permissions).toMatchObject(expected);
  });
});
