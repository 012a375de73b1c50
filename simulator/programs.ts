// The programs that the local appliance's enclave starts, from the sources of this checkout.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { execPath } from 'node:process';
import { connectorFlags, deskFlags } from '../enclave/child-flags.ts';
import { CONNECTOR_SOURCES } from '../enclave/connector/seal.ts';
import type { DeskPrograms } from '../enclave/desk-process.ts';
import type { ChildProgram } from '../wire/node/child-program.ts';

const ROOT = join(import.meta.dirname, '..');

/** `address` as in simulator/transport.ts. */
export function localPrograms(address: string): DeskPrograms {
  const readable = CONNECTOR_SOURCES.map((name) => join(ROOT, name));
  const folder = mkdtempSync(join(tmpdir(), 'trackseal-desk-'));
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    desk: { execPath, flags: deskFlags(), path: join(ROOT, 'simulator/desk.ts') },
    connector: {
      execPath,
      flags: connectorFlags(readable),
      path: join(ROOT, 'enclave/connector/main.ts'),
    },
    socket: join(folder, 'connectors'),
    address,
  };
}

export function tapProgram(): ChildProgram {
  return { execPath, flags: deskFlags(), path: join(ROOT, 'simulator/tap.ts') };
}
