// Binance's public answers: what is traded under which rules, and at what price.

import { divide, formatAmount, formatPlaces, multiply, parseAmount } from '../../amount.ts';
import type { Market } from '../../markets.ts';
import { writtenLevels } from '../../streams/book.ts';
import { binancePlaces } from '../../streams/messages.ts';
import { DAY_MS, eight, limitOf, mandatory, marketOf } from './context.ts';
import type { Public } from './context.ts';
import { illegalParameter } from './refusals.ts';

const RATE_LIMITS = [
  { rateLimitType: 'REQUEST_WEIGHT', interval: 'MINUTE', intervalNum: 1, limit: 6000 },
  { rateLimitType: 'RAW_REQUESTS', interval: 'MINUTE', intervalNum: 5, limit: 61_000 },
];

function spotSymbol(market: Market): object {
  return {
    symbol: market.id,
    status: market.isOpen ? 'TRADING' : 'BREAK',
    baseAsset: market.base,
    baseAssetPrecision: 8,
    quoteAsset: market.quote,
    quotePrecision: 8,
    quoteAssetPrecision: 8,
    baseCommissionPrecision: 8,
    quoteCommissionPrecision: 8,
    orderTypes: ['LIMIT', 'LIMIT_MAKER', 'MARKET'],
    icebergAllowed: true,
    ocoAllowed: true,
    isSpotTradingAllowed: market.isOpen,
    isMarginTradingAllowed: market.quote === 'USDT',
    filters: [
      {
        filterType: 'PRICE_FILTER',
        minPrice: '0.00000100',
        maxPrice: '1000000.00000000',
        tickSize: '0.00000100',
      },
      {
        filterType: 'LOT_SIZE',
        minQty: '0.00000100',
        maxQty: '90000000.00000000',
        stepSize: '0.00000100',
      },
      { filterType: 'NOTIONAL', minNotional: '5.00000000', maxNotional: '9000000.00000000' },
    ],
    permissions: [],
    permissionSets: [['SPOT', 'MARGIN']],
  };
}

function futuresSymbol(market: Market): object {
  const isInverse = market.segment === 'inverse';
  const status = isInverse ? 'contractStatus' : 'status';
  return {
    symbol: market.id,
    pair: `${market.base}${market.quote}`,
    contractType: market.expiryMs === null ? 'PERPETUAL' : 'CURRENT_QUARTER',
    deliveryDate: market.expiryMs ?? 4_133_404_800_000,
    onboardDate: 1_569_398_400_000,
    [status]: market.isOpen ? 'TRADING' : 'SETTLING',
    ...(isInverse ? { contractSize: Number(formatAmount(market.contractSize)) } : {}),
    baseAsset: market.base,
    quoteAsset: market.quote,
    marginAsset: market.settle,
    pricePrecision: 2,
    quantityPrecision: isInverse ? 0 : 3,
    baseAssetPrecision: 8,
    quotePrecision: 8,
    filters: [
      { filterType: 'PRICE_FILTER', minPrice: '0.01', maxPrice: '1000000', tickSize: '0.01' },
      {
        filterType: 'LOT_SIZE',
        minQty: isInverse ? '1' : '0.001',
        maxQty: '1000',
        stepSize: isInverse ? '1' : '0.001',
      },
      { filterType: 'MIN_NOTIONAL', notional: '5' },
    ],
  };
}

export function exchangeInfo(context: Public, segment: Market['segment']): object {
  const id = context.call.parameters.get('symbol');
  const markets = id === null ? context.venue.marketsOf(segment) : [marketOf(context, segment, id)];
  return {
    timezone: 'UTC',
    serverTime: context.call.nowMs,
    rateLimits: RATE_LIMITS,
    exchangeFilters: [],
    symbols: markets.map(segment === 'spot' ? spotSymbol : futuresSymbol),
  };
}

/** By `symbol` one, by `symbols` several, all without either. */
function chosen(context: Public, segment: Market['segment']): readonly Market[] {
  const { parameters } = context.call;
  const one = parameters.get('symbol');
  if (one !== null) return [marketOf(context, segment, one)];
  const several = parameters.get('symbols');
  if (several === null) return context.venue.marketsOf(segment);
  if (!/^\["[A-Z0-9_]+"(?:,"[A-Z0-9_]+")*\]$/u.test(several)) throw illegalParameter('symbols');
  const ids = JSON.parse(several) as readonly string[];
  return ids.map((id) => marketOf(context, segment, id));
}

