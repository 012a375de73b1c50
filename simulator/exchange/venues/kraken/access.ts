// Who may call what at Kraken (spot), and how often: API-Sign over path, nonce and body, nonces that rise, and a
// counter per key that decays. Everything is answered with status 200; errors are a list of texts.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal, reply } from '../../call.ts';
import type { Call, Reply, Trouble } from '../../call.ts';
import { Decaying } from '../../limits.ts';
import type { Account, ApiKey, World } from '../../world.ts';

/** Intermediate tier: 20, one less every two seconds. */
const COUNTER = 20;
const PER_SECOND = 0.5;

export function krakenReply(result: unknown): Reply {
  return reply({ error: [], result });
}

function said(error: string, status = 200): Reply {
  return reply({ error: [error] }, status);
}

export function krakenRefusal(error: string): Refusal {
  return new Refusal(said(error));
}

export function krakenTrouble(kind: Trouble): Reply {
  const text = { 'content-type': 'text/html' };
  const replies: Readonly<Record<Trouble, Reply>> = {
    maintenance: said('EService:Market in cancel_only mode'),
    unavailable: said('EService:Unavailable'),
    rate_limited: said('EAPI:Rate limit exceeded'),
    banned: said('EGeneral:Temporary lockout'),
    geo_blocked: { status: 451, headers: text, body: '<html>Unavailable For Legal Reasons</html>' },
    invalid_nonce: said('EAPI:Invalid nonce'),
    authentication: said('EAPI:Invalid key'),
    permission: said('EGeneral:Permission denied'),
    account: said('EAccount:Invalid permissions'),
    bad_request: said('EGeneral:Invalid arguments'),
  };
  return replies[kind];
}

interface Signer {
  readonly account: Account;
  readonly key: ApiKey;
}

export function checkSigned(call: Call, world: World): Signer {
  const found = world.findKey('kraken', false, call.headers['api-key'] ?? '');
  if (found === null || found.key.isRevoked) throw krakenRefusal('EAPI:Invalid key');
  const { key } = found;
  const nonce = call.parameters.get('nonce') ?? '';
  if (!/^\d{1,19}$/u.test(nonce)) throw krakenRefusal('EAPI:Invalid nonce');
  const hash = createHash('sha256').update(`${nonce}${call.body}`).digest();
  const mac = createHmac('sha512', Buffer.from(key.secret, 'base64'));
  const expected = mac.update(call.path).update(hash).digest();
  const given = Buffer.from(call.headers['api-sign'] ?? '', 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw krakenRefusal('EAPI:Invalid signature');
  }
  const isElsewhere = key.addresses !== null && !key.addresses.includes(call.address);
  if (isElsewhere) throw krakenRefusal('EAPI:Invalid key');
  if (key.expiresMs !== null && key.expiresMs <= call.nowMs)
    throw krakenRefusal('EAPI:Invalid key');
  if (BigInt(nonce) <= key.nonce) throw krakenRefusal('EAPI:Invalid nonce');
  key.nonce = BigInt(nonce);
  if (!key.permissions.has('read')) throw krakenRefusal('EGeneral:Permission denied');
  return found;
}

export class KrakenLimits {
  readonly #counter: Decaying = new Decaying(COUNTER, PER_SECOND);

  charge(call: Call, key: ApiKey, cost: number, scale: number): void {
    const use = this.#counter.add(key.key, cost, call.nowMs, scale);
    if (use.isOver) throw krakenRefusal('EAPI:Rate limit exceeded');
  }
}
