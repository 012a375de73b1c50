// How the enclave, and whoever replays a log, starts a process of its own: without an environment, with two
// descriptors and no others, in a session of its own, where the image's launcher is also as a user of its
// own behind a filter of system calls. The process learns who started it, so that it ends with its parent.

import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setPriority } from 'node:os';
import { pid as ownPid } from 'node:process';

/** A third of the weight of the enclave's own threads. */
const NICE = 5;

export interface ChildProgram {
  /** The node binary. */
  readonly execPath: string;
  /** Node's flags. */
  readonly flags: readonly string[];
  /** Absolute path of the program. */
  readonly path: string;
  /** Of the image: the program that takes user, capabilities and system calls away (enclave/launch). */
  readonly launcher?: string;
}

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
 * `user` is what the image's launcher takes, where there is one. `socket` is its standard input and output in place of
 * two pipes; the caller closes its own copy. The program gets `args` after its parent's process id.
 */
export function spawnProgram(
  program: ChildProgram,
  user: number,
  args: readonly string[] = [],
  socket: Socket | null = null,
): ChildProcess {
  const nothing = openSync('/dev/null', 'r');
  const own = socket ?? 'pipe';
  const stdio: Exclude<StdioOptions, string> = [own, own, 'ignore'];
  for (const fd of inheritable()) {
    while (stdio.length < fd) stdio.push('ignore');
    stdio[fd] = nothing;
  }
  const { execPath: node, flags, path, launcher } = program;
  const command = [node, ...flags, path, String(ownPid), ...args];
  // It replaces itself by the program: its process id and its parent are the program's.
  if (launcher !== undefined) command.unshift(launcher, String(user));
  const child = spawn(command.shift() ?? node, command, {
    stdio,
    env: {},
    cwd: '/',
    // A session of its own: no terminal, and no signals that are meant for the enclave's group.
    detached: true,
  });
  closeSync(nothing);
  // The image's launcher does so itself: its process is another user's, out of reach from here.
  if (child.pid !== undefined && launcher === undefined) lowerStanding(child.pid);
  return child;
}
