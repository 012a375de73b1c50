// Brings Ceph into the cache: the pinned packages, or, when they are nowhere any more, those of today. Unpacked
// into a folder; nothing is installed and no right of root is needed.

import { createHash } from 'node:crypto';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailed, runCommand } from '../vm/command.ts';
import { fetchPinned } from '../vm/fetch.ts';
import { cacheFolder } from '../vm/lock.ts';
import type { PinnedFile } from '../vm/lock.ts';
import { readCephLock } from './lock.ts';
import type { CephLock } from './lock.ts';
import { resolveCeph } from './resolve.ts';

export interface CephFiles {
  /** The folder in place of `/`. */
  readonly root: string;
  readonly version: string;
  readonly isPinned: boolean;
}

const AT_A_TIME = 6;

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What this machine lacks; null when nothing is missing. */
export async function missingTools(): Promise<string | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'an x86-64 Linux machine';
  for (const path of ['/usr/lib/apt/apt-helper', '/usr/bin/dpkg-deb', '/usr/bin/setpriv']) {
    if (!(await exists(path))) return `Debian (${path})`;
  }
  return null;
}

async function fetchAll(files: readonly PinnedFile[]): Promise<readonly string[]> {
  const paths: string[] = [];
  const left = [...files.entries()];
  const work = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      paths[next[0]] = await fetchPinned(next[1]);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return paths;
}

/** The folder in place of `/`, unpacked when it is not there. `kind` and version name it. */
export async function unpackAll(
  { files, version }: CephLock,
  folder: string,
  kind: string,
): Promise<string> {
  const hashes = files.map(({ sha256 }) => sha256).join();
  const key = createHash('sha256').update(hashes).digest('hex').slice(0, 16);
  const root = join(cacheFolder(), folder, `${kind}-${version}-${key}`);
  if (await exists(root)) return root;
  const partial = `${root}.${String(process.pid)}`;
  try {
    const paths = await fetchAll(files);
    await mkdir(partial, { recursive: true });
    for (const path of paths) await runCommand(['dpkg-deb', '-x', path, partial]);
    await rename(partial, root);
  } catch (error) {
    // Another process was faster.
    if (!(await exists(root))) throw error;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return root;
}

/** Throws CommandFailed, which says what is missing or what the last source answered. */
export async function openCeph(say: (line: string) => void): Promise<CephFiles> {
  const lacking = await missingTools();
  if (lacking !== null) throw new CommandFailed(`Ceph needs ${lacking}`);
  const lock = await readCephLock();
  try {
    return { root: await unpackAll(lock, 's3', 'ceph'), version: lock.version, isPinned: true };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    say(`the pinned Ceph ${lock.version} is not to be had: ${error.message}`);
  }
  const today = await resolveCeph();
  say(`taking Ceph ${today.version}, which Debian has today; pin it with scripts/s3/resolve.ts`);
  return { root: await unpackAll(today, 's3', 'ceph'), version: today.version, isPinned: false };
}
