// Who may call what at Binance, and how often: the HMAC over the query as it was sent, the timestamp within
// recvWindow, the key's addresses and permissions, and weights per minute by address or by account.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { integerOf, Refusal } from '../../call.ts';
import type { Call } from '../../call.ts';
import { Bans, FixedWindow } from '../../limits.ts';
import type { Account, ApiKey, World } from '../../world.ts';
import { banned, binanceRefusal, illegalParameter, invalidKey } from './refusals.ts';
import { malformedParameter, tooMany } from './refusals.ts';

export type Pool = 'spot' | 'linear' | 'inverse' | 'sapi-ip' | 'sapi-uid';

const MINUTE_MS = 60_000;
const MAX_RECV_WINDOW_MS = 60_000;
const DEFAULT_RECV_WINDOW_MS = 5000;
/** Ahead of the venue's clock. */
const MAX_AHEAD_MS = 1000;
/** Requests after the first 429 until an address is banned. Binance does not tell its number. */
const STRIKES = 10;
const SIGNATURE = /(?:^|&)signature=(?<signature>[^&]*)/u;

const LIMITS: Readonly<Record<Pool, number>> = {
  spot: 6000,
  linear: 2400,
  inverse: 2400,
  'sapi-ip': 12_000,
  'sapi-uid': 180_000,
};

/** Where what was used is told. */
const HEADERS: Readonly<Record<Pool, string>> = {
  spot: 'x-mbx-used-weight-1m',
  linear: 'x-mbx-used-weight-1m',
  inverse: 'x-mbx-used-weight-1m',
  'sapi-ip': 'x-sapi-used-ip-weight-1m',
  'sapi-uid': 'x-sapi-used-uid-weight-1m',
};

export interface Signer {
  readonly account: Account;
  readonly key: ApiKey;
}

function checkKey(call: Call, world: World, isSandbox: boolean): Signer {
  const name = call.headers['x-mbx-apikey'];
  if (name === undefined || !/^[A-Za-z0-9]{64}$/u.test(name)) {
    throw binanceRefusal(401, -2014, 'API-key format invalid.');
  }
  const found = world.findKey('binance', isSandbox, name);
  if (found === null) throw invalidKey();
  const { key } = found;
  const isExpired = key.expiresMs !== null && key.expiresMs <= call.nowMs;
  const isElsewhere = key.addresses !== null && !key.addresses.includes(call.address);
  if (key.isRevoked || isExpired || isElsewhere || !key.permissions.has('read')) {
    throw invalidKey();
  }
  return found;
}

/** Throws Refusal where the request is not signed as Binance wants it. */
export function checkSigned(call: Call, world: World, isSandbox: boolean): Signer {
  const signer = checkKey(call, world, isSandbox);
  const timestamp = integerOf(call, 'timestamp', illegalParameter);
  const window = integerOf(call, 'recvWindow', illegalParameter) ?? DEFAULT_RECV_WINDOW_MS;
  if (timestamp === null) throw malformedParameter('timestamp');
  if (window > MAX_RECV_WINDOW_MS) {
    throw binanceRefusal(400, -1131, "Parameter 'recvWindow' must be less than 60000.");
  }
  // What is signed is the query and then the body, with nothing between them.
  const total = `${call.query}${call.body}`;
  const given = SIGNATURE.exec(total)?.groups?.['signature'];
  if (given === undefined) throw malformedParameter('signature');
  const signed = total.replace(SIGNATURE, '');
  const expected = createHmac('sha256', signer.key.secret).update(signed).digest();
  const bytes = Buffer.from(given, 'hex');
  if (bytes.length !== expected.length || !timingSafeEqual(bytes, expected)) {
    throw binanceRefusal(400, -1022, 'Signature for this request is not valid.');
  }
  if (timestamp >= call.nowMs + MAX_AHEAD_MS) {
    const text = "Timestamp for this request was 1000ms ahead of the server's time.";
    throw binanceRefusal(400, -1021, text);
  }
  if (call.nowMs - timestamp > window) {
    const text = 'Timestamp for this request is outside of the recvWindow.';
    throw binanceRefusal(400, -1021, text);
  }
  return signer;
}

export class BinanceLimits {
  readonly #windows = new Map<Pool, FixedWindow>();
  readonly #bans = new Bans(STRIKES);

  /** The headers of the answer. Throws Refusal: 429, and 418 once the address went on. */
  charge(call: Call, pool: Pool, weight: number, key: string, scale: number): object {
    const untilMs = this.#bans.untilMs(call.address, call.nowMs);
    if (untilMs !== null) {
      throw new Refusal(banned(call.address, untilMs, seconds(untilMs - call.nowMs)));
    }
    const window = this.#windows.get(pool) ?? new FixedWindow(LIMITS[pool], MINUTE_MS);
    this.#windows.set(pool, window);
    const use = window.add(key, weight, call.nowMs, scale);
    const headers = { [HEADERS[pool]]: String(use.used) };
    if (!use.isOver) return headers;
    this.#bans.strike(call.address, call.nowMs);
    const refused = tooMany(call.address, use.limit, seconds(use.retryAfterMs));
    throw new Refusal({ ...refused, headers: { ...refused.headers, ...headers } });
  }
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
