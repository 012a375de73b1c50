// Names of the log's objects, below a prefix, in a bucket or a folder (docs/PROTOCOL.md section 7), as far as the
// enclave writes them; host-keys.ts has the others. Nothing of the names is trusted: what an object is, its
// bytes and signatures say.

export function digits(value: number, count: number): string {
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
