// Bybit v5 with a unified account: one trading wallet for spot, linear and inverse, and a funding wallet.

import { absolute, divide, formatAmount, multiply, parseAmount } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import type { Market } from '../../markets.ts';
import { profitOf } from '../../operations.ts';
import type { Position, Venue, World } from '../../world.ts';
import { BybitLimits, bybitRefusal, bybitReply, bybitTrouble, checkSigned } from './access.ts';
import { klines } from './candles.ts';
import { category, marketIn } from './context.ts';
import type { Context, Public } from './context.ts';
import { deposits, executions, orders, transactionLog, transfers } from './history.ts';
import { universalTransfers, withdrawals } from './history.ts';

type Route =
  | { readonly open: (context: Public) => unknown }
  | { readonly perSecond: number; readonly act: (context: Context) => unknown };

const HOSTS: readonly string[] = ['api.bybit.com', 'api-testnet.bybit.com', 'api-demo.bybit.com'];
const ONE = parseAmount('1');

function time({ call }: Public): object {
  const seconds = Math.floor(call.nowMs / 1000);
  return { timeSecond: String(seconds), timeNano: `${String(call.nowMs)}000000` };
}

function instrument(market: Market): object {
  const isInverse = market.segment === 'inverse';
  return {
    symbol: market.id,
    contractType:
      market.settle === null ? undefined : isInverse ? 'InversePerpetual' : 'LinearPerpetual',
    status: market.isOpen ? 'Trading' : 'Closed',
    baseCoin: market.base,
    quoteCoin: market.quote,
    settleCoin: market.settle ?? undefined,
    launchTime: '1585526400000',
    deliveryTime: '0',
    priceScale: '2',
    innovation: '0',
    marginTrading: 'utaOnly',
    leverageFilter: { minLeverage: '1', maxLeverage: '100.00', leverageStep: '0.01' },
    priceFilter: { minPrice: '0.000001', maxPrice: '1999999', tickSize: '0.000001' },
    lotSizeFilter: {
      basePrecision: '0.000001',
      quotePrecision: '0.00000001',
      minOrderQty: isInverse ? '1' : '0.000001',
      maxOrderQty: '1000000',
      minOrderAmt: '1',
      qtyStep: isInverse ? '1' : '0.001',
      minNotionalValue: '5',
    },
    unifiedMarginTrade: true,
    fundingInterval: 480,
  };
}

function marketsOf(context: Public): readonly Market[] {
  const segment = category(context);
  const id = context.call.parameters.get('symbol');
  if (id !== null) return [marketIn(context, id)];
  return segment === 'option' ? [] : context.venue.marketsOf(segment);
}

function instruments(context: Public): object {
  const isPreLaunch = context.call.parameters.get('status') === 'PreLaunch';
  const list = isPreLaunch ? [] : marketsOf(context).map(instrument);
  return { category: category(context), list, nextPageCursor: '' };
}

function tickers(context: Public): object {
  const list = marketsOf(context).map((market) => {
    const price = formatAmount(context.venue.price(market));
    return {
      symbol: market.id,
      lastPrice: price,
      indexPrice: price,
      markPrice: price,
      prevPrice24h: price,
      price24hPcnt: '0',
      highPrice24h: price,
      lowPrice24h: price,
      turnover24h: '65000000',
      volume24h: '1000',
      bid1Price: price,
      bid1Size: '1',
      ask1Price: price,
      ask1Size: '1',
      fundingRate: market.settle === null ? undefined : '0.0001',
    };
  });
  return { category: category(context), list };
}

function accountInfo(): object {
  return {
    marginMode: 'REGULAR_MARGIN',
    updatedTime: '1697078946000',
    unifiedMarginStatus: 6,
    dcpStatus: 'OFF',
    timeWindow: 10,
    smpGroup: 0,
    isMasterTrader: false,
    spotHedgingStatus: 'OFF',
  };
}

function queryApi({ account, key, world }: Context): object {
  const may = key.permissions;
  const isReadOnly = !(may.has('trade') || may.has('withdraw') || may.has('transfer'));
  const wallet = [
    ...(may.has('transfer') ? ['AccountTransfer', 'SubMemberTransfer'] : []),
    ...(may.has('withdraw') ? ['Withdraw'] : []),
  ];
  const expires = key.expiresMs ?? Date.UTC(2100, 0);
  return {
    id: account.uid,
    note: 'test',
    apiKey: key.key,
    readOnly: isReadOnly ? 1 : 0,
    secret: '',
    permissions: {
      ContractTrade: may.has('trade') ? ['Order', 'Position'] : [],
      Spot: may.has('trade') ? ['SpotTrade'] : [],
      Wallet: wallet,
      Options: [],
      Derivatives: [],
      CopyTrading: [],
      BlockTrade: [],
      Exchange: [],
      NFT: [],
      Affiliate: [],
    },
    ips: key.addresses ?? ['*'],
    type: 1,
    deadlineDay: 83,
    expiredAt: new Date(expires).toISOString(),
    createdAt: new Date(key.createdMs).toISOString(),
    unified: 0,
    uta: 1,
    userID: Number(account.uid),
    inviterID: 0,
    vipLevel: 'No VIP',
    mktMakerLevel: '0',
    affiliateID: 0,
    rsaPublicKey: '',
    isMaster: account.parent === null,
    parentUid: account.parent === null ? '0' : world.account(account.parent).uid,
  };
}

