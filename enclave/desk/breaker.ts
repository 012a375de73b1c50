// Whether a venue is asked at all. After a refusal of our address, maintenance, or several failures in a row the breaker
// opens: nobody calls, until one job may try. If its calls are answered it closes, if not it stays open for longer.
// What concerns one account alone (its key, its permissions) does not count.

import type { CallClass, ErrorClass } from '../connector/classes.ts';

export type BreakerState = 'closed' | 'open' | 'half_open';

interface Opening {
  readonly firstMs: number;
  readonly mostMs: number;
  /** Of failures in a row. */
  readonly after: number;
}

/** What opens it, and for how long; it doubles with each failed try. */
const OPENINGS: Readonly<Partial<Record<ErrorClass, Opening>>> = {
  rate_limited: { firstMs: 60_000, mostMs: 15 * 60_000, after: 1 },
  banned: { firstMs: 5 * 60_000, mostMs: 2 * 3_600_000, after: 1 },
  maintenance: { firstMs: 60_000, mostMs: 10 * 60_000, after: 1 },
  geo_blocked: { firstMs: 3_600_000, mostMs: 24 * 3_600_000, after: 1 },
  unavailable: { firstMs: 30_000, mostMs: 10 * 60_000, after: 5 },
  network: { firstMs: 30_000, mostMs: 10 * 60_000, after: 5 },
  timeout: { firstMs: 30_000, mostMs: 10 * 60_000, after: 5 },
  bad_response: { firstMs: 30_000, mostMs: 10 * 60_000, after: 5 },
  too_large: { firstMs: 30_000, mostMs: 10 * 60_000, after: 5 },
  redirected: { firstMs: 30_000, mostMs: 10 * 60_000, after: 5 },
  tls_untrusted: { firstMs: 60_000, mostMs: 10 * 60_000, after: 5 },
};
/** The longest that a venue's Retry-After is obeyed for. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;
const JITTER = 0.2;

export class Breaker {
  /** From 0 to 1. */
  readonly #random: () => number;
  #state: BreakerState = 'closed';
  /** Why it is open. */
  #reason: ErrorClass | null = null;
  #openUntilMs = 0;
  #failures = 0;
  #openings = 0;
  #probe: object | null = null;
  readonly counters = { opened: 0, closed: 0, probes: 0 };

  constructor(random: () => number) {
    this.#random = random;
  }

  get state(): BreakerState {
    return this.#state;
  }

  get reason(): ErrorClass | null {
    return this.#reason;
  }

  get openUntilMs(): number {
    return this.#openUntilMs;
  }

  /** Null: the job may begin. Else the class for which it may not. `job` is whatever tells jobs apart. */
  admitJob(job: object, nowMs: number): ErrorClass | null {
    if (this.#state === 'closed') return null;
    if (this.#state === 'open' && nowMs >= this.#openUntilMs) this.#state = 'half_open';
    if (this.#state === 'half_open' && this.#probe === null) {
      this.#probe = job;
      this.counters.probes++;
      return null;
    }
    return this.#reason;
  }

  /** Null: this call of an admitted job may go. */
  admitCall(job: object): ErrorClass | null {
    if (this.#state === 'closed') return null;
    return this.#state === 'half_open' && this.#probe === job ? null : this.#reason;
  }

  /** What became of a call; `retryAfterMs` is what the venue said, or null. */
  note(callClass: CallClass, retryAfterMs: number | null, nowMs: number): void {
    const opening = callClass === 'ok' ? undefined : OPENINGS[callClass];
    if (callClass === 'ok' || opening === undefined) {
      // An answer to one account's mistake is an answer.
      if (callClass !== 'invalid_nonce' && callClass !== 'host_not_allowed') this.#close();
      return;
    }
    if (this.#state === 'open') return;
    this.#failures++;
    if (this.#state === 'closed' && this.#failures < opening.after) return;
    this.#open(callClass, opening, retryAfterMs, nowMs);
  }

  /** A job is over; a probe that said nothing leaves the next one its place. */
  release(job: object): void {
    if (this.#probe === job) this.#probe = null;
  }

  #open(
    reason: ErrorClass,
    { firstMs, mostMs }: Opening,
    retryAfterMs: number | null,
    nowMs: number,
  ): void {
    const doubled = Math.min(firstMs * 2 ** Math.min(this.#openings, 20), mostMs);
    const asked = Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
    // Never earlier than the venue has said.
    const forMs = Math.max(doubled, asked) * (1 + this.#random() * JITTER);
    this.#state = 'open';
    this.#reason = reason;
    this.#openUntilMs = nowMs + Math.ceil(forMs);
    this.#openings++;
    this.#probe = null;
    this.counters.opened++;
  }

  #close(): void {
    this.#failures = 0;
    // A late answer to a call from before it opened proves nothing.
    if (this.#state !== 'half_open') return;
    this.#state = 'closed';
    this.#reason = null;
    this.#openings = 0;
    this.#probe = null;
    this.counters.closed++;
  }
}

/** RFC 9110 10.2.3: seconds or a date. Null when there is none. */
export function retryAfterOf(headers: ReadonlyMap<string, string>, nowMs: number): number | null {
  const text = headers.get('retry-after')?.trim();
  if (text === undefined) return null;
  if (/^\d{1,9}$/u.test(text)) return Number(text) * 1000;
  const date = text.endsWith(' GMT') ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}
