// The measurements behind `npm run bench`, each beside its baseline in the same run. Turns alternate, and
// medians count, because machines are noisy.

import { join } from 'node:path';
import type { MarketEvent } from '../wire/market/events.ts';
import type { Tape } from './events.ts';
import { repeatEvents } from './events.ts';
import type { BaselineResult, JsonEvent } from './json-baseline.ts';
import { runJsonBaseline } from './json-baseline.ts';
import { inBatches, jsonRows } from './json-rows.ts';
import { measurePuts, startS3Process } from './leased.ts';
import type { LatencyReport, PathProcessResult } from './path-process.ts';
import type { Quantiles } from './quantiles.ts';
import { median, quantilesOf } from './quantiles.ts';
import { runPath, withFolder } from './run-path.ts';
import type { S3Place } from './s3-process.ts';
import type { ProcessName, ProcessReport } from './usage.ts';
import { PROCESSES } from './usage.ts';
import { verifyJson } from './verify-json.ts';
import { verifyLogOf } from './verify-log.ts';

/** A rate of ours, of the baseline, and the first over the second. */
export interface Ratio {
  readonly ours: number;
  readonly baseline: number;
  readonly ratio: number;
}

export interface Cost extends ProcessReport {
  /** Processor time of all threads for one event, ns. */
  readonly nsPerEvent: number;
  /** Share of the run in which the thread of the JavaScript ran. */
  readonly mainBusy: number;
}

export interface PathReport {
  readonly events: number;
  readonly rowsPerBatch: number;
  readonly signals: number;
  readonly leaves: number;
  readonly eventsPerSecond: number;
  readonly perEvent: Ratio;
  readonly perBatch: Ratio;
  readonly syncs: number;
  /** Of the median turn. */
  readonly costs: Readonly<Record<ProcessName, Cost>>;
}

export interface PacedReport extends LatencyReport {
  readonly eventsPerSecond: number;
  readonly signals: number;
  /** JSON batches of the same rate, from due to durable. */
  readonly baseline: Quantiles;
  /** p99 of the baseline over ours. */
  readonly ratio: number;
}

export interface LeasedReport {
  readonly eventsPerSecond: number;
  readonly signals: number;
  readonly putDelayMs: number;
  /** One PUT with nothing else going on, with that delay; ms. */
  readonly put: Quantiles;
  /** As in the latency under policy spool, of the same rate in the same minute; ms. */
  readonly released: Quantiles;
  readonly spool: Quantiles;
  /** What policy s3 adds to p50 and p99, in round trips of a PUT. */
  readonly roundTrips: { readonly p50: number; readonly p99: number };
}

export interface VerifyReport extends Ratio {
  readonly leaves: number;
  readonly seconds: number;
}

/** Baseline events that are signed one by one: fewer, because it is slow. */
const SINGLE_EVENTS = 100_000;

function ratioOf(ours: number, baseline: number): Ratio {
  return { ours, baseline, ratio: ours / baseline };
}

function runBaseline(
  batches: readonly (readonly JsonEvent[])[],
  batchesPerSecond: number | null = null,
): Promise<BaselineResult> {
  return withFolder((directory) =>
    runJsonBaseline({
      batches,
      batchesPerSecond,
      logFile: join(directory, 'log.jsonl'),
      keyFile: join(directory, 'key.pem'),
    }),
  );
}

function rateOf({ events, seconds }: PathProcessResult): number {
  return events / seconds;
}

function costsOf({ usage, events, seconds }: PathProcessResult): PathReport['costs'] {
  const cost = (name: ProcessName): Cost => {
    const report = usage[name];
    const { mainMs, othersMs } = report;
    const nsPerEvent = ((mainMs + othersMs) * 1e6) / events;
    return { ...report, nsPerEvent, mainBusy: mainMs / (seconds * 1000) };
  };
  const [host, enclave, strategy] = PROCESSES.map(cost);
  if (host === undefined || enclave === undefined || strategy === undefined) throw new Error();
  return { host, enclave, strategy };
}

export interface PathOptions {
  readonly tape: Tape;
  readonly rows: number;
  readonly turns: number;
  readonly profiles: string | null;
}

