import { IMAGE_BUNDLES } from '../../../eif/build/bundles.ts';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RootFile } from '../../../eif/build/rootfs.ts';
import { COMMAND, applicationEntries, rootFolders } from '../../../eif/build/rootfs.ts';
import { encodeRamdisk, parseRamdisk } from '../../../eif/ramdisk.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { exampleRoot, packagesFolder } from './support.ts';

let packages: string;
let files: readonly RootFile[];

beforeAll(async () => {
  packages = await packagesFolder();
  files = await exampleRoot(packages);
});

afterAll(async () => {
  await rm(packages, { recursive: true });
});

/** Programs beside core and runner. */
const BESIDE = Object.keys(IMAGE_BUNDLES)
  .filter((name) => name !== 'main.mjs' && name !== 'strategy-runner.mjs')
  .map((name) => `trackseal/${name}`);
const LIBRARIES = [
  'lib/x86_64-linux-gnu/libc.so.6',
  'lib/x86_64-linux-gnu/libdl.so.2',
  'lib/x86_64-linux-gnu/libgcc_s.so.1',
  'lib/x86_64-linux-gnu/libm.so.6',
  'lib/x86_64-linux-gnu/libpthread.so.0',
  'usr/lib/x86_64-linux-gnu/libatomic.so.1',
  'usr/lib/x86_64-linux-gnu/libstdc++.so.6',
];

const FOLDERS =
  'dev etc lib lib/x86_64-linux-gnu lib64 proc run sys tmp trackseal usr usr/lib usr/lib/x86_64-linux-gnu'.split(
    ' ',
  );

describe('the file system of the application', () => {
  it('has three executables, each with its reason', () => {
    const executable = files.filter(({ mode }) => (mode & 0o111) !== 0);
    expect(executable.map(({ path, why }) => `${path}: ${why}`)).toEqual([
      'lib64/ld-linux-x86-64.so.2: C library: the loader that the kernel starts for Node',
      'trackseal/launch: starts strategies, connectors, desk and tap as users of their own',
      'trackseal/node: runs the programs of the enclave',
    ]);
  });

  it('has nothing else than this: no shell, no package manager, no package of npm', () => {
    expect(files.map(({ path }) => path)).toEqual(
      [
        'etc/group',
        'etc/passwd',
        ...LIBRARIES.slice(0, 5),
        'lib64/ld-linux-x86-64.so.2',
        'trackseal/addon.node',
        'trackseal/launch',
        'trackseal/main.mjs',
        'trackseal/measured.json',
        'trackseal/node',
        'trackseal/roots.pem',
        'trackseal/strategy-runner.mjs',
        ...LIBRARIES.slice(5),
      ]
        .concat(BESIDE)
        .toSorted((a, b) => (a < b ? -1 : 1)),
    );
    expect(rootFolders(files)).toEqual(FOLDERS);
  });

  it('has no code of the simulator', () => {
    const programs = files.filter(({ path }) => path.endsWith('.mjs'));
    expect(programs.length).toBe(2 + BESIDE.length);
    for (const { data } of programs) {
      // Two names of venues' own interfaces are in ccxt.
      const text = Buffer.from(data)
        .toString('utf8')
        .replaceAll(/x-simulated-trading|account\/simulated_margin/gu, '');
      expect(text).not.toMatch(/simulat(?:or|ed)/iu);
    }
  });

  it('has libraries for everything that the Node binary needs', () => {
    // The names are in the dynamic section's string table, NUL-terminated.
    const node = Buffer.from(files.find(({ path }) => path === 'trackseal/node')?.data ?? []);
    const head = node.subarray(0, 8 * 1024 * 1024).toString('latin1');
    const names = [...head.matchAll(/\0(lib[\w+.-]+\.so\.\d+)(?=\0)/gu)].map((match) => match[1]);
    const there = LIBRARIES.map((path) => path.split('/').at(-1));
    expect(names.length).toBeGreaterThan(0);
    expect(new Set(names)).toEqual(new Set(there));
  });

  it('lies under rootfs in the ramdisk, beside the command and an empty environment', () => {
    const entries = applicationEntries(files);
    const archive = encodeRamdisk(entries);
    const read = assertAccepted(parseRamdisk(archive));
    const [cmd, env] = read;
    expect(cmd).toMatchObject({ path: 'cmd', mode: 0o644 });
    expect(env).toMatchObject({ path: 'env', mode: 0o644, data: new Uint8Array(0) });
    const text = cmd?.type === 'file' ? Buffer.from(cmd.data).toString('utf8') : '';
    expect(text).toBe(`${COMMAND.join('\n')}\n`);
    expect(read.slice(2).every(({ path }) => /^rootfs(?:\/|$)/u.test(path))).toBe(true);
  });

  it('lets nobody write, and starts what it has', () => {
    const entries = applicationEntries(files);
    const modes = entries.map((entry) => ('mode' in entry ? entry.mode : 0));
    expect(modes.filter((mode) => (mode & 0o022) !== 0 || mode > 0o777)).toEqual([]);
    expect(entries.filter(({ type }) => type !== 'file' && type !== 'directory')).toEqual([]);
    const paths = new Set(files.map(({ path }) => `/${path}`));
    const named = COMMAND.filter((word) => word.startsWith('/'));
    expect(named.filter((path) => !paths.has(path))).toEqual([]);
  });
});
