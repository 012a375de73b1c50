// Policy s3 with everything real but AWS: host and enclave as processes, the enclave's own TLS to a simulated S3,
// the shipper beside it. The enclave is killed while signals come out, and the next epoch takes over.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { expect, it, onTestFinished } from 'vitest';
import { TlsAuthority } from '../../simulator/kms/authority.ts';
import { startS3 } from '../../simulator/s3/server.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { MeasuredManifest } from '../../wire/manifest.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { openS3Client } from '../../wire/node/objects/client.ts';
import { S3Store } from '../../wire/node/objects/s3.ts';
import { claimKey, commitsKey } from '../../wire/object-keys.ts';
import { closeKey } from '../../wire/host-keys.ts';
import { assertAccepted } from '../../wire/result.ts';
import { parseSuperseded } from '../../wire/parse-superseded.ts';
import { unsafeNoteText } from '../../wire/tlog/note.ts';
import { enclaveCommand, newAppliance, TestHost, verifyLog } from './appliance.ts';
import { cleanUpAfterEach, temporaryFolder } from './processes.ts';

cleanUpAfterEach();

const HOST = 's3.example';
const PLACE = { region: 'eu-central-1', bucket: 'log-bucket', prefix: 'logs/one' };
const USER = {
  accessKeyId: 'AKIAHOST',
  secretAccessKey: 'host-secret',
  arn: 'arn:aws:iam::123456789012:user/host',
};

function rewrite<T>(path: string, change: (value: T) => T): Uint8Array {
  const bytes = canonicalJson(change(JSON.parse(readFileSync(path, 'utf8')) as T));
  writeFileSync(path, bytes);
  return bytes;
}

it('an enclave that is killed is followed by one that takes over in the bucket', async () => {
  const authority = await TlsAuthority.open(null);
  const { keyPem: key, certificatePem: certificate } = await authority.issue([HOST, '127.0.0.1']);
  const s3 = await startS3({ users: [USER], tls: { key, certificate } });
  onTestFinished(() => s3.close());
  const client = openS3Client({
    region: PLACE.region,
    endpoint: s3.url,
    credentials: USER,
    handler: new NodeHttpHandler({ httpsAgent: { ca: authority.pem } }),
  });
  await client.send(
    new CreateBucketCommand({
      Bucket: PLACE.bucket,
      ObjectLockEnabledForBucket: true,
      CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
    }),
  );
  const store = new S3Store({ client, bucket: PLACE.bucket, prefix: PLACE.prefix });

  const sockets = join(temporaryFolder(), 's');
  const appliance = await newAppliance(join(temporaryFolder(), 'a'));
  const roots = join(appliance.directory, 'roots.pem');
  writeFileSync(roots, authority.pem);
  const configuration = rewrite<Configuration>(appliance.configuration, (value) => ({
    ...value,
    commit_policy: 's3',
    s3: { ...PLACE, host: HOST, retention_days: 1 },
  }));
  rewrite<MeasuredManifest>(appliance.measured, (value) => ({
    ...value,
    hosts: [{ host: HOST, port: 443 }],
    roots_sha256: toHex(nodeCrypto.sha256(utf8(authority.pem))),
  }));
  rewrite<object>(appliance.policy, (value) => ({
    ...value,
    config_digest: toHex(nodeCrypto.sha256(configuration)),
  }));
  const place = { hostSockets: sockets, enclaveSockets: sockets };
  const host = TestHost.start(appliance, place, {
    speed: 40,
    restart: true,
    command: [...enclaveCommand(appliance, place), '--roots', roots],
    config: {
      egress: { allow: [{ host: HOST, port: 443, address: `127.0.0.1:${s3.port}` }] },
      credentials: { source: 'chain' },
    },
    ship: { target: { s3: { ...PLACE, endpoint: s3.url, ca: roots } }, retention_days: 1 },
    env: { AWS_ACCESS_KEY_ID: USER.accessKeyId, AWS_SECRET_ACCESS_KEY: USER.secretAccessKey },
  });
  await host.waitForEvent('enclave_ready');
  await host.waitFor('some groups', () => (s3.counts.get('PutObject') ?? 0) > 20);
  process.kill(await host.enclavePid(1), 'SIGKILL');
  await host.waitForEvent('enclave_ready', 2);
  host.process.signal('SIGTERM');
  const { end, summary } = await host.finish();
  expect(end).toEqual({ code: 0, signal: null });
  const [first, second] = summary.epochs;
  expect([first?.closed, second?.closed]).toEqual([false, true]);

  let groups = 0;
  while ((await store.head(commitsKey(1, groups + 1))) !== null) groups++;
  const mark = await store.get(commitsKey(1, groups), 8192);
  const text = assertAccepted(unsafeNoteText(mark?.bytes ?? new Uint8Array()));
  expect(assertAccepted(parseSuperseded(text))).toMatchObject({
    number: groups,
    size: first?.size,
  });
  for (const key of [claimKey(1), closeKey(1), claimKey(2), closeKey(2)]) {
    expect((await store.head(key))?.lock.mode, key).toBe('COMPLIANCE');
  }
  for await (const { ordinal, key } of store.list('')) expect(ordinal, key).toBe(1);
  const { json } = await verifyLog(appliance);
  expect(json).toMatchObject({ verdict: 'verified', end: 'clean', commit_policy: 's3', epoch: 2 });
  client.destroy();
});
