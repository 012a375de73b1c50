// What is to be sealed, as files of the owner: a plan names one for each item of a configuration. Each is checked
// for the form that the enclave will ask for, so that a mistake shows here and not at a boot.
//
//   { "items": [{ "purpose": "strategy", "name": "order-flow", "path": "packs/order-flow" },
//               { "purpose": "parameters", "name": "order-flow", "path": "parameters.json", "salt"?: "salt" }] }
//
// Paths are relative to the plan. A strategy's path is what `trackseal strategy pack` wrote.

import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { equalBytes, parseHex, parseUtf8, toHex } from '../../wire/bytes.ts';
import type { Configuration, ConfiguredSeal } from '../../wire/configuration.ts';
import { MAX_ITEM_BYTES } from '../../wire/limits.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { SealedPurpose } from '../../wire/sealed.ts';
import { MAX_PASSWORD_BYTES, SEAL_SALT_BYTES, SEALED_PURPOSES } from '../../wire/sealed.ts';
import { BUNDLE_FILES } from '../../wire/strategy-bundle.ts';
import { printable, readBounded } from '../command-line.ts';

const MAX_PLAN_BYTES = 64 * 1024;
const MAX_SALT_BYTES = 128;

export interface SealSource {
  readonly purpose: SealedPurpose;
  readonly name: string;
  readonly path: string;
  /** 64 hex digits; drawn where it is left out. */
  readonly salt?: string | undefined;
}

/** In the clear: whoever has it wipes both. */
export interface SealMaterial {
  readonly salt: Uint8Array;
  readonly bytes: Uint8Array;
  readonly label: string;
}

const planSchema = z.strictObject({
  items: z
    .array(
      z.strictObject({
        purpose: z.enum(SEALED_PURPOSES),
        name: z.string(),
        path: z.string().min(1),
        salt: z.string().min(1).optional(),
      }),
    )
    .min(1)
    .max(64),
});

export async function readPlan(path: string): Promise<Result<readonly SealSource[]>> {
  const bytes = await readBounded(path, MAX_PLAN_BYTES);
  if (!bytes.ok) return bytes;
  const text = parseUtf8(bytes.value);
  let value: unknown = null;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    // Refused by the schema.
  }
  const parsed = planSchema.safeParse(value);
  if (!parsed.success) {
    const field = printable(parsed.error.issues[0]?.path.join('.') ?? '');
    return refuse('json_malformed', { file: path, field });
  }
  const folder = dirname(path);
  return accept(
    parsed.data.items.map(({ purpose, name, path: source, salt }) => ({
      purpose,
      name,
      path: resolve(folder, source),
      salt: salt === undefined ? undefined : resolve(folder, salt),
    })),
  );
}

/** `PURPOSE/NAME=PATH`; null for anything else. */
export function parseSource(text: string): SealSource | null {
  const [, purpose, name = '', path = ''] = /^([a-z_]+)\/([^=]+)=(.+)$/su.exec(text) ?? [];
  const known = SEALED_PURPOSES.find((one) => one === purpose);
  return known === undefined ? null : { purpose: known, name, path: resolve(path) };
}

async function readSalt(path: string): Promise<Result<Uint8Array>> {
  const bytes = await readBounded(path, MAX_SALT_BYTES);
  if (!bytes.ok) return bytes;
  const salt = parseHex((parseUtf8(bytes.value) ?? '').trim());
  bytes.value.fill(0);
  if (salt?.length === SEAL_SALT_BYTES) return accept(salt);
  return refuse('usage_invalid', { what: 'a salt has 64 hex digits', file: path });
}

async function readBundle(folder: string): Promise<Result<Uint8Array>> {
  for (const name of BUNDLE_FILES) {
    const bundle = await readBounded(join(folder, name), MAX_ITEM_BYTES);
    if (bundle.ok || bundle.refusal.detail['bytes'] !== undefined) return bundle;
  }
  return refuse('file_unreadable', { path: join(folder, BUNDLE_FILES[0]) });
}

