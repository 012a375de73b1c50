// A wait in simulated time.

import type { Time } from '../../enclave/desk/time.ts';

/** True when `ms` have passed, false when `signal` was given before that. */
export function sleep(time: Time, ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const stop = (): void => {
      cancel();
      resolve(false);
    };
    const cancel = time.after(ms, () => {
      signal.removeEventListener('abort', stop);
      resolve(true);
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}
