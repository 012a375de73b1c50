// The programs that the local appliance's enclave starts, from the sources of this checkout.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { execPath } from 'node:process';
import { pathToFileURL } from 'node:url';
import { connectorFlags, deskFlags, ledgerFlags } from '../enclave/child-flags.ts';
import type { DeskPrograms } from '../enclave/desk-process.ts';
import { CLOCK_SOURCES, CONNECTOR_SOURCES, LEDGER_SOURCES } from './sources.ts';
import type { ChildProgram } from '../wire/node/child-program.ts';

const ROOT = join(import.meta.dirname, '..');

/** Before the program itself. A connector has no clock of its own: each job tells it the time. */
function clockFlags(file: string): readonly string[] {
  const { href } = pathToFileURL(join(ROOT, 'simulator/follow-clock.ts'));
  return [`--import=${href}?${encodeURIComponent(file)}`];
}

/** `address` as in simulator/transport.ts; `clock`: the file of a MovedClock, null for the machine's time. */
export function localPrograms(address: string, clock: string | null = null): DeskPrograms {
  const [clockSources, clockFile] = clock === null ? [[], []] : [CLOCK_SOURCES, [clock]];
  const ownFlags = clock === null ? [] : clockFlags(clock);
  const readable = (names: readonly string[]): readonly string[] =>
    names.map((name) => join(ROOT, name));
  const folder = mkdtempSync(join(tmpdir(), 'trackseal-desk-'));
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    desk: { execPath, flags: [...deskFlags(), ...ownFlags], path: join(ROOT, 'simulator/desk.ts') },
    connector: {
      execPath,
      flags: connectorFlags(readable(CONNECTOR_SOURCES)),
      path: join(ROOT, 'enclave/connector/main.ts'),
    },
    ledger: {
      execPath,
      flags: [
        ...ledgerFlags([...readable([...LEDGER_SOURCES, ...clockSources]), ...clockFile]),
        ...ownFlags,
      ],
      path: join(ROOT, 'enclave/ledger/main.ts'),
    },
    socket: join(folder, 'connectors'),
    address,
  };
}

export function tapProgram(): ChildProgram {
  return { execPath, flags: deskFlags(), path: join(ROOT, 'simulator/tap.ts') };
}
