// Entry point of the desk in the image; only wires. The core fixes the arguments:
//   desk PARENT TRANSPORT SOCKET     e.g. 17 vsock:parent @trackseal-desk

import { join } from 'node:path';
import process from 'node:process';
import { loadAddon } from '../../wire/node/native-addon.ts';
import { parsePeer, vsockTransport } from '../../wire/node/vsock.ts';
import { runDesk } from './run.ts';

const [, address = '', socket = ''] = process.argv.slice(2);
const peers = address.startsWith('vsock:') ? parsePeer(address.slice('vsock:'.length)) : null;
if (peers === null || socket === '') process.exit(2);
runDesk(vsockTransport(loadAddon(join(import.meta.dirname, 'addon.node')), peers), socket);
