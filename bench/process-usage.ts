// What a process has used, from /proc (proc(5)): processor time by thread, and the largest resident set
// since it was last reset. Linux only, like the enclave.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** A tick of utime and stime; USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

export interface ThreadTimes {
  /** Of the thread that runs the JavaScript. */
  readonly mainMs: number;
  /** V8's helpers and libuv's pool: garbage collection, compilation, files, signatures. */
  readonly othersMs: number;
  /** Of all threads: in the kernel. */
  readonly kernelMs: number;
}

export interface ProcessUsage extends ThreadTimes {
  readonly pid: number;
  readonly peakBytes: number;
}

/** Fields of stat after the name in parentheses, which may contain spaces: field 3 comes first. */
function statFields(path: string): readonly string[] {
  const text = readFileSync(path, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function threadMs(pid: number, thread: string): { readonly user: number; readonly kernel: number } {
  const fields = statFields(`/proc/${pid}/task/${thread}/stat`);
  return { user: Number(fields[11]) * TICK_MS, kernel: Number(fields[12]) * TICK_MS };
}

export function threadTimes(pid: number): ThreadTimes {
  let [mainMs, othersMs, kernelMs] = [0, 0, 0];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const { user, kernel } = threadMs(pid, thread);
    if (Number(thread) === pid) mainMs += user + kernel;
    else othersMs += user + kernel;
    kernelMs += kernel;
  }
  return { mainMs, othersMs, kernelMs };
}

export function since(before: ThreadTimes, after: ThreadTimes): ThreadTimes {
  return {
    mainMs: after.mainMs - before.mainMs,
    othersMs: after.othersMs - before.othersMs,
    kernelMs: after.kernelMs - before.kernelMs,
  };
}

/** The peak counts from here on (clear_refs, proc(5)). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

export function peakBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmHWM:\s+(\d+) kB$/mu.exec(status)?.[1] ?? 0) * 1024;
}

export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1] ?? 0) * 1024;
}

/** Processes whose parent is `pid` and that run `program`. */
export function childrenOf(pid: number, program: string): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/u.test(name)) return [];
    try {
      const isChild = Number(statFields(`/proc/${name}/stat`)[1]) === pid;
      const runs = readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(program);
      return isChild && runs ? [Number(name)] : [];
    } catch {
      // It has ended since.
      return [];
    }
  });
}
