// Where two images differ, as near to the cause as can be said: the section, in a ramdisk the file and the
// offset inside of it. Both are our own builds; an image that cannot be read is compared as bytes.

import { gunzipSync } from 'node:zlib';
import { equalBytes } from '../../wire/bytes.ts';
import type { EifSection } from '../format.ts';
import type { RamdiskEntry } from '../ramdisk.ts';
import { parseRamdisk } from '../ramdisk.ts';
import { parseEif } from '../reader.ts';

export interface Difference {
  /** `kernel`, `cmdline`, `metadata`, `ramdisk 1`, …, or `file` for what no section holds. */
  readonly section: string;
  /** In a ramdisk: the path; null when the difference is not in a file. */
  readonly file: string | null;
  /** In the file, otherwise in the section. */
  readonly offset: number;
  readonly what: string;
}

const MAX_RAMDISK_BYTES: number = 1024 ** 3;

/** Null when they are equal. */
export function firstOffset(a: Uint8Array, b: Uint8Array): number | null {
  if (equalBytes(a, b)) return null;
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at++) if (a[at] !== b[at]) return at;
  return shorter;
}

function entriesOf(data: Uint8Array): readonly RamdiskEntry[] | null {
  try {
    const archive = gunzipSync(data, { maxOutputLength: MAX_RAMDISK_BYTES });
    const parsed = parseRamdisk(new Uint8Array(archive));
    return parsed.ok ? parsed.value : null;
  } catch {
    return null;
  }
}

function entryDifference(a: RamdiskEntry, b: RamdiskEntry): Omit<Difference, 'section'> | null {
  const file = a.path < b.path ? a.path : b.path;
  if (a.path !== b.path) return { file, offset: 0, what: 'is in one of them only' };
  if (a.type !== b.type) return { file, offset: 0, what: `${a.type} and ${b.type}` };
  if ('mode' in a && 'mode' in b && a.mode !== b.mode) {
    return { file, offset: 0, what: `mode ${a.mode.toString(8)} and ${b.mode.toString(8)}` };
  }
  if (a.type === 'file' && b.type === 'file') {
    const offset = firstOffset(a.data, b.data);
    const what = `${String(a.data.length)} and ${String(b.data.length)} bytes`;
    return offset === null ? null : { file, offset, what };
  }
  return JSON.stringify(a) === JSON.stringify(b) ? null : { file, offset: 0, what: a.type };
}

function ramdiskDifference(a: Uint8Array, b: Uint8Array): Omit<Difference, 'section'> {
  const [one, two] = [entriesOf(a), entriesOf(b)];
  const offset = firstOffset(a, b) ?? 0;
  if (one === null || two === null) return { file: null, offset, what: 'not a ramdisk of ours' };
  const longer = one.length > two.length ? one : two;
  for (const [at, entry] of longer.entries()) {
    const [left, right] = [one[at], two[at]];
    if (left === undefined || right === undefined) {
      return { file: entry.path, offset: 0, what: 'is in one of them only' };
    }
    const difference = entryDifference(left, right);
    if (difference !== null) return difference;
  }
  return { file: null, offset, what: 'the same files, compressed differently' };
}

function names(sections: readonly EifSection[]): readonly string[] {
  let ramdisks = 0;
  return sections.map(({ type }) => (type === 'ramdisk' ? `ramdisk ${String(++ramdisks)}` : type));
}

/** Null when the files are the same. */
export function compareImages(a: Uint8Array, b: Uint8Array): Difference | null {
  const whole = firstOffset(a, b);
  if (whole === null) return null;
  const [one, two] = [parseEif(a), parseEif(b)];
  const plain = { section: 'file', file: null, offset: whole, what: 'other bytes' };
  if (!one.ok || !two.ok) return plain;
  const sections = names(one.value.sections);
  for (const [at, section] of sections.entries()) {
    const [left, right] = [one.value.sections[at], two.value.sections[at]];
    if (left === undefined || right === undefined || left.type !== right.type) return plain;
    const offset = firstOffset(left.data, right.data);
    if (offset === null) continue;
    if (left.type === 'ramdisk') return { section, ...ramdiskDifference(left.data, right.data) };
    const what = `${String(left.data.length)} and ${String(right.data.length)} bytes`;
    return { section, file: null, offset, what };
  }
  return plain;
}
