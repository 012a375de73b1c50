import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { afterEach, describe, expect, it } from 'vitest';
import { TlsAuthority } from '../../../simulator/kms/authority.ts';
import { openS3Client } from '../../../wire/node/objects/client.ts';
import { S3Store } from '../../../wire/node/objects/s3.ts';
import { bytesOf, listed, soon } from '../../wire/node/objects/contract.ts';
import { ALICE, BUCKET, startTestS3 } from '../../wire/node/objects/s3-server.ts';
import type { TestS3 } from '../../wire/node/objects/s3-server.ts';
import { answerOf } from './rules.ts';

const running: TestS3[] = [];
const folders: string[] = [];

async function start(...args: Parameters<typeof startTestS3>): Promise<TestS3> {
  const test = await startTestS3(...args);
  running.push(test);
  return test;
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-s3-'));
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  for (const test of running.splice(0)) await test.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

function put(key: string, more: object = {}): PutObjectCommand {
  return new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bytesOf('x'), ...more });
}

interface RawAnswer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

async function raw(
  test: TestS3,
  path: string,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const asked = request({ host: '127.0.0.1', port: test.s3.port, path, headers });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode, headers: answer.headers, text };
}

describe('the simulated S3', () => {
  it('names itself in every answer, and denies whoever does not sign', async () => {
    const test = await start();
    const { status, headers, text } = await raw(test, `/${BUCKET}`);
    expect([status, headers['x-trackseal-simulator']]).toEqual([403, 's3']);
    expect(text).toContain('<Code>AccessDenied</Code>');
  });

  it.each([
    ['no such thing', '/?location'],
    ['a path that cannot be decoded', '/%ff'],
    ['an escape', '/../../etc/passwd'],
  ])('answers an error to %s', async (_name, path) => {
    const test = await start();
    expect((await raw(test, path)).status).toBeGreaterThanOrEqual(400);
  });

  it('speaks TLS under the authority that it was given', async () => {
    const authority = await TlsAuthority.open(null);
    const { keyPem: key, certificatePem: certificate } = await authority.issue(['127.0.0.1']);
    const test = await start({ tls: { key, certificate } }, authority.pem);
    expect(test.s3.url).toMatch(/^https:/u);
    const store = test.open();
    expect((await store.putOnce('a', bytesOf('x'), { retainUntil: soon() })).outcome).toBe(
      'written',
    );
  });

  it('keeps its state in a folder', async () => {
    const folder = await newFolder();
    const first = await start({ folder });
    const store = first.open();
    await store.putOnce('a', bytesOf('kept'), { retainUntil: soon() });
    const before = await listed(store);
    await running.pop()?.close();
    const second = await start({ folder });
    const again = new S3Store({ client: second.client, bucket: BUCKET, prefix: 'logs/1' });
    expect(await listed(again)).toEqual(before);
    expect((await again.get('a', 10))?.bytes).toEqual(bytesOf('kept'));
    expect((await again.head('a'))?.lock.mode).toBe('COMPLIANCE');
  });

  it('takes temporary credentials with their token, until they expire', async () => {
    const temporary = { ...ALICE, accessKeyId: 'ASIATEMP', sessionToken: 'token' };
    let now = Date.now();
    const users = [ALICE, { ...temporary, expiresAt: now + 60_000 }];
    const test = await start({ users, clock: () => now });
    expect(await answerOf(test.clientOf(temporary).send(put('a')))).toBe('200');
    const other = { ...temporary, sessionToken: 'other' };
    expect(await answerOf(test.clientOf(other).send(put('a')))).toBe('400 InvalidToken');
    now += 60_000;
    expect(await answerOf(test.clientOf(temporary).send(put('a')))).toBe('400 ExpiredToken');
  });

  it.each([
    [14, '200'],
    [16, '403 RequestTimeTooSkewed'],
  ])('with clocks %i minutes apart: %s', async (minutes, expected) => {
    const ahead = minutes * 60_000;
    let skew = 0;
    const test = await start({ clock: () => Date.now() + skew });
    skew = ahead;
    // The SDK corrects its clock after a refusal; the first answer is what counts.
    expect(await answerOf(test.client.send(put('a')))).toBe(expected);
  });

  it('refuses a signature for another region', async () => {
    const test = await start({ region: 'eu-central-1' });
    const client = openS3Client({
      region: 'us-east-1',
      endpoint: test.s3.url,
      credentials: ALICE,
      handler: new NodeHttpHandler({}),
    });
    expect(await answerOf(client.send(put('a')))).toBe('400 AuthorizationHeaderMalformed');
    client.destroy();
  });

  it('answers 409 to whoever began before another writer ended', async () => {
    const test = await start();
    const held = Promise.withResolvers<undefined>();
    const arrived = Promise.withResolvers<undefined>();
    test.s3.setFault(async ({ number }) => {
      if (number !== 2) return null;
      arrived.resolve(undefined);
      await held.promise;
      return null;
    });
    const slow = answerOf(test.client.send(put('a', { IfNoneMatch: '*' })));
    await arrived.promise;
    expect(await answerOf(test.client.send(put('a', { IfNoneMatch: '*' })))).toBe('200');
    held.resolve(undefined);
    expect(await slow).toBe('409 ConditionalRequestConflict');
    expect(await answerOf(test.client.send(put('a', { IfNoneMatch: '*' })))).toBe(
      '412 PreconditionFailed',
    );
  });

  it('lets a lock go when its time has come, and not before', async () => {
    let now = Date.now();
    const test = await start({ clock: () => now });
    const until = now + 60_000;
    const lock = { ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: new Date(until) };
    const { VersionId } = await test.client.send(
      put('a', { ...lock, ChecksumAlgorithm: 'SHA256' }),
    );
    const remove = (): Promise<string> =>
      answerOf(test.client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'a', VersionId })));
    now = until - 1;
    expect(await remove()).toBe('403 AccessDenied');
    now = until;
    expect(await remove()).toBe('200');
  });

  it('refuses a policy that it does not understand', async () => {
    const test = await start();
    const statement = {
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:*',
      Resource: `arn:aws:s3:::${BUCKET}/*`,
    };
    const policyOf = (more: object): Promise<string> => {
      const Policy = JSON.stringify({
        Version: '2012-10-17',
        Statement: { ...statement, ...more },
      });
      return answerOf(test.client.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy })));
    };
    const wrong: readonly object[] = [
      { Condition: { StringSortOf: { 'aws:PrincipalArn': 'a' } } },
      { Condition: { StringEquals: { 'aws:SourceIp': '192.0.2.1' } } },
      { Resource: 'arn:aws:s3:::another/*' },
      { Principal: undefined },
      { Action: undefined },
      { Extra: 1 },
    ];
    for (const more of wrong)
      expect(await policyOf(more), JSON.stringify(more)).toBe('400 MalformedPolicy');
    expect(await policyOf({})).toBe('200');
  });

  it('counts what it was asked', async () => {
    const test = await start();
    await test.client.send(put('a'));
    await test.client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'a' }));
    await test.client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'a' }));
    expect(Object.fromEntries(test.s3.counts)).toEqual({
      CreateBucket: 1,
      PutObject: 1,
      HeadObject: 1,
      GetObject: 1,
    });
  });
});
