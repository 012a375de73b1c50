// Binance: spot, USD-M (fapi), COIN-M (dapi) and the wallet (sapi). Which path costs what, and who may call it.

import { reply } from '../../call.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import type { Venue, World } from '../../world.ts';
import { BinanceLimits, checkSigned } from './access.ts';
import type { Pool, Signer } from './access.ts';
import { fundingAssets, futuresAccount, futuresBalance, marginAccount } from './balances.ts';
import { positionRisk, spotAccount } from './balances.ts';
import { klines } from './candles.ts';
import type { Public, Signed } from './context.ts';
import { bookTickers, dayTickers, depth, exchangeInfo, leverageBrackets } from './markets.ts';
import { premiumIndex, prices } from './markets.ts';
import { allOrders, oneOrder, openOrders } from './orders.ts';
import { binanceRefusal, binanceTrouble } from './refusals.ts';
import { futuresTrades, income, spotTrades } from './trades.ts';
import { apiRestrictions, coins, deposits, dividends, interest, subAccounts } from './wallet.ts';
import { subUserHistory, transfers, universalTransfers, withdrawals } from './wallet.ts';

type Weight = number | ((call: Call) => number);

type Route =
  | { readonly pool: Pool; readonly weight: Weight; readonly open: (context: Public) => unknown }
  | { readonly pool: Pool; readonly weight: Weight; readonly act: (context: Signed) => unknown };

