// What S3 and the SDK say when something fails, as the closed codes of store.ts. Source: Amazon S3 API,
// "Error responses". Whatever is not known is taken for an answer that is not as documented. No text of the
// answer is kept but its error code, and that only if it is a plain word.

import { ANSWER_TOO_LARGE } from './answer-cap.ts';
import { StoreError } from './store.ts';
import type { StoreErrorCode } from './store.ts';

/** What is no error for a store, but an answer. */
export type S3Outcome = 'absent' | 'exists' | StoreError;

const BY_NAME: Readonly<Record<string, StoreErrorCode>> = {
  BadDigest: 'checksum_mismatch',
  XAmzContentChecksumMismatch: 'checksum_mismatch',
  XAmzContentSHA256Mismatch: 'checksum_mismatch',
  ConditionalRequestConflict: 'conflict',
  OperationAborted: 'conflict',
  CredentialsProviderError: 'credentials_expired',
  ExpiredToken: 'credentials_expired',
  RequestExpired: 'credentials_expired',
  RequestTimeTooSkewed: 'credentials_expired',
  TokenRefreshRequired: 'credentials_expired',
  IncompleteBody: 'unreachable',
  RequestTimeout: 'unreachable',
  TimeoutError: 'unreachable',
  AbortError: 'unreachable',
  NoSuchBucket: 'bucket_missing',
  NotImplemented: 'request_refused',
  SlowDown: 'unavailable',
  [ANSWER_TOO_LARGE]: 'answer_invalid',
};

/** Of sockets and TLS: the peer was not there, or not the one it should be. */
const SYSTEM = /^(?:E[A-Z]+|ERR_(?:TLS|SSL|SOCKET|STREAM|HTTP)_[A-Z_]+|UND_[A-Z_]+|CERT_[A-Z_]+)$/u;

function codeOf(status: number): StoreErrorCode {
  if (status === 429 || status >= 500) return 'unavailable';
  if (status === 401 || status === 403) return 'denied';
  return status >= 300 && status < 500 ? 'request_refused' : 'answer_invalid';
}

function statusOf(error: object): number | null {
  const metadata = '$metadata' in error ? error.$metadata : null;
  if (typeof metadata !== 'object' || metadata === null) return null;
  const status = 'httpStatusCode' in metadata ? metadata.httpStatusCode : null;
  return typeof status === 'number' ? status : null;
}

function isSystem(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : '';
  return SYSTEM.test(code) || /aborted|socket hang up|was cut|premature/iu.test(error.message);
}

export function s3Outcome(error: unknown, key: string): S3Outcome {
  if (error instanceof StoreError) return error;
  if (!(error instanceof Error)) return new StoreError('answer_invalid', { key });
  const reason = /^[A-Za-z0-9]{1,64}$/u.test(error.name) ? error.name : 'unknown';
  const status = statusOf(error);
  if (status === 412) return 'exists';
  // 405: a delete marker asked for by its version.
  const isAbsent = (status === 404 && reason !== 'NoSuchBucket') || status === 405;
  if (isAbsent) return 'absent';
  // The SDK compares checksums itself.
  if (error.message.startsWith('Checksum mismatch'))
    return new StoreError('checksum_mismatch', { key });
  const named = BY_NAME[reason];
  if (status === null || status < 300) {
    const code = named ?? (isSystem(error) ? 'unreachable' : 'answer_invalid');
    return new StoreError(code, { key, reason });
  }
  return new StoreError(named ?? codeOf(status), { key, reason, status });
}
