// Compliance's side of disclosure.ts: the disclosure key of an epoch, unwrapped.

import { utf8 } from './bytes.ts';
import type { WireCrypto } from './crypto.ts';
import { WRAPPED_KEY_BYTES, wrapKey, ZERO_NONCE } from './disclosure.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

export function unwrapDisclosureKey(
  crypto: WireCrypto,
  wrapped: Uint8Array,
  compliance: { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array },
  origin: string,
): Result<Uint8Array> {
  if (wrapped.length !== WRAPPED_KEY_BYTES) return refuse('disclosure_key_wrong');
  const ephemeralPublic = wrapped.subarray(0, 32);
  const shared = crypto.x25519(compliance.privateKey, ephemeralPublic);
  if (shared === null) return refuse('disclosure_key_wrong');
  const key = wrapKey(crypto, shared, ephemeralPublic, compliance.publicKey);
  const opened = crypto.aes256GcmOpen(key, ZERO_NONCE, wrapped.subarray(32), utf8(origin));
  return opened === null ? refuse('disclosure_key_wrong') : accept(opened);
}
