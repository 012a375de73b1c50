import { DeleteObjectCommand, PutBucketPolicyCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Fault } from '../../../../simulator/s3/server.ts';
import type { S3Store } from '../../../../wire/node/objects/s3.ts';
import { isLockedUntil } from '../../../../wire/node/objects/store.ts';
import { bytesOf, codeOf, listed, soon, storeContract } from './contract.ts';
import { ALICE, BUCKET, startTestS3 } from './s3-server.ts';
import type { TestS3 } from './s3-server.ts';

let test: TestS3;

beforeAll(async () => {
  test = await startTestS3();
});

afterEach(() => {
  test.s3.setFault(null);
});

afterAll(() => test.close());

const KEY = 'epochs/0000000001/claim';

/** The named operation fails the first `times` times. */
function failing(operation: string, fault: Fault, times: number): void {
  let left = times;
  test.s3.setFault((request) => {
    if (request.operation !== operation || left === 0) return null;
    left -= 1;
    return fault;
  });
}

function keyOf(store: S3Store, key = KEY): string {
  return `${store.name.slice(`s3://${BUCKET}/`.length)}/${key}`;
}

describe('the simulated S3 is a store', () => {
  storeContract({ open: async () => Promise.resolve(test.open()), keepsRetention: true });
});

const SLOW_DOWN: Fault = { type: 'refuse', status: 503, code: 'SlowDown' };
const RACE: Fault = { type: 'refuse', status: 409, code: 'ConditionalRequestConflict' };
const FAILURES: readonly (readonly [string, Fault])[] = [
  ['503 SlowDown', SLOW_DOWN],
  ['500 InternalError', { type: 'refuse', status: 500, code: 'InternalError' }],
  ['409 ConditionalRequestConflict', RACE],
  ['a connection that is cut before', { type: 'drop' }],
];

