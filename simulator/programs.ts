// The programs that the local appliance's enclave starts, from the sources of this checkout.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { execPath } from 'node:process';
import { connectorFlags, deskFlags, ledgerFlags } from '../enclave/child-flags.ts';
import type { DeskPrograms } from '../enclave/desk-process.ts';
import { CONNECTOR_SOURCES, LEDGER_SOURCES } from './sources.ts';
import type { ChildProgram } from '../wire/node/child-program.ts';

const ROOT = join(import.meta.dirname, '..');

/** `address` as in simulator/transport.ts. */
export function localPrograms(address: string): DeskPrograms {
  const readable = (names: readonly string[]): readonly string[] =>
    names.map((name) => join(ROOT, name));
  const folder = mkdtempSync(join(tmpdir(), 'trackseal-desk-'));
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    desk: { execPath, flags: deskFlags(), path: join(ROOT, 'simulator/desk.ts') },
    connector: {
      execPath,
      flags: connectorFlags(readable(CONNECTOR_SOURCES)),
      path: join(ROOT, 'enclave/connector/main.ts'),
    },
    ledger: {
      execPath,
      flags: ledgerFlags(readable(LEDGER_SOURCES)),
      path: join(ROOT, 'enclave/ledger/main.ts'),
    },
    socket: join(folder, 'connectors'),
    address,
  };
}

export function tapProgram(): ChildProgram {
  return { execPath, flags: deskFlags(), path: join(ROOT, 'simulator/tap.ts') };
}
