// Answers of every venue's shape with one value made hostile, at random. Whatever a venue says, the job ends with a DONE,
// the desk takes every record (it would end the process otherwise), and what was left out shows in the coverage.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Venue } from '../../../../enclave/connector/classes.ts';
import { forgetMarkets } from '../../../../enclave/connector/exchange.ts';
import type { Asked, Internet, Reply } from '../../../helpers/connector-desk.ts';
import { jobOf, runJob, START_MS } from '../../../helpers/connector-desk.ts';
import {
  BITGET_SPOT,
  bybitInstruments,
  KRAKEN_ASSETS,
  KRAKEN_FUTURES_INSTRUMENTS,
  KRAKEN_PAIRS,
  MEXC_SPOT,
  okxInstruments,
  sample,
} from '../../../helpers/venue-shapes.ts';

const AT = String(START_MS + 60_000);

const HOSTILE: readonly unknown[] = [
  null,
  '',
  '-1',
  -1,
  0,
  1e300,
  '1e99',
  'NaN',
  'x'.repeat(300),
  '9'.repeat(80),
  true,
  [],
  {},
  [null],
  { ['__proto__']: { polluted: true } },
  '2026-99-99',
  '253402300800000',
  '\ud800',
];

/** Paths of all leaves and lists. */
function placesOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([name, member]) =>
    placesOf(member, [...path, name]),
  );
  return path.length === 0 ? inner : [path, ...inner];
}

function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return by;
  const copy: unknown = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) };
  const members = copy as Record<string, unknown>;
  members[name] = replaced(members[name], rest, by);
  return copy;
}

interface Scene {
  readonly venue: Venue;
  /** Never made hostile: without markets there is nothing to read. */
  readonly markets: (asked: Asked) => Reply | null;
  readonly answers: Readonly<Record<string, unknown>>;
}

const none = {
  code: '0',
  retCode: 0,
  msg: '',
  data: [],
  result: { list: [], rows: [], balance: [] },
};

