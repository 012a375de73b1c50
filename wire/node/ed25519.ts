// Ed25519 on Node's own crypto, for raw public keys as attestation documents carry them.

import { createPublicKey, verify } from 'node:crypto';

/** RFC 8410: the DER in front of a raw Ed25519 key. */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** True when `signature` is of `message` under the key it was made for. */
export type Ed25519Verifier = (message: Uint8Array, signature: Uint8Array) => boolean;

/** Makes the key once, for many signatures; a key that is none verifies nothing. */
export function ed25519Verifier(raw: Uint8Array): Ed25519Verifier {
  try {
    const der = Buffer.concat([ED25519_SPKI, raw]);
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return (message, signature) => {
      try {
        return verify(null, message, key, signature);
      } catch {
        return false;
      }
    };
  } catch {
    return () => false;
  }
}
