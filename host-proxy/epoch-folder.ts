// Files of one epoch in the log folder (docs/PROTOCOL.md 7). All but `checkpoint` are written once: a
// temporary file, fsync, rename, mode 0444; one that is there must have the same bytes, so a folder can
// be completed after a crash by doing everything again. Trusts the disk; other bytes under a name that
// is written once are a FolderConflict and end the process.

import { equalBytes } from '../wire/bytes.ts';
import type { Files } from './files.ts';
import { makeDirectories } from './files.ts';

/** A file of the log folder is not what this log would write. */
export class FolderConflict extends Error {
  readonly path: string;

  constructor(path: string) {
    super(
      `the log folder already has other bytes in ${path}; move the folder away and look into it`,
    );
    this.name = 'FolderConflict';
    this.path = path;
  }
}

export function epochDirectory(logDirectory: string, epoch: number): string {
  return `${logDirectory}/epochs/${String(epoch).padStart(10, '0')}`;
}

export class EpochFolder {
  readonly #files: Files;
  readonly #log: string;
  readonly #directory: string;
  /** Directories with entries that are not durable yet. */
  readonly #dirty = new Set<string>();
  readonly #made = new Set<string>();
  #temporary = 0;

  constructor(files: Files, logDirectory: string, epoch: number) {
    this.#files = files;
    this.#log = logDirectory;
    this.#directory = epochDirectory(logDirectory, epoch);
  }

  /** Creates the folder and removes what a crash has left unfinished. */
  async open(): Promise<void> {
    await makeDirectories(this.#files, this.#log);
    for (const directory of [this.#temporaryDirectory, `${this.#log}/blobs`]) {
      await this.#makeDirectory(directory);
    }
    for (const name of this.#files.list(this.#temporaryDirectory)) {
      await this.#files.removeFile(`${this.#temporaryDirectory}/${name}`);
    }
  }

  /** Durable after the next `flush`. `path` is below the epoch's folder. */
  writeOnce(path: string, bytes: Uint8Array): Promise<void> {
    return this.#writeOnce(`${this.#directory}/${path}`, bytes);
  }

  writeBlob(sha256Hex: string, blob: Uint8Array): Promise<void> {
    return this.#writeOnce(`${this.#log}/blobs/${sha256Hex}`, blob);
  }

  /** All that was written is durable before the checkpoint that covers it is. */
  async replaceCheckpoint(note: Uint8Array): Promise<void> {
    await this.flush();
    const path = `${this.#directory}/checkpoint`;
    const now = this.#files.readFile(path, 1 << 20);
    if (now === null || !equalBytes(now, note)) await this.#write(path, note, 0o644);
    this.#dirty.add(this.#directory);
    await this.flush();
  }

  async flush(): Promise<void> {
    for (const directory of this.#dirty) {
      await this.#files.syncDirectory(directory);
      this.#dirty.delete(directory);
    }
  }

  read(path: string, maxBytes: number): Uint8Array | null {
    return this.#files.readFile(`${this.#directory}/${path}`, maxBytes);
  }

  /** Removes the partial tiles `<path>.p/…` of a tile whose full form is durable. */
  async removePartials(path: string): Promise<void> {
    const directory = `${this.#directory}/${path}.p`;
    if (!this.#files.isDirectory(directory)) return;
    for (const name of this.#files.list(directory)) {
      await this.#files.removeFile(`${directory}/${name}`);
    }
    this.#dirty.delete(directory);
    this.#made.delete(directory);
    await this.#files.removeDirectory(directory);
    this.#dirty.add(parentOf(directory));
  }

  get #temporaryDirectory(): string {
    return `${this.#log}/tmp`;
  }

  /** A directory that a crashed run has made may not be durable itself: synced once more by each run. */
  async #makeDirectory(path: string): Promise<void> {
    if (path === this.#log || this.#made.has(path)) return;
    const parent = parentOf(path);
    await this.#makeDirectory(parent);
    await this.#files.makeDirectory(path);
    await this.#files.syncDirectory(parent);
    this.#made.add(path);
  }

  async #writeOnce(path: string, bytes: Uint8Array): Promise<void> {
    const size = this.#files.size(path);
    if (size === null) {
      await this.#write(path, bytes, 0o444);
      return;
    }
    const there = size === bytes.length ? this.#files.readFile(path, size) : null;
    if (there === null || !equalBytes(there, bytes)) throw new FolderConflict(path);
    // A crashed run may have renamed it without syncing its directory.
    await this.#makeDirectory(parentOf(path));
    this.#dirty.add(parentOf(path));
  }

  async #write(path: string, bytes: Uint8Array, mode: number): Promise<void> {
    await this.#makeDirectory(parentOf(path));
    const temporary = `${this.#temporaryDirectory}/${this.#temporary++}`;
    const file = await this.#files.create(temporary);
    await file.write(bytes, 0);
    await file.setMode(mode);
    await file.sync();
    await file.close();
    await this.#files.rename(temporary, path);
    this.#dirty.add(parentOf(path));
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
