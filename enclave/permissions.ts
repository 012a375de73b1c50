// What a process without network and files gives up: what Node's permission model let it read for loading is dropped
// before anybody else's bytes come in (its flags: child-flags.ts).

import process from 'node:process';

const SCOPES = ['fs', 'net', 'child', 'worker', 'addon', 'wasi', 'inspector', 'ffi'] as const;

/** Does nothing where there is no permission model: a test in one process. */
export function dropPermissions(): void {
  // Typed as always there, but absent without --permission.
  const permission = process.permission as typeof process.permission | undefined;
  if (permission === undefined) return;
  for (const scope of SCOPES) permission.drop(scope);
}
