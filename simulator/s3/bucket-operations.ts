// Buckets: creation, versioning, Object Lock, policy, public access block. What is on once under Object Lock
// cannot be turned off. Source: Amazon S3 API.

import type { Call, Reply } from './call.ts';
import { authorize, bucketOf, isRoot } from './call.ts';
import { lockMode } from './object-operations.ts';
import { checkPolicy } from './policy.ts';
import { S3Refusal, invalidArgument, malformedXml } from './refusal.ts';
import type { Bucket, BucketSettings, DefaultRetention } from './state.ts';
import { parseXml, textAt, xmlDocument } from './xml.ts';

const NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/u;
const MAX_DAYS = 36_500;
const MAX_YEARS = 100;
export const ACCESS_SWITCHES = [
  'BlockPublicAcls',
  'IgnorePublicAcls',
  'BlockPublicPolicy',
  'RestrictPublicBuckets',
] as const;

function change(call: Call, bucket: Bucket, settings: Partial<BucketSettings>): void {
  const all = { ...bucket.settings, ...settings };
  call.state.change({ type: 'bucket', bucket: bucket.name, settings: all });
}

export function createBucket(call: Call): Reply {
  const { bucket: name, headers, now, region, state } = call;
  if (!NAME.test(name)) {
    throw new S3Refusal(400, 'InvalidBucketName', 'The specified bucket is not valid.');
  }
  if (state.buckets.has(name)) {
    const text =
      'Your previous request to create the named bucket succeeded and you already own it.';
    throw new S3Refusal(409, 'BucketAlreadyOwnedByYou', text);
  }
  const place =
    call.body.length === 0
      ? 'us-east-1'
      : (textAt(parseXml(call.body, 'CreateBucketConfiguration'), 'LocationConstraint') ??
        'us-east-1');
  if (place !== region) {
    const text = `The ${place} location constraint is incompatible for the region specific endpoint this request was sent to.`;
    throw new S3Refusal(400, 'IllegalLocationConstraintException', text);
  }
  const isLocked = headers['x-amz-bucket-object-lock-enabled']?.toLowerCase() === 'true';
  const settings: BucketSettings = {
    created: now,
    versioning: isLocked ? 'Enabled' : null,
    objectLock: isLocked,
    defaultRetention: null,
    policy: null,
    // As AWS does for new buckets since April 2023.
    publicAccessBlock: [true, true, true, true],
  };
  state.change({ type: 'bucket', bucket: name, settings });
  return { status: 200, headers: { location: `/${name}` } };
}

export function headBucket(call: Call): Reply {
  bucketOf(call);
  authorize(call, 's3:ListBucket');
  return { status: 200, headers: { 'x-amz-bucket-region': call.region } };
}

export function deleteBucket(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:DeleteBucket');
  if (bucket.keys.size > 0) {
    const text =
      'The bucket you tried to delete is not empty. You must delete all versions in the bucket.';
    throw new S3Refusal(409, 'BucketNotEmpty', text);
  }
  call.state.change({ type: 'bucket-gone', bucket: bucket.name });
  return { status: 204 };
}

export function listBuckets(call: Call): Reply {
  const all = [...call.state.buckets.values()].map(({ name, settings }) => ({
    Name: name,
    CreationDate: new Date(settings.created).toISOString(),
  }));
  const fields = { Owner: { ID: call.account }, Buckets: { Bucket: all } };
  return { status: 200, body: xmlDocument('ListAllMyBucketsResult', fields) };
}

export function getVersioning(call: Call): Reply {
  const { versioning } = bucketOf(call).settings;
  authorize(call, 's3:GetBucketVersioning');
  const fields = versioning === null ? {} : { Status: versioning };
  return { status: 200, body: xmlDocument('VersioningConfiguration', fields) };
}

export function putVersioning(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:PutBucketVersioning');
  const status = textAt(parseXml(call.body, 'VersioningConfiguration'), 'Status');
  if (status !== 'Enabled' && status !== 'Suspended') throw malformedXml();
  if (status === 'Suspended' && bucket.settings.objectLock) {
    const text =
      'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.';
    throw new S3Refusal(409, 'InvalidBucketState', text);
  }
  change(call, bucket, { versioning: status });
  return { status: 200 };
}

