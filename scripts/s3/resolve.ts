// Asks apt for the Ceph that Debian's unstable release has today, with everything it needs, in a folder of its own:
// nothing of this machine's apt is read or changed but its keys. As a program it writes ceph.lock.json, pinning
// the packages that are named there already.

import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchPinned } from '../vm/fetch.ts';
import type { PinnedFile } from '../vm/lock.ts';
import { CommandFailed, retry, runCommand } from '../vm/command.ts';
import { LOCK_FILE, readCephLock } from './lock.ts';
import type { CephLock } from './lock.ts';

const WANTED = ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-common'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const UNKNOWN_SHA1 = '0'.repeat(40);

export type Apt = (program: string, ...args: readonly string[]) => Promise<string>;

/** Of a suite of Debian's archive. */
export async function privateApt(folder: string, suite: string): Promise<Apt> {
  const sources = join(folder, 'sources.list');
  const hasKeyring = await access(KEYRING).then(
    () => true,
    () => false,
  );
  const options = hasKeyring ? `[signed-by=${KEYRING}] ` : '';
  await mkdir(join(folder, 'state/lists/partial'), { recursive: true });
  await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
  await writeFile(sources, `deb ${options}http://deb.debian.org/debian ${suite} main\n`);
  const settings = {
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'APT::Architecture': 'amd64',
    'APT::Architectures': 'amd64',
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const env = { ...process.env, LC_ALL: 'C' };
  return (program, ...args) => runCommand([program, ...flags, ...args], { env });
}

function field(record: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, 'mu').exec(record)?.[1] ?? '';
}

async function closure(apt: Apt): Promise<readonly string[]> {
  const plan = await apt('apt-get', '--simulate', 'install', ...WANTED);
  return Array.from(plan.matchAll(/^Inst (\S+) /gmu), ([, name = '']) => name);
}

/** Sorted by name. SHA-1 is not told any more; it is only how snapshot.debian.org calls a file. */
export async function describePackages(
  apt: Apt,
  names: readonly string[],
  versionOf: string,
): Promise<CephLock> {
  // In portions: what runCommand keeps of an output is bounded.
  const records: string[] = [];
  for (let at = 0; at < names.length; at += 40) {
    const shown = await apt('apt-cache', 'show', '--no-all-versions', ...names.slice(at, at + 40));
    records.push(...shown.split('\n\n').filter((record) => record.trim() !== ''));
  }
  const files = records.map((record): PinnedFile => {
    const [name, path, sha256] = ['Package', 'Filename', 'SHA256'].map((one) => field(record, one));
    const bytes = Number(field(record, 'Size'));
    return { name: name ?? '', path: path ?? '', bytes, sha256: sha256 ?? '', sha1: UNKNOWN_SHA1 };
  });
  const gateway = records.find((record) => field(record, 'Package') === versionOf) ?? '';
  const version = field(gateway, 'Version');
  if (version === '') throw new CommandFailed(`apt knows no ${versionOf}`);
  return { version, files: files.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** Throws CommandFailed with what apt says. `names`: these, instead of all that the Ceph packages depend on. */
export async function resolveCeph(names?: readonly string[]): Promise<CephLock> {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-apt-'));
  try {
    const apt = await privateApt(folder, 'sid');
    await retry(() => apt('apt-get', 'update', '-qq', '--error-on=any'));
    return await describePackages(apt, names ?? (await closure(apt)), 'radosgw');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Downloads what it pins, for the hash by which snapshot.debian.org calls a file. */
export async function writeLock(lockFile: string, { version, files }: CephLock): Promise<void> {
  const hashed: PinnedFile[] = [];
  for (const file of files) {
    const bytes = await readFile(await fetchPinned(file));
    hashed.push({ ...file, sha1: createHash('sha1').update(bytes).digest('hex') });
  }
  await writeFile(lockFile, `${JSON.stringify({ version, files: hashed }, null, 2)}\n`);
}

if (import.meta.main) {
  const { files } = await readCephLock();
  await writeLock(LOCK_FILE, await resolveCeph(files.map(({ name }) => name)));
}
