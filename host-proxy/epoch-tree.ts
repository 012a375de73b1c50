// The tree of the running epoch as the host keeps it: hashes of tiles that are not in the log folder yet
// in memory, older ones from the folder. Memory is bounded by what waits to be published, 32 bytes a
// leaf. It is our own computation: what the enclave says of its tree is compared with it.

import type { WireCrypto } from '../wire/crypto.ts';
import type { HashReader } from '../wire/tlog/merkle.ts';
import { HASH_BYTES, nodeHash, TreeEdge } from '../wire/tlog/merkle.ts';
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

interface OpenTile {
  readonly hashes: Uint8Array;
  width: number;
}

export class EpochTree implements HashReader {
  readonly #crypto: WireCrypto;
  readonly #published: TileSource;
  readonly #edge: TreeEdge;
  /** By tile level, then by tile index. */
  readonly #tiles: Map<number, OpenTile>[] = [];
  /** Hashes of complete subtrees never change: proofs ask for the same ones again and again. */
  readonly #nodes = new Map<string, Uint8Array>();

  constructor(crypto: WireCrypto, published: TileSource) {
    this.#crypto = crypto;
    this.#published = published;
    this.#edge = new TreeEdge(crypto);
  }

  get size(): number {
    return this.#edge.size;
  }

  append(leafHash: Uint8Array): void {
    this.#store(0, this.size, leafHash);
    this.#edge.append(leafHash);
  }

  root(): Uint8Array {
    return this.#edge.root();
  }

  node(level: number, index: number): Uint8Array | null {
    if ((index + 1) * 2 ** level > this.size) return null;
    const key = `${level}/${index}`;
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const node = nodeFromTiles(this.#crypto, (l, n) => this.tile(l, n), level, index);
    if (node === null) return null;
    if (this.#nodes.size === MAX_KNOWN_NODES) this.#nodes.clear();
    // A copy: a hash of a leaf is a view of a tile that may be forgotten.
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

  #store(level: number, position: number, hash: Uint8Array): void {
    const tiles = (this.#tiles[level] ??= new Map<number, OpenTile>());
    const index = Math.floor(position / TILE_WIDTH);
    let tile = tiles.get(index);
    if (tile === undefined) {
      tile = { hashes: new Uint8Array(TILE_WIDTH * HASH_BYTES), width: 0 };
      tiles.set(index, tile);
    }
    tile.hashes.set(hash, tile.width * HASH_BYTES);
    tile.width++;
    if (tile.width === TILE_WIDTH) {
      this.#store(level + 1, index, foldHashes(this.#crypto, tile.hashes));
    }
  }
}
