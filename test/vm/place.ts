// Where tests in an emulated enclave run: the image as `make eif` leaves it, an appliance whose policy has its
// measurements, and the options by which a host starts it.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance, ApplianceOptions } from '../../scripts/appliance.ts';
import { ROOT } from '../../scripts/bundle.ts';
import { enclaveCommand } from '../../scripts/vm/enclave-command.ts';
import { parseHex } from '../../wire/bytes.ts';
import type { HostOptions } from '../e2e/appliance.ts';
import { newAppliance } from '../e2e/appliance.ts';
import { waitAtMost } from '../e2e/processes.ts';

export const IMAGE: string = join(ROOT, 'build/trackseal.eif');
export const MEASUREMENTS: string = join(ROOT, 'build/measurements.json');
export const SKIPPED: boolean = process.env['TRACKSEAL_VM'] === 'skip';

/** An emulated processor is slow, and others may want the real one: only ends a test that hangs. */
const PATIENCE_MS = 600_000;
waitAtMost(PATIENCE_MS);

/** An appliance of the example strategy, whose commitment is in the image. */
export function newVmAppliance(
  directory: string,
  changes: Partial<ApplianceOptions> = {},
): Promise<Appliance> {
  const salt = parseHex(readFileSync(join(ROOT, 'strategies/order-flow.salt'), 'utf8').trim());
  if (salt === null) throw new Error('strategies/order-flow.salt is not hex');
  return newAppliance(directory, {}, { image: MEASUREMENTS, salt, ...changes });
}

export interface VmPlace {
  readonly folder: string;
  readonly hostSockets: string;
  readonly enclaveSockets: string;
  /** PATH of hvsock:PATH, the device's end. */
  readonly vsock: string;
  readonly console: string;
}

/** `folder` has a short path. */
export function newVmPlace(folder: string): VmPlace {
  const enclaveSockets = join(folder, 'v');
  mkdirSync(enclaveSockets, { recursive: true });
  return {
    folder,
    hostSockets: join(folder, 'h'),
    enclaveSockets,
    vsock: join(enclaveSockets, 's'),
    console: join(folder, 'console.log'),
  };
}

/** `image` is started by the host, which reaches it over hvsock, or over its own sockets through a tap. */
export function vmHost(
  { vsock, console }: VmPlace,
  through: 'hvsock' | 'tap',
  image: string = IMAGE,
): Pick<HostOptions, 'transport' | 'command' | 'readyMs'> {
  return {
    ...(through === 'hvsock' ? { transport: `hvsock:${vsock}` } : {}),
    command: enclaveCommand(image, vsock, console),
    readyMs: PATIENCE_MS,
  };
}

/** What the enclave has printed so far. */
export function consoleOf({ console }: VmPlace): string {
  try {
    return readFileSync(console, 'latin1');
  } catch {
    return '';
  }
}
