// What a backup is written to: whole, on the disk and under its name, or not there.

import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { DiskFailure } from '../files.ts';

/** Lines are short, and a write of its own for each would be most of the time. */
const FLUSH_CHARACTERS = 1 << 20;

/** Every rejection is a DiskFailure. */
export class BackupFile {
  readonly #path: string;
  readonly #part: string;
  readonly #handle: FileHandle;
  #waiting = '';

  private constructor(path: string, part: string, handle: FileHandle) {
    this.#path = path;
    this.#part = part;
    this.#handle = handle;
  }

  static async open(path: string): Promise<BackupFile> {
    const part = `${path}.part`;
    return new BackupFile(path, part, await done('open', path, open(part, 'w', 0o600)));
  }

  async write(text: string): Promise<void> {
    this.#waiting += text;
    if (this.#waiting.length >= FLUSH_CHARACTERS) await this.#flush();
  }

  async keep(): Promise<void> {
    await this.#flush();
    await done('sync', this.#path, this.#handle.sync());
    await done('close', this.#path, this.#handle.close());
    await done('rename', this.#path, rename(this.#part, this.#path));
  }

  /** Nothing is left of what was not kept. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#part, { force: true }).catch(() => undefined);
  }

  async #flush(): Promise<void> {
    const text = this.#waiting;
    this.#waiting = '';
    await done('write', this.#path, this.#handle.appendFile(text));
  }
}

async function done<T>(operation: string, path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new DiskFailure(operation, path, error);
  }
}
