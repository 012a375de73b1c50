// The disclosure key of an epoch, wrapped to compliance's X25519 key (docs/PROTOCOL.md 4). Whoever
// holds that private key can open every private leaf of the epoch, or give away keys of single leaves.
//
//   wrapped = ephemeral public key (32) ‖ AES-256-GCM(key, zero nonce, disclosure key, origin)   80 bytes

import { concatBytes, utf8 } from './bytes.ts';
import type { WireCrypto } from './crypto.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

export const WRAPPED_KEY_BYTES = 80;
export const ZERO_NONCE: Uint8Array = new Uint8Array(12);
const INFO = utf8('trackseal/disclosure/v1');

export function wrapKey(
  crypto: WireCrypto,
  shared: Uint8Array,
  ephemeralPublic: Uint8Array,
  compliancePublic: Uint8Array,
): Uint8Array {
  return crypto.hkdfSha256(shared, concatBytes(ephemeralPublic, compliancePublic), INFO, 32);
}

/** `ephemeral` is a fresh X25519 key pair, raw 32-byte keys, used for this call only. */
export function wrapDisclosureKey(
  crypto: WireCrypto,
  disclosureKey: Uint8Array,
  compliancePublic: Uint8Array,
  ephemeral: { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array },
  origin: string,
): Result<Uint8Array> {
  const shared = crypto.x25519(ephemeral.privateKey, compliancePublic);
  if (shared === null) return refuse('config_invalid', { field: 'compliance_public_key' });
  const key = wrapKey(crypto, shared, ephemeral.publicKey, compliancePublic);
  const sealed = crypto.aes256GcmSeal(key, ZERO_NONCE, disclosureKey, utf8(origin));
  return accept(concatBytes(ephemeral.publicKey, sealed));
}
