// Entry point of the image; only wires. The image fixes the arguments:
//   main TRANSPORT MANIFEST RUNNER     e.g. vsock:parent /trackseal/measured.json /trackseal/strategy-runner.mjs
// Beside this file lie the native addon, addon.node, the launcher of other processes, launch, and the programs of desk,
// connector, ledger and tap; beside the manifest the TLS roots that it has measured, roots.pem.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { NativeAddon } from '../wire/node/native-addon.ts';
import { loadAddon } from '../wire/node/native-addon.ts';
import { runnerFlags } from '../wire/node/strategy-program.ts';
import { parsePeer, vsockTransport } from '../wire/node/vsock.ts';
import { connectorFlags, deskFlags, ledgerFlags } from './child-flags.ts';
import { deskStarter, tapStarter } from './desk-process.ts';
import { openNsmDevice } from './nsm/open-device.ts';
import { exitRefused, runEnclave } from './run.ts';
import { startStrategy } from './strategy/process.ts';

const [address = '', manifestPath = '', runnerPath = ''] = process.argv.slice(2);
const peers = address.startsWith('vsock:') ? parsePeer(address.slice('vsock:'.length)) : null;
if (peers === null || manifestPath === '' || runnerPath === '') {
  process.stderr.write('usage: main vsock:parent MANIFEST RUNNER\n');
  process.exit(2);
}

function openAddon(): NativeAddon {
  try {
    return loadAddon(join(import.meta.dirname, 'addon.node'));
  } catch {
    return exitRefused('nsm_unavailable');
  }
}

const addon = openAddon();
const nsmDevice = openNsmDevice(addon);
if (!nsmDevice.ok) exitRefused(nsmDevice.refusal.code);

const launcher = join(import.meta.dirname, 'launch');
const beside = (name: string): string => join(import.meta.dirname, name);
const programs = { execPath: process.execPath, launcher };
runEnclave({
  transport: vsockTransport(addon, peers),
  nsmDevice: nsmDevice.value,
  measured: new Uint8Array(readFileSync(manifestPath)),
  roots: new Uint8Array(readFileSync(join(dirname(manifestPath), 'roots.pem'))),
  strategyRunner: { execPath: process.execPath, flags: runnerFlags(), path: runnerPath, launcher },
  startStrategy,
  startDesk: deskStarter({
    desk: { ...programs, flags: deskFlags(), path: beside('desk.mjs') },
    connector: { ...programs, flags: connectorFlags(), path: beside('connector.mjs') },
    ledger: { ...programs, flags: ledgerFlags(), path: beside('ledger.mjs') },
    socket: '@trackseal-desk',
    address,
  }),
  startTap: tapStarter({ ...programs, flags: deskFlags(), path: beside('tap.mjs') }, address),
});
