// From acknowledged commits to the log folder: blobs, full tiles and bundles as they fill up, files of
// commit notes, and on `publish` the partial tiles of the newest size, then its checkpoint. What it writes
// depends on the commits alone (and partial tiles on when `publish` was called), so that doing it again
// after a crash completes the folder. Trusts that the commits were checked.

import { concatBytes, toHex, writeU32 } from '../wire/bytes.ts';
import type { Commit } from '../wire/commit.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import { HASH_BYTES } from '../wire/tlog/merkle.ts';
import { encodeEntryBundle, entriesPath, TILE_WIDTH, tilePath } from '../wire/tlog/tile.ts';
import type { EpochFolder } from './epoch-folder.ts';
import type { EpochTree } from './epoch-tree.ts';

/** Notes of one file in commits/; the last file of an epoch has fewer. */
export const NOTES_PER_FILE = 1024;

/** Files written at once. Fewer than libuv's four threads, so that the spool's sync finds one free. */
const WRITES_AT_ONCE = 3;

/** What was published, where the next leaves and notes go on. */
export interface PublishedPart {
  readonly size: number;
  /** The last commit's. */
  readonly note: Uint8Array;
  /** Of the commits since the last file of notes, the last one's among them; their first leaf. */
  readonly notes: readonly Uint8Array[];
  readonly firstNoteIndex: number;
}

interface FullTile {
  readonly level: number;
  readonly index: number;
}

export class Publisher {
  readonly #crypto: WireCrypto;
  readonly #folder: EpochFolder;
  readonly #tree: EpochTree;
  /** Leaves since the last full bundle, at most 256. */
  #block: Uint8Array[] = [];
  readonly #memory: Uint8Array[] = [];
  #size = 0;
  #note: Uint8Array | null = null;
  #publishedSize = 0;
  /** Written since the last publication, so not known to be durable in their directories. */
  #full: FullTile[] = [];
  #notes: Uint8Array[] = [];
  #firstNoteIndex = 0;
  /** Never reject: what goes wrong is kept in `#failure`. */
  readonly #writing = new Set<Promise<void>>();
  #failure: unknown = null;

  /** `tree` holds at least the leaves of the commits that are added. */
  constructor(crypto: WireCrypto, folder: EpochFolder, tree: EpochTree) {
    this.#crypto = crypto;
    this.#folder = folder;
    this.#tree = tree;
  }

  /** Goes on behind a part that is in the folder. `block`: its leaves behind the last full bundle. */
  static resume(
    crypto: WireCrypto,
    folder: EpochFolder,
    tree: EpochTree,
    { size, note, notes, firstNoteIndex }: PublishedPart,
    block: readonly Uint8Array[],
  ): Publisher {
    const publisher = new Publisher(crypto, folder, tree);
    publisher.#size = size;
    publisher.#note = note;
    publisher.#notes = [...notes];
    publisher.#firstNoteIndex = firstNoteIndex;
    publisher.#block = [...block];
    return publisher;
  }

  /** Leaves of the commits that were added. */
  get size(): number {
    return this.#size;
  }

  /** Leaves under the checkpoint that was published last. */
  get publishedSize(): number {
    return this.#publishedSize;
  }

