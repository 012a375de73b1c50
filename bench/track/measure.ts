// A year of one account from fills to hourly returns, against a naive ledger of floating point in the same minute, and
// ten times as many fills for the memory.

import { execFile } from 'node:child_process';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ledgerFlags } from '../../enclave/child-flags.ts';
import { median } from '../quantiles.ts';
import type { TrackRun } from './run.ts';

export interface TrackOptions {
  readonly hours: number;
  readonly fills: number;
  readonly turns: number;
}

export interface TrackReport {
  readonly options: TrackOptions;
  /** Of the turns' medians. */
  readonly book: TrackRun;
  readonly naive: TrackRun;
  /** Naive time over the book's: below 1, the book takes longer. */
  readonly overNaive: number;
  /** What the two have at the end, one less the other, over the whole. */
  readonly difference: number;
  /** Ten times as many fills. */
  readonly many: TrackRun;
  /** Processor time of reading the year's statements at a start of the ledger, ms. */
  readonly loadingMs: number;
}

const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));
const PROCESS: string = fileURLToPath(new URL('run-process.ts', import.meta.url));

/** As the ledger runs: its heap, its permissions, and a language that nothing can change. */
async function inProcess<T>(what: string, ...numbers: readonly number[]): Promise<T> {
  const { stdout } = await promisify(execFile)(execPath, [
    ...ledgerFlags([ROOT]),
    PROCESS,
    what,
    ...numbers.map(String),
  ]);
  return JSON.parse(stdout) as T;
}

function medianOf(runs: readonly TrackRun[]): TrackRun {
  const [first] = runs;
  if (first === undefined) throw new RangeError('no runs');
  const of = (value: (run: TrackRun) => number): number => median(runs.map(value));
  return {
    ...first,
    elapsedMs: of(({ elapsedMs }) => elapsedMs),
    cpuMs: of(({ cpuMs }) => cpuMs),
    peakBytes: of(({ peakBytes }) => peakBytes),
  };
}

export async function measureTrack(options: TrackOptions): Promise<TrackReport> {
  const { hours, fills, turns } = options;
  const books: TrackRun[] = [];
  const naives: TrackRun[] = [];
  for (let turn = 0; turn < turns; turn++) {
    naives.push(await inProcess<TrackRun>('naive', hours, fills));
    books.push(await inProcess<TrackRun>('book', hours, fills));
  }
  const [book, naive] = [medianOf(books), medianOf(naives)];
  return {
    options,
    book,
    naive,
    overNaive: naive.elapsedMs / book.elapsedMs,
    difference: Math.abs(book.equityEnd - naive.equityEnd) / Math.abs(naive.equityEnd),
    many: await inProcess<TrackRun>('book', hours, fills * 10),
    loadingMs: await inProcess<number>('loading', hours, turns),
  };
}
