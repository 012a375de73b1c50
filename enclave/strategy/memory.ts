// Memory of another process, from the kernel. V8's own limit covers its heap only; typed arrays lie
// outside of it, and an endless loop of them would take the enclave's memory within a second or two.

import { readFileSync } from 'node:fs';

const PAGE_BYTES = 4096;

/** Resident set in bytes (proc(5), statm field 2); 0 when the process is gone or there is no /proc. */
export function residentBytes(pid: number): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    return Number.isSafeInteger(pages) ? pages * PAGE_BYTES : 0;
  } catch {
    return 0;
  }
}
