// S3 as far as the lease needs it, in memory: versions of keys, If-None-Match, and requests that a test lets
// through one by one, in any order, with their answers or without.

import type { Bucket, BucketState } from '../../enclave/s3/bucket.ts';
import { S3Error } from '../../enclave/s3/bucket.ts';

/** `before`: the request never arrives; `after`: it is done, and the answer is lost. */
export type Fate = 'done' | 'before' | 'after';

export interface PendingRequest {
  readonly client: number;
  readonly what: string;
  readonly settle: (fate: Fate) => void;
}

interface Version {
  /** Null: a delete marker. */
  readonly bytes: Uint8Array | null;
  readonly retainUntil: Date | null;
}

export const GOOD_BUCKET: BucketState = {
  versioned: true,
  locked: true,
  mode: 'COMPLIANCE',
  days: 30,
};

export class ModelBucket {
  readonly versions: Map<string, Version[]> = new Map<string, Version[]>();
  state: BucketState = GOOD_BUCKET;
  /** Requests that wait for the test, when `held` is set. */
  pending: PendingRequest[] = [];
  held = false;
  /** Every request fails with it, when it is set. */
  error: S3Error | null = null;

  current(key: string): Uint8Array | null {
    return this.versions.get(key)?.at(-1)?.bytes ?? null;
  }

  /** The record: what was written first. */
  oldest(key: string): Uint8Array | null {
    return this.versions.get(key)?.[0]?.bytes ?? null;
  }

  put(key: string, bytes: Uint8Array | null, retainUntil: Date | null = null): void {
    this.versions.set(key, [...(this.versions.get(key) ?? []), { bytes, retainUntil }]);
  }

  keys(prefix: string): readonly string[] {
    return [...this.versions.keys()].filter((key) => key.startsWith(prefix)).toSorted();
  }

  /** As one enclave sees it. */
  client(client = 0): Bucket {
    return {
      describe: () => this.#request(client, 'describe', () => this.state),
      read: (key) => this.#request(client, `GET ${key}`, () => this.current(key)),
      create: (key, bytes, retainUntil) =>
        this.#request(client, `PUT ${key}`, () => {
          if (this.current(key) !== null) return false;
          this.put(key, bytes.slice(), retainUntil);
          return true;
        }),
      isOnlyVersion: (key) =>
        this.#request(client, `LIST ${key}`, () => {
          const versions = this.versions.get(key) ?? [];
          return versions.length === 1 && versions[0]?.bytes !== null;
        }),
    };
  }

  async #request<T>(client: number, what: string, work: () => T): Promise<T> {
    const fate = this.held
      ? await new Promise<Fate>((settle) => this.pending.push({ client, what, settle }))
      : 'done';
    if (this.error !== null) throw this.error;
    if (fate === 'before') throw new S3Error(null);
    const answer = work();
    if (fate === 'after') throw new S3Error(null);
    return answer;
  }
}
