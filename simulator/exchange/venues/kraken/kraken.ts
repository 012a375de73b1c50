// Kraken's spot REST API. Assets and pairs go by their old names (XXBT, ZUSD, XXBTZUSD).

import { formatPlaces } from '../../amount.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import { krakenAltName, krakenAsset, shortAsset } from '../../markets.ts';
import type { Market } from '../../markets.ts';
import type { Venue, World } from '../../world.ts';
import { checkSigned, KrakenLimits, krakenRefusal, krakenReply, krakenTrouble } from './access.ts';
import { ohlc } from './candles.ts';
import type { Context, Public } from './context.ts';
import { closedOrders, ledgers, queryOrders, queryTrades, status } from './history.ts';
import { tradesHistory } from './history.ts';

interface Private {
  readonly cost: number;
  readonly act: (context: Context) => unknown;
}

function time({ call }: Public): object {
  return { unixtime: Math.floor(call.nowMs / 1000), rfc1123: new Date(call.nowMs).toUTCString() };
}

function currencies(venue: Venue): readonly string[] {
  return [...new Set([...venue.markets.values()].flatMap(({ base, quote }) => [base, quote]))];
}

function assets({ venue }: Public): object {
  const entries = currencies(venue).map((currency) => [
    krakenAsset(currency),
    {
      aclass: 'currency',
      altname: shortAsset(currency),
      decimals: 10,
      display_decimals: 5,
      status: 'enabled',
    },
  ]);
  return Object.fromEntries(entries) as object;
}

function assetPairs({ venue }: Public): object {
  const entries = [...venue.markets.values()].map((market) => [
    market.id,
    {
      altname: krakenAltName(market.base, market.quote),
      wsname: `${shortAsset(market.base)}/${shortAsset(market.quote)}`,
      aclass_base: 'currency',
      base: krakenAsset(market.base),
      aclass_quote: 'currency',
      quote: krakenAsset(market.quote),
      lot: 'unit',
      cost_decimals: 8,
      pair_decimals: 8,
      lot_decimals: 8,
      lot_multiplier: 1,
      leverage_buy: [],
      leverage_sell: [],
      fees: [[0, 0.26]],
      fees_maker: [[0, 0.16]],
      fee_volume_currency: 'ZUSD',
      margin_call: 80,
      margin_stop: 40,
      ordermin: '0.0001',
      costmin: '0.5',
      tick_size: '0.00000001',
      status: market.isOpen ? 'online' : 'delisted',
    },
  ]);
  return Object.fromEntries(entries) as object;
}

function isNamed(market: Market, name: string): boolean {
  return market.id === name || krakenAltName(market.base, market.quote) === name;
}

function ticker({ call, venue }: Public): object {
  const asked = call.parameters.get('pair');
  const all = [...venue.markets.values()];
  const chosen =
    asked === null
      ? all
      : asked.split(',').map((name) => {
          const market = all.find((one) => isNamed(one, name));
          if (market === undefined) throw krakenRefusal('EQuery:Unknown asset pair');
          return market;
        });
  const entries = chosen.map((market) => {
    const price = formatPlaces(venue.price(market), 8);
    const two = ['1000.00000000', '1000.00000000'];
    return [
      market.id,
      {
        a: [price, '1', '1.000'],
        b: [price, '1', '1.000'],
        c: [price, '0.10000000'],
        v: two,
        p: [price, price],
        t: [1000, 1000],
        l: [price, price],
        h: [price, price],
        o: price,
      },
    ];
  });
  return Object.fromEntries(entries) as object;
}

function balances({ account, world }: Context, isExtended: boolean): object {
  const held = [...world.ledger.balances(account.id, 'spot')];
  const entries = held.map(([currency, amount]) => {
    const text = formatPlaces(amount, 10);
    const name = krakenAsset(currency);
    return [name, isExtended ? { balance: text, hold_trade: '0.0000000000' } : text];
  });
  return Object.fromEntries(entries) as object;
}

function apiKeyInfo({ key, call }: Context): object {
  const may = key.permissions;
  const permissions = [
    'query-funds',
    'query-closed-trades',
    'query-open-trades',
    'query-ledger',
    ...(may.has('trade') ? ['modify-trades', 'close-trades'] : []),
    ...(may.has('withdraw') ? ['withdraw-funds'] : []),
    ...(may.has('transfer') ? ['add-funds'] : []),
  ];
  return {
    api_key_name: 'simulated',
    api_key: key.key,
    nonce: String(key.nonce),
    nonce_window: 0,
    permissions,
    iban: 'AA70N84GN4PZTTFI',
    valid_until: key.expiresMs === null ? '0' : String(Math.floor(key.expiresMs / 1000)),
    query_from: '0',
    query_to: '0',
    created_time: String(Math.floor(key.createdMs / 1000)),
    modified_time: String(Math.floor(key.createdMs / 1000)),
    ip_allowlist: key.addresses ?? [],
    last_used: String(Math.floor(call.nowMs / 1000)),
  };
}

const OPEN: ReadonlyMap<string, (context: Public) => unknown> = new Map<
  string,
  (context: Public) => unknown
>([
  ['Time', time],
  [
    'SystemStatus',
    ({ call }) => ({ status: 'online', timestamp: new Date(call.nowMs).toISOString() }),
  ],
  ['Assets', assets],
  ['AssetPairs', assetPairs],
  ['Ticker', ticker],
  ['OHLC', ohlc],
]);

const PRIVATE: ReadonlyMap<string, Private> = new Map<string, Private>([
  ['Balance', { cost: 1, act: (context) => balances(context, false) }],
  ['BalanceEx', { cost: 1, act: (context) => balances(context, true) }],
  ['TradesHistory', { cost: 2, act: tradesHistory }],
  ['QueryTrades', { cost: 1, act: queryTrades }],
  ['Ledgers', { cost: 2, act: ledgers }],
  ['ClosedOrders', { cost: 1, act: closedOrders }],
  ['QueryOrders', { cost: 1, act: queryOrders }],
  ['OpenPositions', { cost: 1, act: () => ({}) }],
  ['DepositStatus', { cost: 1, act: (context) => status(context, 'deposit') }],
  ['WithdrawStatus', { cost: 1, act: (context) => status(context, 'withdrawal') }],
  ['GetApiKeyInfo', { cost: 1, act: apiKeyInfo }],
]);

export class Kraken implements VenueApi {
  readonly name = 'kraken';
  readonly hosts: readonly string[] = ['api.kraken.com'];
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limits: KrakenLimits = new KrakenLimits();

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('kraken');
  }

  answer(call: Call): Reply {
    const [, version, type, method = ''] = call.path.split('/');
    const context = { call, world: this.#world, venue: this.#venue };
    const open = version === '0' && type === 'public' ? OPEN.get(method) : undefined;
    if (open !== undefined) return krakenReply(open(context));
    const route = version === '0' && type === 'private' ? PRIVATE.get(method) : undefined;
    if (route === undefined || call.method !== 'POST')
      throw krakenRefusal('EGeneral:Unknown method');
    const signer = checkSigned(call, this.#world);
    this.#limits.charge(call, signer.key, route.cost, this.#venue.limitScale);
    return krakenReply(route.act({ ...context, ...signer }));
  }

  trouble(kind: Trouble): Reply {
    return krakenTrouble(kind);
  }
}
