// A year of one account from fills to hourly returns, against a naive ledger of floating point in the same minute, and
// ten times as many fills for the memory.

import { execFile } from 'node:child_process';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { median } from '../quantiles.ts';
import { measureLoading } from './load.ts';
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

const PROCESS: string = fileURLToPath(new URL('run-process.ts', import.meta.url));

async function inProcess(way: 'book' | 'naive', fills: number, hours: number): Promise<TrackRun> {
  const { stdout } = await promisify(execFile)(execPath, [
    PROCESS,
    way,
    String(fills),
    String(hours),
  ]);
  return JSON.parse(stdout) as TrackRun;
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
    naives.push(await inProcess('naive', fills, hours));
    books.push(await inProcess('book', fills, hours));
  }
  const [book, naive] = [medianOf(books), medianOf(naives)];
  return {
    options,
    book,
    naive,
    overNaive: naive.elapsedMs / book.elapsedMs,
    difference: Math.abs(book.equityEnd - naive.equityEnd) / Math.abs(naive.equityEnd),
    many: await inProcess('book', fills * 10, hours),
    loadingMs: await measureLoading(hours, turns),
  };
}
