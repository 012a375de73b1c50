// What processes and their children cost in memory, from /proc (proc(5)). A process for each connection costs more than its
// pages: the tables that map them are the kernel's, and no page of the process. Stacks and sockets in the kernel are not counted.

import { readdirSync, readFileSync } from 'node:fs';

export interface Memory {
  /** Proportional: a page that is shared by n processes counts for 1/n in each. Bytes. */
  readonly pages: number;
  /** Page tables, bytes. */
  readonly tables: number;
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'mu').exec(text)?.[1] ?? 0) * 1024;
}

export function memoryOf(pids: readonly number[]): Memory {
  const wanted = new Set(pids);
  let [pages, tables] = [0, 0];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/u.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (!wanted.has(Number(name)) && !wanted.has(parent)) continue;
      pages += kilobytes(readFileSync(`/proc/${name}/smaps_rollup`, 'latin1'), 'Pss');
      tables += kilobytes(readFileSync(`/proc/${name}/status`, 'latin1'), 'VmPTE');
    } catch {
      // It has ended since.
    }
  }
  return { pages, tables };
}
