// Every call to the store goes through here: what fails is tried again, for as long as it takes, after a
// random part of a pause that doubles ("full jitter"). After a few failures in a row the circuit opens:
// one caller tries, the others wait for it. An alarm says so, again every minute, and when it is over.
// What no later call can mend by itself is also tried again: an operator may mend it.

import type { ObjectStore } from '../../wire/node/objects/store.ts';
import { StoreError } from '../../wire/node/objects/store.ts';
import type { Logger } from '../logger.ts';

const OPEN_AFTER = 3;
const FIRST_PAUSE_MS = 100;
const ALARM_EVERY_MS = 60_000;

export type CircuitState = 'closed' | 'open' | 'half_open';

export interface CircuitOptions {
  readonly store: ObjectStore;
  readonly logger: Logger;
  readonly maxPauseMs: number;
  readonly nowMs: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Resolves after `ms`, earlier when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Every call that waits or is to come rejects with a StoreError `stopped` from then on. */
  readonly signal: AbortSignal;
}

export class Circuit {
  readonly #options: CircuitOptions;
  #failures = 0;
  /** Settles when the circuit closes; null while it is closed. */
  #gate: PromiseWithResolvers<null> | null = null;
  #trying = false;
  #openMs = 0;
  #alarmedMs = 0;
  #retries = 0;

  constructor(options: CircuitOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#gate?.resolve(null), { once: true });
  }

  get state(): CircuitState {
    if (this.#gate === null) return 'closed';
    return this.#trying ? 'half_open' : 'open';
  }

  /** Calls that failed and were, or will be, tried again. */
  get retries(): number {
    return this.#retries;
  }

  /** Rejects with `stopped`, and with the StoreErrors that no other attempt of ours may follow. */
  async run<T>(call: (store: ObjectStore) => Promise<T>): Promise<T> {
    const { store, signal } = this.#options;
    let probes = false;
    try {
      for (let attempt = 0; ; attempt++) {
        if (!probes) await this.#admission();
        if (signal.aborted) throw new StoreError('stopped');
        this.#trying = probes;
        try {
          const result = await call(store);
          this.#close();
          return result;
        } catch (error) {
          if (!isMendable(error) || signal.aborted) throw error;
          probes = this.#fail(error, probes);
        }
        this.#trying = false;
        await this.#pause(probes ? this.#failures : attempt);
      }
    } finally {
      // Who leaves without an answer leaves the attempts to the others.
      if (probes) this.#release();
    }
  }

  async #admission(): Promise<void> {
    while (this.#gate !== null && !this.#options.signal.aborted) await this.#gate.promise;
  }

  /** Whether the caller is the one that goes on trying. */
  #fail(error: StoreError, probes: boolean): boolean {
    const { nowMs } = this.#options;
    this.#failures++;
    this.#retries++;
    if (this.#gate !== null) {
      this.#alarm(error);
      return probes;
    }
    if (this.#failures < OPEN_AFTER && error.transient) return false;
    this.#gate = Promise.withResolvers<null>();
    this.#openMs = nowMs();
    this.#alarmedMs = Number.NEGATIVE_INFINITY;
    this.#alarm(error);
    return true;
  }

  #close(): void {
    this.#failures = 0;
    if (this.#gate === null) return;
    const { logger, store, nowMs } = this.#options;
    const away_ms = Math.round(nowMs() - this.#openMs);
    logger.warn('ship_store_back', { store: store.name, away_ms });
    this.#release();
  }

  #release(): void {
    this.#trying = false;
    this.#gate?.resolve(null);
    this.#gate = null;
  }

  #alarm({ code, detail }: StoreError): void {
    const { logger, store, nowMs } = this.#options;
    if (nowMs() - this.#alarmedMs < ALARM_EVERY_MS) return;
    this.#alarmedMs = nowMs();
    logger.error('ship_store_away', {
      ...detail,
      store: store.name,
      code,
      away_ms: Math.round(nowMs() - this.#openMs),
      next: 'nothing is lost: the spool keeps it; beyond max_unshipped_bytes acknowledgements wait',
    });
  }

  async #pause(attempt: number): Promise<void> {
    const { maxPauseMs, random, sleep, signal } = this.#options;
    const most = Math.min(maxPauseMs, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 20));
    await sleep(random() * most, signal);
  }
}

/** After `disk_failed` nobody knows what is durable; the others say that the call itself was wrong. */
function isMendable(error: unknown): error is StoreError {
  if (!(error instanceof StoreError)) return false;
  return !['stopped', 'disk_failed', 'too_large', 'key_invalid'].includes(error.code);
}
