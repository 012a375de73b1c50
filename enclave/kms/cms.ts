// Opens CiphertextForRecipient: CMS EnvelopedData (RFC 5652) in the two encodings that KMS writes, for our key
// alone. All but four fields are constants, so what comes is compared with a template rather than parsed as BER.
// It has no MAC: that KMS sent it rests on TLS. Whatever is wrong with it has one answer, null, so that
// nobody learns which check failed.
//
//   head ‖ SHA-256(SPKI) (32) ‖ OAEP parameters ‖ wrapped key (256) ‖ content type ‖ IV (16) ‖ content ‖ 4 end marks
//   content A: a0 80 (04 length octets)* 00 00      content B: 80 length octets

import { constants, createDecipheriv, privateDecrypt } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concatBytes, equalBytes, parseHex } from '../../wire/bytes.ts';

/** KMS: the field has at most 6144 bytes. */
const MAX_ENVELOPE_BYTES = 6144;
const RSA_BYTES = 256;
const SKI_BYTES = 32;
const IV_BYTES = 16;
const KEY_BYTES = 32;

function octets(hex: string): Uint8Array {
  return parseHex(hex) ?? new Uint8Array(0);
}

/** ContentInfo, EnvelopedData version 2, one KeyTransRecipientInfo version 2, [0] SubjectKeyIdentifier. */
const HEAD: Uint8Array = octets(
  '308006092a864886f70d010703a08030800201023182016b308201670201028020',
);
/** RSAES-OAEP with SHA-256 and MGF1 over SHA-256; then the head of encryptedKey. */
const OAEP: Uint8Array = octets(
  '303c06092a864886f70d010107302fa00f300d06096086480165030402010500' +
    'a11c301a06092a864886f70d010108300d06096086480165030402010500' +
    '04820100',
);
/** EncryptedContentInfo: id-data, AES-256-CBC, the head of the IV. */
const CONTENT: Uint8Array = octets('308006092a864886f70d010701301d060960864801650304012a0410');
const CONSTRUCTED: Uint8Array = octets('a080');
const PRIMITIVE = 0x80;
const OCTET_STRING = 0x04;
const END: Uint8Array = octets('0000');
const ENDS: Uint8Array = octets('0000000000000000');

/** Thrown inside `openEnvelope` only. */
class Malformed extends Error {}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array {
    const part = this.#bytes.subarray(this.#at, this.#at + length);
    if (part.length !== length) throw new Malformed();
    this.#at += length;
    return part;
  }

  startsWith(expected: Uint8Array): boolean {
    return equalBytes(this.#bytes.subarray(this.#at, this.#at + expected.length), expected);
  }

  expect(expected: Uint8Array): void {
    if (!equalBytes(this.take(expected.length), expected)) throw new Malformed();
  }

  /** Tag, definite length in its shortest form, contents. */
  tagged(tag: number): Uint8Array {
    const [first = 0, short = 0] = this.take(2);
    if (first !== tag) throw new Malformed();
    if (short < 0x80) return this.take(short);
    const count = short - 0x80;
    if (count !== 1 && count !== 2) throw new Malformed();
    const length = this.take(count).reduce((sum, byte) => sum * 256 + byte, 0);
    if (length < (count === 1 ? 0x80 : 0x100)) throw new Malformed();
    return this.take(length);
  }

  expectEnd(): void {
    if (this.#at !== this.#bytes.length) throw new Malformed();
  }
}

interface Envelope {
  readonly wrappedKey: Uint8Array;
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
}

function readContent(reader: Reader): Uint8Array {
  if (!reader.startsWith(CONSTRUCTED)) return reader.tagged(PRIMITIVE);
  reader.expect(CONSTRUCTED);
  const chunks: Uint8Array[] = [];
  while (!reader.startsWith(END)) chunks.push(reader.tagged(OCTET_STRING));
  reader.expect(END);
  return concatBytes(...chunks);
}

function readEnvelope(bytes: Uint8Array, spkiHash: Uint8Array): Envelope {
  if (bytes.length > MAX_ENVELOPE_BYTES) throw new Malformed();
  const reader = new Reader(bytes);
  reader.expect(HEAD);
  if (!equalBytes(reader.take(SKI_BYTES), spkiHash)) throw new Malformed();
  reader.expect(OAEP);
  const wrappedKey = reader.take(RSA_BYTES);
  reader.expect(CONTENT);
  const iv = reader.take(IV_BYTES);
  const ciphertext = readContent(reader);
  reader.expect(ENDS);
  reader.expectEnd();
  return { wrappedKey, iv, ciphertext };
}

function unwrapKey(privateKey: KeyObject, wrapped: Uint8Array): Uint8Array {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = privateDecrypt({ key: privateKey, padding, oaepHash: 'sha256' }, wrapped);
  if (key.length !== KEY_BYTES) throw new Malformed();
  return key;
}

/** `spkiHash`: SHA-256 of the DER of our public key, RSA-2048. Null for whatever is wrong. */
export function openEnvelope(
  privateKey: KeyObject,
  spkiHash: Uint8Array,
  bytes: Uint8Array,
): Uint8Array | null {
  let key: Uint8Array = new Uint8Array(0);
  try {
    const { wrappedKey, iv, ciphertext } = readEnvelope(bytes, spkiHash);
    key = unwrapKey(privateKey, wrappedKey);
    const decipher = createDecipheriv('aes-256-cbc', key, iv);
    return new Uint8Array(Buffer.concat([decipher.update(ciphertext), decipher.final()]));
  } catch {
    // Ours, or what OpenSSL throws for a key that does not unwrap or a wrong padding: the same answer.
    return null;
  } finally {
    key.fill(0);
  }
}
