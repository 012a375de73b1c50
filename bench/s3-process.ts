// A simulated S3 in a process of its own, with one locked bucket, whose answers to PUTs come later by a fixed
// time: what a network would add. Options come as JSON in the only argument; prints one line of JSON when
// it listens, and ends with its standard input.

import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { argv, stdin, stdout } from 'node:process';
import { TlsAuthority } from '../simulator/kms/authority.ts';
import type { S3User } from '../simulator/s3/server.ts';
import { DEFAULT_ACCOUNT, startS3 } from '../simulator/s3/server.ts';
import { openS3Client } from '../wire/node/objects/client.ts';

export const S3_HOST = 's3.bench.example';
export const BUCKET = 'bench-log';
export const USER: S3User = {
  accessKeyId: 'AKIABENCH',
  secretAccessKey: 'bench-secret',
  arn: `arn:aws:iam::${DEFAULT_ACCOUNT}:user/bench`,
};

export interface S3ProcessOptions {
  /** Added to the answer of each PUT. */
  readonly putDelayMs: number;
}

export interface S3Place {
  readonly port: number;
  readonly region: string;
  /** PEM of the authority that its certificate is from. */
  readonly roots: string;
}

async function main(): Promise<void> {
  const { putDelayMs } = JSON.parse(argv[2] ?? '') as S3ProcessOptions;
  const authority = await TlsAuthority.open(null);
  const { keyPem: key, certificatePem: certificate } = await authority.issue([S3_HOST]);
  const s3 = await startS3({ users: [USER], tls: { key, certificate } });
  const client = openS3Client({
    region: s3.region,
    endpoint: s3.url,
    credentials: USER,
    handler: new NodeHttpHandler({ httpsAgent: { ca: authority.pem, servername: S3_HOST } }),
  });
  await client.send(
    new CreateBucketCommand({
      Bucket: BUCKET,
      ObjectLockEnabledForBucket: true,
      CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
    }),
  );
  client.destroy();
  s3.setFault(({ operation }) =>
    operation === 'PutObject' ? { type: 'slow', delayMs: putDelayMs } : null,
  );
  const place: S3Place = { port: s3.port, region: s3.region, roots: authority.pem };
  stdout.write(`${JSON.stringify(place)}\n`);
  for await (const _ of stdin);
  await s3.close();
}

if (import.meta.main) await main();
