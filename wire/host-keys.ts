// Names of the log's objects that the host writes and the enclave never names (docs/PROTOCOL.md section 7), and
// what a store takes as a name. Nothing of the names is trusted: what an object is, its bytes and signatures say.

import { digits, epochPrefix } from './object-keys.ts';

const MAX_KEY_CHARACTERS = 512;

// No empty part, no `.` and no `..`: a key is a path below a folder as well.
const PART = '(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}';

const KEY = new RegExp(`^${PART}(?:/${PART})*$`, 'u');

/** Whether a store takes it: letters, digits, `.`, `_`, `-` between slashes. */
export function isObjectKey(key: string): boolean {
  return key.length <= MAX_KEY_CHARACTERS && KEY.test(key);
}

export function checkpointKey(epoch: number, size: number): string {
  return `${epochPrefix(epoch)}checkpoints/${digits(size, 20)}`;
}

/** The last object of an epoch. */
export function closeKey(epoch: number): string {
  return `${epochPrefix(epoch)}close`;
}

export function blobKey(sha256Hex: string): string {
  return `blobs/${sha256Hex}`;
}

/** `day` is a UTC date, `yyyy-mm-dd`. */
export function indexKey(day: string, epoch: number, firstLeaf: number): string {
  return `index/${day.replaceAll('-', '/')}/${digits(epoch, 10)}-${digits(firstLeaf, 20)}.json`;
}
