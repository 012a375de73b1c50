import {
  DeleteBucketEncryptionCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  DeletePublicAccessBlockCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import type { LifecycleRule } from '@aws-sdk/client-s3';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { run as check } from '../../../owner/commands/bucket-check.ts';
import { run as create } from '../../../owner/commands/bucket-create.ts';
import { run as hold } from '../../../owner/commands/bucket-hold.ts';
import { run as policy } from '../../../owner/commands/bucket-policy.ts';
import { TlsAuthority } from '../../../simulator/kms/authority.ts';
import type { S3User } from '../../../simulator/s3/server.ts';
import { S3Store } from '../../../wire/node/objects/s3.ts';
import { claimKey } from '../../../wire/object-keys.ts';
import { answerOf } from '../../simulator/s3/rules.ts';
import { bytesOf } from '../../wire/node/objects/contract.ts';
import { ALICE, startTestS3 } from '../../wire/node/objects/s3-server.ts';
import type { TestS3 } from '../../wire/node/objects/s3-server.ts';

function user(name: string): S3User {
  const arn = `arn:aws:iam::123456789012:user/${name}`;
  return { accessKeyId: `AKIA${name.toUpperCase()}`, secretAccessKey: `${name}-secret`, arn };
}

const [WRITER, HOLDER, ADMIN, STRANGER] = ['writer', 'holder', 'admin', 'stranger'].map(user) as [
  S3User,
  S3User,
  S3User,
  S3User,
];
const ROOT: S3User = { ...user('root'), arn: 'arn:aws:iam::123456789012:root' };
const MS_PER_DAY = 86_400_000;
const KMS_KEY = 'arn:aws:kms:eu-central-1:999999999999:key/11111111-2222-3333-4444-555555555555';
const SSE_C = {
  SSECustomerAlgorithm: 'AES256',
  SSECustomerKey: Buffer.alloc(32, 1).toString('base64'),
};

interface PolicyPart {
  readonly Sid: string;
  readonly Action: readonly string[];
}

let test: TestS3;
let names = 0;
let folder: string;
/** Where the server is, for the command line. */
let there: readonly string[] = [];

beforeAll(async () => {
  const authority = await TlsAuthority.open(null);
  const identity = await authority.issue(['127.0.0.1']);
  const tls = { key: identity.keyPem, certificate: identity.certificatePem };
  const users = [ALICE, WRITER, HOLDER, ADMIN, STRANGER, ROOT];
  test = await startTestS3({ users, tls }, authority.pem);
  folder = await mkdtemp(join(tmpdir(), 'trackseal-bucket-'));
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, authority.pem);
  there = ['--endpoint', test.s3.url, '--ca', ca, '--json'];
});

beforeEach(() => {
  as(ALICE);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(async () => {
  await test.close();
  await rm(folder, { recursive: true, force: true });
});

function as({ accessKeyId, secretAccessKey }: S3User): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey);
  vi.stubEnv('AWS_SESSION_TOKEN', undefined);
  vi.stubEnv('AWS_PROFILE', undefined);
}

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly json: Readonly<Record<string, unknown>>;
}

type Command = typeof check;

async function call(command: Command, ...args: readonly string[]): Promise<Answer> {
  let [stdout, stderr] = ['', ''];
  const code = await command(args, {
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    isTerminal: true,
    env: { AWS_REGION: 'eu-central-1' },
  });
  const isJson = stdout.startsWith('{');
  return { code, stdout, stderr, json: isJson ? (JSON.parse(stdout) as Answer['json']) : {} };
}

function codes({ json }: Answer): readonly string[] {
  const found = (json['findings'] ?? []) as readonly { readonly code: string }[];
  return found.map(({ code }) => code);
}

const WHO = ['--writer', WRITER.arn, '--holder', HOLDER.arn, '--admin', ADMIN.arn] as const;

