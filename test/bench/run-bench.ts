// A benchmark as its user starts it, and what its report lacks. How fast anything was is nobody's business here: other tests
// run beside it.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { promisify } from 'node:util';
import { ROOT } from '../../scripts/bundle.ts';

/** For a machine on which much else happens: it takes a tenth of that alone. */
export const BENCH_MS = 600_000;

export interface BenchOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** Rejects with what it wrote on stderr when it does not end with 0. */
export function runBench(program: string, args: readonly string[]): Promise<BenchOutput> {
  return promisify(execFile)(execPath, [join(ROOT, 'bench', program), ...args], {
    // The comparison with socat is left out wherever this runs, and not only where there is none.
    env: { ...env, TRACKSEAL_SOCAT: join(ROOT, 'no-socat-here') },
    timeout: BENCH_MS,
  });
}

/** Paths of what is no figure: JSON has null for NaN and Infinity, and what is empty has not been measured. */
export function missing(value: unknown, path = ''): readonly string[] {
  if (value === null || value === undefined || value === '') return [path];
  if (typeof value !== 'object') return [];
  const entries = Object.entries(value);
  if (entries.length === 0) return [path];
  return entries.flatMap(([name, part]) => missing(part, path === '' ? name : `${path}.${name}`));
}

/** A text of figures that are none. */
export const NO_FIGURE: RegExp = /NaN|Infinity|undefined|null|\[object/u;
