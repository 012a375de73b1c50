// AWS's rules for buckets with Object Lock, as requests and the answers they must get. The same list is asked of
// the simulated S3, of real S3 servers, and of AWS when a bucket is named (test/s3): it keeps the simulator
// honest. Where a server is known to be otherwise its table says so, and the rule must then fail.

import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  PutPublicAccessBlockCommand,
} from '@aws-sdk/client-s3';
import type {
  GetBucketLifecycleConfigurationCommandOutput,
  PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';

const RECORD_SHA256: string = createHash('sha256').update('record').digest('base64');

export interface RuleStage {
  readonly client: S3Client;
  /** Of the same server, with these keys. */
  readonly clientWith: (accessKeyId: string, secretAccessKey: string) => S3Client;
  readonly accessKeyId: string;
  /** With Object Lock. Where buckets cannot be made, the one that was named. */
  readonly bucket: string;
  /** Null where buckets must not be made. */
  readonly makeBucket: ((lock: boolean) => Promise<string>) | null;
  /** A key that nothing has. */
  readonly newKey: () => string;
}

export interface Rule {
  readonly id: string;
  readonly title: string;
  readonly needsBucket?: true;
  readonly check: (stage: RuleStage) => Promise<void>;
}

export async function answerOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return '200';
  } catch (error) {
    const metadata = (error as { readonly $metadata?: { readonly httpStatusCode?: number } })
      .$metadata;
    const name = error instanceof Error ? error.name : 'unknown';
    return `${String(metadata?.httpStatusCode ?? 'no status')} ${name}`;
  }
}

function inSeconds(seconds: number): Date {
  return new Date(Math.ceil(Date.now() / 1000 + seconds) * 1000);
}

function body(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

type More = Partial<PutObjectCommandInput>;

async function put(
  { client, bucket }: RuleStage,
  key: string,
  more: More = {},
): Promise<{ readonly versionId: string; readonly sha256: string | undefined }> {
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: body('record'),
    ChecksumAlgorithm: 'SHA256',
    ...more,
  });
  const answer = await client.send(command);
  return { versionId: String(answer.VersionId), sha256: answer.ChecksumSHA256 };
}

function compliance(seconds = 90): More {
  return { ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: inSeconds(seconds) };
}

function deleteVersion({ client, bucket }: RuleStage, key: string, more: object): Promise<unknown> {
  return client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, ...more }));
}

function retain(
  { client, bucket }: RuleStage,
  key: string,
  mode: 'COMPLIANCE' | 'GOVERNANCE',
  until: Date,
  more: object = {},
): Promise<unknown> {
  const command = new PutObjectRetentionCommand({
    Bucket: bucket,
    Key: key,
    Retention: { Mode: mode, RetainUntilDate: until },
    ChecksumAlgorithm: 'SHA256',
    ...more,
  });
  return client.send(command);
}

function hold({ client, bucket }: RuleStage, key: string, status: 'ON' | 'OFF'): Promise<unknown> {
  const command = new PutObjectLegalHoldCommand({
    Bucket: bucket,
    Key: key,
    LegalHold: { Status: status },
    ChecksumAlgorithm: 'SHA256',
  });
  return client.send(command);
}

async function made(stage: RuleStage, lock: boolean): Promise<RuleStage> {
  if (stage.makeBucket === null) throw new Error('no bucket can be made');
  return { ...stage, bucket: await stage.makeBucket(lock) };
}

const CUSTOMER_KEY = {
  SSECustomerAlgorithm: 'AES256',
  SSECustomerKey: Buffer.alloc(32, 1).toString('base64'),
};

/** A denial of the header (under any value, or of `aws:` for the plain one) denies this write and lets others pass. */
async function deniesEncryption(outer: RuleStage, header: string, more: More): Promise<void> {
  const stage = await made(outer, true);
  const { client, bucket } = stage;
  const key = `s3:x-amz-server-side-encryption${header}`;
  const statement = {
    Effect: 'Deny',
    Principal: '*',
    Action: 's3:PutObject',
    Resource: `arn:aws:s3:::${bucket}/*`,
    Condition: header === '' ? { StringLike: { [key]: 'aws:*' } } : { Null: { [key]: 'false' } },
  };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  expect(await answerOf(put(stage, 'a', more))).toBe('403 AccessDenied');
  expect(await answerOf(put(stage, 'a'))).toBe('200');
}

