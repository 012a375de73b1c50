// Messages between the enclave's core and its desk, and in part between the core and a market-data tap
// (docs/PROTOCOL.md 11b). The core takes what a desk sends as hostile: the desk reads the internet. The
// other way is trusted. Secrets that the owner sealed for the desk come in OPEN and nowhere else.

import { encodeMap } from './cbor.ts';
import { isEnclaveCode } from './enclave-codes.ts';
import { parseFields } from './fields.ts';
import { SALT_BYTES } from './leaf.ts';
import { MAX_DOCUMENT_BYTES, MAX_VAULT_RECORD_BYTES } from './limits.ts';
import type { Result } from './result.ts';
import type {
  DeskState,
  DeskAppended,
  DeskAttested,
  DeskOutput,
  DeskPublicKeys,
  DeskAppend,
  DeskAttest,
  VaultWrite,
} from './desk-frames.ts';
import { RECORD_ID_BYTES } from './desk-frames.ts';

export * from './desk-frames.ts';
export * from './desk-open.ts';

const MAX_SMALL_BYTES = 1024;

const MAX_CLIENT_ORDER_ID_CHARACTERS = 64;

export function parseDeskState(bytes: Uint8Array): Result<DeskState> {
  return parseFields('desk_state', bytes, MAX_SMALL_BYTES, (fields) => ({
    acknowledgedSize: fields.uint(1),
    ready: fields.bool(2),
    stalled: fields.bool(3),
  }));
}

export function parseDeskAppended(bytes: Uint8Array): Result<DeskAppended> {
  return parseFields('desk_appended', bytes, MAX_SMALL_BYTES, (fields) => ({
    id: fields.uint(1),
    index: fields.uint(2),
    salt: fields.bytes(3, SALT_BYTES),
    hash: fields.bytes(4, 32),
  }));
}

export function parseDeskAttested(bytes: Uint8Array): Result<DeskAttested> {
  const maximum = MAX_DOCUMENT_BYTES + MAX_SMALL_BYTES;
  return parseFields('desk_attested', bytes, maximum + MAX_SMALL_BYTES, (fields) => {
    const id = fields.uint(1);
    const document = fields.bytesOrNull(2, 1, maximum);
    const code = fields.textOrNull(3, 64);
    if (code !== null && !isEnclaveCode(code)) return fields.refuse(3);
    if ((code === null) === (document === null)) return fields.refuse(2);
    return { id, document, code };
  });
}

export function parseDeskOutput(bytes: Uint8Array): Result<DeskOutput> {
  return parseFields('desk_output', bytes, MAX_SMALL_BYTES, (fields) => ({
    leafIndex: fields.uint(1),
    clientOrderId: fields.text(2, MAX_CLIENT_ORDER_ID_CHARACTERS),
    instrument: fields.uint(3, 0xffff),
  }));
}

export function encodeDeskKeys(keys: DeskPublicKeys): Uint8Array {
  return encodeMap([1, keys.tlsSpki], [2, keys.x25519], [3, keys.ed25519]);
}

export function encodeDeskAppend({ id, kind, plaintext, causes }: DeskAppend): Uint8Array {
  return encodeMap([1, id], [2, kind], [3, plaintext], [4, causes]);
}

export function encodeDeskAttest({ id, nonce }: DeskAttest): Uint8Array {
  return encodeMap([1, id], [2, nonce]);
}

export function encodeVaultWrite({ id, recordId, bytes }: VaultWrite): Uint8Array {
  return encodeMap([1, id], [2, recordId], [3, bytes]);
}

export function parseVaultKept(bytes: Uint8Array): Result<number> {
  return parseFields('vault_kept', bytes, MAX_SMALL_BYTES, (fields) => fields.uint(1));
}

/** A record that the host kept. */
export interface VaultRecord {
  readonly recordId: Uint8Array;
  readonly bytes: Uint8Array;
}

export function parseVaultRecord(bytes: Uint8Array): Result<VaultRecord> {
  return parseFields('vault_record', bytes, MAX_VAULT_RECORD_BYTES + MAX_SMALL_BYTES, (fields) => ({
    recordId: fields.bytes(1, RECORD_ID_BYTES),
    bytes: fields.bytes(2, 1, MAX_VAULT_RECORD_BYTES),
  }));
}

/** Names of lower-case letters, digits and underscores; at most 48 of them. */
export function encodeDeskCounters(counters: Readonly<Record<string, number>>): Uint8Array {
  return encodeMap([1, Object.entries(counters).map(([name, value]) => [name, value])]);
}
