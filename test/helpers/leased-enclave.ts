// Enclaves under policy s3 with a simulated S3 behind their way out: TLS that ends in both, and a host between
// that carries bytes.

import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { onTestFinished } from 'vitest';
import { TlsAuthority } from '../../simulator/kms/authority.ts';
import type { FaultHook, FaultRequest, RunningS3 } from '../../simulator/s3/server.ts';
import { startS3 } from '../../simulator/s3/server.ts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { MeasuredManifest } from '../../wire/manifest.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { openS3Client } from '../../wire/node/objects/client.ts';
import { S3Store } from '../../wire/node/objects/s3.ts';
import type { ObjectStore } from '../../wire/node/objects/store.ts';
import { serveStream } from './egress-host.ts';
import type { HostOptions, TestHost } from './enclave-host.ts';
import { commitmentOf, startHost, testItems } from './enclave-host.ts';

const HOST = 's3.example';
const BUCKET = 'log-bucket';
const PREFIX = 'logs/one';
const USER = {
  accessKeyId: 'AKIAHOST',
  secretAccessKey: 'host-secret',
  arn: 'arn:aws:iam::123456789012:user/host',
};

export interface LeasedWorld {
  readonly s3: RunningS3;
  /** What is below the prefix. */
  readonly store: ObjectStore;
  /** PUTs so far, keys below the prefix. */
  readonly puts: string[];
  /** Beside counting them; null: no faults. */
  setFault: (hook: FaultHook | null) => void;
  start: (options?: HostOptions) => Promise<TestHost>;
}

export async function leasedWorld(locked = true): Promise<LeasedWorld> {
  const authority = await TlsAuthority.open(null);
  const { keyPem: key, certificatePem: certificate } = await authority.issue([HOST, '127.0.0.1']);
  const s3 = await startS3({ users: [USER], tls: { key, certificate } });
  onTestFinished(() => s3.close());
  const client = openS3Client({
    region: s3.region,
    endpoint: s3.url,
    credentials: USER,
    handler: new NodeHttpHandler({ httpsAgent: { ca: authority.pem, servername: HOST } }),
  });
  onTestFinished(() => {
    client.destroy();
  });
  await client.send(
    new CreateBucketCommand({
      Bucket: BUCKET,
      ...(locked ? { ObjectLockEnabledForBucket: true } : {}),
      CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
    }),
  );
  const puts: string[] = [];
  const setFault = (hook: FaultHook | null): void => {
    s3.setFault((request: FaultRequest) => {
      if (request.operation === 'PutObject') puts.push(request.key.slice(PREFIX.length + 1));
      return hook?.(request) ?? null;
    });
  };
  setFault(null);
  const roots = utf8(authority.pem);
  const routes = new Map([[`${HOST}:443`, s3.port]]);
  const start = (options: HostOptions = {}): Promise<TestHost> =>
    startHost({
      roots,
      measured: canonicalJson({
        version: 2,
        strategies: [
          { name: 'example', version: '1.0.0', commitment: commitmentOf(testItems()[0]) },
        ],
        owner_key: null,
        hosts: [{ host: HOST, port: 443 }],
        roots_sha256: toHex(nodeCrypto.sha256(roots)),
      } satisfies MeasuredManifest),
      onEgress: (stream) => {
        serveStream({ answer: null, dials: [], routes }, stream);
      },
      credentials: {
        accessKeyId: USER.accessKeyId,
        secretAccessKey: USER.secretAccessKey,
        sessionToken: null,
        expiresMs: Date.now() + 3_600_000,
      },
      ...options,
      configuration: {
        commit_policy: 's3',
        s3: {
          region: s3.region,
          host: HOST,
          bucket: BUCKET,
          prefix: PREFIX,
          retention_days: 30,
        },
        ...options.configuration,
      },
    });
  return {
    s3,
    store: new S3Store({ client, bucket: BUCKET, prefix: PREFIX }),
    puts,
    setFault,
    start,
  };
}
