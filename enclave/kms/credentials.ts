// AWS credentials as the host brings and refreshes them. They say nothing about the enclave: the host has them
// anyway, and what they open is decided by KMS on the attestation document and by S3 on its lock.

import type { AwsCredentials } from '../../wire/kms-frames.ts';
import { Fatal } from '../fatal.ts';

/** Those that are about to expire are not used: a call takes a while. */
const MARGIN_MS = 10_000;

/** Codes: `credentials_missing`, `credentials_expired`. */
export class CredentialsError extends Fatal {}

export class Credentials {
  readonly #waitMs: number;
  readonly #nowMs: () => number;
  #latest: AwsCredentials | null = null;
  /** AWS said that these have expired. */
  #rejected: AwsCredentials | null = null;
  #waiting: (() => void)[] = [];

  /** `waitMs`: for the host to bring some, or newer ones. */
  constructor(waitMs: number, nowMs: () => number) {
    this.#waitMs = waitMs;
    this.#nowMs = nowMs;
  }

  /** The latest count. */
  push(credentials: AwsCredentials): void {
    this.#latest = credentials;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  /** Rejects with a CredentialsError when none come in time. */
  async current(): Promise<AwsCredentials> {
    const deadline = Date.now() + this.#waitMs;
    for (;;) {
      const latest = this.#latest;
      if (latest !== null && this.#isFresh(latest)) return latest;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) {
        throw new CredentialsError(latest === null ? 'credentials_missing' : 'credentials_expired');
      }
      await this.#next(leftMs);
    }
  }

  /** AWS does not take the latest any more: `current` waits for others. */
  reject(credentials: AwsCredentials): void {
    this.#rejected = credentials;
  }

  #isFresh(credentials: AwsCredentials): boolean {
    return credentials !== this.#rejected && credentials.expiresMs - MARGIN_MS > this.#nowMs();
  }

  async #next(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const resume = (): void => {
      resolve(undefined);
    };
    const timer = setTimeout(resume, withinMs);
    this.#waiting.push(resume);
    await promise;
    clearTimeout(timer);
  }
}