describe('a write', () => {
  it.each(FAILURES)('that meets %s seven times is written', async (_name, fault) => {
    const store = test.open();
    failing('PutObject', fault, 7);
    const put = await store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() });
    expect(put.outcome).toBe('written');
    expect((await listed(store)).length).toBe(1);
  });

  it.each<readonly [string, Fault, string]>([
    ['503 for ever', SLOW_DOWN, 'unavailable'],
    ['409 for ever', RACE, 'conflict'],
    ['no answer for ever', { type: 'drop' }, 'unreachable'],
    ['403', { type: 'refuse', status: 403, code: 'AccessDenied' }, 'denied'],
    [
      'expired credentials',
      { type: 'refuse', status: 400, code: 'ExpiredToken' },
      'credentials_expired',
    ],
    ['a refusal', { type: 'refuse', status: 400, code: 'InvalidRequest' }, 'request_refused'],
    ['501', { type: 'refuse', status: 501, code: 'NotImplemented' }, 'request_refused'],
    ['a redirect', { type: 'refuse', status: 301, code: 'PermanentRedirect' }, 'request_refused'],
    ['no bucket', { type: 'refuse', status: 404, code: 'NoSuchBucket' }, 'bucket_missing'],
  ])('that meets %s throws %s', async (_name, fault, code) => {
    const store = test.open();
    failing('PutObject', fault, Number.POSITIVE_INFINITY);
    expect(await codeOf(store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() }))).toBe(code);
  });

  it.each<readonly [string, Fault]>([
    ['is lost', { type: 'lose-answer' }],
    ['is a lie of 503', { type: 'lie', status: 503, code: 'SlowDown' }],
    ['is a lie of 409', { type: 'lie', status: 409, code: 'ConditionalRequestConflict' }],
    ['is a lie of 412', { type: 'lie', status: 412, code: 'PreconditionFailed' }],
    ['tells another checksum', { type: 'lying-checksum' }],
  ])('whose answer %s is there, once, and called the same', async (_name, fault) => {
    const store = test.open();
    failing('PutObject', fault, 1);
    const put = await store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() });
    expect(put.outcome).toBe('same');
    const versions = await listed(store);
    expect(versions.map(({ versionId }) => versionId)).toEqual([put.versionId]);
  });

  it('that is told 412 of an object that is not there is tried again, with a bound', async () => {
    const store = test.open();
    failing('PutObject', { type: 'refuse', status: 412, code: 'PreconditionFailed' }, 1);
    expect((await store.putOnce(KEY, bytesOf('x'), { retainUntil: null })).outcome).toBe('written');
    failing('PutObject', { type: 'refuse', status: 412, code: 'PreconditionFailed' }, 1e9);
    const again = test.open().putOnce(KEY, bytesOf('x'), { retainUntil: null });
    expect(await codeOf(again)).toBe('conflict');
  });

  it('that S3 says it has taken, and has not, is written in the end', async () => {
    const store = test.open();
    failing('PutObject', { type: 'pretend' }, 3);
    const put = await store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() });
    expect(put.outcome).toBe('written');
    failing('PutObject', { type: 'pretend' }, 1e9);
    const never = test.open().putOnce(KEY, bytesOf('x'), { retainUntil: soon() });
    expect(await codeOf(never)).toBe('answer_invalid');
  });

  it('over a delete marker finds the version below: it is different, or the same', async () => {
    const store = test.open();
    const first = await store.putOnce(KEY, bytesOf('first'), { retainUntil: soon() });
    await test.client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: keyOf(store) }));
    // If-None-Match looks at the newest version only: S3 takes the second one.
    const second = await store.putOnce(KEY, bytesOf('second'), { retainUntil: soon() });
    expect(second).toEqual({ outcome: 'different', versionId: first.versionId });
    const versions = await listed(store);
    expect(versions.map(({ ordinal }) => ordinal)).toEqual([1, 0, 2]);
    expect((await store.get(KEY, 100))?.bytes).toEqual(bytesOf('first'));
  });

  it('into a bucket without versions is no write', async () => {
    const { s3 } = test;
    const now = Date.now();
    const settings = {
      created: now,
      versioning: null,
      objectLock: false,
      defaultRetention: null,
      policy: null,
      publicAccessBlock: null,
    };
    s3.state.change({ type: 'bucket', bucket: 'plain', settings });
    const store = test.open({
      bucket: 'plain',
      retry: { attempts: 1, firstPauseMs: 1, longestPauseMs: 1 },
    });
    expect(await codeOf(store.putOnce(KEY, bytesOf('x'), { retainUntil: null }))).toBe(
      'answer_invalid',
    );
    const locked = store.putOnce('a', bytesOf('x'), { retainUntil: soon() });
    expect(await codeOf(locked)).toBe('request_refused');
  });

  it('carries what AWS demands: lock, date, condition, checksum', async () => {
    const store = test.open();
    const retainUntil = soon();
    const { versionId } = await store.putOnce(KEY, bytesOf('x'), { retainUntil });
    const version = test.s3.state.buckets.get(BUCKET)?.keys.get(keyOf(store))?.[0];
    expect(version?.id).toBe(versionId);
    expect(version?.retention).toEqual({ mode: 'COMPLIANCE', until: retainUntil.getTime() });
    expect(Object.keys(version?.checksums ?? {})).toEqual(['sha256']);
    const head = await store.head(KEY);
    expect(head?.sha256?.length).toBe(32);
    expect(head !== null && isLockedUntil(head.lock, retainUntil)).toBe(true);
    expect(head !== null && isLockedUntil(head.lock, new Date(retainUntil.getTime() + 999))).toBe(
      true,
    );
    expect(head !== null && isLockedUntil(head.lock, new Date(retainUntil.getTime() + 1000))).toBe(
      false,
    );
  });
});

describe('a read', () => {
  it.each<readonly [string, Fault]>([
    ...FAILURES,
    ['a cut body', { type: 'cut-body', afterBytes: 3 }],
    ['a changed body', { type: 'corrupt' }],
    ['another checksum', { type: 'lying-checksum' }],
  ])('that meets %s is right in the end', async (_name, fault) => {
    const store = test.open();
    await store.putOnce(KEY, bytesOf('whole object'), { retainUntil: soon() });
    failing('GetObject', fault, 7);
    expect((await store.get(KEY, 100))?.bytes).toEqual(bytesOf('whole object'));
  });

  it.each<readonly [string, Fault, string]>([
    ['cut bodies for ever', { type: 'cut-body', afterBytes: 3 }, 'unreachable'],
    ['changed bodies for ever', { type: 'corrupt' }, 'checksum_mismatch'],
    ['403', { type: 'refuse', status: 403, code: 'AccessDenied' }, 'denied'],
  ])('that meets %s throws', async (_name, fault, code) => {
    const store = test.open();
    await store.putOnce(KEY, bytesOf('whole object'), { retainUntil: soon() });
    failing('GetObject', fault, 1e9);
    expect(await codeOf(store.get(KEY, 100))).toBe(code);
  });

  it('takes no longer than the time for one request, eight times', async () => {
    const store = test.open({ requestTimeoutMs: 20 });
    await store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() });
    failing('GetObject', { type: 'slow', delayMs: 2000 }, 1e9);
    expect(await codeOf(store.get(KEY, 100))).toBe('unreachable');
  });

  it('of a list that is cut or fails goes on', async () => {
    const store = test.open();
    await store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() });
    failing('ListObjectVersions', { type: 'cut-body', afterBytes: 40 }, 3);
    expect((await listed(store)).length).toBe(1);
    failing('ListObjectVersions', SLOW_DOWN, 3);
    expect((await listed(store)).length).toBe(1);
  });
});

