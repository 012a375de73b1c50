// What can be traded at each simulated venue, under the venue's own identifiers. Few markets, but of every shape
// that a connector must tell apart: spot, linear and inverse swaps with contract sizes, a dated future, markets
// that are closed, coins whose names differ from venue to venue.

import { parseAmount } from './amount.ts';
import type { Amount } from './amount.ts';

export const VENUES = [
  'binance',
  'bybit',
  'kraken',
  'krakenfutures',
  'coinbase',
  'okx',
  'bitget',
  'mexc',
  'alpaca',
  'ibkr',
] as const;

export type VenueName = (typeof VENUES)[number];

export type MarketType = 'spot' | 'swap' | 'future' | 'stock';

export interface Market {
  /** The unified name: `BTC/USDT`, `BTC/USDT:USDT`, `AAPL/USD`. */
  readonly symbol: string;
  /** The venue's. Unique within `segment`. */
  readonly id: string;
  readonly type: MarketType;
  /** Which of the venue's APIs serves it. */
  readonly segment: 'spot' | 'linear' | 'inverse';
  readonly base: string;
  readonly quote: string;
  /** Null in spot markets. */
  readonly settle: string | null;
  /** Of one contract: in base where linear, in quote where inverse. */
  readonly contractSize: Amount;
  readonly expiryMs: number | null;
  readonly isOpen: boolean;
}

export const START_PRICES: Readonly<Record<string, string>> = {
  BTC: '65000',
  ETH: '3200',
  BNB: '580',
  SOL: '150',
  XRP: '0.6',
  ADA: '0.45',
  DOGE: '0.12',
  LUNC: '0.0001',
  AAPL: '230',
  SPY: '590',
  EUR: '1.08',
  USDT: '1',
  USDC: '1',
  USD: '1',
};

type Naming = (base: string, quote: string) => string;

function spot(quotes: Readonly<Record<string, string>>, name: Naming): readonly Market[] {
  return Object.entries(quotes).flatMap(([quote, bases]) =>
    bases.split(' ').map((base) => ({
      symbol: `${base}/${quote}`,
      id: name(base, quote),
      type: 'spot' as const,
      segment: 'spot' as const,
      base,
      quote,
      settle: null,
      contractSize: parseAmount('1'),
      expiryMs: null,
      isOpen: base !== 'LUNC',
    })),
  );
}

interface Swaps {
  readonly segment: 'linear' | 'inverse';
  readonly quote: string;
  /** Contract sizes by base. */
  readonly sizes: Readonly<Record<string, string>>;
  readonly name: Naming;
}

function swaps({ segment, quote, sizes, name }: Swaps): readonly Market[] {
  return Object.entries(sizes).map(([base, size]) => {
    const settle = segment === 'linear' ? quote : base;
    return {
      symbol: `${base}/${quote}:${settle}`,
      id: name(base, quote),
      type: 'swap',
      segment,
      base,
      quote,
      settle,
      contractSize: parseAmount(size),
      expiryMs: null,
      isOpen: true,
    };
  });
}

/** 25 December 2026, 08:00 UTC. */
const QUARTER_MS = 1_798_185_600_000;

function quarterly(base: string, quote: string, id: string): Market {
  return {
    symbol: `${base}/${quote}:${quote}-261225`,
    id,
    type: 'future',
    segment: 'linear',
    base,
    quote,
    settle: quote,
    contractSize: parseAmount('1'),
    expiryMs: QUARTER_MS,
    isOpen: true,
  };
}

const MANY = 'BTC ETH BNB SOL XRP ADA DOGE LUNC';
const ONES = { BTC: '1', ETH: '1', SOL: '1' };
const joined: Naming = (base, quote) => `${base}${quote}`;
const dashed: Naming = (base, quote) => `${base}-${quote}`;

/** Kraken's old names: X for coins, Z for money, XBT for bitcoin. */
export const KRAKEN_ASSETS: Readonly<Record<string, string>> = {
  BTC: 'XXBT',
  ETH: 'XETH',
  XRP: 'XXRP',
  DOGE: 'XXDG',
  USD: 'ZUSD',
  EUR: 'ZEUR',
};

export function krakenAsset(currency: string): string {
  return KRAKEN_ASSETS[currency] ?? currency;
}

