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
  bitget: { live: ['api.bitget.com'], sandbox: ['api.bitget.com'] },
  mexc: { live: ['api.mexc.com', 'contract.mexc.com'], sandbox: [] },
  kraken: { live: ['api.kraken.com'], sandbox: [] },
  krakenfutures: { live: ['futures.kraken.com'], sandbox: ['demo-futures.kraken.com'] },
  coinbase: { live: ['api.coinbase.com'], sandbox: [] },
  okx: { live: ['www.okx.com'], sandbox: ['www.okx.com'] },
  ibkr: { live: IBKR, sandbox: [] },
  alpaca: {
    live: ['api.alpaca.markets', 'data.alpaca.markets'],
    sandbox: ['paper-api.alpaca.markets', 'data.alpaca.markets'],
  },
};

export const RULES: readonly Rule[] = [
  // https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
  {
    name: 'binance_weight',
    scope: 'address',
    hosts: BINANCE_SPOT,
    path: /^\/api\//u,
    capacity: 6000,
    windowMs: MINUTE_MS,
    unit: 'weight',
    used: 'x-mbx-used-weight-1m',
  },
  {
    name: 'binance_sapi',
    scope: 'address',
    hosts: BINANCE_SPOT,
    path: /^\/sapi\//u,
    capacity: 12_000,
    windowMs: MINUTE_MS,
    unit: 'weight',
    used: 'x-sapi-used-ip-weight-1m',
  },
  {
    name: 'binance_sapi_account',
    scope: 'account',
    hosts: BINANCE_SPOT,
    path: /^\/sapi\//u,
    capacity: 180_000,
    windowMs: MINUTE_MS,
    unit: 'weight',
    used: 'x-sapi-used-uid-weight-1m',
  },
  {
    name: 'binance_linear',
    scope: 'address',
    hosts: BINANCE_LINEAR,
    capacity: 2400,
    windowMs: MINUTE_MS,
    unit: 'weight',
    used: 'x-mbx-used-weight-1m',
  },
  {
    name: 'binance_inverse',
    scope: 'address',
    hosts: BINANCE_INVERSE,
    capacity: 2400,
    windowMs: MINUTE_MS,
    unit: 'weight',
    used: 'x-mbx-used-weight-1m',
  },
  // https://bybit-exchange.github.io/docs/v5/rate-limit: by address, and by account and endpoint.
  {
    name: 'bybit_address',
    scope: 'address',
    hosts: BYBIT,
    capacity: 600,
    windowMs: 5000,
    unit: 'call',
  },
  {
    name: 'bybit_account',
    scope: 'account',
    hosts: BYBIT,
    perPath: true,
    capacity: 10,
    windowMs: 1000,
    unit: 'call',
    limit: 'x-bapi-limit',
    remaining: 'x-bapi-limit-status',
    reset: { header: 'x-bapi-limit-reset-timestamp', unit: 'ms' },
  },
  {
    name: 'bitget_address',
    scope: 'address',
    hosts: ['api.bitget.com'],
    capacity: 6000,
    windowMs: MINUTE_MS,
    unit: 'call',
  },
  {
    name: 'bitget_account',
    scope: 'account',
    hosts: ['api.bitget.com'],
    perPath: true,
    capacity: 10,
    windowMs: 1000,
    unit: 'call',
    remaining: 'x-mbx-used-remain-limit',
  },
  {
    name: 'mexc_weight',
    scope: 'address',
    hosts: ['api.mexc.com', 'contract.mexc.com'],
    capacity: 500,
    windowMs: 10_000,
    unit: 'weight',
  },
  // https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits: a counter of 15 that falls by 0.33 a second. A
  // connector's weights are ccxt's, three for each point of it.
  {
    name: 'kraken_counter',
    scope: 'account',
    hosts: ['api.kraken.com'],
    path: /^\/0\/private\//u,
    capacity: 45,
    windowMs: 45_000,
    unit: 'weight',
  },
  {
    name: 'kraken_public',
    scope: 'address',
    hosts: ['api.kraken.com'],
    path: /^\/0\/public\//u,
    capacity: 10,
    windowMs: 10_000,
    unit: 'call',
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
    name: 'coinbase_account',
    scope: 'account',
    hosts: ['api.coinbase.com'],
    capacity: 30,
    windowMs: 1000,
    unit: 'call',
    limit: 'x-ratelimit-limit',
    remaining: 'x-ratelimit-remaining',
    reset: { header: 'x-ratelimit-reset', unit: 's' },
  },
  {
    name: 'coinbase_public',
    scope: 'address',
    hosts: ['api.coinbase.com'],
    path: /^\/api\/v3\/brokerage\/market\//u,
    capacity: 10,
    windowMs: 1000,
    unit: 'call',
  },
  {
    name: 'okx_account',
    scope: 'account',
    hosts: ['www.okx.com'],
    perPath: true,
    capacity: 10,
    windowMs: 2000,
    unit: 'call',
  },
  {
    name: 'okx_public',
    scope: 'address',
    hosts: ['www.okx.com'],
    path: /^\/api\/v5\/public\//u,
    capacity: 20,
    windowMs: 2000,
    unit: 'call',
  },
  // Flex Web Service: 1018 from more than one request a second or ten a minute and token.
  { name: 'ibkr_second', scope: 'account', hosts: IBKR, capacity: 1, windowMs: 1000, unit: 'call' },
  {
    name: 'ibkr_minute',
    scope: 'account',
    hosts: IBKR,
    capacity: 10,
    windowMs: MINUTE_MS,
    unit: 'call',
  },
  {
    name: 'alpaca_account',
    scope: 'account',
    hosts: ALPACA,
    capacity: 200,
    windowMs: MINUTE_MS,
    unit: 'call',
    limit: 'x-ratelimit-limit',
    remaining: 'x-ratelimit-remaining',
    reset: { header: 'x-ratelimit-reset', unit: 's' },
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
