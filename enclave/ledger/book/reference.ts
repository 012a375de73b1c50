// What names a transfer for both of its sides: a network's transaction id, or what a venue calls a transfer between two of
// its own accounts. It leaves the ledger as an HMAC under a key of the user: who has the statements of two accounts sees that they
// have one transfer in common, and nobody can look for the transaction.

import { createHmac } from 'node:crypto';
import { utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { FLOW_REFERENCE_BYTES } from '../../../wire/track/figures-codec.ts';

const KEY_INFO: Uint8Array = utf8('trackseal/ledger/references/v1');
/** Most networks; what a venue puts behind it (`:0`) is the place of an output. */
const HEXADECIMAL = /^(?:0x)?([0-9a-f]{64})(?![0-9a-z])/iu;
/** Base 32, 58 or 64 of other networks, where case counts. */
const LONG = /^[\w+/=-]{40,}$/u;
/** Products of one venue that share its ids. */
const FAMILY = /^binance|^kraken/u;

function nameOf(venue: string, networkId: string): string {
  // "Internal transfer 123", "Off-chain transfer 123"
  const id = networkId.trim().split(/\s+/u).at(-1) ?? '';
  const hexadecimal = HEXADECIMAL.exec(id)?.[1];
  if (hexadecimal !== undefined) return `network\0${hexadecimal.toLowerCase()}`;
  return LONG.test(id) ? `network\0${id}` : `${FAMILY.exec(venue)?.[0] ?? venue}\0${id}`;
}

/** Not to be had from the hash, which the database shows. */
export function referenceKeyOf(userKey: Uint8Array, userHash: Uint8Array): Uint8Array {
  return nodeCrypto.hkdfSha256(userKey, userHash, KEY_INFO, 32);
}

/** The same for both sides of a transfer; `key` is the same for all accounts of one user. */
export function referenceOf(key: Uint8Array, venue: string, networkId: string): Uint8Array {
  const mac = createHmac('sha256', key).update(nameOf(venue, networkId)).digest();
  return Uint8Array.from(mac.subarray(0, FLOW_REFERENCE_BYTES));
}
