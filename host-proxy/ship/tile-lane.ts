// Full tiles, entry bundles and their index to the store, bundle after bundle, behind the commits; at the end
// of the epoch the partial ones. Reads them from the log folder, and checks them against one another first: what
// a disk has damaged there must not become permanent elsewhere.
// Holds a few bundles in memory, whatever the size of the log.

import { BatchMemory } from '../../wire/batch.ts';
import { concatBytes, equalBytes } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { parseLeaf } from '../../wire/leaf.ts';
import { encodeBundleIndex } from '../../wire/log-index.ts';
import { indexKey } from '../../wire/host-keys.ts';
import { entriesKey, tileKey } from '../../wire/tile-keys.ts';
import { assertAccepted } from '../../wire/result.ts';
import {
  entriesPath,
  MAX_BUNDLE_BYTES,
  parseEntryBundle,
  TILE_WIDTH,
  tilePath,
  tilesOf,
} from '../../wire/tlog/tile.ts';
import { HASH_BYTES, leafHash } from '../../wire/tlog/merkle.ts';
import type { EpochFolder } from '../epoch-folder.ts';
import { foldHashes } from '../epoch-tree.ts';
import type { CommittedHead } from './commit-lane.ts';
import type { EpochProgress } from './epoch-progress.ts';
import type { Uploads } from './uploads.ts';
import { ShipFinding } from './uploads.ts';

const BUNDLES_AT_ONCE = 4;
const MAX_WAITING_BYTES: number = 16 * 1024 * 1024;

export interface TileLaneOptions {
  readonly crypto: WireCrypto;
  readonly uploads: Uploads;
  readonly progress: EpochProgress;
  readonly folder: EpochFolder;
  /** Leaves whose commits are in the store: tiles never come before them. */
  readonly committedSize: () => number;
  readonly signal: AbortSignal;
}

interface Running {
  readonly bytes: number;
  readonly done: Promise<void>;
}

export class TileLane {
  readonly #options: TileLaneOptions;
  readonly #memory = new BatchMemory();
  #bundles = 0;
  #running: Running[] = [];
  #failure: unknown = null;
  /** Not in order: some behind `#bundles` may be done. */
  readonly #done = new Set<number>();

  constructor(options: TileLaneOptions) {
    this.#options = options;
  }

  /** Full bundles that are in the store, with the tiles that they complete. */
  get bundles(): number {
    return this.#bundles;
  }

  /** Full bundles that could be in the store and are not. */
  get lag(): number {
    return this.#available() - this.#bundles;
  }

  /** Resolves when all full tiles of the epoch are in the store. */
  async run(): Promise<void> {
    const { progress, signal } = this.#options;
    try {
      for (let next = 0; ; next++) {
        while (next >= this.#available()) {
          const { finalSize } = progress;
          if (finalSize !== null && next >= Math.floor(finalSize / TILE_WIDTH)) return;
          await progress.change(signal);
          this.#assertWell();
        }
        await this.#begin(next);
        this.#assertWell();
      }
    } finally {
      // Nothing of it runs afterwards; who failed first is heard.
      await Promise.all(this.#running.map(({ done }) => done));
    }
  }

  /** Partial tiles and bundle of the whole tree; after `run`. */
  async finish({ size, newestNs }: CommittedHead): Promise<void> {
    for (const { level, index, width } of tilesOf(size)) {
      if (width === TILE_WIDTH) continue;
      if (level === 0) await this.#placeBundle(index, width);
      await this.#placeTile(level, index, width, newestNs);
    }
  }

  #assertWell(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #available(): number {
    const { progress, committedSize } = this.#options;
    return Math.floor(Math.min(progress.publishedSize, committedSize()) / TILE_WIDTH);
  }

