// Entry point of the tap in the image; only wires. The core fixes the arguments:
//   tap PARENT TRANSPORT     e.g. 17 vsock:parent

import { join } from 'node:path';
import process from 'node:process';
import { loadAddon } from '../../wire/node/native-addon.ts';
import { parsePeer, vsockTransport } from '../../wire/node/vsock.ts';
import { runTap } from './run.ts';

const [, address = ''] = process.argv.slice(2);
const peers = address.startsWith('vsock:') ? parsePeer(address.slice('vsock:'.length)) : null;
if (peers === null) process.exit(2);
runTap(vsockTransport(loadAddon(join(import.meta.dirname, 'addon.node')), peers));
