// OKX v5 with one trading account for spot and swaps, and a funding account. Sizes of swaps are contracts.

import { absolute, formatAmount, multiply, parseAmount } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import type { Market } from '../../markets.ts';
import { profitOf } from '../../operations.ts';
import type { Venue, World } from '../../world.ts';
import { checkSigned, OkxLimits, okxRefusal, okxReply, okxTrouble } from './access.ts';
import { candles } from './candles.ts';
import type { Context, Public } from './context.ts';
import { bills, deposits, fills, fillsHistory, orders, typeOf, withdrawals } from './history.ts';

/** Per two seconds. */
type Route =
  | { readonly limit: number; readonly open: (context: Public) => unknown }
  | { readonly limit: number; readonly act: (context: Context) => unknown };

function instrument(market: Market): object {
  const isSpot = market.settle === null;
  const isInverse = market.segment === 'inverse';
  return {
    instType: typeOf(market),
    instId: market.id,
    uly: isSpot ? '' : `${market.base}-${market.quote}`,
    baseCcy: isSpot ? market.base : '',
    quoteCcy: isSpot ? market.quote : '',
    settleCcy: market.settle ?? '',
    ctVal: isSpot ? '' : formatAmount(market.contractSize),
    ctMult: isSpot ? '' : '1',
    ctValCcy: isSpot ? '' : isInverse ? market.quote : market.base,
    ctType: isSpot ? '' : market.segment,
    expTime: '',
    lever: '10',
    tickSz: '0.000001',
    lotSz: isSpot ? '0.00000001' : '0.01',
    minSz: isSpot ? '0.00001' : '0.01',
    maxMktSz: '1000000',
    listTime: '1597026383085',
    state: market.isOpen ? 'live' : 'suspend',
    category: '1',
  };
}

function marketsOf({ call, venue }: Public): readonly Market[] {
  const type = call.parameters.get('instType');
  const id = call.parameters.get('instId');
  if (type === null) throw okxRefusal(400, '51000', 'Parameter instType error');
  return [...venue.markets.values()].filter(
    (market) => typeOf(market) === type && (id === null || market.id === id),
  );
}

function tickers(context: Public): readonly object[] {
  return marketsOf(context).map((market) => {
    const price = formatAmount(context.venue.price(market));
    return {
      instType: typeOf(market),
      instId: market.id,
      last: price,
      lastSz: '1',
      askPx: price,
      askSz: '1',
      bidPx: price,
      bidSz: '1',
      open24h: price,
      high24h: price,
      low24h: price,
      volCcy24h: '1000',
      vol24h: '1000',
      ts: String(context.call.nowMs),
    };
  });
}

function currencies({ venue }: Context): readonly object[] {
  const names = [...venue.markets.values()].flatMap(({ base, quote }) => [base, quote]);
  return [...new Set(names)].map((ccy) => ({
    ccy,
    name: ccy,
    chain: `${ccy}-${ccy}`,
    canDep: true,
    canWd: true,
    canInternal: true,
    minWd: '0.001',
    maxWd: '100000',
    minFee: '0.0001',
    maxFee: '0.0001',
    wdTickSz: '8',
    minDep: '0.0001',
    mainNet: true,
  }));
}

function dollars(venue: Venue, currency: string): Amount {
  if (currency === 'USDT' || currency === 'USDC' || currency === 'USD') return parseAmount('1');
  return venue.prices.get(`${currency}/USDT`) ?? 0n;
}

function balance(context: Context): readonly object[] {
  const { account, call, venue, world } = context;
  let total = 0n;
  const details = [...world.ledger.balances(account.id, 'trading')].map(([ccy, cash]) => {
    const positions = [...account.positions.values()].filter(({ market }) => market.settle === ccy);
    const profit = positions.reduce(
      (sum, one) => sum + profitOf(one, one.contracts, venue.price(one.market)),
      0n,
    );
    const worth = multiply(cash + profit, dollars(venue, ccy));
    total += worth;
    return {
      ccy,
      eq: formatAmount(cash + profit),
      cashBal: formatAmount(cash),
      availBal: formatAmount(cash),
      availEq: formatAmount(cash + profit),
      frozenBal: '0',
      ordFrozen: '0',
      upl: formatAmount(profit),
      eqUsd: formatAmount(worth),
      liab: '0',
      interest: '0',
      uTime: String(call.nowMs),
    };
  });
  return [
    { uTime: String(call.nowMs), totalEq: formatAmount(total), isoEq: '0', adjEq: '', details },
  ];
}

function fundingBalances({ account, world }: Context): readonly object[] {
  return [...world.ledger.balances(account.id, 'funding')].map(([ccy, amount]) => ({
    ccy,
    bal: formatAmount(amount),
    availBal: formatAmount(amount),
    frozenBal: '0',
  }));
}

