// trackseal seal: everything that a configuration wants sealed, for one image, in one command. Sealing again for a
// new image is the owner's consent to that image.

import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseHex, toHex } from '../../wire/bytes.ts';
import type { Configuration, ConfiguredSeal } from '../../wire/configuration.ts';
import { parseConfiguration } from '../../wire/configuration.ts';
import { MAX_CONFIGURATION_BYTES } from '../../wire/limits.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from '../../wire/manifest.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';
import { parseSealed } from '../../wire/sealed.ts';
import type { CommandIo } from '../command-line.ts';
import { parseOptions, readBounded, refused } from '../command-line.ts';
import { KMS_OPTIONS, KMS_USAGE, openKms } from '../kms-client.ts';
import { readMeasurements } from '../measurements-file.ts';
import type { OwnerKey } from '../owner-key.ts';
import { readOwnerKey } from '../owner-key.ts';
import { sealItem } from '../seal/seal.ts';
import type { SealMaterial, SealSource } from '../seal/sources.ts';
import { parseSource, readMaterial, readPlan } from '../seal/sources.ts';
import type { SealVersions } from '../seal/versions.ts';
import { chooseVersion, readVersions, writeVersions } from '../seal/versions.ts';

const USAGE = `usage: trackseal seal --configuration FILE --measurements FILE --owner-key FILE -o DIR (--plan FILE | --item ITEM...)

Seals what the configuration's \`sealed\` lists: signs it with the owner's key and encrypts it under a key of KMS,
for the one image whose PCR0 is in the measurements. The host gets the files and can open none of them.

  --configuration FILE  what the host will send to the enclave, byte for byte
  --measurements FILE   measurements.json of the image
  --owner-key FILE      P-256 private key in PEM, whose public part the image has measured
                        (environment: TRACKSEAL_OWNER_PASSPHRASE)
  -o, --out DIR         one file PURPOSE-NAME.sealed for each item
  --plan FILE           JSON {items: [{purpose, name, path, salt?}]}, paths relative to it
  --item ITEM           PURPOSE/NAME=PATH instead of a plan, once per item
                        strategy: what \`trackseal strategy pack\` wrote; compliance_key: the public key, PEM or 32 bytes
  --manifest FILE       the image's measured manifest: the owner's key must be the one in it
  --versions FILE       counter of versions, kept by the owner; default: DIR/versions.json
  --version N           this version for all items; not lower than any before
${KMS_USAGE}  --json

Exit codes: 0 sealed, 1 refused (by a check or by KMS), 2 could not do it.
`;

interface Inputs {
  readonly configuration: Configuration;
  readonly configurationDigest: Uint8Array;
  readonly image: Uint8Array;
  readonly ownerKey: OwnerKey;
}

interface SealValues {
  readonly configuration?: string | undefined;
  readonly measurements?: string | undefined;
  readonly 'owner-key'?: string | undefined;
  readonly manifest?: string | undefined;
  readonly plan?: string | undefined;
  readonly item?: readonly string[] | undefined;
  readonly out?: string | undefined;
  readonly versions?: string | undefined;
  readonly version?: string | undefined;
  readonly profile?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly ca?: string | undefined;
}

interface Job {
  readonly item: ConfiguredSeal;
  readonly material: SealMaterial;
  readonly version: number;
}

function wipe(jobs: readonly { readonly material: SealMaterial }[]): void {
  for (const { material } of jobs) {
    material.salt.fill(0);
    material.bytes.fill(0);
  }
}

async function checkManifest(path: string, ownerKey: OwnerKey): Promise<Result<null>> {
  const bytes = await readBounded(path, MAX_MANIFEST_BYTES);
  if (!bytes.ok) return bytes;
  const manifest = parseManifest(bytes.value);
  if (!manifest.ok) return manifest;
  const expected = manifest.value.owner_key;
  const actual = ownerKey.spkiHex;
  if (expected === actual) return accept(null);
  return refuse('seal_signature_invalid', { expected, actual, what: "the image's owner_key" });
}

