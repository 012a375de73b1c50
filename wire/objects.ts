// What the objects of an epoch hold that are not tiles, notes or blobs (docs/PROTOCOL.md section 7): groups
// of commits, and the close. They prove nothing by themselves: each commit has a note signed by the
// epoch's log key, and the close has a leaf and its proof. Hostile objects are refused with a code.
//
//   group   (u32 length | COMMIT)…, at least one
//   close   CBOR {1: last note, 2: last leaf, 3: [inclusion proof of the last leaf]}

import { concatBytes, readU32, writeU32 } from './bytes.ts';
import type { CborValue } from './cbor.ts';
import { encodeCbor } from './cbor.ts';
import { MAX_NOTE_BYTES } from './commit.ts';
import { parseFields } from './fields.ts';
import { MAX_LEAF_BYTES, MAX_LOG_OUT_BYTES } from './limits.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

const LENGTH_BYTES = 4;
/** A group of one commit of the largest size, and another one's worth on top. */
export const MAX_COMMIT_GROUP_BYTES: number = 2 * MAX_LOG_OUT_BYTES;
/** The largest object of a log: an entry bundle or a group. */
export const MAX_OBJECT_BYTES: number = 17 * 1024 * 1024;
/** A proof in a tree of 2^63 leaves. */
const MAX_PROOF_HASHES = 63;
const MAX_CLOSE_BYTES: number = MAX_NOTE_BYTES + MAX_LEAF_BYTES + 4096;

/** What a commit adds to a group. */
export function groupedBytes(commitBytes: number): number {
  return LENGTH_BYTES + commitBytes;
}

/** `commits` are COMMIT payloads, one at least; throws a RangeError for more than fits. */
export function encodeCommitGroup(commits: readonly Uint8Array[]): Uint8Array {
  const bytes = commits.reduce((sum, { length }) => sum + groupedBytes(length), 0);
  if (commits.length === 0 || bytes > MAX_COMMIT_GROUP_BYTES) throw new RangeError('commit group');
  return concatBytes(
    ...commits.flatMap((commit) => {
      const head = new Uint8Array(LENGTH_BYTES);
      writeU32(head, 0, commit.length);
      return [head, commit];
    }),
  );
}

/** The COMMIT payloads of a group, as views into `bytes`. Refuses with `message_malformed`. */
export function parseCommitGroup(bytes: Uint8Array): Result<readonly Uint8Array[]> {
  const commits: Uint8Array[] = [];
  let at = 0;
  while (at + LENGTH_BYTES <= bytes.length && bytes.length <= MAX_COMMIT_GROUP_BYTES) {
    const begin = at + LENGTH_BYTES;
    const end = begin + readU32(bytes, at);
    if (end === begin || end > bytes.length) break;
    commits.push(bytes.subarray(begin, end));
    at = end;
  }
  return commits.length > 0 && at === bytes.length
    ? accept(commits)
    : refuse('message_malformed', { message: 'commit group', offset: at });
}

/** How an epoch ended: the leaf tells whether cleanly. */
export interface EpochClose {
  readonly note: Uint8Array;
  readonly lastLeaf: Uint8Array;
  /** Of the last leaf, in the tree of the note. */
  readonly proof: readonly Uint8Array[];
}

export function encodeEpochClose({ note, lastLeaf, proof }: EpochClose): Uint8Array {
  return encodeCbor(
    new Map<number, CborValue>([
      [1, note],
      [2, lastLeaf],
      [3, proof],
    ]),
  );
}

/** Checks the layout only. */
export function parseEpochClose(bytes: Uint8Array): Result<EpochClose> {
  return parseFields('close', bytes, MAX_CLOSE_BYTES, (fields) => ({
    note: fields.bytes(1, 1, MAX_NOTE_BYTES),
    lastLeaf: fields.bytes(2, 1, MAX_LEAF_BYTES),
    proof: fields.byteStrings(3, MAX_PROOF_HASHES, 32),
  }));
}
