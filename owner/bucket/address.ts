// Which bucket, where, and as whom: `s3://BUCKET[/PREFIX]` and the options that the bucket's commands share. S3 is
// believed about its own settings; what it answers is never shown as it came.

import { Agent } from 'node:https';
import type { S3Client } from '@aws-sdk/client-s3';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { openS3Client } from '../../wire/node/objects/client.ts';
import { StoreError } from '../../wire/node/objects/store.ts';
import type { StoreErrorCode } from '../../wire/node/objects/store.ts';
import { isObjectKey } from '../../wire/host-keys.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { RefusalDetail, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { CommandIo } from '../command-line.ts';
import { printable, readBounded } from '../command-line.ts';

/** For `parseArgs`. */
export const BUCKET_OPTIONS = {
  region: { type: 'string' },
  endpoint: { type: 'string' },
  profile: { type: 'string' },
  ca: { type: 'string' },
  owner: { type: 'string' },
} as const;

export const BUCKET_USAGE = `  --region NAME      default: AWS_REGION
  --endpoint URL     another S3 than AWS's: https://HOST[:PORT], or http:// on this machine
  --profile NAME     of ~/.aws/config; default: the standard chain of AWS credentials
  --ca FILE          PEM of the endpoint's certificate authority; default: those of Node
  --owner ACCOUNT    the twelve digits of the account that must own the bucket
`;

const TIMEOUT_MS = 20_000;
const MAX_CA_BYTES = 256 * 1024;
const BUCKET = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*?))?\/?$/u;
const ENDPOINT = /^(?:https:\/\/[^/\s]+|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?)\/?$/u;
const REGION = /^[a-z0-9-]{2,32}$/u;

export interface BucketValues {
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly profile?: string | undefined;
  readonly ca?: string | undefined;
  readonly owner?: string | undefined;
}

export interface BucketName {
  readonly bucket: string;
  /** '' for none; without a slash at the end. */
  readonly prefix: string;
}

export interface BucketAddress extends BucketName {
  readonly region: string;
  readonly client: S3Client;
  /** What every request carries. */
  readonly target: { readonly Bucket: string; readonly ExpectedBucketOwner?: string };
}

/** Refuses `usage_invalid`. */
export function parseBucketName(positionals: readonly string[]): Result<BucketName> {
  const [name, ...rest] = positionals;
  const match = BUCKET.exec(name ?? '');
  const [, bucket = '', prefix = ''] = match ?? [];
  if (match === null || rest.length > 0 || (prefix !== '' && !isObjectKey(prefix))) {
    return refuse('usage_invalid', { what: 'one s3://BUCKET or s3://BUCKET/PREFIX' });
  }
  return accept({ bucket, prefix });
}

/** Refuses `usage_invalid`, and `file_unreadable` for the CA. Asks nothing of the network. */
export async function openBucket(
  name: BucketName,
  values: BucketValues,
  io: CommandIo,
): Promise<Result<BucketAddress>> {
  const { endpoint: given, profile, ca, owner } = values;
  const region = values.region ?? io.env['AWS_REGION'] ?? io.env['AWS_DEFAULT_REGION'];
  if (region === undefined || !REGION.test(region)) {
    return refuse('usage_invalid', { what: '--region is needed' });
  }
  if (given !== undefined && !ENDPOINT.test(given)) {
    return refuse('usage_invalid', { what: '--endpoint takes https://HOST[:PORT]' });
  }
  if (owner !== undefined && !/^\d{12}$/u.test(owner)) {
    return refuse('usage_invalid', { what: '--owner takes an account id' });
  }
  const authority = ca === undefined ? null : await readBounded(ca, MAX_CA_BYTES);
  if (authority?.ok === false) return authority;
  const httpsAgent = new Agent({
    minVersion: 'TLSv1.2',
    keepAlive: true,
    maxSockets: 32,
    ...(authority === null ? {} : { ca: Buffer.from(authority.value) }),
  });
  const client = openS3Client({
    region,
    endpoint: given ?? `https://s3.${region}.amazonaws.com`,
    credentials: fromNodeProviderChain(profile === undefined ? {} : { profile }),
    handler: new NodeHttpHandler({
      connectionTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      httpsAgent,
    }),
  });
  const target = owner === undefined ? {} : { ExpectedBucketOwner: owner };
  return accept({ ...name, region, client, target: { Bucket: name.bucket, ...target } });
}

const BY_NAME: Readonly<Record<string, RefusalCode>> = {
  AccessDenied: 'bucket_denied',
  AuthorizationHeaderMalformed: 'bucket_region',
  BucketAlreadyExists: 'bucket_exists',
  BucketAlreadyOwnedByYou: 'bucket_exists',
  CredentialsProviderError: 'credentials_missing',
  ExpiredToken: 'credentials_expired',
  Forbidden: 'bucket_denied',
  IllegalLocationConstraintException: 'bucket_region',
  InvalidAccessKeyId: 'bucket_denied',
  NoSuchBucket: 'bucket_missing',
  PermanentRedirect: 'bucket_region',
  SignatureDoesNotMatch: 'bucket_denied',
};
const UNTRUSTED =
  /^(?:SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|DEPTH_ZERO|CERT_|ERR_TLS_CERT|ERR_SSL)/u;

/** The SDK's or the store's failure as a refusal. What is no Error is a bug and passes through. */
export function bucketFailure(error: unknown): Result<never> {
  if (error instanceof StoreError) return storeFailure(error);
  if (!(error instanceof Error)) throw error;
  const { name, message } = error;
  const metadata = '$metadata' in error ? (error.$metadata as { httpStatusCode?: number }) : {};
  const detail: RefusalDetail = { error: printable(name), message: printable(message) };
  const named = BY_NAME[name];
  if (named !== undefined) return refuse(named, detail);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (UNTRUSTED.test(code)) return refuse('tls_untrusted', detail);
  const status = metadata.httpStatusCode;
  if (status === 403) return refuse('bucket_denied', detail);
  if (status === undefined || status >= 500) return refuse('source_unreachable', detail);
  return refuse('bucket_answer_invalid', { ...detail, status });
}

const BY_STORE_CODE: Partial<Readonly<Record<StoreErrorCode, RefusalCode>>> = {
  bucket_missing: 'bucket_missing',
  credentials_expired: 'credentials_expired',
  denied: 'bucket_denied',
  unavailable: 'source_unreachable',
  unreachable: 'source_unreachable',
};

function storeFailure({ code, detail }: StoreError): Result<never> {
  return refuse(BY_STORE_CODE[code] ?? 'bucket_answer_invalid', { error: code, ...detail });
}

/** Name of an SDK error; null for what is no answer of S3. */
export function answerName(error: unknown): string | null {
  return error instanceof Error && '$metadata' in error ? error.name : null;
}
