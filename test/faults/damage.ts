// Rot: a bit of a file is another one when the next host comes. It must notice, or it must not matter. Not
// noticed is what looks like the end of a write that a crash tore: the last group of a spool, with nothing
// behind it that proves that it was synced (host-proxy/spool-record.ts).

import { readRecord } from '../../host-proxy/spool-record.ts';
import type { MemoryFiles } from '../helpers/memory-files.ts';

export interface Damaged {
  readonly path: string;
  /** It may look like a torn write. */
  readonly unproven: boolean;
}

/** Flips one bit of a file below one of the folders; null when there is none. */
export function damage(
  disk: MemoryFiles,
  folders: readonly string[],
  pick: (bound: number) => number,
): Damaged | null {
  const files = folders.flatMap((folder) =>
    [...disk.contents(folder)].map(([path, bytes]) => ({ path: `${folder}/${path}`, bytes })),
  );
  const used = files
    .map(({ path, bytes }) => ({ path, bytes, length: usedLength(bytes) }))
    .filter(({ length }) => length > 0);
  const target = used[pick(Math.max(used.length, 1))];
  if (target === undefined) return null;
  const at = pick(target.length);
  const bit = 1 << pick(8);
  const unproven = isUnproven(used, target.path, at);
  disk.damage(target.path, (bytes) => bytes.with(at, (bytes[at] ?? 0) ^ bit));
  return { path: target.path, unproven };
}

function usedLength(bytes: Uint8Array): number {
  let { length } = bytes;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return length;
}

interface Used {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** In the last group of the last segment that a spool has used, and without a mark behind it. */
function isUnproven(used: readonly Used[], path: string, at: number): boolean {
  const parts = /^(.*\/(?:spool|releases|execution)\/\d{10})\/\d{10}$/u.exec(path);
  if (parts === null) return false;
  const segments = used.filter((file) => file.path.startsWith(`${parts[1] ?? ''}/`));
  if (segments.at(-1)?.path !== path) return false;
  const { bytes } = segments.at(-1) ?? { bytes: new Uint8Array() };
  let lastGroup = 0;
  for (
    let next = readRecord(bytes, 0), offset = 0;
    next !== null;
    next = readRecord(bytes, offset)
  ) {
    if (next.first) lastGroup = offset;
    // A mark: what is in front of it is proven, and it hides nothing itself.
    if (next.first && next.begin === next.end) return at >= offset;
    offset = next.end;
  }
  return at >= lastGroup;
}
