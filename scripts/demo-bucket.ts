// The bucket of a demo: a write-once folder of the same layout; a simulated S3 with Object Lock, made by `trackseal bucket create`, into which the enclave
// itself writes its commits over TLS of its own (commit policy `s3`); or one that is there already, at a URL, into
// which the host ships (policy `spool`), with the AWS credentials of whoever runs the demo.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openBucket } from '../owner/bucket/address.ts';
import { readSettings } from '../owner/bucket/settings.ts';
import type { RunningS3 } from '../simulator/s3/server.ts';
import { startS3 } from '../simulator/s3/server.ts';
import type { TlsIdentity } from '../simulator/kms/authority.ts';
import type { CommandIo } from '../verifier/io.ts';
import type { ConfiguredS3 } from '../wire/configuration.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { runTrackseal } from './run-trackseal.ts';

const RETENTION_DAYS = 1;

export interface DemoBucket {
  /** A folder has no lock that could be looked at, and needs no keys. */
  readonly kind: 'folder' | 's3';
  /** `s3://BUCKET/PREFIX`, or a path. */
  readonly address: string;
  /** The host's `ship`. */
  readonly ship: object;
  /** For commands that read it. */
  readonly options: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly close: () => Promise<void>;
}

function shipOf(target: object, retentionDays: number = RETENTION_DAYS): object {
  return {
    target: { s3: target },
    retention_days: retentionDays,
    group_ms: 200,
    finish_ms: 120_000,
  };
}

/** A write-once folder with the layout of a bucket, below `directory`. */
export function folderBucket(directory: string): DemoBucket {
  const folder = join(directory, 'bucket');
  return {
    kind: 'folder',
    address: folder,
    ship: { ...shipOf({}), target: { folder } },
    options: [],
    environment: {},
    close: () => Promise.resolve(),
  };
}

/** A bucket that is there already, not asked yet. */
export interface BucketPlace {
  readonly bucket: string;
  readonly prefix: string;
  readonly endpoint: string;
  readonly ca: string | null;
}

/**
 * `https://HOST/BUCKET/PREFIX`, or http: on this machine. Each run has a prefix of its own below it, because
 * nothing in it is ever written twice. Null for another URL.
 */
export function parseBucketUrl(text: string, ca: string | null): BucketPlace | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  const [, bucket, below = ''] =
    /^\/([a-z0-9.-]{3,63})(?:\/(.*?))?\/?$/u.exec(url?.pathname ?? '') ?? [];
  if (url === null || bucket === undefined || !/^https?:$/u.test(url.protocol)) return null;
  const run = `demo-${new Date()
    .toISOString()
    .replaceAll(/[^0-9]/gu, '')
    .slice(0, 14)}`;
  const prefix = below === '' ? run : `${below}/${run}`;
  return { bucket, prefix, endpoint: url.origin, ca };
}

/**
 * Asks the bucket for its default retention, with which the demo ships: the policy of `trackseal bucket
 * create` takes nothing shorter. Refuses what `readSettings` does, and `bucket_unlocked`.
 */
export async function bucketAt(
  { bucket, prefix, endpoint, ca }: BucketPlace,
  io: CommandIo,
): Promise<Result<DemoBucket>> {
  const region = io.env['AWS_REGION'] ?? 'us-east-1';
  const values = { region, endpoint, ...(ca === null ? {} : { ca }) };
  const opened = await openBucket({ bucket, prefix }, values, io);
  if (!opened.ok) return opened;
  const settings = await readSettings(opened.value);
  opened.value.client.destroy();
  if (!settings.ok) return settings;
  const { lock } = settings.value;
  if ('unreadable' in lock) return refuse('bucket_denied', { error: lock.unreadable });
  if (!lock.value.enabled) return refuse('bucket_unlocked', { bucket });
  const authority = ca === null ? [] : ['--ca', ca];
  return accept({
    kind: 's3',
    address: `s3://${bucket}/${prefix}`,
    ship: shipOf(
      { endpoint, region, bucket, prefix, ca },
      lock.value.defaultDays ?? RETENTION_DAYS,
    ),
    options: ['--region', region, '--endpoint', endpoint, ...authority],
    environment: process.env,
    close: () => Promise.resolve(),
  });
}

export interface SimulatedBucketOptions {
  readonly configured: ConfiguredS3;
  readonly tls: TlsIdentity;
  /** PEM file of the authority behind it. */
  readonly ca: string;
  readonly account: string;
  readonly host: {
    readonly arn: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken: string;
  };
  /** Without anybody's real AWS. */
  readonly environment: NodeJS.ProcessEnv;
}

export interface SimulatedBucket extends DemoBucket {
  readonly s3: RunningS3;
}

export async function openSimulatedBucket(
  options: SimulatedBucketOptions,
): Promise<SimulatedBucket> {
  const { configured, tls, ca, account, host } = options;
  const { region, bucket, prefix } = configured;
  const admin = {
    accessKeyId: 'AKIASIMULATEDBUCKETS',
    secretAccessKey: randomBytes(30).toString('base64url'),
    arn: `arn:aws:iam::${account}:user/bucket-admin`,
  };
  const s3 = await startS3({
    users: [host, admin],
    region,
    account,
    tls: { key: tls.keyPem, certificate: tls.certificatePem },
  });
  const environment = {
    ...options.environment,
    AWS_ACCESS_KEY_ID: admin.accessKeyId,
    AWS_SECRET_ACCESS_KEY: admin.secretAccessKey,
  };
  const address = `s3://${bucket}/${prefix}`;
  const readOptions = ['--region', region, '--endpoint', s3.url, '--ca', ca];
  const days = ['--retention-days', String(RETENTION_DAYS)];
  const who = ['--writer', host.arn, '--admin', admin.arn];
  const made = await runTrackseal(
    ['bucket', 'create', address, ...days, ...who, ...readOptions],
    environment,
  );
  if (made.code !== 0) {
    await s3.close();
    throw new Error(`trackseal bucket create: ${made.stdout}${made.stderr}`);
  }
  return {
    s3,
    kind: 's3',
    address,
    ship: shipOf({ endpoint: s3.url, region, bucket, prefix, ca, expected_bucket_owner: account }),
    options: readOptions,
    environment,
    close: () => s3.close(),
  };
}
