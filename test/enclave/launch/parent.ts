// A program that starts a strategy through the launcher and waits, to be killed by a test.
//   parent LAUNCHER NODE SCRIPT     prints the strategy's process id, then a line when it has written

import { spawnStrategy } from '../../../wire/node/strategy-program.ts';

const [launcher = '', execPath = '', path = ''] = process.argv.slice(2);
const child = spawnStrategy({ launcher, execPath, flags: ['--no-warnings'], path }, 9);
process.stdout.write(`${String(child.pid)}\n`);
child.stdout.once('data', () => process.stdout.write('wrote\n'));