/** An X25519 public key in PEM, or its 32 bytes; null for anything else, compliance's private key above all. */
function complianceKeyOf(bytes: Uint8Array): Uint8Array | null {
  if (bytes.length === 32) return bytes.slice();
  const text = parseUtf8(bytes) ?? '';
  try {
    const key = createPublicKey(text);
    const { x } = key.export({ format: 'jwk' });
    // Node would take the public part of a private key that has no business here.
    if (text.includes('PRIVATE') || key.asymmetricKeyType !== 'x25519') return null;
    return x === undefined ? null : new Uint8Array(Buffer.from(x, 'base64url'));
  } catch {
    return null;
  }
}

function isCertificates(bytes: Uint8Array): boolean {
  const blocks = (parseUtf8(bytes) ?? '').match(
    /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/gu,
  );
  try {
    return (blocks ?? []).map((block) => new X509Certificate(block)).length > 0;
  } catch {
    return false;
  }
}

function isJsonObject(bytes: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(parseUtf8(bytes) ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function isPassword(bytes: Uint8Array): boolean {
  const text = bytes.length > MAX_PASSWORD_BYTES ? null : parseUtf8(bytes);
  return text !== null && !/\p{C}/u.test(text);
}

function checkForm(
  { purpose, path }: SealSource,
  bytes: Uint8Array,
  configuration: Configuration,
): Result<Uint8Array> {
  if (bytes.length === 0) return refuse('seal_malformed', { file: path, what: 'empty' });
  if (purpose === 'client_ca' && !isCertificates(bytes)) {
    return refuse('seal_malformed', { file: path, what: 'not certificates in PEM' });
  }
  if (purpose === 'exchange_account' && !isJsonObject(bytes)) {
    return refuse('seal_malformed', { file: path, what: 'not a JSON object' });
  }
  if (purpose === 'database_password' && !isPassword(bytes)) {
    return refuse('seal_malformed', { file: path, what: 'not one line of text, without its end' });
  }
  if (purpose !== 'compliance_key') return accept(bytes);
  const key = complianceKeyOf(bytes);
  bytes.fill(0);
  if (key === null) {
    return refuse('seal_malformed', { file: path, what: 'not an X25519 public key' });
  }
  const { compliance_public_key: expected } = configuration;
  const actual = toHex(key);
  return actual === expected
    ? accept(key)
    : refuse('compliance_key_mismatch', { expected, actual });
}

async function readStrategy(
  source: SealSource,
  commitment: string,
  label: string,
): Promise<Result<SealMaterial>> {
  const salt = await readSalt(join(source.path, 'salt'));
  if (!salt.ok) return salt;
  const bundle = await readBundle(source.path);
  if (!bundle.ok) return bundle;
  const actual = nodeCrypto.sha256(salt.value, bundle.value);
  if (equalBytes(actual, parseHex(commitment) ?? new Uint8Array())) {
    return accept({ salt: salt.value, bytes: bundle.value, label });
  }
  return refuse('commitment_mismatch', {
    file: source.path,
    expected: commitment,
    actual: toHex(actual),
  });
}

/** Refuses what the enclave would refuse at its boot. `configured` names the item. */
export async function readMaterial(
  source: SealSource,
  configured: ConfiguredSeal,
  configuration: Configuration,
): Promise<Result<SealMaterial>> {
  const { purpose, name } = configured;
  const strategy = configuration.strategies.find((one) => one.name === name);
  const ofStrategy = purpose === 'strategy' || purpose === 'parameters';
  const label = ofStrategy ? (strategy?.version ?? '') : '';
  if (purpose === 'strategy') return readStrategy(source, strategy?.commitment ?? '', label);
  const salt =
    source.salt === undefined
      ? accept(new Uint8Array(randomBytes(SEAL_SALT_BYTES)))
      : await readSalt(source.salt);
  if (!salt.ok) return salt;
  const bytes = await readBounded(source.path, MAX_ITEM_BYTES);
  if (!bytes.ok) return bytes;
  const checked = checkForm(source, bytes.value, configuration);
  return checked.ok ? accept({ salt: salt.value, bytes: checked.value, label }) : checked;
}
