// How a strategy process is started, the same by the enclave and by whoever replays a log. The process
// is the boundary around hostile code: Node's permission model denies files, network, processes,
// workers, addons and the inspector; there is no environment and no descriptor but two pipes.

import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { Readable, Writable } from 'node:stream';

/** V8's heap of a strategy process; what is outside of it is watched by the supervisor. */
const HEAP_MEGABYTES = 256;

export interface RunnerProgram {
  /** The node binary. */
  readonly execPath: string;
  /** Node's flags, from `runnerFlags`. */
  readonly flags: readonly string[];
  /** Absolute path of the runner. */
  readonly path: string;
}

/** `readable`: what the runner may read until it has loaded; nothing for a bundle. */
export function runnerFlags(readable: readonly string[] = []): readonly string[] {
  return [
    '--permission',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    '--disallow-code-generation-from-strings',
    '--frozen-intrinsics',
    `--max-old-space-size=${HEAP_MEGABYTES}`,
    '--no-warnings',
  ];
}

/** The runner of the project or package at `root`: its bundle, or the sources of a checkout. */
export function findRunner(root: string): RunnerProgram {
  const source = join(root, 'enclave/strategy/runner.ts');
  if (!existsSync(source)) {
    const path = join(root, 'dist/strategy-runner.mjs');
    return { execPath, flags: runnerFlags(), path };
  }
  const readable = ['wire', 'enclave/strategy', 'package.json'];
  return { execPath, flags: runnerFlags(readable.map((name) => join(root, name))), path: source };
}

export type StrategyChild = ChildProcessByStdio<Writable, Readable, null>;

export function spawnStrategy(program: RunnerProgram): StrategyChild {
  return spawn(program.execPath, [...program.flags, program.path], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {},
    cwd: '/',
  });
}
