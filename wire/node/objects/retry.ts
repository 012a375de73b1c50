// Tries again what is transient, with full jitter and a bound. Source: "Exponential Backoff And Jitter", AWS
// Architecture Blog. What is not a StoreError is a bug and passes through.

import { setTimeout as sleep } from 'node:timers/promises';
import { StoreError } from './store.ts';

export interface RetryPolicy {
  /** Calls in all, the first included. */
  readonly attempts: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** From 0 up to 1; handed in by tests. */
  readonly random?: () => number;
}

/** About ten seconds in the worst case, beside the calls themselves. */
export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 8,
  firstPauseMs: 50,
  longestPauseMs: 5000,
};

/** Throws the last StoreError; `stopped` as soon as the signal says so. */
export async function retryTransient<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  call: () => Promise<T>,
): Promise<T> {
  const random = policy.random ?? Math.random;
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted === true) throw new StoreError('stopped');
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof StoreError) || !error.transient) throw error;
      if (attempt >= policy.attempts) throw error;
    }
    const most = Math.min(policy.longestPauseMs, policy.firstPauseMs * 2 ** (attempt - 1));
    await sleep(random() * most, undefined, signal === undefined ? {} : { signal }).catch(
      () => null,
    );
  }
}
