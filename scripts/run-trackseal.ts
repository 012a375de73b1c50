// A command of ours as a process of its own, for what has to run in another environment than the caller's.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './bundle.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Rejects when it cannot be started. */
export async function runTrackseal(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  const child = spawn(process.execPath, [join(ROOT, 'scripts/trackseal.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit) => {
      resolve(exit ?? 1);
    });
  });
  return { code, stdout, stderr };
}
