// What `npm run bench -- --track` says, beside its goals.

import type { Goal } from '../report.ts';
import type { TrackReport } from './measure.ts';
import type { TrackRun } from './run.ts';

const GOAL_MS = 2000;
/** Of what ten times as many fills may take more: a year of hours, and never the fills of one. */
const GOAL_MEMORY_MIB = 512;
/** A thousand accounts with a year each, in five minutes. */
const GOAL_LOADING_MS = 300;

function mebibytes(bytes: number): number {
  return bytes / 2 ** 20;
}

export function trackGoals({ book, many, loadingMs }: TrackReport): readonly Goal[] {
  const memory = mebibytes(many.peakBytes);
  return [
    {
      name: `track: ${book.fills} fills, ${book.hours} hours to returns, ms`,
      goal: GOAL_MS,
      measured: book.elapsedMs,
      met: book.elapsedMs < GOAL_MS,
    },
    {
      name: `track: memory of ${many.fills} fills, MiB`,
      goal: GOAL_MEMORY_MIB,
      measured: memory,
      met: memory < GOAL_MEMORY_MIB,
    },
    {
      name: `track: loading ${book.hours} statements, ms of the processor`,
      goal: GOAL_LOADING_MS,
      measured: loadingMs,
      met: loadingMs < GOAL_LOADING_MS,
    },
  ];
}

function line(
  name: string,
  { fills, hours, elapsedMs, cpuMs, returns, peakBytes }: TrackRun,
): string {
  const rate = Math.round(fills / (elapsedMs / 1000));
  return [
    `  ${name.padEnd(22)}${elapsedMs.toFixed(0).padStart(7)} ms (${cpuMs.toFixed(0)} ms of the processor)`,
    `${String(rate).padStart(9)} fills/s   ${returns} returns of ${hours} hours   ${mebibytes(peakBytes).toFixed(0)} MiB`,
  ].join('  ');
}

export function renderTrack(report: TrackReport): string {
  const { book, naive, many, overNaive, difference, loadingMs } = report;
  return [
    `Track record: a year of one account, ${book.fills} fills (every hour reconciled)`,
    line('book', book),
    line('naive floats', naive),
    line('book, ten times as many', many),
    `  naive / book ${overNaive.toFixed(3)}; equity at the end differs by ${difference.toExponential(1)} of it`,
    `  loading ${book.hours} statements at a start: ${loadingMs.toFixed(0)} ms of the processor, without database and client`,
  ].join('\n');
}
