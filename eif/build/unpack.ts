// Debian packages unpacked into folders of the cache, named by what is in them. No script of a package runs.
// A folder is made beside its place and renamed, and carries the digest of its content: one that was changed
// since is made anew.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { digestFolder } from '../lock/files.ts';
import type { LockedPackage } from '../lock/lock.ts';

/** Part of the names: a change here makes new folders. */
const RECIPE = 'unpack 2';

/** Thousands of files that no build reads. */
const NOT_NEEDED = ['usr/share/doc', 'usr/share/info', 'usr/share/locale', 'usr/share/man'];

export interface UnpackRequest {
  readonly cache: string;
  readonly packages: readonly LockedPackage[];
  /** Paths of the packages, by name. */
  readonly files: () => Promise<Result<ReadonlyMap<string, string>>>;
  /** Empty folders and symbolic links beside what the packages hold. */
  readonly folders: readonly string[];
  readonly links: Readonly<Record<string, string>>;
}

function nameOf({ packages, folders, links }: UnpackRequest): string {
  const hashes = packages.map(({ sha256 }) => sha256);
  const content = JSON.stringify([RECIPE, hashes, folders, links]);
  return createHash('sha256').update(content).digest('hex');
}

async function isComplete(folder: string): Promise<boolean> {
  try {
    const digest = await digestFolder(join(folder, 'root'));
    return (await readFile(join(folder, 'digest'), 'utf8')) === digest.sha256;
  } catch {
    return false;
  }
}

async function fill(
  root: string,
  request: UnpackRequest,
  files: ReadonlyMap<string, string>,
): Promise<void> {
  await mkdir(root, { recursive: true });
  await chmod(root, 0o755);
  for (const { name } of request.packages) {
    await promisify(execFile)('dpkg-deb', ['--extract', files.get(name) ?? '', root]);
  }
  for (const path of NOT_NEEDED) await rm(join(root, path), { recursive: true, force: true });
  for (const path of request.folders) await mkdir(join(root, path), { recursive: true });
  for (const [path, target] of Object.entries(request.links)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await symlink(target, join(root, path));
  }
}

/** The folder with the packages' content. Refuses `toolchain_unusable` without dpkg-deb, and as `files` does. */
export async function unpackPackages(request: UnpackRequest): Promise<Result<string>> {
  const folder = join(request.cache, 'roots', nameOf(request));
  if (await isComplete(folder)) return accept(join(folder, 'root'));
  const files = await request.files();
  if (!files.ok) return files;
  const partial = `${folder}.${String(process.pid)}`;
  await rm(partial, { recursive: true, force: true });
  try {
    await fill(join(partial, 'root'), request, files.value);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    const why = error instanceof Error ? error.message : String(error);
    return refuse('toolchain_unusable', { needs: 'dpkg-deb, of the package dpkg', why });
  }
  const { sha256 } = await digestFolder(join(partial, 'root'));
  await writeFile(join(partial, 'digest'), sha256);
  await rm(folder, { recursive: true, force: true });
  await rename(partial, folder);
  return accept(join(folder, 'root'));
}