const SCENES: readonly Scene[] = [
  {
    venue: 'bybit',
    markets: ({ url, query }) =>
      url.pathname === '/v5/market/instruments-info'
        ? bybitInstruments(query.get('category'))
        : null,
    answers: {
      '/v5/account/wallet-balance': {
        retCode: 0,
        result: { list: [{ coin: [{ coin: 'USDT', walletBalance: '1', spotBorrow: '0' }] }] },
      },
      '/v5/asset/transfer/query-account-coins-balance': none,
      '/v5/position/list': sample('bybit', 'fetchPositions', 0, {
        nextPageCursor: '',
        symbol: 'ETHPERP',
      }),
      '/v5/execution/list': sample('bybit', 'fetchMyTrades', 0, {
        execTime: AT,
        nextPageCursor: '',
      }),
      '/v5/asset/deposit/query-record': sample('bybit', 'fetchDeposits', 0, {
        successAt: AT,
        nextPageCursor: '',
      }),
      '/v5/asset/withdraw/query-record': sample('bybit', 'fetchWithdrawals', 0, {
        createTime: AT,
        nextPageCursor: '',
      }),
      '/v5/asset/transfer/query-inter-transfer-list': sample('bybit', 'fetchTransfers', 0, {
        timestamp: AT,
        nextPageCursor: '',
      }),
    },
  },
  {
    venue: 'okx',
    markets: ({ url, query }) =>
      url.pathname === '/api/v5/public/instruments' ? okxInstruments(query.get('instType')) : null,
    answers: {
      '/api/v5/account/balance': sample('okx', 'fetchBalance'),
      '/api/v5/asset/balances': none,
      '/api/v5/account/positions': sample('okx', 'fetchPositions'),
      '/api/v5/trade/fills-history': sample('okx', 'fetchMyTrades', 0, { ts: AT }),
      '/api/v5/account/bills-archive': {
        ...none,
        data: [sample('okx', 'fetchFundingHistory', 0, { ts: AT })],
      },
      '/api/v5/asset/deposit-history': none,
      '/api/v5/asset/withdrawal-history': none,
    },
  },
  {
    venue: 'kraken',
    markets: ({ url }) => {
      if (url.pathname === '/0/public/Assets') return { body: KRAKEN_ASSETS };
      return url.pathname === '/0/public/AssetPairs' ? { body: KRAKEN_PAIRS } : null;
    },
    answers: {
      '/0/private/BalanceEx': sample('kraken', 'fetchBalance'),
      '/0/private/OpenPositions': sample('kraken', 'fetchPositions', 1),
      '/0/private/TradesHistory': {
        error: [],
        result: {
          count: 1,
          trades: { T: sample('kraken', 'parseTrade', 2, { time: START_MS / 1000 + 60 }) },
        },
      },
      '/0/private/Ledgers': {
        error: [],
        result: {
          count: 1,
          ledger: {
            L: {
              type: 'deposit',
              time: START_MS / 1000 + 60,
              asset: 'ZUSD',
              amount: '1',
              fee: '0',
            },
          },
        },
      },
    },
  },
  {
    venue: 'krakenfutures',
    markets: ({ url }) =>
      url.pathname.endsWith('/instruments') ? { body: KRAKEN_FUTURES_INSTRUMENTS } : null,
    answers: {
      '/derivatives/api/v3/accounts': {
        result: 'success',
        accounts: {
          cash: { balances: { xbt: 1.5 } },
          flex: { currencies: { USD: { quantity: 1, available: 1 } } },
        },
      },
      '/derivatives/api/v3/openpositions': {
        result: 'success',
        openPositions: [{ side: 'short', symbol: 'PI_XBTUSD', price: 60000, size: 100 }],
      },
      '/derivatives/api/v3/fills': {
        result: 'success',
        fills: [
          {
            fill_id: 'f',
            symbol: 'PI_XBTUSD',
            side: 'buy',
            size: 1,
            price: 2,
            fillTime: '2026-11-02T00:01:00.123Z',
          },
        ],
      },
      '/api/history/v3/account-log': {
        logs: [
          {
            id: 7,
            date: '2026-11-02T00:01:00.123Z',
            info: 'futures trade',
            contract: 'pi_xbtusd',
            fee: 1,
            realized_funding: 1,
            collateral: 'xbt',
          },
        ],
      },
    },
  },
  {
    venue: 'mexc',
    markets: ({ url }) => {
      if (url.pathname === '/api/v3/exchangeInfo') return { body: MEXC_SPOT };
      return url.pathname === '/api/v1/contract/detail'
        ? { body: sample('mexc', 'fetchSwapMarkets') }
        : null;
    },
    answers: {
      '/api/v3/account': { balances: [{ asset: 'BTC', free: '1', locked: '0' }] },
      '/api/v3/myTrades': sample('mexc', 'fetchMyTrades', 0, { time: AT }),
      '/api/v3/capital/deposit/hisrec': [],
      '/api/v3/capital/withdraw/history': [],
      '/api/v3/capital/transfer': sample('mexc', 'fetchTransfers', 0, { timestamp: AT }),
    },
  },
  {
    venue: 'bitget',
    markets: ({ url }) => {
      if (url.pathname === '/api/v2/spot/public/symbols') return { body: BITGET_SPOT };
      return url.pathname === '/api/v2/margin/currencies'
        ? { body: { code: '00000', data: [] } }
        : null;
    },
    answers: {
      '/api/v2/spot/account/assets': {
        code: '00000',
        data: [{ coin: 'BTC', available: '1', frozen: '0', locked: '0' }],
      },
      '/api/v2/spot/wallet/deposit-records': sample('bitget', 'fetchDeposits', 0, { cTime: AT }),
      '/api/v2/spot/wallet/withdrawal-records': { code: '00000', data: [] },
      '/api/v2/spot/account/bills': { code: '00000', data: null },
      '/api/v2/spot/trade/history-orders': {
        code: '00000',
        data: [{ symbol: 'BTCUSDT', orderId: '1' }],
      },
      '/api/v2/spot/trade/fills': sample('bitget', 'fetchMyTrades', 0, { cTime: AT }),
    },
  },
  {
    venue: 'alpaca',
    markets: () => null,
    answers: {
      '/v2/account': { id: 'a', status: 'ACTIVE', cash: '1', currency: 'USD' },
      '/v2/positions': [{ symbol: 'AAPL', qty: '5', side: 'long', avg_entry_price: '1' }],
      '/v2/account/activities': [
        {
          id: 'i',
          activity_type: 'FILL',
          symbol: 'AAPL',
          price: '1',
          qty: '1',
          side: 'buy',
          transaction_time: '2026-11-02T00:01:00Z',
        },
        { id: 'j', activity_type: 'CSD', net_amount: '1', date: '2026-11-02', status: 'executed' },
      ],
    },
  },
];

function internetOf({ markets, answers }: Scene, path: string, body: unknown): Internet {
  return (asked) => {
    const { pathname } = asked.url;
    const list = markets(asked);
    if (list !== null) return list;
    return { body: pathname === path ? body : answers[pathname] };
  };
}

describe.each(SCENES)('$venue', (scene) => {
  const targets = Object.entries(scene.answers).flatMap(([path, body]) =>
    placesOf(body).map((place) => ({ path, place })),
  );

  it('may say what it likes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...targets),
        fc.constantFrom(...HOSTILE),
        async ({ path, place }, value) => {
          const body = replaced(scene.answers[path], place, value);
          const budget = { calls: 60, retries: 0, deadlineMs: 60_000 };
          const outcome = await runJob(
            jobOf(scene.venue, { budget }),
            internetOf(scene, path, body),
          );
          expect(['complete', 'partial', 'failed']).toContain(outcome.done.outcome);
          expect('polluted' in {}).toBe(false);
        },
      ),
      { numRuns: 120 },
    );
    forgetMarkets();
  });
});
