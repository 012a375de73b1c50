// The local appliance's tap: the same as enclave/tap/main.ts over a transport of the local appliance.
//   tap PARENT ADDRESS

import { argv, exit } from 'node:process';
import { runTap } from '../enclave/tap/run.ts';
import { childTransport } from './transport.ts';

const [, address = ''] = argv.slice(2);
const transport = childTransport(address);
if (transport === null) exit(2);
runTap(transport);
