// Prepares a local appliance in a folder: what in production comes from the image build, from AWS, from the
// quant, and from compliance. Nothing here is trusted by a verifier but what it is told to trust.
//
//   aws/root.pem, aws/root-key.pem   the simulator's root (in production: AWS)
//   image/measured.json              the measured manifest (in production: inside the image)
//   image/measurements.json          PCR0 to PCR2 (in production: from the image build)
//   lp/policy.json                   what an LP checks against
//   quant/…                          the packed strategy, its salts and parameters
//   compliance/key.pem               compliance's private key
//   host/configuration.json          what the host sends to the enclave

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SimulatedRoot } from '../simulator/nsm/root.ts';
import { measure, measurementsJson } from '../simulator/nsm/measure.ts';
import { generateComplianceKey } from '../verifier/compliance-key.ts';
import { concatBytes, toHex, utf8 } from '../wire/bytes.ts';
import type { Configuration, Instrument } from '../wire/configuration.ts';
import { canonicalJson } from '../wire/configuration.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import { bundleImage } from './bundle.ts';
import { packStrategy, writePack } from './strategy-pack.ts';

export interface ApplianceOptions {
  readonly directory: string;
  /** Source file of the strategy. */
  readonly strategy: string;
  readonly strategyName: string;
  readonly parameters: unknown;
  readonly instruments: readonly Instrument[];
  readonly anchorMs: number;
}

export interface Appliance {
  readonly directory: string;
  readonly rootPem: string;
  readonly measured: string;
  readonly measurements: string;
  readonly policy: string;
  readonly pack: string;
  readonly parameters: string;
  readonly parametersSalt: string;
  readonly complianceKey: string;
  readonly configuration: string;
  readonly logDirectory: string;
}

export const STRATEGY_VERSION = '1.0.0';
const SALT_BYTES = 32;

function newSalt(): Uint8Array {
  return new Uint8Array(randomBytes(SALT_BYTES));
}

/** Stands in for the image: the programs that run in it and the manifest, measured like an EIF. */
async function measureImage(manifest: Uint8Array): Promise<string> {
  const bundles = await bundleImage();
  const programs = concatBytes(...bundles.map(({ bytes }) => bytes));
  const boot = utf8(`node ${process.version}`);
  return measurementsJson(measure({ boot, application: concatBytes(programs, manifest) }));
}

export async function prepareAppliance(options: ApplianceOptions): Promise<Appliance> {
  const { directory } = options;
  const path = (...names: readonly string[]): string => join(directory, ...names);
  for (const name of ['image', 'lp', 'quant', 'compliance', 'host', 'log']) {
    await mkdir(path(name), { recursive: true });
  }
  const root = await SimulatedRoot.open(path('aws'));

  const pack = await packStrategy(
    options.strategy,
    options.strategyName,
    STRATEGY_VERSION,
    newSalt(),
  );
  await writePack(path('quant', 'strategy'), pack);
  const { name, version, commitment } = pack.commitment;
  await writeFile(path('quant', 'parameters.json'), canonicalJson(options.parameters));
  await writeFile(path('quant', 'parameters.salt'), `${toHex(newSalt())}\n`, { mode: 0o600 });

  const manifest = canonicalJson({ version: 1, strategies: [{ name, version, commitment }] });
  await writeFile(path('image', 'measured.json'), manifest);
  const measurements = await measureImage(manifest);
  await writeFile(path('image', 'measurements.json'), measurements);

  const compliance = generateComplianceKey();
  await writeFile(path('compliance', 'key.pem'), compliance.pem, { mode: 0o600 });

  const configuration: Configuration = {
    version: 1,
    log_id: 'trackseal.local/demo',
    feed_mode: 'replay',
    commit_policy: 'spool',
    compliance_public_key: compliance.publicHex,
    instruments: options.instruments,
    streams: [{ id: 1, name: 'binance-capture' }],
    strategies: [{ name, version, commitment, time_budget_ms: 5000 }],
    intervals: { anchor_ms: options.anchorMs, heartbeat_ms: 1000, commit_ms: 5 },
    limits: { clock_divergence_ms: 5000, attestations_per_second: 5 },
    tls_names: ['localhost'],
  };
  const bytes = canonicalJson(configuration);
  await writeFile(path('host', 'configuration.json'), bytes);

  const policy = {
    ...(JSON.parse(measurements) as object),
    config_digest: toHex(nodeCrypto.sha256(bytes)),
    root: toHex(nodeCrypto.sha256(root.certificateDer)),
  };
  await writeFile(path('lp', 'policy.json'), `${JSON.stringify(policy, null, 2)}\n`);
  return {
    directory,
    rootPem: path('aws', 'root.pem'),
    measured: path('image', 'measured.json'),
    measurements: path('image', 'measurements.json'),
    policy: path('lp', 'policy.json'),
    pack: path('quant', 'strategy'),
    parameters: path('quant', 'parameters.json'),
    parametersSalt: path('quant', 'parameters.salt'),
    complianceKey: path('compliance', 'key.pem'),
    configuration: path('host', 'configuration.json'),
    logDirectory: path('log'),
  };
}

/** The salt beside a packed strategy, hex. */
export async function readPackSalt(pack: string): Promise<string> {
  return (await readFile(join(pack, 'salt'), 'utf8')).trim();
}
