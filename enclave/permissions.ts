// What a process without network and files gives up: what Node's permission model let it read for loading is dropped
// before anybody else's bytes come in (its flags: child-flags.ts).

import process from 'node:process';

const SCOPES = ['fs', 'net', 'child', 'worker', 'addon', 'wasi', 'inspector', 'ffi'] as const;

/** Relative to the root of the project: what the sources of a program read while they load. */
export const CONNECTOR_SOURCES: readonly string[] = [
  'wire',
  'enclave/connector',
  'enclave/permissions.ts',
  'node_modules',
  'package.json',
];
export const LEDGER_SOURCES: readonly string[] = [
  'wire',
  'enclave',
  'node_modules',
  'package.json',
];

/** Does nothing where there is no permission model: a test in one process. */
export function dropPermissions(): void {
  // Typed as always there, but absent without --permission.
  const permission = process.permission as typeof process.permission | undefined;
  if (permission === undefined) return;
  for (const scope of SCOPES) permission.drop(scope);
}