  async #begin(index: number): Promise<void> {
    const waiting = (): number => this.#running.reduce((sum, { bytes }) => sum + bytes, 0);
    while (this.#running.length >= BUNDLES_AT_ONCE || waiting() > MAX_WAITING_BYTES) {
      await this.#running[0]?.done;
    }
    const bundle = this.#file(entriesPath(index, TILE_WIDTH), MAX_BUNDLE_BYTES);
    const running: Running = { bytes: bundle.length, done: this.#placeFull(index, bundle) };
    this.#running.push(running);
    running.done.then(
      () => {
        this.#running = this.#running.filter((other) => other !== running);
      },
      (error: unknown) => {
        this.#failure ??= error;
        // Who waits for this bundle would wait for ever.
        this.#options.progress.nudge();
      },
    );
    // Not all at once when a whole epoch is waiting.
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #placeFull(index: number, bundle: Uint8Array): Promise<void> {
    const newestNs = await this.#placeLeaves(index, bundle, TILE_WIDTH);
    let [level, tile] = [0, index];
    for (;;) {
      await this.#placeTile(level, tile, TILE_WIDTH, newestNs);
      if ((tile + 1) % TILE_WIDTH !== 0) break;
      level++;
      tile = (tile + 1) / TILE_WIDTH - 1;
    }
    this.#done.add(index);
    while (this.#done.delete(this.#bundles)) this.#bundles++;
    this.#options.progress.nudge();
  }

  async #placeBundle(index: number, width: number): Promise<void> {
    const bundle = this.#file(entriesPath(index, width), MAX_BUNDLE_BYTES);
    await this.#placeLeaves(index, bundle, width);
  }

  /** The bundle and its index; answers the time of its newest leaf. */
  async #placeLeaves(index: number, bundle: Uint8Array, width: number): Promise<bigint> {
    const { crypto, progress } = this.#options;
    const { epoch } = progress;
    const first = index * TILE_WIDTH;
    const parsed = parseEntryBundle(bundle, width);
    const leaves = parsed.ok ? parsed.value : [];
    const hashes = leaves.map((leaf) => leafHash(crypto, leaf));
    const path = entriesPath(index, width);
    if (!equalBytes(concatBytes(...hashes), this.#tile(0, index, width))) throw damaged(path);
    const newestNs = timeOf(leaves.at(-1));
    const { day, bytes } = assertAccepted(
      encodeBundleIndex(crypto, epoch, first, leaves, this.#memory),
    );
    await this.#place(entriesKey(epoch, index, width), bundle, newestNs);
    await this.#place(indexKey(day, epoch, first), bytes, newestNs);
    return newestNs;
  }

  async #placeTile(level: number, index: number, width: number, newestNs: bigint): Promise<void> {
    const tile = this.#tile(level, index, width);
    if (level > 0) this.#checkAbove(tile, level, index, width);
    await this.#place(tileKey(this.#options.progress.epoch, level, index, width), tile, newestNs);
  }

  async #place(key: string, bytes: Uint8Array, newestNs: bigint): Promise<void> {
    const { uploads, progress } = this.#options;
    if (await uploads.place(key, bytes, newestNs, progress.isResumed)) return;
    throw new ShipFinding('object_different', key);
  }

  /** Each hash is the root of the full tile below it. */
  #checkAbove(tile: Uint8Array, level: number, index: number, width: number): void {
    const { crypto } = this.#options;
    for (let at = 0; at < width; at++) {
      const below = this.#tile(level - 1, index * TILE_WIDTH + at, TILE_WIDTH);
      const hash = tile.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
      if (!equalBytes(foldHashes(crypto, below), hash))
        throw damaged(tilePath(level, index, width));
    }
  }

  #tile(level: number, index: number, width: number): Uint8Array {
    const path = tilePath(level, index, width);
    const tile = this.#file(path, TILE_WIDTH * HASH_BYTES);
    if (tile.length !== width * HASH_BYTES) throw damaged(path);
    return tile;
  }

  /** What was published is there; a disk may have lost it since. */
  #file(path: string, maxBytes: number): Uint8Array {
    const bytes = this.#options.folder.read(path, maxBytes);
    if (bytes === null) throw damaged(path);
    return bytes;
  }
}

function damaged(path: string): ShipFinding {
  return new ShipFinding('folder_damaged', path);
}

function timeOf(leaf: Uint8Array | undefined): bigint {
  const parsed = parseLeaf(leaf ?? new Uint8Array());
  return parsed.ok ? parsed.value.timeNs : 0n;
}
