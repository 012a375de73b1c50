// What every ObjectStore must do. The same checks run against the folder, the simulated S3, a real S3 server with
// Object Lock, and AWS (test/s3).

import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { StoreError } from '../../../../wire/node/objects/store.ts';
import type { ObjectStore, ObjectVersion } from '../../../../wire/node/objects/store.ts';

export interface ContractStore {
  /** A store over a prefix or folder of its own. */
  readonly open: () => Promise<ObjectStore>;
  readonly keepsRetention: boolean;
  /** A server that lets several of those through who write at the same time; readers see the oldest. */
  readonly letsRacersThrough?: true;
  /** A server that tells the lock with HEAD, and not with GET. */
  readonly hidesLockOfGet?: true;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** As short as S3 takes it without a race with its clock. */
export function soon(): Date {
  return new Date(Math.ceil(Date.now() / 1000) * 1000 + 90_000);
}

export async function listed(
  store: ObjectStore,
  prefix = '',
  after?: string,
): Promise<readonly ObjectVersion[]> {
  const all: ObjectVersion[] = [];
  for await (const version of store.list(prefix, after)) all.push(version);
  return all;
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return error instanceof StoreError ? error.code : `not a StoreError: ${String(error)}`;
  }
}

/** Registers the tests; `it` and its hooks are vitest's. */
export function storeContract(server: ContractStore): void {
  const { open, keepsRetention } = server;
  const KEY = 'epochs/0000000001/claim';

  it('an object is written once, and is there as it was written', async () => {
    const store = await open();
    const bytes = new Uint8Array(randomBytes(70_000));
    const put = await store.putOnce(KEY, bytes, { retainUntil: soon() });
    expect(put.outcome).toBe('written');
    const got = await store.get(KEY, bytes.length);
    expect(got?.bytes).toEqual(bytes);
    expect(got?.versionId).toBe(put.versionId);
    expect(got?.sha256).toEqual(new Uint8Array(createHash('sha256').update(bytes).digest()));
    const head = await store.head(KEY);
    expect([head?.key, head?.bytes, head?.versionId]).toEqual([KEY, bytes.length, put.versionId]);
    expect(got?.lock.mode === 'none').toBe(!keepsRetention || server.hidesLockOfGet === true);
    const none = { mode: 'none', retainUntil: null, legalHold: false };
    expect(got?.lock).toEqual(server.hidesLockOfGet === true ? none : head?.lock);
  });

  it('the same bytes again are the same, other bytes are different and change nothing', async () => {
    const store = await open();
    const first = await store.putOnce(KEY, bytesOf('first'), { retainUntil: soon() });
    const options = { retainUntil: soon() };
    expect(await store.putOnce(KEY, bytesOf('first'), options)).toEqual({
      outcome: 'same',
      versionId: first.versionId,
    });
    for (const other of ['other', 'firs', 'first2', '']) {
      const put = await store.putOnce(KEY, bytesOf(other), options);
      expect(put, other).toEqual({ outcome: 'different', versionId: first.versionId });
    }
    expect((await store.get(KEY, 100))?.bytes).toEqual(bytesOf('first'));
    expect((await listed(store)).length).toBe(1);
  });

  it('an empty object is an object', async () => {
    const store = await open();
    const empty = new Uint8Array(0);
    expect((await store.putOnce('blobs/empty', empty, { retainUntil: null })).outcome).toBe(
      'written',
    );
    expect((await store.putOnce('blobs/empty', empty, { retainUntil: null })).outcome).toBe('same');
    expect((await store.get('blobs/empty', 0))?.bytes).toEqual(empty);
  });

  it('of eight writers of one key exactly one writes, the others see its bytes', async () => {
    const store = await open();
    const writers = Array.from({ length: 8 }, (_, at) => bytesOf(`writer ${String(at)}`));
    const puts = await Promise.all(
      writers.map((bytes) => store.putOnce(KEY, bytes, { retainUntil: soon() })),
    );
    const written = puts.filter(({ outcome }) => outcome === 'written').length;
    expect(puts.filter(({ outcome }) => outcome === 'different').length).toBe(8 - written);
    expect(written).toBeLessThanOrEqual(1);
    expect(written).toBeGreaterThanOrEqual(server.letsRacersThrough === true ? 0 : 1);
    expect(new Set(puts.map(({ versionId }) => versionId)).size).toBe(1);
    const winner = puts.findIndex(({ outcome }) => outcome === 'written');
    expect((await store.get(KEY, 100))?.bytes).toEqual(writers[winner]);
    const count = (await listed(store)).length;
    expect(count).toBeLessThanOrEqual(server.letsRacersThrough === true ? 8 : 1);
    expect(count).toBeGreaterThanOrEqual(1);
  });

  it('of eight writers of the same bytes nobody is told they are different', async () => {
    const store = await open();
    const puts = await Promise.all(
      Array.from({ length: 8 }, () => store.putOnce(KEY, bytesOf('same'), { retainUntil: soon() })),
    );
    const outcomes = new Set(puts.map(({ outcome }) => outcome));
    expect(outcomes.has('different')).toBe(false);
    const count = (await listed(store)).length;
    expect(count).toBeLessThanOrEqual(server.letsRacersThrough === true ? 8 : 1);
    expect(count).toBeGreaterThanOrEqual(1);
  });

  it('what is not there is null', async () => {
    const store = await open();
    expect(await store.get('blobs/nothing', 10)).toBe(null);
    expect(await store.head('blobs/nothing')).toBe(null);
    expect(await listed(store, 'blobs/')).toEqual([]);
  });

  it.each([
    [4, 'too_large'],
    [5, 'none'],
    [6, 'none'],
  ])('of 5 bytes with a maximum of %i: %s', async (maximum, code) => {
    const store = await open();
    await store.putOnce(KEY, bytesOf('12345'), { retainUntil: null });
    expect(await codeOf(store.get(KEY, maximum))).toBe(code);
  });

  it.each(['', '/a', '../a', 'a/../b', 'a//b', 'a b'])('no object has the key %j', async (key) => {
    const store = await open();
    expect(await codeOf((async () => store.get(key, 1))())).toBe('key_invalid');
    expect(await codeOf((async () => store.head(key))())).toBe('key_invalid');
    const put = (async () => store.putOnce(key, bytesOf('x'), { retainUntil: null }))();
    expect(await codeOf(put)).toBe('key_invalid');
  });

  it('lists keys in the order of their bytes, below a prefix and behind a key', async () => {
    const store = await open();
    const keys = [
      'a.b',
      'a/b',
      'a/c',
      'a0',
      'epochs/0000000001/close',
      'epochs/0000000001/tile/0/000',
    ];
    for (const key of keys.toReversed()) {
      await store.putOnce(key, bytesOf(key), { retainUntil: null });
    }
    const names = async (prefix: string, after?: string): Promise<readonly string[]> =>
      (await listed(store, prefix, after)).map(({ key }) => key);
    expect(await names('')).toEqual(keys);
    expect(await names('a')).toEqual(keys.slice(0, 4));
    expect(await names('a/')).toEqual(['a/b', 'a/c']);
    expect(await names('epochs/0000000001/c')).toEqual(['epochs/0000000001/close']);
    expect(await names('', 'a/b')).toEqual(keys.slice(2));
    expect(await names('', 'a/bb')).toEqual(keys.slice(2));
    expect(await names('a', 'a0')).toEqual([]);
    expect(await names('nothing')).toEqual([]);
    const all = await listed(store, 'a.b');
    expect(all).toMatchObject([{ key: 'a.b', ordinal: 1, isDeleteMarker: false, bytes: 3 }]);
    expect(Math.abs((all[0]?.modified?.getTime() ?? 0) - Date.now())).toBeLessThan(600_000);
  });

  it('a version is asked for by its id; another id has nothing', async () => {
    const store = await open();
    const { versionId } = await store.putOnce(KEY, bytesOf('x'), { retainUntil: null });
    expect((await store.get(KEY, 10, versionId))?.bytes).toEqual(bytesOf('x'));
    expect((await store.head(KEY, versionId))?.versionId).toBe(versionId);
    expect(await store.get('blobs/nothing', 10, versionId)).toBe(null);
  });

  it('the lock is COMPLIANCE until the date, where the store keeps one', async () => {
    const store = await open();
    const retainUntil = soon();
    await store.putOnce(KEY, bytesOf('x'), { retainUntil });
    const lock = (await store.head(KEY))?.lock;
    expect(lock).toEqual({
      mode: keepsRetention ? 'COMPLIANCE' : 'none',
      retainUntil: keepsRetention ? retainUntil : null,
      legalHold: false,
    });
  });
}
