// Sealed items, from what the host brings to bytes in the clear. Whoever may call Encrypt can make one, and a host
// can bring any that it ever had: so the owner's signature, the image, the configuration and the version are
// checked before KMS hears of it. What KMS then gives out is a key for these bytes and no others.

import { X509Certificate } from 'node:crypto';
import { equalBytes, parseHex, parseUtf8, toHex } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Configuration, ConfiguredSeal } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { DeskSecret } from '../../wire/desk-frames.ts';
import type { EpochHeader, SealedEntry } from '../../wire/header.ts';
import type { Item } from '../../wire/enclave-messages.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { SealedItem, SealStatement } from '../../wire/sealed.ts';
import {
  MAX_PASSWORD_BYTES,
  openContent,
  parseSealed,
  parseStatement,
  sealContext,
  signedBytes,
} from '../../wire/sealed.ts';
import type { Kms } from './client.ts';
import { orSecretError, SecretError } from './secret-error.ts';
import type { SecretName } from './secret-error.ts';

/** What sealed items are held against. */
export interface SealTerms {
  readonly configuration: Configuration;
  readonly configurationDigest: Uint8Array;
  /** From the measured manifest; null: nothing may come sealed. */
  readonly ownerKey: Uint8Array | null;
  /** PCR0 of this image. */
  readonly image: Uint8Array;
  /** Of the epoch before. */
  readonly previous: EpochHeader | null;
}

interface Checked {
  readonly item: SealedItem;
  readonly statement: SealStatement;
  readonly secret: SecretName;
}

/** Made by `checkSealed` only: in the order of the configuration, all of it and nothing else. */
export type CheckedSeals = readonly Checked[];

/** The first term that the statement breaks; null when there is none. */
function findBreach(terms: SealTerms, statement: SealStatement): RefusalCode | null {
  const { configuration, configurationDigest, image, previous } = terms;
  const { purpose, name } = statement;
  const wanted = configuration.sealed?.find((one) => one.purpose === purpose && one.name === name);
  if (!equalBytes(statement.image, image)) return 'seal_wrong_image';
  const strategy =
    purpose === 'strategy' || purpose === 'parameters'
      ? configuration.strategies.find((one) => one.name === name)
      : null;
  if (
    statement.logId !== configuration.log_id ||
    !equalBytes(statement.configurationDigest, configurationDigest) ||
    statement.keyArn !== wanted?.key_arn ||
    statement.label !== (strategy?.version ?? '')
  ) {
    return 'seal_wrong_configuration';
  }
  const before = previous?.sealed.find((one) => one.purpose === purpose && one.name === name);
  if (statement.version < (before?.version ?? 0)) return 'seal_rolled_back';
  if (purpose !== 'strategy') return null;
  const measured = parseHex(strategy?.commitment ?? '');
  return measured !== null && equalBytes(statement.commitment, measured)
    ? null
    : 'commitment_mismatch';
}

function readItem(
  crypto: WireCrypto,
  ownerKey: Uint8Array | null,
  bytes: Uint8Array,
): Result<{ readonly item: SealedItem; readonly statement: SealStatement }> {
  const sealed = parseSealed(bytes);
  if (!sealed.ok) return refuse('seal_malformed');
  const item = sealed.value;
  const signed = signedBytes(item.statement);
  if (ownerKey === null || !crypto.verifyP256Der(ownerKey, signed, item.signature)) {
    return refuse('seal_signature_invalid');
  }
  const statement = parseStatement(item.statement);
  return statement.ok ? accept({ item, statement: statement.value }) : refuse('seal_malformed');
}

