// A simulated S3 with one locked bucket, and stores on it, for tests.

import { CreateBucketCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Agent } from 'node:https';
import { startS3 } from '../../../../simulator/s3/server.ts';
import type { RunningS3, S3Options, S3User } from '../../../../simulator/s3/server.ts';
import { openS3Client } from '../../../../wire/node/objects/client.ts';
import { S3Store } from '../../../../wire/node/objects/s3.ts';
import type { S3StoreOptions } from '../../../../wire/node/objects/s3.ts';

export const ALICE: S3User = {
  accessKeyId: 'AKIAALICE',
  secretAccessKey: 'alice-secret',
  arn: 'arn:aws:iam::123456789012:user/alice',
};
export const BUCKET = 'log-bucket';

export interface TestS3 {
  readonly s3: RunningS3;
  readonly clientOf: (user: S3User) => S3Client;
  readonly client: S3Client;
  /** Over a prefix of its own. */
  readonly open: (options?: Partial<S3StoreOptions>) => S3Store;
  readonly close: () => Promise<void>;
}

/** Quick, because the server is here. */
export const QUICK: S3StoreOptions['retry'] = { attempts: 8, firstPauseMs: 1, longestPauseMs: 8 };

/** `ca`: PEM, with `tls`. */
export async function startTestS3(options: Partial<S3Options> = {}, ca?: string): Promise<TestS3> {
  const s3 = await startS3({ users: [ALICE], ...options });
  const clients: S3Client[] = [];
  const clientOf = (user: S3User): S3Client => {
    const client = openS3Client({
      region: s3.region,
      endpoint: s3.url,
      credentials: user,
      handler: new NodeHttpHandler({
        connectionTimeout: 5000,
        ...(ca === undefined ? {} : { httpsAgent: new Agent({ ca, keepAlive: true }) }),
      }),
    });
    clients.push(client);
    return client;
  };
  const client = clientOf(ALICE);
  if (!s3.state.buckets.has(BUCKET)) {
    const place = { LocationConstraint: 'eu-central-1' } as const;
    await client.send(
      new CreateBucketCommand({
        Bucket: BUCKET,
        ObjectLockEnabledForBucket: true,
        CreateBucketConfiguration: place,
      }),
    );
  }
  let stores = 0;
  return {
    s3,
    client,
    clientOf,
    open: (more = {}) => {
      stores += 1;
      const prefix = `logs/${String(stores)}`;
      return new S3Store({
        client,
        bucket: BUCKET,
        prefix,
        ...(QUICK && { retry: QUICK }),
        ...more,
      });
    },
    close: async () => {
      for (const one of clients) one.destroy();
      await s3.close();
    },
  };
}
