// The hashes of a tree out of a few of its tiles: those above a range of leaves, and the right edge. Tiles
// are hostile until `verifyTiles` has led every one of them to the root of a signed head.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { HashReader } from '../../wire/tlog/merkle.ts';
import { HASH_BYTES, nodeHash, rootAt } from '../../wire/tlog/merkle.ts';
import type { TileAddress } from '../../wire/tlog/tile.ts';
import { TILE_WIDTH, parseTile, tilePath } from '../../wire/tlog/tile.ts';

const TILE_LEVELS = 8;

/** Hashes at level `8 × level` that a tree of `size` leaves has. */
function hashesAt(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** Tiles from which the hashes of these leaves, and their way to the root, can be computed. Ascending. */
export function tilesAbove(
  size: number,
  ranges: readonly { readonly first: number; readonly last: number }[],
): readonly TileAddress[] {
  const tiles: TileAddress[] = [];
  for (let level = 0; hashesAt(size, level) > 0; level++) {
    const hashes = hashesAt(size, level);
    const wanted = new Set<number>();
    const span = TILE_WIDTH ** (level + 1);
    for (const { first, last } of ranges) {
      const end = Math.min(Math.floor(last / span), Math.ceil(hashes / TILE_WIDTH) - 1);
      for (let index = Math.floor(first / span); index <= end; index++) wanted.add(index);
    }
    // Nothing above has the hashes of an incomplete tile.
    if (hashes % TILE_WIDTH > 0) wanted.add(Math.floor(hashes / TILE_WIDTH));
    for (const index of [...wanted].sort((a, b) => a - b)) {
      const width = Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH);
      tiles.push({ level, index, width });
    }
  }
  return tiles;
}

export class TileHashes implements HashReader {
  readonly #crypto: WireCrypto;
  readonly #tiles = new Map<string, readonly Uint8Array[]>();

  constructor(crypto: WireCrypto) {
    this.#crypto = crypto;
  }

  /** Refuses `tile_mismatch` for another number of hashes than the width says. */
  add({ level, index, width }: TileAddress, bytes: Uint8Array): Result<null> {
    const hashes = parseTile(bytes, width);
    if (!hashes.ok) return refuse('tile_mismatch', { path: tilePath(level, index, width) });
    this.#tiles.set(`${level}/${index}`, hashes.value);
    return accept(null);
  }

  node(level: number, index: number): Uint8Array | null {
    const tileLevel = Math.floor(level / TILE_LEVELS);
    const count = 2 ** (level % TILE_LEVELS);
    const begin = index * count;
    const tile = this.#tiles.get(`${tileLevel}/${Math.floor(begin / TILE_WIDTH)}`);
    const at = begin % TILE_WIDTH;
    if (tile === undefined || at + count > tile.length) return null;
    return this.#fold(tile.slice(at, at + count));
  }

  /** Of a complete tile, from its own hashes. */
  rootOf(level: number, index: number): Uint8Array | null {
    const tile = this.#tiles.get(`${level}/${index}`);
    return tile?.length === TILE_WIDTH ? this.#fold(tile) : null;
  }

  #fold(hashes: readonly Uint8Array[]): Uint8Array | null {
    let row = hashes;
    while (row.length > 1) {
      row = Array.from({ length: row.length / 2 }, (_, at) =>
        nodeHash(
          this.#crypto,
          row[2 * at] ?? new Uint8Array(HASH_BYTES),
          row[2 * at + 1] ?? new Uint8Array(HASH_BYTES),
        ),
      );
    }
    return row[0] ?? null;
  }
}

/**
 * Every one of `tiles`, all of which were added, belongs to the tree with this root: complete ones are
 * what the tile above says, incomplete ones are part of the root's own computation.
 */
export function verifyTiles(
  crypto: WireCrypto,
  hashes: TileHashes,
  tiles: readonly TileAddress[],
  head: { readonly size: number; readonly root: Uint8Array },
): Result<null> {
  const { size } = head;
  const present = new Set(tiles.map(({ level, index }) => `${level}/${index}`));
  for (const { level, index, width } of tilesAbove(size, [])) {
    if (!present.has(`${level}/${index}`)) {
      return refuse('tile_missing', { path: tilePath(level, index, width) });
    }
  }
  const root = rootAt(crypto, hashes, size);
  if (!equalBytes(root, head.root)) {
    return refuse('root_mismatch', { size, expected: toHex(head.root), actual: toHex(root) });
  }
  for (const { level, index, width } of tiles) {
    if (width < TILE_WIDTH) continue;
    const path = tilePath(level, index, width);
    const above = Math.floor(index / TILE_WIDTH);
    if (!present.has(`${level + 1}/${above}`)) return refuse('tile_missing', { path, above });
    const said = hashes.node(TILE_LEVELS * (level + 1), index);
    const whole = hashes.rootOf(level, index);
    if (said === null || whole === null || !equalBytes(said, whole)) {
      return refuse('tile_mismatch', { path });
    }
  }
  return accept(null);
}
