// Ramdisks: cpio archives in "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst),
// written so that nothing of the building machine is in them: entries sorted, inode numbers counted,
// owner 0, time 0, modes as given. The kernel unpacks archives one after the other into one root.
//
//   "070701" | 13 numbers of 8 hex digits: inode, mode, uid, gid, nlink, mtime, size, device (2), of the
//   node (2), name size, check | name NUL | to 4 | data | to 4 … "TRAILER!!!" | to 512

import { concatBytes, parseUtf8, utf8 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

export type RamdiskEntry =
  | { readonly type: 'directory'; readonly path: string; readonly mode: number }
  | {
      readonly type: 'file';
      readonly path: string;
      readonly mode: number;
      readonly data: Uint8Array;
    }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly type: 'character';
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const MAGIC = '070701';
const HEADER_BYTES = 110;
const TRAILER = 'TRAILER!!!';
const ALIGNMENT = 512;
const TYPE_MASK = 0o170000;
const TYPE = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  character: 0o020000,
} as const;
const PERMISSIONS = 0o7777;
const SYMLINK_MODE = 0o777;
const MAX_NAME_BYTES = 4096;

interface Header {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly bytes: number;
  readonly major: number;
  readonly minor: number;
  readonly nameBytes: number;
}

function padding(length: number, to: number): Uint8Array {
  return new Uint8Array((to - (length % to)) % to);
}

function encodeHeader(header: Header): Uint8Array {
  const { inode, mode, links, bytes, major, minor, nameBytes } = header;
  const numbers = [inode, mode, 0, 0, links, 0, bytes, 0, 0, major, minor, nameBytes, 0];
  const hex = numbers.map((value) => value.toString(16).toUpperCase().padStart(8, '0'));
  return utf8(`${MAGIC}${hex.join('')}`);
}

function encodeNode(
  name: string,
  header: Omit<Header, 'nameBytes' | 'bytes'>,
  data: Uint8Array,
): Uint8Array {
  const bytes = concatBytes(utf8(name), new Uint8Array(1));
  const head = encodeHeader({ ...header, bytes: data.length, nameBytes: bytes.length });
  const first = head.length + bytes.length;
  return concatBytes(head, bytes, padding(first, 4), data, padding(data.length, 4));
}

function dataOf(entry: RamdiskEntry): Uint8Array {
  if (entry.type === 'file') return entry.data;
  return entry.type === 'symlink' ? utf8(entry.target) : new Uint8Array(0);
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(utf8(a), utf8(b));
}

function assertPaths(entries: readonly RamdiskEntry[]): void {
  const seen = new Map<string, RamdiskEntry['type']>();
  for (const { path, type } of entries) {
    const parts = path.split('/');
    const isClean = parts.every((part) => part !== '' && part !== '.' && part !== '..');
    if (!isClean || path.includes('\0')) throw new RangeError(`not a path in a ramdisk: ${path}`);
    const parent = parts.slice(0, -1).join('/');
    if (parent !== '' && seen.get(parent) !== 'directory') {
      throw new RangeError(`no directory for ${path}`);
    }
    if (seen.has(path)) throw new RangeError(`twice in a ramdisk: ${path}`);
    seen.set(path, type);
  }
}

/**
 * The archive of these entries, in the order of their paths' bytes. Paths are relative, without `.` and
 * `..`. Throws a RangeError for a path that is there twice or has no directory.
 */
export function encodeRamdisk(entries: readonly RamdiskEntry[]): Uint8Array {
  const sorted = entries.toSorted((a, b) => compareBytes(a.path, b.path));
  assertPaths(sorted);
  const nodes = sorted.map((entry, index) => {
    const { type, path } = entry;
    const mode = type === 'symlink' ? SYMLINK_MODE : entry.mode;
    const node = type === 'character' ? entry : { major: 0, minor: 0 };
    return encodeNode(
      path,
      {
        inode: index + 1,
        mode: TYPE[type] | mode,
        links: type === 'directory' ? 2 : 1,
        major: node.major,
        minor: node.minor,
      },
      dataOf(entry),
    );
  });
  const end = encodeNode(
    TRAILER,
    { inode: 0, mode: 0, links: 1, major: 0, minor: 0 },
    new Uint8Array(0),
  );
  const archive = concatBytes(...nodes, end);
  return concatBytes(archive, padding(archive.length, ALIGNMENT));
}

/** Reads an archive that `encodeRamdisk` could have written, and no other. Data are views. */
export function parseRamdisk(bytes: Uint8Array): Result<readonly RamdiskEntry[]> {
  const entries: RamdiskEntry[] = [];
  let offset = 0;
  for (;;) {
    const node = parseNode(bytes, offset);
    if (node === null) return refuse('ramdisk_malformed', { offset });
    if (node.name === TRAILER) break;
    const entry = entryOf(node);
    if (entry === null) return refuse('ramdisk_malformed', { offset });
    entries.push(entry);
    offset = node.end;
  }
  try {
    // Order, numbers, owners, times, padding and the end are all in the comparison.
    if (Buffer.compare(encodeRamdisk(entries), bytes) === 0) return accept(entries);
  } catch {
    // A path that the writer refuses.
  }
  return refuse('ramdisk_not_canonical', { entries: entries.length });
}

interface Node extends Header {
  readonly name: string;
  readonly data: Uint8Array;
  readonly end: number;
}

function parseNode(bytes: Uint8Array, offset: number): Node | null {
  const head = parseUtf8(bytes.subarray(offset, offset + HEADER_BYTES));
  if (head === null || !/^070701[0-9A-F]{104}$/u.test(head)) return null;
  const number = (index: number): number =>
    Number.parseInt(head.slice(MAGIC.length + 8 * index, MAGIC.length + 8 * index + 8), 16);
  const nameBytes = number(11);
  const size = number(6);
  if (nameBytes < 2 || nameBytes > MAX_NAME_BYTES) return null;
  const nameStart = offset + HEADER_BYTES;
  const name = parseUtf8(bytes.subarray(nameStart, nameStart + nameBytes - 1));
  const first = HEADER_BYTES + nameBytes;
  const dataStart = offset + first + padding(first, 4).length;
  const end = dataStart + size + padding(size, 4).length;
  if (name === null || end > bytes.length) return null;
  return {
    inode: number(0),
    mode: number(1),
    links: number(4),
    bytes: size,
    major: number(9),
    minor: number(10),
    nameBytes,
    name,
    data: bytes.subarray(dataStart, dataStart + size),
    end,
  };
}

function entryOf({ name: path, mode: whole, major, minor, data }: Node): RamdiskEntry | null {
  const mode = whole & PERMISSIONS;
  switch (whole & TYPE_MASK) {
    case TYPE.directory:
      return { type: 'directory', path, mode };
    case TYPE.file:
      return { type: 'file', path, mode, data };
    case TYPE.character:
      return { type: 'character', path, mode, major, minor };
    case TYPE.symlink: {
      const target = parseUtf8(data);
      return target === null ? null : { type: 'symlink', path, target };
    }
    default:
      return null;
  }
}
