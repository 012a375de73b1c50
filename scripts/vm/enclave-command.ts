// How a host proxy starts an image in an emulated enclave: the operator's `enclave.command` for it.

import { join } from 'node:path';
import { cacheFolder } from './lock.ts';

/** `vsock` is the PATH of hvsock:PATH. Without a file for the console it is shown. Ends with its parent. */
export function enclaveCommand(
  image: string,
  vsock: string,
  console: string | null,
): readonly [string, ...string[]] {
  const program = [process.execPath, join(import.meta.dirname, 'enclave.ts'), image, vsock];
  return [
    'setpriv',
    '--pdeathsig',
    'TERM',
    '--',
    // The cache is the one of this process, whatever home the host has.
    'env',
    `TRACKSEAL_CACHE=${cacheFolder()}`,
    ...program,
    ...(console === null ? [] : [console]),
  ];
}
