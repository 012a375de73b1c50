// Prepares a local appliance in a folder: what in production comes from the image build, from AWS, from the
// quant, and from compliance. Nothing here is trusted by a verifier but what it is told to trust.
//
//   aws/root.pem, aws/root-key.pem   the simulator's root (in production: AWS)
//   image/measured.json              the measured manifest (in production: inside the image)
//   image/measurements.json          PCR0 to PCR2 (in production: from the image build)
//   lp/policy.json                   what an LP checks against
//   quant/…                          the packed strategies, their salts and parameters
//   compliance/key.pem               compliance's private key
//   host/configuration.json          what the host sends to the enclave
//   image/roots.pem                  TLS roots of the image; empty where it talks to nobody

import { createPublicKey, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SimulatedRoot } from '../simulator/nsm/root.ts';
import { measure, measurementsJson } from '../simulator/nsm/measure.ts';
import { generateComplianceKey } from '../verifier/compliance-key.ts';
import { concatBytes, toHex, utf8 } from '../wire/bytes.ts';
import type {
  Configuration,
  ConfiguredKms,
  ConfiguredS3,
  Instrument,
} from '../wire/configuration.ts';
import { canonicalJson } from '../wire/configuration.ts';
import type { MeasuredManifest } from '../wire/manifest.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import { bundleImage } from '../eif/build/bundles.ts';
import type { DemoDatabase } from './demo-database.ts';
import { packStrategy, writePack } from './strategy-pack.ts';

export interface ApplianceStrategy {
  /** Source file. */
  readonly strategy: string;
  /** Its name in the configuration; two strategies of one epoch have different ones. */
  readonly strategyName: string;
  readonly parameters: unknown;
  /** Longest time for one batch; default 5,000. */
  readonly timeBudgetMs?: number;
  /** Of its commitment, 32 bytes; by default drawn. An image that is built already has the commitment of one. */
  readonly salt?: Uint8Array;
}

export interface ApplianceOptions extends ApplianceStrategy {
  readonly directory: string;
  /** Strategies that run beside the first one, on streams 1001, 1002, … */
  readonly others?: readonly ApplianceStrategy[];
  readonly instruments: readonly Instrument[];
  readonly anchorMs: number;
  /** What comes sealed and from whom, and where the log goes besides; by default nothing is sealed. */
  readonly cloud?: ApplianceCloud;
  /** What the enclave fetches over its own TLS; by default nothing. */
  readonly sources?: ApplianceSources;
  /** What traders' accounts need: exchanges' names and the roots of their certificates. By default there are none. */
  readonly exchanges?: ApplianceExchanges;
  /** Where the track record is kept; it needs a cloud, which seals the password. */
  readonly database?: Pick<DemoDatabase, 'configured' | 'passwordFile'>;
  /** measurements.json of a built image; by default an enclave is simulated under a root of its own. */
  readonly image?: string;
}

/** Venues of an appliance, and its streams in place of the capture's. */
export interface ApplianceSources {
  /** PEM. */
  readonly roots: string;
  readonly hosts: MeasuredManifest['hosts'];
  readonly streams: Configuration['streams'];
}

/** The AWS of an appliance: whom the image may talk to and what its configuration wants sealed. */
export interface ApplianceCloud {
  /** PEM. */
  readonly roots: string;
  /** SPKI of whoever seals, hex. */
  readonly ownerKey: string;
  readonly hosts: MeasuredManifest['hosts'];
  /** Strategies, parameters and compliance's key come sealed under this one. */
  readonly keyArn: string;
  readonly kms: ConfiguredKms;
  /** Names of data keys that the enclave has made. */
  readonly dataKeys?: readonly string[];
  /** With it the enclave itself writes its commits there (commit policy `s3`). */
  readonly s3: ConfiguredS3 | null;
}

export interface ApplianceExchanges {
  readonly hosts: MeasuredManifest['hosts'];
  /** PEM. */
  readonly roots: string;
}

/** What a quant has of a strategy, as files. */
export interface AppliancePack {
  readonly name: string;
  readonly commitment: string;
  readonly pack: string;
  readonly parameters: string;
  readonly parametersSalt: string;
}

