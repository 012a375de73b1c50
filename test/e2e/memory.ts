// Memory of processes: what is resident, as the kernel counts it, and all that can be read of it.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const KIB = 1024;
const CHUNK_BYTES = 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;
const PAGE_BYTES = 4096;
const ENTRY_BYTES = 8;
/** Of the last byte of an entry. */
const IN_MEMORY_OR_SWAPPED = 0xc0;
const ZEROS = Buffer.alloc(BLOCK_BYTES);
/** What the kernel maps into each process and nobody can read. */
const NOT_MEMORY = /\[(?:vvar|vvar_vclock|vsyscall)\]$/u;

/** Bytes; 0 when the process is gone. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1] ?? 0) * KIB;
  } catch {
    return 0;
  }
}

interface Region {
  readonly start: number;
  readonly end: number;
}

/** Adjacent ones are one: a text may lie across two. */
function joined(regions: Iterable<Region>): readonly Region[] {
  const all: Region[] = [];
  for (const { start, end } of regions) {
    const last = all.at(-1);
    if (last?.end === start) all[all.length - 1] = { start: last.start, end };
    else all.push({ start, end });
  }
  return all;
}

function* readableRegions(pid: number): Generator<Region> {
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) r/u.exec(line);
    if (match === null || NOT_MEMORY.test(line)) continue;
    yield {
      start: Number.parseInt(match[1] ?? '', 16),
      end: Number.parseInt(match[2] ?? '', 16),
    };
  }
}

/** Pages that were touched (/proc/PID/pagemap): others are zero, or as they are in their file. */
function* touchedPages(pid: number, pagemap: number): Generator<Region> {
  for (const region of readableRegions(pid)) yield* touchedOf(region, pagemap);
}

function* touchedOf({ start, end }: Region, pagemap: number): Generator<Region> {
  const entries = Buffer.alloc(((end - start) / PAGE_BYTES) * ENTRY_BYTES);
  const read = readSync(pagemap, entries, 0, entries.length, (start / PAGE_BYTES) * ENTRY_BYTES);
  if (read !== entries.length) throw new Error('the pagemap is cut short');
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    if (((entries[at + ENTRY_BYTES - 1] ?? 0) & IN_MEMORY_OR_SWAPPED) === 0) continue;
    const page = start + (at / ENTRY_BYTES) * PAGE_BYTES;
    yield { start: page, end: page + PAGE_BYTES };
  }
}

/** Without blocks of zeros, most of which were never written. */
function* written(chunk: Buffer): Generator<Buffer> {
  let from = -1;
  for (let at = 0; at < chunk.length; at += BLOCK_BYTES) {
    const block = chunk.subarray(at, at + BLOCK_BYTES);
    const isZero = block.equals(ZEROS.subarray(0, block.length));
    if (isZero && from >= 0) {
      yield chunk.subarray(from, at);
      from = -1;
    } else if (!isZero && from < 0) from = at;
  }
  if (from >= 0) yield chunk.subarray(from);
}

/**
 * Everything that the process has in memory, in pieces that overlap by `overlap` bytes where they were cut; what is
 * zero is left out. The process stands still meanwhile. Throws when it is gone, or is not ours to read.
 */
export function readMemory(pid: number, overlap: number): readonly Buffer[] {
  const pieces: Buffer[] = [];
  process.kill(pid, 'SIGSTOP');
  const [file, pagemap] = [
    openSync(`/proc/${pid}/mem`, 'r'),
    openSync(`/proc/${pid}/pagemap`, 'r'),
  ];
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (const { start, end } of joined(touchedPages(pid, pagemap))) {
      for (let at = start; at < end;) {
        const read = readSync(file, chunk, 0, Math.min(CHUNK_BYTES, end - at), at);
        if (read === 0) throw new Error(`nothing to read at ${at.toString(16)}`);
        for (const piece of written(chunk.subarray(0, read))) pieces.push(Buffer.from(piece));
        at += read;
        if (at < end) at -= Math.min(overlap, read - 1);
      }
    }
  } finally {
    closeSync(file);
    closeSync(pagemap);
    process.kill(pid, 'SIGCONT');
  }
  return pieces;
}
