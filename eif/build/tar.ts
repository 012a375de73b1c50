// The application's file system as a tar archive (POSIX ustar), for container tools: sorted, owner 0, time 0,
// the same modes as in the ramdisk.
//
//   name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | checksum 8 | type | link 100 | "ustar\0" "00" | …

import { concatBytes, utf8 } from '../../wire/bytes.ts';
import type { RootFile } from './rootfs.ts';
import { rootFolders } from './rootfs.ts';

const BLOCK_BYTES = 512;
const MAX_NAME_BYTES = 100;
const CHECKSUM_OFFSET = 148;

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}

function header(name: string, mode: number, size: number, type: '0' | '5'): Uint8Array {
  if (utf8(name).length > MAX_NAME_BYTES)
    throw new RangeError(`too long for a tar archive: ${name}`);
  const numbers = [octal(mode, 7), octal(0, 7), octal(0, 7), octal(size, 11), octal(0, 11)].join(
    '',
  );
  const rest = `${type}${'\0'.repeat(100)}ustar\x0000`;
  const text = `${name.padEnd(100, '\0')}${numbers}${' '.repeat(8)}${rest}`;
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(utf8(text));
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(utf8(`${sum.toString(8).padStart(6, '0')}\0 `), CHECKSUM_OFFSET);
  return block;
}

/** Folders that the files need come with them. */
export function encodeTar(files: readonly RootFile[]): Uint8Array {
  const parts: Uint8Array[] = rootFolders(files).map((path) => header(`${path}/`, 0o755, 0, '5'));
  for (const { path, mode, data } of files) {
    const padding = (BLOCK_BYTES - (data.length % BLOCK_BYTES)) % BLOCK_BYTES;
    parts.push(header(path, mode, data.length, '0'), data, new Uint8Array(padding));
  }
  return concatBytes(...parts, new Uint8Array(2 * BLOCK_BYTES));
}
