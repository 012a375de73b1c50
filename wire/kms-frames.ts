// Messages about secrets and the way out (docs/PROTOCOL.md 2, 12b, 12c), the enclave's half: what the host sends is hostile.
// The host's half is in kms-messages.ts.

import { encodeMap } from './cbor.ts';
import type { RefusalCode } from './codes.ts';
import { isEnclaveCode } from './enclave-codes.ts';
import { parseFields } from './fields.ts';
import { MAX_BOOT_BYTES } from './limits.ts';
import type { Result } from './result.ts';
import {
  MAX_DATA_KEY_RECORD_BYTES,
  MAX_DATA_KEY_RECORDS,
  MAX_DATA_KEYS,
  PCR_BYTES,
} from './sealed.ts';

/** Short-lived, of the AWS account that the host runs in. Never logged. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Null for a long-lived key, which only tests should have. */
  readonly sessionToken: string | null;
  /** When AWS stops taking them; ms since the Unix epoch. */
  readonly expiresMs: number;
}

export const MAX_CREDENTIALS_BYTES = 8192;

/** Printable ASCII without spaces: they go into headers of HTTP. */
const TOKEN = /^[!-~]+$/u;

export function parseCredentials(bytes: Uint8Array): Result<AwsCredentials> {
  return parseFields('credentials', bytes, MAX_CREDENTIALS_BYTES, (fields) => {
    const accessKeyId = fields.text(1, 128);
    const secretAccessKey = fields.text(2, 256);
    const sessionToken = fields.textOrNull(3, 7168);
    if (!TOKEN.test(accessKeyId)) fields.refuse(1);
    if (!TOKEN.test(secretAccessKey)) fields.refuse(2);
    if (sessionToken !== null && !TOKEN.test(sessionToken)) fields.refuse(3);
    return { accessKeyId, secretAccessKey, sessionToken, expiresMs: fields.uint(4) };
  });
}

/** All data keys that the host keeps. */
export interface DataKeys {
  /** As `encodeDataKeyRecord` makes them. */
  readonly records: readonly Uint8Array[];
  /** Names of which a new version is wanted. */
  readonly rotate: readonly string[];
}

export function parseDataKeys(bytes: Uint8Array): Result<DataKeys> {
  return parseFields('data_keys', bytes, MAX_BOOT_BYTES, (fields) => ({
    records: fields.byteStrings(1, MAX_DATA_KEY_RECORDS, 1, MAX_DATA_KEY_RECORD_BYTES),
    rotate: fields.texts(2, MAX_DATA_KEYS, 64),
  }));
}

/** The next image, as the operator names it: the message and the plaintext of the leaf alike. */
export interface HandOver {
  /** PCR0, PCR1, PCR2. */
  readonly pcrs: readonly Uint8Array[];
  /** For whoever reads the log; printable ASCII. */
  readonly note: string;
}

export const MAX_HAND_OVER_BYTES = 1024;

export function encodeHandOver(handOver: HandOver): Uint8Array {
  return encodeMap([1, handOver.pcrs], [2, handOver.note]);
}

export function parseHandOver(bytes: Uint8Array): Result<HandOver> {
  return parseFields('hand_over', bytes, MAX_HAND_OVER_BYTES, (fields) => {
    const pcrs = fields.byteStrings(1, 3, PCR_BYTES);
    if (pcrs.length !== 3) fields.refuse(1);
    const note = fields.text(2, 256, 0);
    if (!/^[ -~]*$/u.test(note)) fields.refuse(2);
    return { pcrs, note };
  });
}

/** The first frame of an egress stream. */
export interface Dial {
  readonly host: string;
  readonly port: number;
}

export function encodeDial(dial: Dial): Uint8Array {
  return encodeMap([1, dial.host], [2, dial.port]);
}

export const MAX_DIALED_BYTES = 128;

export function parseDialed(bytes: Uint8Array): Result<RefusalCode | null> {
  return parseFields('dialed', bytes, MAX_DIALED_BYTES, (fields) => {
    const text = fields.textOrNull(1, 64);
    if (text === null) return null;
    return isEnclaveCode(text) ? text : fields.refuse(1);
  });
}
