// Who may call what at Bybit (v5), and how often: HMAC over timestamp, key, recv_window and the query or body, and
// requests a second by account and path. Errors come with status 200 and a retCode, but for the address's limit.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal, reply } from '../../call.ts';
import type { Call, Reply, Trouble } from '../../call.ts';
import { FixedWindow } from '../../limits.ts';
import type { Account, ApiKey, World } from '../../world.ts';

const DEFAULT_RECV_WINDOW_MS = 5000;
const MAX_AHEAD_MS = 1000;
/** By address. */
const ADDRESS_LIMIT = 600;
const ADDRESS_WINDOW_MS = 5000;

const GEO_BLOCKED =
  '<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY>The Amazon ' +
  'CloudFront distribution is configured to block access from your country.</BODY></HTML>';

export function bybitReply(code: number, message: string, result: unknown, nowMs: number): Reply {
  return reply({ retCode: code, retMsg: message, result, retExtInfo: {}, time: nowMs });
}

export function bybitRefusal(call: Call, code: number, message: string): Refusal {
  return new Refusal(bybitReply(code, message, {}, call.nowMs));
}

export function bybitTrouble(kind: Trouble, nowMs: number, retryAfterS: number): Reply {
  const refused = (code: number, message: string): Reply => bybitReply(code, message, {}, nowMs);
  const text = { 'content-type': 'text/html' };
  const replies: Readonly<Record<Trouble, Reply>> = {
    maintenance: { status: 503, headers: text, body: '<html>System maintenance</html>' },
    unavailable: refused(10_016, 'System error. Please try again later.'),
    rate_limited: {
      ...refused(10_006, 'Too many visits. Exceeded the API Rate Limit.'),
      headers: { 'x-bapi-limit-reset-timestamp': String(nowMs + retryAfterS * 1000) },
    },
    banned: { status: 403, headers: {}, body: 'access too frequent' },
    geo_blocked: { status: 403, headers: text, body: GEO_BLOCKED },
    invalid_nonce: refused(10_002, 'invalid request, please check your server timestamp'),
    authentication: refused(10_003, 'API key is invalid.'),
    permission: refused(10_005, 'Permission denied, please check your API key permissions.'),
    account: refused(10_008, 'Common banned, please check your account mode'),
    bad_request: refused(10_001, 'params error'),
  };
  return replies[kind];
}

function header(call: Call, name: string): string {
  return call.headers[name] ?? '';
}

export function checkSigned(
  call: Call,
  world: World,
  isSandbox: boolean,
): { readonly account: Account; readonly key: ApiKey } {
  const name = header(call, 'x-bapi-api-key');
  if (name === '') throw bybitRefusal(call, 10_007, 'User authentication failed.');
  const found = world.findKey('bybit', isSandbox, name);
  if (found === null || found.key.isRevoked) {
    throw bybitRefusal(call, 10_003, 'API key is invalid.');
  }
  const { key } = found;
  if (key.expiresMs !== null && key.expiresMs <= call.nowMs) {
    throw bybitRefusal(call, 33_004, 'Your api key has expired.');
  }
  const timestamp = header(call, 'x-bapi-timestamp');
  const given = header(call, 'x-bapi-recv-window');
  const window = given === '' ? DEFAULT_RECV_WINDOW_MS : Number(given);
  const atMs = Number(timestamp);
  if (!(atMs >= call.nowMs - window && atMs < call.nowMs + MAX_AHEAD_MS)) {
    const text =
      'invalid request, please check your server timestamp or recv_window param. ' +
      `req_timestamp[${timestamp}],server_timestamp[${String(call.nowMs)}],recv_window[${given}]`;
    throw bybitRefusal(call, 10_002, text);
  }
  const payload = call.method === 'GET' ? call.query : call.body;
  const signed = `${timestamp}${name}${given}${payload}`;
  const expected = createHmac('sha256', key.secret).update(signed).digest();
  const bytes = Buffer.from(header(call, 'x-bapi-sign'), 'hex');
  if (bytes.length !== expected.length || !timingSafeEqual(bytes, expected)) {
    const text = `error sign! origin_string[${signed}]`;
    throw bybitRefusal(call, 10_004, text);
  }
  if (key.addresses !== null && !key.addresses.includes(call.address)) {
    throw bybitRefusal(call, 10_010, 'Unmatched IP, please check your API key bound IP addresses.');
  }
  if (!key.permissions.has('read')) {
    throw bybitRefusal(call, 10_005, 'Permission denied, please check your API key permissions.');
  }
  return found;
}

export class BybitLimits {
  readonly #byAddress: FixedWindow = new FixedWindow(ADDRESS_LIMIT, ADDRESS_WINDOW_MS);
  readonly #byPath = new Map<number, FixedWindow>();

  chargeAddress(call: Call, scale: number): void {
    const use = this.#byAddress.add(call.address, 1, call.nowMs, scale);
    if (use.isOver) throw new Refusal(bybitTrouble('banned', call.nowMs, 600));
  }

  /** The headers of the answer. */
  chargeAccount(call: Call, uid: string, perSecond: number, scale: number): object {
    const window = this.#byPath.get(perSecond) ?? new FixedWindow(perSecond, 1000);
    this.#byPath.set(perSecond, window);
    const use = window.add(`${uid} ${call.path}`, 1, call.nowMs, scale);
    const headers = {
      'x-bapi-limit': String(use.limit),
      'x-bapi-limit-status': String(Math.max(0, use.limit - use.used)),
      'x-bapi-limit-reset-timestamp': String(call.nowMs + use.retryAfterMs),
    };
    if (!use.isOver) return headers;
    const refused = bybitReply(
      10_006,
      'Too many visits. Exceeded the API Rate Limit.',
      {},
      call.nowMs,
    );
    throw new Refusal({ ...refused, headers: { ...refused.headers, ...headers } });
  }
}
