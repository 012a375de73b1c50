// The local appliance's desk: the same as enclave/desk/main.ts over a transport of the local appliance.
//   desk PARENT ADDRESS SOCKET

import { argv, exit } from 'node:process';
import { runDesk } from '../enclave/desk/run.ts';
import { childTransport } from './transport.ts';

const [, address = '', socket = ''] = argv.slice(2);
const transport = childTransport(address);
if (transport === null || socket === '') exit(2);
runDesk(transport, socket);
