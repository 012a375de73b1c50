// Lifecycle rules and default encryption of a bucket: kept and told as they were put. No rule is carried out and
// nothing is encrypted here. Source: Amazon S3 API.

import type { Call, Reply } from './call.ts';
import { authorize, bucketOf } from './call.ts';
import { checkDigests } from './checksums.ts';
import { S3Refusal, invalidRequest, malformedXml } from './refusal.ts';
import type { Bucket, BucketSettings, Encryption } from './state.ts';
import { parseXml, textAt, xmlDocument } from './xml.ts';

const ACTIONS = [
  'Expiration',
  'NoncurrentVersionExpiration',
  'Transition',
  'NoncurrentVersionTransition',
  'AbortIncompleteMultipartUpload',
];
const ALGORITHMS: ReadonlySet<string> = new Set(['AES256', 'aws:kms', 'aws:kms:dsse']);
/** Of buckets that nobody has told otherwise, since January 2023. */
const SSE_S3: Encryption = { algorithm: 'AES256', keyId: null };

function change(call: Call, bucket: Bucket, settings: Partial<BucketSettings>): void {
  const all = { ...bucket.settings, ...settings };
  call.state.change({ type: 'bucket', bucket: bucket.name, settings: all });
}

function checkBody(call: Call): void {
  if (checkDigests(call.headers, call.body).present) return;
  throw invalidRequest('Missing required header for this request: Content-MD5');
}

export function getLifecycle(call: Call): Reply {
  const lifecycle = bucketOf(call).settings.lifecycle ?? null;
  authorize(call, 's3:GetLifecycleConfiguration');
  if (lifecycle !== null) return { status: 200, body: lifecycle };
  const text = 'The lifecycle configuration does not exist';
  throw new S3Refusal(404, 'NoSuchLifecycleConfiguration', text);
}

export function putLifecycle(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:PutLifecycleConfiguration');
  checkBody(call);
  const { Rule } = parseXml(call.body, 'LifecycleConfiguration');
  const rules: readonly unknown[] = Array.isArray(Rule) ? Rule : [Rule];
  for (const rule of rules) {
    if (typeof rule !== 'object' || rule === null) throw malformedXml();
    const status = textAt(rule as Readonly<Record<string, unknown>>, 'Status');
    if (status !== 'Enabled' && status !== 'Disabled') throw malformedXml();
    if (!ACTIONS.some((name) => name in rule)) {
      throw invalidRequest('At least one action needs to be specified in a rule');
    }
  }
  change(call, bucket, { lifecycle: Buffer.from(call.body).toString('utf8') });
  return { status: 200 };
}

export function deleteLifecycle(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:PutLifecycleConfiguration');
  change(call, bucket, { lifecycle: null });
  return { status: 204 };
}

export function getEncryption(call: Call): Reply {
  const { algorithm, keyId } = bucketOf(call).settings.encryption ?? SSE_S3;
  authorize(call, 's3:GetEncryptionConfiguration');
  const byDefault = { SSEAlgorithm: algorithm, KMSMasterKeyID: keyId ?? undefined };
  const Rule = { ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: 'false' };
  return { status: 200, body: xmlDocument('ServerSideEncryptionConfiguration', { Rule }) };
}

export function putEncryption(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:PutEncryptionConfiguration');
  checkBody(call);
  const fields = parseXml(call.body, 'ServerSideEncryptionConfiguration');
  const path = ['Rule', 'ApplyServerSideEncryptionByDefault'] as const;
  const algorithm = textAt(fields, ...path, 'SSEAlgorithm') ?? '';
  const keyId = textAt(fields, ...path, 'KMSMasterKeyID') ?? null;
  if (!ALGORITHMS.has(algorithm)) throw malformedXml();
  if (algorithm === 'AES256' && keyId !== null) {
    const text = 'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms';
    throw new S3Refusal(400, 'InvalidArgument', text);
  }
  change(call, bucket, { encryption: { algorithm, keyId } });
  return { status: 200 };
}

/** Back to SSE-S3. */
export function deleteEncryption(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:PutEncryptionConfiguration');
  change(call, bucket, { encryption: SSE_S3 });
  return { status: 204 };
}
