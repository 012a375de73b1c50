// Resident memory of processes, as the kernel counts it.

import { readFileSync } from 'node:fs';

const KIB = 1024;

/** Bytes; 0 when the process is gone. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1] ?? 0) * KIB;
  } catch {
    return 0;
  }
}
