// Before the first test in an emulated enclave: the machine and the image are there, or it is said what is missing.

import { existsSync } from 'node:fs';
import { CommandFailed } from '../../scripts/vm/command.ts';
import { openMachine } from '../../scripts/vm/machine.ts';
import { Unavailable } from '../../scripts/vm/packages.ts';
import { leaveOut } from '../helpers/left-out.ts';
import { IMAGE, MEASUREMENTS, SKIPPED } from './place.ts';

export async function setup(): Promise<void> {
  if (SKIPPED) {
    leaveOut('test/vm: skipped, because TRACKSEAL_VM=skip');
    return;
  }
  for (const path of [IMAGE, MEASUREMENTS]) {
    if (!existsSync(path)) throw new Error(`test/vm: ${path} is missing: make eif`);
  }
  try {
    await openMachine(console.log);
  } catch (error) {
    if (!(error instanceof Unavailable || error instanceof CommandFailed)) throw error;
    // Without the stack of this file: the line says what to do.
    throw new Error(`test/vm: ${error.message}\n(TRACKSEAL_VM=skip leaves these tests out)`, {
      cause: error,
    });
  }
}
