import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BucketState, HttpHandler } from '../../../enclave/s3/bucket.ts';
import { S3Bucket, S3Error } from '../../../enclave/s3/bucket.ts';
import { EgressError } from '../../../enclave/egress.ts';
import { fatalCode } from '../../../enclave/fatal.ts';
import { Credentials } from '../../../enclave/kms/credentials.ts';
import { createOnce } from '../../../enclave/s3/insist.ts';
import { checkBucket, leaseOf } from '../../../enclave/s3/lease.ts';
import { Clock, systemClock } from '../../../enclave/clock.ts';
import type { Fault } from '../../../simulator/s3/server.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import type { ConfiguredS3 } from '../../../wire/configuration.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { handlerTo } from '../../helpers/s3-handler.ts';
import type { TestS3 } from '../../wire/node/objects/s3-server.ts';
import { ALICE, BUCKET, startTestS3 } from '../../wire/node/objects/s3-server.ts';

const KEY = 'epochs/0000000001/claim';
const BYTES = utf8('a claim');
const UNTIL = new Date(Date.now() + 86_400_000);
let test: TestS3;
let keys = 0;

beforeAll(async () => {
  test = await startTestS3();
});

afterAll(() => test.close());

function now(): Date {
  return new Date();
}

function bucketOf(changes: Partial<ConfiguredS3> = {}, http?: HttpHandler): S3Bucket {
  const settings: ConfiguredS3 = {
    region: test.s3.region,
    host: 's3.example',
    bucket: BUCKET,
    prefix: `log/${++keys}`,
    retention_days: 30,
    ...changes,
  };
  const { accessKeyId, secretAccessKey } = ALICE;
  const credentials = new Credentials(1, Date.now);
  const expiresMs = Number.MAX_SAFE_INTEGER;
  credentials.push({ accessKeyId, secretAccessKey, sessionToken: null, expiresMs });
  return new S3Bucket(settings, {
    http: http ?? handlerTo(test.s3.port),
    credentials,
    now,
  });
}

async function errorOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
  } catch (error) {
    return error instanceof S3Error ? (error.code ?? 'transient') : String(error);
  }
  return null;
}

async function withFault<T>(fault: Fault, work: () => Promise<T>): Promise<T> {
  let done = false;
  test.s3.setFault(() => {
    if (done) return null;
    done = true;
    return fault;
  });
  try {
    return await work();
  } finally {
    test.s3.setFault(null);
  }
}

describe('an object', () => {
  it('is written once, locked in compliance mode until the date', async () => {
    const bucket = bucketOf();
    expect(await bucket.read(KEY)).toBeNull();
    expect(await bucket.create(KEY, BYTES, UNTIL)).toBe(true);
    expect(await bucket.create(KEY, utf8('another'), UNTIL)).toBe(false);
    expect(toHex((await bucket.read(KEY)) ?? utf8(''))).toBe(toHex(BYTES));
    const store = test.open({ prefix: `log/${keys}` });
    const head = await store.head(KEY);
    expect(head?.lock.mode).toBe('COMPLIANCE');
    expect(head?.lock.retainUntil?.getTime()).toBe(UNTIL.getTime());
    expect(toHex(head?.sha256 ?? utf8(''))).toBe(toHex(nodeCrypto.sha256(BYTES)));
  });

  it('of a mebibyte and of no bytes arrives as it is', async () => {
    const bucket = bucketOf();
    const large = new Uint8Array(1024 * 1024).fill(3);
    expect(await bucket.create('large', large, UNTIL)).toBe(true);
    expect((await bucket.read('large'))?.length).toBe(large.length);
    expect(await bucket.create('empty', new Uint8Array(0), UNTIL)).toBe(true);
    expect((await bucket.read('empty'))?.length).toBe(0);
  });

  it('has one version until somebody writes or deletes over it', async () => {
    const { client } = test;
    const bucket = bucketOf();
    expect(await bucket.isOnlyVersion(KEY)).toBe(false);
    await bucket.create(KEY, BYTES, UNTIL);
    expect(await bucket.isOnlyVersion(KEY)).toBe(true);
    const place = { Bucket: BUCKET, Key: `log/${keys}/${KEY}` };
    await client.send(new PutObjectCommand({ ...place, Body: BYTES }));
    expect(await bucket.isOnlyVersion(KEY)).toBe(false);
    const hidden = bucketOf();
    await hidden.create(KEY, BYTES, UNTIL);
    await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `log/${keys}/${KEY}` }));
    expect(await hidden.isOnlyVersion(KEY)).toBe(false);
    expect(await hidden.read(KEY)).toBeNull();
  });
});

