// Where a pinned Debian package can be had. None of these places is trusted: the hash decides. First the
// mirrors that this machine's apt uses, then Debian's own, then the archive of old versions.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ImageLock, LockedPackage } from './lock.ts';

const DEBIAN = 'http://deb.debian.org';
const SNAPSHOT = 'https://snapshot.debian.org/archive';
const DAY_MS = 86_400_000;
/** Suites of Debian's archive; other archives that apt knows hold other packages. */
const SUITE =
  /^(?:bookworm|trixie|forky|sid|stable|oldstable|testing|unstable)(?:-(?:updates|security|backports))?(?:\/updates)?$/u;

function archiveOf(path: string): 'debian' | 'debian-security' {
  return path.startsWith('pool/updates/') ? 'debian-security' : 'debian';
}

function escaped(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** The snapshot of the lock, and of the day after: an archive lags behind its mirrors. */
function snapshotTimes(snapshot: string): readonly string[] {
  const iso = snapshot.replace(/^(\d{4})(\d\d)(\d\d)T.*$/u, '$1-$2-$3T00:00:00Z');
  const next = new Date(Date.parse(iso) + DAY_MS).toISOString();
  return [snapshot, `${next.replaceAll('-', '').slice(0, 8)}T235959Z`];
}

/** Addresses in the order in which they are tried; `mirrors` are base addresses. */
export function addressesOf(
  { path }: LockedPackage,
  mirrors: readonly string[],
  { debian }: ImageLock,
): readonly string[] {
  const archive = archiveOf(path);
  const file = escaped(path);
  const own = mirrors
    .filter((base) => (archive === 'debian-security') === base.includes('security'))
    .map((base) => `${base.replace(/\/+$/u, '')}/${file}`);
  const old = snapshotTimes(debian.snapshot).map((at) => `${SNAPSHOT}/${archive}/${at}/${file}`);
  return [...new Set([...own, `${DEBIAN}/${archive}/${file}`, ...old])];
}

/** From `apt-get update --print-uris`: 'BASE/dists/SUITE/InRelease' and more, one per line. */
export function mirrorsOf(uris: string): readonly string[] {
  const found = [...uris.matchAll(/^'(\S+)\/dists\/(\S+)\/InRelease'/gmu)];
  const bases = found.filter(([, , suite = '']) => SUITE.test(suite)).map(([, base = '']) => base);
  return [...new Set(bases)];
}

/** Base addresses of Debian's archive in apt's configuration; none where there is no apt. */
export async function machineMirrors(): Promise<readonly string[]> {
  try {
    // Needs no lists, which a fresh machine does not have.
    const { stdout } = await promisify(execFile)('apt-get', ['update', '--print-uris']);
    return mirrorsOf(stdout);
  } catch {
    return [];
  }
}