const HOSTS: Readonly<Record<string, readonly RegExp[]>> = {
  'api.binance.com': [/^\/api\/v3\//u, /^\/sapi\/v1\//u],
  'fapi.binance.com': [/^\/fapi\/v[123]\//u],
  'dapi.binance.com': [/^\/dapi\/v[12]\//u],
  'testnet.binance.vision': [/^\/api\/v3\//u],
  'testnet.binancefuture.com': [/^\/fapi\/v[123]\//u, /^\/dapi\/v[12]\//u],
  'demo-api.binance.com': [/^\/api\/v3\//u],
  'demo-fapi.binance.com': [/^\/fapi\/v[123]\//u],
  'demo-dapi.binance.com': [/^\/dapi\/v[12]\//u],
};

/** Cheap for one symbol, dear for all. */
function bySymbol(one: number, all: number): Weight {
  return ({ parameters }) =>
    parameters.has('symbol') || parameters.has('symbols') || parameters.has('pair') ? one : all;
}

/** By how many levels are asked for. */
function byDepth(...steps: readonly (readonly [limit: number, weight: number])[]): Weight {
  return ({ parameters }) => {
    const limit = Number(parameters.get('limit') ?? '100');
    return (steps.find(([most]) => limit <= most) ?? steps.at(-1))?.[1] ?? 1;
  };
}

const SPOT: Readonly<Record<string, Route>> = {
  'GET /api/v3/ping': { pool: 'spot', weight: 1, open: () => ({}) },
  'GET /api/v3/time': { pool: 'spot', weight: 1, open: time },
  'GET /api/v3/exchangeInfo': {
    pool: 'spot',
    weight: 20,
    open: (context) => exchangeInfo(context, 'spot'),
  },
  'GET /api/v3/depth': {
    pool: 'spot',
    weight: byDepth([100, 5], [500, 25], [1000, 50], [5000, 250]),
    open: (context) => depth(context, 'spot'),
  },
  'GET /api/v3/klines': {
    pool: 'spot',
    weight: 2,
    open: (context) => klines(context, 'spot'),
  },
  'GET /api/v3/ticker/24hr': {
    pool: 'spot',
    weight: bySymbol(2, 80),
    open: (context) => dayTickers(context, 'spot'),
  },
  'GET /api/v3/ticker/price': {
    pool: 'spot',
    weight: bySymbol(2, 4),
    open: (context) => prices(context, 'spot'),
  },
  'GET /api/v3/ticker/bookTicker': {
    pool: 'spot',
    weight: bySymbol(2, 4),
    open: (context) => bookTickers(context, 'spot'),
  },
  'GET /api/v3/allOrders': {
    pool: 'spot',
    weight: 20,
    act: (context) => allOrders(context, 'spot'),
  },
  'GET /api/v3/openOrders': {
    pool: 'spot',
    weight: bySymbol(6, 80),
    act: (context) => openOrders(context, 'spot'),
  },
  'GET /api/v3/order': { pool: 'spot', weight: 4, act: (context) => oneOrder(context, 'spot') },
  'GET /api/v3/account': { pool: 'spot', weight: 20, act: spotAccount },
  'GET /api/v3/myTrades': {
    pool: 'spot',
    weight: ({ parameters }) => (parameters.has('orderId') ? 5 : 20),
    act: (context) => spotTrades(context, 'spot'),
  },
};

const WALLET: Readonly<Record<string, Route>> = {
  'GET /sapi/v1/system/status': {
    pool: 'sapi-ip',
    weight: 1,
    open: () => ({ status: 0, msg: 'normal' }),
  },
  'GET /sapi/v1/account/apiRestrictions': { pool: 'sapi-ip', weight: 1, act: apiRestrictions },
  'GET /sapi/v1/account/info': {
    pool: 'sapi-ip',
    weight: 1,
    act: () => ({ vipLevel: 0, isMarginEnabled: true, isFutureEnabled: true }),
  },
  'GET /sapi/v1/capital/config/getall': { pool: 'sapi-ip', weight: 10, act: coins },
  'GET /sapi/v1/capital/deposit/hisrec': { pool: 'sapi-ip', weight: 1, act: deposits },
  'GET /sapi/v1/capital/withdraw/history': { pool: 'sapi-uid', weight: 18_000, act: withdrawals },
  'GET /sapi/v1/asset/transfer': { pool: 'sapi-ip', weight: 1, act: transfers },
  'GET /sapi/v1/asset/assetDividend': { pool: 'sapi-ip', weight: 10, act: dividends },
  'GET /sapi/v1/asset/dribblet': {
    pool: 'sapi-ip',
    weight: 1,
    act: () => ({ total: 0, userAssetDribblets: [] }),
  },
  'GET /sapi/v1/convert/tradeFlow': {
    pool: 'sapi-uid',
    weight: 3000,
    act: () => ({ list: [], moreData: false }),
  },
  'POST /sapi/v1/asset/get-funding-asset': { pool: 'sapi-ip', weight: 1, act: fundingAssets },
  'GET /sapi/v1/sub-account/list': { pool: 'sapi-ip', weight: 1, act: subAccounts },
  'GET /sapi/v1/sub-account/universalTransfer': {
    pool: 'sapi-ip',
    weight: 1,
    act: universalTransfers,
  },
  'GET /sapi/v1/sub-account/transfer/subUserHistory': {
    pool: 'sapi-ip',
    weight: 1,
    act: subUserHistory,
  },
  'GET /sapi/v1/margin/account': { pool: 'sapi-ip', weight: 10, act: marginAccount },
  'GET /sapi/v1/margin/myTrades': {
    pool: 'sapi-ip',
    weight: 10,
    act: (context) => spotTrades(context, 'margin'),
  },
  'GET /sapi/v1/margin/openOrders': {
    pool: 'sapi-ip',
    weight: 10,
    act: (context) => openOrders(context, 'margin'),
  },
  'GET /sapi/v1/margin/interestHistory': { pool: 'sapi-ip', weight: 1, act: interest },
  'GET /sapi/v1/margin/allPairs': { pool: 'sapi-ip', weight: 1, act: marginPairs },
  'GET /sapi/v1/margin/isolated/allPairs': { pool: 'sapi-ip', weight: 10, act: () => [] },
};

function futuresRoutes(segment: 'linear' | 'inverse'): Readonly<Record<string, Route>> {
  const isLinear = segment === 'linear';
  const root = isLinear ? '/fapi' : '/dapi';
  const open = (weight: Weight, act: (context: Public) => unknown): Route => {
    return { pool: segment, weight, open: act };
  };
  const signed = (weight: Weight, act: (context: Signed) => unknown): Route => {
    return { pool: segment, weight, act };
  };
  const account = signed(5, (context) => futuresAccount(context, segment));
  const balance = signed(isLinear ? 5 : 1, (context) => futuresBalance(context, segment));
  const risk = signed(isLinear ? 5 : 1, (context) => positionRisk(context, segment, false));
  const newest = signed(5, (context) => positionRisk(context, segment, true));
  return {
    [`GET ${root}/v1/ping`]: open(1, () => ({})),
    [`GET ${root}/v1/time`]: open(1, time),
    [`GET ${root}/v1/exchangeInfo`]: open(1, (context) => exchangeInfo(context, segment)),
    [`GET ${root}/v1/depth`]: open(byDepth([50, 2], [100, 5], [500, 10], [1000, 20]), (context) =>
      depth(context, segment),
    ),
    [`GET ${root}/v1/klines`]: open(byDepth([99, 1], [499, 2], [1000, 5], [1500, 10]), (context) =>
      klines(context, segment),
    ),
    [`GET ${root}/v1/markPriceKlines`]: open(
      byDepth([99, 1], [499, 2], [1000, 5], [1500, 10]),
      (context) => klines(context, segment, true),
    ),
    [`GET ${root}/v1/ticker/24hr`]: open(bySymbol(1, 40), (context) =>
      dayTickers(context, segment),
    ),
    [`GET ${root}/v1/ticker/price`]: open(bySymbol(1, 2), (context) => prices(context, segment)),
    [`GET ${root}/v1/ticker/bookTicker`]: open(bySymbol(2, 5), (context) =>
      bookTickers(context, segment),
    ),
    [`GET ${root}/v1/premiumIndex`]: open(bySymbol(1, 10), (context) =>
      premiumIndex(context, segment),
    ),
    [`GET ${root}/v1/userTrades`]: signed(
      isLinear ? 5 : ({ parameters }) => (parameters.has('symbol') ? 20 : 40),
      (context) => futuresTrades(context, segment),
    ),
    [`GET ${root}/v1/allOrders`]: signed(isLinear ? 5 : 20, (context) =>
      allOrders(context, segment),
    ),
    [`GET ${root}/v1/order`]: signed(1, (context) => oneOrder(context, segment)),
    [`GET ${root}/v1/income`]: signed(isLinear ? 30 : 20, (context) => income(context, segment)),
    [`GET ${root}/v1/leverageBracket`]: signed(1, leverageBrackets),
    [`GET ${root}/v2/leverageBracket`]: signed(1, leverageBrackets),
    ...(isLinear
      ? {
          'GET /fapi/v2/account': account,
          'GET /fapi/v3/account': account,
          'GET /fapi/v2/balance': balance,
          'GET /fapi/v3/balance': balance,
          'GET /fapi/v2/positionRisk': risk,
          'GET /fapi/v3/positionRisk': newest,
        }
      : {
          'GET /dapi/v1/account': account,
          'GET /dapi/v1/balance': balance,
          'GET /dapi/v1/positionRisk': risk,
        }),
  };
}

const ROUTES: ReadonlyMap<string, Route> = new Map(
  Object.entries({
    ...SPOT,
    ...WALLET,
    ...futuresRoutes('linear'),
    ...futuresRoutes('inverse'),
  }),
);

function time({ call }: Public): object {
  return { serverTime: call.nowMs };
}

function marginPairs({ venue }: Public): readonly object[] {
  return venue
    .marketsOf('spot')
    .filter(({ quote }) => quote === 'USDT')
    .map((market) => ({
      id: market.id,
      symbol: market.id,
      base: market.base,
      quote: market.quote,
      isMarginTrade: market.isOpen,
      isBuyAllowed: market.isOpen,
      isSellAllowed: market.isOpen,
    }));
}

export class Binance implements VenueApi {
  readonly name = 'binance';
  readonly hosts: readonly string[] = Object.keys(HOSTS);
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limits: BinanceLimits = new BinanceLimits();

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('binance');
  }

  answer(call: Call): Reply {
    const route = ROUTES.get(`${call.method} ${call.path}`);
    const isHere = (HOSTS[call.host] ?? []).some((prefix) => prefix.test(call.path));
    if (route === undefined || !isHere) {
      throw binanceRefusal(404, -5000, `Path ${call.path}, Method ${call.method} is invalid`);
    }
    const weight = typeof route.weight === 'number' ? route.weight : route.weight(call);
    const isSandbox = !call.host.endsWith('.binance.com') || call.host.startsWith('demo-');
    const context = { call, world: this.#world, venue: this.#venue };
    // The weight of a request is charged whether its signature is good or not.
    if ('open' in route) {
      const headers = this.#charge(call, route.pool, weight, null);
      return reply(route.open(context), 200, { ...headers });
    }
    if (route.pool === 'sapi-uid') {
      const signer = checkSigned(call, this.#world, isSandbox);
      const headers = this.#charge(call, route.pool, weight, signer);
      return reply(route.act({ ...context, ...signer }), 200, { ...headers });
    }
    const headers = this.#charge(call, route.pool, weight, null);
    const signer = checkSigned(call, this.#world, isSandbox);
    return reply(route.act({ ...context, ...signer }), 200, { ...headers });
  }

  #charge(call: Call, pool: Pool, weight: number, signer: Signer | null): object {
    // Every path of sapi has a limit of its own.
    const path = pool.startsWith('sapi') ? call.path : '';
    const key = `${signer?.account.uid ?? call.address} ${path}`;
    return this.#limits.charge(call, pool, weight, key, this.#venue.limitScale);
  }

  trouble(kind: Trouble, retryAfterS: number): Reply {
    return binanceTrouble(kind, retryAfterS, this.#world.nowMs());
  }
}
