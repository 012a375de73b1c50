// The report of `npm run bench`: what was measured, beside its goal. A missed goal is said, not left out.

import type { GrpcReport } from './grpc/measure.ts';
import { grpcGoals, renderGrpc } from './grpc/report.ts';
import type { LogRow } from './log-alone.ts';
import type { LeasedReport, PacedReport, PathReport, VerifyReport } from './measure.ts';
import type { Hotspot } from './profile.ts';
import type { ProxyReport } from './proxy/measure.ts';
import { proxyGoals, renderProxy } from './proxy/report.ts';
import type { Quantiles } from './quantiles.ts';
import type { TrackReport } from './track/measure.ts';
import { renderTrack, trackGoals } from './track/report.ts';
import { PROCESSES } from './usage.ts';

export interface BenchReport {
  readonly node: string;
  readonly cores: number;
  readonly whole_path: PathReport;
  readonly latency: PacedReport;
  readonly leased: LeasedReport;
  readonly log_alone: readonly LogRow[];
  readonly verifying: VerifyReport;
  readonly proxy: ProxyReport;
  readonly track: TrackReport;
  readonly grpc: GrpcReport;
  /** By process; null without `--profile`. */
  readonly hotspots: Readonly<Record<string, readonly Hotspot[]>> | null;
}

export interface Goal {
  readonly name: string;
  readonly goal: number;
  readonly measured: number;
  readonly met: boolean;
}

function atLeast(name: string, goal: number, measured: number): Goal {
  return { name, goal, measured, met: measured >= goal };
}

/** The goals for two cores that have nothing else to do. */
export function goalsOf(report: BenchReport): readonly Goal[] {
  const { whole_path: path, latency, leased, log_alone: log, verifying } = report;
  const ten = log.find(({ entriesPerCommit }) => entriesPerCommit === 10);
  const beyond = latency.beyondSync.p99;
  return [
    atLeast('whole path, events/s', 1_000_000, path.eventsPerSecond),
    atLeast('whole path over JSON, one signed entry an event', 20, path.perEvent.ratio),
    { name: 'latency p99 beyond fdatasync, ms', goal: 5, measured: beyond, met: beyond <= 5 },
    {
      name: 'policy s3: p99 above policy spool, in PUT round trips',
      goal: 2,
      measured: leased.roundTrips.p99,
      met: leased.roundTrips.p99 <= 2,
    },
    atLeast('log alone at 10 a commit, entries/s', 50_000, ten?.entriesPerSecond ?? 0),
    atLeast('verifying, entries/s', 100_000, verifying.ours),
    ...proxyGoals(report.proxy),
    ...trackGoals(report.track),
    ...grpcGoals(report.grpc),
  ];
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US').padStart(12);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0).padStart(5)} MiB`;
}

function milliseconds(ms: number): string {
  return ms.toFixed(2).padStart(7);
}

function times({ p50, p99, p999, max }: Quantiles): string {
  return `p50 ${milliseconds(p50)}   p99 ${milliseconds(p99)}   p99.9 ${milliseconds(p999)}   max ${milliseconds(max)} ms`;
}

function renderPath(path: PathReport): readonly string[] {
  const { perEvent, perBatch } = path;
  return [
    `Whole path: ${path.events.toLocaleString('en-US')} events, ${path.rowsPerBatch} a batch, ${path.signals} signals, ${path.leaves} leaves, ${path.syncs} fdatasync`,
    '  market data -> strategy -> signed log, synced -> released signal -> paper order -> report',
    `  trackseal                        ${count(path.eventsPerSecond)} events/s`,
    `  JSON, one signed entry an event  ${count(perEvent.baseline)} events/s   ratio ${perEvent.ratio.toFixed(2)}`,
    `  JSON, one signed entry a batch   ${count(perBatch.baseline)} events/s   ratio ${perBatch.ratio.toFixed(2)}`,
    '  (the baselines parse, keep the best prices, hash, sign, append and sync; they run no strategy,',
    '  keep no books, check nothing and trade nothing)',
    '',
    'Where the time goes: processor time of the run above',
    ...PROCESSES.map((name) => {
      const { nsPerEvent, mainBusy, mainMs, othersMs, kernelMs } = path.costs[name];
      const all = Math.max(mainMs + othersMs, 1);
      return `  ${name.padEnd(9)}${nsPerEvent.toFixed(0).padStart(6)} ns an event   JavaScript thread busy ${(mainBusy * 100).toFixed(0).padStart(3)} %   other threads ${((othersMs / all) * 100).toFixed(0).padStart(3)} %   in the kernel ${((kernelMs / all) * 100).toFixed(0).padStart(3)} %`;
    }),
    '',
    'Memory: resident before the first event, and at most during the run',
    ...PROCESSES.map((name) => {
      const { beforeBytes, peakBytes } = path.costs[name];
      const note = name === 'host' ? '   (the events of the benchmark are in it)' : '';
      return `  ${name.padEnd(9)}${mebibytes(beforeBytes)} -> ${mebibytes(peakBytes)}${note}`;
    }),
  ];
}