async function newBucket(): Promise<string> {
  names += 1;
  const bucket = `owned-${String(names)}`;
  const made = await call(
    create,
    `s3://${bucket}/logs`,
    '--retention-days',
    '30',
    ...WHO,
    ...there,
  );
  expect([made.code, codes(made)]).toEqual([0, []]);
  return bucket;
}

/** The bucket's policy, changed by root. */
async function changePolicy(
  bucket: string,
  change: (statements: readonly PolicyPart[]) => readonly object[],
): Promise<void> {
  const text = test.s3.state.buckets.get(bucket)?.settings.policy ?? '';
  const { Statement } = JSON.parse(text) as { readonly Statement: readonly PolicyPart[] };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: change(Statement) });
  await test.clientOf(ROOT).send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
}

function storeOf(bucket: string, who: S3User): S3Store {
  return new S3Store({ client: test.clientOf(who), bucket, prefix: 'logs' });
}

function lock(ObjectLockMode: string, days: number): object {
  return { ObjectLockMode, ObjectLockRetainUntilDate: inDays(days) };
}

function inDays(days: number): Date {
  return new Date(Date.now() + days * MS_PER_DAY);
}

function lifecycle(
  Bucket: string,
  ...Rules: readonly object[]
): PutBucketLifecycleConfigurationCommand {
  const named = Rules.map((rule, at) =>
    Object.assign({ ID: `rule-${String(at)}`, Status: 'Enabled' }, rule),
  );
  return new PutBucketLifecycleConfigurationCommand({
    Bucket,
    ChecksumAlgorithm: 'SHA256',
    LifecycleConfiguration: { Rules: named as LifecycleRule[] },
  });
}

function encryption(Bucket: string, KMSMasterKeyID?: string): PutBucketEncryptionCommand {
  const SSEAlgorithm = KMSMasterKeyID === undefined ? 'AES256' : 'aws:kms';
  const key = KMSMasterKeyID === undefined ? {} : { KMSMasterKeyID };
  return new PutBucketEncryptionCommand({
    Bucket,
    ChecksumAlgorithm: 'SHA256',
    ServerSideEncryptionConfiguration: {
      Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm, ...key } }],
    },
  });
}

function checked(bucket: string, ...more: readonly string[]): Promise<Answer> {
  return call(check, `s3://${bucket}/logs`, ...there, ...more);
}

describe('trackseal bucket create', () => {
  it('makes what check has nothing against', async () => {
    const bucket = await newBucket();
    expect(test.s3.state.buckets.get(bucket)?.settings).toMatchObject({
      versioning: 'Enabled',
      objectLock: true,
      defaultRetention: { mode: 'COMPLIANCE', days: 30 },
      publicAccessBlock: [true, true, true, true],
    });
  });

  it('says which step was not done, and what is missing for it', async () => {
    test.s3.setFault(({ operation }) =>
      operation === 'PutPublicAccessBlock'
        ? { type: 'refuse', status: 501, code: 'NotImplemented' }
        : null,
    );
    test.s3.state.replay({ type: 'bucket-gone', bucket: 'partial' });
    const args = ['s3://partial/logs', '--retention-days', '30', ...WHO, ...there];
    const made = await call(create, ...args);
    test.s3.setFault(null);
    const steps = made.json['steps'] as readonly { readonly done: boolean }[];
    expect([made.code, made.json['verdict']]).toEqual([1, 'refused']);
    expect(steps.map(({ done }) => done)).toEqual([true, false, true, true]);
  });

  it('without TLS it is locked out by its own policy, and says that it could not look', async () => {
    const plain = await startTestS3();
    const endpoint = ['--endpoint', plain.s3.url, '--json'];
    const args = ['s3://plain/logs', '--retention-days', '30', ...WHO, ...endpoint];
    const made = await call(create, ...args);
    await plain.close();
    expect([made.code, made.json['code']]).toEqual([1, 'bucket_denied']);
  });

  it('a bucket that is there is refused', async () => {
    const bucket = await newBucket();
    const args = [`s3://${bucket}/logs`, '--retention-days', '30', ...WHO, ...there];
    const again = await call(create, ...args);
    expect([again.code, again.json['code']]).toEqual([1, 'bucket_exists']);
    expect(again.stderr).toContain('bucket check');
  });

  it.each([
    [['s3://b', '--retention-days', '30']],
    [['s3://bucket', ...WHO]],
    [['s3://bucket', '--retention-days', '0', ...WHO]],
    [['s3://bucket', '--retention-days', '36501', ...WHO]],
    [['s3://bucket', '--retention-days', '30', '--max-days', '29', ...WHO]],
    [['s3://bucket', '--retention-days', '30', '--writer', 'bob']],
    [['s3://bucket', '--retention-days', '30', ...WHO, '--holder', WRITER.arn]],
    [['s3://bucket', '--retention-days', '30', ...WHO, '--endpoint', 'http://192.0.2.1']],
    [['s3://bucket/../a', '--retention-days', '30', ...WHO]],
    [['bucket', '--retention-days', '30', ...WHO]],
  ])('%j is wrong usage', async (args) => {
    const answer = await call(create, ...args, '--json');
    expect([answer.code, answer.json['code']]).toEqual([2, 'usage_invalid']);
  });
});

