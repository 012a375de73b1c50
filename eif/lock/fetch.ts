// Pinned packages, from the cache or from the network. The hash decides in both cases: a file in the cache
// that is not the pinned one is thrown away, a download that is not is never kept. A package that no address
// has in the pinned form is refused; nothing newer is taken instead.

import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Download } from './download.ts';
import { digestFile } from './files.ts';
import type { LockedPackage } from './lock.ts';

export interface FetchOptions {
  readonly cache: string;
  /** In the order in which they are tried. */
  readonly addresses: (wanted: LockedPackage) => readonly string[];
  readonly downloads: readonly Download[];
  /** Between rounds over all addresses: as many further rounds as there are pauses. */
  readonly pausesMs?: readonly number[];
  readonly onProgress?: (text: string) => void;
}

const PAUSES_MS: readonly number[] = [2000, 10_000];
const PARALLEL = 4;
let attempts = 0;

async function isPinned(path: string, { bytes, sha256 }: LockedPackage): Promise<boolean> {
  try {
    const digest = await digestFile(path);
    return digest.bytes === bytes && digest.sha256 === sha256;
  } catch {
    return false;
  }
}

/** The path of the package in the cache. Refuses `input_unavailable`, `input_changed`. */
export async function fetchPackage(
  wanted: LockedPackage,
  options: FetchOptions,
): Promise<Result<string>> {
  const folder = join(options.cache, 'inputs');
  const path = join(folder, wanted.sha256);
  if (await isPinned(path, wanted)) return accept(path);
  await mkdir(folder, { recursive: true });
  await rm(path, { force: true });
  let last = 'no address';
  let changed = false;
  const addresses = options.addresses(wanted);
  for (const pauseMs of [0, ...(options.pausesMs ?? PAUSES_MS)]) {
    if (pauseMs > 0) await sleep(pauseMs);
    for (const address of addresses) {
      for (const download of options.downloads) {
        const partial = `${path}.${String(process.pid)}.${String(attempts++)}`;
        const failure = await download(address, partial, wanted.bytes);
        if (failure === null && (await isPinned(partial, wanted))) {
          await rename(partial, path);
          return accept(path);
        }
        await rm(partial, { force: true });
        changed ||= failure === null;
        last = `${address}: ${failure ?? 'other bytes than the pinned ones'}`;
      }
    }
  }
  const { name, version, sha256 } = wanted;
  const detail = {
    package: name,
    version,
    sha256,
    rounds: 1 + (options.pausesMs ?? PAUSES_MS).length,
    last,
  };
  return refuse(changed ? 'input_changed' : 'input_unavailable', detail);
}

/** Paths by package name. Refuses as `fetchPackage`, with the first that cannot be had. */
export async function fetchPackages(
  packages: readonly LockedPackage[],
  options: FetchOptions,
): Promise<Result<ReadonlyMap<string, string>>> {
  const paths = new Map<string, string>();
  const queue = [...packages];
  let failed: Result<never> | null = null;
  const work = async (): Promise<void> => {
    for (;;) {
      const wanted = queue.shift();
      if (wanted === undefined || failed !== null) return;
      const path = await fetchPackage(wanted, options);
      if (!path.ok) {
        failed = path;
        return;
      }
      paths.set(wanted.name, path.value);
      options.onProgress?.(
        `inputs ${String(paths.size)} of ${String(packages.length)}: ${wanted.name}`,
      );
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return failed ?? accept(paths);
}
