// Frame types and the small messages of the boot, feed and diagnostics streams (docs/PROTOCOL.md 2,
// 10). The enclave takes what the host sends as hostile, the host what the enclave sends as opaque.

import { encodeMap } from './cbor.ts';
import type { Ack, Commit } from './commit.ts';
import { encodeCommitOf } from './commit.ts';
import type { RefusalCode } from './codes.ts';
import { isEnclaveCode } from './enclave-codes.ts';
import type { Fields } from './fields.ts';
import { parseFields } from './fields.ts';
import { LOG_KEY_SPKI_BYTES } from './header.ts';
import { SALT_BYTES, STREAM } from './leaf.ts';
import {
  MAX_DIAGNOSTIC_BYTES,
  MAX_FEED_OUT_BYTES,
  MAX_ORIGIN_CHARACTERS,
  MAX_OUTPUT_BYTES,
  PROTOCOL_VERSION,
} from './limits.ts';
import type { Result } from './result.ts';
import { MAX_SEALED_ITEMS, SEALED_PURPOSES } from './sealed.ts';
import type { VaultRecord } from './desk-messages.ts';
import type {
  Item,
  Previous,
  Ready,
  SecretPurpose,
  Failed,
  Release,
  Progress,
  Refused,
  Diagnostic,
} from './enclave-messages.ts';

export * from './enclave-messages.ts';

const MAX_SMALL_BYTES = 1024;

function takeCode(fields: Fields, field: number): RefusalCode {
  const text = fields.text(field, 64);
  return isEnclaveCode(text) ? text : fields.refuse(field);
}

/** The protocol version, which is always ours: another one is refused. */
export function parseHello(bytes: Uint8Array): Result<number> {
  return parseFields('hello', bytes, MAX_SMALL_BYTES, (fields) =>
    fields.uint(1, PROTOCOL_VERSION, PROTOCOL_VERSION),
  );
}

export function encodeItem(item: Item): Uint8Array {
  return encodeMap(
    [1, item.purpose],
    [2, item.name],
    [3, item.version],
    [4, item.salt],
    [5, item.bytes],
  );
}

export function encodePrevious(previous: Previous): Uint8Array {
  return encodeMap(
    [1, previous.origin],
    [2, previous.note],
    [3, previous.logKey],
    [4, previous.lastLeaf],
    [5, previous.proof],
    [6, previous.unreleased],
    [7, previous.leafZero],
    [8, previous.leafZeroProof],
    [9, previous.nextCommit],
  );
}

export function parseReady(bytes: Uint8Array): Result<Ready> {
  return parseFields('ready', bytes, MAX_SMALL_BYTES, (fields) => ({
    origin: fields.text(1, MAX_ORIGIN_CHARACTERS),
    logKey: fields.bytes(2, LOG_KEY_SPKI_BYTES),
    leaf0Hash: fields.bytes(3, 32),
  }));
}

const SECRET_PURPOSES: readonly SecretPurpose[] = [...SEALED_PURPOSES, 'data_key'];

export function parseFailed(bytes: Uint8Array): Result<Failed> {
  return parseFields('failed', bytes, MAX_SMALL_BYTES, (fields) => {
    const text = fields.textOrNull(3, 32);
    const purpose = SECRET_PURPOSES.find((known) => known === text) ?? null;
    if (text !== purpose) fields.refuse(3);
    const position = fields.uintOrNull(2, MAX_SEALED_ITEMS);
    return { code: takeCode(fields, 1), position, purpose, name: fields.textOrNull(4, 64) };
  });
}

export function parseRelease(bytes: Uint8Array): Result<Release> {
  return parseFields('release', bytes, MAX_FEED_OUT_BYTES, (fields) => ({
    leafIndex: fields.uint(1),
    salt: fields.bytes(2, SALT_BYTES),
    plaintext: fields.bytes(3, 1, MAX_OUTPUT_BYTES),
  }));
}

export function parseProgress(bytes: Uint8Array): Result<Progress> {
  return parseFields('progress', bytes, MAX_FEED_OUT_BYTES, (fields) => ({
    stream: fields.uint(1, STREAM.lastInput, 1),
    sequence: fields.uint(2),
    leafIndex: fields.uint(3),
    acknowledgedSize: fields.uint(4),
  }));
}

export function parseRefused(bytes: Uint8Array): Result<Refused> {
  return parseFields('refused', bytes, MAX_FEED_OUT_BYTES, (fields) => ({
    code: takeCode(fields, 1),
    stream: fields.uintOrNull(2),
    sequence: fields.uintOrNull(3),
  }));
}

export function parseDiagnostic(bytes: Uint8Array): Result<Diagnostic> {
  return parseFields('diagnostic', bytes, MAX_DIAGNOSTIC_BYTES, (fields) => {
    const code = fields.text(1, 64);
    const map = fields.take(2);
    if (!(map instanceof Map)) return fields.refuse(2);
    const counters: Record<string, number> = {};
    for (const [name, value] of map as ReadonlyMap<unknown, unknown>) {
      // Not `__proto__`, which would be lost, nor a number, which would change the order.
      if (typeof name !== 'string' || !/^[a-z][a-z0-9_]{0,63}$/u.test(name))
        return fields.refuse(2);
      if (typeof value !== 'number' || value < 0) return fields.refuse(2);
      counters[name] = value;
    }
    return { code, counters };
  });
}

export function encodeCommit(commit: Commit): Uint8Array {
  return encodeCommitOf({ ...commit, leaves: commit.leaves.map((leaf) => [leaf]) });
}

export function encodeAck(ack: Ack): Uint8Array {
  return encodeMap([1, ack.epoch], [2, ack.size], [3, ack.root]);
}

/** Which write the host has durably. */
export function encodeVaultKept(id: number): Uint8Array {
  return encodeMap([1, id]);
}

export function encodeVaultRecord({ recordId, bytes }: VaultRecord): Uint8Array {
  return encodeMap([1, recordId], [2, bytes]);
}
