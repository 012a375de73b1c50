// One object at a time to the store: written once, then asked for, because a local copy may go only when
// the store has shown the right SHA-256, lock mode and retain-until date. Other bytes under a key of ours
// are a finding: nothing is overwritten, and the epoch's shipping stops. The store is not trusted to keep
// anything; that is what readers verify.

import { equalBytes } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { ObjectHead, ObjectLock, ObjectStore } from '../../wire/node/objects/store.ts';
import { isLockedUntil, StoreError } from '../../wire/node/objects/store.ts';
import type { Circuit } from './circuit.ts';

const DAY_MS = 86_400_000;
const NANOSECONDS_PER_MS = 1_000_000n;
/** Our clock and the store's may differ, and a request takes its time. */
const MARGIN_MS = 3_600_000;
/** Attempts to see an object as it was written. */
const MAX_LOOKS = 5;

export type FindingCode =
  /** Other bytes are under a key of ours. */
  | 'object_different'
  /** Another epoch has ended this one in the store, before all of it was there. */
  | 'epoch_superseded'
  /** An object that was there is not locked, or not for long enough. */
  | 'object_not_locked'
  /** The store said that it has the object, and then not, or with another checksum. */
  | 'object_not_kept'
  /** A file of the log folder is missing, or not what its tree says: nothing of it is made permanent. */
  | 'folder_damaged'
  /** The store's disk failed: what it holds is unknown. */
  | 'store_failed';

/** Stops the shipping of an epoch for good; its spool stays. */
export class ShipFinding extends Error {
  readonly code: FindingCode;
  readonly key: string;

  constructor(code: FindingCode, key: string) {
    super(`${code}: ${key}`);
    this.name = 'ShipFinding';
    this.code = code;
    this.key = key;
  }
}

export interface UploadRules {
  /** From the time of a record. */
  readonly retentionDays: number;
  /** Whether the store keeps locks; a folder does not. */
  readonly locks: boolean;
  /** Wall clock. */
  readonly nowMs: () => number;
}

export interface UploadCounters {
  written: number;
  writtenBytes: number;
  /** They were there, with our bytes. */
  same: number;
}

export class Uploads {
  readonly counters: UploadCounters = { written: 0, writtenBytes: 0, same: 0 };
  readonly #crypto: WireCrypto;
  readonly #circuit: Circuit;
  readonly #rules: UploadRules;

  constructor(crypto: WireCrypto, circuit: Circuit, rules: UploadRules) {
    this.#crypto = crypto;
    this.#circuit = circuit;
    this.#rules = rules;
  }

  run<T>(call: (store: ObjectStore) => Promise<T>): Promise<T> {
    return this.#circuit.run(call);
  }

  /**
   * Resolves when the store has shown the object; with false when other bytes are there. `newestNs` is the
   * time of the newest leaf in it. `expected`: it may well be there, so look before the bytes are sent.
   * Rejects with a ShipFinding, or a StoreError `stopped`.
   */
  async place(
    key: string,
    bytes: Uint8Array,
    newestNs: bigint,
    expected: boolean,
  ): Promise<boolean> {
    const sha256 = this.#crypto.sha256(bytes);
    if (expected) {
      const head = await this.run((store) => store.head(key));
      if (head !== null && isObject(head, sha256, bytes.length)) {
        this.counters.same++;
        this.#checkLock(key, head.lock, this.#neededUntil(newestNs));
        return true;
      }
    }
    const retainUntil = new Date(
      this.#rules.nowMs() + this.#rules.retentionDays * DAY_MS + MARGIN_MS,
    );
    const options = { retainUntil: this.#rules.locks ? retainUntil : null };
    const { outcome } = await this.run((store) => store.putOnce(key, bytes, options));
    if (outcome === 'different') return false;
    if (outcome === 'same') this.counters.same++;
    else {
      this.counters.written++;
      this.counters.writtenBytes += bytes.length;
    }
    const lock = await this.#seen(key, sha256, bytes.length);
    this.#checkLock(key, lock, outcome === 'written' ? retainUntil : this.#neededUntil(newestNs));
    return true;
  }

  /** Checks one that somebody else has written, with our bytes. */
  checkLock(head: ObjectHead, newestNs: bigint): void {
    this.#checkLock(head.key, head.lock, this.#neededUntil(newestNs));
  }

  /** One look may lie; an object that stays wrong is a finding. */
  async #seen(key: string, sha256: Uint8Array, bytes: number): Promise<ObjectLock> {
    for (let look = 0; look < MAX_LOOKS; look++) {
      const head = await this.run((store) => store.head(key));
      if (head !== null && isObject(head, sha256, bytes)) return head.lock;
      const object = await this.#get(key, bytes);
      if (object !== null && equalBytes(object.sha256, sha256)) return object.lock;
    }
    throw new ShipFinding('object_not_kept', key);
  }

  async #get(
    key: string,
    maxBytes: number,
  ): Promise<{ readonly sha256: Uint8Array; readonly lock: ObjectLock } | null> {
    try {
      return await this.run((store) => store.get(key, maxBytes));
    } catch (error) {
      if (error instanceof StoreError && error.code === 'too_large') return null;
      throw error;
    }
  }

  #neededUntil(newestNs: bigint): Date {
    const newestMs = Math.min(Number(newestNs / NANOSECONDS_PER_MS), this.#rules.nowMs());
    return new Date(newestMs + this.#rules.retentionDays * DAY_MS);
  }

  #checkLock(key: string, lock: ObjectLock, until: Date): void {
    if (!this.#rules.locks || isLockedUntil(lock, until)) return;
    throw new ShipFinding('object_not_locked', key);
  }
}

function isObject(head: ObjectHead, sha256: Uint8Array, bytes: number): boolean {
  return head.bytes === bytes && head.sha256 !== null && equalBytes(head.sha256, sha256);
}