/** `frames`: payloads of SEALED, in the order in which they came. Throws a SecretError. */
export function checkSealed(
  crypto: WireCrypto,
  terms: SealTerms,
  frames: readonly Uint8Array[],
): CheckedSeals {
  const configured = terms.configuration.sealed ?? [];
  const found = new Map<ConfiguredSeal, Checked>();
  for (const [position, bytes] of frames.entries()) {
    const unknown: SecretName = { position, purpose: null, name: null };
    const { item, statement } = orSecretError(readItem(crypto, terms.ownerKey, bytes), unknown);
    const wanted = configured.find(
      ({ purpose, name }) => purpose === statement.purpose && name === statement.name,
    );
    if (wanted === undefined) throw new SecretError('seal_unexpected', unknown);
    const secret: SecretName = { position, purpose: wanted.purpose, name: wanted.name };
    if (found.has(wanted)) throw new SecretError('seal_unexpected', secret);
    const breach = findBreach(terms, statement);
    if (breach !== null) throw new SecretError(breach, secret);
    found.set(wanted, { item, statement, secret });
  }
  return configured.map((wanted) => {
    const { purpose, name } = wanted;
    const checked = found.get(wanted);
    if (checked === undefined)
      throw new SecretError('seal_missing', { position: null, purpose, name });
    return checked;
  });
}

function isPassword(bytes: Uint8Array): boolean {
  const text = bytes.length > MAX_PASSWORD_BYTES ? null : parseUtf8(bytes);
  return text !== null && text !== '' && !/\p{C}/u.test(text);
}

/** A wrong one shows now, and not when it is used. */
function checkForm(
  { purpose }: SealStatement,
  bytes: Uint8Array,
  compliancePublic: string,
): Result<null> {
  try {
    if (purpose === 'client_ca') void new X509Certificate(bytes);
    if (purpose === 'database_password' && !isPassword(bytes)) return refuse('seal_malformed');
    if (purpose === 'exchange_account') {
      const text = parseUtf8(bytes) ?? '';
      JSON.parse(text);
      if (!/^\s*\{/u.test(text)) return refuse('seal_malformed');
    }
  } catch {
    return refuse('seal_malformed');
  }
  return purpose === 'compliance_key' && toHex(bytes) !== compliancePublic
    ? refuse('compliance_key_mismatch')
    : accept(null);
}

export interface Unsealed {
  /** Strategies and parameters, as if they had come in the clear. */
  readonly items: readonly Item[];
  /** Exchange accounts, for the desk. */
  readonly accounts: readonly DeskSecret[];
  readonly clientCa: Uint8Array | null;
  readonly databasePassword: Uint8Array | null;
  /** For the header. */
  readonly entries: readonly SealedEntry[];
}

/** Asks KMS for the key of each item. Throws a SecretError. */
export async function openSealed(
  crypto: WireCrypto,
  kms: Kms,
  seals: CheckedSeals,
  { compliance_public_key: compliancePublic }: Configuration,
): Promise<Unsealed> {
  const items: Item[] = [];
  const accounts: DeskSecret[] = [];
  let clientCa: Uint8Array | null = null;
  let databasePassword: Uint8Array | null = null;
  for (const { item, statement, secret } of seals) {
    const { keyArn, commitment, purpose, name, label, version } = statement;
    const context = sealContext(statement);
    const key = orSecretError(await kms.decrypt(keyArn, item.wrappedKey, context), secret);
    const opened = openContent(crypto, key, item, commitment);
    key.fill(0);
    const { salt, bytes } = orSecretError(opened, secret);
    orSecretError(checkForm(statement, bytes, compliancePublic), secret);
    if (purpose === 'strategy' || purpose === 'parameters') {
      items.push({ purpose, name, version: label, salt, bytes });
    } else if (purpose === 'exchange_account') {
      salt.fill(0);
      accounts.push({ name, version, bytes });
    } else {
      salt.fill(0);
      // One of each: the schema of the configuration lets no second one in.
      if (purpose === 'client_ca') clientCa = bytes;
      else if (purpose === 'database_password') databasePassword = bytes;
      else bytes.fill(0);
    }
  }
  const entries = seals.map(({ statement: { purpose, name, version, commitment, keyArn } }) => ({
    purpose,
    name,
    version,
    commitment,
    keyArn,
  }));
  return { items, accounts, clientCa, databasePassword, entries };
}
