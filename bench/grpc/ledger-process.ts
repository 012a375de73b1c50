// The ledger of the measurement, as a process: its link, its gRPC service, and a record that costs nothing.

import process from 'node:process';
import { startLedger } from '../../enclave/ledger/ledger.ts';
import { openGrpc } from '../../enclave/ledger/grpc/part.ts';
import { joinPipes } from '../../wire/node/pipes.ts';
import { STATIC_TRACK } from './static-track.ts';

startLedger({
  stream: joinPipes(process.stdin, process.stdout),
  openParts: (services) => Promise.resolve([openGrpc(services, STATIC_TRACK)]),
  onExit: () => {
    process.exit();
  },
});
