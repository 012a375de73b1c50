// Names of the tiles among the log's objects (docs/PROTOCOL.md section 7); those that the enclave writes
// itself are in object-keys.ts.

import { epochPrefix } from './object-keys.ts';
import { entriesPath, tilePath } from './tlog/tile.ts';

export function tileKey(epoch: number, level: number, index: number, width: number): string {
  return `${epochPrefix(epoch)}${tilePath(level, index, width)}`;
}

export function entriesKey(epoch: number, index: number, width: number): string {
  return `${epochPrefix(epoch)}${entriesPath(index, width)}`;
}
