// Bitget v2, classic accounts: spot, USDT-M and coin-M futures with a wallet each.

import { absolute, formatAmount } from '../../amount.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import type { Market } from '../../markets.ts';
import { profitOf } from '../../operations.ts';
import type { Position, Venue, World } from '../../world.ts';
import { BitgetLimits, bitgetRefusal, bitgetReply, bitgetTrouble, checkSigned } from './access.ts';
import { candles } from './candles.ts';
import type { Context, Public } from './context.ts';
import { deposits, futuresBills, futuresFills, productIn, productOf } from './history.ts';
import { spotBills, spotFills, spotOrders, withdrawals } from './history.ts';

type Route =
  { readonly open: (context: Public) => unknown } | { readonly act: (context: Context) => unknown };

function symbols({ venue }: Public): readonly object[] {
  return venue.marketsOf('spot').map((market) => ({
    symbol: market.id,
    baseCoin: market.base,
    quoteCoin: market.quote,
    minTradeAmount: '0',
    maxTradeAmount: '10000000000',
    takerFeeRate: '0.001',
    makerFeeRate: '0.001',
    pricePrecision: '6',
    quantityPrecision: '8',
    quotePrecision: '8',
    status: market.isOpen ? 'online' : 'offline',
    minTradeUSDT: '1',
  }));
}

function futures({ venue }: Public, product: string): readonly Market[] {
  return [...venue.markets.values()].filter(
    (market) => market.settle !== null && productOf(market) === product,
  );
}

function contracts(context: Public): readonly object[] {
  return futures(context, productIn(context)).map((market) => ({
    symbol: market.id,
    baseCoin: market.base,
    quoteCoin: market.quote,
    feeRateUpRatio: '0.005',
    makerFeeRate: '0.0002',
    takerFeeRate: '0.0006',
    openCostUpRatio: '0.01',
    supportMarginCoins: [market.settle],
    minTradeNum: '0.001',
    priceEndStep: '1',
    volumePlace: '3',
    pricePlace: '1',
    sizeMultiplier: '0.001',
    symbolType: 'perpetual',
    minTradeUSDT: '5',
    symbolStatus: market.isOpen ? 'normal' : 'off',
    offTime: '-1',
    limitOpenTime: '-1',
    deliveryTime: '',
    fundInterval: '8',
    minLever: '1',
    maxLever: '125',
  }));
}

function tickers(context: Public): readonly object[] {
  const id = context.call.parameters.get('symbol');
  return context.venue
    .marketsOf('spot')
    .filter((market) => id === null || market.id === id)
    .map((market) => {
      const price = formatAmount(context.venue.price(market));
      return {
        symbol: market.id,
        open: price,
        high24h: price,
        low24h: price,
        lastPr: price,
        quoteVolume: '65000000',
        baseVolume: '1000',
        usdtVolume: '65000000',
        ts: String(context.call.nowMs),
        bidPr: price,
        askPr: price,
        bidSz: '1',
        askSz: '1',
        openUtc: price,
        changeUtc24h: '0',
        change24h: '0',
      };
    });
}

function accountInfo({ account, key, world }: Context): object {
  const may = key.permissions;
  const parent = account.parent === null ? account : world.account(account.parent);
  return {
    userId: account.uid,
    inviterId: null,
    channelCode: '',
    channel: '',
    ips: (key.addresses ?? []).join(','),
    authorities: [
      'stor',
      'coor',
      'wtor',
      ...(may.has('trade') ? ['stow', 'coow'] : []),
      ...(may.has('transfer') ? ['taow'] : []),
      ...(may.has('withdraw') ? ['wtow'] : []),
    ],
    parentId: Number(parent.uid),
    traderType: 'not_trader',
    regisTime: String(key.createdMs),
  };
}

function spotAssets({ account, call, world }: Context): readonly object[] {
  return [...world.ledger.balances(account.id, 'spot')].map(([coin, amount]) => ({
    coin,
    available: formatAmount(amount),
    limitAvailable: '0',
    frozen: '0',
    locked: '0',
    uTime: String(call.nowMs),
  }));
}

function openIn(context: Context, product: string): readonly Position[] {
  return [...context.account.positions.values()].filter(
    ({ market, contracts: held }) => held !== 0n && productOf(market) === product,
  );
}

