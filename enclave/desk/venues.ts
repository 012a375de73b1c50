// What the desk itself knows of each venue: which hosts a job may call, how the venue counts calls, and in which headers
// it says what is used up. Limits are the venues' published ones for the lowest tier; headers may lower them. A job
// of a venue that calls another host is refused, whatever the connector says.

import type { Environment } from '../../wire/exchange-call.ts';
import type { Venue } from '../connector/classes.ts';

/** One count that the venue keeps: `capacity` units in any `windowMs`. */
export interface Rule {
  readonly name: string;
  /** `address`: of all accounts together. */
  readonly scope: 'address' | 'account';
  readonly hosts: readonly string[];
  /** Of the path; all of them without it. */
  readonly path?: RegExp;
  /** One count for each path. */
  readonly perPath?: true;
  readonly capacity: number;
  readonly windowMs: number;
  /** `call`: each call is one, whatever the connector says that it weighs. */
  readonly unit: 'weight' | 'call';
  /** Header with what was used of the window. */
  readonly used?: string;
  readonly limit?: string;
  readonly remaining?: string;
  /** Header with the time at which the window ends. */
  readonly reset?: { readonly header: string; readonly unit: 'ms' | 's' };
}

interface VenueFacts {
  readonly live: readonly string[];
  readonly sandbox: readonly string[];
}

const MINUTE_MS = 60_000;
const BINANCE_SPOT = ['api.binance.com', 'testnet.binance.vision'];
const BINANCE_LINEAR = ['fapi.binance.com', 'testnet.binancefuture.com'];
const BINANCE_INVERSE = ['dapi.binance.com'];
const BYBIT = ['api.bybit.com', 'api-testnet.bybit.com'];
const KRAKEN_FUTURES = ['futures.kraken.com', 'demo-futures.kraken.com'];
const BITGET = ['api.bitget.com'];
const MEXC = ['api.mexc.com', 'contract.mexc.com'];
const KRAKEN = ['api.kraken.com'];
const COINBASE = ['api.coinbase.com'];
const OKX = ['www.okx.com'];
const IBKR = ['gdcdyn.interactivebrokers.com', 'ndcdyn.interactivebrokers.com'];
const ALPACA = ['api.alpaca.markets', 'paper-api.alpaca.markets', 'data.alpaca.markets'];

const FACTS: Readonly<Record<Venue, VenueFacts>> = {
  binance: { live: ['api.binance.com'], sandbox: ['testnet.binance.vision'] },
  binancemargin: { live: ['api.binance.com'], sandbox: [] },
  binanceusdm: {
    live: ['fapi.binance.com', 'api.binance.com'],
    sandbox: ['testnet.binancefuture.com'],
  },
  binancecoinm: {
    live: ['dapi.binance.com', 'api.binance.com'],
    sandbox: ['testnet.binancefuture.com'],
  },
  bybit: { live: ['api.bybit.com'], sandbox: ['api-testnet.bybit.com'] },
  bitget: { live: BITGET, sandbox: BITGET },
  mexc: { live: MEXC, sandbox: [] },
  kraken: { live: KRAKEN, sandbox: [] },
  krakenfutures: { live: ['futures.kraken.com'], sandbox: ['demo-futures.kraken.com'] },
  coinbase: { live: COINBASE, sandbox: [] },
  okx: { live: OKX, sandbox: OKX },
  ibkr: { live: IBKR, sandbox: [] },
  alpaca: {
    live: ['api.alpaca.markets', 'data.alpaca.markets'],
    sandbox: ['paper-api.alpaca.markets', 'data.alpaca.markets'],
  },
};

