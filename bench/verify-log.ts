// `trackseal verify log` over the log of a run, as its user starts it: a process of its own, everything
// checked, from disk. Node's own start is part of it, as it is for whoever waits.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { execPath } from 'node:process';
import { ROOT } from '../scripts/bundle.ts';

/** Leaves a second of the epoch in the appliance of a run's folder; throws when it is refused. */
export async function verifyLogOf(
  directory: string,
  leaves: number,
): Promise<{ readonly leavesPerSecond: number; readonly seconds: number }> {
  const appliance = join(directory, 'appliance');
  const start = performance.now();
  const child = spawn(
    execPath,
    [
      join(ROOT, 'scripts/trackseal.ts'),
      'verify',
      'log',
      join(appliance, 'log'),
      '--no-heads',
      '--json',
      '--policy',
      join(appliance, 'lp/policy.json'),
      '--unsafe-root',
      join(appliance, 'aws/root.pem'),
      '--key',
      join(appliance, 'compliance/key.pem'),
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const [code] = await new Promise<[number | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      resolve([status]);
    });
  });
  if (code !== 0) throw new Error(`verify log ended with ${String(code)}`);
  const seconds = (performance.now() - start) / 1000;
  return { leavesPerSecond: leaves / seconds, seconds };
}
