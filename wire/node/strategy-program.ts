// How a strategy process is started, the same by the enclave and by whoever replays a log. The process
// is the boundary around hostile code: Node's permission model denies files, network, processes, addons
// and the inspector; there is no environment, no descriptor but two pipes, a session of its own, and the
// kernel takes it before the enclave. docs/STRATEGY-BOUNDARY.md says what each line stops.

import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { execPath, pid as ownPid } from 'node:process';
import type { Readable, Writable } from 'node:stream';

/** V8's heap of a strategy process; what is outside of it is watched by the supervisor. */
const HEAP_MEGABYTES = 256;
/** A third of the weight of the enclave's own threads. */
const NICE = 5;

export interface RunnerProgram {
  /** The node binary. */
  readonly execPath: string;
  /** Node's flags, from `runnerFlags`. */
  readonly flags: readonly string[];
  /** Absolute path of the runner. */
  readonly path: string;
  /** Of the image: the program that takes user, capabilities and system calls away (enclave/launch). */
  readonly launcher?: string;
}

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

/** Files of proc(5): first to go when memory is short, an empty core dump, less of the processor. */
const STANDING: readonly (readonly [name: string, value: string])[] = [
  ['oom_score_adj', '1000'],
  ['coredump_filter', '0'],
  ['autogroup', String(NICE)],
];

/** Needs no root. Where a kernel lacks one of them, the others still count. */
function lowerStanding(pid: number): void {
  for (const [name, value] of STANDING) {
    try {
      writeFileSync(`/proc/${pid}/${name}`, value);
    } catch {
      // No such file here, or the process is gone.
    }
  }
  try {
    setPriority(pid, NICE);
    // A thread has a priority of its own, from the one that made it; some may have been made already.
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), NICE);
  } catch {
    // The process or a thread is gone, or there is no /proc.
  }
}

/**
 * Descriptors that a child would get by accident: whoever started this process left them open, and Node
 * marks only the first few. proc(5): `flags` of fdinfo, octal.
 */
function inheritable(): readonly number[] {
  try {
    return readdirSync('/proc/self/fdinfo')
      .map(Number)
      .filter((fd) => fd > 2 && !isCloseOnExec(fd));
  } catch {
    return [];
  }
}

const CLOSE_ON_EXEC = 0o2_000_000;

function isCloseOnExec(fd: number): boolean {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    const flags = Number.parseInt(/flags:\s+(\d+)/u.exec(info)?.[1] ?? '', 8);
    return Math.floor(flags / CLOSE_ON_EXEC) % 2 === 1;
  } catch {
    // Closed meanwhile: it was the one that listed the others.
    return true;
  }
}

/**
 * The program learns who started it, so that it ends with its parent. Strategies with different `index`,
 * counted from 0, are different users where the image's launcher starts them.
 */
export function spawnStrategy(program: RunnerProgram, index = 0): StrategyChild {
  const nothing = openSync('/dev/null', 'r');
  const stdio: ('pipe' | 'ignore' | number)[] = ['pipe', 'pipe', 'ignore'];
  for (const fd of inheritable()) {
    while (stdio.length < fd) stdio.push('ignore');
    stdio[fd] = nothing;
  }
  const { execPath: node, flags, path, launcher } = program;
  const args = [node, ...flags, path, String(ownPid)];
  // It replaces itself by the program: its process id and its parent are the program's.
  if (launcher !== undefined) args.unshift(launcher, String(FIRST_USER + index));
  const child = spawn(args.shift() ?? node, args, {
    stdio,
    env: {},
    cwd: '/',
    // A session of its own: no terminal, and no signals that are meant for the enclave's group.
    detached: true,
  }) as StrategyChild;
  closeSync(nothing);
  // The image's launcher does so itself: its process is another user's, out of reach from here.
  if (child.pid !== undefined && launcher === undefined) lowerStanding(child.pid);
  return child;
}
