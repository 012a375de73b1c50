// Reads an epoch of the log folder: hashes for proofs and leaves, from tiles and bundles. Full tiles are
// kept in a small cache. The folder is the host's own; what is damaged in it shows as null here and as
// a refusal at whoever verifies.

import type { WireCrypto } from '../wire/crypto.ts';
import type { HashReader } from '../wire/tlog/merkle.ts';
import {
  entriesPath,
  MAX_BUNDLE_BYTES,
  parseEntryBundle,
  TILE_WIDTH,
  tilePath,
} from '../wire/tlog/tile.ts';
import { HASH_BYTES } from '../wire/tlog/merkle.ts';
import { nodeFromTiles } from './epoch-tree.ts';
import type { EpochFolder } from './epoch-folder.ts';

const CACHED_TILES = 256;
const CACHED_BUNDLES = 8;

/** The newest `capacity` files by path. */
class FileCache {
  readonly #files = new Map<string, Uint8Array>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(path: string, read: () => Uint8Array | null): Uint8Array | null {
    const cached = this.#files.get(path);
    if (cached !== undefined) return cached;
    const bytes = read();
    if (bytes === null) return null;
    this.#files.set(path, bytes);
    const oldest = this.#files.keys().next();
    if (this.#files.size > this.#capacity && oldest.done !== true) this.#files.delete(oldest.value);
    return bytes;
  }
}

export class FolderReader implements HashReader {
  readonly #crypto: WireCrypto;
  readonly #folder: EpochFolder;
  readonly #tiles = new FileCache(CACHED_TILES);
  readonly #bundles = new FileCache(CACHED_BUNDLES);
  /** Size of a published checkpoint whose partial tiles may be used; 0 for full tiles only. */
  readonly #size: number;

  constructor(crypto: WireCrypto, folder: EpochFolder, size: number) {
    this.#crypto = crypto;
    this.#folder = folder;
    this.#size = size;
  }

  /** Packed hashes of a tile, or null when it was not published. */
  tile(level: number, index: number): Uint8Array | null {
    const path = tilePath(level, index, this.#width(Math.floor(this.#size / 256 ** level), index));
    return this.#tiles.get(path, () => this.#folder.read(path, TILE_WIDTH * HASH_BYTES));
  }

  node(level: number, index: number): Uint8Array | null {
    return nodeFromTiles(this.#crypto, (l, n) => this.tile(l, n), level, index);
  }

  leaf(index: number): Uint8Array | null {
    const bundle = Math.floor(index / TILE_WIDTH);
    const width = this.#width(this.#size, bundle);
    const path = entriesPath(bundle, width);
    const bytes = this.#bundles.get(path, () => this.#folder.read(path, MAX_BUNDLE_BYTES));
    if (bytes === null) return null;
    const leaves = parseEntryBundle(bytes, width);
    return leaves.ok ? (leaves.value[index % TILE_WIDTH] ?? null) : null;
  }

  #width(items: number, index: number): number {
    return index === Math.floor(items / TILE_WIDTH) && items % TILE_WIDTH > 0
      ? items % TILE_WIDTH
      : TILE_WIDTH;
  }
}