async function readInputs(values: SealValues, io: CommandIo): Promise<Result<Inputs>> {
  const { configuration: path = '', measurements = '', 'owner-key': keyPath = '' } = values;
  const bytes = await readBounded(path, MAX_CONFIGURATION_BYTES);
  if (!bytes.ok) return bytes;
  const configuration = parseConfiguration(bytes.value);
  if (!configuration.ok) return configuration;
  const image = await readMeasurements(measurements);
  if (!image.ok) return image;
  const ownerKey = await readOwnerKey(keyPath, io.env['TRACKSEAL_OWNER_PASSPHRASE']);
  if (!ownerKey.ok) return ownerKey;
  if (values.manifest !== undefined) {
    const checked = await checkManifest(values.manifest, ownerKey.value);
    if (!checked.ok) return checked;
  }
  return accept({
    configuration: configuration.value,
    configurationDigest: nodeCrypto.sha256(bytes.value),
    image: parseHex(image.value.pcr0) ?? new Uint8Array(),
    ownerKey: ownerKey.value,
  });
}

async function readSources({
  plan,
  item = [],
}: SealValues): Promise<Result<readonly SealSource[]>> {
  if ((plan === undefined) === (item.length === 0)) {
    return refuse('usage_invalid', { what: 'either --plan or --item' });
  }
  if (plan !== undefined) return readPlan(plan);
  const sources = item.map(parseSource);
  const wrong = sources.indexOf(null);
  if (wrong !== -1) return refuse('usage_invalid', { what: `--item ${item[wrong] ?? ''}` });
  return accept(sources.filter((one) => one !== null));
}

function nameOf({ purpose, name }: { readonly purpose: string; readonly name: string }): string {
  return `${purpose}/${name}`;
}

/** One source for each item that the configuration names, and no other: half a batch starts no enclave. */
function pair(
  wanted: readonly ConfiguredSeal[],
  sources: readonly SealSource[],
): Result<readonly { readonly item: ConfiguredSeal; readonly source: SealSource }[]> {
  if (wanted.length === 0) return refuse('usage_invalid', { what: 'nothing is sealed here' });
  const given = new Map(sources.map((source) => [nameOf(source), source]));
  if (given.size !== sources.length) return refuse('usage_invalid', { what: 'an item twice' });
  const pairs = [];
  for (const item of wanted) {
    const source = given.get(nameOf(item));
    if (source === undefined) return refuse('seal_missing', { item: nameOf(item) });
    given.delete(nameOf(item));
    pairs.push({ item, source });
  }
  const [other] = given.keys();
  return other === undefined ? accept(pairs) : refuse('seal_unexpected', { item: other });
}

async function prepare(
  inputs: Inputs,
  sources: readonly SealSource[],
  versions: SealVersions,
  wantedVersion: number | null,
): Promise<Result<readonly Job[]>> {
  const pairs = pair(inputs.configuration.sealed ?? [], sources);
  if (!pairs.ok) return pairs;
  const jobs: Job[] = [];
  for (const { item, source } of pairs.value) {
    const version = chooseVersion(versions, nameOf(item), wantedVersion);
    const material = version.ok ? await readMaterial(source, item, inputs.configuration) : version;
    if (!version.ok || !material.ok) {
      wipe(jobs);
      return version.ok ? (material as Result<never>) : version;
    }
    jobs.push({ item, material: material.value, version: version.value });
  }
  return accept(jobs);
}

interface Report {
  readonly purpose: string;
  readonly name: string;
  readonly version: number;
  readonly file: string;
  readonly commitment: string;
  readonly key_arn: string;
}

/** `/` and spaces of a name cannot be in a file's. */
function fileOf(out: string, { purpose, name }: ConfiguredSeal): string {
  return join(out, `${purpose}-${encodeURIComponent(name)}.sealed`);
}

