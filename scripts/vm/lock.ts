// What the emulated machine is made of: Debian's files by pool path and hash, and the packages that a build of
// QEMU needs. The lock is trusted as far as the repository is; a file is used only when its hash agrees.

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

export interface PinnedFile {
  readonly name: string;
  /** Below the root of a Debian mirror. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** How snapshot.debian.org names a file; never what decides. */
  readonly sha1: string;
}

export interface VmLock {
  readonly files: readonly PinnedFile[];
  readonly build_packages: readonly string[];
}

const lockSchema: z.ZodType<VmLock> = z.strictObject({
  files: z.array(
    z.strictObject({
      name: z.string(),
      path: z.string().regex(/^pool\/[\w.+~/-]+$/u),
      bytes: z.number().int().positive(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/u),
      sha1: z.string().regex(/^[0-9a-f]{40}$/u),
    }),
  ),
  build_packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/u)),
});

export async function readVmLock(): Promise<VmLock> {
  const text = await readFile(join(import.meta.dirname, 'vm.lock.json'), 'utf8');
  return lockSchema.parse(JSON.parse(text));
}

/** The file of this name; without one the lock is wrong, which is a bug of ours. */
export function pinned(lock: VmLock, name: string): PinnedFile {
  const found = lock.files.find((file) => file.name === name);
  if (found === undefined) throw new Error(`vm.lock.json has no ${name}`);
  return found;
}

/** Downloads and builds, by hash: never needed again once they are there. */
export function cacheFolder(): string {
  return process.env['TRACKSEAL_CACHE'] ?? join(homedir(), '.cache', 'trackseal');
}