  /** The next commit, which is durable in the spool. */
  async add(commit: Commit): Promise<void> {
    for (const blob of commit.blobs) {
      const name = toHex(this.#crypto.sha256(blob));
      await this.#begin(() => this.#folder.writeBlob(name, blob));
    }
    for (const leaf of commit.leaves) {
      this.#block.push(leaf);
      this.#size++;
      if (this.#block.length === TILE_WIDTH) await this.#writeFull(this.#size / TILE_WIDTH - 1);
    }
    this.#note = commit.note;
    this.#notes.push(commit.note);
    if (this.#notes.length === NOTES_PER_FILE) await this.#writeNotes();
  }

  /** Makes the size so far the published one; all that its checkpoint covers is durable before it. */
  async publish(): Promise<void> {
    if (this.#note === null || this.#publishedSize === this.#size) return;
    await this.#writePartials();
    await this.#written();
    await this.#folder.replaceCheckpoint(this.#note);
    this.#publishedSize = this.#size;
    for (const { level, index } of this.#full.splice(0)) {
      this.#tree.forget(level, index);
      if (level === 0) await this.#folder.removePartials(entriesPath(index, TILE_WIDTH));
      await this.#folder.removePartials(tilePath(level, index, TILE_WIDTH));
    }
  }

  /** What the folder has now, durably and without leftovers; null when it is not all that was added. */
  async part(): Promise<PublishedPart | null> {
    const [note, size] = [this.#note, this.#size];
    if (note === null || this.#publishedSize !== size) return null;
    const part = { size, note, notes: [...this.#notes], firstNoteIndex: this.#firstNoteIndex };
    await this.#folder.flush();
    return part;
  }

  /** After the last commit of the epoch: the folder is complete and durable. */
  async finish(): Promise<void> {
    if (this.#notes.length > 0) await this.#writeNotes();
    await this.publish();
    await this.#written();
    await this.#folder.flush();
  }

  /** Resolves when no write is on its way; what went wrong is told by others. */
  async idle(): Promise<void> {
    await Promise.all(this.#writing);
  }

  #write(path: string, bytes: Uint8Array): Promise<void> {
    return this.#begin(() => this.#folder.writeOnce(path, bytes));
  }

  /** The leaves of the block. Bundles are megabytes: their memory is used again when one is written. */
  #writeBundle(path: string): Promise<void> {
    let memory = this.#memory.pop() ?? new Uint8Array(0);
    const bundle = encodeEntryBundle(this.#block, (bytes) => {
      if (bytes > memory.length) memory = new Uint8Array(Math.max(bytes, 2 * memory.length));
      return memory.subarray(0, bytes);
    });
    return this.#begin(async () => {
      await this.#folder.writeOnce(path, bundle);
      this.#memory.push(memory);
    });
  }

  /** Resolves when the write has begun. */
  async #begin(write: () => Promise<void>): Promise<void> {
    while (this.#writing.size >= WRITES_AT_ONCE) await Promise.race(this.#writing);
    if (this.#failure !== null) throw this.#failure;
    const running = write()
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#writing.delete(running);
      });
    this.#writing.add(running);
  }

  /** Resolves when all writes are done. */
  async #written(): Promise<void> {
    await Promise.all(this.#writing);
    if (this.#failure !== null) throw this.#failure;
  }

  /** Bundle and tile `index` of level 0, and the tiles above that it completes. */
  async #writeFull(index: number): Promise<void> {
    await this.#writeBundle(entriesPath(index, TILE_WIDTH));
    this.#block = [];
    let [level, tile] = [0, index];
    for (;;) {
      await this.#write(tilePath(level, tile, TILE_WIDTH), this.#hashes(level, tile, TILE_WIDTH));
      this.#full.push({ level, index: tile });
      if ((tile + 1) % TILE_WIDTH !== 0) return;
      level++;
      tile = (tile + 1) / TILE_WIDTH - 1;
    }
  }

  async #writePartials(): Promise<void> {
    let hashes = this.#size;
    for (let level = 0; hashes > 0; level++) {
      const index = Math.floor(hashes / TILE_WIDTH);
      const width = hashes % TILE_WIDTH;
      if (width > 0) {
        const tile = this.#hashes(level, index, width);
        if (level === 0) {
          await this.#writeBundle(entriesPath(index, width));
        }
        await this.#write(tilePath(level, index, width), tile);
      }
      hashes = index;
    }
  }

  #hashes(level: number, index: number, width: number): Uint8Array {
    const tile = this.#tree.tile(level, index);
    if (tile === null || tile.length < width * HASH_BYTES) throw new Error('tree without a tile');
    return tile.subarray(0, width * HASH_BYTES);
  }

  async #writeNotes(): Promise<void> {
    const first = String(this.#firstNoteIndex).padStart(20, '0');
    const last = String(this.#size - 1).padStart(20, '0');
    const parts = this.#notes.flatMap((note) => {
      const head = new Uint8Array(4);
      writeU32(head, 0, note.length);
      return [head, note];
    });
    await this.#write(`commits/${first}-${last}`, concatBytes(...parts));
    this.#notes = [];
    this.#firstNoteIndex = this.#size;
  }
}
