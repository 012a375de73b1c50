// What became of a call, as one of the closed classes: from the desk's own words, the HTTP status, and ccxt's
// exception. The status comes first where ccxt is wrong: it takes 451 for an outage, and unknown 4xx too.

import {
  AccountSuspended,
  AuthenticationError,
  BadRequest,
  BadResponse,
  BaseError,
  DDoSProtection,
  ExchangeNotAvailable,
  InvalidNonce,
  NotSupported,
  OnMaintenance,
  OperationFailed,
  PermissionDenied,
  RateLimitExceeded,
  RequestTimeout,
  RestrictedLocation,
} from '../../node_modules/ccxt/js/src/base/errors.js';
import type { ErrorClass } from './classes.ts';

/** The one error that leaves a call; its message is the class, never a venue's words. */
export class CallError extends Error {
  readonly errorClass: ErrorClass;
  readonly retryAfterMs: number | null;
  constructor(errorClass: ErrorClass, retryAfterMs: number | null = null) {
    super(errorClass);
    this.errorClass = errorClass;
    this.retryAfterMs = retryAfterMs;
  }
}

/** By the status alone; null where the body decides. */
function classOfStatus(status: number): ErrorClass | null {
  if (status === 451) return 'geo_blocked';
  if (status === 418) return 'banned';
  if (status === 429) return 'rate_limited';
  if (status >= 300 && status < 400) return 'redirected';
  return null;
}

/** Where neither ccxt nor we know the body. */
function classOfUnknown(status: number): ErrorClass {
  if (status === 401) return 'authentication';
  if (status === 403) return 'permission';
  if (status === 408) return 'timeout';
  if (status >= 500) return 'unavailable';
  return status >= 400 ? 'bad_request' : 'bad_response';
}

const COUNTRY = /(?:your|this) (?:country|region)|restricted (?:location|region)/iu;
const LATER = /try again|system (?:error|busy)|internal (?:server )?error|unavailable/iu;

/** Where ccxt has only a general class for an error of the venue: what it says of itself. */
function classOfWords(words: string, status: number): ErrorClass {
  if (status >= 500 || LATER.test(words)) return 'unavailable';
  return /permission/iu.test(words) ? 'permission' : 'bad_request';
}

type ErrorType = abstract new (...values: never[]) => Error;

/** More special ones first. */
const CCXT_CLASSES: readonly (readonly [ErrorType, ErrorClass])[] = [
  [RestrictedLocation, 'geo_blocked'],
  [AccountSuspended, 'account'],
  [PermissionDenied, 'permission'],
  [AuthenticationError, 'authentication'],
  [NotSupported, 'not_supported'],
  [BadRequest, 'bad_request'],
  [DDoSProtection, 'rate_limited'],
  [RateLimitExceeded, 'rate_limited'],
  [OnMaintenance, 'maintenance'],
  [InvalidNonce, 'invalid_nonce'],
  [RequestTimeout, 'timeout'],
  [BadResponse, 'bad_response'],
];

/**
 * The class of what was thrown while an answer with this status was read. What no class of ccxt's is comes of an
 * answer of another shape than its parsers know, and is nothing that could be done better here.
 */
export function classOfThrown(error: unknown, status: number): ErrorClass {
  if (error instanceof CallError) return error.errorClass;
  const certain = classOfStatus(status);
  if (certain !== null) return certain;
  // Bybit answers a ban and a blocked country with the same status, which ccxt takes for a rate limit.
  if (status === 403 && error instanceof BaseError && COUNTRY.test(error.message)) {
    return 'geo_blocked';
  }
  for (const [type, errorClass] of CCXT_CLASSES) if (error instanceof type) return errorClass;
  // ccxt's answer to a status that it knows nothing better about.
  if (error instanceof ExchangeNotAvailable)
    return status < 400 ? 'unavailable' : classOfUnknown(status);
  // The venue answered, with a failure of its own.
  if (error instanceof OperationFailed) return status > 0 ? 'unavailable' : 'network';
  return error instanceof BaseError ? classOfWords(error.message, status) : 'bad_response';
}

/** Of an answer that our own adapters read; null: go on with its body. */
export function classOfAnswer(status: number): ErrorClass | null {
  if (status >= 200 && status < 300) return null;
  return classOfStatus(status) ?? classOfUnknown(status);
}