export interface Appliance {
  readonly directory: string;
  /** Of the simulator; there only where an enclave is simulated. */
  readonly rootPem: string;
  readonly measured: string;
  readonly measurements: string;
  readonly policy: string;
  /** The options by which a verifier takes this appliance's documents. */
  readonly trust: readonly string[];
  /** In the order of their streams. */
  readonly strategies: readonly AppliancePack[];
  /** Of the first strategy. */
  readonly pack: string;
  readonly parameters: string;
  readonly parametersSalt: string;
  readonly complianceKey: string;
  readonly compliancePublicKey: string;
  readonly roots: string;
  readonly configuration: string;
  readonly logDirectory: string;
  /** What the owner seals for the database. */
  readonly databasePassword: string | null;
}

export const STRATEGY_VERSION = '1.0.0';
const SALT_BYTES = 32;
const TIME_BUDGET_MS = 5000;
/** Name of the data key under which the enclave seals sessions. */
const VAULT_KEY = 'vault';

function newSalt(): Uint8Array {
  return new Uint8Array(randomBytes(SALT_BYTES));
}

/** Stands in for the image: the programs that run in it and the manifest, measured like an EIF; with one bit
 * of the programs changed on request. */
export async function measureImage(manifest: Uint8Array, flippedBit?: number): Promise<string> {
  const bundles = await bundleImage();
  const programs = concatBytes(...bundles.map(({ bytes }) => bytes));
  if (flippedBit !== undefined) {
    const at = flippedBit >> 3;
    programs[at] = (programs[at] ?? 0) ^ (1 << (flippedBit & 7));
  }
  const boot = utf8(`node ${process.version}`);
  return measurementsJson(measure({ boot, application: concatBytes(programs, manifest) }));
}

/** The first one lies in quant/strategy with its parameters beside it, the others in quant/strategy-2, … */
async function preparePack(
  quant: string,
  { strategy, strategyName, parameters, salt = newSalt() }: ApplianceStrategy,
  position: number,
): Promise<AppliancePack> {
  const pack = join(quant, position === 0 ? 'strategy' : `strategy-${position + 1}`);
  const folder = position === 0 ? quant : pack;
  const packed = await packStrategy(strategy, strategyName, STRATEGY_VERSION, salt);
  await writePack(pack, packed);
  const files = {
    parameters: join(folder, 'parameters.json'),
    parametersSalt: join(folder, 'parameters.salt'),
  };
  await writeFile(files.parameters, canonicalJson(parameters));
  await writeFile(files.parametersSalt, `${toHex(newSalt())}\n`, { mode: 0o600 });
  const { name, commitment } = packed.commitment;
  return { name, commitment, pack, ...files };
}

function configuredCloud(
  { cloud, database }: Pick<ApplianceOptions, 'cloud' | 'database'>,
  strategies: readonly { readonly name: string }[],
): Partial<Configuration> {
  if (cloud === undefined) return {};
  const { kms, s3, keyArn: key_arn, dataKeys = [] } = cloud;
  const sealed = strategies.flatMap(({ name }) => [
    { purpose: 'strategy', name, key_arn } as const,
    { purpose: 'parameters', name, key_arn } as const,
  ]);
  const complianceKey = { purpose: 'compliance_key', name: 'main', key_arn } as const;
  return {
    kms,
    sealed: [
      ...sealed,
      complianceKey,
      ...(database === undefined
        ? []
        : [{ purpose: 'database_password', name: 'main', key_arn } as const]),
    ],
    ...(database === undefined ? {} : { database: database.configured }),
    ...(dataKeys.length === 0 ? {} : { data_keys: dataKeys.map((name) => ({ name, key_arn })) }),
    ...(s3 === null ? {} : { s3 }),
  };
}

/** Sessions outlive the enclave where there is a KMS to make a key for them. */
function configuredDesk({ exchanges, cloud }: ApplianceOptions): Partial<Configuration> {
  if (exchanges === undefined) return {};
  const vault = cloud === undefined ? {} : { vault: VAULT_KEY };
  return { desk: { ...vault, polling_ms: 60_000, max_sessions: 100, sandbox: true } };
}