describe('an answer that was lost or is of no use', () => {
  it.each<[string, Fault, number]>([
    ['no connection', { type: 'drop' }, 1],
    ['a lost answer', { type: 'lose-answer' }, 1],
    ['503', { type: 'refuse', status: 503, code: 'SlowDown' }, 1],
    ['409, a race', { type: 'refuse', status: 409, code: 'ConditionalRequestConflict' }, 1],
    ['500 although it was done', { type: 'lie', status: 500, code: 'InternalError' }, 1],
    ['another checksum', { type: 'lying-checksum' }, 1],
  ])('%s: passes, and the next try finds the bytes there or writes them', async (_, fault) => {
    const bucket = bucketOf();
    const first = await withFault(fault, () => errorOf(createOnce(bucket, KEY, BYTES, UNTIL)));
    expect(first).toBe('transient');
    expect(await createOnce(bucket, KEY, BYTES, UNTIL)).toBeNull();
    const other = await createOnce(bucket, KEY, utf8('other'), UNTIL);
    expect(toHex(other ?? utf8(''))).toBe(toHex(BYTES));
    expect(await bucket.isOnlyVersion(KEY)).toBe(true);
  });

  it('a body cut short passes', async () => {
    const bucket = bucketOf();
    await bucket.create(KEY, BYTES, UNTIL);
    const cut: Fault = { type: 'cut-body', afterBytes: 3 };
    expect(await withFault(cut, () => errorOf(bucket.read(KEY)))).toBe('transient');
  });

  it('credentials that have expired are not used again', async () => {
    const bucket = bucketOf();
    const expired: Fault = { type: 'refuse', status: 400, code: 'ExpiredToken' };
    expect(await withFault(expired, () => errorOf(bucket.read(KEY)))).toBe('transient');
    expect(await errorOf(bucket.read(KEY))).toBe('credentials_expired');
  });

  it.each([
    ['host_not_measured', 'host_not_measured'],
    ['tls_untrusted', 'tls_untrusted'],
    ['egress_refused', 'transient'],
  ] as const)('%s on the way out is %s', async (code, expected) => {
    const http: HttpHandler = { handle: () => Promise.reject(new EgressError(code)) };
    expect(await errorOf(bucketOf({}, http).read(KEY))).toBe(expected);
  });

  it('an object larger than any of ours reads as another one', async () => {
    const http: HttpHandler = { handle: () => Promise.reject(new EgressError('frame_too_large')) };
    expect(await bucketOf({}, http).read(KEY)).toEqual(new Uint8Array(0));
  });

  it('without credentials nothing is sent', async () => {
    const sent: unknown[] = [];
    const http: HttpHandler = {
      handle: (request) => {
        sent.push(request);
        return Promise.reject(new Error('sent'));
      },
    };
    const settings = { region: 'x', host: 'y', bucket: 'z', prefix: 'p', retention_days: 1 };
    const bucket = new S3Bucket(settings, { http, credentials: new Credentials(1, Date.now), now });
    expect(await errorOf(bucket.read(KEY))).toBe('credentials_missing');
    expect(sent).toEqual([]);
  });
});

function answering(status: number, body = '', headers: Record<string, string> = {}): HttpHandler {
  async function* stream(): AsyncIterable<Uint8Array> {
    yield await Promise.resolve(utf8(body));
  }
  return {
    handle: () => Promise.resolve({ response: { statusCode: status, headers, body: stream() } }),
  };
}

