// Brings a pinned Debian file into the cache, with apt's own downloader and so with its settings (proxy,
// mirror): first the mirrors that the machine has configured, then Debian's, then snapshot.debian.org for
// files that have left the mirrors. Nothing of the network is trusted: the hash decides.

import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CommandFailed, retry, runCommand } from './command.ts';
import { cacheFolder } from './lock.ts';
import type { PinnedFile } from './lock.ts';

const APT_HELPER = '/usr/lib/apt/apt-helper';
const DEBIAN = 'http://deb.debian.org/debian/';

let mirrors: Promise<readonly string[]> | null = null;

/** Asked once: apt takes a while to answer. */
function configuredMirrors(): Promise<readonly string[]> {
  mirrors ??= askMirrors();
  return mirrors;
}

async function askMirrors(): Promise<readonly string[]> {
  const format = ['--format', '$(REPO_URI)', 'ShortDesc: Packages', 'Origin: Debian'];
  const text = await runCommand(['apt-get', 'indextargets', ...format]).catch(() => '');
  const found = text.split('\n').filter((uri) => uri.endsWith('/debian/'));
  return [...new Set([...found, DEBIAN])];
}

async function isWhole(path: string, { sha256 }: PinnedFile): Promise<boolean> {
  const bytes = await readFile(path).catch(() => null);
  return bytes !== null && createHash('sha256').update(bytes).digest('hex') === sha256;
}

/** What has left a mirror does not come back. */
function isGone({ message }: CommandFailed): boolean {
  return /\b404 +Not Found/u.test(message);
}

/** The file's path in the cache. Throws CommandFailed with the last failure when no source has it. */
export async function fetchPinned(file: PinnedFile): Promise<string> {
  const folder = join(cacheFolder(), 'files');
  const path = join(folder, `${file.sha256.slice(0, 16)}-${basename(file.path)}`);
  if (await isWhole(path, file)) return path;
  await mkdir(folder, { recursive: true });
  const sources = [
    ...(await configuredMirrors()).map((mirror) => `${mirror}${file.path}`),
    `http://snapshot.debian.org/file/${file.sha1}`,
  ];
  const partial = `${path}.${String(process.pid)}`;
  let failure = '';
  for (const source of sources) {
    try {
      const hash = `SHA256:${file.sha256}`;
      await retry(() => runCommand([APT_HELPER, 'download-file', source, partial, hash]), isGone);
      if (!(await isWhole(partial, file))) throw new CommandFailed(`${source}: another file`);
      await rename(partial, path);
      return path;
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      failure = error.message;
    } finally {
      await rm(partial, { force: true });
    }
  }
  throw new CommandFailed(`${file.name}: no source has it; the last one said\n${failure}`);
}

/** Unpacks a Debian package below `root`. */
export async function unpackPackage(file: PinnedFile, root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  await runCommand(['dpkg-deb', '-x', await fetchPinned(file), root]);
}
