// Leaves of the log, opened: by verifiers, and by hosts that have to know a leaf's blob. The layout is in leaf.ts. The
// enclave opens none but public ones of its predecessor, and has its own few lines for that (enclave/previous.ts).

import { equalBytes, isZero, readU32 } from './bytes.ts';
import type { WireCrypto } from './crypto.ts';
import type { Leaf } from './leaf.ts';
import { encodeAssociated, pad, SALT_BYTES, ZERO_NONCE } from './leaf.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

/** The blob that a leaf names, or null for a leaf without one. */
export function blobOf(leaf: Leaf): { readonly hash: Uint8Array; readonly bytes: number } | null {
  const { body } = leaf;
  if (body.form === 'public-blob' || body.form === 'private-blob') {
    return { hash: body.blobHash, bytes: body.blobBytes };
  }
  return null;
}

export function checkBlob(crypto: WireCrypto, leaf: Leaf, blob: Uint8Array | null): Result<null> {
  const named = blobOf(leaf);
  if (named === null) return accept(null);
  if (blob === null) return refuse('blob_missing');
  if (blob.length !== named.bytes || !equalBytes(crypto.sha256(blob), named.hash)) {
    return refuse('blob_mismatch', { expected: named.bytes, actual: blob.length });
  }
  return accept(null);
}

export interface OpenedLeaf {
  readonly salt: Uint8Array;
  readonly plaintext: Uint8Array;
}

/**
 * The plaintext of a leaf, checked against its digest. `key` is needed for private leaves (null is
 * refused as `leaf_key_wrong`), `blob` for leaves that name one.
 */
export function openLeaf(
  crypto: WireCrypto,
  leaf: Leaf,
  key: Uint8Array | null,
  blob: Uint8Array | null,
): Result<OpenedLeaf> {
  const checked = checkBlob(crypto, leaf, blob);
  if (!checked.ok) return checked;
  const { body } = leaf;
  const opened =
    body.form === 'public' || body.form === 'public-blob'
      ? accept({
          salt: body.salt,
          plaintext: body.form === 'public' ? body.plaintext : (blob ?? new Uint8Array()),
        })
      : openSealed(
          crypto,
          leaf,
          key,
          body.form === 'private' ? body.sealed : (blob ?? new Uint8Array()),
        );
  if (!opened.ok) return opened;
  const digest = crypto.sha256(opened.value.salt, opened.value.plaintext);
  if (!equalBytes(digest, leaf.digest)) return refuse('leaf_digest_mismatch');
  return opened;
}

function openSealed(
  crypto: WireCrypto,
  leaf: Leaf,
  key: Uint8Array | null,
  sealed: Uint8Array,
): Result<OpenedLeaf> {
  if (key === null || key.length !== 32) return refuse('leaf_key_wrong');
  const associated = encodeAssociated(leaf, leaf.digest);
  const padded = crypto.aes256GcmOpen(key, ZERO_NONCE, sealed, associated);
  if (padded === null) return refuse('leaf_key_wrong');
  const length = readU32(padded, SALT_BYTES);
  const end = SALT_BYTES + 4 + length;
  if (end > padded.length || !isZero(padded.subarray(end))) return refuse('leaf_padding');
  const plaintext = padded.subarray(SALT_BYTES + 4, end);
  const salt = padded.subarray(0, SALT_BYTES);
  if (pad(salt, plaintext).length !== padded.length) return refuse('leaf_padding');
  return accept({ salt, plaintext });
}
