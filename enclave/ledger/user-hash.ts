// How the ledger knows users: by a hash under a key of the log, so that what the database shows of them can be guessed by
// nobody outside, and accounts of one user are found by who asks with the user's id. The id itself is nowhere kept.

import { utf8 } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';

const HASH_BYTES = 32;
const NO_SALT = new Uint8Array(0);

/** What the desk keeps of a user's id. */
export function userTagOf(userId: string): Uint8Array {
  return nodeCrypto.sha256(utf8(`trackseal/user/v1\0${userId}`));
}

export function userHashOf(userKey: Uint8Array, userTag: Uint8Array): Uint8Array {
  return nodeCrypto.hkdfSha256(userKey, NO_SALT, userTag, HASH_BYTES);
}
