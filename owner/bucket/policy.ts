// The bucket policy of a log: written once, locked, over TLS, and nobody who writes can change the rules. Denials
// only: rights are given by IAM, and a denial holds against every right, but not against the account's root, who
// can always replace the policy. What is locked in COMPLIANCE mode stays even then.
// Sources: IAM JSON policy reference; Amazon S3 User Guide, "Enforce conditional writes", "Object Lock".

export interface BucketPolicyOptions {
  readonly bucket: string;
  /** '' for the whole bucket. */
  readonly prefix: string;
  /** Roles or users that write: the enclave's credentials and the host's. */
  readonly writers: readonly string[];
  /** Who may set and remove legal holds. */
  readonly holders: readonly string[];
  /** Who may change the bucket's settings and this policy; nobody but root without any. */
  readonly admins: readonly string[];
  /** What the log's configuration says. */
  readonly retentionDays: number;
  readonly maxDays: number;
}

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Deny';
  readonly Principal: '*';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<
    Record<string, Readonly<Record<string, string | readonly string[]>>>
  >;
}

export interface BucketPolicy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

const SETTINGS = [
  's3:DeleteBucket',
  's3:DeleteBucketPolicy',
  's3:PutBucketAcl',
  's3:PutBucketObjectLockConfiguration',
  's3:PutBucketOwnershipControls',
  's3:PutBucketPolicy',
  's3:PutBucketPublicAccessBlock',
  's3:PutBucketVersioning',
  's3:PutEncryptionConfiguration',
  's3:PutLifecycleConfiguration',
  's3:PutReplicationConfiguration',
];
const DAYS = 's3:object-lock-remaining-retention-days';
const PRINCIPAL = 'aws:PrincipalArn';
const SSE = 's3:x-amz-server-side-encryption';

function unless(arns: readonly string[]): Pick<Statement, 'Condition'> {
  return arns.length === 0 ? {} : { Condition: { ArnNotLike: { [PRINCIPAL]: arns } } };
}

function deny(
  Sid: string,
  Action: readonly string[],
  Resource: readonly string[],
  more: Pick<Statement, 'Condition'> = {},
): Statement {
  return { Sid, Effect: 'Deny', Principal: '*', Action, Resource, ...more };
}

export function makeBucketPolicy(options: BucketPolicyOptions): BucketPolicy {
  const { bucket, prefix, writers, holders, admins, retentionDays, maxDays } = options;
  const arn = `arn:aws:s3:::${bucket}`;
  const log = [prefix === '' ? `${arn}/*` : `${arn}/${prefix}/*`];
  const everything = [arn, `${arn}/*`];
  const put = ['s3:PutObject'];
  const retain = ['s3:PutObject', 's3:PutObjectRetention'];
  return {
    Version: '2012-10-17',
    Statement: [
      deny('TlsOnly', ['s3:*'], everything, {
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
      deny('Tls12', ['s3:*'], everything, {
        Condition: { NumericLessThan: { 's3:TlsVersion': '1.2' } },
      }),
      // Also parts of multipart uploads, which nothing of ours makes.
      deny('WrittenOnce', put, log, { Condition: { Null: { 's3:if-none-match': 'true' } } }),
      deny('Locked', retain, log, {
        Condition: { StringNotEquals: { 's3:object-lock-mode': 'COMPLIANCE' } },
      }),
      // One day less: the date is made before the request arrives.
      deny('LongEnough', retain, log, {
        Condition: { NumericLessThan: { [DAYS]: String(retentionDays - 1) } },
      }),
      deny('NotTooLong', retain, log, {
        Condition: { NumericGreaterThan: { [DAYS]: String(maxDays) } },
      }),
      deny('OnlyWritersWrite', put, log, unless(writers)),
      // A delete marker lets a second version through If-None-Match.
      deny('NoDeletes', ['s3:DeleteObject', 's3:DeleteObjectVersion'], log),
      // Under a key of somebody's own what is locked cannot be read once that key is gone. Only headers count here,
      // so writes that name nothing pass, whatever the bucket's default is.
      deny('NoSseC', put, log, { Condition: { Null: { [`${SSE}-customer-algorithm`]: 'false' } } }),
      deny('NoNamedKey', put, log, { Condition: { Null: { [`${SSE}-aws-kms-key-id`]: 'false' } } }),
      // Without a key's name it is a key of the writer's account.
      deny('NoKms', put, log, { Condition: { StringLike: { [SSE]: 'aws:*' } } }),
      deny('NoNewKey', ['s3:UpdateObjectEncryption'], log),
      deny('NoBypass', ['s3:BypassGovernanceRetention'], [`${arn}/*`]),
      deny('HoldsByHolders', ['s3:PutObjectLegalHold'], log, unless(holders)),
      deny('SettingsByAdmins', SETTINGS, [arn], unless(admins)),
    ],
  };
}

/** AWS's bound on a bucket policy. */
export const MAX_BUCKET_POLICY_BYTES: number = 20 * 1024;
