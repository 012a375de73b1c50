// Keeps AWS credentials fresh and hands each new set to whoever listens (the boot stream of the running epoch).
// Asks again well before they expire, more often while the source has no newer ones, and at once when the
// enclave says that it needs some. A source that fails is asked again, and the log and the metrics say so.

import type { AwsCredentials } from '../../wire/kms-messages.ts';
import { encodeCredentials, parseCredentials } from '../../wire/kms-messages.ts';
import type { Logger } from '../logger.ts';
import type { CredentialsSource } from './source.ts';

export interface CredentialsFeedOptions {
  readonly source: CredentialsSource;
  /** Newer ones are asked for from this long before the expiry on. */
  readonly refreshBeforeMs: number;
  readonly logger: Logger;
  readonly nowMs?: () => number;
}

export interface CredentialsCounters {
  fetched: number;
  failed: number;
  pushed: number;
}

/** IMDS shows new credentials at least five minutes before the old ones expire. */
const POLL_MS = 60_000;
const FIRST_RETRY_MS = 1000;
/** Short enough for a clock that is set. */
const LONGEST_WAIT_MS = 3_600_000;
/** An enclave that asks for newer ones again and again is heard this often. */
const WANTED_EVERY_MS = 1000;

export class CredentialsFeed {
  readonly counters: CredentialsCounters = { fetched: 0, failed: 0, pushed: 0 };
  readonly #options: CredentialsFeedOptions;
  #current: AwsCredentials | null = null;
  #listener: ((credentials: AwsCredentials) => void) | null = null;
  #asking: Promise<void> | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #stopped = false;

  constructor(options: CredentialsFeedOptions) {
    this.#options = options;
  }

  /** The latest; null when there never were any, or they have expired. */
  get current(): AwsCredentials | null {
    return this.remainingMs === null || this.remainingMs <= 0 ? null : this.#current;
  }

  /** Until the latest expire; negative when they have; null when there never were any. */
  get remainingMs(): number | null {
    return this.#current === null ? null : this.#current.expiresMs - this.#nowMs;
  }

  stop(): void {
    this.#stopped = true;
    this.#listener = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** The current ones are handed over at once, later ones as they come. One listener; null: none. */
  listen(listener: ((credentials: AwsCredentials) => void) | null): void {
    this.#listener = listener;
    if (this.current !== null) this.#push(this.current);
  }

  /** The enclave has none that AWS takes: asks the source, and pushes what it has even if it is the same. */
  wanted(): void {
    if (this.#nowMs - this.#askedMs < WANTED_EVERY_MS) return;
    const before = this.counters.pushed;
    void this.refresh().then(() => {
      if (this.counters.pushed === before && this.current !== null) this.#push(this.current);
    });
  }

  /** Asks now; calls while one is under way share it. Never rejects. */
  refresh(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  get #nowMs(): number {
    return (this.#options.nowMs ?? Date.now)();
  }

  async #ask(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const { source, logger } = this.#options;
    this.#askedMs = this.#nowMs;
    const found = await source();
    // What the enclave would refuse is a failure here, where it can be said.
    const usable = found.ok && parseCredentials(encodeCredentials(found.credentials)).ok;
    if (found.ok && usable) {
      this.counters.fetched++;
      this.#failures = 0;
      this.#take(found.credentials);
    } else {
      this.counters.failed++;
      this.#failures++;
      logger.warn('credentials_failed', {
        reason: found.ok ? 'malformed' : found.reason,
        remaining_seconds: this.remainingMs === null ? null : Math.floor(this.remainingMs / 1000),
        next: 'check the role of the instance, or the profile and environment of this process',
      });
    }
    if (!this.#stopped) this.#schedule();
  }

  #take(credentials: AwsCredentials): void {
    const isNew =
      this.#current?.accessKeyId !== credentials.accessKeyId ||
      this.#current.sessionToken !== credentials.sessionToken ||
      this.#current.expiresMs !== credentials.expiresMs;
    this.#current = credentials;
    if (!isNew) return;
    this.#options.logger.info('credentials_fetched', {
      expires: new Date(credentials.expiresMs).toISOString(),
    });
    this.#push(credentials);
  }

  #push(credentials: AwsCredentials): void {
    if (this.#listener === null) return;
    this.counters.pushed++;
    this.#listener(credentials);
  }

  #schedule(): void {
    const remainingMs = Math.max(this.remainingMs ?? 0, 0);
    const untilRefresh = remainingMs - this.#options.refreshBeforeMs;
    // Within the time for refreshing the source had none newer yet.
    const pollMs = Math.min(POLL_MS, Math.max(FIRST_RETRY_MS, remainingMs / 4));
    const waitMs =
      this.#failures > 0
        ? Math.min(POLL_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
        : Math.min(LONGEST_WAIT_MS, untilRefresh > 0 ? untilRefresh : pollMs);
    this.#timer = setTimeout(() => void this.refresh(), waitMs);
    this.#timer.unref();
  }
}
