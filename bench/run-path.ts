// Starts runs of the whole path, each in a process and a folder of its own.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { PathProcessOptions, PathProcessResult } from './path-process.ts';

/** A folder for one measurement, gone afterwards. */
export async function withFolder<T>(run: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'trackseal-bench-'));
  try {
    return await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export async function runPath(options: PathProcessOptions): Promise<PathProcessResult> {
  const program = join(import.meta.dirname, 'path-process.ts');
  const child = spawn(execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8');
  let output = '';
  child.stdout.on('data', (text: string) => {
    output += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`a run of the whole path ended with ${String(code)}`);
  return JSON.parse(output) as PathProcessResult;
}
