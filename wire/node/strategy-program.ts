// How a strategy process is started, the same by the enclave and by whoever replays a log. The process
// is the boundary around hostile code: Node's permission model denies files, network, processes, addons
// and the inspector; there is no environment, no descriptor but two pipes, a session of its own, and the
// kernel takes it before the enclave. docs/STRATEGY-BOUNDARY.md says what each line stops.

import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { ChildProgram } from './child-program.ts';
import { spawnProgram } from './child-program.ts';

/** V8's heap of a strategy process; what is outside of it is watched by the supervisor. */
const HEAP_MEGABYTES = 256;
export type RunnerProgram = ChildProgram;

/** Users of the strategies, one each; enclave/launch/launch.c takes no others. */
const FIRST_USER = 2000;

/** `readable`: what the runner may read until it has loaded; nothing for a bundle. */
export function runnerFlags(readable: readonly string[] = []): readonly string[] {
  return [
    '--permission',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    // For the watchdog; the runner drops it before it reads a byte (enclave/strategy/seal.ts).
    '--allow-worker',
    '--disallow-code-generation-from-strings',
    '--frozen-intrinsics',
    // A changed flag of V8 could switch its checks off, and some write files past Node's permissions.
    '--freeze-flags-after-init',
    // A database opens files past Node's permissions.
    '--no-experimental-sqlite',
    '--no-experimental-ffi',
    // Math.pow of the C library differs by its version and by the processor.
    '--no-use-std-math-pow',
    '--v8-pool-size=1',
    // As docs/PROTOCOL.md 11 has it; modules that ask for more are refused before.
    '--wasm-max-mem-pages=4096',
    '--wasm-max-table-size=65536',
    `--max-old-space-size=${HEAP_MEGABYTES}`,
    '--no-warnings',
  ];
}

export type StrategyChild = ChildProcessByStdio<Writable, Readable, null>;

/** Strategies with different `index`, counted from 0, are different users where the image's launcher starts them. */
export function spawnStrategy(program: RunnerProgram, index = 0): StrategyChild {
  return spawnProgram(program, FIRST_USER + index) as StrategyChild;
}
