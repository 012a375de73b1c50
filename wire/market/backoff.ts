// How long to wait before the next attempt: twice as long each time up to a cap, and never the same for
// everybody, so that a venue that comes back is not met by all at once.

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Between half and all of firstMs × 2^attempt, at most maxMs. `random` is in [0, 1). */
export function backoffMs({ firstMs, maxMs }: Backoff, attempt: number, random: number): number {
  const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
  return Math.round(fullMs * (0.5 + random / 2));
}
