// An enclave that waits for its host for ever: what it does on signals is what a test is after.

import { runEnclave } from '../../enclave/run.ts';
import { deskInProcess } from '../helpers/desk.ts';
import { startStrategy } from '../../enclave/strategy/process.ts';

const never = (): Promise<never> => Promise.withResolvers<never>().promise;
runEnclave({
  transport: { connect: never, listen: never },
  nsmDevice: { request: never },
  measured: new Uint8Array(),
  roots: new Uint8Array(),
  strategyRunner: { execPath: '', flags: [], path: '' },
  startStrategy,
  startDesk: deskInProcess({ connect: never, listen: never }),
});
setInterval(() => undefined, 1000);
process.stdout.write('waits\n');
