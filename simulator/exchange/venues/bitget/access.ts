// Who may call what at Bitget (v2), and how often: an HMAC over timestamp, method, path and query in base64, a
// passphrase, thirty seconds of grace, and requests a second by account and path.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal, reply } from '../../call.ts';
import type { Call, Reply, Trouble } from '../../call.ts';
import { FixedWindow } from '../../limits.ts';
import type { Account, ApiKey, World } from '../../world.ts';

const GRACE_MS = 30_000;
const PER_SECOND = 10;

function said(status: number, code: string, msg: string, nowMs: number): Reply {
  return reply({ code, msg, requestTime: nowMs, data: null }, status);
}

export function bitgetReply(call: Call, data: unknown): Reply {
  return reply({ code: '00000', msg: 'success', requestTime: call.nowMs, data });
}

export function bitgetRefusal(call: Call, status: number, code: string, msg: string): Refusal {
  return new Refusal(said(status, code, msg, call.nowMs));
}

export function bitgetTrouble(kind: Trouble, nowMs: number): Reply {
  const html = { 'content-type': 'text/html' };
  const replies: Readonly<Record<Trouble, Reply>> = {
    maintenance: said(400, '40200', 'Server upgrade, please try again later', nowMs),
    unavailable: said(500, '40015', 'System is abnormal, please try again later', nowMs),
    rate_limited: said(429, '429', 'Too Many Requests', nowMs),
    banned: said(429, '429', 'Too Many Requests', nowMs),
    geo_blocked: { status: 451, headers: html, body: '<html>451</html>' },
    invalid_nonce: said(400, '40008', 'Request timestamp expired', nowMs),
    authentication: said(400, '40006', 'Invalid ACCESS_KEY', nowMs),
    permission: said(400, '40014', 'Incorrect permissions, need read permissions', nowMs),
    account: said(400, '40013', 'User status is abnormal', nowMs),
    bad_request: said(400, '40020', 'Parameter symbol error', nowMs),
  };
  return replies[kind];
}

/** Demo keys come with a header, to the same host. */
export function checkSigned(
  call: Call,
  world: World,
): { readonly account: Account; readonly key: ApiKey } {
  const isDemo = call.headers['paptrading'] === '1';
  const found = world.findKey('bitget', isDemo, call.headers['access-key'] ?? '');
  if (found === null) throw bitgetRefusal(call, 400, '40006', 'Invalid ACCESS_KEY');
  const { key } = found;
  const isExpired = key.expiresMs !== null && key.expiresMs <= call.nowMs;
  if (key.isRevoked || isExpired) throw bitgetRefusal(call, 400, '40037', 'Apikey does not exist');
  const timestamp = call.headers['access-timestamp'] ?? '';
  if (!(Math.abs(call.nowMs - Number(timestamp)) <= GRACE_MS)) {
    throw bitgetRefusal(call, 400, '40008', 'Request timestamp expired');
  }
  if (call.headers['access-passphrase'] !== key.passphrase) {
    throw bitgetRefusal(call, 400, '40012', 'apikey/password is incorrect');
  }
  const query = call.query === '' ? '' : `?${decodeURIComponent(call.query)}`;
  const signed = `${timestamp}${call.method}${call.path}${query}${call.body}`;
  const expected = createHmac('sha256', key.secret).update(signed).digest();
  const given = Buffer.from(call.headers['access-sign'] ?? '', 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw bitgetRefusal(call, 400, '40009', 'sign signature error');
  }
  if (key.addresses !== null && !key.addresses.includes(call.address)) {
    throw bitgetRefusal(call, 400, '40018', 'Invalid IP');
  }
  if (!key.permissions.has('read')) {
    const text = 'Incorrect permissions, need read permissions';
    throw bitgetRefusal(call, 400, '40014', text);
  }
  return found;
}

export class BitgetLimits {
  readonly #window: FixedWindow = new FixedWindow(PER_SECOND, 1000);

  charge(call: Call, key: string, scale: number): void {
    const use = this.#window.add(`${key} ${call.path}`, 1, call.nowMs, scale);
    if (use.isOver) throw bitgetRefusal(call, 429, '429', 'Too Many Requests');
  }
}