function oneOrAll(context: Public, segment: Market['segment'], values: readonly object[]): unknown {
  const isOne = segment === 'spot' && context.call.parameters.has('symbol');
  const isOneFuture = segment === 'linear' && context.call.parameters.has('symbol');
  return isOne || isOneFuture ? values[0] : values;
}

function spread(price: bigint): { readonly bid: bigint; readonly ask: bigint } {
  const part = multiply(price, parseAmount('0.0001'));
  return { bid: price - part, ask: price + part };
}

export function dayTickers(context: Public, segment: Market['segment']): unknown {
  const { nowMs } = context.call;
  const spot = (text: string): string | undefined => (segment === 'spot' ? text : undefined);
  const tickers = chosen(context, segment).map((market) => {
    const price = context.venue.price(market);
    const { bid, ask } = spread(price);
    const last = eight(price);
    return {
      symbol: market.id,
      pair: segment === 'inverse' ? `${market.base}${market.quote}` : undefined,
      priceChange: '0.00000000',
      priceChangePercent: '0.000',
      weightedAvgPrice: last,
      prevClosePrice: spot(last),
      bidPrice: spot(eight(bid)),
      bidQty: spot('1.00000000'),
      askPrice: spot(eight(ask)),
      askQty: spot('1.00000000'),
      lastPrice: last,
      lastQty: '0.10000000',
      openPrice: last,
      highPrice: last,
      lowPrice: last,
      volume: '1000.00000000',
      [segment === 'inverse' ? 'baseVolume' : 'quoteVolume']: eight(price * 1000n),
      openTime: nowMs - DAY_MS,
      closeTime: nowMs,
      firstId: 1,
      lastId: 1000,
      count: 1000,
    };
  });
  return oneOrAll(context, segment, tickers);
}

export function prices(context: Public, segment: Market['segment']): unknown {
  const values = chosen(context, segment).map((market) => ({
    symbol: market.id,
    price: eight(context.venue.price(market)),
    time: segment === 'spot' ? undefined : context.call.nowMs,
  }));
  return oneOrAll(context, segment, values);
}

export function bookTickers(context: Public, segment: Market['segment']): unknown {
  const values = chosen(context, segment).map((market) => {
    const { bid, ask } = spread(context.venue.price(market));
    return {
      symbol: market.id,
      bidPrice: eight(bid),
      bidQty: '1.00000000',
      askPrice: eight(ask),
      askQty: '1.00000000',
    };
  });
  return oneOrAll(context, segment, values);
}

export function premiumIndex(context: Public, segment: 'linear' | 'inverse'): unknown {
  const { nowMs } = context.call;
  const values = chosen(context, segment).map((market) => {
    const price = eight(context.venue.price(market));
    return {
      symbol: market.id,
      pair: segment === 'inverse' ? `${market.base}${market.quote}` : undefined,
      markPrice: price,
      indexPrice: price,
      estimatedSettlePrice: price,
      lastFundingRate: '0.00010000',
      interestRate: '0.00010000',
      nextFundingTime: Math.ceil(nowMs / (DAY_MS / 3)) * (DAY_MS / 3),
      time: nowMs,
    };
  });
  return oneOrAll(context, segment, values);
}

export function leverageBrackets(context: Public): readonly object[] {
  return context.venue.marketsOf('linear').map(({ id }) => ({
    symbol: id,
    brackets: [
      {
        bracket: 1,
        initialLeverage: 20,
        notionalCap: 1_000_000_000,
        notionalFloor: 0,
        maintMarginRatio: 0.01,
        cum: 0,
      },
    ],
  }));
}

/** A position's worth in its settling currency. */
export function notionalOf(market: Market, contracts: bigint, price: bigint): string {
  const size = multiply(contracts, market.contractSize);
  if (market.segment === 'inverse') return formatPlaces(divide(size, price), 8);
  return eight(multiply(size, price));
}

/** `limit` levels a side; what the streams' updates follow. */
export function depth(context: Public, segment: 'spot' | 'linear' | 'inverse'): object {
  const market = marketOf(context, segment, mandatory(context, 'symbol'));
  const limit = limitOf(context, 'limit', segment === 'spot' ? 100 : 500, 5000);
  const book = context.venue.book(market);
  const places = binancePlaces(market);
  const { nowMs } = context.call;
  return {
    lastUpdateId: book.lastId,
    ...(segment === 'spot' ? {} : { E: nowMs, T: nowMs }),
    bids: writtenLevels(book.bids.slice(0, limit), places),
    asks: writtenLevels(book.asks.slice(0, limit), places),
  };
}
