// An owner's desk in a folder: key, configuration, measurements, strategy pack and a plan; and a way to call the
// owner's commands as the command line does.

import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type { CommandIo } from '../../owner/command-line.ts';
import type { RunningKms } from '../../simulator/kms/server.ts';
import type { Principal } from '../../simulator/kms/signature.ts';
import { measurementsJson } from '../../simulator/nsm/measure.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { hostConfiguration } from './enclave-host.ts';
import { IMAGE, KEY_ARN, REGION } from './kms.ts';

export const PARAMETERS: Uint8Array = utf8('{"threshold": 3}\n');
export const BUNDLE: Uint8Array = utf8('export default {};\n');
const SALT = new Uint8Array(32).fill(0x5a);

export interface OwnersDesk {
  readonly folder: string;
  readonly configuration: string;
  readonly measurements: string;
  readonly ownerKey: string;
  readonly plan: string;
  readonly spki: Uint8Array;
  readonly compliancePem: string;
  /** What an owner never has. */
  readonly compliancePrivatePem: string;
  readonly options: readonly string[];
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly json: Readonly<Record<string, unknown>>;
}

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

export async function call(run: Run, args: readonly string[]): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await run(args, {
    stdout: (text) => out.push(text),
    stderr: (text) => err.push(text),
    env: process.env,
  });
  const stdout = out.join('');
  const json = args.includes('--json')
    ? (JSON.parse(stdout) as Readonly<Record<string, unknown>>)
    : {};
  return { code, stdout, stderr: err.join(''), json };
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'owner-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** AWS's standard chain finds these first. */
export function actAs({ accessKeyId, secretAccessKey, sessionToken }: Principal): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey);
  vi.stubEnv('AWS_SESSION_TOKEN', sessionToken);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
}

/** `--endpoint` and `--ca` for a simulator. */
export function endpointOf(kms: RunningKms): readonly string[] {
  const ca = join(temporaryFolder(), 'ca.pem');
  writeFileSync(ca, kms.caPem);
  return ['--endpoint', kms.endpoint, '--ca', ca];
}

export function writeMeasurements(path: string, image: typeof IMAGE = IMAGE): string {
  writeFileSync(path, measurementsJson(image));
  return path;
}

/** A strategy and its parameters are sealed, and compliance's key. */
export function ownersDesk(changes: Partial<Configuration> = {}): OwnersDesk {
  const folder = temporaryFolder();
  const path = (name: string): string => join(folder, name);
  const owner = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const compliance = generateKeyPairSync('x25519');
  const { x = '' } = compliance.publicKey.export({ format: 'jwk' });
  const compliancePem = compliance.publicKey.export({ type: 'spki', format: 'pem' });
  mkdirSync(path('pack'));
  writeFileSync(path('pack/bundle.js'), BUNDLE);
  writeFileSync(path('pack/salt'), `${toHex(SALT)}\n`);
  writeFileSync(path('parameters.json'), PARAMETERS);
  writeFileSync(path('compliance.pem'), compliancePem);
  writeFileSync(path('owner.pem'), owner.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const key = { key_arn: KEY_ARN };
  const items = [
    { purpose: 'strategy', name: 'example', path: 'pack' },
    { purpose: 'parameters', name: 'example', path: 'parameters.json' },
    { purpose: 'compliance_key', name: 'main', path: 'compliance.pem' },
  ] as const;
  const configuration = hostConfiguration({
    compliance_public_key: Buffer.from(x, 'base64url').toString('hex'),
    strategies: [
      {
        name: 'example',
        version: '1.0.0',
        commitment: toHex(nodeCrypto.sha256(SALT, BUNDLE)),
        time_budget_ms: 100,
      },
    ],
    kms: { region: REGION, host: `kms.${REGION}.amazonaws.com` },
    sealed: items.map(({ purpose, name }) => ({ purpose, name, ...key })),
    ...changes,
  });
  writeFileSync(path('configuration.json'), canonicalJson(configuration));
  writeFileSync(path('plan.json'), JSON.stringify({ items }));
  writeMeasurements(path('measurements.json'));
  const options = [
    '--configuration',
    path('configuration.json'),
    '--measurements',
    path('measurements.json'),
    '--owner-key',
    path('owner.pem'),
  ];
  return {
    folder,
    configuration: path('configuration.json'),
    measurements: path('measurements.json'),
    ownerKey: path('owner.pem'),
    plan: path('plan.json'),
    spki: new Uint8Array(owner.publicKey.export({ type: 'spki', format: 'der' })),
    compliancePem,
    compliancePrivatePem: compliance.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    options,
  };
}
