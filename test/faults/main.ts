// `npm run test:faults -- --schedules 20000 --seed N --json`: schedules of faults over host, execution and
// enclave core, several at once. A failing one is run again and made shorter before it is shown. Exit codes:
// 0 all promises kept, 1 not, 2 wrong usage.

import { parseArgs } from 'node:util';
import * as fc from 'fast-check';
import { runSchedule } from './run.ts';
import type { Schedule } from './schedule.ts';
import { schedules } from './schedule.ts';
import { shorten } from './shorten.ts';

const AT_ONCE = 4;
/** fast-check keeps what it has drawn. */
const CHUNK = 500;
const MAX_FAILURES = 5;
const BAR_WIDTH = 30;

interface Failure {
  readonly schedule: Schedule;
  readonly shortest: Schedule;
  readonly findings: readonly string[];
}

interface Report {
  readonly seed: number;
  readonly schedules: number;
  readonly hosts: number;
  readonly seconds: number;
  /** How hosts ended. */
  readonly ends: Readonly<Record<string, number>>;
  readonly failures: readonly Failure[];
}

function showProgress(done: number, total: number, failures: number): void {
  const { isTTY } = process.stderr;
  if (!isTTY && done % 500 !== 0) return;
  const filled = Math.floor((done / total) * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled).padEnd(BAR_WIDTH, '.')}]`;
  process.stderr.write(
    `${isTTY ? '\r' : ''}${bar} ${done}/${total} ${failures} failed${isTTY ? '' : '\n'}`,
  );
}

async function runSchedules(total: number, seed: number): Promise<Report> {
  const startMs = performance.now();
  const ends: Record<string, number> = {};
  const failures: Failure[] = [];
  let [done, hosts] = [0, 0];
  for (let first = 0; first < total && failures.length < MAX_FAILURES; first += CHUNK) {
    const numRuns = Math.min(CHUNK, total - first);
    const chunk = [...fc.sample(schedules, { seed: seed + first, numRuns })];
    const work = async (): Promise<void> => {
      for (let next = chunk.pop(); next !== undefined; next = chunk.pop()) {
        const result = await runSchedule(next);
        for (const end of result.ends) {
          const name = 'code' in end ? `${end.how} ${end.code}` : end.how;
          ends[name] = (ends[name] ?? 0) + 1;
        }
        hosts += result.ends.length;
        if (result.findings.length > 0) {
          failures.push({ schedule: next, ...(await shorten(next, result.findings)) });
          if (failures.length >= MAX_FAILURES) chunk.length = 0;
        }
        showProgress(++done, total, failures.length);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }
  const seconds = Math.round((performance.now() - startMs) / 1000);
  return { seed, schedules: done, hosts, seconds, ends, failures };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      schedules: { type: 'string', default: '20000' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      json: { type: 'boolean', default: false },
    },
  });
  const [total, seed] = [Number(values.schedules), Number(values.seed)];
  if (!Number.isInteger(total) || total < 1 || !Number.isInteger(seed)) {
    process.stderr.write('usage: npm run test:faults -- [--schedules N] [--seed N] [--json]\n');
    return 2;
  }
  process.stderr.write(`seed ${seed}\n`);
  const report = await runSchedules(total, seed);
  if (process.stderr.isTTY) process.stderr.write('\n');
  if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else {
    const { hosts, seconds, failures } = report;
    process.stdout.write(
      `${report.schedules} schedules, ${hosts} hosts, ${failures.length} failures, ${seconds} s\n`,
    );
    for (const { shortest, findings } of failures) {
      process.stdout.write(`${JSON.stringify(shortest)}\n  ${findings.join('\n  ')}\n`);
    }
  }
  return report.failures.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  // What an ended enclave still has open keeps the process alive for nothing.
  process.exitCode = await main();
  process.exit();
}
