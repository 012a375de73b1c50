// How many requests a client or a session may make in a minute. A client is a TLS connection: the enclave sees no
// addresses that it could believe, and connections are few and short. What a host lets in over many connections
// is bounded by the windows over all of them.

const WINDOW_MS = 60_000;
/** Sessions of a full enclave, and those of a minute that have ended. */
const MAX_KEYS = 20_000;

/** What X-RateLimit-Limit, -Remaining and -Reset say. */
export interface Allowance {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Seconds since the Unix epoch. */
  readonly resetSeconds: number;
}

interface Window {
  startMs: number;
  taken: number;
}

function takeFrom(window: Window, limit: number, nowMs: number): Allowance {
  if (nowMs - window.startMs >= WINDOW_MS || nowMs < window.startMs) {
    window.startMs = nowMs;
    window.taken = 0;
  }
  const allowed = window.taken < limit;
  if (allowed) window.taken++;
  const resetSeconds = Math.ceil((window.startMs + WINDOW_MS) / 1000);
  return { allowed, limit, remaining: limit - window.taken, resetSeconds };
}

/** The one that leaves least. */
export function tightest(first: Allowance, second: Allowance): Allowance {
  if (first.allowed !== second.allowed) return first.allowed ? second : first;
  return second.remaining < first.remaining ? second : first;
}

/** One window for all. */
export class SharedWindow {
  readonly #limit: number;
  readonly #window: Window = { startMs: 0, taken: 0 };

  constructor(limit: number) {
    this.#limit = limit;
  }

  take(nowMs: number): Allowance {
    return takeFrom(this.#window, this.#limit, nowMs);
  }
}

/** A window for each connection, gone with it. */
export class ConnectionWindows {
  readonly #limit: number;
  readonly #windows = new WeakMap<object, Window>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  take(connection: object, nowMs: number): Allowance {
    const window = this.#windows.get(connection) ?? { startMs: nowMs, taken: 0 };
    this.#windows.set(connection, window);
    return takeFrom(window, this.#limit, nowMs);
  }
}

/** A window for each name that our own code gives. */
export class NamedWindows {
  readonly #limit: number;
  readonly #windows = new Map<string, Window>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  take(name: string, nowMs: number): Allowance {
    let window = this.#windows.get(name);
    if (window === undefined) {
      if (this.#windows.size >= MAX_KEYS) this.#forget(nowMs);
      window = { startMs: nowMs, taken: 0 };
      this.#windows.set(name, window);
    }
    return takeFrom(window, this.#limit, nowMs);
  }

  /** Those whose minute is over; without any the oldest, so that memory stays bounded. */
  #forget(nowMs: number): void {
    for (const [name, { startMs }] of this.#windows) {
      if (nowMs - startMs >= WINDOW_MS) this.#windows.delete(name);
    }
    const [oldest] = this.#windows.keys();
    if (this.#windows.size >= MAX_KEYS && oldest !== undefined) this.#windows.delete(oldest);
  }
}