export function getObjectLock(call: Call): Reply {
  const { objectLock, defaultRetention } = bucketOf(call).settings;
  authorize(call, 's3:GetBucketObjectLockConfiguration');
  if (!objectLock) {
    const text = 'Object Lock configuration does not exist for this bucket';
    throw new S3Refusal(404, 'ObjectLockConfigurationNotFoundError', text);
  }
  const rule =
    defaultRetention === null
      ? {}
      : {
          Rule: {
            DefaultRetention: {
              Mode: defaultRetention.mode,
              Days: defaultRetention.days?.toString(),
              Years: defaultRetention.years?.toString(),
            },
          },
        };
  const fields = { ObjectLockEnabled: 'Enabled', ...rule };
  return { status: 200, body: xmlDocument('ObjectLockConfiguration', fields) };
}

function period(text: string | undefined, name: string, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/u.test(text) ? Number(text) : 0;
  if (value < 1) throw invalidArgument(`Default retention period must be a positive integer value`);
  if (value > most)
    throw invalidArgument(`Default retention ${name} too large. Maximum is ${most}.`);
  return value;
}

function defaultRetention(fields: Readonly<Record<string, unknown>>): DefaultRetention | null {
  const path = ['Rule', 'DefaultRetention'] as const;
  if (fields['Rule'] === undefined) return null;
  const days = period(textAt(fields, ...path, 'Days'), 'days', MAX_DAYS);
  const years = period(textAt(fields, ...path, 'Years'), 'years', MAX_YEARS);
  if ((days === undefined) === (years === undefined)) throw malformedXml();
  const mode = lockMode(textAt(fields, ...path, 'Mode') ?? '');
  return {
    mode,
    ...(days === undefined ? {} : { days }),
    ...(years === undefined ? {} : { years }),
  };
}

export function putObjectLock(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:PutBucketObjectLockConfiguration');
  const fields = parseXml(call.body, 'ObjectLockConfiguration');
  if (textAt(fields, 'ObjectLockEnabled') !== 'Enabled') throw malformedXml();
  if (bucket.settings.versioning !== 'Enabled') {
    const text = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
    throw new S3Refusal(409, 'InvalidBucketState', text);
  }
  change(call, bucket, { objectLock: true, defaultRetention: defaultRetention(fields) });
  return { status: 200 };
}

export function getPolicy(call: Call): Reply {
  const { policy } = bucketOf(call).settings;
  authorize(call, 's3:GetBucketPolicy');
  if (policy !== null) {
    return { status: 200, headers: { 'content-type': 'application/json' }, body: policy };
  }
  throw new S3Refusal(404, 'NoSuchBucketPolicy', 'The bucket policy does not exist');
}

/** The account's root may always change the policy, whatever it denies. */
export function putPolicy(call: Call): Reply {
  const bucket = bucketOf(call);
  if (!isRoot(call)) authorize(call, 's3:PutBucketPolicy');
  const policy = Buffer.from(call.body).toString('utf8');
  checkPolicy(policy, bucket.name);
  change(call, bucket, { policy });
  return { status: 204 };
}

export function deletePolicy(call: Call): Reply {
  const bucket = bucketOf(call);
  if (!isRoot(call)) authorize(call, 's3:DeleteBucketPolicy');
  change(call, bucket, { policy: null });
  return { status: 204 };
}

export function getPublicAccessBlock(call: Call): Reply {
  const { publicAccessBlock } = bucketOf(call).settings;
  authorize(call, 's3:GetBucketPublicAccessBlock');
  if (publicAccessBlock === null) {
    const text = 'The public access block configuration was not found';
    throw new S3Refusal(404, 'NoSuchPublicAccessBlockConfiguration', text);
  }
  const fields = Object.fromEntries(
    ACCESS_SWITCHES.map((name, at) => [name, String(publicAccessBlock[at])]),
  );
  return { status: 200, body: xmlDocument('PublicAccessBlockConfiguration', fields) };
}

export function putPublicAccessBlock(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:PutBucketPublicAccessBlock');
  const fields = parseXml(call.body, 'PublicAccessBlockConfiguration');
  const publicAccessBlock = ACCESS_SWITCHES.map((name) => textAt(fields, name) === 'true');
  change(call, bucket, { publicAccessBlock });
  return { status: 200 };
}

export function deletePublicAccessBlock(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:PutBucketPublicAccessBlock');
  change(call, bucket, { publicAccessBlock: null });
  return { status: 204 };
}
