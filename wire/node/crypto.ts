// WireCrypto on Node's own crypto (OpenSSL). Keys and signatures of the wrong form answer false or
// null instead of throwing, because they come from outside.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash,
  hkdfSync,
  verify,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concatBytes, equalBytes } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';

const TAG_BYTES = 16;
// RFC 8410: the DER in front of a raw X25519 key.
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Below this, joining the parts for a one-shot call is faster than a hash object. */
const ONE_SHOT_BYTES = 4096;
const joined = new Uint8Array(ONE_SHOT_BYTES);

/** The parts one after another, in memory that the next call uses again. */
function join(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) {
    joined.set(part, length);
    length += part.length;
  }
  return joined.subarray(0, length);
}

function digest(algorithm: 'sha256' | 'sha384', parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  if (parts.length === 1 || length <= ONE_SHOT_BYTES) {
    const whole = parts.length === 1 ? parts[0] : undefined;
    const bytes = hash(algorithm, whole ?? join(parts), 'buffer');
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  const hasher = createHash(algorithm);
  for (const part of parts) hasher.update(part);
  return new Uint8Array(hasher.digest());
}

/** The last key of each curve: whoever reads a log verifies with one key again and again. */
const lastKeys = new Map<string, { readonly spki: Uint8Array; readonly key: KeyObject | null }>();

function parseSpki(spki: Uint8Array, namedCurve: string): KeyObject | null {
  const last = lastKeys.get(namedCurve);
  if (last !== undefined && equalBytes(last.spki, spki)) return last.key;
  const key = readSpki(spki, namedCurve);
  lastKeys.set(namedCurve, { spki: spki.slice(), key });
  return key;
}

function readSpki(spki: Uint8Array, namedCurve: string): KeyObject | null {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    return key.asymmetricKeyDetails?.namedCurve === namedCurve ? key : null;
  } catch {
    return null;
  }
}

function verifyEcdsa(
  hash: 'sha256' | 'sha384',
  curve: string,
  encoding: 'der' | 'ieee-p1363',
  spki: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = parseSpki(spki, curve);
  if (key === null) return false;
  try {
    return verify(hash, message, { key, dsaEncoding: encoding }, signature);
  } catch {
    return false;
  }
}

export const nodeCrypto: WireCrypto = {
  sha256: (...parts) => digest('sha256', parts),
  sha384: (...parts) => digest('sha384', parts),
  hkdfSha256: (inputKey, salt, info, lengthBytes) =>
    new Uint8Array(hkdfSync('sha256', inputKey, salt, info, lengthBytes)),
  aes256GcmSeal: (key, nonce12, plaintext, associatedData) => {
    const cipher = createCipheriv('aes-256-gcm', key, nonce12);
    cipher.setAAD(associatedData);
    const body = cipher.update(plaintext);
    return concatBytes(body, cipher.final(), cipher.getAuthTag());
  },
  aes256GcmOpen: (key, nonce12, sealed, associatedData) => {
    if (sealed.length < TAG_BYTES) return null;
    const split = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv('aes-256-gcm', key, nonce12, { authTagLength: TAG_BYTES });
    decipher.setAAD(associatedData);
    decipher.setAuthTag(sealed.subarray(split));
    try {
      const plaintext = decipher.update(sealed.subarray(0, split));
      return concatBytes(plaintext, decipher.final());
    } catch {
      return null;
    }
  },
  x25519: (privateKey, publicKey) => {
    if (privateKey.length !== 32 || publicKey.length !== 32) return null;
    try {
      const mine = Buffer.concat([X25519_PKCS8, privateKey]);
      const theirs = Buffer.concat([X25519_SPKI, publicKey]);
      return new Uint8Array(
        diffieHellman({
          privateKey: createPrivateKey({ key: mine, format: 'der', type: 'pkcs8' }),
          publicKey: createPublicKey({ key: theirs, format: 'der', type: 'spki' }),
        }),
      );
    } catch {
      return null;
    }
  },
  verifyP256Der: (spki, message, signature) =>
    verifyEcdsa('sha256', 'prime256v1', 'der', spki, message, signature),
  verifyP384Raw: (spki, message, signature) =>
    signature.length === 96 &&
    verifyEcdsa('sha384', 'secp384r1', 'ieee-p1363', spki, message, signature),
  verifyP384Der: (spki, message, signature) =>
    verifyEcdsa('sha384', 'secp384r1', 'der', spki, message, signature),
};
