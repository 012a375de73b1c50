// An image from pinned inputs: checks them against the lock, compiles, lays out the two ramdisks, compresses
// them with the pinned gzip and writes the file. The same lock and the same files of the builder give the same
// bytes; machine, user, folder, time and number of processors are not in them.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { ImageLock } from '../lock/lock.ts';
import { encodeLock } from '../lock/lock.ts';
import { readLock } from '../lock/read.ts';
import { EXAMPLE_COMMITMENT, checkInputs, repositoryInputs } from '../lock/repository.ts';
import { encodeMetadata } from '../metadata.ts';
import type { RamdiskEntry } from '../ramdisk.ts';
import { encodeRamdisk } from '../ramdisk.ts';
import { encodeEif } from '../writer.ts';
import type { BootParts } from './boot-parts.ts';
import { blobParts, bootEntries, ownParts } from './boot-parts.ts';
import type { Bundle } from './bundles.ts';
import { ROOT, bundleImage } from './bundles.ts';
import type { MeasuredFiles } from './measured.ts';
import { measuredOf } from './measured.ts';
import { compilePrograms } from './programs.ts';
import type { RootFile } from './rootfs.ts';
import { applicationEntries, rootFiles } from './rootfs.ts';
import type { Toolchain, ToolchainOptions } from './toolchain.ts';
import { openPackages, openToolchain } from './toolchain.ts';

export interface ImageOptions extends ToolchainOptions, MeasuredFiles {
  /** nitro-cli's folder of kernel, command line, init and module, or null for our own. */
  readonly blobs: string | null;
}

export interface BuiltImage {
  readonly eif: Uint8Array;
  readonly rootFiles: readonly RootFile[];
  /** Before and after compression. */
  readonly ramdisks: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly compressed: number;
  }[];
}

const IMAGE_NAME = 'trackseal';

/** The files of an image without options: the example strategy, no owner, no hosts. */
export function exampleFiles(): MeasuredFiles {
  return { commitments: [join(ROOT, EXAMPLE_COMMITMENT)], owner: null, hosts: null };
}

/** Refuses `input_missing`, `input_changed`, `lock_malformed`. */
async function checkedLock(): Promise<Result<ImageLock>> {
  const lock = await readLock();
  if (!lock.ok) return lock;
  const inputs = await repositoryInputs();
  if (!inputs.ok) return inputs;
  const checked = checkInputs(lock.value, inputs.value);
  return checked.ok ? lock : checked;
}

/** Sources may have changed since they were checked: what goes in is compared itself. */
async function pinnedBundles(lock: ImageLock): Promise<Result<readonly Bundle[]>> {
  const bundles = await bundleImage();
  const pinned = new Map(lock.bundles.map(({ path, sha256 }) => [path, sha256]));
  const other = bundles.find(({ name, sha256 }) => pinned.get(name) !== sha256);
  return other === undefined ? accept(bundles) : refuse('input_changed', { input: other.name });
}

/** With the toolchain's gzip: compressors differ between versions and processors. */
async function compress(
  toolchain: Toolchain,
  work: string,
  entries: readonly RamdiskEntry[],
): Promise<Result<{ bytes: number; data: Uint8Array }>> {
  const archive = encodeRamdisk(entries);
  await writeFile(join(work, 'ramdisk'), archive);
  const done = await toolchain.run(['gzip', '-n9f', 'ramdisk'], { work });
  if (!done.ok) return done;
  const data = new Uint8Array(await readFile(join(work, 'ramdisk.gz')));
  return accept({ bytes: archive.length, data });
}

async function version(): Promise<string> {
  const text = await readFile(join(ROOT, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function metadata(lock: ImageLock, parts: BootParts): Promise<Uint8Array> {
  const imageVersion = await version();
  const lockSha256 = createHash('sha256').update(encodeLock(lock)).digest('hex');
  return encodeMetadata({
    imageName: IMAGE_NAME,
    imageVersion,
    kernelVersion: parts.kernelVersion,
    toolVersion: imageVersion,
    custom: { lock_sha256: lockSha256 },
  });
}

async function assemble(work: string, options: ImageOptions): Promise<Result<BuiltImage>> {
  const progress = options.onProgress ?? ((): void => undefined);
  progress('checking the inputs in the repository');
  const lock = await checkedLock();
  if (!lock.ok) return lock;
  const toolchain = await openToolchain(lock.value, options);
  if (!toolchain.ok) return toolchain;
  const packages = await openPackages(lock.value, 'image', options);
  if (!packages.ok) return packages;
  const measured = await measuredOf(options, packages.value);
  if (!measured.ok) return measured;
  progress('compiling the native programs');
  const programs = await compilePrograms(toolchain.value, work, lock.value.files);
  if (!programs.ok) return programs;
  const parts =
    options.blobs === null
      ? await ownParts(toolchain.value, lock.value, programs.value, options)
      : await blobParts(options.blobs);
  if (!parts.ok) return parts;
  const bundles = await pinnedBundles(lock.value);
  if (!bundles.ok) return bundles;
  const files = await rootFiles({
    packages: packages.value,
    bundles: bundles.value,
    programs: programs.value,
    measured: measured.value,
  });
  if (!files.ok) return files;
  progress('compressing the ramdisks');
  const boot = await compress(toolchain.value, work, bootEntries(parts.value));
  if (!boot.ok) return boot;
  const application = await compress(toolchain.value, work, applicationEntries(files.value));
  if (!application.ok) return application;
  const eif = encodeEif({
    architecture: 'x86_64',
    kernel: parts.value.kernel,
    cmdline: parts.value.cmdline,
    metadata: await metadata(lock.value, parts.value),
    ramdisks: [boot.value.data, application.value.data],
    signature: null,
  });
  const sizes = { boot: boot.value, application: application.value };
  const ramdisks = Object.entries(sizes).map(([name, { bytes, data }]) => {
    return { name, bytes, compressed: data.length };
  });
  return accept({ eif, rootFiles: files.value, ramdisks });
}

/** Refuses what any of its steps refuses; nothing is written but the cache. */
export async function buildImage(options: ImageOptions): Promise<Result<BuiltImage>> {
  const work = await mkdtemp(join(tmpdir(), 'trackseal-image-'));
  try {
    return await assemble(work, options);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
