// The few file operations that durability rests on, behind an interface, so that tests can lose unsynced
// writes, tear pages, fill the disk and fail fsync. Trusts the kernel and the disk to keep what fsync
// has confirmed. After any failed sync the kernel may have dropped the dirty pages, so nothing here
// retries: a DiskFailure ends the process, and the next start recovers from what is on the disk.

import * as fs from 'node:fs';
import { promisify } from 'node:util';

const [open, write, fdatasync, fsync, fchmod, close] = [
  promisify(fs.open),
  promisify(fs.write),
  promisify(fs.fdatasync),
  promisify(fs.fsync),
  promisify(fs.fchmod),
  promisify(fs.close),
];

/** Fatal: the process must stop and recover at its next start. */
export class DiskFailure extends Error {
  readonly operation: string;
  readonly path: string;
  /** The system's error code, for example ENOSPC or EIO. */
  readonly systemCode: string;

  constructor(operation: string, path: string, cause: unknown) {
    const code = systemCodeOf(cause);
    super(`${operation} failed with ${code}: ${path}`, { cause });
    this.name = 'DiskFailure';
    this.operation = operation;
    this.path = path;
    this.systemCode = code;
  }
}

function systemCodeOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : 'UNKNOWN';
}

export interface OpenFile {
  /** Writes all of `bytes` at `position`, or rejects; nothing is durable before a sync. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Data and size are durable when it resolves; the directory entry is not. */
  datasync(): Promise<void>;
  sync(): Promise<void>;
  setMode(mode: number): Promise<void>;
  close(): Promise<void>;
}

/** Every rejection is a DiskFailure. Paths are absolute or relative to the process. */
export interface Files {
  /** Creates a file that must not exist, for writing. */
  create(path: string): Promise<OpenFile>;
  /** The whole file, or null when it is not there. Throws a DiskFailure when larger than `maxBytes`. */
  readFile(path: string, maxBytes: number): Uint8Array | null;
  /** `bytes` from `position`, fewer at the end of the file; null when the file is not there. */
  readAt(path: string, position: number, bytes: number): Uint8Array | null;
  /** Size in bytes, or null when there is no such file. */
  size(path: string): number | null;
  isDirectory(path: string): boolean;
  /** Names in a directory, sorted; empty when it is not there. */
  list(directory: string): readonly string[];
  /** One level; false when it was there. */
  makeDirectory(path: string): Promise<boolean>;
  rename(from: string, to: string): Promise<void>;
  removeFile(path: string): Promise<void>;
  /** An empty directory. */
  removeDirectory(path: string): Promise<void>;
  /** Makes durable what a killed process has written to a file and not synced. */
  syncFile(path: string): Promise<void>;
  /** Makes creations, renames and removals in it durable. */
  syncDirectory(path: string): Promise<void>;
}

/** Runs one operation; whatever it throws becomes a DiskFailure. */
export async function attempt<T>(
  operation: string,
  path: string,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw new DiskFailure(operation, path, error);
  }
}

function attemptNow<T>(operation: string, path: string, run: () => T): T | null {
  try {
    return run();
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    throw new DiskFailure(operation, path, error);
  }
}

class NodeFile implements OpenFile {
  readonly #descriptor: number;
  readonly #path: string;

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.#path = path;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await attempt('write', this.#path, async () => {
      let done = 0;
      while (done < bytes.length) {
        const left = bytes.length - done;
        const { bytesWritten } = await write(this.#descriptor, bytes, done, left, position + done);
        if (bytesWritten === 0) throw new Error('write of no bytes');
        done += bytesWritten;
      }
    });
  }

  datasync(): Promise<void> {
    return attempt('fdatasync', this.#path, () => fdatasync(this.#descriptor));
  }

  sync(): Promise<void> {
    return attempt('fsync', this.#path, () => fsync(this.#descriptor));
  }

  setMode(mode: number): Promise<void> {
    return attempt('chmod', this.#path, () => fchmod(this.#descriptor, mode));
  }

  close(): Promise<void> {
    return attempt('close', this.#path, () => close(this.#descriptor));
  }
}

function readDescriptor(descriptor: number, position: number, bytes: number): Uint8Array {
  const buffer = new Uint8Array(bytes);
  let done = 0;
  while (done < bytes) {
    const count = fs.readSync(descriptor, buffer, done, bytes - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return buffer.subarray(0, done);
}

function readAt(path: string, position: number, bytes: number): Uint8Array | null {
  return attemptNow('read', path, () => {
    const descriptor = fs.openSync(path, 'r');
    try {
      return readDescriptor(descriptor, position, bytes);
    } finally {
      fs.closeSync(descriptor);
    }
  });
}

/** The real file system. */
export const nodeFiles: Files = {
  create: (path) =>
    attempt('create', path, async () => new NodeFile(await open(path, 'wx+', 0o644), path)),
  readFile: (path, maxBytes) => {
    const bytes = readAt(path, 0, Math.min(maxBytes, nodeFiles.size(path) ?? 0) + 1);
    if (bytes !== null && bytes.length > maxBytes) {
      throw new DiskFailure('read', path, new Error('file too large'));
    }
    return bytes;
  },
  readAt,
  size: (path) => attemptNow('stat', path, () => fs.statSync(path).size),
  isDirectory: (path) => attemptNow('stat', path, () => fs.statSync(path).isDirectory()) ?? false,
  list: (directory) => attemptNow('list', directory, () => fs.readdirSync(directory).sort()) ?? [],
  makeDirectory: (path) =>
    attempt('mkdir', path, async () => {
      try {
        await fs.promises.mkdir(path);
        return true;
      } catch (error) {
        if (systemCodeOf(error) === 'EEXIST') return false;
        throw error;
      }
    }),
  rename: (from, to) => attempt('rename', to, () => fs.promises.rename(from, to)),
  removeFile: (path) => attempt('unlink', path, () => fs.promises.unlink(path)),
  removeDirectory: (path) => attempt('rmdir', path, () => fs.promises.rmdir(path)),
  syncFile: (path) => attempt('fsync', path, () => syncPath(path)),
  syncDirectory: (path) => attempt('fsync directory', path, () => syncPath(path)),
};

async function syncPath(path: string): Promise<void> {
  const descriptor = await open(path, 'r');
  try {
    await fsync(descriptor);
  } finally {
    await close(descriptor);
  }
}

/** Creates a directory and those above it that are missing, durably. */
export async function makeDirectories(files: Files, path: string): Promise<void> {
  const cut = path.lastIndexOf('/');
  const parent = cut > 0 ? path.slice(0, cut) : '/';
  if (files.isDirectory(path)) {
    // Whoever made it may have been killed before it was durable; those above it were before.
    await syncUnlessClosed(files, parent);
    return;
  }
  if (cut > 0) await makeDirectories(files, parent);
  await files.makeDirectory(path);
  await files.syncDirectory(parent);
}

/** Where the operator's own folders begin, the one above may be closed to us. */
async function syncUnlessClosed(files: Files, directory: string): Promise<void> {
  try {
    await files.syncDirectory(directory);
  } catch (error) {
    if (!(error instanceof DiskFailure) || error.systemCode !== 'EACCES') throw error;
  }
}
