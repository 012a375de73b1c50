// The objects of a built epoch as host and enclave leave them in a bucket (docs/PROTOCOL.md 7), by key.

import { concatBytes } from '../../wire/bytes.ts';
import { encodeCommit } from '../../wire/messages.ts';
import { encodeBundleIndex } from '../../wire/log-index.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { claimKey, commitsKey } from '../../wire/object-keys.ts';
import { blobKey, checkpointKey, closeKey, indexKey } from '../../wire/host-keys.ts';
import { entriesKey, tileKey } from '../../wire/tile-keys.ts';
import { encodeCommitGroup } from '../../wire/objects.ts';
import { encodeEpochClose } from '../../wire/epoch-close.ts';
import { assertAccepted } from '../../wire/result.ts';
import { inclusionProof } from '../../wire/tlog/merkle.ts';
import { TILE_WIDTH, encodeEntryBundle, tilesOf } from '../../wire/tlog/tile.ts';
import type { BuiltEpoch } from './epoch-files.ts';

export interface ObjectsOptions {
  /** False: the epoch still runs, so that what is partial is in no tile. */
  readonly closed: boolean;
  /** Full bundles and their tiles that were shipped; all by default. */
  readonly bundles?: number;
  readonly notesPerGroup?: number;
}

export function objectsOf(epoch: BuiltEpoch, options: ObjectsOptions): Map<string, Uint8Array> {
  const { notes, leaves, tree, blobs, header } = epoch;
  const { closed, bundles = Number.POSITIVE_INFINITY, notesPerGroup = 3 } = options;
  const number = header.epoch;
  const objects = new Map<string, Uint8Array>();
  const commits = notes.map(({ size, note }, at) => {
    const firstIndex = notes[at - 1]?.size ?? 0;
    const own = leaves.slice(firstIndex, size);
    return encodeCommit({ epoch: number, firstIndex, leaves: own, blobs: [], note });
  });
  const [claim = new Uint8Array(), ...others] = commits;
  objects.set(claimKey(number), claim);
  for (let at = 0; at < others.length; at += notesPerGroup) {
    const group = encodeCommitGroup(others.slice(at, at + notesPerGroup));
    objects.set(commitsKey(number, at / notesPerGroup + 1), group);
  }
  const last = notes.at(-1);
  const size = last?.size ?? 0;
  for (const { level, index, width } of tilesOf(size)) {
    const end = (index + 1) * TILE_WIDTH ** (level + 1);
    const isWhole = width === TILE_WIDTH && end <= bundles * TILE_WIDTH;
    if (!closed && !isWhole) continue;
    const hashes = Array.from(
      { length: width },
      (_, at) => tree.node(level * 8, index * TILE_WIDTH + at) ?? new Uint8Array(),
    );
    objects.set(tileKey(number, level, index, width), concatBytes(...hashes));
    if (level > 0) continue;
    const first = index * TILE_WIDTH;
    const own = leaves.slice(first, first + width);
    objects.set(entriesKey(number, index, width), encodeEntryBundle(own));
    const { day, bytes } = assertAccepted(encodeBundleIndex(nodeCrypto, number, first, own));
    objects.set(indexKey(day, number, first), bytes);
  }
  for (const [hash, blob] of blobs) objects.set(blobKey(hash), blob);
  if (last === undefined) return objects;
  objects.set(checkpointKey(number, last.size), last.note);
  if (closed) {
    const lastLeaf = leaves[size - 1] ?? new Uint8Array();
    const proof = inclusionProof(nodeCrypto, tree, size - 1, size);
    objects.set(closeKey(number), encodeEpochClose({ note: last.note, lastLeaf, proof }));
  }
  return objects;
}