function krakenPair(base: string, quote: string): string {
  const hasOldNames = KRAKEN_ASSETS[base] !== undefined && KRAKEN_ASSETS[quote] !== undefined;
  return hasOldNames ? `${krakenAsset(base)}${krakenAsset(quote)}` : krakenAltName(base, quote);
}

export function krakenAltName(base: string, quote: string): string {
  return `${shortAsset(base)}${shortAsset(quote)}`;
}

/** XBT, USD: without the X or Z. */
export function shortAsset(currency: string): string {
  return krakenAsset(currency).replace(/^[XZ](?=...$)/u, '');
}

function futuresName(prefix: string): Naming {
  return (base, quote) => `${prefix}_${base === 'BTC' ? 'XBT' : base}${quote}`;
}

function stocks(): readonly Market[] {
  return ['AAPL', 'SPY'].map((base) => ({
    symbol: `${base}/USD`,
    id: base,
    type: 'stock' as const,
    segment: 'spot' as const,
    base,
    quote: 'USD',
    settle: null,
    contractSize: parseAmount('1'),
    expiryMs: null,
    isOpen: true,
  }));
}

export const MARKETS: Readonly<Record<VenueName, readonly Market[]>> = {
  binance: [
    ...spot({ USDT: MANY, BTC: 'ETH BNB', USDC: 'BTC ETH' }, joined),
    ...swaps({ segment: 'linear', quote: 'USDT', sizes: ONES, name: joined }),
    quarterly('BTC', 'USDT', 'BTCUSDT_261225'),
    ...swaps({
      segment: 'inverse',
      quote: 'USD',
      sizes: { BTC: '100', ETH: '10' },
      name: (base, quote) => `${base}${quote}_PERP`,
    }),
  ],
  bybit: [
    ...spot({ USDT: MANY, USDC: 'BTC ETH' }, joined),
    ...swaps({ segment: 'linear', quote: 'USDT', sizes: ONES, name: joined }),
    ...swaps({ segment: 'inverse', quote: 'USD', sizes: { BTC: '1', ETH: '1' }, name: joined }),
  ],
  kraken: spot(
    { USD: 'BTC ETH XRP DOGE SOL ADA USDT USDC EUR', EUR: 'BTC ETH', BTC: 'ETH' },
    krakenPair,
  ),
  krakenfutures: [
    ...swaps({ segment: 'linear', quote: 'USD', sizes: ONES, name: futuresName('PF') }),
    ...swaps({
      segment: 'inverse',
      quote: 'USD',
      sizes: { BTC: '1', ETH: '1' },
      name: futuresName('PI'),
    }),
  ],
  coinbase: spot({ USD: 'BTC ETH SOL XRP ADA DOGE USDT', EUR: 'BTC', USDC: 'BTC ETH' }, dashed),
  okx: [
    ...spot({ USDT: 'BTC ETH SOL XRP ADA DOGE', USDC: 'BTC' }, dashed),
    ...swaps({
      segment: 'linear',
      quote: 'USDT',
      sizes: { BTC: '0.01', ETH: '0.1', SOL: '1' },
      name: (base, quote) => `${base}-${quote}-SWAP`,
    }),
    ...swaps({
      segment: 'inverse',
      quote: 'USD',
      sizes: { BTC: '100', ETH: '10' },
      name: (base, quote) => `${base}-${quote}-SWAP`,
    }),
  ],
  bitget: [
    ...spot({ USDT: 'BTC ETH SOL XRP ADA DOGE' }, joined),
    ...swaps({ segment: 'linear', quote: 'USDT', sizes: ONES, name: joined }),
    ...swaps({ segment: 'inverse', quote: 'USD', sizes: { BTC: '1', ETH: '1' }, name: joined }),
  ],
  mexc: [
    ...spot({ USDT: 'BTC ETH SOL XRP ADA DOGE' }, joined),
    ...swaps({
      segment: 'linear',
      quote: 'USDT',
      sizes: { BTC: '0.0001', ETH: '0.01' },
      name: (base, quote) => `${base}_${quote}`,
    }),
  ],
  alpaca: [...spot({ USD: 'BTC ETH SOL' }, (base, quote) => `${base}/${quote}`), ...stocks()],
  ibkr: stocks(),
};
