// Names of the log's objects, below a prefix, in a bucket or a folder (docs/PROTOCOL.md section 7). Nothing
// of the names is trusted: what an object is, its bytes and signatures say.

const MAX_KEY_CHARACTERS = 512;
// No empty part, no `.` and no `..`: a key is a path below a folder as well.
const PART = '(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}';
const KEY = new RegExp(`^${PART}(?:/${PART})*$`, 'u');

/** Whether a store takes it: letters, digits, `.`, `_`, `-` between slashes. */
export function isObjectKey(key: string): boolean {
  return key.length <= MAX_KEY_CHARACTERS && KEY.test(key);
}

function digits(value: number, count: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`no number for a key: ${value}`);
  return String(value).padStart(count, '0');
}

export function epochPrefix(epoch: number): string {
  return `epochs/${digits(epoch, 10)}/`;
}

/** The first commit: whoever writes it has the epoch. */
export function claimKey(epoch: number): string {
  return `${epochPrefix(epoch)}claim`;
}

/** Groups of commits, numbered from 1 without holes. */
export function commitsKey(epoch: number, number: number): string {
  return `${epochPrefix(epoch)}commits/${digits(number, 12)}`;
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
