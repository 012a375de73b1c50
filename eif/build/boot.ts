// How the two C programs of the image are compiled, the first process and the launcher of strategies: static,
// the same in the image's toolchain and with a machine's own compiler (for tests). Nothing in them depends on
// the place or the time.

import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './bundles.ts';

/** From the root of the project. */
export const BOOT_SOURCES = {
  init: 'enclave/init/init.c',
  launch: 'enclave/launch/launch.c',
} as const;

const FLAGS: readonly string[] = [
  '-std=gnu11',
  '-O2',
  '-static',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fstack-protector-strong',
  '-D_FORTIFY_SOURCE=2',
  '-Wl,-z,noexecstack',
  '-Wl,--build-id=none',
  '-s',
];

/** Arguments of gcc. A relative source keeps the place out of the program. */
export function bootArguments(source: string, output: string): readonly string[] {
  return [...FLAGS, '-o', output, source];
}

/** With this machine's gcc; the source from the root of the project. Rejects with the compiler's words. */
export async function compileBoot(source: string, output: string): Promise<void> {
  const env = { ...process.env, LC_ALL: 'C' };
  await promisify(execFile)('gcc', [...bootArguments(source, resolve(output))], { cwd: ROOT, env });
}
