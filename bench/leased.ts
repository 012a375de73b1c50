// What policy s3 adds to a run of the whole path: a simulated S3 in another process, an appliance that is
// configured for it, and what the host needs to carry the enclave's requests there.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { S3Bucket } from '../enclave/s3/bucket.ts';
import { Credentials } from '../enclave/kms/credentials.ts';
import { CredentialsFeed } from '../host-proxy/credentials/credentials-feed.ts';
import type { HostOptions } from '../host-proxy/host.ts';
import type { Logger } from '../host-proxy/logger.ts';
import type { Appliance } from '../scripts/appliance.ts';
import { parseConfiguration } from '../wire/configuration.ts';
import type { Configuration, ConfiguredS3 } from '../wire/configuration.ts';
import { canonicalJson } from '../wire/configuration.ts';
import { parseManifest } from '../wire/manifest.ts';
import { toHex, utf8 } from '../wire/bytes.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import { assertAccepted } from '../wire/result.ts';
import type { Quantiles } from './quantiles.ts';
import { quantilesOf } from './quantiles.ts';
import type { S3Place } from './s3-process.ts';
import { BUCKET, S3_HOST, USER } from './s3-process.ts';

/** Requests of one object that tell how long a PUT takes when nothing else happens. */
const PROBES = 50;
const PROBE_BYTES = 4096;

export interface RunningS3Process extends S3Place {
  readonly stop: () => Promise<void>;
}

export async function startS3Process(putDelayMs: number): Promise<RunningS3Process> {
  const program = join(import.meta.dirname, 's3-process.ts');
  const child = spawn(execPath, [program, JSON.stringify({ putDelayMs })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    ...(JSON.parse(line) as S3Place),
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

function settingsOf({ region }: S3Place, prefix: string): ConfiguredS3 {
  return { region, host: S3_HOST, bucket: BUCKET, prefix, retention_days: 1 };
}

async function readBytes(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}

/** Writes policy s3 into the appliance's files; answers the file with the roots. */
export async function leaseAppliance(appliance: Appliance, place: S3Place): Promise<string> {
  const configuration = assertAccepted(
    parseConfiguration(await readBytes(appliance.configuration)),
  );
  const leased: Configuration = {
    ...configuration,
    commit_policy: 's3',
    s3: settingsOf(place, 'bench'),
  };
  await writeFile(appliance.configuration, canonicalJson(leased));
  const manifest = assertAccepted(parseManifest(await readBytes(appliance.measured)));
  const roots = join(appliance.directory, 'roots.pem');
  await writeFile(roots, place.roots);
  const roots_sha256 = toHex(nodeCrypto.sha256(utf8(place.roots)));
  const hosts = [{ host: S3_HOST, port: 443 }];
  await writeFile(appliance.measured, canonicalJson({ ...manifest, hosts, roots_sha256 }));
  return roots;
}

const CREDENTIALS = {
  accessKeyId: USER.accessKeyId,
  secretAccessKey: USER.secretAccessKey,
  sessionToken: null,
  expiresMs: Date.now() + 86_400_000,
};

/** The way out and the credentials. */
export function carrying(place: S3Place, logger: Logger): Pick<HostOptions, 'egress' | 'secrets'> {
  const address = { host: '127.0.0.1', port: place.port };
  const credentials = new CredentialsFeed({
    source: () => Promise.resolve({ ok: true, credentials: CREDENTIALS }),
    refreshBeforeMs: 1000,
    logger,
  });
  return {
    egress: {
      allow: [{ host: S3_HOST, port: 443, address }],
      maxConnections: 8,
      connectMs: 5000,
      idleMs: 60_000,
    },
    secrets: { sealed: [], dataKeys: null, credentials },
  };
}

/** One PUT after the other over a kept connection, as the enclave makes them; ms. */
export async function measurePuts(place: S3Place): Promise<Quantiles> {
  const credentials = new Credentials(1, Date.now);
  credentials.push(CREDENTIALS);
  const sender = new NodeHttpHandler({
    httpsAgent: new Agent({ ca: place.roots, servername: S3_HOST, keepAlive: true }),
  });
  type Request = Parameters<typeof sender.handle>[0];
  const bucket = new S3Bucket(settingsOf(place, 'probes'), {
    credentials,
    now: () => new Date(),
    http: {
      handle: (signed) =>
        sender.handle({ ...signed, hostname: '127.0.0.1', port: place.port } as unknown as Request),
    },
  });
  const times: number[] = [];
  const until = new Date(Date.now() + 86_400_000);
  for (let probe = 0; probe <= PROBES; probe++) {
    const startMs = performance.now();
    await bucket.create(`probe-${probe}`, new Uint8Array(PROBE_BYTES), until);
    // The first one opens the connection.
    if (probe > 0) times.push(performance.now() - startMs);
  }
  sender.destroy();
  return quantilesOf(times);
}