function dollars(venue: Venue, currency: string): Amount {
  if (currency === 'USDT' || currency === 'USDC' || currency === 'USD') return ONE;
  return venue.prices.get(`${currency}/USDT`) ?? 0n;
}

function walletBalance(context: Context): object {
  const { account, call, venue, world } = context;
  if (call.parameters.get('accountType') !== 'UNIFIED') {
    throw bybitRefusal(call, 10_001, 'accountType only support UNIFIED.');
  }
  const held = world.ledger.balances(account.id, 'trading');
  let equity = 0n;
  let wallet = 0n;
  const coin = [...held].map(([name, amount]) => {
    const positions = [...account.positions.values()].filter(
      ({ market }) => market.settle === name,
    );
    const unrealized = positions.reduce(
      (sum, one) => sum + profitOf(one, one.contracts, venue.price(one.market)),
      0n,
    );
    const price = dollars(venue, name);
    equity += multiply(amount + unrealized, price);
    wallet += multiply(amount, price);
    return {
      coin: name,
      equity: formatAmount(amount + unrealized),
      usdValue: formatAmount(multiply(amount + unrealized, price)),
      walletBalance: formatAmount(amount),
      free: '',
      locked: '0',
      borrowAmount: '0',
      accruedInterest: '0',
      availableToWithdraw: '',
      availableToBorrow: '',
      totalOrderIM: '0',
      totalPositionIM: '0',
      totalPositionMM: '0',
      unrealisedPnl: formatAmount(unrealized),
      cumRealisedPnl: '0',
      bonus: '0',
      marginCollateral: true,
      collateralSwitch: true,
      spotHedgingQty: '0',
    };
  });
  const totals = {
    accountType: 'UNIFIED',
    accountIMRate: '0',
    accountMMRate: '0',
    accountLTV: '0',
    totalEquity: formatAmount(equity),
    totalWalletBalance: formatAmount(wallet),
    totalMarginBalance: formatAmount(equity),
    totalAvailableBalance: formatAmount(wallet),
    totalPerpUPL: formatAmount(equity - wallet),
    totalInitialMargin: '0',
    totalMaintenanceMargin: '0',
  };
  return { list: [{ ...totals, coin }] };
}

function fundingBalance({ account, call, key, world }: Context): object {
  const isAllowed = key.permissions.has('transfer') || key.permissions.has('withdraw');
  // Bybit tells this wallet only to keys that may transfer; a read-only key gets it too.
  const isReadOnly = !key.permissions.has('trade');
  if (!isAllowed && !isReadOnly) throw bybitRefusal(call, 10_005, 'Permission denied');
  const wallet = call.parameters.get('accountType') === 'FUND' ? 'funding' : 'trading';
  const balance = [...world.ledger.balances(account.id, wallet)].map(([coin, amount]) => ({
    coin,
    transferBalance: formatAmount(amount),
    walletBalance: formatAmount(amount),
    bonus: '',
  }));
  return { memberId: account.uid, accountType: call.parameters.get('accountType'), balance };
}

function positionValue({ market, contracts }: Position, price: Amount): string {
  const size = absolute(multiply(contracts, market.contractSize));
  if (contracts === 0n) return '0';
  return formatAmount(market.segment === 'inverse' ? divide(size, price) : multiply(size, price));
}

