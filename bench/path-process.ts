// One run of the whole path as a process of its own, so that the host's memory and garbage collection are
// the host's and not the benchmark's. Options come as JSON in the only argument, the result leaves as JSON
// on stdout.

import { mkdir, writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';
import { argv, stdout } from 'node:process';
import type { Release } from '../wire/messages.ts';
import { parseSignal } from '../wire/payloads.ts';
import { assertAccepted } from '../wire/result.ts';
import type { Tape } from './events.ts';
import { readEvents, repeatEvents } from './events.ts';
import type { Sync } from './measured-files.ts';
import type { Sent } from './pace.ts';
import { fullSpeed, paced } from './pace.ts';
import type { Quantiles } from './quantiles.ts';
import { quantilesOf } from './quantiles.ts';
import type { S3Place } from './s3-process.ts';
import type { UsageReport } from './usage.ts';
import { runWholePath } from './whole-path.ts';

export interface PathProcessOptions extends Tape {
  readonly directory: string;
  readonly rows: number;
  /** Null: as fast as possible. */
  readonly eventsPerSecond: number | null;
  /** Where processor profiles go; null for none. */
  readonly profiles: string | null;
  /** Policy s3 over this one; policy spool without. */
  readonly s3?: S3Place | null;
}

export interface LatencyReport {
  /** From the oldest event of the batch to the signal, released and journaled; ms. */
  readonly released: Quantiles;
  /** The same without the two fdatasyncs that it waited for: of its commit, and of its journal entry. */
  readonly beyondSync: Quantiles;
  /** The same without every moment at which any fdatasync was under way: commits wait for those before them. */
  readonly outsideSync: Quantiles;
  /** One fdatasync of the run. */
  readonly sync: Quantiles;
}

export interface PathProcessResult extends Sent {
  readonly signals: number;
  readonly leaves: number;
  readonly seconds: number;
  readonly usage: UsageReport;
  readonly syncs: number;
  readonly latency: LatencyReport | null;
}

interface Released {
  readonly dueMs: number;
  readonly releasedMs: number;
}

/** The last fdatasync of files whose path has `part` that had ended by then; ms. */
function lastSyncMs(syncs: readonly Sync[], byMs: number): number {
  let [low, high] = [0, syncs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((syncs[middle]?.endMs ?? 0) <= byMs) low = middle + 1;
    else high = middle;
  }
  const sync = syncs[low - 1];
  return sync === undefined ? 0 : sync.endMs - sync.startMs;
}

/** Moments of [from, to) at which an fdatasync was under way; ms. `syncs` in the order of their ends. */
function syncingMs(syncs: readonly Sync[], fromMs: number, toMs: number): number {
  let total = 0;
  // Backwards, so that what is counted already begins at `counted`.
  let counted = toMs;
  for (let index = syncs.length - 1; index >= 0; index--) {
    const { startMs, endMs } = syncs[index] ?? { startMs: 0, endMs: 0 };
    if (endMs <= fromMs) break;
    const [start, end] = [Math.max(startMs, fromMs), Math.min(endMs, counted)];
    if (end > start) {
      total += end - start;
      counted = start;
    }
  }
  return total;
}

function isJournal({ path }: Sync): boolean {
  return path.includes('/releases');
}

function latencyOf(released: readonly Released[], syncs: readonly Sync[]): LatencyReport {
  const journal = syncs.filter(isJournal);
  const commits = syncs.filter((sync) => !isJournal(sync));
  const all = released.map(({ dueMs, releasedMs }) => releasedMs - dueMs);
  const beyond = released.map(({ dueMs, releasedMs }) => {
    const journalMs = lastSyncMs(journal, releasedMs);
    return releasedMs - dueMs - journalMs - lastSyncMs(commits, releasedMs - journalMs);
  });
  const outside = released.map(
    ({ dueMs, releasedMs }) => releasedMs - dueMs - syncingMs(syncs, dueMs, releasedMs),
  );
  return {
    released: quantilesOf(all),
    outsideSync: quantilesOf(outside),
    beyondSync: quantilesOf(beyond),
    sync: quantilesOf(syncs.map(({ startMs, endMs }) => endMs - startMs)),
  };
}

async function profiled<T>(profiles: string | null, run: () => Promise<T>): Promise<T> {
  if (profiles === null) return run();
  await mkdir(profiles, { recursive: true });
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  const result = await run();
  const { profile } = await session.post('Profiler.stop');
  await writeFile(join(profiles, 'host.cpuprofile'), JSON.stringify(profile));
  session.disconnect();
  return result;
}

async function main(): Promise<void> {
  const options = JSON.parse(argv[2] ?? '') as PathProcessOptions;
  const { directory, take, repeat, rows: closeRows, eventsPerSecond, profiles } = options;
  const events = repeatEvents(await readEvents(take), repeat);
  const due = new Map<bigint, number>();
  const released: Released[] = [];
  const onRelease = ({ plaintext }: Release, releasedMs: number): void => {
    const dueMs = due.get(assertAccepted(parseSignal(plaintext)).decisionNs);
    if (dueMs !== undefined) released.push({ dueMs, releasedMs });
  };
  const onBatch = (timeNs: bigint, dueMs: number): void => {
    // Two batches of one receive time: the older one, which is the longer way.
    if (!due.has(timeNs)) due.set(timeNs, dueMs);
  };
  const run = await profiled(profiles, () =>
    runWholePath({
      directory,
      source: (onDone) =>
        eventsPerSecond === null
          ? fullSpeed(events, { closeRows, onDone })
          : paced(events, { closeRows, eventsPerSecond, onBatch, onDone }),
      onRelease,
      s3: options.s3 ?? null,
      enclaveFlags:
        profiles === null
          ? []
          : ['--cpu-prof', `--cpu-prof-dir=${profiles}`, '--cpu-prof-name=enclave.cpuprofile'],
    }),
  );
  const { sent, signals, leaves, seconds, usage, syncs } = run;
  const latency = eventsPerSecond === null ? null : latencyOf(released, syncs);
  const result: PathProcessResult = {
    ...sent,
    signals,
    leaves,
    seconds,
    usage,
    syncs: syncs.length,
    latency,
  };
  stdout.write(JSON.stringify(result));
}

await main();
