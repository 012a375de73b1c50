// Node's flags for the processes that talk to the outside. They need sockets and, in the image, the addon, so what
// holds them is their user and the launcher's filter (docs/DESK-BOUNDARY.md), not Node's permission model; a
// connector and the ledger need nothing of that and run under the model as a strategy does.

/** For the desk and the tap. */
export function deskFlags(): readonly string[] {
  return [
    '--disable-sigusr1',
    '--disallow-code-generation-from-strings',
    '--no-global-search-paths',
    '--no-warnings',
    '--max-old-space-size=1024',
  ];
}

/** `readable`: what it may read until it has loaded; nothing for a bundle. */
function sealedFlags(heapMib: number, readable: readonly string[]): readonly string[] {
  return [
    '--permission',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    '--disallow-code-generation-from-strings',
    // What one account's answers do to the language would meet the next account's.
    '--disable-proto=delete',
    '--frozen-intrinsics',
    '--freeze-flags-after-init',
    '--no-experimental-sqlite',
    '--no-experimental-ffi',
    '--v8-pool-size=1',
    `--max-old-space-size=${String(heapMib)}`,
    '--no-warnings',
  ];
}

export function connectorFlags(readable: readonly string[] = []): readonly string[] {
  return sealedFlags(384, readable);
}

export function ledgerFlags(readable: readonly string[] = []): readonly string[] {
  // As large from the start as it may be: an account's year is read in a second or two.
  // Bytes of answers count for V8 only as old space does: with its default of 16 each few calls had it mark all of the heap.
  const young = ['--min-semi-space-size=8', '--max-semi-space-size=8'];
  return [...sealedFlags(1280, readable), ...young];
}