describe('a refusal that would be repeated', () => {
  it.each<[string, string, () => Promise<unknown>]>([
    ['bucket_missing', 'no such bucket', () => bucketOf({ bucket: 'no-such-bucket' }).describe()],
    [
      'bucket_denied',
      'the bucket of somebody else',
      () => bucketOf({ expected_bucket_owner: '999999999999' }).describe(),
    ],
    ['bucket_region', 'another region', () => bucketOf({ region: 'us-west-2' }).describe()],
    ['bucket_region', 'a redirect', () => bucketOf({}, answering(301)).create(KEY, BYTES, UNTIL)],
    [
      'bucket_region',
      'a redirect with a body',
      () => bucketOf({}, answering(307, '<Error><Code>TemporaryRedirect</Code></Error>')).read(KEY),
    ],
  ])('is %s: %s', async (code, _, work) => {
    expect(await errorOf(work())).toBe(code);
  });

  it.each([200, 204, 206, 400, 404, 408, 429, 500, 503])(
    'is not status %i with nothing that we know in it',
    async (status) => {
      const bucket = bucketOf({}, answering(status, '<html>'));
      expect(await errorOf(bucket.create(KEY, BYTES, UNTIL))).toBe('transient');
    },
  );
});

async function newBucket(client: S3Client, name: string, locked: boolean): Promise<string> {
  await client.send(
    new CreateBucketCommand({
      Bucket: name,
      ...(locked ? { ObjectLockEnabledForBucket: true } : {}),
      CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
    }),
  );
  return name;
}

async function retaining(
  client: S3Client,
  name: string,
  retention: { Mode: 'COMPLIANCE' | 'GOVERNANCE'; Days?: number; Years?: number },
): Promise<string> {
  const bucket = await newBucket(client, name, true);
  await client.send(
    new PutObjectLockConfigurationCommand({
      Bucket: bucket,
      ObjectLockConfiguration: {
        ObjectLockEnabled: 'Enabled',
        Rule: { DefaultRetention: retention },
      },
    }),
  );
  return bucket;
}

async function codeOf(bucket: S3Bucket): Promise<string | null> {
  const clock = new Clock(systemClock);
  const { signal } = new AbortController();
  try {
    await checkBucket(leaseOf(nodeCrypto, clock, bucket, 30, signal));
  } catch (error) {
    return fatalCode(error);
  }
  return null;
}

describe('the bucket at boot', () => {
  it.each<[string, string | null, (client: S3Client) => Promise<string>]>([
    [
      'without lock and versions',
      'bucket_unversioned',
      (client) => newBucket(client, 'plain', false),
    ],
    [
      'with versions and no lock',
      'bucket_unlocked',
      async (client) => {
        const Bucket = await newBucket(client, 'versioned', false);
        const VersioningConfiguration = { Status: 'Enabled' } as const;
        await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
        return Bucket;
      },
    ],
    [
      'in governance mode',
      'bucket_governance',
      (client) => retaining(client, 'governance', { Mode: 'GOVERNANCE', Days: 30 }),
    ],
    [
      'of 29 days',
      'bucket_retention_short',
      (client) => retaining(client, 'short', { Mode: 'COMPLIANCE', Days: 29 }),
    ],
    ['of 30 days', null, (client) => retaining(client, 'enough', { Mode: 'COMPLIANCE', Days: 30 })],
    ['of a year', null, (client) => retaining(client, 'year', { Mode: 'COMPLIANCE', Years: 1 })],
    ['without a default', null, () => Promise.resolve(BUCKET)],
  ])('%s: %s', async (_, code, make) => {
    expect(await codeOf(bucketOf({ bucket: await make(test.client) }))).toBe(code);
  });

  it('waits while S3 fails, and then is checked', async () => {
    const fault: Fault = { type: 'refuse', status: 503, code: 'SlowDown' };
    expect(await withFault(fault, () => codeOf(bucketOf()))).toBeNull();
  });

  it.each<[string, Partial<BucketState>]>([
    ['bucket_unversioned', { versioned: false }],
    ['bucket_unlocked', { locked: false }],
    ['bucket_governance', { mode: 'GOVERNANCE' }],
    ['bucket_governance', { mode: 'something else' }],
    ['bucket_retention_short', { days: 29 }],
  ])('is %s for %o', async (code, change) => {
    const state: BucketState = { versioned: true, locked: true, mode: 'COMPLIANCE', days: 30 };
    const bucket = bucketOf();
    bucket.describe = () => Promise.resolve({ ...state, ...change });
    expect(await codeOf(bucket)).toBe(code);
  });
});
