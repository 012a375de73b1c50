import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RamdiskEntry } from '../../eif/ramdisk.ts';
import { encodeRamdisk, parseRamdisk } from '../../eif/ramdisk.ts';
import { utf8 } from '../../wire/bytes.ts';
import { assertAccepted } from '../../wire/result.ts';

const ENTRIES: readonly RamdiskEntry[] = [
  { type: 'directory', path: 'dev', mode: 0o755 },
  { type: 'character', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  { type: 'directory', path: 'app', mode: 0o755 },
  { type: 'file', path: 'app/main.js', mode: 0o444, data: utf8('1;') },
  { type: 'file', path: 'init', mode: 0o755, data: new Uint8Array(0) },
  { type: 'symlink', path: 'app/link', target: 'main.js' },
];

function codeOf(bytes: Uint8Array): string {
  const parsed = parseRamdisk(bytes);
  return parsed.ok ? 'sound' : parsed.refusal.code;
}

describe('a ramdisk', () => {
  it('does not depend on the order of its entries', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...ENTRIES], { minLength: ENTRIES.length }), (entries) => {
        expect(encodeRamdisk(entries)).toEqual(encodeRamdisk(ENTRIES));
      }),
    );
  });

  it('comes back as it was written', () => {
    const sorted = ENTRIES.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    expect(assertAccepted(parseRamdisk(encodeRamdisk(ENTRIES)))).toEqual(sorted);
  });

  it('is a whole number of blocks, so that the kernel finds the next one', () => {
    expect(encodeRamdisk(ENTRIES).length % 512).toBe(0);
  });

  it.each<[string, readonly RamdiskEntry[]]>([
    ['an absolute path', [{ type: 'directory', path: '/dev', mode: 0o755 }]],
    ['a path that goes up', [{ type: 'directory', path: '..', mode: 0o755 }]],
    ['a path twice', [...ENTRIES, { type: 'directory', path: 'dev', mode: 0o700 }]],
    ['a file without its directory', [{ type: 'symlink', path: 'a/b', target: 'c' }]],
    ['a file in a file', [...ENTRIES, { type: 'symlink', path: 'init/b', target: 'c' }]],
  ])('is not written with %s', (_, entries) => {
    expect(() => encodeRamdisk(entries)).toThrow(RangeError);
  });

  it('with a time, an owner, another order or a changed byte is refused', () => {
    const archive = encodeRamdisk(ENTRIES);
    // Fields of the first header: uid at 22, mtime at 46, the inode number at 6.
    for (const offset of [22 + 7, 46 + 7, 6 + 7]) {
      const changed = Uint8Array.from(archive);
      changed[offset] = 0x39;
      expect(codeOf(changed)).toBe('ramdisk_not_canonical');
    }
    expect(codeOf(archive.subarray(0, archive.length - 1))).toBe('ramdisk_not_canonical');
    expect(codeOf(Uint8Array.from([...archive, 0]))).toBe('ramdisk_not_canonical');
    expect(codeOf(archive.subarray(0, 200))).toBe('ramdisk_malformed');
    expect(codeOf(new Uint8Array(0))).toBe('ramdisk_malformed');
  });

  it('never throws, whatever byte is changed', () => {
    const archive = encodeRamdisk(ENTRIES);
    fc.assert(
      fc.property(
        fc.nat({ max: archive.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, by) => {
          const changed = Uint8Array.from(archive);
          changed[at] = (changed[at] ?? 0) ^ by;
          expect(() => parseRamdisk(changed)).not.toThrow();
        },
      ),
    );
  });

  it('is what GNU cpio unpacks', async (context) => {
    try {
      execFileSync('cpio', ['--version'], { stdio: 'ignore' });
    } catch {
      process.stderr.write('skipped: no cpio on this machine\n');
      context.skip();
    }
    const directory = await mkdtemp(join(tmpdir(), 'trackseal-ramdisk-'));
    try {
      // Devices need root.
      const archive = encodeRamdisk(ENTRIES.filter(({ type }) => type !== 'character'));
      await writeFile(join(directory, 'archive'), archive);
      execFileSync('sh', ['-c', 'cpio --extract --quiet < archive'], { cwd: directory });
      expect(await readFile(join(directory, 'app/main.js'), 'utf8')).toBe('1;');
      expect(await readlink(join(directory, 'app/link'))).toBe('main.js');
      expect((await stat(join(directory, 'init'))).mode & 0o777).toBe(0o755);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