function renderLatency(latency: PacedReport): readonly string[] {
  const { released, beyondSync, outsideSync, sync, baseline, ratio } = latency;
  return [
    `Latency at ${Math.round(latency.eventsPerSecond).toLocaleString('en-US')} events/s, ${latency.signals} signals: oldest event of the batch -> released signal, journaled`,
    `  trackseal                 ${times(released)}`,
    `  beyond its two fdatasync  ${times(beyondSync)}`,
    `  outside of any fdatasync  ${times(outsideSync)}`,
    `  one fdatasync             ${times(sync)}`,
    `  JSON batches, durable     ${times(baseline)}   ratio of p99 ${ratio.toFixed(2)}`,
  ];
}

function renderLeased(leased: LeasedReport): readonly string[] {
  const { eventsPerSecond, signals, putDelayMs, put, released, spool, roundTrips } = leased;
  return [
    `Latency under policy s3 at ${Math.round(eventsPerSecond).toLocaleString('en-US')} events/s, ${signals} signals, a PUT delayed by ${putDelayMs} ms`,
    `  oldest event -> released  ${times(released)}`,
    `  the same under spool      ${times(spool)}`,
    `  one PUT by itself         ${times(put)}`,
    `  what S3 adds, in PUTs     p50 ${roundTrips.p50.toFixed(2).padStart(7)}   p99 ${roundTrips.p99.toFixed(2).padStart(7)}`,
  ];
}

function renderHotspots(process: string, places: readonly Hotspot[]): string {
  const lines = places.map(
    ({ where, share }) => `  ${(share * 100).toFixed(1).padStart(5)} %  ${where}\n`,
  );
  return `Profile of the ${process}'s JavaScript thread, whole process, time of its own:\n${lines.join('')}`;
}

export function renderGoals(goals: readonly Goal[]): readonly string[] {
  return goals.map(
    ({ name, goal, measured, met }) =>
      `  ${met ? 'met   ' : 'MISSED'}  ${name}: ${measured.toLocaleString('en-US', { maximumFractionDigits: measured < 100 ? 2 : 0 })}, goal ${goal.toLocaleString('en-US')}`,
  );
}

export function render(report: BenchReport): string {
  const { verifying } = report;
  return [
    ...renderPath(report.whole_path),
    '',
    ...renderLatency(report.latency),
    '',
    ...renderLeased(report.leased),
    '',
    'Log alone, entries of 256 bytes, no disk: tree and checkpoint against a JSON hash chain',
    ...report.log_alone.map(
      (row) =>
        `  ${String(row.entriesPerCommit).padStart(5)} a commit  ${count(row.entriesPerSecond)} entries/s   baseline ${count(row.baselineEntriesPerSecond)}   ratio ${row.ratio.toFixed(2)}`,
    ),
    '',
    `Verifying ${verifying.leaves.toLocaleString('en-US')} leaves of one event each, as a command, from disk, in ${verifying.seconds.toFixed(1)} s`,
    `  trackseal verify log  ${count(verifying.ours)} entries/s   JSON entries ${count(verifying.baseline)}   ratio ${verifying.ratio.toFixed(2)}`,
    '',
    renderProxy(report.proxy),
    '',
    renderTrack(report.track),
    '',
    renderGrpc(report.grpc),
    '',
    ...Object.entries(report.hotspots ?? {}).map(([name, places]) => renderHotspots(name, places)),
    `Goals (two cores, here ${report.cores}):`,
    ...renderGoals(goalsOf(report)),
    '',
  ].join('\n');
}
