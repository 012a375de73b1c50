// Hashes of files and folders, and the place where what was fetched or built is kept. The cache is not
// trusted: what comes out of it is hashed again.

import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface FileDigest {
  readonly bytes: number;
  readonly sha256: string;
}

/** Larger files are read in pieces. */
const WHOLE_FILE_BYTES: number = 4 * 1024 * 1024;

/** Throws what the file system throws. */
export async function digestFile(path: string): Promise<FileDigest> {
  const hash = createHash('sha256');
  if (statSync(path).size <= WHOLE_FILE_BYTES) {
    // Thousands of small files: the thread pool costs more than the reading.
    const data = readFileSync(path);
    return { bytes: data.length, sha256: hash.update(data).digest('hex') };
  }
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const data = chunk as Buffer;
    hash.update(data);
    bytes += data.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * Of a folder: SHA-256 of one line `<sha256>  <path>` per file, `<target> -> <path>` per symbolic link, sorted
 * by path. Modes, times and empty folders are not in it. Throws what the file system throws.
 */
export async function digestFolder(folder: string): Promise<FileDigest> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => ({ path: join(entry.parentPath, entry.name), isLink: entry.isSymbolicLink() }));
  files.sort((a, b) => compareText(a.path, b.path));
  const hash = createHash('sha256');
  let bytes = 0;
  for (const { path, isLink } of files) {
    const name = path.slice(folder.length + 1);
    if (isLink) {
      hash.update(`${await readlink(path)} -> ${name}\n`);
      continue;
    }
    const digest = await digestFile(path);
    bytes += digest.bytes;
    hash.update(`${digest.sha256}  ${name}\n`);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** `TRACKSEAL_CACHE`, or `~/.cache/trackseal`. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>>): string {
  const named = env['TRACKSEAL_CACHE'] ?? '';
  return named === '' ? join(homedir(), '.cache', 'trackseal') : resolve(named);
}
