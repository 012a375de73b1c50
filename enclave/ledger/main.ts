// The ledger process: one stream, to the desk, on descriptor 0, which is a socket and written to as well. What it was
// allowed to read for loading is dropped before the first frame; it ends with its stream, and on any bug, and writes
// nothing anywhere. The desk starts another.

import { Socket } from 'node:net';
import process from 'node:process';
import { dropPermissions } from '../permissions.ts';
import { startLedger } from './ledger.ts';
import { openParts } from './parts.ts';

const stream = new Socket({ fd: 0, readable: true, writable: true });
dropPermissions();
const ledger = startLedger({
  stream,
  openParts,
  onExit: (code) => {
    process.exit(code === null ? 0 : 70);
  },
});
const fail = (): void => {
  ledger.fail('internal');
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
