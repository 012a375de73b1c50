// A bucket in memory for tests of the shipper: versions, COMPLIANCE locks and If-None-Match as S3 has them,
// and hooks that make a call fail, lie, lose its answer or come late. simulator/s3 is the one that speaks HTTP.

import { equalBytes } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type {
  ObjectHead,
  ObjectLock,
  ObjectStore,
  ObjectVersion,
  PutOptions,
  PutResult,
  StoredObject,
} from '../../wire/node/objects/store.ts';
import { StoreError } from '../../wire/node/objects/store.ts';

export type StoreCall = 'put' | 'get' | 'head';

export interface KeptObject {
  readonly bytes: Uint8Array;
  readonly lock: ObjectLock;
}

export class MemoryStore implements ObjectStore {
  readonly name = 'memory';
  readonly objects: Map<string, KeptObject> = new Map<string, KeptObject>();
  /** `put key`, `head key` and so on, in order. */
  readonly calls: string[] = [];
  /** Before the call; it may throw a StoreError, or wait. */
  before: (call: StoreCall, key: string) => Promise<void> | void = () => undefined;
  /** After a put was done: an error is a lost answer. */
  afterPut: (key: string) => Promise<void> | void = () => undefined;
  /** What `head` tells in place of the truth. */
  tell: (head: ObjectHead) => ObjectHead | null = (head) => head;
  /** In place of what was asked for. */
  lock: (retainUntil: Date | null) => ObjectLock = (retainUntil) => ({
    mode: retainUntil === null ? 'none' : 'COMPLIANCE',
    retainUntil,
    legalHold: false,
  });

  keys(prefix = ''): readonly string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).toSorted();
  }

  async putOnce(key: string, bytes: Uint8Array, options: PutOptions): Promise<PutResult> {
    await this.#call('put', key);
    const there = this.objects.get(key);
    if (there === undefined) {
      this.objects.set(key, { bytes: bytes.slice(), lock: this.lock(options.retainUntil) });
    }
    await this.afterPut(key);
    if (there === undefined) return { outcome: 'written', versionId: '1' };
    return { outcome: equalBytes(there.bytes, bytes) ? 'same' : 'different', versionId: '1' };
  }

  async get(key: string, maxBytes: number): Promise<StoredObject | null> {
    await this.#call('get', key);
    const there = this.objects.get(key);
    if (there === undefined) return null;
    if (there.bytes.length > maxBytes) throw new StoreError('too_large');
    return { ...there, versionId: '1', sha256: nodeCrypto.sha256(there.bytes) };
  }

  async head(key: string): Promise<ObjectHead | null> {
    await this.#call('head', key);
    const there = this.objects.get(key);
    if (there === undefined) return null;
    const { bytes, lock } = there;
    const sha256 = nodeCrypto.sha256(bytes);
    return this.tell({ key, versionId: '1', bytes: bytes.length, sha256, lock });
  }

  async *list(prefix: string, after = ''): AsyncIterable<ObjectVersion> {
    await Promise.resolve();
    for (const key of this.keys(prefix)) {
      if (key <= after) continue;
      const bytes = this.objects.get(key)?.bytes.length ?? 0;
      yield { key, versionId: '1', isDeleteMarker: false, ordinal: 1, bytes, modified: null };
    }
  }

  async #call(call: StoreCall, key: string): Promise<void> {
    this.calls.push(`${call} ${key}`);
    await this.before(call, key);
  }
}
