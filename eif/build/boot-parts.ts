// What starts the machine, measured in PCR1: kernel, command line, first process. Our own, or those that
// nitro-cli brings (`--blobs`), for whoever wants to run on AWS's kernel only.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { ImageLock } from '../lock/lock.ts';
import type { RamdiskEntry } from '../ramdisk.ts';
import { KERNEL_COMMAND_LINE, buildKernel } from './kernel.ts';
import type { Programs } from './programs.ts';
import type { Toolchain, ToolchainOptions } from './toolchain.ts';

export interface BootParts {
  readonly kernel: Uint8Array;
  readonly cmdline: Uint8Array;
  /** The first process, and a module that it loads. */
  readonly init: Uint8Array;
  readonly module: Uint8Array | null;
  /** For people. */
  readonly kernelVersion: string;
}

async function read(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}

/** Of nitro-cli's folder `blobs`. Refuses `input_missing`. */
export async function blobParts(folder: string): Promise<Result<BootParts>> {
  try {
    const cmdline = await readFile(join(folder, 'cmdline'), 'utf8');
    return accept({
      kernel: await read(join(folder, 'bzImage')),
      cmdline: utf8(cmdline.trim()),
      init: await read(join(folder, 'init')),
      module: await read(join(folder, 'nsm.ko')),
      kernelVersion: 'nitro-cli',
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse('input_missing', {
      what: '--blobs needs bzImage, cmdline, init and nsm.ko',
      why,
    });
  }
}

/** Refuses as `buildKernel`. */
export async function ownParts(
  toolchain: Toolchain,
  lock: ImageLock,
  programs: Programs,
  options: ToolchainOptions,
): Promise<Result<BootParts>> {
  const kernel = await buildKernel(toolchain, lock, options);
  if (!kernel.ok) return kernel;
  const source = lock.debian.packages.find(({ use }) => use.includes('kernel'));
  return accept({
    kernel: await read(kernel.value.path),
    cmdline: utf8(KERNEL_COMMAND_LINE),
    init: programs.init,
    module: null,
    kernelVersion: source?.version ?? '',
  });
}

export function bootEntries({ init, module }: BootParts): readonly RamdiskEntry[] {
  const entries: readonly RamdiskEntry[] = [
    { type: 'directory', path: 'dev', mode: 0o755 },
    { type: 'file', path: 'init', mode: 0o755, data: init },
  ];
  if (module === null) return entries;
  return [...entries, { type: 'file', path: 'nsm.ko', mode: 0o755, data: module }];
}
