// Pins the Debian packages of the PostgreSQL that tests run against: as a program it asks apt for what Debian 12 has
// today of the packages below, in a folder of its own, and writes postgres.lock.json. Only what the server and
// initdb load; glibc is the machine's.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { retry } from '../vm/command.ts';
import { describePackages, privateApt, writeLock } from '../s3/resolve.ts';

export const LOCK_FILE: string = join(import.meta.dirname, 'postgres.lock.json');
export const SERVER_PACKAGE = 'postgresql-15';

/** Each is a package `lib…`. */
const LIBRARIES =
  'audit1 cap-ng0 cap2 com-err2 ffi8 gcc-s1 gcrypt20 gmp10 gnutls30 gpg-error0 gssapi-krb5-2 ' +
  'hogweed6 icu72 idn2-0 k5crypto3 keyutils1 krb5-3 krb5support0 ldap-2.5-0 lz4-1 lzma5 nettle8 ' +
  'p11-kit0 pam0g pq5 sasl2-2 ssl3 stdc++6 systemd0 tasn1-6 unistring2 xml2 zstd1';
const PACKAGES = [SERVER_PACKAGE, ...LIBRARIES.split(' ').map((name) => `lib${name}`), 'zlib1g'];

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-apt-'));
  try {
    const apt = await privateApt(folder, 'bookworm');
    await retry(() => apt('apt-get', 'update', '-qq', '--error-on=any'));
    await writeLock(LOCK_FILE, await describePackages(apt, PACKAGES, SERVER_PACKAGE));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) await main();
