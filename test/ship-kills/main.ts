// `npm run test:ship-kills -- --points 100 --seed N`: kills hosts of local appliances at random points while
// they ship, and compares what is in the bucket with what is in the log folder. Exit codes: 0 whole,
// 1 something was not (its folder stays), 2 wrong usage.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cleanUp } from '../e2e/processes.ts';
import { randomPicks } from '../helpers/random.ts';
import { describePoint, ShipKillRun } from './run.ts';

const POINTS_PER_RUN = 20;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      points: { type: 'string', default: '100' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    },
  });
  const [points, seed] = [Number(values.points), Number(values.seed)];
  if (!Number.isInteger(points) || points < 1 || !Number.isInteger(seed)) {
    process.stderr.write('usage: npm run test:ship-kills -- [--points N] [--seed N]\n');
    return 2;
  }
  process.stderr.write(`seed ${seed}\n`);
  const startMs = performance.now();
  let [missed, trimmed, wrong] = [0, 0, 0];
  const kills: string[] = [];
  for (let run = 0; kills.length < points; run++) {
    const folder = mkdtempSync(join(tmpdir(), 'ts-ship-'));
    const pick = randomPicks(seed + run);
    const draw = (low: number, high: number): number => low + pick(high - low + 1);
    const left = points - kills.length;
    const killed = await ShipKillRun.open(join(folder, 'a'), draw, (point) => {
      kills.push(describePoint(point));
      process.stderr.write(`${kills.length}/${points} ${describePoint(point)}\n`);
    });
    const { findings, ...result } = await killed.run(Math.min(POINTS_PER_RUN, left));
    missed += result.missed;
    trimmed += result.trimmed;
    wrong += findings.length;
    for (const finding of findings) process.stderr.write(`${folder}: ${finding}\n`);
    await cleanUp();
    if (findings.length === 0) rmSync(folder, { recursive: true });
  }
  const seconds = Math.round((performance.now() - startMs) / 1000);
  process.stdout.write(
    `${kills.length} kills (${trimmed} of a trimmed spool), ${missed} points missed, ${wrong} findings, ${seconds} s\n`,
  );
  return wrong === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