function positions(context: Context): object {
  const { account, call, venue } = context;
  const segment = category(context);
  const symbol = call.parameters.get('symbol');
  const settle = call.parameters.get('settleCoin');
  if (segment === 'linear' && symbol === null && settle === null) {
    throw bybitRefusal(
      call,
      10_001,
      'Missing some parameters that must be filled in, symbol or settleCoin',
    );
  }
  const list = [...account.positions.values()]
    .filter(({ market, contracts }) => market.segment === segment && contracts !== 0n)
    .filter(({ market }) => symbol === null || market.id === symbol)
    .filter(({ market }) => settle === null || market.settle === settle)
    .map((position) => {
      const price = venue.price(position.market);
      return {
        positionIdx: 0,
        riskId: 1,
        symbol: position.market.id,
        side: position.contracts > 0n ? 'Buy' : 'Sell',
        size: formatAmount(absolute(position.contracts)),
        avgPrice: formatAmount(position.entry),
        positionValue: positionValue(position, position.entry),
        tradeMode: 0,
        autoAddMargin: 0,
        positionStatus: 'Normal',
        leverage: '10',
        markPrice: formatAmount(price),
        liqPrice: '',
        bustPrice: '',
        positionIM: '0',
        positionMM: '0',
        unrealisedPnl: formatAmount(profitOf(position, position.contracts, price)),
        cumRealisedPnl: '0',
        createdTime: '1672121182216',
        updatedTime: String(account.fills.at(-1)?.timeMs ?? 0),
      };
    });
  return { category: segment, list, nextPageCursor: '' };
}

function coins({ venue }: Context): object {
  const names = [...venue.markets.values()].flatMap(({ base, quote }) => [base, quote]);
  const rows = [...new Set(names)].map((coin) => ({
    name: coin,
    coin,
    remainAmount: '10000000',
    chains: [
      {
        chainType: coin,
        confirmation: '1',
        withdrawFee: '0.001',
        depositMin: '0',
        withdrawMin: '0.002',
        chain: coin,
        chainDeposit: '1',
        chainWithdraw: '1',
        minAccuracy: '8',
      },
    ],
  }));
  return { rows };
}

function subMembers({ account, world }: Context): object {
  const subMembers = world.childrenOf(account).map((child) => ({
    uid: child.uid,
    username: child.id,
    memberType: 1,
    status: 1,
    accountMode: 5,
    remark: '',
  }));
  return { subMembers, nextCursor: '0' };
}

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['GET /v5/market/time', { open: time }],
  ['GET /v5/market/instruments-info', { open: instruments }],
  ['GET /v5/market/tickers', { open: tickers }],
  ['GET /v5/market/kline', { open: (context) => klines(context, false) }],
  ['GET /v5/market/mark-price-kline', { open: (context) => klines(context, true) }],
  ['GET /v5/account/info', { perSecond: 50, act: accountInfo }],
  ['GET /v5/user/query-api', { perSecond: 10, act: queryApi }],
  ['GET /v5/user/query-sub-members', { perSecond: 10, act: subMembers }],
  ['GET /v5/user/submembers', { perSecond: 10, act: subMembers }],
  ['GET /v5/account/wallet-balance', { perSecond: 50, act: walletBalance }],
  ['GET /v5/account/transaction-log', { perSecond: 50, act: transactionLog }],
  ['GET /v5/execution/list', { perSecond: 50, act: executions }],
  ['GET /v5/order/history', { perSecond: 50, act: orders }],
  ['GET /v5/position/list', { perSecond: 50, act: positions }],
  ['GET /v5/asset/coin/query-info', { perSecond: 5, act: coins }],
  ['GET /v5/asset/deposit/query-record', { perSecond: 5, act: deposits }],
  ['GET /v5/asset/withdraw/query-record', { perSecond: 5, act: withdrawals }],
  ['GET /v5/asset/transfer/query-inter-transfer-list', { perSecond: 5, act: transfers }],
  [
    'GET /v5/asset/transfer/query-universal-transfer-list',
    { perSecond: 5, act: universalTransfers },
  ],
  ['GET /v5/asset/transfer/query-account-coins-balance', { perSecond: 5, act: fundingBalance }],
]);

export class Bybit implements VenueApi {
  readonly name = 'bybit';
  readonly hosts: readonly string[] = HOSTS;
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limits: BybitLimits = new BybitLimits();

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('bybit');
  }

  answer(call: Call): Reply {
    const { limitScale } = this.#venue;
    this.#limits.chargeAddress(call, limitScale);
    const route = ROUTES.get(`${call.method} ${call.path}`);
    if (route === undefined) return { status: 404, headers: {}, body: '' };
    const context = { call, world: this.#world, venue: this.#venue };
    if ('open' in route) return bybitReply(0, 'OK', route.open(context), call.nowMs);
    const signer = checkSigned(call, this.#world, call.host !== 'api.bybit.com');
    const headers = this.#limits.chargeAccount(
      call,
      signer.account.uid,
      route.perSecond,
      limitScale,
    );
    const answered = bybitReply(0, 'OK', route.act({ ...context, ...signer }), call.nowMs);
    return { ...answered, headers: { ...answered.headers, ...headers } };
  }

  trouble(kind: Trouble, retryAfterS: number): Reply {
    return bybitTrouble(kind, this.#world.nowMs(), retryAfterS);
  }
}
