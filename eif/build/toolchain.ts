// The compilers of an image: Debian packages pinned in the lock, unpacked into a root of their own and run in
// it without network, in namespaces of their own. Programs see the same machine wherever they run: folder
// /build, user root, host name, umask, locale, time zone, no variable of the caller. Root or not does not
// matter, as long as the machine lets this user make namespaces.

import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { getuid } from 'node:process';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { cacheFolder } from '../lock/files.ts';
import type { FetchOptions } from '../lock/fetch.ts';
import { fetchPackages } from '../lock/fetch.ts';
import type { ImageLock, LockedPackage, PackageUse } from '../lock/lock.ts';
import { machineDownloads } from '../lock/download.ts';
import { addressesOf, machineMirrors } from '../lock/sources.ts';
import { unpackPackages } from './unpack.ts';

export interface Mount {
  /** On this machine. */
  readonly source: string;
  /** In the root: below /mnt, made if it is not there. */
  readonly target: string;
  readonly writable?: boolean;
}

export interface RunOptions {
  /** On this machine; it is /build inside, and the only folder that the program may write but /tmp. */
  readonly work: string;
  /** Inside; default /build. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly mounts?: readonly Mount[];
  readonly onOutput?: (text: string) => void;
}

export interface Toolchain {
  /** The root on this machine. */
  readonly root: string;
  /** SHA-256 of the packages that are in it, for names of caches. */
  readonly packages: readonly LockedPackage[];
  /** What the program has written to its outputs, the last 64 KiB. Refuses `build_failed` with the last lines. */
  readonly run: (argv: readonly string[], options: RunOptions) => Promise<Result<string>>;
}

export interface ToolchainOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly onProgress?: (text: string) => void;
}

const FOLDERS = ['build', 'dev', 'mnt', 'proc', 'sys', 'tmp'];
/** What the packages' scripts would have made. */
const LINKS: Readonly<Record<string, string>> = { 'usr/bin/awk': 'mawk' };
const MAX_OUTPUT_CHARACTERS = 65_536;
const LAST_LINES = 20;

const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/build',
  LC_ALL: 'C',
  TZ: 'UTC',
  SOURCE_DATE_EPOCH: '0',
};

// Runs in the new namespaces, before chroot. Arguments: root, work, count of mounts, (source target mode)…,
// then what `env -i` takes. The tools of the machine only mount; nothing of them is inside.
const SETUP = `
umask 022
root=$1 work=$2 count=$3
shift 3
hostname trackseal
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/mnt"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom; do
  : > "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mount --bind "$work" "$root/build"
while [ "$count" -gt 0 ]; do
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
  shift 3
  count=$((count - 1))
done
cd "$root"
exec chroot . /usr/bin/env -i "$@"
`;
const ENTER = 'cd "$0" && exec "$@"';

function isRoot(): boolean {
  return getuid?.() === 0;
}

/** unshare(1) with everything that the program must not see. */
function namespaces(): readonly string[] {
  const always = ['--mount', '--net', '--uts', '--ipc', '--pid', '--fork', '--kill-child'];
  return isRoot() ? always : ['--map-root-user', ...always];
}

function commandOf(root: string, argv: readonly string[], options: RunOptions): readonly string[] {
  const { work, cwd = '/build', env = {}, mounts = [] } = options;
  const flat = mounts.flatMap(({ source, target, writable }) => [
    source,
    target,
    writable === true ? 'rw' : 'ro',
  ]);
  const variables = Object.entries({ ...ENVIRONMENT, ...env }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const setup = ['/bin/sh', '-euc', SETUP, 'setup', root, work, String(mounts.length)];
  const enter = ['/bin/sh', '-c', ENTER, cwd];
  return [...namespaces(), ...setup, ...flat, ...variables, ...enter, ...argv];
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

function runUnshare(args: readonly string[], onOutput?: (text: string) => void): Promise<Ended> {
  return new Promise((resolve) => {
    let output = '';
    const keep = (text: string): void => {
      output = (output + text).slice(-MAX_OUTPUT_CHARACTERS);
      onOutput?.(text);
    };
    const path = '/usr/sbin:/usr/bin:/sbin:/bin';
    const child = spawn('unshare', [...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: path, LC_ALL: 'C' },
    });
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.once('error', (error) => {
      resolve({ status: null, output: error.message });
    });
    child.once('close', (status) => {
      resolve({ status, output });
    });
  });
}

async function runInside(
  root: string,
  argv: readonly string[],
  options: RunOptions,
): Promise<Result<string>> {
  const { status, output } = await runUnshare(commandOf(root, argv, options), options.onOutput);
  if (status === 0) return accept(output);
  const last = output.trimEnd().split('\n').slice(-LAST_LINES).join('\n');
  return refuse('build_failed', { program: argv.join(' ').slice(0, 200), status, last });
}

/** Refuses `toolchain_unusable`: says which step of a trivial program fails. */
async function probe(root: string, work: string): Promise<Result<null>> {
  const tried = await runInside(root, ['/usr/bin/gcc', '--version'], { work });
  if (tried.ok) return accept(null);
  const { last = '', status = null } = tried.refusal.detail;
  const needs = isRoot()
    ? 'hostname(1) and unshare(1) with mount, network and process namespaces (CAP_SYS_ADMIN in a container)'
    : 'hostname(1), unshare(1) and user namespaces (sysctl kernel.unprivileged_userns_clone), or root';
  return refuse('toolchain_unusable', { needs, status, last });
}

/** How pinned packages are fetched on this machine. */
export async function machineFetch(
  lock: ImageLock,
  options: ToolchainOptions = {},
): Promise<FetchOptions> {
  const mirrors = await machineMirrors();
  const { onProgress } = options;
  return {
    cache: cacheFolder(options.env ?? process.env),
    addresses: (wanted) => addressesOf(wanted, mirrors, lock),
    downloads: machineDownloads(),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
}

/** A folder with the content of all packages that the lock has for this use, fetched when they are not cached. */
export async function openPackages(
  lock: ImageLock,
  use: PackageUse,
  options: ToolchainOptions = {},
): Promise<Result<string>> {
  const packages = lock.debian.packages.filter((one) => one.use.includes(use));
  return unpackPackages({
    cache: cacheFolder(options.env ?? process.env),
    packages,
    files: async () => fetchPackages(packages, await machineFetch(lock, options)),
    folders: use === 'toolchain' ? FOLDERS : [],
    links: use === 'toolchain' ? LINKS : {},
  });
}

/** Refuses `toolchain_unusable`, `input_unavailable`, `input_changed`. */
export async function openToolchain(
  lock: ImageLock,
  options: ToolchainOptions = {},
): Promise<Result<Toolchain>> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const machine = `${process.platform} ${process.arch}`;
    return refuse('toolchain_unusable', { needs: 'Linux on x86-64', machine });
  }
  const root = await openPackages(lock, 'toolchain', options);
  if (!root.ok) return root;
  const work = `${cacheFolder(options.env ?? process.env)}/probe`;
  await mkdir(work, { recursive: true });
  const usable = await probe(root.value, work);
  if (!usable.ok) return usable;
  return accept({
    root: root.value,
    packages: lock.debian.packages.filter((one) => one.use.includes('toolchain')),
    run: (argv, runOptions) => runInside(root.value, argv, runOptions),
  });
}
