// What arrives encrypted under a KMS key (docs/PROTOCOL.md 12b): items that the owner of the strategy sealed,
// and records of data keys that an enclave asked for. Encrypting needs no permission that counts, so a
// sealed item is signed by the owner; a record is not, and proves nothing but what KMS says of it.
//
//   signed = "trackseal/seal/v1" ‖ 0x00 ‖ statement; it is the associated data of the content as well
//   content = nonce (12) ‖ AES-256-GCM(content key, salt (32) ‖ bytes) with its tag (16)

import { concatBytes, equalBytes, toHex, utf8 } from './bytes.ts';
import { encodeMap } from './cbor.ts';
import type { WireCrypto } from './crypto.ts';
import { parseFields } from './fields.ts';
import { MAX_BOOT_BYTES, MAX_ITEM_BYTES } from './limits.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

export const SEALED_PURPOSES = [
  'strategy',
  'parameters',
  'client_ca',
  'compliance_key',
  'exchange_account',
  'database_password',
] as const;
export type SealedPurpose = (typeof SEALED_PURPOSES)[number];

export const SEAL_SALT_BYTES = 32;
/** Of a `database_password`: one line of UTF-8. */
export const MAX_PASSWORD_BYTES = 1024;
export const CONTENT_KEY_BYTES = 32;
/** KMS: a CiphertextBlob has 1 to 6144 bytes. */
export const MAX_CIPHERTEXT_BLOB_BYTES = 6144;
export const PCR_BYTES = 48;
export const MAX_SEALED_ITEMS = 64;
export const MAX_DATA_KEYS = 16;
export const MAX_DATA_KEY_RECORDS = 64;
/** A full key ARN: no alias, which whoever runs the account can point elsewhere. */
export const KEY_ARN: RegExp =
  /^arn:aws(?:-[a-z]{1,10}){0,3}:kms:([a-z0-9-]{1,32}):(\d{12}):key\/(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/u;
const MAX_ARN_CHARACTERS = 160;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** ECDSA P-256 in DER: two integers of at most 33 bytes. */
const MAX_SIGNATURE_BYTES = 72;
const MAX_STATEMENT_BYTES = 2048;
export const STATEMENT_VERSION = 1;
const DOMAIN = utf8('trackseal/seal/v1\0');
/** As in a configuration: what the owner signs is shown on terminals. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9 ._/-]*$/u;
const LABEL_TEXT = /^[A-Za-z0-9 ._/-]*$/u;
const LOG_ID = /^[a-z0-9][a-z0-9./-]{0,82}$/u;

/** The region and the AWS account of a full key ARN; null for anything else. */
export function parseKeyArn(
  arn: string,
): { readonly region: string; readonly account: string } | null {
  const [, region, account] = arn.length <= MAX_ARN_CHARACTERS ? (KEY_ARN.exec(arn) ?? []) : [];
  return region === undefined || account === undefined ? null : { region, account };
}

/** What the owner signs about one item. */
export interface SealStatement {
  readonly purpose: SealedPurpose;
  readonly logId: string;
  /** Name of the strategy, or of the key or account. */
  readonly name: string;
  /** A strategy's version text, or empty. */
  readonly label: string;
  /** Never decreases for a purpose and name. */
  readonly version: number;
  readonly configurationDigest: Uint8Array;
  /** SHA-256(salt ‖ bytes). */
  readonly commitment: Uint8Array;
  readonly keyArn: string;
  /** PCR0 of the image that may open it. */
  readonly image: Uint8Array;
}

export interface SealedItem {
  /** The statement's bytes, as they were signed. */
  readonly statement: Uint8Array;
  /** ECDSA P-256 with SHA-256, DER, over `signedBytes(statement)`. */
  readonly signature: Uint8Array;
  /** CiphertextBlob of the content key. */
  readonly wrappedKey: Uint8Array;
  /** Nonce, ciphertext and tag. */
  readonly content: Uint8Array;
}

export function parseStatement(bytes: Uint8Array): Result<SealStatement> {
  return parseFields('seal_statement', bytes, MAX_STATEMENT_BYTES, (fields) => {
    fields.uint(1, STATEMENT_VERSION, STATEMENT_VERSION);
    const text = fields.text(2, 32);
    const logId = fields.text(3, 83);
    const name = fields.text(4, 64);
    const label = fields.text(5, 32, 0);
    const keyArn = fields.text(9, MAX_ARN_CHARACTERS);
    if (!LOG_ID.test(logId)) fields.refuse(3);
    if (!NAME.test(name)) fields.refuse(4);
    if (!LABEL_TEXT.test(label)) fields.refuse(5);
    if (parseKeyArn(keyArn) === null) fields.refuse(9);
    return {
      purpose: SEALED_PURPOSES.find((purpose) => purpose === text) ?? fields.refuse(2),
      logId,
      name,
      label,
      version: fields.uint(6, Number.MAX_SAFE_INTEGER, 1),
      configurationDigest: fields.bytes(7, 32),
      commitment: fields.bytes(8, 32),
      keyArn,
      image: fields.bytes(10, PCR_BYTES),
    };
  });
}

/** What the owner's key signs, and the associated data of the content. */
export function signedBytes(statement: Uint8Array): Uint8Array {
  return concatBytes(DOMAIN, statement);
}

export function parseSealed(bytes: Uint8Array): Result<SealedItem> {
  const least = NONCE_BYTES + SEAL_SALT_BYTES + 1 + TAG_BYTES;
  return parseFields('sealed', bytes, MAX_BOOT_BYTES, (fields) => ({
    statement: fields.bytes(1, 1, MAX_STATEMENT_BYTES),
    signature: fields.bytes(2, 8, MAX_SIGNATURE_BYTES),
    wrappedKey: fields.bytes(3, 1, MAX_CIPHERTEXT_BLOB_BYTES),
    content: fields.bytes(4, least, least - 1 + MAX_ITEM_BYTES),
  }));
}

/**
 * Salt and bytes of an item whose statement was checked; views of one buffer, for whoever wipes it. Refuses
 * `seal_malformed` when the key or the content is another, `seal_commitment_mismatch`.
 */
export function openContent(
  crypto: WireCrypto,
  contentKey: Uint8Array,
  item: SealedItem,
  commitment: Uint8Array,
): Result<{ readonly salt: Uint8Array; readonly bytes: Uint8Array }> {
  const nonce = item.content.subarray(0, NONCE_BYTES);
  const sealed = item.content.subarray(NONCE_BYTES);
  const data = signedBytes(item.statement);
  const plaintext = crypto.aes256GcmOpen(contentKey, nonce, sealed, data);
  if (plaintext === null) return refuse('seal_malformed', { part: 'content' });
  if (!equalBytes(crypto.sha256(plaintext), commitment)) {
    plaintext.fill(0);
    return refuse('seal_commitment_mismatch');
  }
  const salt = plaintext.subarray(0, SEAL_SALT_BYTES);
  return accept({ salt, bytes: plaintext.subarray(SEAL_SALT_BYTES) });
}

/** KMS's encryption context, under which the content key or a data key is wrapped. */
export type EncryptionContext = Readonly<Record<string, string>>;

function contextOf(purpose: string, image: Uint8Array, version: number): EncryptionContext {
  return {
    'trackseal:purpose': purpose,
    'trackseal:image': toHex(image),
    'trackseal:version': String(version),
  };
}

export function sealContext(
  statement: Pick<SealStatement, 'purpose' | 'name' | 'image' | 'version'>,
): EncryptionContext {
  const { purpose, name, image, version } = statement;
  return contextOf(`${purpose}/${name}`, image, version);
}

/** A data key as the host keeps it. */
export interface DataKeyRecord {
  readonly name: string;
  /** From 1; each rotation is one more. */
  readonly version: number;
  readonly keyArn: string;
  /** PCR0 of the image that asked for it. */
  readonly image: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export function dataKeyContext(
  record: Pick<DataKeyRecord, 'name' | 'version' | 'image'>,
): EncryptionContext {
  return contextOf(`data-key/${record.name}`, record.image, record.version);
}

export const MAX_DATA_KEY_RECORD_BYTES = 8192;

export function encodeDataKeyRecord(record: DataKeyRecord): Uint8Array {
  return encodeMap(
    [1, record.name],
    [2, record.version],
    [3, record.keyArn],
    [4, record.image],
    [5, record.ciphertext],
  );
}

export function parseDataKeyRecord(bytes: Uint8Array): Result<DataKeyRecord> {
  return parseFields('data_key', bytes, MAX_DATA_KEY_RECORD_BYTES, (fields) => {
    const name = fields.text(1, 64);
    const keyArn = fields.text(3, MAX_ARN_CHARACTERS);
    if (!NAME.test(name)) fields.refuse(1);
    if (parseKeyArn(keyArn) === null) fields.refuse(3);
    return {
      name,
      version: fields.uint(2, Number.MAX_SAFE_INTEGER, 1),
      keyArn,
      image: fields.bytes(4, PCR_BYTES),
      ciphertext: fields.bytes(5, 1, MAX_CIPHERTEXT_BLOB_BYTES),
    };
  });
}
