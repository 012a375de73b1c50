// The tree of the running epoch as the host keeps it: hashes of tiles that are not in the log folder yet
// in memory, older ones from the folder. Memory is bounded by what waits to be published, 64 bytes a
// leaf. It is our own computation: what the enclave says of its tree is compared with it.

import type { WireCrypto } from '../wire/crypto.ts';
import type { HashReader } from '../wire/tlog/merkle.ts';
import { HASH_BYTES, nodeHash, rootAt } from '../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../wire/tlog/tile.ts';

const TILE_HEIGHT = 8;
/** About 1 MiB with its keys. */
const MAX_KNOWN_NODES = 8192;

/** Reads hashes of full tiles that were published; null when the tile is not there. */
export type TileSource = (level: number, index: number) => Uint8Array | null;

/** Root of a complete subtree from its packed hashes, a power of two of them. */
export function foldHashes(crypto: WireCrypto, packed: Uint8Array): Uint8Array {
  let nodes: Uint8Array[] = [];
  for (let at = 0; at < packed.length; at += HASH_BYTES) {
    nodes.push(packed.subarray(at, at + HASH_BYTES));
  }
  while (nodes.length > 1) {
    const above: Uint8Array[] = [];
    for (let at = 0; at + 1 < nodes.length; at += 2) {
      const [left, right] = [nodes[at], nodes[at + 1]];
      if (left !== undefined && right !== undefined) above.push(nodeHash(crypto, left, right));
    }
    nodes = above;
  }
  const [root] = nodes;
  if (root === undefined) throw new RangeError('no hashes to fold');
  return root;
}

/**
 * Hash of a complete subtree from tiles, where `tile` answers the packed hashes that it has of a tile, at
 * least the ones that the subtree needs, or null.
 */
export function nodeFromTiles(
  crypto: WireCrypto,
  tile: TileSource,
  level: number,
  index: number,
): Uint8Array | null {
  const span = 2 ** (level % TILE_HEIGHT);
  const first = index * span;
  const packed = tile(Math.floor(level / TILE_HEIGHT), Math.floor(first / TILE_WIDTH));
  const begin = (first % TILE_WIDTH) * HASH_BYTES;
  const end = begin + span * HASH_BYTES;
  if (packed === null || packed.length < end) return null;
  return foldHashes(crypto, packed.subarray(begin, end));
}

/** Nodes of a tile and of the levels above them up to its root, which is a node of the tile above. */
interface OpenTile {
  /** 256 nodes of the tile, then 128, 64, … to 2. */
  readonly hashes: Uint8Array;
  width: number;
}

const OPEN_TILE_BYTES: number = (2 * TILE_WIDTH - 2) * HASH_BYTES;

/** Where the nodes at `height` above a tile's own begin. */
function heightOffset(height: number): number {
  return (2 * TILE_WIDTH - 2 * (TILE_WIDTH >> height)) * HASH_BYTES;
}

function hashAt(tile: OpenTile, height: number, index: number): Uint8Array {
  const begin = heightOffset(height) + index * HASH_BYTES;
  return tile.hashes.subarray(begin, begin + HASH_BYTES);
}

export class EpochTree implements HashReader {
  readonly #crypto: WireCrypto;
  readonly #published: TileSource;
  /** By tile level, then by tile index. */
  readonly #tiles: Map<number, OpenTile>[] = [];
  /** Of published tiles: hashes of complete subtrees never change, and proofs ask for the same ones. */
  readonly #nodes = new Map<string, Uint8Array>();
  #size = 0;

  constructor(crypto: WireCrypto, published: TileSource) {
    this.#crypto = crypto;
    this.#published = published;
  }

  /**
   * The tree of `size` leaves, whose full tiles are published. `lastHashes`: of the leaves behind the last full
   * tile. Null when a tile is missing; whether the tiles are right is for the caller, who knows the root.
   */
  static resume(
    crypto: WireCrypto,
    published: TileSource,
    size: number,
    lastHashes: readonly Uint8Array[],
  ): EpochTree | null {
    const tree = new EpochTree(crypto, published);
    const first = size - (size % TILE_WIDTH);
    for (const [at, hash] of lastHashes.entries()) tree.#store(0, first + at, hash);
    let hashes = size;
    for (let level = 1; hashes >= TILE_WIDTH; level++) {
      hashes = Math.floor(hashes / TILE_WIDTH);
      for (let index = hashes - (hashes % TILE_WIDTH); index < hashes; index++) {
        const below = published(level - 1, index);
        if (below?.length !== TILE_WIDTH * HASH_BYTES) return null;
        tree.#store(level, index, foldHashes(crypto, below));
      }
    }
    tree.#size = size;
    return tree;
  }

  get size(): number {
    return this.#size;
  }

  append(leafHash: Uint8Array): void {
    this.#store(0, this.#size, leafHash);
    this.#size++;
  }

  root(): Uint8Array {
    return rootAt(this.#crypto, this, this.#size);
  }

  node(level: number, index: number): Uint8Array | null {
    if ((index + 1) * 2 ** level > this.#size) return null;
    const height = level % TILE_HEIGHT;
    const width = TILE_WIDTH >> height;
    const tile = this.#tiles[Math.floor(level / TILE_HEIGHT)]?.get(Math.floor(index / width));
    if (tile !== undefined) return hashAt(tile, height, index % width);
    const key = `${level}/${index}`;
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const node = nodeFromTiles(this.#crypto, this.#published, level, index);
    if (node === null) return null;
    if (this.#nodes.size === MAX_KNOWN_NODES) this.#nodes.clear();
    // A copy: a hash of a leaf is a view of a whole tile.
    this.#nodes.set(key, node.slice());
    return node;
  }

  /** Hashes of a tile, as many as there are so far; null when it is neither here nor published. */
  tile(level: number, index: number): Uint8Array | null {
    const tile = this.#tiles[level]?.get(index);
    if (tile !== undefined) return tile.hashes.subarray(0, tile.width * HASH_BYTES);
    return this.#published(level, index);
  }

  /** Call when the full tile is durable in the folder. */
  forget(level: number, index: number): void {
    this.#tiles[level]?.delete(index);
  }

  /** Every node is computed once, when its subtree is complete. */
  #store(level: number, position: number, hash: Uint8Array): void {
    const tiles = (this.#tiles[level] ??= new Map<number, OpenTile>());
    const number = Math.floor(position / TILE_WIDTH);
    let tile = tiles.get(number);
    if (tile === undefined) {
      tile = { hashes: new Uint8Array(OPEN_TILE_BYTES), width: 0 };
      tiles.set(number, tile);
    }
    tile.width++;
    let node = hash;
    let index = position % TILE_WIDTH;
    for (let height = 0; height < TILE_HEIGHT; height++) {
      hashAt(tile, height, index).set(node);
      if (index % 2 === 0) return;
      node = nodeHash(this.#crypto, hashAt(tile, height, index - 1), node);
      index = (index - 1) / 2;
    }
    this.#store(level + 1, number, node);
  }
}
