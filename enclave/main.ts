// Entry point of the image; only wires. The image fixes the arguments:
//   main TRANSPORT MANIFEST RUNNER     e.g. unix:/run/trackseal /etc/trackseal/measured.json runner.mjs

import { readFileSync } from 'node:fs';
import { parseTransport } from '../wire/node/transport.ts';
import { runnerFlags } from '../wire/node/strategy-program.ts';
import { openNsmDevice } from './nsm/open-device.ts';
import { exitRefused, runEnclave } from './run.ts';
import { startStrategy } from './strategy/process.ts';

const [address = '', manifestPath = '', runnerPath = ''] = process.argv.slice(2);
const transport = parseTransport(address);
if (transport === null || manifestPath === '' || runnerPath === '') {
  process.stderr.write('usage: main TRANSPORT MANIFEST RUNNER\n');
  process.exit(2);
}
const nsmDevice = openNsmDevice();
if (!nsmDevice.ok) exitRefused(nsmDevice.refusal.code);

runEnclave({
  transport,
  nsmDevice: nsmDevice.value,
  measured: new Uint8Array(readFileSync(manifestPath)),
  strategyRunner: { execPath: process.execPath, flags: runnerFlags(), path: runnerPath },
  startStrategy,
});
