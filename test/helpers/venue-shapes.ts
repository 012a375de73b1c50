// Lists of markets in the shape of each venue, as short as ccxt takes them, and the recorded samples of its answers.

import { readFileSync } from 'node:fs';
import type { Reply } from './connector-desk.ts';

type Samples = Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>>;

const FILE: URL = new URL('../fixtures/connector/ccxt-samples.json', import.meta.url);
const SAMPLES: Samples = JSON.parse(readFileSync(FILE, 'utf8')) as Samples;

/** A deep copy with some texts or numbers replaced, wherever they are. */
export function sample(
  venue: string,
  method: string,
  index = 0,
  changes: Readonly<Record<string, unknown>> = {},
): unknown {
  const found = SAMPLES[venue]?.[method]?.[index];
  if (found === undefined) throw new Error(`no sample ${venue} ${method} ${index}`);
  return JSON.parse(JSON.stringify(found), (key, value: unknown) =>
    key in changes ? changes[key] : value,
  ) as unknown;
}

export function reply(body: unknown): () => Reply {
  return () => ({ body });
}

const BYBIT_SPOT = sample('bybit', 'fetchSpotMarkets');
const BYBIT_LINEAR = sample('bybit', 'fetchFutureMarkets', 0, {
  symbol: 'ETHPERP',
  baseCoin: 'ETH',
  quoteCoin: 'USDC',
  settleCoin: 'USDC',
});
const BYBIT_NONE = { retCode: 0, retMsg: 'OK', result: { list: [], nextPageCursor: '' }, time: 1 };

export function bybitInstruments(category: string | null): Reply {
  if (category === 'spot') return { body: BYBIT_SPOT };
  return { body: category === 'linear' ? BYBIT_LINEAR : BYBIT_NONE };
}

const OKX_BASE = sample('okx', 'parseMarket') as Readonly<Record<string, unknown>>;

export function okxInstruments(type: string | null): Reply {
  const spot = { ...OKX_BASE, instId: 'ETH-USDT', baseCcy: 'ETH' };
  const contract = {
    ...OKX_BASE,
    baseCcy: '',
    quoteCcy: '',
    ctVal: '10',
    ctValCcy: 'USD',
    ctMult: '1',
    ctType: 'inverse',
    settleCcy: 'ETH',
    uly: 'ETH-USD',
  };
  const swap = { ...contract, instType: 'SWAP', instId: 'ETH-USD-SWAP' };
  const future = {
    ...contract,
    instType: 'FUTURES',
    instId: 'ETH-USD-210430',
    expTime: '1619769600000',
  };
  const data = { SPOT: [spot], SWAP: [swap], FUTURES: [future] }[type ?? ''] ?? [];
  return { body: { code: '0', msg: '', data } };
}

export const KRAKEN_ASSETS: unknown = {
  error: [],
  result: {
    XXBT: {
      aclass: 'currency',
      altname: 'XBT',
      decimals: 10,
      display_decimals: 5,
      status: 'enabled',
    },
    ZUSD: {
      aclass: 'currency',
      altname: 'USD',
      decimals: 4,
      display_decimals: 2,
      status: 'enabled',
    },
    USDC: {
      aclass: 'currency',
      altname: 'USDC',
      decimals: 8,
      display_decimals: 4,
      status: 'enabled',
    },
    USDT: {
      aclass: 'currency',
      altname: 'USDT',
      decimals: 8,
      display_decimals: 4,
      status: 'enabled',
    },
    XETH: {
      aclass: 'currency',
      altname: 'ETH',
      decimals: 10,
      display_decimals: 5,
      status: 'enabled',
    },
  },
};

function krakenPair(
  name: string,
  altname: string,
  wsname: string,
  base: string,
  quote: string,
): unknown {
  const { result } = sample('kraken', 'fetchMarkets', 0, { altname, wsname, base, quote }) as {
    readonly result: Readonly<Record<string, unknown>>;
  };
  return [name, result['ADAETH']];
}