describe('the policy of trackseal bucket policy', () => {
  let bucket: string;

  beforeAll(async () => {
    as(ALICE);
    bucket = await newBucket();
  });

  function put(who: S3User, key: string, more: object = {}): Promise<string> {
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: `logs/${key}`,
      Body: bytesOf('x'),
      ChecksumAlgorithm: 'SHA256',
      IfNoneMatch: '*',
      ObjectLockMode: 'COMPLIANCE',
      ObjectLockRetainUntilDate: inDays(30),
      ...more,
    });
    return answerOf(test.clientOf(who).send(command));
  }

  it('lets the writer write as the product does', async () => {
    const store = storeOf(bucket, WRITER);
    const result = await store.putOnce(claimKey(1), bytesOf('x'), { retainUntil: inDays(30) });
    expect(result.outcome).toBe('written');
    expect((await store.head(claimKey(1)))?.lock.mode).toBe('COMPLIANCE');
  });

  const WRITES: readonly (readonly [string, object])[] = [
    ['without If-None-Match', { IfNoneMatch: undefined }],
    ['without a lock', { ObjectLockMode: undefined, ObjectLockRetainUntilDate: undefined }],
    ['in GOVERNANCE mode', { ObjectLockMode: 'GOVERNANCE' }],
    ['for 28 days', { ObjectLockRetainUntilDate: inDays(28.5) }],
    ['for 62 days', { ObjectLockRetainUntilDate: inDays(62.5) }],
    ['with a legal hold', { ObjectLockLegalHoldStatus: 'ON' }],
    ['under a key that it brings (SSE-C)', SSE_C],
    ['under a KMS key', { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: KMS_KEY }],
    ['with the name of a KMS key only', { SSEKMSKeyId: KMS_KEY }],
    ['under the KMS key of its account', { ServerSideEncryption: 'aws:kms' }],
    ['under two layers of KMS', { ServerSideEncryption: 'aws:kms:dsse' }],
  ];

  it.each(WRITES)('denies the writer an object %s', async (_name, more) => {
    expect(await put(WRITER, 'a', more)).toBe('403 AccessDenied');
  });

  it('lets the writer name the encryption that S3 has by itself', async () => {
    expect(await put(WRITER, 'sse-s3', { ServerSideEncryption: 'AES256' })).toBe('200');
  });

  it('bounds retention at 29 and 61 days', async () => {
    expect(await put(WRITER, 'b', { ObjectLockRetainUntilDate: inDays(29.5) })).toBe('200');
    expect(await put(WRITER, 'c', { ObjectLockRetainUntilDate: inDays(61.5) })).toBe('200');
  });

  it('denies everybody else to write', async () => {
    for (const who of [STRANGER, HOLDER, ADMIN])
      expect(await put(who, 'd')).toBe('403 AccessDenied');
  });

  it('denies everybody to delete, with and without a version', async () => {
    for (const who of [WRITER, HOLDER, ADMIN, STRANGER]) {
      const client = test.clientOf(who);
      const Key = `logs/${claimKey(1)}`;
      const marker = client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
      expect(await answerOf(marker)).toBe('403 AccessDenied');
      const VersionId = test.s3.state.buckets.get(bucket)?.keys.get(Key)?.[0]?.id;
      const version = client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId }));
      expect(await answerOf(version)).toBe('403 AccessDenied');
    }
  });

  it('denies all but admins to change the rules, and lets admins', async () => {
    const Policy = test.s3.state.buckets.get(bucket)?.settings.policy ?? '';
    for (const who of [WRITER, HOLDER, STRANGER]) {
      const client = test.clientOf(who);
      const put = client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
      expect(await answerOf(put)).toBe('403 AccessDenied');
      const gone = client.send(new DeleteBucketPolicyCommand({ Bucket: bucket }));
      expect(await answerOf(gone)).toBe('403 AccessDenied');
      const lock = client.send(
        new PutObjectLockConfigurationCommand({
          Bucket: bucket,
          ChecksumAlgorithm: 'SHA256',
          ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
        }),
      );
      expect(await answerOf(lock)).toBe('403 AccessDenied');
      const versioning = client.send(
        new PutBucketVersioningCommand({
          Bucket: bucket,
          ChecksumAlgorithm: 'SHA256',
          VersioningConfiguration: { Status: 'Enabled' },
        }),
      );
      expect(await answerOf(versioning)).toBe('403 AccessDenied');
      const rule = lifecycle(bucket, { Filter: {}, Expiration: { Days: 1 } });
      expect(await answerOf(client.send(rule))).toBe('403 AccessDenied');
      const rules = client.send(new DeleteBucketLifecycleCommand({ Bucket: bucket }));
      expect(await answerOf(rules)).toBe('403 AccessDenied');
      const key = client.send(encryption(bucket, KMS_KEY));
      expect(await answerOf(key)).toBe('403 AccessDenied');
      const keys = client.send(new DeleteBucketEncryptionCommand({ Bucket: bucket }));
      expect(await answerOf(keys)).toBe('403 AccessDenied');
    }
    const admin = test.clientOf(ADMIN).send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
    expect(await answerOf(admin)).toBe('200');
  });

  it('lets nobody bypass GOVERNANCE', async () => {
    const root = test.clientOf(ROOT);
    const Key = 'elsewhere/a';
    const options = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: inDays(1) } as const;
    const { VersionId } = await root.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key,
        Body: 'x',
        ChecksumAlgorithm: 'SHA256',
        ...options,
      }),
    );
    const command = { Bucket: bucket, Key, VersionId, BypassGovernanceRetention: true };
    expect(await answerOf(root.send(new DeleteObjectCommand(command)))).toBe('403 AccessDenied');
  });

  it('is short enough for AWS', async () => {
    const { stdout } = await call(policy, 's3://bucket', '--retention-days', '30', ...WHO);
    expect(JSON.stringify(JSON.parse(stdout)).length).toBeLessThan(8000);
  });
});