export async function prepareAppliance(options: ApplianceOptions): Promise<Appliance> {
  const { directory } = options;
  const path = (...names: readonly string[]): string => join(directory, ...names);
  for (const name of ['image', 'lp', 'quant', 'compliance', 'host', 'log']) {
    await mkdir(path(name), { recursive: true });
  }
  const { image, exchanges, sources } = options;
  const dataKeys = [
    ...(options.cloud?.dataKeys ?? []),
    ...(exchanges === undefined ? [] : [VAULT_KEY]),
  ];
  const cloud = options.cloud === undefined ? undefined : { ...options.cloud, dataKeys };
  const given = [cloud, exchanges, sources].map((one) => one?.roots ?? '');
  const roots = utf8([...new Set(given)].join(''));
  await writeFile(path('image', 'roots.pem'), roots);
  const root = image === undefined ? await SimulatedRoot.open(path('aws')) : null;

  const wanted: readonly ApplianceStrategy[] = [options, ...(options.others ?? [])];
  const strategies: AppliancePack[] = [];
  for (const [position, one] of wanted.entries()) {
    strategies.push(await preparePack(path('quant'), one, position));
  }
  const configured = strategies.map(({ name, commitment }, position) => ({
    name,
    version: STRATEGY_VERSION,
    commitment,
    time_budget_ms: wanted[position]?.timeBudgetMs ?? TIME_BUDGET_MS,
  }));

  const measured = configured.map(({ name, version, commitment }) => ({
    name,
    version,
    commitment,
  }));
  const manifest = canonicalJson({
    version: 2,
    strategies: measured,
    owner_key: cloud?.ownerKey ?? null,
    hosts: [...(cloud?.hosts ?? []), ...(exchanges?.hosts ?? []), ...(sources?.hosts ?? [])],
    roots_sha256: toHex(nodeCrypto.sha256(roots)),
  } satisfies MeasuredManifest);
  await writeFile(path('image', 'measured.json'), manifest);
  const measurements =
    image === undefined ? await measureImage(manifest) : await readFile(image, 'utf8');
  await writeFile(path('image', 'measurements.json'), measurements);

  const compliance = generateComplianceKey();
  await writeFile(path('compliance', 'key.pem'), compliance.pem, { mode: 0o600 });
  const publicPem = createPublicKey(compliance.pem).export({ type: 'spki', format: 'pem' });
  await writeFile(path('compliance', 'public.pem'), publicPem);

  const configuration: Configuration = {
    version: 1,
    log_id: 'trackseal.local/demo',
    feed_mode: sources === undefined ? 'replay' : 'live',
    commit_policy: (cloud?.s3 ?? null) === null ? 'spool' : 's3',
    compliance_public_key: compliance.publicHex,
    instruments: options.instruments,
    streams: sources?.streams ?? [{ id: 1, name: 'binance-capture' }],
    strategies: configured,
    intervals: { anchor_ms: options.anchorMs, heartbeat_ms: 1000, commit_ms: 5 },
    limits: { clock_divergence_ms: 5000, attestations_per_second: 5 },
    tls_names: ['localhost'],
    ...configuredCloud({ ...options, ...(cloud === undefined ? {} : { cloud }) }, configured),
    ...configuredDesk(options),
  };
  const bytes = canonicalJson(configuration);
  await writeFile(path('host', 'configuration.json'), bytes);

  const policy = {
    ...(JSON.parse(measurements) as object),
    config_digest: toHex(nodeCrypto.sha256(bytes)),
    ...(root === null ? {} : { root: toHex(nodeCrypto.sha256(root.certificateDer)) }),
  };
  await writeFile(path('lp', 'policy.json'), `${JSON.stringify(policy, null, 2)}\n`);
  return {
    directory,
    rootPem: path('aws', 'root.pem'),
    measured: path('image', 'measured.json'),
    measurements: path('image', 'measurements.json'),
    policy: path('lp', 'policy.json'),
    trust: [
      '--policy',
      path('lp', 'policy.json'),
      ...(root === null ? ['--unsafe-unsigned'] : ['--unsafe-root', path('aws', 'root.pem')]),
    ],
    strategies,
    pack: path('quant', 'strategy'),
    parameters: path('quant', 'parameters.json'),
    parametersSalt: path('quant', 'parameters.salt'),
    complianceKey: path('compliance', 'key.pem'),
    compliancePublicKey: path('compliance', 'public.pem'),
    roots: path('image', 'roots.pem'),
    configuration: path('host', 'configuration.json'),
    logDirectory: path('log'),
    databasePassword: options.database?.passwordFile ?? null,
  };
}

/** The salt beside a packed strategy, hex. */
export async function readPackSalt(pack: string): Promise<string> {
  return (await readFile(join(pack, 'salt'), 'utf8')).trim();
}
