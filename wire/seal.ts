// The owner's side of sealed.ts: what is signed about an item, and the item as the host brings it.

import { concatBytes } from './bytes.ts';
import { encodeMap } from './cbor.ts';
import type { WireCrypto } from './crypto.ts';
import type { SealedItem, SealStatement } from './sealed.ts';
import { signedBytes, STATEMENT_VERSION } from './sealed.ts';

export function encodeStatement(statement: SealStatement): Uint8Array {
  return encodeMap(
    [1, STATEMENT_VERSION],
    [2, statement.purpose],
    [3, statement.logId],
    [4, statement.name],
    [5, statement.label],
    [6, statement.version],
    [7, statement.configurationDigest],
    [8, statement.commitment],
    [9, statement.keyArn],
    [10, statement.image],
  );
}

export function encodeSealed(item: SealedItem): Uint8Array {
  return encodeMap(
    [1, item.statement],
    [2, item.signature],
    [3, item.wrappedKey],
    [4, item.content],
  );
}

/** The content for `SealedItem`; the key is used for this call only, `nonce12` is fresh. */
export function sealContent(
  crypto: WireCrypto,
  contentKey: Uint8Array,
  nonce12: Uint8Array,
  statement: Uint8Array,
  salt: Uint8Array,
  bytes: Uint8Array,
): Uint8Array {
  const plaintext = concatBytes(salt, bytes);
  const data = signedBytes(statement);
  const sealed = crypto.aes256GcmSeal(contentKey, nonce12, plaintext, data);
  plaintext.fill(0);
  return concatBytes(nonce12, sealed);
}
