// A folder as a store: one file per key, mode 0444. A name appears only by link(2), which fails where there is
// one, after the bytes are on disk: no writer, and no crash, replaces or halves anything. There is one version
// and no retention: whoever owns the folder can delete it, and its lock says `none`. Trusts kernel and disk;
// symbolic links are not followed.

import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { link, mkdir, open, readdir, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { equalBytes } from '../../bytes.ts';
import { isObjectKey } from '../../host-keys.ts';
import { nodeCrypto } from '../crypto.ts';
import { StoreError } from './store.ts';
import type {
  ObjectHead,
  ObjectLock,
  ObjectStore,
  ObjectVersion,
  PutOptions,
  PutResult,
  StoredObject,
} from './store.ts';

/** What S3 calls the only version of an object in a bucket without versioning. */
const VERSION = 'null';
const LOCK: ObjectLock = { mode: 'none', retainUntil: null, legalHold: false };
/** Not the name of any key. */
const INCOMING = '~incoming';
/** What is older there belongs to a process that has ended. */
const ABANDONED_MS: number = 3600 * 1000;

/** What makes writes durable; handed in by tests that break the disk. */
export interface FolderDisk {
  readonly sync: (handle: FileHandle) => Promise<void>;
}

const REAL_DISK: FolderDisk = { sync: (handle) => handle.sync() };

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

export class FolderStore implements ObjectStore {
  readonly name: string;
  readonly #root: string;
  readonly #disk: FolderDisk;
  /** After a failed fsync nobody knows what is on disk: nothing more is promised. */
  #failure: StoreError | null = null;
  /** Folders whose own names are durable. */
  readonly #durable = new Set<string>();

  constructor(root: string, disk: FolderDisk = REAL_DISK) {
    this.name = root;
    this.#root = resolve(root);
    this.#disk = disk;
  }

  async putOnce(key: string, bytes: Uint8Array, _options: PutOptions): Promise<PutResult> {
    const path = this.#path(key);
    return this.#attempt(key, async () => {
      await this.#makeFolder(dirname(path));
      const isNew = await this.#write(path, bytes);
      // Also of what was there: whoever wrote it may have ended before its name was durable.
      await this.#syncFolder(dirname(path));
      if (isNew) return { outcome: 'written', versionId: VERSION };
      const isSame = await this.#holds(path, bytes);
      return { outcome: isSame ? 'same' : 'different', versionId: VERSION };
    });
  }

  async get(key: string, maxBytes: number, versionId?: string): Promise<StoredObject | null> {
    const path = this.#path(key);
    if (versionId !== undefined && versionId !== VERSION) return null;
    return this.#attempt(key, async () => {
      const bytes = await this.#read(path, maxBytes);
      if (bytes === null) return null;
      return { bytes, versionId: VERSION, sha256: nodeCrypto.sha256(bytes), lock: LOCK };
    });
  }

  async head(key: string, versionId?: string): Promise<ObjectHead | null> {
    const path = this.#path(key);
    if (versionId !== undefined && versionId !== VERSION) return null;
    return this.#attempt(key, () =>
      this.#open(path, async (handle) => {
        const { size } = await handle.stat();
        return { key, versionId: VERSION, bytes: size, sha256: null, lock: LOCK };
      }),
    );
  }

  async *list(prefix: string, after = ''): AsyncIterable<ObjectVersion> {
    yield* this.#walk('', prefix, after);
  }

  async *#walk(folder: string, prefix: string, after: string): AsyncIterable<ObjectVersion> {
    const entries = await this.#attempt(folder, async () =>
      readdir(join(this.#root, folder), { withFileTypes: true }).catch((error: unknown) => {
        if (ABSENT.has(codeOf(error))) return [];
        throw error;
      }),
    );
    // A folder sorts as its keys do, slash included.
    const names = entries
      .filter((entry) => entry.isFile() || (entry.isDirectory() && entry.name !== INCOMING))
      .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .sort((a, b) => (a < b ? -1 : 1));
    for (const name of names) {
      if (name.endsWith('/')) {
        const isOnTheWay = name.startsWith(prefix) || prefix.startsWith(name);
        const isPast = name < after && !after.startsWith(name);
        if (isOnTheWay && !isPast) yield* this.#walk(name, prefix, after);
      } else if (name.startsWith(prefix) && name > after) {
        const version = await this.#describe(name);
        if (version !== null) yield version;
      }
    }
  }

  #describe(key: string): Promise<ObjectVersion | null> {
    return this.#attempt(key, () =>
      this.#open(join(this.#root, key), async (handle) => {
        const { size, mtime } = await handle.stat();
        const one = { isDeleteMarker: false, ordinal: 1 } as const;
        return { key, versionId: VERSION, ...one, bytes: size, modified: mtime };
      }),
    );
  }

  #path(key: string): string {
    if (!isObjectKey(key)) throw new StoreError('key_invalid');
    return join(this.#root, key);
  }

  async #attempt<T>(key: string, act: () => Promise<T>): Promise<T> {
    if (this.#failure !== null) throw this.#failure;
    try {
      return await act();
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw new StoreError('disk_failed', { key, reason: codeOf(error) });
    }
  }

  /** Null for what is no regular file. */
  async #open<T>(path: string, act: (handle: FileHandle) => Promise<T>): Promise<T | null> {
    let handle: FileHandle;
    try {
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      if (ABSENT.has(codeOf(error))) return null;
      throw error;
    }
    try {
      return (await handle.stat()).isFile() ? await act(handle) : null;
    } finally {
      await handle.close();
    }
  }

  #read(path: string, maxBytes: number): Promise<Uint8Array | null> {
    return this.#open(path, async (handle) => {
      const { size } = await handle.stat();
      if (size > maxBytes) throw new StoreError('too_large', { bytes: size, maximum: maxBytes });
      const bytes = new Uint8Array(size);
      const { bytesRead } = await handle.read(bytes, 0, size, 0);
      if (bytesRead !== size) throw new StoreError('disk_failed', { reason: 'short read' });
      return bytes;
    });
  }

  async #holds(path: string, bytes: Uint8Array): Promise<boolean> {
    try {
      const there = await this.#read(path, bytes.length);
      return there !== null && equalBytes(there, bytes);
    } catch (error) {
      if (error instanceof StoreError && error.code === 'too_large') return false;
      throw error;
    }
  }

  /** False where there is a file of this name. */
  async #write(path: string, bytes: Uint8Array): Promise<boolean> {
    const temporary = join(await this.#incoming(), randomUUID());
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.chmod(0o444);
      await this.#sync(handle);
      await link(temporary, path);
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    } finally {
      await handle.close();
      await unlink(temporary);
    }
  }

  async #incoming(): Promise<string> {
    const folder = join(this.#root, INCOMING);
    if (this.#durable.has(folder)) return folder;
    await this.#makeFolder(folder);
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.NaN }));
      if (Date.now() - mtimeMs > ABANDONED_MS) await unlink(path).catch(() => null);
    }
    return folder;
  }

  /** Makes it, and its name and those above it durable, up to the root. */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#durable.has(folder)) return;
    if (folder === this.#root) await mkdir(folder, { recursive: true });
    else {
      await this.#makeFolder(dirname(folder));
      await mkdir(folder, { recursive: true });
    }
    // Also when another process has made it: its name may not be durable yet.
    await this.#syncFolder(dirname(folder));
    this.#durable.add(folder);
  }

  async #syncFolder(folder: string): Promise<void> {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await this.#sync(handle);
    } finally {
      await handle.close();
    }
  }

  async #sync(handle: FileHandle): Promise<void> {
    try {
      await this.#disk.sync(handle);
    } catch (error) {
      this.#failure = new StoreError('disk_failed', { reason: codeOf(error) });
      throw this.#failure;
    }
  }
}
