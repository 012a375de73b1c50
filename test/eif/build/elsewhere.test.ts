import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeTar } from '../../../eif/build/tar.ts';
import { packagesFolder } from './support.ts';

let packages: string;
let other: string;

/** The same files with other times and modes. */
beforeAll(async () => {
  packages = await packagesFolder();
  other = await packagesFolder();
  const entries = await readdir(other, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    await chmod(path, 0o700);
    await utimes(path, 1, 1);
  }
});

afterAll(async () => {
  await rm(packages, { recursive: true });
  await rm(other, { recursive: true });
});

function digests(folder: string, umask: string, cwd: string, env: Record<string, string>): string {
  const script = join(import.meta.dirname, 'elsewhere-parts.ts');
  const args = ['-c', 'umask "$0"; exec "$@"', umask, process.execPath, script, folder];
  const { stdout, stderr } = spawnSync('/bin/sh', args, { cwd, env, encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout;
}

it('ramdisk and archive do not depend on umask, folder, time zone, locale, modes and times', () => {
  const here = digests(packages, '022', '/', { TZ: 'UTC', LC_ALL: 'C' });
  expect(here).toMatch(/^[0-9a-f]{64}\n[0-9a-f]{64}\n$/u);
  const env = { TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8', HOME: '/nonexistent' };
  expect(digests(other, '077', tmpdir(), env)).toBe(here);
});

it('the archive is one that tar reads, owned by root and from the beginning of time', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-tar-'));
  const path = join(folder, 'root.tar');
  const data = new Uint8Array(600).fill(0x61);
  await writeFile(
    path,
    encodeTar([
      { path: 'bin/one', mode: 0o755, data, why: '' },
      { path: 'two', mode: 0o644, data: new Uint8Array(0), why: '' },
    ]),
  );
  const env = { TZ: 'UTC', LC_ALL: 'C', PATH: process.env['PATH'] ?? '' };
  const { stdout } = spawnSync('tar', ['--numeric-owner', '--full-time', '-tvf', path], {
    env,
    encoding: 'utf8',
  });
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.replaceAll(/ +/gu, ' '));
  expect(lines).toContain('-rwxr-xr-x 0/0 600 1970-01-01 00:00:00 bin/one');
  expect(lines).toContain('-rw-r--r-- 0/0 0 1970-01-01 00:00:00 two');
  expect(lines).toContain('drwxr-xr-x 0/0 0 1970-01-01 00:00:00 bin/');
  await rm(folder, { recursive: true });
});
