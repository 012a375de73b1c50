// WireCrypto without Node: @noble's hashes, ciphers and NIST curves, and tweetnacl's X25519. For browsers, whose own
// cryptography answers later than verifying a document can wait. Keys and signatures of the wrong form answer
// false or null, because they come from outside. Nothing here is constant in time but what the libraries say is.

import { gcm } from '@noble/ciphers/aes.js';
import { p256, p384 } from '@noble/curves/nist.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256, sha384 } from '@noble/hashes/sha2.js';
import nacl from 'tweetnacl';
import { concatBytes, isZero, parseHex, equalBytes } from '../wire/bytes.ts';
import type { WireCrypto } from '../wire/crypto.ts';

const KEY_BYTES = 32;
const TAG_BYTES = 16;

/** SubjectPublicKeyInfo of an uncompressed point (RFC 5480), up to and including the 04. */
interface Curve {
  readonly verify: typeof p256.verify;
  readonly spkiPrefix: Uint8Array;
  readonly spkiBytes: number;
}

function curve(verify: typeof p256.verify, prefix: string, spkiBytes: number): Curve {
  return { verify, spkiPrefix: parseHex(prefix) ?? new Uint8Array(0), spkiBytes };
}

const P256 = curve(p256.verify, '3059301306072a8648ce3d020106082a8648ce3d03010703420004', 91);
const P384 = curve(p384.verify, '3076301006072a8648ce3d020106052b8104002203620004', 120);

function verifyEcdsa(
  { verify, spkiPrefix, spkiBytes }: Curve,
  format: 'der' | 'compact',
  spki: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const split = spkiPrefix.length;
  if (spki.length !== spkiBytes || !equalBytes(spki.subarray(0, split), spkiPrefix)) return false;
  try {
    // High s is accepted, as AWS signs.
    const options = { prehash: true, lowS: false, format };
    return verify(signature, message, spki.subarray(split - 1), options);
  } catch {
    return false;
  }
}

export const webCrypto: WireCrypto = {
  sha256: (...parts) =>
    sha256(parts.length === 1 ? (parts[0] ?? concatBytes()) : concatBytes(...parts)),
  sha384: (...parts) =>
    sha384(parts.length === 1 ? (parts[0] ?? concatBytes()) : concatBytes(...parts)),
  hkdfSha256: (inputKey, salt, info, lengthBytes) =>
    hkdf(sha256, inputKey, salt, info, lengthBytes),
  aes256GcmSeal: (key, nonce12, plaintext, associatedData) =>
    gcm(key, nonce12, associatedData).encrypt(plaintext),
  aes256GcmOpen: (key, nonce12, sealed, associatedData) => {
    if (sealed.length < TAG_BYTES) return null;
    try {
      return gcm(key, nonce12, associatedData).decrypt(sealed);
    } catch {
      return null;
    }
  },
  x25519: (privateKey, publicKey) => {
    if (privateKey.length !== KEY_BYTES || publicKey.length !== KEY_BYTES) return null;
    const shared = nacl.scalarMult(privateKey, publicKey);
    return isZero(shared) ? null : shared;
  },
  verifyP256Der: (spki, message, signature) => verifyEcdsa(P256, 'der', spki, message, signature),
  verifyP384Raw: (spki, message, signature) =>
    signature.length === 96 && verifyEcdsa(P384, 'compact', spki, message, signature),
  verifyP384Der: (spki, message, signature) => verifyEcdsa(P384, 'der', spki, message, signature),
};
