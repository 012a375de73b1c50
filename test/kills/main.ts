// `npm run test:kills -- --points 200 --seed N --json`: kills host, enclave and strategy of local appliances
// at random points under load, and compares what was promised with what was kept. Exit codes: 0 kept,
// 1 something was not (its folder stays), 2 wrong usage.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cleanUp } from '../e2e/processes.ts';
import { randomPicks } from '../helpers/random.ts';
import type { Draw, Point } from './plan.ts';
import { describePoint } from './plan.ts';
import { KillRun } from './run.ts';

const POINTS_PER_RUN = 20;
const BAR_WIDTH = 30;

interface Report {
  readonly seed: number;
  readonly points: number;
  readonly missed: number;
  /** Kills that left a spool without its begin. */
  readonly trimmed: number;
  readonly epochs: number;
  readonly releases: number;
  readonly seconds: number;
  readonly byMoment: Readonly<Record<string, number>>;
  readonly byTarget: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
}

interface Finding {
  readonly run: number;
  readonly folder: string;
  readonly what: string;
}

function drawOf(seed: number): Draw {
  const pick = randomPicks(seed);
  return (low, high) => low + pick(high - low + 1);
}

function countBy(points: readonly Point[], key: 'moment' | 'target'): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const point of points) counts[point[key]] = (counts[point[key]] ?? 0) + 1;
  return counts;
}

function showProgress(done: number, total: number, last: string): void {
  if (!process.stderr.isTTY) {
    process.stderr.write(`${done}/${total} ${last}\n`);
    return;
  }
  const filled = Math.min(BAR_WIDTH, Math.floor((done / total) * BAR_WIDTH));
  const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '.');
  process.stderr.write(`\r\u001B[2K[${bar}] ${done}/${total} ${last}`);
}

export async function runKills(points: number, seed: number): Promise<Report> {
  const startMs = performance.now();
  const kills: Point[] = [];
  const findings: Finding[] = [];
  let [missed, trimmed, epochs, releases] = [0, 0, 0, 0];
  for (let run = 0; kills.length < points; run++) {
    const folder = mkdtempSync(join(tmpdir(), 'ts-kills-'));
    const killed = await KillRun.open(join(folder, 'a'), drawOf(seed + run), (point) => {
      kills.push(point);
      showProgress(kills.length, points, describePoint(point));
    });
    const result = await killed.run(Math.min(POINTS_PER_RUN, points - kills.length));
    for (const what of result.findings) findings.push({ run, folder, what });
    missed += result.missed;
    trimmed += result.trimmed;
    epochs += result.epochs;
    releases += result.releases;
    await cleanUp();
    if (result.findings.length === 0) rmSync(folder, { recursive: true });
  }
  return {
    seed,
    points: kills.length,
    missed,
    trimmed,
    epochs,
    releases,
    seconds: Math.round((performance.now() - startMs) / 1000),
    byMoment: countBy(kills, 'moment'),
    byTarget: countBy(kills, 'target'),
    findings,
  };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      points: { type: 'string', default: '200' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      json: { type: 'boolean', default: false },
    },
  });
  const [points, seed] = [Number(values.points), Number(values.seed)];
  if (!Number.isInteger(points) || points < 1 || !Number.isInteger(seed)) {
    process.stderr.write('usage: npm run test:kills -- [--points N] [--seed N] [--json]\n');
    return 2;
  }
  process.stderr.write(`seed ${seed}\n`);
  const report = await runKills(points, seed);
  if (process.stderr.isTTY) process.stderr.write('\n');
  if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else {
    const { missed, trimmed, epochs, releases, seconds } = report;
    process.stdout.write(
      `${report.points} kills (${trimmed} of a trimmed spool), ${epochs} epochs, ${releases} released outputs, ${missed} points missed, ${seconds} s\n`,
    );
  }
  for (const { folder, what } of report.findings) process.stderr.write(`${folder}: ${what}\n`);
  return report.findings.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
