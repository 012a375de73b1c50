// Binance's errors: a status, a code and the message that clients match on.

import { Refusal, reply } from '../../call.ts';
import type { Reply, Trouble } from '../../call.ts';

function said(status: number, code: number, msg: string, headers = {}): Reply {
  return reply({ code, msg }, status, headers);
}

export function binanceRefusal(status: number, code: number, msg: string): Refusal {
  return new Refusal(said(status, code, msg));
}

export function malformedParameter(name: string): Refusal {
  const text = `Mandatory parameter '${name}' was not sent, was empty/null, or malformed.`;
  return binanceRefusal(400, -1102, text);
}

export function illegalParameter(name: string): Refusal {
  return binanceRefusal(400, -1100, `Illegal characters found in parameter '${name}'.`);
}

const RESTRICTED =
  "Service unavailable from a restricted location according to 'b. Eligibility' in " +
  'https://www.binance.com/en/terms. Please contact customer service if you believe you received ' +
  'this message in error.';
const INVALID_KEY = 'Invalid API-key, IP, or permissions for action.';

export function tooMany(address: string, limit: number, retryAfterS: number): Reply {
  const text = `Too many requests; current limit of IP(${address}) is ${String(limit)} requests per minute.`;
  return said(429, -1003, text, { 'retry-after': String(retryAfterS) });
}

export function banned(address: string, untilMs: number, retryAfterS: number): Reply {
  const text =
    `Way too many requests; IP(${address}) banned until ${String(untilMs)}. ` +
    'Please use the websocket for live updates to avoid bans.';
  return said(418, -1003, text, { 'retry-after': String(retryAfterS) });
}

export function binanceTrouble(kind: Trouble, retryAfterS: number, nowMs: number): Reply {
  const replies: Readonly<Record<Trouble, Reply>> = {
    maintenance: said(503, 1, 'System is under maintenance.'),
    unavailable: said(
      503,
      -1001,
      'Internal error; unable to process your request. Please try again.',
    ),
    rate_limited: tooMany('127.0.0.1', 6000, retryAfterS),
    banned: banned('127.0.0.1', nowMs + retryAfterS * 1000, retryAfterS),
    geo_blocked: said(451, 0, RESTRICTED),
    invalid_nonce: said(400, -1021, 'Timestamp for this request is outside of the recvWindow.'),
    authentication: said(401, -2014, 'API-key format invalid.'),
    permission: said(401, -2015, INVALID_KEY),
    account: said(400, -3003, 'Margin account does not exist.'),
    bad_request: said(400, -1100, "Illegal characters found in parameter 'symbol'."),
  };
  return replies[kind];
}

export function invalidKey(): Refusal {
  return binanceRefusal(401, -2015, INVALID_KEY);
}