export const KRAKEN_PAIRS: unknown = {
  error: [],
  result: Object.fromEntries([
    krakenPair('XXBTZUSD', 'XBTUSD', 'XBT/USD', 'XXBT', 'ZUSD'),
    krakenPair('USDCUSDT', 'USDCUSDT', 'USDC/USDT', 'USDC', 'USDT'),
    krakenPair('ETHUSDT', 'ETHUSDT', 'ETH/USDT', 'XETH', 'USDT'),
  ] as [string, unknown][]) as unknown,
};

export const COINBASE_PRODUCTS: unknown = {
  products: [
    sample('coinbase', 'parseSpotMarket', 0, {
      product_id: 'BTC-USDT',
      base_currency_id: 'BTC',
      quote_currency_id: 'USDT',
    }),
  ],
  num_products: 1,
};

export const MEXC_SPOT: unknown = {
  timezone: 'CST',
  serverTime: 1,
  rateLimits: [],
  exchangeFilters: [],
  symbols: ['BTC', 'ETH'].map((base) => ({
    symbol: `${base}USDT`,
    status: '1',
    baseAsset: base,
    baseAssetPrecision: 6,
    quoteAsset: 'USDT',
    quotePrecision: 2,
    quoteAssetPrecision: 2,
    baseCommissionPrecision: 6,
    quoteCommissionPrecision: 2,
    orderTypes: ['LIMIT'],
    isSpotTradingAllowed: true,
    isMarginTradingAllowed: false,
    permissions: ['SPOT'],
    filters: [],
    baseSizePrecision: '0.000001',
    maxQuoteAmount: '2000000',
    makerCommission: '0',
    takerCommission: '0',
    quoteAmountPrecision: '1',
  })),
};

export const BITGET_SPOT: unknown = {
  code: '00000',
  msg: 'success',
  requestTime: 1,
  data: [
    {
      symbol: 'BTCUSDT',
      baseCoin: 'BTC',
      quoteCoin: 'USDT',
      minTradeAmount: '0',
      maxTradeAmount: '10000000000',
      takerFeeRate: '0.002',
      makerFeeRate: '0.002',
      pricePrecision: '2',
      quantityPrecision: '6',
      quotePrecision: '8',
      status: 'online',
      minTradeUSDT: '1',
      buyLimitPriceRatio: '0.05',
      sellLimitPriceRatio: '0.05',
    },
  ],
};

export const BITGET_SWAP: unknown = {
  code: '00000',
  msg: 'success',
  requestTime: 1,
  data: [
    {
      symbol: 'BTCUSDT',
      baseCoin: 'BTC',
      quoteCoin: 'USDT',
      buyLimitPriceRatio: '0.01',
      sellLimitPriceRatio: '0.01',
      feeRateUpRatio: '0.005',
      makerFeeRate: '0.0002',
      takerFeeRate: '0.0006',
      openCostUpRatio: '0.01',
      supportMarginCoins: ['USDT'],
      minTradeNum: '0.001',
      priceEndStep: '1',
      volumePlace: '3',
      pricePlace: '1',
      sizeMultiplier: '0.001',
      symbolType: 'perpetual',
      minTradeUSDT: '5',
      symbolStatus: 'normal',
      offTime: '-1',
      limitOpenTime: '-1',
      deliveryTime: '',
      minLever: '1',
      maxLever: '125',
      fundInterval: '8',
    },
  ],
};

export const KRAKEN_FUTURES_INSTRUMENTS: unknown = {
  result: 'success',
  instruments: [
    {
      symbol: 'PI_XBTUSD',
      type: 'futures_inverse',
      underlying: 'rr_xbtusd',
      tickSize: 0.5,
      contractSize: 1,
      tradeable: true,
      marginLevels: [{ contracts: 0, initialMargin: 0.02, maintenanceMargin: 0.01 }],
      base: 'BTC',
      quote: 'USD',
      pair: 'BTC:USD',
      contractValueTradePrecision: 0,
    },
    {
      symbol: 'PF_XBTUSD',
      type: 'flexible_futures',
      tickSize: 0.5,
      contractSize: 1,
      tradeable: true,
      marginLevels: [{ contracts: 0, initialMargin: 0.02, maintenanceMargin: 0.01 }],
      base: 'BTC',
      quote: 'USD',
      pair: 'BTC:USD',
      contractValueTradePrecision: 4,
    },
  ],
  serverTime: '2026-11-02T00:00:00.000Z',
};
