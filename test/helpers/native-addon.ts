// The native addon for tests, compiled with this machine's gcc. Its vsock calls are linked to Unix sockets
// (test/native/unix-for-vsock.c): no test opens AF_VSOCK on the machine that it runs on.

import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileNative } from '../../eif/build/native.ts';
import { ROOT } from '../../scripts/bundle.ts';
import type { NativeAddon } from '../../wire/node/native-addon.ts';
import { loadAddon } from '../../wire/node/native-addon.ts';

const WRAPPED = ['socket', 'bind', 'connect', 'getpeername', 'getsockopt'];

/** False prints one line: what needs it is then skipped. */
export const hasCompiler: boolean = spawnSync('gcc', ['--version']).status === 0;
if (!hasCompiler) console.log('skipped: the native addon needs gcc');

/** Where a freshly compiled addon lies. */
export async function compileTestAddon(): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'ts-addon-')), 'addon.node');
  await compileNative(ROOT, path, [
    ...WRAPPED.map((name) => `-Wl,--wrap=${name}`),
    'test/native/unix-for-vsock.c',
  ]);
  return path;
}

/** CIDs have no meaning but: 1 is this process, 8 swallows, 9 is refused at once, others do not listen. */
export async function openTestAddon(): Promise<NativeAddon> {
  process.env['TRACKSEAL_TEST_VSOCK'] = `ts-${process.pid}`;
  return loadAddon(await compileTestAddon());
}