function positions({ account, call, venue }: Context): readonly object[] {
  const id = call.parameters.get('instId');
  const open = [...account.positions.values()].filter(
    ({ market, contracts }) => contracts !== 0n && (id === null || market.id === id),
  );
  return open.map((position) => {
    const { market, contracts, entry } = position;
    const price = venue.price(market);
    return {
      instType: 'SWAP',
      instId: market.id,
      mgnMode: 'cross',
      posId: market.id,
      posSide: 'net',
      pos: formatAmount(contracts),
      availPos: formatAmount(absolute(contracts)),
      avgPx: formatAmount(entry),
      markPx: formatAmount(price),
      last: formatAmount(price),
      upl: formatAmount(profitOf(position, contracts, price)),
      uplRatio: '0',
      lever: '10',
      liqPx: '',
      margin: '',
      imr: '0',
      mmr: '0',
      mgnRatio: '100',
      notionalUsd: formatAmount(
        absolute(multiply(multiply(contracts, market.contractSize), price)),
      ),
      ccy: market.settle,
      cTime: String(call.nowMs),
      uTime: String(call.nowMs),
    };
  });
}

function configuration({ account, key, world }: Context): readonly object[] {
  const may = key.permissions;
  const perm = [
    'read_only',
    ...(may.has('withdraw') ? ['withdraw'] : []),
    ...(may.has('trade') ? ['trade'] : []),
  ];
  const main = account.parent === null ? account : world.account(account.parent);
  return [
    {
      uid: account.uid,
      mainUid: main.uid,
      acctLv: '2',
      posMode: 'net_mode',
      autoLoan: false,
      level: 'Lv1',
      label: 'simulated',
      roleType: '0',
      perm: perm.join(','),
      ip: (key.addresses ?? []).join(','),
      kycLv: '2',
      type: account.parent === null ? '0' : '1',
    },
  ];
}

function subAccounts({ account, world }: Context): readonly object[] {
  return world.childrenOf(account).map((child) => ({
    type: '1',
    enable: true,
    subAcct: child.id,
    uid: child.uid,
    label: '',
    mobile: '',
    gAuth: false,
    ts: String(child.keys[0]?.createdMs ?? 0),
  }));
}

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/api/v5/public/time', { limit: 20, open: ({ call }) => [{ ts: String(call.nowMs) }] }],
  [
    '/api/v5/public/instruments',
    { limit: 40, open: (context) => marketsOf(context).map(instrument) },
  ],
  ['/api/v5/system/status', { limit: 2, open: () => [] }],
  ['/api/v5/market/tickers', { limit: 20, open: tickers }],
  ['/api/v5/market/candles', { limit: 40, open: (context) => candles(context, false, false) }],
  [
    '/api/v5/market/history-candles',
    { limit: 20, open: (context) => candles(context, false, true) },
  ],
  [
    '/api/v5/market/mark-price-candles',
    { limit: 20, open: (context) => candles(context, true, false) },
  ],
  [
    '/api/v5/market/history-mark-price-candles',
    { limit: 10, open: (context) => candles(context, true, true) },
  ],
  ['/api/v5/asset/currencies', { limit: 12, act: currencies }],
  ['/api/v5/asset/balances', { limit: 12, act: fundingBalances }],
  ['/api/v5/asset/deposit-history', { limit: 12, act: deposits }],
  ['/api/v5/asset/withdrawal-history', { limit: 12, act: withdrawals }],
  ['/api/v5/account/balance', { limit: 10, act: balance }],
  ['/api/v5/account/positions', { limit: 10, act: positions }],
  ['/api/v5/account/config', { limit: 5, act: configuration }],
  ['/api/v5/account/bills', { limit: 5, act: (context) => bills(context, false) }],
  ['/api/v5/account/bills-archive', { limit: 5, act: (context) => bills(context, true) }],
  ['/api/v5/trade/fills', { limit: 60, act: (context) => fills(context, 3) }],
  ['/api/v5/trade/fills-history', { limit: 10, act: fillsHistory }],
  ['/api/v5/trade/orders-history', { limit: 40, act: orders }],
  ['/api/v5/trade/orders-history-archive', { limit: 20, act: orders }],
  ['/api/v5/users/subaccount/list', { limit: 2, act: subAccounts }],
]);

export class Okx implements VenueApi {
  readonly name = 'okx';
  readonly hosts: readonly string[] = ['www.okx.com', 'eea.okx.com', 'us.okx.com'];
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limits: OkxLimits = new OkxLimits();

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('okx');
  }

  answer(call: Call): Reply {
    const route = ROUTES.get(call.path);
    if (route === undefined || call.method !== 'GET') throw okxRefusal(404, '50404', 'Not Found');
    const context = { call, world: this.#world, venue: this.#venue };
    const { limitScale } = this.#venue;
    if ('open' in route) {
      this.#limits.charge(call, call.address, route.limit, limitScale);
      return okxReply(route.open(context));
    }
    const signer = checkSigned(call, this.#world);
    this.#limits.charge(call, signer.account.uid, route.limit, limitScale);
    return okxReply(route.act({ ...context, ...signer }));
  }

  trouble(kind: Trouble): Reply {
    return okxTrouble(kind);
  }
}
