// Where an epoch in the store may be taken over, under commit policy `s3`: the number behind its last group of
// commits, which is where a mark of a successor has its place. The host only says it; the enclave reads the
// objects itself.

import { equalBytes, utf8 } from '../../wire/bytes.ts';
import type { ObjectHead, ObjectStore } from '../../wire/node/objects/store.ts';
import { claimKey, commitsKey } from '../../wire/object-keys.ts';

export const MAX_SUPERSEDED_BYTES = 8192;
/** First line of the object that ends an epoch for its successor (wire/superseded.ts). */
const SUPERSEDED: Uint8Array = utf8('trackseal/superseded/v1\n');

export function isSuperseded(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, SUPERSEDED.length), SUPERSEDED);
}

/**
 * Null when the store does not know the epoch. Numbers have no holes, so that it takes few questions even
 * after a day of fifty groups a second.
 */
export async function findNextCommit(store: ObjectStore, epoch: number): Promise<number | null> {
  if ((await store.head(claimKey(epoch))) === null) return null;
  const headOf = (number: number): Promise<ObjectHead | null> =>
    store.head(commitsKey(epoch, number));
  // The last one that is there is `low` or above, and below `high`.
  let [low, high] = [0, 1];
  while ((await headOf(high)) !== null) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if ((await headOf(middle)) === null) high = middle;
    else low = middle;
  }
  const last = low === 0 ? null : await headOf(low);
  if (last !== null && last.bytes <= MAX_SUPERSEDED_BYTES) {
    const object = await store.get(last.key, MAX_SUPERSEDED_BYTES);
    if (object !== null && isSuperseded(object.bytes)) return low;
  }
  return low + 1;
}
