// What the enclave hands to the host for each commit, and how the host acknowledges it
// (docs/PROTOCOL.md 7). The host stores a commit's bytes as they are; an acknowledgement is
// unauthenticated: it protects against crashes, a lying host leaves a provable gap.
//
//   COMMIT {1: epoch, 2: index of the first leaf, 3: [leaf], 4: [blob], 5: signed note}
//   ACK    {1: epoch, 2: size, 3: root}

import { concatBytes } from './bytes.ts';
import { encodeCborHead } from './cbor.ts';
import { parseFields } from './fields.ts';
import {
  MAX_BLOB_BYTES,
  MAX_COMMIT_LEAVES,
  MAX_LEAF_BYTES,
  MAX_LOG_IN_BYTES,
  MAX_LOG_OUT_BYTES,
} from './limits.ts';
import type { Result } from './result.ts';

export const MAX_NOTE_BYTES = 4096;
const MAX_EPOCH = 9_999_999_999;

export interface Commit {
  readonly epoch: number;
  readonly firstIndex: number;
  readonly leaves: readonly Uint8Array[];
  readonly blobs: readonly Uint8Array[];
  readonly note: Uint8Array;
}

/** A commit whose leaves may be in several pieces each, which follow one another. */
export interface CommitInPieces extends Omit<Commit, 'leaves'> {
  readonly leaves: readonly (readonly Uint8Array[])[];
}

/** Each piece is copied once, to its place. */
export function encodeCommitOf(commit: CommitInPieces): Uint8Array {
  const { epoch, firstIndex, leaves, blobs, note } = commit;
  const pieces: Uint8Array[] = [
    encodeCborHead(5, 5),
    ...[1, epoch, 2, firstIndex, 3].map((uint) => encodeCborHead(0, uint)),
    encodeCborHead(4, leaves.length),
  ];
  for (const leaf of leaves) {
    const bytes = leaf.reduce((sum, piece) => sum + piece.length, 0);
    pieces.push(encodeCborHead(2, bytes), ...leaf);
  }
  pieces.push(encodeCborHead(0, 4), encodeCborHead(4, blobs.length));
  for (const blob of blobs) pieces.push(encodeCborHead(2, blob.length), blob);
  pieces.push(encodeCborHead(0, 5), encodeCborHead(2, note.length), note);
  return concatBytes(...pieces);
}

/** Checks the layout only; leaves, note and indexes are views into `bytes`. */
export function parseCommit(bytes: Uint8Array): Result<Commit> {
  return parseFields('commit', bytes, MAX_LOG_OUT_BYTES, (fields) => {
    const epoch = fields.uint(1, MAX_EPOCH, 1);
    const firstIndex = fields.uint(2);
    const leaves = fields.byteStrings(3, MAX_COMMIT_LEAVES, 1, MAX_LEAF_BYTES);
    if (leaves.length === 0) fields.refuse(3);
    const blobs = fields.byteStrings(4, leaves.length, 1, MAX_BLOB_BYTES);
    return { epoch, firstIndex, leaves, blobs, note: fields.bytes(5, 1, MAX_NOTE_BYTES) };
  });
}

export interface Ack {
  readonly epoch: number;
  readonly size: number;
  readonly root: Uint8Array;
}

export function parseAck(bytes: Uint8Array): Result<Ack> {
  return parseFields('ack', bytes, MAX_LOG_IN_BYTES, (fields) => ({
    epoch: fields.uint(1, MAX_EPOCH, 1),
    size: fields.uint(2, Number.MAX_SAFE_INTEGER, 1),
    root: fields.bytes(3, 32),
  }));
}
