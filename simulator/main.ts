// The local appliance's enclave: the same core as enclave/main.ts, handed a simulated NSM. Its documents
// verify only under the simulator's own root, which a verifier takes with --unsafe-root and shows. It is
// another program than the image's, which cannot reach this file.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { argv, stderr } from 'node:process';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { deskStarter, tapStarter } from '../enclave/desk-process.ts';
import { runEnclave } from '../enclave/run.ts';
import { startStrategy } from '../enclave/strategy/process.ts';
import { parseHex } from '../wire/bytes.ts';
import { findRunner } from '../wire/node/find-runner.ts';
import { MovedClock } from './moved-clock.ts';
import { SimulatedNsm } from './nsm/device.ts';
import type { Measurements } from './nsm/measure.ts';
import { SimulatedRoot } from './nsm/root.ts';
import { localPrograms, tapProgram } from './programs.ts';
import { coreTransport } from './transport.ts';

const USAGE = `usage: node simulator/main.ts --transport ADDRESS --measured FILE --measurements FILE --root DIR [--roots FILE] [--clock FILE]

  --transport ADDRESS    unix:DIR, or guest:PATH for a host with hvsock:PATH
  --measured FILE        the measured manifest, which a real image contains
  --measurements FILE    PCR0 to PCR2, as nitro-cli prints them
  --root DIR             the simulator's root certificate and key; made at the first start
  --roots FILE           the TLS roots that the manifest has measured; none without
  --clock FILE           a clock that others move (simulator/moved-clock.ts); the machine's without
`;

const pcr = z.string().regex(/^[0-9a-f]{96}$/u);
const measurementsSchema = z.object({
  Measurements: z.object({ PCR0: pcr, PCR1: pcr, PCR2: pcr }),
});

function bytesOf(hex: string): Uint8Array {
  return parseHex(hex) ?? new Uint8Array(0);
}

async function readMeasurements(path: string): Promise<Measurements> {
  const { Measurements } = measurementsSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  return {
    pcr0: bytesOf(Measurements.PCR0),
    pcr1: bytesOf(Measurements.PCR1),
    pcr2: bytesOf(Measurements.PCR2),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      transport: { type: 'string' },
      measured: { type: 'string' },
      measurements: { type: 'string' },
      root: { type: 'string' },
      roots: { type: 'string' },
      clock: { type: 'string' },
    },
  });
  const { transport: address = '', measured, measurements, root, roots, clock = null } = values;
  const transport = await coreTransport(address);
  if (
    transport === null ||
    measured === undefined ||
    measurements === undefined ||
    root === undefined
  ) {
    stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  if (clock !== null) MovedClock.open(clock).follow();
  const nsmDevice = new SimulatedNsm({
    root: await SimulatedRoot.open(root),
    measurements: await readMeasurements(measurements),
  });
  runEnclave({
    transport,
    nsmDevice,
    measured: new Uint8Array(await readFile(measured)),
    roots: new Uint8Array(roots === undefined ? [] : await readFile(roots)),
    strategyRunner: findRunner(join(import.meta.dirname, '..')),
    startStrategy,
    startDesk: deskStarter(localPrograms(address, clock)),
    startTap: tapStarter(tapProgram(), address),
  });
}

await main();
