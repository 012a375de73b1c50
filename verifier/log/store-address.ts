// `s3://bucket/prefix` and the options that say where that is. Loaded only for such an address: nothing else of
// the verifier needs the SDK. Credentials come from the standard chain of AWS; they need to read, and no more.

import { Agent } from 'node:https';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { isObjectKey } from '../../wire/host-keys.ts';
import { openS3Client } from '../../wire/node/objects/client.ts';
import { S3Store } from '../../wire/node/objects/s3.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { CommandIo } from '../io.ts';
import { readSmallFile } from '../small-file.ts';
import type { StoreOptionValues } from './store-options.ts';
import { StoreSource } from './store-source.ts';

const MAX_CA_BYTES: number = 256 * 1024;
const TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 16;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/u;
const REGION = /^[a-z]{2}(?:-[a-z]+)+-\d$/u;
/** TLS, or a server on this machine. */
const ENDPOINT = /^(?:https:\/\/[^/?#]+|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?)\/?$/u;

export interface OpenedStore {
  readonly source: StoreSource;
  /** Of an epoch's folder. */
  readonly epoch: number | null;
}

export async function openS3Source(
  address: string,
  values: StoreOptionValues,
  env: CommandIo['env'],
): Promise<Result<OpenedStore>> {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]+)(?:\/(.*?))?\/*$/u.exec(address) ?? [];
  const inEpoch = /^(?:(.*)\/)?epochs\/(\d{10})$/u.exec(path);
  const prefix = inEpoch === null ? path : (inEpoch[1] ?? '');
  if (!BUCKET.test(bucket) || (prefix !== '' && !isObjectKey(prefix))) {
    return refuse('usage_invalid', { what: 's3://BUCKET/PREFIX' });
  }
  const region = values.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? '';
  if (!REGION.test(region)) return refuse('usage_invalid', { what: '--region' });
  const endpoint = values.endpoint ?? `https://s3.${region}.amazonaws.com`;
  if (!ENDPOINT.test(endpoint)) {
    return refuse('usage_invalid', { what: '--endpoint: https://HOST, or http on this machine' });
  }
  const owner = values['bucket-owner'];
  if (owner !== undefined && !/^\d{12}$/u.test(owner)) {
    return refuse('usage_invalid', { what: '--bucket-owner: twelve digits' });
  }
  const ca = values.ca === undefined ? null : await readSmallFile(values.ca, MAX_CA_BYTES);
  if (ca?.ok === false) return ca;
  const httpsAgent = new Agent({
    keepAlive: true,
    maxSockets: MAX_CONNECTIONS,
    minVersion: 'TLSv1.2',
    ...(ca === null ? {} : { ca: Buffer.from(ca.value) }),
  });
  const client = openS3Client({
    region,
    endpoint,
    credentials: fromNodeProviderChain(),
    handler: new NodeHttpHandler({
      connectionTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      httpsAgent,
    }),
  });
  const store = new S3Store({
    client,
    bucket,
    prefix,
    ...(owner === undefined ? {} : { expectedBucketOwner: owner }),
  });
  const source = new StoreSource(store, { locks: true });
  return accept({ source, epoch: inEpoch === null ? null : Number(inEpoch[2]) });
}
