// Where the runner of strategies is, for whoever runs from a checkout or a package. The image has its own.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { RunnerProgram } from './strategy-program.ts';
import { runnerFlags } from './strategy-program.ts';

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
