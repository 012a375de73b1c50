// The shipper of the host's configuration, over a bucket or a folder. Credentials are those of the host (the
// standard provider chain). The SDK is loaded only where a bucket is named.

import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent } from 'node:https';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { FolderStore } from '../../wire/node/objects/folder.ts';
import type { ObjectStore } from '../../wire/node/objects/store.ts';
import type { Files } from '../files.ts';
import type { Logger } from '../logger.ts';
import type { HostFolders } from '../recovery.ts';
import type { S3Target, ShipConfig } from './ship-config.ts';
import { Shipper } from './shipper.ts';

const CONNECTION_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Quick repairs of a lost answer or a race; everything else is for the circuit. */
const RETRY = { attempts: 2, firstPauseMs: 50, longestPauseMs: 500 };
const MAX_SOCKETS = 16;

export interface ShipPlace {
  readonly files: Files;
  readonly folders: HostFolders;
  readonly logger: Logger;
}

type OpenStore = (signal: AbortSignal) => ObjectStore;

/** Null where the log stays on this machine. Rejects when `ca` cannot be read. */
export async function openShipper(
  config: ShipConfig | null,
  { files, folders, logger }: ShipPlace,
): Promise<Shipper | null> {
  if (config === null) return null;
  const { target } = config;
  const isFolder = 'folder' in target;
  const openStore = isFolder ? () => new FolderStore(target.folder) : await s3Of(target.s3);
  return new Shipper({
    openStore,
    locks: !isFolder,
    files,
    crypto: nodeCrypto,
    folders,
    logger,
    retentionDays: config.retention_days,
    maxUnshippedBytes: config.max_unshipped_bytes,
    maxPauseMs: config.max_pause_ms,
    checkpointMs: config.checkpoint_ms,
    groupBytes: config.group_bytes,
    groupMs: config.group_ms,
  });
}

async function s3Of(target: S3Target): Promise<OpenStore> {
  const [{ NodeHttpHandler }, { fromNodeProviderChain }, { openS3Client }, { S3Store }] =
    await Promise.all([
      import('@smithy/node-http-handler'),
      import('@aws-sdk/credential-providers'),
      import('../../wire/node/objects/client.ts'),
      import('../../wire/node/objects/s3.ts'),
    ]);
  const { region, bucket, prefix, ca, expected_bucket_owner: owner } = target;
  const roots = ca === null ? {} : { ca: readFileSync(ca) };
  const sockets = { keepAlive: true, maxSockets: MAX_SOCKETS };
  const client = openS3Client({
    region,
    endpoint: target.endpoint ?? `https://s3.${region}.amazonaws.com`,
    credentials: fromNodeProviderChain({ ec2MetadataV1Disabled: true, clientConfig: { region } }),
    handler: new NodeHttpHandler({
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      httpAgent: new HttpAgent(sockets),
      httpsAgent: new Agent({ ...sockets, ...roots, minVersion: 'TLSv1.2' }),
    }),
  });
  return (signal) => {
    signal.addEventListener(
      'abort',
      () => {
        client.destroy();
      },
      { once: true },
    );
    return new S3Store({
      client,
      bucket,
      prefix,
      signal,
      retry: RETRY,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      ...(owner === null ? {} : { expectedBucketOwner: owner }),
    });
  };
}
