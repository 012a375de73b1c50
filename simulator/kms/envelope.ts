// CiphertextForRecipient byte for byte as AWS writes it: CMS EnvelopedData in BER, half of it of indefinite
// length, in the two variants that were seen. RFC 5652 6.1, RFC 4055, RFC 3565.
//
//   30 80  id-envelopedData  a0 80  30 80  02 01 02
//     31 (recipient)  30 { 02 01 02, 80 20 SHA-256(SPKI), RSAES-OAEP(SHA-256, MGF1 SHA-256), 04 encryptedKey }
//     30 80  id-data  aes-256-cbc(IV)
//       A: a0 80 (04 LL chunk)* 00 00        B: 80 LL ciphertext
//   00 00  00 00  00 00  00 00

import {
  constants,
  createCipheriv,
  createHash,
  createPublicKey,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';

export type EnvelopeVariant = 'A' | 'B';

const INDEFINITE = Buffer.from('3080', 'hex');
const END = Buffer.from('0000', 'hex');
const VERSION_2 = Buffer.from('020102', 'hex');
const ENVELOPED_DATA = Buffer.from('06092a864886f70d010703', 'hex');
const DATA = Buffer.from('06092a864886f70d010701', 'hex');
const EXPLICIT_0 = Buffer.from('a080', 'hex');
const OAEP_SHA256 = Buffer.from(
  '303c06092a864886f70d010107302fa00f300d06096086480165030402010500' +
    'a11c301a06092a864886f70d010108300d06096086480165030402010500',
  'hex',
);
const AES_256_CBC = Buffer.from('060960864801650304012a', 'hex');
/** What the library that AWS seems to use cuts its chunks at; one chunk is all that has been seen. */
const CHUNK_BYTES = 1000;

function length(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.of(bytes);
  if (bytes < 0x100) return Buffer.of(0x81, bytes);
  return Buffer.of(0x82, bytes >> 8, bytes & 0xff);
}

function tagged(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const whole = Buffer.concat(content);
  return Buffer.concat([Buffer.of(tag), length(whole.length), whole]);
}

export interface EnvelopeParts {
  readonly keyIdentifier: Uint8Array;
  readonly encryptedKey: Uint8Array;
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** Only the encoding, so that it can be compared with what AWS wrote. */
export function encodeEnvelope(parts: EnvelopeParts, variant: EnvelopeVariant): Uint8Array {
  const { keyIdentifier, encryptedKey, iv, ciphertext } = parts;
  const recipient = tagged(
    0x30,
    VERSION_2,
    tagged(0x80, keyIdentifier),
    OAEP_SHA256,
    tagged(0x04, encryptedKey),
  );
  const chunks: Buffer[] = [];
  for (let at = 0; at < ciphertext.length; at += CHUNK_BYTES) {
    chunks.push(tagged(0x04, ciphertext.subarray(at, at + CHUNK_BYTES)));
  }
  const content =
    variant === 'A' ? Buffer.concat([EXPLICIT_0, ...chunks, END]) : tagged(0x80, ciphertext);
  return new Uint8Array(
    Buffer.concat([
      Buffer.concat([INDEFINITE, ENVELOPED_DATA, EXPLICIT_0, INDEFINITE, VERSION_2]),
      tagged(0x31, recipient),
      Buffer.concat([INDEFINITE, DATA, tagged(0x30, AES_256_CBC, tagged(0x04, iv)), content]),
      Buffer.concat([END, END, END, END]),
    ]),
  );
}

/** `spki`: DER of an RSA key. Throws for another key. */
export function sealForRecipient(
  plaintext: Uint8Array,
  spki: Uint8Array,
  variant: EnvelopeVariant,
): Uint8Array {
  const contentKey = randomBytes(32);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', contentKey, iv);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const encryptedKey = publicEncrypt(
    {
      key: createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
    },
    contentKey,
  );
  const keyIdentifier = createHash('sha256').update(spki).digest();
  return encodeEnvelope({ keyIdentifier, encryptedKey, iv, ciphertext }, variant);
}
