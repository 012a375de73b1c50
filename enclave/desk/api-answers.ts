// How the API answers: bytes or JSON with a length, no caching, and for a refusal one form with a closed code. Nothing
// of a request comes back in an answer, and no text of an exception leaves.

import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { toHex } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { REFUSAL_CODES } from '../../wire/codes.ts';
import type { Refusal } from '../../wire/result.ts';
import type { Allowance } from './rate-windows.ts';

/** Status and class, the latter as older clients know it. Everything else is 503, the exchange's or ours. */
const STATUSES: Partial<Readonly<Record<RefusalCode, readonly [number, string]>>> = {
  message_malformed: [400, 'INVALID_REQUEST'],
  api_malformed: [400, 'INVALID_REQUEST'],
  api_too_large: [413, 'INVALID_REQUEST'],
  nonce_invalid: [400, 'INVALID_REQUEST'],
  venue_unknown: [400, 'INVALID_REQUEST'],
  venue_closed: [410, 'EXCHANGE_ERROR'],
  environment_refused: [403, 'INVALID_REQUEST'],
  envelope_malformed: [400, 'ENCRYPTION_ERROR'],
  envelope_key_refused: [400, 'ENCRYPTION_ERROR'],
  envelope_unopened: [400, 'ENCRYPTION_ERROR'],
  envelope_time: [400, 'ENCRYPTION_ERROR'],
  envelope_replayed: [409, 'ENCRYPTION_ERROR'],
  tls_pin_required: [421, 'INVALID_REQUEST'],
  session_unknown: [401, 'INVALID_SESSION'],
  session_limit: [503, 'SERVICE_UNAVAILABLE'],
  exchange_refused: [401, 'INVALID_CREDENTIALS'],
  permission_excessive: [403, 'INSUFFICIENT_PERMISSIONS'],
  exchange_network: [502, 'EXCHANGE_ERROR'],
  exchange_blocked: [502, 'EXCHANGE_ERROR'],
  exchange_answer_invalid: [502, 'EXCHANGE_ERROR'],
  tls_untrusted: [502, 'EXCHANGE_ERROR'],
  exchange_unavailable: [503, 'EXCHANGE_ERROR'],
  exchange_rate_limited: [503, 'EXCHANGE_ERROR'],
  no_figures: [503, 'SERVICE_UNAVAILABLE'],
  rate_limited: [429, 'RATE_LIMIT_EXCEEDED'],
  not_found: [404, 'NOT_FOUND'],
  method_not_allowed: [405, 'METHOD_NOT_ALLOWED'],
  nsm_error: [503, 'ATTESTATION_FAILED'],
  nsm_malformed: [503, 'ATTESTATION_FAILED'],
  nsm_unavailable: [503, 'ATTESTATION_FAILED'],
};

export function statusOf(code: RefusalCode): readonly [number, string] {
  return STATUSES[code] ?? [503, 'SERVICE_UNAVAILABLE'];
}

export interface Failure {
  readonly error: RefusalCode;
  readonly message: string;
  readonly code: string;
  readonly request_id: string;
  readonly timestamp: string;
}

export function failureOf({ code, detail }: Refusal, nowMs: number): Failure {
  // Of a schema of ours: never a name or a value of the request's.
  const { field } = detail;
  const where = typeof field === 'string' && field !== '' ? ` (${field})` : '';
  return {
    error: code,
    message: `${REFUSAL_CODES[code]}${where}`,
    code: statusOf(code)[1],
    request_id: toHex(randomBytes(16)),
    timestamp: new Date(nowMs).toISOString(),
  };
}

export function allowanceHeaders(response: ServerResponse, allowance: Allowance): void {
  response.setHeader('x-ratelimit-limit', allowance.limit);
  response.setHeader('x-ratelimit-remaining', allowance.remaining);
  response.setHeader('x-ratelimit-reset', allowance.resetSeconds);
}

export function answerBytes(
  response: ServerResponse,
  status: number,
  type: string,
  bytes: Uint8Array,
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(bytes);
}

/** `text` is JSON. */
export function answerText(response: ServerResponse, status: number, text: string): void {
  answerBytes(response, status, 'application/json', Buffer.from(`${text}\n`));
}

export function answerJson(response: ServerResponse, status: number, value: object): void {
  answerText(response, status, JSON.stringify(value));
}

export function answerRefusal(response: ServerResponse, refusal: Refusal, nowMs: number): void {
  const [status] = statusOf(refusal.code);
  if (status === 429) response.setHeader('retry-after', 60);
  answerJson(response, status, failureOf(refusal, nowMs));
}

/** Scripts of any web page may read the answer: there are no cookies, and what is in clear is no secret. */
export function allowOrigins(response: ServerResponse): void {
  response.setHeader('access-control-allow-origin', '*');
  response.setHeader(
    'access-control-expose-headers',
    'x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after',
  );
}
