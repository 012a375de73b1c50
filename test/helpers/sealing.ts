// An owner and a simulated KMS around an enclave in this process: what is sealed for it, and boots that unseal it.

import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { EncryptCommand } from '@aws-sdk/client-kms';
import type { RunningKms } from '../../simulator/kms/server.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { concatBytes, toHex, utf8 } from '../../wire/bytes.ts';
import type { Configuration, ConfiguredSeal } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { parseHeader } from '../../wire/header.ts';
import type { AwsCredentials, Dial } from '../../wire/kms-messages.ts';
import type { MeasuredManifest } from '../../wire/manifest.ts';
import { FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { SealedItem, SealStatement } from '../../wire/sealed.ts';
import { sealContext, signedBytes } from '../../wire/sealed.ts';
import { encodeSealed, encodeStatement, sealContent } from '../../wire/seal.ts';
import { serveStream } from './egress-host.ts';
import type { HostOptions, TestHost } from './enclave-host.ts';
import { hostConfiguration, startHost, testItems } from './enclave-host.ts';
import { clientOf, HOST, IMAGE, KEY_ARN, OWNER, REGION, simulatedRoot } from './kms.ts';

export const KMS_HOST: string = `kms.${REGION}.amazonaws.com`;
export const KMS: { readonly region: string; readonly host: string } = {
  region: REGION,
  host: KMS_HOST,
};
export const CREDENTIALS: AwsCredentials = {
  accessKeyId: HOST.accessKeyId,
  secretAccessKey: HOST.secretAccessKey,
  sessionToken: HOST.sessionToken ?? null,
  expiresMs: Date.now() + 3_600_000,
};

const owner = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const OWNER_SPKI: Uint8Array = new Uint8Array(
  createPublicKey(owner.privateKey).export({ type: 'spki', format: 'der' }),
);

export function signAsOwner(statement: Uint8Array): Uint8Array {
  return new Uint8Array(sign('sha256', signedBytes(statement), owner.privateKey));
}

export function sealOf(purpose: ConfiguredSeal['purpose'], name = 'example'): ConfiguredSeal {
  return { purpose, name, key_arn: KEY_ARN };
}

const SALT = new Uint8Array(32).fill(0x5a);

/** The bytes of the test's strategy and its parameters, with their salt. */
export function strategyBytes(purpose: 'strategy' | 'parameters'): {
  salt: Uint8Array;
  bytes: Uint8Array;
} {
  const item = testItems().find((one) => one.purpose === purpose);
  if (item === undefined) throw new Error('no such item');
  return { salt: item.salt.slice(), bytes: item.bytes };
}

export interface SealOptions {
  readonly purpose?: ConfiguredSeal['purpose'];
  readonly name?: string;
  readonly bytes?: Uint8Array;
  readonly salt?: Uint8Array;
  readonly statement?: Partial<SealStatement>;
  /** Of what was sealed rightly. */
  readonly item?: (item: SealedItem) => SealedItem;
  /** The context of the content key, when it is not the statement's. */
  readonly context?: Readonly<Record<string, string>>;
}

/** A SEALED payload for this configuration; parameters of the test's strategy unless it says otherwise. */
export async function seal(
  kms: RunningKms,
  configuration: Configuration,
  options: SealOptions = {},
): Promise<Uint8Array> {
  const { purpose = 'parameters', name = 'example' } = options;
  const isStrategys = purpose === 'strategy' || purpose === 'parameters';
  const own = isStrategys ? strategyBytes(purpose) : { salt: SALT, bytes: utf8('{}') };
  const { salt = own.salt, bytes = own.bytes } = options;
  const statement: SealStatement = {
    purpose,
    logId: configuration.log_id,
    name,
    label: isStrategys ? '1.0.0' : '',
    version: 1,
    configurationDigest: nodeCrypto.sha256(canonicalJson(configuration)),
    commitment: nodeCrypto.sha256(concatBytes(salt, bytes)),
    keyArn: KEY_ARN,
    image: IMAGE.pcr0,
    ...options.statement,
  };
  const encoded = encodeStatement(statement);
  const contentKey = new Uint8Array(32).fill(9);
  const { CiphertextBlob: wrappedKey = new Uint8Array() } = await clientOf(kms, OWNER).send(
    new EncryptCommand({
      KeyId: statement.keyArn,
      Plaintext: contentKey,
      EncryptionContext: { ...(options.context ?? sealContext(statement)) },
    }),
  );
  const item: SealedItem = {
    statement: encoded,
    signature: signAsOwner(encoded),
    wrappedKey,
    content: sealContent(nodeCrypto, contentKey, new Uint8Array(12), encoded, salt, bytes),
  };
  return encodeSealed(options.item?.(item) ?? item);
}

export function manifestFor(
  configuration: Configuration,
  kms: RunningKms,
  changes: Partial<MeasuredManifest> = {},
): Uint8Array {
  return canonicalJson({
    version: 2,
    strategies: configuration.strategies.map(({ name, version, commitment }) => ({
      name,
      version,
      commitment,
    })),
    owner_key: toHex(OWNER_SPKI),
    hosts: [{ host: KMS_HOST, port: 443 }],
    roots_sha256: toHex(nodeCrypto.sha256(utf8(kms.caPem))),
    ...changes,
  } satisfies MeasuredManifest);
}

export function sealedConfiguration(changes: Partial<Configuration> = {}): Configuration {
  return hostConfiguration({ kms: KMS, sealed: [sealOf('parameters')], ...changes });
}

export interface SealedHostOptions extends HostOptions {
  readonly manifest?: Partial<MeasuredManifest>;
  readonly withoutCredentials?: boolean;
}

/** An enclave whose host brings this; the strategy comes in the clear unless `items` says otherwise. */
export async function bootWith(
  kms: RunningKms,
  configuration: Configuration,
  options: SealedHostOptions = {},
): Promise<TestHost> {
  const root = await simulatedRoot();
  const egress = {
    answer: null,
    dials: [] as Dial[],
    routes: new Map([[`${KMS_HOST}:443`, kms.port]]),
  };
  return startHost({
    configuration,
    nsmDevice: new SimulatedNsm({ root, measurements: IMAGE }),
    measured: manifestFor(configuration, kms, options.manifest),
    roots: utf8(kms.caPem),
    ...(options.withoutCredentials === true ? {} : { credentials: CREDENTIALS }),
    items: testItems().slice(0, 1),
    onEgress: (stream) => {
      serveStream(egress, stream);
    },
    ...options,
    timeouts: { credentialsMs: 300, ...options.timeouts },
  });
}

/** Leaf 0. */
export function headerOf(host: TestHost): EpochHeader {
  return assertAccepted(parseHeader(host.open(0)));
}

export async function closeHost(host: TestHost): Promise<void> {
  host.sendBoot(FRAME.close);
  await host.end;
}

/** `ready`, or the code of FAILED. */
export async function outcomeOf(host: TestHost): Promise<string> {
  try {
    await host.ready();
    return 'ready';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Calls that the enclave made. */
export function asked(kms: RunningKms): readonly string[] {
  return kms.events.map(({ eventName }) => eventName).filter((name) => name !== 'Encrypt');
}
