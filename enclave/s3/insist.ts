// Asks S3 again until it answers, with full jitter between the tries. In the boot a refusal that would be
// repeated ends it with its code; later nothing but a stop does: a log that cannot be written waits
// (docs/decisions/0007), whatever the reason, and the operator may put it right meanwhile.

import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { equalBytes } from '../../wire/bytes.ts';
import { Fatal } from '../fatal.ts';
import type { Bucket } from './bucket.ts';
import { S3Error } from './bucket.ts';

export interface Insistence {
  readonly signal: AbortSignal;
  /** In the boot: refusals count. */
  readonly refusable: boolean;
  /** Longest pause after the first try; doubled from one to the next. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly onRetry?: () => void;
}

/** Throws a Fatal: of the work, of a refusal, or `log_unavailable` when it was stopped. */
export async function insist<T>(
  { signal, refusable, firstPauseMs, longestPauseMs, onRetry }: Insistence,
  work: () => Promise<T>,
): Promise<T> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    if (signal.aborted) throw new Fatal('log_unavailable');
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      if (refusable && error.code !== null) throw new Fatal(error.code);
    }
    onRetry?.();
    await sleep(randomInt(pauseMs), undefined, { signal }).catch(() => null);
  }
}

/**
 * Null: these bytes are there, from this request or from one whose answer was lost. Otherwise what is
 * there in their place. Throws an S3Error.
 */
export async function createOnce(
  bucket: Bucket,
  key: string,
  bytes: Uint8Array,
  retainUntil: Date,
): Promise<Uint8Array | null> {
  if (await bucket.create(key, bytes, retainUntil)) return null;
  const there = await bucket.read(key);
  // Hidden by a delete marker meanwhile: the next try finds out.
  if (there === null) throw new S3Error(null);
  return equalBytes(there, bytes) ? null : there;
}
