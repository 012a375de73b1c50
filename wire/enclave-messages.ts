// Frame types, and of the small messages of boot, feed and diagnostics streams (docs/PROTOCOL.md 2, 10) the enclave's half:
// what it takes, which is hostile, and what it says. The host's half is in messages.ts.

import { encodeMap } from './cbor.ts';
import type { RefusalCode } from './codes.ts';
import { MAX_NOTE_BYTES } from './commit.ts';
import { parseFields } from './fields.ts';
import { LOG_KEY_SPKI_BYTES } from './header.ts';
import { STREAM } from './leaf.ts';
import {
  MAX_BOOT_BYTES,
  MAX_FEED_IN_BYTES,
  MAX_ITEM_BYTES,
  MAX_LEAF_BYTES,
  MAX_ORIGIN_CHARACTERS,
  PROTOCOL_VERSION,
} from './limits.ts';
import type { Result } from './result.ts';
import type { SealedPurpose } from './sealed.ts';

export const PORT = {
  https: 3000,
  grpc: 50_051,
  feed: 5000,
  log: 7001,
  egress: 7002,
  boot: 7003,
  diagnostics: 7004,
} as const;

export const FRAME = {
  credit: 0x00,
  hello: 0x10,
  config: 0x11,
  item: 0x12,
  previous: 0x13,
  go: 0x14,
  ready: 0x15,
  failed: 0x16,
  close: 0x17,
  credentials: 0x18,
  sealed: 0x19,
  dataKeys: 0x1a,
  kept: 0x1b,
  handOver: 0x1c,
  vault: 0x1d,
  certificate: 0x1e,
  vaultKept: 0x1f,
  batch: 0x20,
  gap: 0x21,
  report: 0x22,
  release: 0x28,
  progress: 0x29,
  refused: 0x2a,
  commit: 0x30,
  ack: 0x31,
  diagnostic: 0x40,
  start: 0x50,
  input: 0x51,
  fill: 0x52,
  started: 0x58,
  outputs: 0x59,
  ended: 0x5a,
  dial: 0x60,
  dialed: 0x61,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

const MAX_PROOF_HASHES = 64;

const MAX_UNRELEASED = 4096;

/** Twelve digits in the name of its object. */
const MAX_COMMIT_NUMBER = 999_999_999_999;

export function encodeHello(): Uint8Array {
  return encodeMap([1, PROTOCOL_VERSION]);
}

export type ItemPurpose = 'strategy' | 'parameters';

export interface Item {
  readonly purpose: ItemPurpose;
  readonly name: string;
  readonly version: string;
  readonly salt: Uint8Array;
  readonly bytes: Uint8Array;
}

export const ITEM_SALT_BYTES = 32;

export function parseItem(bytes: Uint8Array): Result<Item> {
  return parseFields('item', bytes, MAX_BOOT_BYTES, (fields) => {
    const purpose = fields.text(1, 16);
    if (purpose !== 'strategy' && purpose !== 'parameters') return fields.refuse(1);
    return {
      purpose,
      name: fields.text(2, 64),
      version: fields.text(3, 32),
      salt: fields.bytes(4, ITEM_SALT_BYTES),
      bytes: fields.bytes(5, 1, MAX_ITEM_BYTES),
    };
  });
}

export interface Previous {
  readonly origin: string;
  readonly note: Uint8Array;
  readonly logKey: Uint8Array;
  readonly lastLeaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
  /** Outputs that were logged and never released, as the host's journal says. */
  readonly unreleased: readonly number[];
  /** Leaf 0, its header: the enclave takes nothing older than what it says. */
  readonly leafZero: Uint8Array;
  readonly leafZeroProof: readonly Uint8Array[];
  /** Number of its next commit object in S3; null where there is none. */
  readonly nextCommit: number | null;
}

export function parsePrevious(bytes: Uint8Array): Result<Previous> {
  return parseFields('previous', bytes, MAX_BOOT_BYTES, (fields) => ({
    origin: fields.text(1, MAX_ORIGIN_CHARACTERS),
    note: fields.bytes(2, 1, MAX_NOTE_BYTES),
    logKey: fields.bytes(3, LOG_KEY_SPKI_BYTES),
    lastLeaf: fields.bytes(4, 1, MAX_LEAF_BYTES),
    proof: fields.byteStrings(5, MAX_PROOF_HASHES, 32),
    unreleased: fields.uints(6, MAX_UNRELEASED),
    leafZero: fields.bytes(7, 1, MAX_LEAF_BYTES),
    leafZeroProof: fields.byteStrings(8, MAX_PROOF_HASHES, 32),
    nextCommit: fields.uintOrNull(9, MAX_COMMIT_NUMBER),
  }));
}

export interface Ready {
  readonly origin: string;
  readonly logKey: Uint8Array;
  readonly leaf0Hash: Uint8Array;
}

export function encodeReady(ready: Ready): Uint8Array {
  return encodeMap([1, ready.origin], [2, ready.logKey], [3, ready.leaf0Hash]);
}

export type SecretPurpose = SealedPurpose | 'data_key';

/** Why the enclave ended. The other fields say what it could not unseal, as far as it knows. */
export interface Failed {
  readonly code: RefusalCode;
  /** Of the SEALED frame or the data-key record, from 0. */
  readonly position: number | null;
  readonly purpose: SecretPurpose | null;
  /** From the enclave's configuration, never from the item. */
  readonly name: string | null;
}

export function encodeFailed(failed: Failed): Uint8Array {
  return encodeMap([1, failed.code], [2, failed.position], [3, failed.purpose], [4, failed.name]);
}

/** What the host dropped before it reached the enclave. */
export interface DeclaredGap {
  readonly stream: number;
  /** Sequence of the first batch that will not come. */
  readonly firstMissing: number;
  readonly batches: number;
  /** Rows in them, when the host knows. */
  readonly rows: number | null;
}

export function encodeDeclaredGap(gap: DeclaredGap): Uint8Array {
  return encodeMap([1, gap.stream], [2, gap.firstMissing], [3, gap.batches], [4, gap.rows]);
}

export function parseDeclaredGap(bytes: Uint8Array): Result<DeclaredGap> {
  return parseFields('declared_gap', bytes, MAX_FEED_IN_BYTES, (fields) => ({
    stream: fields.uint(1, STREAM.lastInput, 1),
    firstMissing: fields.uint(2),
    batches: fields.uint(3, Number.MAX_SAFE_INTEGER, 1),
    rows: fields.uintOrNull(4),
  }));
}

/** An output whose commit is durable. */
export interface Release {
  readonly leafIndex: number;
  readonly salt: Uint8Array;
  readonly plaintext: Uint8Array;
}

export function encodeRelease(release: Release): Uint8Array {
  return encodeMap([1, release.leafIndex], [2, release.salt], [3, release.plaintext]);
}

/** All that the batch led to is durable and released. */
export interface Progress {
  readonly stream: number;
  readonly sequence: number;
  readonly leafIndex: number;
  readonly acknowledgedSize: number;
}

export function encodeProgress(progress: Progress): Uint8Array {
  return encodeMap(
    [1, progress.stream],
    [2, progress.sequence],
    [3, progress.leafIndex],
    [4, progress.acknowledgedSize],
  );
}

export interface Refused {
  readonly code: RefusalCode;
  readonly stream: number | null;
  readonly sequence: number | null;
}

export function encodeRefused(refused: Refused): Uint8Array {
  return encodeMap([1, refused.code], [2, refused.stream], [3, refused.sequence]);
}

/** A closed code and counters; never text from an exception or from a peer. */
export interface Diagnostic {
  readonly code: string;
  readonly counters: Readonly<Record<string, number>>;
}

export function encodeDiagnostic(diagnostic: Diagnostic): Uint8Array {
  return encodeMap([1, diagnostic.code], [2, new Map(Object.entries(diagnostic.counters))]);
}
