// Who may call what at Kraken Futures: Authent over the query, an optional nonce and the path without
// `/derivatives`, and a budget of costs in ten seconds.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal, reply } from '../../call.ts';
import type { Call, Reply, Trouble } from '../../call.ts';
import { FixedWindow } from '../../limits.ts';
import type { Account, ApiKey, World } from '../../world.ts';

const BUDGET = 500;
const WINDOW_MS = 10_000;

function said(error: string, nowMs: number, status = 200): Reply {
  return reply({ result: 'error', error, serverTime: new Date(nowMs).toISOString() }, status);
}

export function futuresRefusal(call: Call, error: string): Refusal {
  return new Refusal(said(error, call.nowMs));
}

export function futuresTrouble(kind: Trouble, nowMs: number, retryAfterS: number): Reply {
  const html = { 'content-type': 'text/html' };
  const limited = said('apiLimitExceeded', nowMs, 429);
  const replies: Readonly<Record<Trouble, Reply>> = {
    maintenance: { status: 503, headers: html, body: '<html>maintenance</html>' },
    unavailable: said('unavailable', nowMs),
    rate_limited: said('apiLimitExceeded', nowMs),
    banned: { ...limited, headers: { ...limited.headers, 'retry-after': String(retryAfterS) } },
    geo_blocked: { status: 451, headers: html, body: '<html>451</html>' },
    invalid_nonce: said('nonceBelowThreshold', nowMs),
    authentication: said('authenticationError', nowMs),
    permission: said('authenticationError', nowMs),
    account: said('accountInactive', nowMs),
    bad_request: said('invalidArgument: symbol', nowMs),
  };
  return replies[kind];
}

export function checkSigned(
  call: Call,
  world: World,
): { readonly account: Account; readonly key: ApiKey } {
  const isSandbox = call.host.startsWith('demo-');
  const found = world.findKey('krakenfutures', isSandbox, call.headers['apikey'] ?? '');
  const refused = futuresRefusal(call, 'authenticationError');
  if (found === null || found.key.isRevoked || !found.key.permissions.has('read')) throw refused;
  const { key } = found;
  const nonce = call.headers['nonce'] ?? '';
  const path = call.path.replace(/^\/derivatives/u, '');
  const hash = createHash('sha256').update(`${call.query}${call.body}${nonce}${path}`).digest();
  const expected = createHmac('sha512', Buffer.from(key.secret, 'base64')).update(hash).digest();
  const given = Buffer.from(call.headers['authent'] ?? '', 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw refused;
  if (key.addresses !== null && !key.addresses.includes(call.address)) throw refused;
  if (nonce !== '') {
    if (!/^\d{1,19}$/u.test(nonce)) throw futuresRefusal(call, 'nonceBelowThreshold');
    if (BigInt(nonce) <= key.nonce) throw futuresRefusal(call, 'nonceDuplicate');
    key.nonce = BigInt(nonce);
  }
  return found;
}

export class FuturesLimits {
  readonly #window: FixedWindow = new FixedWindow(BUDGET, WINDOW_MS);

  charge(call: Call, key: ApiKey, cost: number, scale: number): void {
    const use = this.#window.add(key.key, cost, call.nowMs, scale);
    if (use.isOver) throw futuresRefusal(call, 'apiLimitExceeded');
  }
}