describe('a store that is stopped', () => {
  it('says so at once, while it waits and while it asks', async () => {
    const stop = new AbortController();
    const policy = { attempts: 1000, firstPauseMs: 60_000, longestPauseMs: 60_000 };
    const store = test.open({ signal: stop.signal, retry: policy });
    const asked = Promise.withResolvers<undefined>();
    test.s3.setFault(() => {
      asked.resolve(undefined);
      return SLOW_DOWN;
    });
    const put = codeOf(store.putOnce(KEY, bytesOf('x'), { retainUntil: null }));
    await asked.promise;
    stop.abort();
    expect(await put).toBe('stopped');
    expect(await codeOf(store.get(KEY, 1))).toBe('stopped');
  });
});

describe('versions', () => {
  it('of one key on many pages come oldest first, each with its number', async () => {
    const store = test.open();
    for (let at = 0; at < 1003; at++) {
      test.s3.state.change({
        type: 'version',
        bucket: BUCKET,
        key: keyOf(store, 'a'),
        version: {
          id: `v${String(at)}`,
          isDeleteMarker: at % 100 === 99,
          body: bytesOf(String(at)),
          modified: at,
          contentType: '',
          checksums: {},
          md5Hex: '',
          retention: null,
          legalHold: null,
        },
      });
    }
    await store.putOnce('b', bytesOf('x'), { retainUntil: null });
    const all = await listed(store);
    expect(all.length).toBe(1004);
    expect(all.slice(0, 1003).map(({ versionId }) => versionId)).toEqual(
      Array.from({ length: 1003 }, (_, at) => `v${String(at)}`),
    );
    expect(all.slice(98, 101).map(({ ordinal }) => ordinal)).toEqual([99, 0, 100]);
    expect(all.at(-1)).toMatchObject({ key: 'b', ordinal: 1 });
    expect((await store.get('a', 10))?.bytes).toEqual(bytesOf('0'));
    expect((await store.head('a'))?.versionId).toBe('v0');
  });

  it('a delete marker hides nothing from a store', async () => {
    const store = test.open();
    await store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() });
    const marker = await test.client.send(
      new DeleteObjectCommand({ Bucket: BUCKET, Key: keyOf(store) }),
    );
    expect((await store.get(KEY, 10))?.bytes).toEqual(bytesOf('x'));
    expect(await store.get(KEY, 10, String(marker.VersionId))).toBe(null);
    const all = await listed(store);
    expect(all.map(({ isDeleteMarker }) => isDeleteMarker)).toEqual([false, true]);
  });

  it('an object that was only ever deleted has none', async () => {
    const store = test.open();
    await test.client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: keyOf(store) }));
    expect(await store.get(KEY, 10)).toBe(null);
    expect((await store.putOnce(KEY, bytesOf('x'), { retainUntil: null })).outcome).toBe('written');
  });
});

describe('rights', () => {
  it('without the right to see retention the lock is none', async () => {
    const store = test.open();
    await store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() });
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: {
        Effect: 'Deny',
        Principal: { AWS: ALICE.arn },
        Action: 's3:GetObjectRetention',
        Resource: `arn:aws:s3:::${BUCKET}/${keyOf(store)}`,
      },
    });
    await test.client.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
    expect((await store.head(KEY))?.lock.mode).toBe('none');
  });

  it('a bucket of another owner is denied', async () => {
    const store = test.open({ expectedBucketOwner: '210987654321' });
    expect(await codeOf(store.putOnce(KEY, bytesOf('x'), { retainUntil: null }))).toBe('denied');
    expect(await codeOf(listed(store))).toBe('denied');
    const right = test.open({ expectedBucketOwner: '123456789012' });
    expect((await right.putOnce(KEY, bytesOf('x'), { retainUntil: null })).outcome).toBe('written');
  });

  it('somebody else’s unlocked object of the same bytes is the same, and its lock says so', async () => {
    const store = test.open();
    const command = new PutObjectCommand({ Bucket: BUCKET, Key: keyOf(store), Body: bytesOf('x') });
    await test.client.send(command);
    expect((await store.putOnce(KEY, bytesOf('x'), { retainUntil: soon() })).outcome).toBe('same');
    expect((await store.head(KEY))?.lock.mode).toBe('none');
  });
});
