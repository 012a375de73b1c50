// Who may call what at MEXC, and how often. Spot signs the query like Binance does; contracts sign key, time and
// query in headers. Errors of the one are {code, msg}, of the other {success: false, code, message}.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal, reply } from '../../call.ts';
import type { Call, Reply, Trouble } from '../../call.ts';
import { FixedWindow } from '../../limits.ts';
import type { Account, ApiKey, World } from '../../world.ts';

interface Signer {
  readonly account: Account;
  readonly key: ApiKey;
}

const MAX_RECV_WINDOW_MS = 60_000;
const DEFAULT_RECV_WINDOW_MS = 5000;
const CONTRACT_WINDOW_MS = 10_000;
const WEIGHT = 500;
const WEIGHT_WINDOW_MS = 10_000;
const SIGNATURE = /(?:^|&)signature=(?<signature>[^&]*)/u;

export function spotRefusal(status: number, code: number, msg: string): Refusal {
  return new Refusal(reply({ code, msg }, status));
}

export function contractRefusal(code: number, message: string): Refusal {
  return new Refusal(reply({ success: false, code, message }));
}

function said(status: number, code: number, msg: string): Reply {
  return reply({ code, msg }, status);
}

export function mexcTrouble(kind: Trouble, retryAfterS: number): Reply {
  const html = { 'content-type': 'text/html' };
  const later = { 'retry-after': String(retryAfterS) };
  const replies: Readonly<Record<Trouble, Reply>> = {
    maintenance: said(503, 801, 'System under maintenance'),
    unavailable: said(503, 503, 'service not available, please try again'),
    rate_limited: reply({ code: 429, msg: 'Too Many Requests' }, 429, later),
    banned: { status: 403, headers: html, body: '<html>403 Forbidden</html>' },
    geo_blocked: { status: 451, headers: html, body: '<html>451</html>' },
    invalid_nonce: said(400, 700_003, 'Timestamp for this request is outside of the recvWindow.'),
    authentication: said(400, 10_072, 'Api key info invalid'),
    permission: said(400, 700_007, 'No permission to access the endpoint.'),
    account: said(400, 10_001, 'user does not exist'),
    bad_request: said(400, 10_007, 'bad symbol'),
  };
  return replies[kind];
}

function isSigned(secret: string, text: string, given: string): boolean {
  const expected = createHmac('sha256', secret).update(text).digest();
  const bytes = Buffer.from(given, 'hex');
  return bytes.length === expected.length && timingSafeEqual(bytes, expected);
}

function isUsable(call: Call, { key }: Signer): boolean {
  const isExpired = key.expiresMs !== null && key.expiresMs <= call.nowMs;
  return !key.isRevoked && !isExpired;
}

export function checkSpot(call: Call, world: World): Signer {
  const found = world.findKey('mexc', false, call.headers['x-mexc-apikey'] ?? '');
  if (found === null || !isUsable(call, found)) {
    throw spotRefusal(400, 10_072, 'Api key info invalid');
  }
  const { key } = found;
  const given = SIGNATURE.exec(call.query)?.groups?.['signature'] ?? '';
  if (!isSigned(key.secret, call.query.replace(SIGNATURE, ''), given)) {
    throw spotRefusal(400, 700_002, 'Signature for this request is not valid.');
  }
  const timestamp = Number(call.parameters.get('timestamp') ?? 'NaN');
  const window = Number(call.parameters.get('recvWindow') ?? String(DEFAULT_RECV_WINDOW_MS));
  const isTimely = timestamp < call.nowMs + 1000 && call.nowMs - timestamp <= window;
  if (!isTimely || window > MAX_RECV_WINDOW_MS) {
    const text = 'Timestamp for this request is outside of the recvWindow.';
    throw spotRefusal(400, 700_003, text);
  }
  if (key.addresses !== null && !key.addresses.includes(call.address)) {
    throw spotRefusal(400, 700_006, `IP [${call.address}] not in the ip white list`);
  }
  if (!key.permissions.has('read')) {
    throw spotRefusal(400, 700_007, 'No permission to access the endpoint.');
  }
  return found;
}

export function checkContract(call: Call, world: World): Signer {
  const name = call.headers['apikey'] ?? '';
  const found = world.findKey('mexc', false, name);
  if (found === null || !isUsable(call, found)) throw contractRefusal(402, 'Api key expired');
  const time = call.headers['request-time'] ?? '';
  if (!isSigned(found.key.secret, `${name}${time}${call.query}`, call.headers['signature'] ?? '')) {
    throw contractRefusal(602, 'Confirming signature failed');
  }
  if (!(Math.abs(call.nowMs - Number(time)) <= CONTRACT_WINDOW_MS)) {
    throw contractRefusal(10_073, 'invalid Request-Time');
  }
  const { key } = found;
  if (key.addresses !== null && !key.addresses.includes(call.address)) {
    throw contractRefusal(406, 'IP not in the whitelist');
  }
  if (!key.permissions.has('read')) throw contractRefusal(701, 'Please enable API Key read access');
  return found;
}

export class MexcLimits {
  readonly #window: FixedWindow = new FixedWindow(WEIGHT, WEIGHT_WINDOW_MS);

  /** Per path. */
  charge(call: Call, weight: number, scale: number): void {
    const use = this.#window.add(`${call.address} ${call.path}`, weight, call.nowMs, scale);
    if (!use.isOver) return;
    const later = { 'retry-after': String(Math.ceil(use.retryAfterMs / 1000)) };
    throw new Refusal(reply({ code: 429, msg: 'Too Many Requests' }, 429, later));
  }
}
