// A program that starts a strategy as the enclave does, sends it frames and waits, to be killed by a test.
//   parent RUNNER FRAMES     prints the strategy's process id, then a line when it has answered

import { readFileSync } from 'node:fs';
import { execPath } from 'node:process';
import { runnerFlags, spawnStrategy } from '../../wire/node/strategy-program.ts';

const [path = '', frames = ''] = process.argv.slice(2);
const child = spawnStrategy({ execPath, flags: runnerFlags(), path });
process.stdout.write(`${child.pid}\n`);
child.stdout.once('data', () => process.stdout.write('answered\n'));
child.stdin.write(readFileSync(frames));
