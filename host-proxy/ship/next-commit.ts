// Where an epoch in the store may be taken over, under commit policy `s3`: the number behind its last group of
// commits, which is where a mark of a successor has its place. The host only says it; the enclave reads the
// objects itself.

import { equalBytes, utf8 } from '../../wire/bytes.ts';
import type { ObjectStore } from '../../wire/node/objects/store.ts';
import { claimKey, commitsKey, epochPrefix } from '../../wire/object-keys.ts';

export const MAX_SUPERSEDED_BYTES = 8192;
/** First line of the object that ends an epoch for its successor (wire/superseded.ts). */
const SUPERSEDED: Uint8Array = utf8('trackseal/superseded/v1\n');

export function isSuperseded(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, SUPERSEDED.length), SUPERSEDED);
}

/** Null when the store does not know the epoch. */
export async function findNextCommit(store: ObjectStore, epoch: number): Promise<number | null> {
  if ((await store.head(claimKey(epoch))) === null) return null;
  let last = { number: 0, bytes: 0 };
  const commits = `${epochPrefix(epoch)}commits/`;
  for await (const { bytes, isDeleteMarker, ordinal } of store.list(commits)) {
    // Other versions are for readers to find.
    if (!isDeleteMarker && ordinal === 1) last = { number: last.number + 1, bytes };
  }
  const { number, bytes } = last;
  if (number > 0 && bytes <= MAX_SUPERSEDED_BYTES) {
    const object = await store.get(commitsKey(epoch, number), MAX_SUPERSEDED_BYTES);
    if (object !== null && isSuperseded(object.bytes)) return number;
  }
  return number + 1;
}