async function sealAll(
  inputs: Inputs,
  jobs: readonly Job[],
  out: string,
  values: SealValues,
): Promise<Result<readonly Report[]>> {
  const { configuration, configurationDigest, image, ownerKey } = inputs;
  const kms = await openKms({ region: configuration.kms?.region ?? '', ...values });
  if (!kms.ok) return kms;
  const sealed: { readonly report: Report; readonly bytes: Uint8Array }[] = [];
  for (const { item, material, version } of jobs) {
    const about = {
      purpose: item.purpose,
      logId: configuration.log_id,
      name: item.name,
      version,
      configurationDigest,
      keyArn: item.key_arn,
      image,
    };
    const done = await sealItem(kms.value, ownerKey, about, material);
    if (!done.ok) {
      return refuse(done.refusal.code, { item: nameOf(item), ...done.refusal.detail });
    }
    const { statement, bytes } = done.value;
    assertAccepted(parseSealed(bytes));
    const file = fileOf(out, item);
    const commitment = toHex(statement.commitment);
    const { purpose, name, key_arn: keyArn } = item;
    sealed.push({ report: { purpose, name, version, file, commitment, key_arn: keyArn }, bytes });
  }
  kms.value.destroy();
  // All or nothing: a host must not find items of two batches.
  try {
    for (const { report, bytes } of sealed) await writeFile(`${report.file}.new`, bytes);
    for (const { report } of sealed) await rename(`${report.file}.new`, report.file);
  } catch {
    return refuse('file_unreadable', { path: out, what: 'cannot be written' });
  }
  return accept(sealed.map(({ report }) => report));
}

async function seal(values: SealValues, io: CommandIo): Promise<Result<object>> {
  const { out, version } = values;
  for (const name of ['configuration', 'measurements', 'owner-key', 'out'] as const) {
    if (values[name] === undefined) return refuse('usage_invalid', { what: `--${name} is needed` });
  }
  const wantedVersion = version === undefined ? null : Number(version);
  if (out === undefined || (version !== undefined && !/^[1-9]\d{0,14}$/u.test(version))) {
    return refuse('usage_invalid', { what: '--version takes a number from 1' });
  }
  const inputs = await readInputs(values, io);
  if (!inputs.ok) return inputs;
  const sources = await readSources(values);
  if (!sources.ok) return sources;
  try {
    await mkdir(out, { recursive: true });
  } catch {
    return refuse('file_unreadable', { path: out, what: 'cannot be written' });
  }
  const counter = values.versions ?? join(out, 'versions.json');
  const versions = await readVersions(counter);
  if (!versions.ok) return versions;
  const jobs = await prepare(inputs.value, sources.value, versions.value, wantedVersion);
  if (!jobs.ok) return jobs;
  try {
    const next = Object.fromEntries(jobs.value.map((job) => [nameOf(job.item), job.version]));
    const written = await writeVersions(counter, { ...versions.value, ...next });
    if (!written.ok) return written;
    const items = await sealAll(inputs.value, jobs.value, out, values);
    if (!items.ok) return items;
    const { configuration, configurationDigest, image } = inputs.value;
    return accept({
      log_id: configuration.log_id,
      configuration_digest: toHex(configurationDigest),
      image: toHex(image),
      items: items.value,
    });
  } finally {
    wipe(jobs.value);
  }
}

/** Exit codes: 0 sealed, 1 refused, 2 could not do it. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const parsed = parseOptions({
    args: [...args],
    options: {
      configuration: { type: 'string' },
      measurements: { type: 'string' },
      'owner-key': { type: 'string' },
      out: { type: 'string', short: 'o' },
      plan: { type: 'string' },
      item: { type: 'string', multiple: true },
      manifest: { type: 'string' },
      versions: { type: 'string' },
      version: { type: 'string' },
      ...KMS_OPTIONS,
      json: { type: 'boolean' },
    },
  });
  if (!parsed.ok) return refused(io, parsed.refusal, json);
  const result = await seal(parsed.value.values, io);
  if (!result.ok) return refused(io, result.refusal, json);
  const report = result.value as { readonly image: string; readonly items: readonly Report[] };
  const lines = report.items.map(({ purpose, name, version, file }) => {
    return `sealed  ${`${purpose}/${name}`.padEnd(32)} version ${version}  ${file}\n`;
  });
  const text = `${lines.join('')}for the image with PCR0 ${report.image}\n`;
  io.stdout(json ? `${JSON.stringify(report, null, 2)}\n` : text);
  return 0;
}