function futuresAccounts(context: Context): readonly object[] {
  const { account, venue, world } = context;
  const product = productIn(context);
  const wallet = product === 'COIN-FUTURES' ? 'inverse' : 'linear';
  if (product !== 'COIN-FUTURES' && product !== 'USDT-FUTURES') return [];
  return [...world.ledger.balances(account.id, wallet)].map(([marginCoin, amount]) => {
    const profit = openIn(context, product)
      .filter(({ market }) => market.settle === marginCoin)
      .reduce((sum, one) => sum + profitOf(one, one.contracts, venue.price(one.market)), 0n);
    return {
      marginCoin,
      locked: '0',
      available: formatAmount(amount),
      crossedMaxAvailable: formatAmount(amount),
      isolatedMaxAvailable: formatAmount(amount),
      maxTransferOut: formatAmount(amount),
      accountEquity: formatAmount(amount + profit),
      usdtEquity: formatAmount(amount + profit),
      btcEquity: '0',
      crossedRiskRate: '0',
      unrealizedPL: formatAmount(profit),
      coupon: '0',
    };
  });
}

/** None is null. */
function positions(context: Context): readonly object[] | null {
  const { venue, call } = context;
  const list = openIn(context, productIn(context)).map((position) => {
    const { market, contracts: held, entry } = position;
    const price = venue.price(market);
    return {
      marginCoin: market.settle,
      symbol: market.id,
      holdSide: held > 0n ? 'long' : 'short',
      openDelegateSize: '0',
      marginSize: '0',
      available: formatAmount(absolute(held)),
      locked: '0',
      total: formatAmount(absolute(held)),
      leverage: '20',
      achievedProfits: '0',
      openPriceAvg: formatAmount(entry),
      marginMode: 'crossed',
      posMode: 'one_way_mode',
      unrealizedPL: formatAmount(profitOf(position, held, price)),
      liquidationPrice: '0',
      keepMarginRate: '0.004',
      markPrice: formatAmount(price),
      marginRatio: '0.01',
      cTime: String(call.nowMs),
    };
  });
  return list.length === 0 ? null : list;
}

const spotCandles = (context: Public, isHistory: boolean): unknown =>
  candles(context, context.venue.marketsOf('spot'), isHistory);
const futuresCandles = (context: Public, isHistory: boolean): unknown =>
  candles(context, futures(context, productIn(context)), isHistory);

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/api/v2/public/time', { open: ({ call }) => ({ serverTime: String(call.nowMs) }) }],
  ['/api/v2/spot/public/symbols', { open: symbols }],
  ['/api/v2/spot/market/tickers', { open: tickers }],
  ['/api/v2/spot/market/candles', { open: (context) => spotCandles(context, false) }],
  ['/api/v2/spot/market/history-candles', { open: (context) => spotCandles(context, true) }],
  ['/api/v2/mix/market/candles', { open: (context) => futuresCandles(context, false) }],
  ['/api/v2/mix/market/history-candles', { open: (context) => futuresCandles(context, true) }],
  ['/api/v2/mix/market/history-mark-candles', { open: (context) => futuresCandles(context, true) }],
  ['/api/v2/margin/currencies', { open: () => [] }],
  ['/api/v2/mix/market/contracts', { open: contracts }],
  ['/api/v2/spot/account/info', { act: accountInfo }],
  ['/api/v2/spot/account/assets', { act: spotAssets }],
  ['/api/v2/spot/account/bills', { act: spotBills }],
  ['/api/v2/spot/trade/fills', { act: spotFills }],
  ['/api/v2/spot/trade/history-orders', { act: spotOrders }],
  ['/api/v2/spot/wallet/deposit-records', { act: deposits }],
  ['/api/v2/spot/wallet/withdrawal-records', { act: withdrawals }],
  ['/api/v2/mix/account/accounts', { act: futuresAccounts }],
  ['/api/v2/mix/account/bill', { act: futuresBills }],
  ['/api/v2/mix/order/fills', { act: futuresFills }],
  ['/api/v2/mix/order/fill-history', { act: futuresFills }],
  ['/api/v2/mix/position/all-position', { act: positions }],
]);

export class Bitget implements VenueApi {
  readonly name = 'bitget';
  readonly hosts: readonly string[] = ['api.bitget.com'];
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limits: BitgetLimits = new BitgetLimits();

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('bitget');
  }

  answer(call: Call): Reply {
    const route = ROUTES.get(call.path);
    if (route === undefined || call.method !== 'GET') {
      throw bitgetRefusal(call, 404, '40404', 'Request URL NOT FOUND');
    }
    const context = { call, world: this.#world, venue: this.#venue };
    const { limitScale } = this.#venue;
    if ('open' in route) {
      this.#limits.charge(call, call.address, limitScale);
      return bitgetReply(call, route.open(context));
    }
    const signer = checkSigned(call, this.#world);
    this.#limits.charge(call, signer.account.uid, limitScale);
    return bitgetReply(call, route.act({ ...context, ...signer }));
  }

  trouble(kind: Trouble): Reply {
    return bitgetTrouble(kind, this.#world.nowMs());
  }
}
