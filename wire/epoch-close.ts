// The close of an epoch in a folder or bucket (docs/PROTOCOL.md section 7): the host writes it, verifiers read
// it. It proves nothing by itself: the close has a leaf and its proof. Hostile objects are refused with a code.
//
//   CBOR {1: last note, 2: last leaf, 3: [inclusion proof of the last leaf]}

import { encodeMap } from './cbor.ts';
import { MAX_NOTE_BYTES } from './commit.ts';
import { parseFields } from './fields.ts';
import { MAX_LEAF_BYTES } from './limits.ts';
import type { Result } from './result.ts';

/** A proof in a tree of 2^63 leaves. */
const MAX_PROOF_HASHES = 63;

const MAX_CLOSE_BYTES: number = MAX_NOTE_BYTES + MAX_LEAF_BYTES + 4096;

/** How an epoch ended: the leaf tells whether cleanly. */
export interface EpochClose {
  readonly note: Uint8Array;
  readonly lastLeaf: Uint8Array;
  /** Of the last leaf, in the tree of the note. */
  readonly proof: readonly Uint8Array[];
}

export function encodeEpochClose({ note, lastLeaf, proof }: EpochClose): Uint8Array {
  return encodeMap([1, note], [2, lastLeaf], [3, proof]);
}

/** Checks the layout only. */
export function parseEpochClose(bytes: Uint8Array): Result<EpochClose> {
  return parseFields('close', bytes, MAX_CLOSE_BYTES, (fields) => ({
    note: fields.bytes(1, 1, MAX_NOTE_BYTES),
    lastLeaf: fields.bytes(2, 1, MAX_LEAF_BYTES),
    proof: fields.byteStrings(3, MAX_PROOF_HASHES, 32),
  }));
}
