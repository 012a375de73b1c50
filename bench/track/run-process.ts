// One run in a process of its own, so that its memory is its own: `run-process.ts book|naive FILLS HOURS`, JSON on stdout.

import { argv, stdout } from 'node:process';
import { runBook, runNaive } from './run.ts';

const [, , way = '', fills = '', hours = ''] = argv;
const run = way === 'naive' ? runNaive : runBook;
stdout.write(JSON.stringify(run(Number(hours), Number(fills))));