const WEIGHT_A_MINUTE = { windowMs: MINUTE_MS, unit: 'weight' } as const;
const CALLS_A_SECOND = { windowMs: 1000, unit: 'call' } as const;
const CALLS_A_MINUTE = { windowMs: MINUTE_MS, unit: 'call' } as const;
const PUBLIC = { scope: 'address', unit: 'call' } as const;
const X_RATELIMIT = {
  limit: 'x-ratelimit-limit',
  remaining: 'x-ratelimit-remaining',
  reset: { header: 'x-ratelimit-reset', unit: 's' },
} as const;
const BINANCE_USED = {
  scope: 'address',
  used: 'x-mbx-used-weight-1m',
  ...WEIGHT_A_MINUTE,
} as const;
const BINANCE_SAPI = { hosts: BINANCE_SPOT, path: /^\/sapi\//u, ...WEIGHT_A_MINUTE } as const;

export const RULES: readonly Rule[] = [
  // https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
  {
    ...BINANCE_USED,
    name: 'binance_weight',
    hosts: BINANCE_SPOT,
    path: /^\/api\//u,
    capacity: 6000,
  },
  {
    ...BINANCE_SAPI,
    name: 'binance_sapi',
    scope: 'address',
    capacity: 12_000,
    used: 'x-sapi-used-ip-weight-1m',
  },
  {
    ...BINANCE_SAPI,
    name: 'binance_sapi_account',
    scope: 'account',
    capacity: 180_000,
    used: 'x-sapi-used-uid-weight-1m',
  },
  { ...BINANCE_USED, name: 'binance_linear', hosts: BINANCE_LINEAR, capacity: 2400 },
  { ...BINANCE_USED, name: 'binance_inverse', hosts: BINANCE_INVERSE, capacity: 2400 },
  // https://bybit-exchange.github.io/docs/v5/rate-limit: by address, and by account and endpoint.
  { ...PUBLIC, name: 'bybit_address', hosts: BYBIT, capacity: 600, windowMs: 5000 },
  {
    ...CALLS_A_SECOND,
    name: 'bybit_account',
    scope: 'account',
    hosts: BYBIT,
    perPath: true,
    capacity: 10,
    limit: 'x-bapi-limit',
    remaining: 'x-bapi-limit-status',
    reset: { header: 'x-bapi-limit-reset-timestamp', unit: 'ms' },
  },
  { ...PUBLIC, name: 'bitget_address', hosts: BITGET, capacity: 6000, windowMs: MINUTE_MS },
  {
    ...CALLS_A_SECOND,
    name: 'bitget_account',
    scope: 'account',
    hosts: BITGET,
    perPath: true,
    capacity: 10,
    remaining: 'x-mbx-used-remain-limit',
  },
  {
    name: 'mexc_weight',
    scope: 'address',
    hosts: MEXC,
    capacity: 500,
    windowMs: 10_000,
    unit: 'weight',
  },
  // https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits: a counter of 15 that falls by 0.33 a second. A
  // connector's weights are ccxt's, three for each point of it.
  {
    name: 'kraken_counter',
    scope: 'account',
    hosts: KRAKEN,
    path: /^\/0\/private\//u,
    capacity: 45,
    windowMs: 45_000,
    unit: 'weight',
  },
  {
    ...PUBLIC,
    name: 'kraken_public',
    hosts: KRAKEN,
    path: /^\/0\/public\//u,
    capacity: 10,
    windowMs: 10_000,
  },
  {
    name: 'kraken_futures',
    scope: 'account',
    hosts: KRAKEN_FUTURES,
    capacity: 500,
    windowMs: 10_000,
    unit: 'weight',
  },
  {
    ...CALLS_A_SECOND,
    ...X_RATELIMIT,
    name: 'coinbase_account',
    scope: 'account',
    hosts: COINBASE,
    capacity: 30,
  },
  {
    ...CALLS_A_SECOND,
    name: 'coinbase_public',
    scope: 'address',
    hosts: COINBASE,
    path: /^\/api\/v3\/brokerage\/market\//u,
    capacity: 10,
  },
  {
    name: 'okx_account',
    scope: 'account',
    hosts: OKX,
    perPath: true,
    capacity: 10,
    windowMs: 2000,
    unit: 'call',
  },
  {
    ...PUBLIC,
    name: 'okx_public',
    hosts: OKX,
    path: /^\/api\/v5\/public\//u,
    capacity: 20,
    windowMs: 2000,
  },
  // Flex Web Service: 1018 from more than one request a second or ten a minute and token.
  { ...CALLS_A_SECOND, name: 'ibkr_second', scope: 'account', hosts: IBKR, capacity: 1 },
  { ...CALLS_A_MINUTE, name: 'ibkr_minute', scope: 'account', hosts: IBKR, capacity: 10 },
  {
    ...CALLS_A_MINUTE,
    ...X_RATELIMIT,
    name: 'alpaca_account',
    scope: 'account',
    hosts: ALPACA,
    capacity: 200,
  },
];

/** Where a job may call. */
export function hostsOf(venue: Venue, environment: Environment): readonly string[] {
  const facts = FACTS[venue];
  return environment === 'live' ? facts.live : facts.sandbox;
}

/** A status other than 429 that says that our address calls too often; null for most. */
export function addressRefusedBy(venue: Venue): number | null {
  return venue === 'bybit' ? 403 : null;
}

export function rulesFor(host: string, path: string): readonly Rule[] {
  return RULES.filter(
    (rule) => rule.hosts.includes(host) && (rule.path === undefined || rule.path.test(path)),
  );
}
