// The native programs of an image, compiled in the pinned toolchain: first process, launcher of strategies,
// Node addon. Only their sources and Node's headers are there while they are compiled.

import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { LockedFile } from '../lock/lock.ts';
import { BOOT_SOURCES, bootArguments } from './boot.ts';
import { ROOT } from './bundles.ts';
import { NODE_HEADERS, nativeArguments, nativeSources } from './native.ts';
import type { Toolchain } from './toolchain.ts';

export interface Programs {
  readonly init: Uint8Array;
  readonly launch: Uint8Array;
  readonly addon: Uint8Array;
}

const HEADERS = '/mnt/node';

async function copySources(work: string, files: readonly LockedFile[]): Promise<void> {
  for (const { path } of files) {
    if (!path.startsWith('enclave/')) continue;
    await mkdir(dirname(join(work, path)), { recursive: true });
    await copyFile(join(ROOT, path), join(work, path));
  }
}

/** `work`: an empty folder. `files`: of the lock. Refuses `build_failed` with the compiler's last lines. */
export async function compilePrograms(
  toolchain: Toolchain,
  work: string,
  files: readonly LockedFile[],
): Promise<Result<Programs>> {
  await copySources(work, files);
  const gcc = async (args: readonly string[]): Promise<Result<string>> => {
    const mounts = [{ source: join(ROOT, NODE_HEADERS), target: HEADERS }];
    return toolchain.run(['gcc', ...args], { work, mounts });
  };
  const native = nativeArguments({
    sources: await nativeSources(work),
    headers: HEADERS,
    output: 'addon.node',
  });
  const commands = [
    bootArguments(BOOT_SOURCES.init, 'init'),
    bootArguments(BOOT_SOURCES.launch, 'launch'),
    native,
  ];
  for (const args of commands) {
    const compiled = await gcc(args);
    if (!compiled.ok) return compiled;
  }
  const output = async (name: string): Promise<Uint8Array> =>
    new Uint8Array(await readFile(join(work, name)));
  return accept({
    init: await output('init'),
    launch: await output('launch'),
    addon: await output('addon.node'),
  });
}
