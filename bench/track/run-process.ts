// One run in a process of its own, so that its memory is its own: `run-process.ts book|naive HOURS FILLS` or
// `run-process.ts loading HOURS TURNS`, JSON on stdout.

import { argv, stdout } from 'node:process';
import { measureLoading } from './load.ts';
import { runBook, runNaive } from './run.ts';

const [, , what = '', ...numbers] = argv;
const [hours = 0, count = 0] = numbers.map(Number);
const RUNS = {
  book: () => runBook(hours, count),
  naive: () => runNaive(hours, count),
  loading: () => measureLoading(hours, count),
};
const run = RUNS[what as keyof typeof RUNS];
stdout.write(JSON.stringify(await run()));