describe('trackseal bucket check', () => {
  it('finds nothing in a bucket of ours', async () => {
    const bucket = await newBucket();
    const store = storeOf(bucket, WRITER);
    const until = inDays(30);
    await store.putOnce(claimKey(1), bytesOf('claim'), { retainUntil: until });
    await store.putOnce('blobs/00', bytesOf('blob'), { retainUntil: inDays(31) });
    const answer = await checked(bucket, '--retention-days', '30', '--writer', WRITER.arn);
    expect([answer.code, codes(answer)]).toEqual([0, []]);
    expect(answer.json['parts']).toMatchObject([
      { part: 'blobs/', objects: 1, bytes: 4, unlocked: 0 },
      {
        part: 'epochs/0000000001/',
        objects: 1,
        bytes: 5,
        earliest: until.toISOString(),
        latest: until.toISOString(),
        governance: 0,
        over: 0,
        holds: 0,
        laterVersions: 0,
        deleteMarkers: 0,
      },
    ]);
    const text = await call(check, `s3://${bucket}/logs`, ...there.slice(0, -1));
    expect(text.stdout).toContain('epochs/0000000001/');
    expect(text.stdout).toMatch(/PASSED {2}0 to correct/u);
  });

  const POLICY_FINDINGS: readonly (readonly [string, readonly string[]])[] = [
    ['WrittenOnce', ['overwrite_allowed']],
    ['Locked', ['unlocked_allowed']],
    ['LongEnough', ['short_allowed']],
    ['NotTooLong', ['long_allowed']],
    ['NoDeletes', ['delete_allowed']],
    // Its requests are all of `NoKms` too, but for those that S3 refuses anyway.
    ['NoNamedKey', []],
    ['NoSseC', ['own_key_allowed']],
    ['NoKms', ['own_key_allowed']],
    ['NoNewKey', ['own_key_allowed']],
    ['NoBypass', ['bypass_allowed']],
    ['HoldsByHolders', ['holds_open']],
    ['SettingsByAdmins', ['settings_open']],
    ['OnlyWritersWrite', ['anybody_writes']],
    ['TlsOnly', ['plain_http_allowed']],
    ['Tls12', []],
  ];

  it.each(POLICY_FINDINGS)('a policy without %s: %j', async (sid, expected) => {
    const bucket = await newBucket();
    await changePolicy(bucket, (all) => all.filter(({ Sid }) => Sid !== sid));
    // Whether the writer is named to the command or only in the policy.
    for (const more of [[], ['--writer', WRITER.arn]]) {
      const found = await checked(bucket, '--retention-days', '30', ...more);
      expect(codes(found)).toEqual(expected);
    }
  });

  it.each<readonly [string, readonly string[], (bucket: string) => Promise<unknown>]>([
    [
      'no policy',
      ['policy_none'],
      (Bucket) => test.clientOf(ROOT).send(new DeleteBucketPolicyCommand({ Bucket })),
    ],
    [
      'open to the public',
      ['public_access_open'],
      (Bucket) => test.clientOf(ADMIN).send(new DeletePublicAccessBlockCommand({ Bucket })),
    ],
    [
      'without default retention',
      ['default_retention_none'],
      (Bucket) =>
        test.clientOf(ADMIN).send(
          new PutObjectLockConfigurationCommand({
            Bucket,
            ChecksumAlgorithm: 'SHA256',
            ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
          }),
        ),
    ],
    [
      'with default retention that is weak and short',
      ['default_governance', 'default_short'],
      (Bucket) =>
        test.clientOf(ADMIN).send(
          new PutObjectLockConfigurationCommand({
            Bucket,
            ChecksumAlgorithm: 'SHA256',
            ObjectLockConfiguration: {
              ObjectLockEnabled: 'Enabled',
              Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 29 } },
            },
          }),
        ),
    ],
    [
      'with default encryption under a customer’s KMS key',
      ['default_kms_key'],
      (Bucket) => test.clientOf(ADMIN).send(encryption(Bucket, KMS_KEY)),
    ],
    [
      'with default encryption under AWS’s own KMS key',
      [],
      (Bucket) => test.clientOf(ADMIN).send(encryption(Bucket, 'alias/aws/s3')),
    ],
    [
      'with default encryption as S3 has it',
      [],
      (Bucket) => test.clientOf(ADMIN).send(encryption(Bucket)),
    ],
    [
      'with rules that expire and delete',
      ['lifecycle_expires', 'lifecycle_deletes', 'lifecycle_expires'],
      (Bucket) =>
        test.clientOf(ADMIN).send(
          lifecycle(
            Bucket,
            {
              Filter: { Prefix: '' },
              Expiration: { Days: 30 },
              NoncurrentVersionExpiration: { NoncurrentDays: 1 },
            },
            { Filter: { Prefix: 'logs/epochs/' }, Expiration: { Date: new Date('2040-01-01') } },
          ),
        ),
    ],
    [
      'with rules that leave the log alone',
      [],
      (Bucket) =>
        test
          .clientOf(ADMIN)
          .send(
            lifecycle(
              Bucket,
              { Filter: {}, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
              { Filter: { Prefix: 'other/' }, Expiration: { Days: 1 } },
              { Filter: {}, Status: 'Disabled', Expiration: { Days: 1 } },
            ),
          ),
    ],
  ])('a bucket %s', async (_name, expected, change) => {
    const bucket = await newBucket();
    await change(bucket);
    const found = codes(await checked(bucket, '--retention-days', '30', '--settings-only'));
    expect(found).toEqual(expected);
  });

  it.each(['s3:PutEncryptionConfiguration', 's3:PutLifecycleConfiguration'])(
    'a policy that lets writers have %s',
    async (action) => {
      const bucket = await newBucket();
      await changePolicy(bucket, (all) =>
        all.map((one) => ({ ...one, Action: one.Action.filter((name) => name !== action) })),
      );
      expect(codes(await checked(bucket, '--settings-only'))).toEqual(['settings_open']);
    },
  );

  it('says which lifecycle rule and which key it is', async () => {
    const bucket = await newBucket();
    const admin = test.clientOf(ADMIN);
    await admin.send(lifecycle(bucket, { Filter: {}, Expiration: { Days: 1 } }));
    await admin.send(encryption(bucket, KMS_KEY));
    const answer = await checked(bucket, '--settings-only');
    expect(answer.code).toBe(1);
    expect(answer.json['findings']).toMatchObject([
      { severity: 'error', where: 'lifecycle rule "rule-0" of prefix ""' },
      { severity: 'warning', where: KMS_KEY },
    ]);
  });

  it('objects that were written over, hidden, unlocked, weakly or briefly locked, or are no log’s', async () => {
    const bucket = await newBucket();
    const root = test.clientOf(ROOT);
    await root.send(new DeleteBucketPolicyCommand({ Bucket: bucket }));
    const put = async (Key: string, more: object): Promise<void> => {
      const command = { Bucket: bucket, Key: `logs/${Key}`, Body: bytesOf('x'), ...more };
      await root.send(new PutObjectCommand({ ...command, ChecksumAlgorithm: 'SHA256' }));
    };
    await put('epochs/0000000001/claim', lock('COMPLIANCE', 30));
    await put('epochs/0000000001/claim', lock('COMPLIANCE', 30));
    const hidden = { Bucket: bucket, Key: 'logs/epochs/0000000001/claim' };
    await root.send(new DeleteObjectCommand(hidden));
    await put('epochs/0000000002/claim', lock('GOVERNANCE', 30));
    await put('epochs/0000000002/close', lock('COMPLIANCE', 28));
    await put('a key of somebody', lock('COMPLIANCE', 30));
    await root.send(
      new PutObjectLockConfigurationCommand({
        Bucket: bucket,
        ChecksumAlgorithm: 'SHA256',
        ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
      }),
    );
    await put('blobs/aa', {});
    const answer = await checked(bucket, '--retention-days', '30');
    expect(answer.code).toBe(1);
    expect(new Set(codes(answer))).toEqual(
      new Set([
        'policy_none',
        'default_retention_none',
        'second_version',
        'delete_marker',
        'object_governance',
        'object_short',
        'object_unlocked',
        'key_foreign',
      ]),
    );
    expect(answer.json['parts']).toMatchObject([
      { part: '', objects: 1 },
      { part: 'blobs/', unlocked: 1, earliest: null },
      { part: 'epochs/0000000001/', objects: 1, laterVersions: 1, deleteMarkers: 1 },
      { part: 'epochs/0000000002/', objects: 2, governance: 1 },
    ]);
  });

  it('a retention that is over is said, and is no error', async () => {
    const bucket = await newBucket();
    const store = storeOf(bucket, WRITER);
    const { versionId: id } = await store.putOnce(claimKey(1), bytesOf('x'), {
      retainUntil: inDays(30),
    });
    const retention = { mode: 'COMPLIANCE', until: Date.now() - 1 } as const;
    const key = `logs/${claimKey(1)}`;
    test.s3.state.change({ type: 'lock', bucket, key, id, retention, legalHold: null });
    const answer = await checked(bucket);
    expect([answer.code, codes(answer)]).toEqual([0, ['retention_over']]);
  });

  it('what it may not read is said, not taken for right', async () => {
    const bucket = await newBucket();
    const blind = {
      Sid: 'Blind',
      Effect: 'Deny',
      Principal: { AWS: ALICE.arn },
      Action: [
        's3:GetBucketPolicy',
        's3:GetBucketVersioning',
        's3:GetEncryptionConfiguration',
        's3:GetLifecycleConfiguration',
      ],
      Resource: `arn:aws:s3:::${bucket}`,
    };
    await changePolicy(bucket, (all) => [...all, blind]);
    const answer = await checked(bucket);
    const unread = ['versioning', 'policy', 'lifecycle', 'encryptionKeys'];
    expect([answer.code, answer.json['findings']]).toMatchObject([
      0,
      unread.map((where) => ({ code: 'setting_unreadable', where })),
    ]);
    const strict = await checked(bucket, '--strict');
    expect([strict.code, strict.json['verdict']]).toEqual([1, 'refused']);
  });

  it.each<readonly [string, readonly string[], number, string]>([
    ['no such bucket', ['s3://nothing-here'], 1, 'bucket_missing'],
    ['another owner', ['s3://log-bucket', '--owner', '210987654321'], 1, 'bucket_denied'],
  ])('%s', async (_name, args, code, name) => {
    const answer = await call(check, ...args, ...there);
    expect([answer.code, answer.json['code']]).toEqual([code, name]);
  });

  it('nobody there', async () => {
    const answer = await call(
      check,
      's3://log-bucket',
      '--endpoint',
      'http://127.0.0.1:1',
      '--json',
    );
    expect([answer.code, answer.json['code']]).toEqual([2, 'source_unreachable']);
  });
});

