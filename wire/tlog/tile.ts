// C2SP tlog-tiles: where the hashes and leaves of a tree lie in a folder, and what the files hold.
// Tiles come from whoever stores the log: they are worth only what a signed checkpoint says of them.
//
//   tile/<L>/<N>[.p/<W>]        W × 32 bytes: hashes of the complete subtrees of height 8 × L
//   tile/entries/<N>[.p/<W>]    W × (u16 length | leaf)
//   <N> is x001/x234/067 for 1,234,067; .p/<W> only where fewer than 256 are there

import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { HASH_BYTES } from './edge.ts';

export const TILE_WIDTH = 256;
/** What a u16 length prefix can say. Our own leaves are smaller (limits.ts). */
export const MAX_ENTRY_BYTES = 65_535;
export const MAX_BUNDLE_BYTES: number = TILE_WIDTH * (2 + MAX_ENTRY_BYTES);

function numberPath(index: number, width: number): string {
  const groups: string[] = [];
  let rest = index;
  do {
    const group = String(rest % 1000).padStart(3, '0');
    groups.unshift(groups.length === 0 ? group : `x${group}`);
    rest = Math.floor(rest / 1000);
  } while (rest > 0);
  return width === TILE_WIDTH ? groups.join('/') : `${groups.join('/')}.p/${width}`;
}

function assertTile(index: number, width: number): void {
  if (!Number.isSafeInteger(index) || index < 0) throw new RangeError('tile index');
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) {
    throw new RangeError('tile width');
  }
}

/** Path below the epoch's folder, with forward slashes. `width` is 1 to 256. */
export function tilePath(level: number, index: number, width: number): string {
  assertTile(index, width);
  if (!Number.isInteger(level) || level < 0 || level > 63) throw new RangeError('tile level');
  return `tile/${level}/${numberPath(index, width)}`;
}

/** Path below the epoch's folder, with forward slashes. `width` is 1 to 256. */
export function entriesPath(index: number, width: number): string {
  assertTile(index, width);
  return `tile/entries/${numberPath(index, width)}`;
}

export interface TileAddress {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** Every hash tile of a tree of `size` leaves, level by level; at level 0 also the entry bundles. */
export function* tilesOf(size: number): Generator<TileAddress> {
  let hashes = size;
  for (let level = 0; hashes > 0; level++) {
    const full = Math.floor(hashes / TILE_WIDTH);
    for (let index = 0; index < full; index++) yield { level, index, width: TILE_WIDTH };
    if (hashes % TILE_WIDTH > 0) yield { level, index: full, width: hashes % TILE_WIDTH };
    hashes = full;
  }
}

/**
 * 1 to 256 leaves of at most 65,535 bytes; throws a RangeError for others. `allocate` gives memory of just
 * that size, of any content.
 */
export function encodeEntryBundle(
  leaves: readonly Uint8Array[],
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Uint8Array {
  if (leaves.length < 1 || leaves.length > TILE_WIDTH) throw new RangeError('bundle width');
  let length = 0;
  for (const leaf of leaves) {
    if (leaf.length > MAX_ENTRY_BYTES) throw new RangeError('entry too large for a bundle');
    length += 2 + leaf.length;
  }
  const bytes = allocate(length);
  let offset = 0;
  for (const leaf of leaves) {
    bytes[offset] = leaf.length >>> 8;
    bytes[offset + 1] = leaf.length;
    bytes.set(leaf, offset + 2);
    offset += 2 + leaf.length;
  }
  return bytes;
}

/** Exactly `count` leaves, as views into `bytes`. Refuses with `tile_mismatch`. */
export function parseEntryBundle(bytes: Uint8Array, count: number): Result<readonly Uint8Array[]> {
  const leaves: Uint8Array[] = [];
  let offset = 0;
  while (offset < bytes.length && leaves.length < count) {
    const begin = offset + 2;
    const end = begin + (bytes[offset] ?? 0) * 256 + (bytes[offset + 1] ?? 0);
    if (begin > bytes.length || end > bytes.length) break;
    leaves.push(bytes.subarray(begin, end));
    offset = end;
  }
  return leaves.length === count && offset === bytes.length
    ? accept(leaves)
    : refuse('tile_mismatch', { expected: count, entries: leaves.length, offset });
}

/** Exactly `width` hashes, as views into `bytes`. Refuses with `tile_mismatch`. */
export function parseTile(bytes: Uint8Array, width: number): Result<readonly Uint8Array[]> {
  if (bytes.length !== width * HASH_BYTES) {
    return refuse('tile_mismatch', { expected: width * HASH_BYTES, bytes: bytes.length });
  }
  return accept(
    Array.from({ length: width }, (_, index) =>
      bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES),
    ),
  );
}
