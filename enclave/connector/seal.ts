// How a connector is started and what it gives up. Flags as for a strategy's process, less what only
// determinism needs; what may be read for loading is dropped before the first job.

import process from 'node:process';

const HEAP_MEGABYTES = 384;
const SCOPES = ['fs', 'net', 'child', 'worker', 'addon', 'wasi', 'inspector', 'ffi'] as const;

/** Node's flags; `readable`: paths for loading from sources, nothing for a bundle. */
export function connectorFlags(readable: readonly string[] = []): readonly string[] {
  return [
    '--permission',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    '--disallow-code-generation-from-strings',
    '--freeze-flags-after-init',
    '--no-experimental-sqlite',
    '--no-experimental-ffi',
    '--v8-pool-size=1',
    `--max-old-space-size=${HEAP_MEGABYTES}`,
    '--no-warnings',
  ];
}

/** Relative to the root of the project: what the sources of a connector read while they load. */
export const CONNECTOR_SOURCES: readonly string[] = [
  'wire',
  'enclave/connector',
  'node_modules',
  'package.json',
];

/** Does nothing where there is no permission model: a test in one process. */
export function dropConnectorPermissions(): void {
  // Typed as always there, but absent without --permission.
  const permission = process.permission as typeof process.permission | undefined;
  if (permission === undefined) return;
  for (const scope of SCOPES) permission.drop(scope);
}