function held(bucket: string, ...args: readonly string[]): Promise<Answer> {
  return call(hold, `s3://${bucket}/logs`, ...there, ...args);
}

async function filled(): Promise<string> {
  const bucket = await newBucket();
  const store = storeOf(bucket, WRITER);
  const options = { retainUntil: inDays(30) };
  for (const epoch of [1, 2, 10]) await store.putOnce(claimKey(epoch), bytesOf('x'), options);
  await store.putOnce(`${claimKey(1)}s`, bytesOf('x'), options);
  await store.putOnce('blobs/aa', bytesOf('x'), options);
  return bucket;
}

async function heldKeys(bucket: string): Promise<readonly string[]> {
  const store = storeOf(bucket, WRITER);
  const keys: string[] = [];
  for await (const { key } of store.list('')) {
    if ((await store.head(key))?.lock.legalHold === true) keys.push(key);
  }
  return keys;
}

describe('trackseal bucket hold', () => {
  it('holds an epoch, and goes on where it was', async () => {
    const bucket = await filled();
    as(HOLDER);
    const first = await held(bucket, '--on', '--epoch', '1');
    expect(first.json).toMatchObject({ verdict: 'done', status: 'ON', versions: 2, changed: 2 });
    expect(await heldKeys(bucket)).toEqual([claimKey(1), `${claimKey(1)}s`]);
    const again = await held(bucket, '--on', '--all');
    expect(again.json).toMatchObject({ versions: 5, changed: 3, unchanged: 2 });
    expect(again.stderr).toContain('legal hold');
    const off = await held(bucket, '--off', '--key', claimKey(1));
    expect(off.json).toMatchObject({ versions: 1, changed: 1 });
    expect((await heldKeys(bucket)).length).toBe(4);
    const blobs = await held(bucket, '--off', '--key', 'blobs/');
    expect(blobs.json).toMatchObject({ versions: 1, changed: 1 });
  });

  it('is denied to a writer, who learns nothing was done', async () => {
    const bucket = await filled();
    as(WRITER);
    const answer = await held(bucket, '--on', '--all');
    expect([answer.code, answer.json['code']]).toEqual([1, 'bucket_denied']);
    expect(await heldKeys(bucket)).toEqual([]);
  });

  it('a version that S3 no longer knows is said', async () => {
    const bucket = await filled();
    as(HOLDER);
    test.s3.setFault(({ operation, key }) => {
      if (operation !== 'PutObjectLegalHold') return null;
      return key.endsWith('aa') ? { type: 'refuse', status: 404, code: 'NoSuchKey' } : null;
    });
    const answer = await held(bucket, '--on', '--key', 'blobs/aa');
    test.s3.setFault(null);
    expect([answer.code, answer.json['code']]).toEqual([1, 'bucket_answer_invalid']);
  });

  it('a hold that S3 says it has set, and has not, is found out', async () => {
    const bucket = await filled();
    as(HOLDER);
    test.s3.setFault(({ operation }) =>
      operation === 'PutObjectLegalHold' ? { type: 'pretend' } : null,
    );
    const answer = await held(bucket, '--on', '--key', 'blobs/aa');
    test.s3.setFault(null);
    expect([answer.code, answer.json['code']]).toEqual([1, 'bucket_answer_invalid']);
  });

  it('rides out what is transient', async () => {
    const bucket = await filled();
    as(HOLDER);
    let left = 3;
    test.s3.setFault(({ operation }) => {
      if (operation !== 'PutObjectLegalHold' || left === 0) return null;
      left -= 1;
      return { type: 'refuse', status: 503, code: 'SlowDown' };
    });
    const answer = await held(bucket, '--on', '--all');
    test.s3.setFault(null);
    expect([answer.code, answer.json['changed']]).toEqual([0, 5]);
  });

  it.each([
    [['--epoch', '1']],
    [['--on', '--off', '--all']],
    [['--on']],
    [['--on', '--all', '--epoch', '1']],
    [['--on', '--epoch', '-1']],
    [['--on', '--key', '../a']],
  ])('%j is wrong usage', async (args) => {
    const answer = await held('bucket', ...args);
    expect([answer.code, answer.json['code']]).toEqual([2, 'usage_invalid']);
  });

  it('of nothing is nothing done', async () => {
    const bucket = await newBucket();
    const answer = await held(bucket, '--on', '--epoch', '7');
    expect([answer.code, answer.json['code']]).toEqual([1, 'bucket_empty']);
  });
});

describe('extending', () => {
  it('a writer may extend within the bound', async () => {
    const bucket = await newBucket();
    await storeOf(bucket, WRITER).putOnce(claimKey(1), bytesOf('x'), { retainUntil: inDays(30) });
    const extend = (days: number): Promise<string> =>
      answerOf(
        test.clientOf(WRITER).send(
          new PutObjectRetentionCommand({
            Bucket: bucket,
            Key: `logs/${claimKey(1)}`,
            ChecksumAlgorithm: 'SHA256',
            Retention: { Mode: 'COMPLIANCE', RetainUntilDate: inDays(days) },
          }),
        ),
      );
    expect(await extend(60)).toBe('200');
    expect(await extend(63)).toBe('403 AccessDenied');
  });
});
