// Every part of `npm run bench`, at its smallest, runs to its end and gives all its figures.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BenchReport } from '../../bench/report.ts';
import { goalsOf, render } from '../../bench/report.ts';
import { SMALLEST } from '../../bench/sizes.ts';
import { BENCH_MS, missing, NO_FIGURE, runBench } from './run-bench.ts';

/** A part that is new has to be here, and then in the report. */
const PARTS = {
  node: true,
  cores: true,
  whole_path: true,
  latency: true,
  leased: true,
  log_alone: true,
  verifying: true,
  proxy: true,
  track: true,
  grpc: true,
  hotspots: true,
} satisfies Record<keyof BenchReport, true>;

describe('npm run bench', () => {
  let folder = '';
  let report: BenchReport;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trackseal-bench-test-'));
    const profiles = join(folder, 'profiles');
    const { stdout } = await runBench('main.ts', ['--smallest', '--json', '--profile', profiles]);
    report = JSON.parse(stdout) as BenchReport;
  }, BENCH_MS);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('has every part and every figure in its report, but what needs socat', () => {
    expect(Object.keys(report)).toEqual([...Object.keys(PARTS), 'goals']);
    expect(missing(report)).toEqual(['proxy.overSocat']);
  });

  it('prints it', () => {
    const text = render(report);
    expect(text).not.toMatch(NO_FIGURE);
    for (const { name } of goalsOf(report)) expect(text).toContain(name);
    expect(text).toContain('socat is not here');
  });

  it('whole path: every event, signals, leaves, and three processes', () => {
    const { whole_path: path } = report;
    expect(path.events).toBeGreaterThan(SMALLEST.tape.take ?? 0);
    expect(path.leaves).toBeGreaterThan(path.events / path.rowsPerBatch);
    expect(path.signals).toBeGreaterThan(0);
    expect(path.syncs).toBeGreaterThan(0);
    expect(path.perEvent.baseline).toBeGreaterThan(0);
    expect(path.perBatch.baseline).toBeGreaterThan(0);
    for (const { peakBytes } of Object.values(path.costs)) expect(peakBytes).toBeGreaterThan(0);
  });

  it('latency: each signal timed, under policy spool and under s3', () => {
    const { latency, leased } = report;
    expect(latency.signals).toBeGreaterThan(0);
    expect(latency.released.count).toBe(latency.signals);
    expect(latency.baseline.count).toBeGreaterThan(0);
    expect(leased.signals).toBeGreaterThan(0);
    expect(leased.released.count).toBe(leased.signals);
    expect(leased.spool.count).toBeGreaterThan(0);
    expect(leased.put.count).toBeGreaterThan(0);
  });

  it('log alone and verifying: all entries', () => {
    const { log_alone: rows, verifying } = report;
    expect(rows.map(({ entriesPerCommit }) => entriesPerCommit)).toEqual([1, 10, 100, 1000]);
    expect(rows.every(({ entriesPerSecond }) => entriesPerSecond > 0)).toBe(true);
    // One event a leaf; and those of the boot and of signals.
    expect(verifying.leaves).toBeGreaterThan(SMALLEST.tape.take ?? 0);
    expect(verifying.ours).toBeGreaterThan(0);
    expect(verifying.baseline).toBeGreaterThan(0);
  });

  it('proxy: both ways that need no socat, and no connection failed', () => {
    const { ways } = report.proxy;
    expect(Object.keys(ways)).toEqual(['trackseal', 'node']);
    for (const way of Object.values(ways)) {
      expect(way.failed).toBe(0);
      expect(way.downBytesPerSecond).toBeGreaterThan(0);
      expect(way.upBytesPerSecond).toBeGreaterThan(0);
      expect(way.latency.count).toBe(100 * SMALLEST.proxy.messagesEach);
    }
  });

  it('track: a return for each hour, the same equity as with floats, and statements that were loaded', () => {
    const { book, naive, many, difference, loadingMs } = report.track;
    const { hours, fills } = SMALLEST.track;
    expect(book).toMatchObject({ hours, fills, returns: hours });
    expect(naive).toMatchObject({ hours, fills, returns: hours });
    expect(many).toMatchObject({ hours, fills: 10 * fills, returns: hours });
    expect(difference).toBeLessThan(1e-6);
    expect(loadingMs).toBeGreaterThan(0);
  });

  it('gRPC: two methods and the opening of credentials, each call timed', () => {
    const { ways, opening } = report.grpc;
    const { grpcCalls: count } = SMALLEST;
    const methods = ways.map(({ method }) => method);
    expect(methods).toEqual(['GetAggregatedMetrics', 'CalculateHistoricalReturns']);
    for (const { method: _, answerBytes, ...times } of ways) {
      expect(answerBytes).toBeGreaterThan(0);
      for (const time of Object.values(times)) expect(time.count).toBe(count);
    }
    expect(opening.count).toBe(count);
  });

  it(
    'one part alone, as text',
    async () => {
      const { stdout } = await runBench('main.ts', ['--smallest', '--grpc']);
      expect(stdout).toContain(`${SMALLEST.grpcCalls} calls`);
      expect(stdout).toContain('Goals:');
      expect(stdout).not.toMatch(NO_FIGURE);
    },
    BENCH_MS,
  );
});
