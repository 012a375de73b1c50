// Who may call what at OKX (v5), and how often: an HMAC over timestamp, method, path and body in base64, a
// passphrase, thirty seconds of grace, and requests per two seconds by account and path.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal, reply } from '../../call.ts';
import type { Call, Reply, Trouble } from '../../call.ts';
import { FixedWindow } from '../../limits.ts';
import type { Account, ApiKey, World } from '../../world.ts';

const GRACE_MS = 30_000;
const WINDOW_MS = 2000;

export function okxReply(data: unknown): Reply {
  return reply({ code: '0', msg: '', data });
}

function said(status: number, code: string, msg: string): Reply {
  return reply({ code, msg, data: [] }, status);
}

export function okxRefusal(status: number, code: string, msg: string): Refusal {
  return new Refusal(said(status, code, msg));
}

export function okxTrouble(kind: Trouble): Reply {
  const html = { 'content-type': 'text/html' };
  const replies: Readonly<Record<Trouble, Reply>> = {
    maintenance: said(503, '50001', 'Service temporarily unavailable. Try again later.'),
    unavailable: said(503, '50026', 'System error. Try again later.'),
    rate_limited: said(429, '50011', 'Too Many Requests'),
    banned: said(429, '50011', 'Too Many Requests'),
    geo_blocked: { status: 451, headers: html, body: '<html>451</html>' },
    invalid_nonce: said(401, '50102', 'Timestamp request expired'),
    authentication: said(401, '50111', 'Invalid OK-ACCESS-KEY'),
    permission: said(401, '50120', 'This API key does not have permission to use this function'),
    account: said(200, '50007', 'Account blocked'),
    bad_request: said(400, '51000', 'Parameter instType error'),
  };
  return replies[kind];
}

/** Demo keys come with a header, to the same host. */
export function checkSigned(
  call: Call,
  world: World,
): { readonly account: Account; readonly key: ApiKey } {
  const name = call.headers['ok-access-key'];
  if (name === undefined)
    throw okxRefusal(401, '50103', 'Request header OK-ACCESS-KEY can not be empty');
  const isDemo = call.headers['x-simulated-trading'] === '1';
  const found = world.findKey('okx', isDemo, name);
  if (found === null) {
    const isOther = world.findKey('okx', !isDemo, name) !== null;
    throw isOther
      ? okxRefusal(401, '50101', 'APIKey does not match current environment.')
      : okxRefusal(401, '50111', 'Invalid OK-ACCESS-KEY');
  }
  const { key } = found;
  const isExpired = key.expiresMs !== null && key.expiresMs <= call.nowMs;
  if (key.isRevoked || isExpired) throw okxRefusal(401, '50119', "API key doesn't exist");
  if (call.headers['ok-access-passphrase'] !== key.passphrase) {
    throw okxRefusal(401, '50105', 'Request header OK-ACCESS-PASSPHRASE incorrect');
  }
  const timestamp = call.headers['ok-access-timestamp'] ?? '';
  const atMs = Date.parse(timestamp);
  if (Number.isNaN(atMs)) throw okxRefusal(401, '50112', 'Invalid OK-ACCESS-TIMESTAMP');
  if (Math.abs(call.nowMs - atMs) > GRACE_MS) {
    throw okxRefusal(401, '50102', 'Timestamp request expired');
  }
  const query = call.query === '' ? '' : `?${call.query}`;
  const signed = `${timestamp}${call.method}${call.path}${query}${call.body}`;
  const expected = createHmac('sha256', key.secret).update(signed).digest();
  const given = Buffer.from(call.headers['ok-access-sign'] ?? '', 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw okxRefusal(401, '50113', 'Invalid Sign');
  }
  if (key.addresses !== null && !key.addresses.includes(call.address)) {
    throw okxRefusal(
      401,
      '50110',
      `Your IP ${call.address} is not included in your API key's IP whitelist.`,
    );
  }
  if (!key.permissions.has('read')) {
    throw okxRefusal(401, '50120', 'This API key does not have permission to use this function');
  }
  return found;
}

export class OkxLimits {
  readonly #windows = new Map<number, FixedWindow>();

  charge(call: Call, key: string, limit: number, scale: number): void {
    const window = this.#windows.get(limit) ?? new FixedWindow(limit, WINDOW_MS);
    this.#windows.set(limit, window);
    const use = window.add(`${key} ${call.path}`, 1, call.nowMs, scale);
    if (use.isOver) throw okxRefusal(429, '50011', 'Too Many Requests');
  }
}