export async function measurePath(
  events: readonly MarketEvent[],
  { tape, rows, turns, profiles }: PathOptions,
): Promise<PathReport> {
  const json = repeatEvents(events, tape.repeat).flatMap(jsonRows);
  const batched = inBatches(json, rows);
  const single = inBatches(json.slice(0, SINGLE_EVENTS), 1);
  const ours: PathProcessResult[] = [];
  const jsonBatches: number[] = [];
  const jsonEvents: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    ours.push(
      await withFolder((directory) =>
        runPath({ directory, ...tape, rows, eventsPerSecond: null, profiles }),
      ),
    );
    jsonBatches.push((await runBaseline(batched)).eventsPerSecond);
    jsonEvents.push((await runBaseline(single)).eventsPerSecond);
  }
  const eventsPerSecond = median(ours.map(rateOf));
  const run = ours.find((one) => rateOf(one) === eventsPerSecond);
  if (run === undefined) throw new Error('the median is one of the turns');
  return {
    events: run.events,
    rowsPerBatch: rows,
    signals: run.signals,
    leaves: run.leaves,
    eventsPerSecond,
    perEvent: ratioOf(eventsPerSecond, median(jsonEvents)),
    perBatch: ratioOf(eventsPerSecond, median(jsonBatches)),
    syncs: run.syncs,
    costs: costsOf(run),
  };
}

/** Batches of the paced baseline; ours are cut by a timer of 1 ms. */
const PACED_BATCHES = 1000;

export async function measureLatency(
  events: readonly MarketEvent[],
  eventsPerSecond: number,
  tape: Tape,
): Promise<PacedReport> {
  const run = await withFolder((directory) =>
    runPath({ directory, ...tape, rows: 512, eventsPerSecond, profiles: null }),
  );
  if (run.latency === null) throw new Error('a paced run measures latency');
  const rows = repeatEvents(events, tape.repeat).flatMap(jsonRows);
  const { latencyMs } = await runBaseline(
    inBatches(rows, eventsPerSecond / PACED_BATCHES),
    PACED_BATCHES,
  );
  const baseline = quantilesOf(latencyMs);
  return {
    ...run.latency,
    eventsPerSecond: run.events / run.seconds,
    signals: run.signals,
    baseline,
    ratio: baseline.p99 / run.latency.released.p99,
  };
}

/** The same path under policies spool and s3, over a simulated S3 in another process. */
export async function measureLeased(
  eventsPerSecond: number,
  tape: Tape,
  putDelayMs: number,
): Promise<LeasedReport> {
  const s3 = await startS3Process(putDelayMs);
  const run = (place: S3Place | null): Promise<PathProcessResult> =>
    withFolder((directory) =>
      runPath({ directory, ...tape, rows: 512, eventsPerSecond, profiles: null, s3: place }),
    );
  try {
    const put = await measurePuts(s3);
    const [spool, leased] = [await run(null), await run(s3)];
    if (spool.latency === null || leased.latency === null) throw new Error('a paced run');
    const [without, released] = [spool.latency.released, leased.latency.released];
    return {
      eventsPerSecond: leased.events / leased.seconds,
      signals: leased.signals,
      putDelayMs,
      put,
      released,
      spool: without,
      roundTrips: {
        p50: (released.p50 - without.p50) / put.p50,
        p99: (released.p99 - without.p99) / put.p50,
      },
    };
  } finally {
    await s3.stop();
  }
}

/** A log of one market event a leaf (an update of a book has many rows); the baseline signs one entry an event too. */
export async function measureVerifying(
  events: readonly MarketEvent[],
  tape: Tape,
): Promise<VerifyReport> {
  const baseline = await withFolder(async (directory) => {
    const [logFile, keyFile] = [join(directory, 'log.jsonl'), join(directory, 'key.pem')];
    const rows = events.flatMap(jsonRows).slice(0, SINGLE_EVENTS);
    const batches = inBatches(rows, 1);
    await runJsonBaseline({ batches, batchesPerSecond: null, logFile, keyFile });
    return verifyJson(logFile, keyFile);
  });
  return withFolder(async (directory) => {
    const options = { rows: 1, eventsPerSecond: null, profiles: null };
    const { leaves } = await runPath({ directory, ...tape, ...options });
    const { leavesPerSecond, seconds } = await verifyLogOf(directory, leaves);
    return { ...ratioOf(leavesPerSecond, baseline), leaves, seconds };
  });
}