export const RULES: readonly Rule[] = [
  {
    id: 'lock-is-versioned',
    title: 'a bucket with Object Lock has versioning and says that it has a lock',
    check: async ({ client, bucket }) => {
      const versioning = await client.send(new GetBucketVersioningCommand({ Bucket: bucket }));
      expect(versioning.Status).toBe('Enabled');
      const lock = await client.send(new GetObjectLockConfigurationCommand({ Bucket: bucket }));
      expect(lock.ObjectLockConfiguration?.ObjectLockEnabled).toBe('Enabled');
    },
  },
  {
    id: 'no-lock-configuration',
    title: 'a bucket without Object Lock says so',
    needsBucket: true,
    check: async (stage) => {
      const { client, bucket } = await made(stage, false);
      const asked = client.send(new GetObjectLockConfigurationCommand({ Bucket: bucket }));
      expect(await answerOf(asked)).toBe('404 ObjectLockConfigurationNotFoundError');
    },
  },
  {
    id: 'suspend',
    title: 'versioning of a locked bucket cannot be suspended',
    needsBucket: true,
    check: async (stage) => {
      const { client, bucket } = await made(stage, true);
      const command = new PutBucketVersioningCommand({
        Bucket: bucket,
        VersioningConfiguration: { Status: 'Suspended' },
        ChecksumAlgorithm: 'SHA256',
      });
      expect(await answerOf(client.send(command))).toBe('409 InvalidBucketState');
    },
  },
  {
    id: 'default-retention',
    title: 'default retention is stamped on new objects, and explicit dates win',
    needsBucket: true,
    check: async (outer) => {
      const stage = await made(outer, true);
      const { client, bucket } = stage;
      await client.send(
        new PutObjectLockConfigurationCommand({
          Bucket: bucket,
          ChecksumAlgorithm: 'SHA256',
          ObjectLockConfiguration: {
            ObjectLockEnabled: 'Enabled',
            Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 2 } },
          },
        }),
      );
      await put(stage, 'default');
      const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'default' }));
      expect(head.ObjectLockMode).toBe('GOVERNANCE');
      const days = ((head.ObjectLockRetainUntilDate?.getTime() ?? 0) - Date.now()) / 86_400_000;
      expect(Math.abs(days - 2)).toBeLessThan(0.1);
      const explicit = compliance();
      await put(stage, 'explicit', explicit);
      const own = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'explicit' }));
      expect(own.ObjectLockMode).toBe('COMPLIANCE');
      expect(own.ObjectLockRetainUntilDate).toEqual(explicit.ObjectLockRetainUntilDate);
    },
  },
  {
    id: 'if-none-match',
    title: 'If-None-Match: * takes a key once',
    check: async (stage) => {
      const key = stage.newKey();
      await put(stage, key, { IfNoneMatch: '*' });
      expect(await answerOf(put(stage, key, { IfNoneMatch: '*' }))).toBe('412 PreconditionFailed');
    },
  },
  {
    id: 'if-none-match-race',
    title: 'of eight writers with If-None-Match: * one is taken',
    check: async (stage) => {
      // More than once: a server that lets racers through does not always meet a race.
      for (let round = 0; round < 5; round++) {
        const key = stage.newKey();
        const puts = Array.from({ length: 8 }, (_, at) =>
          answerOf(put(stage, key, { IfNoneMatch: '*', Body: body(`writer ${String(at)}`) })),
        );
        const answers = await Promise.all(puts);
        expect(answers.filter((answer) => answer === '200').length).toBe(1);
        const others = new Set(answers.filter((answer) => answer !== '200'));
        others.delete('412 PreconditionFailed');
        others.delete('409 ConditionalRequestConflict');
        expect([...others]).toEqual([]);
      }
    },
  },
  {
    id: 'if-none-match-newest',
    title: 'If-None-Match: * looks at the newest version: over a delete marker it writes',
    check: async (stage) => {
      const key = stage.newKey();
      await put(stage, key, { ...compliance(), IfNoneMatch: '*' });
      await deleteVersion(stage, key, {});
      expect(await answerOf(put(stage, key, { IfNoneMatch: '*' }))).toBe('200');
    },
  },
  {
    id: 'newer-version',
    title: 'a lock does not stop a newer version or a delete marker, and keeps its own',
    check: async (stage) => {
      const { client, bucket } = stage;
      const key = stage.newKey();
      const { versionId } = await put(stage, key, compliance());
      await put(stage, key, { Body: body('newer') });
      await deleteVersion(stage, key, {});
      const current = client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      expect(await answerOf(current)).toBe('404 NoSuchKey');
      const command = new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId });
      expect(await (await client.send(command)).Body?.transformToString()).toBe('record');
    },
  },
  {
    id: 'delete-marker-by-version',
    title: 'a delete marker asked for by its version is a method that is not allowed',
    check: async (stage) => {
      const { client, bucket } = stage;
      const key = stage.newKey();
      await put(stage, key);
      const command = new DeleteObjectCommand({ Bucket: bucket, Key: key });
      const { VersionId, DeleteMarker } = await client.send(command);
      expect(DeleteMarker).toBe(true);
      const get = client.send(new GetObjectCommand({ Bucket: bucket, Key: key, VersionId }));
      expect(await answerOf(get)).toBe('405 MethodNotAllowed');
    },
  },
  {
    id: 'compliance-delete',
    title: 'COMPLIANCE: the version cannot be deleted, bypass or not',
    check: async (stage) => {
      const key = stage.newKey();
      const { versionId: VersionId } = await put(stage, key, compliance());
      expect(await answerOf(deleteVersion(stage, key, { VersionId }))).toBe('403 AccessDenied');
      const bypass = { VersionId, BypassGovernanceRetention: true };
      expect(await answerOf(deleteVersion(stage, key, bypass))).toBe('403 AccessDenied');
    },
  },
  {
    id: 'compliance-shorten',
    title: 'COMPLIANCE: retention cannot be shortened',
    check: async (stage) => {
      const key = stage.newKey();
      await put(stage, key, compliance(180));
      const asked = retain(stage, key, 'COMPLIANCE', inSeconds(60));
      expect(await answerOf(asked)).toBe('403 AccessDenied');
    },
  },
  {
    id: 'compliance-mode',
    title: 'COMPLIANCE: the mode cannot be changed',
    check: async (stage) => {
      const key = stage.newKey();
      await put(stage, key, compliance(90));
      const asked = retain(stage, key, 'GOVERNANCE', inSeconds(180), {
        BypassGovernanceRetention: true,
      });
      expect(await answerOf(asked)).toBe('403 AccessDenied');
    },
  },
  {
    id: 'compliance-extend',
    title: 'COMPLIANCE: retention can be extended, and says what it is',
    check: async (stage) => {
      const { client, bucket } = stage;
      const key = stage.newKey();
      await put(stage, key, compliance(60));
      const later = inSeconds(120);
      await retain(stage, key, 'COMPLIANCE', later);
      const command = new GetObjectRetentionCommand({ Bucket: bucket, Key: key });
      const { Retention } = await client.send(command);
      expect(Retention).toEqual({ Mode: 'COMPLIANCE', RetainUntilDate: later });
    },
  },
  {
    id: 'governance',
    title: 'GOVERNANCE: deleting needs the header that bypasses it',
    check: async (stage) => {
      const key = stage.newKey();
      const until = { ObjectLockRetainUntilDate: inSeconds(90) };
      const { versionId: VersionId } = await put(stage, key, {
        ObjectLockMode: 'GOVERNANCE',
        ...until,
      });
      expect(await answerOf(deleteVersion(stage, key, { VersionId }))).toBe('403 AccessDenied');
      const bypass = { VersionId, BypassGovernanceRetention: true };
      expect(await answerOf(deleteVersion(stage, key, bypass))).toBe('200');
    },
  },
  {
    id: 'legal-hold',
    title: 'a legal hold keeps a version without a date, until it is off',
    check: async (stage) => {
      const { client, bucket } = stage;
      const key = stage.newKey();
      const { versionId: VersionId } = await put(stage, key);
      await hold(stage, key, 'ON');
      const asked = await client.send(new GetObjectLegalHoldCommand({ Bucket: bucket, Key: key }));
      expect(asked.LegalHold?.Status).toBe('ON');
      const bypass = { VersionId, BypassGovernanceRetention: true };
      expect(await answerOf(deleteVersion(stage, key, bypass))).toBe('403 AccessDenied');
      await hold(stage, key, 'OFF');
      expect(await answerOf(deleteVersion(stage, key, { VersionId }))).toBe('200');
    },
  },
  {
    id: 'no-retention',
    title: 'an object without retention or hold has none to show',
    check: async (stage) => {
      const { client, bucket } = stage;
      const key = stage.newKey();
      await put(stage, key);
      const retention = client.send(new GetObjectRetentionCommand({ Bucket: bucket, Key: key }));
      expect(await answerOf(retention)).toBe('404 NoSuchObjectLockConfiguration');
      const held = client.send(new GetObjectLegalHoldCommand({ Bucket: bucket, Key: key }));
      expect(await answerOf(held)).toBe('404 NoSuchObjectLockConfiguration');
    },
  },
  {
    id: 'past-date',
    title: 'a date in the past is refused',
    check: async (stage) => {
      const until = { ObjectLockRetainUntilDate: inSeconds(-60) };
      const asked = put(stage, stage.newKey(), { ObjectLockMode: 'COMPLIANCE', ...until });
      expect(await answerOf(asked)).toBe('400 InvalidArgument');
    },
  },
  {
    id: 'mode-without-date',
    title: 'a mode without a date is refused',
    check: async (stage) => {
      const asked = put(stage, stage.newKey(), { ObjectLockMode: 'COMPLIANCE' });
      expect(await answerOf(asked)).toMatch(/^400 Invalid/u);
    },
  },
  {
    id: 'lock-without-locked-bucket',
    title: 'lock headers for a bucket without Object Lock are refused',
    needsBucket: true,
    check: async (outer) => {
      const stage = await made(outer, false);
      expect(await answerOf(put(stage, 'a', compliance()))).toBe('400 InvalidRequest');
    },
  },
  {
    id: 'lock-without-digest',
    title: 'lock headers without a digest of the body are refused',
    check: async (stage) => {
      const more = { ...compliance(), ChecksumAlgorithm: undefined };
      expect(await answerOf(put(stage, stage.newKey(), more))).toBe('400 InvalidRequest');
    },
  },
  {
    id: 'bad-sha256',
    title: 'a SHA-256 that is not the body’s is refused',
    check: async (stage) => {
      const wrong = { ChecksumSHA256: Buffer.alloc(32, 1).toString('base64') };
      expect(await answerOf(put(stage, stage.newKey(), wrong))).toBe('400 BadDigest');
    },
  },
  {
    id: 'bad-md5',
    title: 'an MD5 that is not the body’s is refused',
    check: async (stage) => {
      const wrong = { ContentMD5: Buffer.alloc(16, 1).toString('base64') };
      const more = { ...wrong, ChecksumAlgorithm: undefined };
      expect(await answerOf(put(stage, stage.newKey(), more))).toBe('400 BadDigest');
    },
  },
  {
    id: 'checksum-told',
    title: 'the SHA-256 is told with the answer to a write and to a read that asks for it',
    check: async (stage) => {
      const { client, bucket } = stage;
      const key = stage.newKey();
      const { sha256 } = await put(stage, key);
      const command = new HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' });
      const head = await client.send(command);
      expect([sha256, head.ChecksumSHA256]).toEqual([RECORD_SHA256, RECORD_SHA256]);
    },
  },
  {
    id: 'versions-in-pages',
    title: 'versions are listed newest first per key, and all of them over many pages',
    check: async (stage) => {
      const { client, bucket } = stage;
      const prefix = `${stage.newKey()}/`;
      const written: string[] = [];
      for (const key of ['a', 'a', 'a', 'b', 'b']) {
        const { versionId } = await put(stage, `${prefix}${key}`);
        written.push(`${key} ${versionId}`);
      }
      const found: string[] = [];
      let marker: { KeyMarker?: string; VersionIdMarker?: string } = {};
      for (let pages = 0; pages < 10; pages++) {
        const page = await client.send(
          new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix, MaxKeys: 2, ...marker }),
        );
        for (const { Key, VersionId } of page.Versions ?? []) {
          found.push(`${String(Key).slice(prefix.length)} ${String(VersionId)}`);
        }
        if (page.IsTruncated !== true) break;
        const { NextKeyMarker, NextVersionIdMarker } = page;
        marker = {
          ...(NextKeyMarker === undefined ? {} : { KeyMarker: NextKeyMarker }),
          ...(NextVersionIdMarker === undefined ? {} : { VersionIdMarker: NextVersionIdMarker }),
        };
      }
      const [a3, a2, a1, b2, b1] = [2, 1, 0, 4, 3].map((at) => written[at]);
      expect(found).toEqual([a3, a2, a1, b2, b1]);
    },
  },
  {
    id: 'absent',
    title: 'keys, versions and buckets that are not there',
    check: async (stage) => {
      const { client, bucket } = stage;
      const key = stage.newKey();
      const get = client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      expect(await answerOf(get)).toBe('404 NoSuchKey');
      const head = client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
      expect(await answerOf(head)).toBe('404 NotFound');
      const none = client.send(
        new GetObjectCommand({ Bucket: 'no-such-bucket-of-anybody-1b2c', Key: key }),
      );
      expect(await answerOf(none)).toMatch(/^40[34] (?:NoSuchBucket|AccessDenied)$/u);
    },
  },
  {
    id: 'expected-owner',
    title: 'a bucket of another owner than the expected one is denied',
    check: async ({ client, bucket }) => {
      const command = new HeadBucketCommand({
        Bucket: bucket,
        ExpectedBucketOwner: '000000000000',
      });
      expect(await answerOf(client.send(command))).toMatch(/^403 /u);
    },
  },
  {
    id: 'signature',
    title: 'another secret, or an unknown key, opens nothing',
    check: async ({ accessKeyId, bucket, clientWith, newKey }) => {
      const command = (): PutObjectCommand =>
        new PutObjectCommand({ Bucket: bucket, Key: newKey(), Body: body('x') });
      const wrong = clientWith(accessKeyId, 'not-the-secret');
      expect(await answerOf(wrong.send(command()))).toBe('403 SignatureDoesNotMatch');
      const unknown = clientWith('AKIANOBODY0000000000', 'secret');
      expect(await answerOf(unknown.send(command()))).toBe('403 InvalidAccessKeyId');
    },
  },
  {
    id: 'policy-if-none-match',
    title: 'a policy can demand If-None-Match',
    needsBucket: true,
    check: async (outer) => {
      const stage = await made(outer, true);
      const { client, bucket } = stage;
      const statement = {
        Effect: 'Deny',
        Principal: '*',
        Action: 's3:PutObject',
        Resource: `arn:aws:s3:::${bucket}/*`,
        Condition: { Null: { 's3:if-none-match': 'true' } },
      };
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
      await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
      expect(await answerOf(put(stage, 'a'))).toBe('403 AccessDenied');
      expect(await answerOf(put(stage, 'a', { IfNoneMatch: '*' }))).toBe('200');
    },
  },
  {
    id: 'policy-delete',
    title: 'a policy can deny delete markers',
    needsBucket: true,
    check: async (outer) => {
      const stage = await made(outer, true);
      const { client, bucket } = stage;
      await put(stage, 'a');
      const statement = {
        Effect: 'Deny',
        Principal: '*',
        Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
        Resource: `arn:aws:s3:::${bucket}/*`,
      };
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
      await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
      expect(await answerOf(deleteVersion(stage, 'a', {}))).toBe('403 AccessDenied');
    },
  },
  {
    id: 'policy-retention',
    title: 'a policy can bound the days of retention',
    needsBucket: true,
    check: async (outer) => {
      const stage = await made(outer, true);
      const { client, bucket } = stage;
      const days = 's3:object-lock-remaining-retention-days';
      const statement = {
        Effect: 'Deny',
        Principal: '*',
        Action: 's3:PutObjectRetention',
        Resource: `arn:aws:s3:::${bucket}/*`,
        Condition: { NumericGreaterThan: { [days]: '10' } },
      };
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
      await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
      await put(stage, 'a');
      const asked = retain(stage, 'a', 'COMPLIANCE', inSeconds(20 * 86_400));
      expect(await answerOf(asked)).toBe('403 AccessDenied');
      expect(await answerOf(retain(stage, 'a', 'COMPLIANCE', inSeconds(300)))).toBe('200');
    },
  },
  {
    id: 'policy-customer-key',
    title: 'a policy can deny objects under a key that the writer brings',
    needsBucket: true,
    check: (stage) => deniesEncryption(stage, '-customer-algorithm', CUSTOMER_KEY),
  },
  {
    id: 'policy-kms-key',
    title: 'a policy can deny objects under a KMS key that the writer names',
    needsBucket: true,
    check: (stage) =>
      deniesEncryption(stage, '-aws-kms-key-id', {
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: 'not-there',
      }),
  },
  {
    id: 'policy-kms',
    title: 'a policy can deny objects under any KMS key',
    needsBucket: true,
    check: (stage) => deniesEncryption(stage, '', { ServerSideEncryption: 'aws:kms' }),
  },
  {
    id: 'default-encryption',
    title: 'a bucket encrypts by default, under keys of S3',
    needsBucket: true,
    check: async (outer) => {
      const { client, bucket } = await made(outer, true);
      const { ServerSideEncryptionConfiguration: got } = await client.send(
        new GetBucketEncryptionCommand({ Bucket: bucket }),
      );
      const byDefault = { SSEAlgorithm: 'AES256' };
      expect(got?.Rules).toMatchObject([{ ApplyServerSideEncryptionByDefault: byDefault }]);
    },
  },
  {
    id: 'encryption-key',
    title: 'default encryption tells the KMS key that it was put with',
    needsBucket: true,
    check: async (outer) => {
      const { client, bucket } = await made(outer, true);
      const byDefault = { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: 'somebodys-key' } as const;
      const Rules = [{ ApplyServerSideEncryptionByDefault: byDefault }];
      await client.send(
        new PutBucketEncryptionCommand({
          Bucket: bucket,
          ServerSideEncryptionConfiguration: { Rules },
          ChecksumAlgorithm: 'SHA256',
        }),
      );
      const { ServerSideEncryptionConfiguration: got } = await client.send(
        new GetBucketEncryptionCommand({ Bucket: bucket }),
      );
      expect(got?.Rules).toMatchObject(Rules);
    },
  },
  {
    id: 'lifecycle',
    title: 'lifecycle rules are told as they were put, and their absence has a name',
    needsBucket: true,
    check: async (outer) => {
      const { client, bucket } = await made(outer, true);
      const get = (): Promise<GetBucketLifecycleConfigurationCommandOutput> =>
        client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
      expect(await answerOf(get())).toBe('404 NoSuchLifecycleConfiguration');
      const rules = [
        { ID: 'a', Status: 'Enabled', Filter: { Prefix: 'a/' }, Expiration: { Days: 7 } },
        {
          ID: 'b',
          Status: 'Disabled',
          Filter: { Prefix: 'b/' },
          NoncurrentVersionExpiration: { NoncurrentDays: 7 },
        },
        {
          ID: 'c',
          Status: 'Enabled',
          Filter: { Prefix: 'c/' },
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
        },
      ] as const;
      await client.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: bucket,
          LifecycleConfiguration: { Rules: [...rules] },
          ChecksumAlgorithm: 'SHA256',
        }),
      );
      const told = (await get()).Rules?.toSorted((a, b) =>
        String(a.ID).localeCompare(String(b.ID)),
      );
      expect(told).toMatchObject(rules);
    },
  },
  {
    id: 'public-access-block',
    title: 'a public access block is kept as it was put',
    needsBucket: true,
    check: async (outer) => {
      const { client, bucket } = await made(outer, true);
      const switches = {
        BlockPublicAcls: true,
        IgnorePublicAcls: true,
        BlockPublicPolicy: true,
        RestrictPublicBuckets: true,
      };
      const command = new PutPublicAccessBlockCommand({
        Bucket: bucket,
        PublicAccessBlockConfiguration: switches,
        ChecksumAlgorithm: 'SHA256',
      });
      await client.send(command);
      const got = await client.send(new GetPublicAccessBlockCommand({ Bucket: bucket }));
      expect(got.PublicAccessBlockConfiguration).toEqual(switches);
    },
  },
];
