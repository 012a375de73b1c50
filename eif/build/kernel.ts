// The image's kernel, built once per set of inputs from the pinned source and eif/kernel/config, in the pinned
// toolchain. Neither user, host, date, folder nor the number of processors is in the result. The finished
// configuration must have every line of ours: what a dependency makes void is refused, never lost silently.

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { cacheFolder, digestFile } from '../lock/files.ts';
import type { ImageLock } from '../lock/lock.ts';
import { ROOT } from './bundles.ts';
import type { Toolchain, ToolchainOptions } from './toolchain.ts';
import { openPackages } from './toolchain.ts';

/** From the root of the project. */
export const KERNEL_CONFIG = 'eif/kernel/config';

/** Measured with the kernel, in PCR1. docs/decisions/0012-the-kernel.md has the reason for each word. */
export const KERNEL_COMMAND_LINE =
  'reboot=t panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on tsc=reliable quiet';

/** Part of the cache's names: a change here builds anew. */
const RECIPE = 'kernel 1';
const TREE = '/build/linux-source-6.12';
const FIXED: Readonly<Record<string, string>> = {
  KBUILD_BUILD_TIMESTAMP: '@1',
  KBUILD_BUILD_USER: 'trackseal',
  KBUILD_BUILD_HOST: 'trackseal',
  KBUILD_BUILD_VERSION: '1',
};
const UNPACK = [
  'tar',
  '--no-same-owner',
  '-C',
  '/build',
  '-xf',
  '/mnt/src/linux-source-6.12.tar.xz',
];
const CONFIGURE = ['make', '-s', 'KCONFIG_ALLCONFIG=/build/wanted', 'allnoconfig'];

export interface Kernel {
  /** Of the bzImage. */
  readonly path: string;
  /** The complete .config. */
  readonly configPath: string;
  readonly sha256: string;
}

/** The first line of `wanted` that the finished configuration does not have; null when it has all. */
export function missingLine(wanted: string, finished: string): string | null {
  const lines = new Set(finished.split('\n'));
  const names = new Set([...lines].map((line) => /^(CONFIG_\w+)=/u.exec(line)?.[1]));
  const isMissing = (line: string): boolean => {
    const off = /^# (CONFIG_\w+) is not set$/u.exec(line)?.[1];
    // What is off may be absent: an option whose own conditions are off has no line at all.
    if (off !== undefined) return names.has(off);
    return line.startsWith('CONFIG_') && !lines.has(line);
  };
  return wanted.split('\n').find((line) => isMissing(line)) ?? null;
}

function keyOf(toolchain: Toolchain, lock: ImageLock, config: string): string {
  const source = lock.debian.packages.filter(({ use }) => use.includes('kernel'));
  const packages = [...source, ...toolchain.packages].map(({ sha256 }) => sha256);
  const key = JSON.stringify([RECIPE, FIXED, UNPACK, CONFIGURE, packages, config]);
  return createHash('sha256').update(key).digest('hex');
}

/** What was built before, if it is still what was built. */
async function findBuilt(folder: string): Promise<Kernel | null> {
  const path = join(folder, 'bzImage');
  try {
    const { sha256 } = await digestFile(path);
    if ((await readFile(join(folder, 'sha256'), 'utf8')) !== sha256) return null;
    return { path, configPath: join(folder, 'config'), sha256 };
  } catch {
    return null;
  }
}

async function build(
  work: string,
  toolchain: Toolchain,
  lock: ImageLock,
  config: string,
  options: ToolchainOptions,
): Promise<Result<null>> {
  const source = await openPackages(lock, 'kernel', options);
  if (!source.ok) return source;
  await writeFile(join(work, 'wanted'), config);
  const mounts = [{ source: join(source.value, 'usr/src'), target: '/mnt/src' }];
  const unpacked = await toolchain.run(UNPACK, { work, mounts });
  if (!unpacked.ok) return unpacked;
  const inTree = { work, cwd: TREE, env: FIXED };
  const configured = await toolchain.run(CONFIGURE, inTree);
  if (!configured.ok) return configured;
  const tree = join(work, TREE.slice('/build/'.length));
  const missing = missingLine(config, await readFile(join(tree, '.config'), 'utf8'));
  if (missing !== null) return refuse('build_failed', { file: KERNEL_CONFIG, missing });
  const jobs = `-j${String(availableParallelism())}`;
  const built = await toolchain.run(['nice', '-n', '10', 'make', '-s', jobs, 'bzImage'], inTree);
  if (!built.ok) return built;
  await copyFile(join(tree, 'arch/x86/boot/bzImage'), join(work, 'bzImage'));
  await copyFile(join(tree, '.config'), join(work, 'config'));
  return accept(null);
}

/**
 * From the cache, or built in about 8 minutes on two processors, with 2 GB of disk meanwhile. Refuses
 * `build_failed`, and as `openPackages` does.
 */
export async function buildKernel(
  toolchain: Toolchain,
  lock: ImageLock,
  options: ToolchainOptions = {},
): Promise<Result<Kernel>> {
  const config = await readFile(join(ROOT, KERNEL_CONFIG), 'utf8');
  const cache = join(cacheFolder(options.env ?? process.env), 'kernels');
  const folder = join(cache, keyOf(toolchain, lock, config));
  const found = await findBuilt(folder);
  if (found !== null) return accept(found);
  options.onProgress?.('building the kernel; this takes minutes, and is done once');
  const work = `${folder}.${String(process.pid)}`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    const built = await build(work, toolchain, lock, config, options);
    if (!built.ok) return built;
    const { sha256 } = await digestFile(join(work, 'bzImage'));
    const done = `${work}.done`;
    await mkdir(done);
    for (const name of ['bzImage', 'config']) await rename(join(work, name), join(done, name));
    await writeFile(join(done, 'sha256'), sha256);
    await rm(folder, { recursive: true, force: true });
    await rename(done, folder);
    return accept({ path: join(folder, 'bzImage'), configPath: join(folder, 'config'), sha256 });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
