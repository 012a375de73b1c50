// Who may call what at Coinbase: a JWT signed with the key's P-256 key (ES256) that names method, host and path and
// lives two minutes, and requests a second by account. The two APIs, v2 and v3, put errors in their own ways.

import { createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import { Refusal, reply } from '../../call.ts';
import type { Call, Reply, Trouble } from '../../call.ts';
import { FixedWindow } from '../../limits.ts';
import type { Account, ApiKey, World } from '../../world.ts';

const MAX_LIFE_S = 120;
/** Ahead of the venue's clock. */
const LEEWAY_S = 10;
const PRIVATE_PER_SECOND = 30;
const PUBLIC_PER_SECOND = 10;

const HEADER = z.object({ alg: z.literal('ES256'), kid: z.string(), nonce: z.string().optional() });
const CLAIMS = z.object({
  iss: z.enum(['cdp', 'coinbase-cloud']),
  sub: z.string(),
  nbf: z.int(),
  exp: z.int(),
  uri: z.string(),
});

function v2Error(status: number, id: string, message: string): Reply {
  return reply({ errors: [{ id, message }] }, status);
}

function v3Error(status: number, error: string, message: string): Reply {
  return reply({ error, error_details: message, message }, status);
}

export function coinbaseRefusal(call: Call, status: number, id: string, message: string): Refusal {
  const isV2 = call.path.startsWith('/v2/');
  const refused = isV2 ? v2Error(status, id, message) : v3Error(status, id.toUpperCase(), message);
  return new Refusal(refused);
}

const UNAUTHORIZED: Reply = {
  status: 401,
  headers: { 'content-type': 'text/plain' },
  body: 'Unauthorized\n',
};

export function coinbaseTrouble(kind: Trouble, retryAfterS: number): Reply {
  const html = { 'content-type': 'text/html' };
  const later = { 'retry-after': String(retryAfterS) };
  const replies: Readonly<Record<Trouble, Reply>> = {
    maintenance: { status: 503, headers: html, body: '<html>Scheduled maintenance</html>' },
    unavailable: v3Error(503, 'UNAVAILABLE', 'service unavailable'),
    rate_limited: reply(
      { errors: [{ id: 'rate_limit_exceeded', message: 'Too many requests' }] },
      429,
      later,
    ),
    banned: reply(
      { errors: [{ id: 'rate_limit_exceeded', message: 'Too many errors' }] },
      429,
      later,
    ),
    geo_blocked: { status: 451, headers: html, body: '<html>Unavailable For Legal Reasons</html>' },
    invalid_nonce: UNAUTHORIZED,
    authentication: UNAUTHORIZED,
    permission: v3Error(403, 'PERMISSION_DENIED', 'Missing required scopes'),
    account: v3Error(403, 'ACCOUNT_RESTRICTED', 'account is restricted'),
    bad_request: v3Error(400, 'INVALID_ARGUMENT', 'product_id is invalid'),
  };
  return replies[kind];
}

function parsePart(text: string | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(text ?? '', 'base64url').toString('utf8'));
  } catch {
    return null;
  }
}

function refuseKey(call: Call): Refusal {
  if (call.path.startsWith('/v2/')) {
    return coinbaseRefusal(call, 401, 'authentication_error', 'invalid token');
  }
  return new Refusal(UNAUTHORIZED);
}

export function checkSigned(
  call: Call,
  world: World,
): { readonly account: Account; readonly key: ApiKey } {
  const token = /^Bearer (?<token>[\w-]+\.[\w-]+\.[\w-]+)$/u.exec(
    call.headers['authorization'] ?? '',
  )?.groups?.['token'];
  const [head, body, signature] = (token ?? '').split('.');
  const header = HEADER.safeParse(parsePart(head));
  const claims = CLAIMS.safeParse(parsePart(body));
  if (!header.success || !claims.success) throw refuseKey(call);
  const { sub, nbf, exp, uri } = claims.data;
  const found = world.findKey('coinbase', false, header.data.kid);
  if (found === null || found.key.isRevoked || sub !== found.key.key) throw refuseKey(call);
  const { key } = found;
  const publicKey = createPublicKey(key.secret);
  const signed = Buffer.from(`${head ?? ''}.${body ?? ''}`);
  const bytes = Buffer.from(signature ?? '', 'base64url');
  if (!verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes)) {
    throw refuseKey(call);
  }
  const nowS = call.nowMs / 1000;
  const isTimely = nbf <= nowS + LEEWAY_S && exp > nowS && exp - nbf <= MAX_LIFE_S;
  if (!isTimely || uri !== `${call.method} ${call.host}${call.path}`) throw refuseKey(call);
  const isElsewhere = key.addresses !== null && !key.addresses.includes(call.address);
  if (isElsewhere) throw refuseKey(call);
  if (!key.permissions.has('read')) {
    throw coinbaseRefusal(call, 403, 'permission_denied', 'Missing required scopes');
  }
  return found;
}

export class CoinbaseLimits {
  readonly #private: FixedWindow = new FixedWindow(PRIVATE_PER_SECOND, 1000);
  readonly #public: FixedWindow = new FixedWindow(PUBLIC_PER_SECOND, 1000);

  /** The headers of the answer. */
  charge(call: Call, uid: string | null, scale: number): Readonly<Record<string, string>> {
    const window = uid === null ? this.#public : this.#private;
    const use = window.add(uid ?? call.address, 1, call.nowMs, scale);
    const headers = {
      'x-ratelimit-limit': String(use.limit),
      'x-ratelimit-remaining': String(Math.max(0, use.limit - use.used)),
      'x-ratelimit-reset': String(Math.ceil((call.nowMs + use.retryAfterMs) / 1000)),
    };
    if (!use.isOver) return headers;
    const message = 'Too many requests';
    const refused = coinbaseRefusal(call, 429, 'rate_limit_exceeded', message);
    throw new Refusal({ ...refused.reply, headers: { ...refused.reply.headers, ...headers } });
  }
}
