// Which Debian packages an image needs, at which versions: asked of apt's own resolver as if nothing were
// installed, with sources, lists and cache of its own in a temporary folder. The lists are checked against
// Debian's archive keys by apt; the machine's configuration is read for its mirrors and proxies only.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { LockedPackage, PackageUse } from './lock.ts';
import { PACKAGE_USES } from './lock.ts';
import { machineMirrors } from './sources.ts';

/** What is asked for, per use; the closure of the toolchain's dependencies comes with it. */
export const WANTED_PACKAGES: Readonly<Record<PackageUse, readonly string[]>> = {
  toolchain: (
    'gcc libc6-dev binutils make flex bison bc perl-base libelf-dev bash dash coreutils findutils sed grep ' +
    'mawk diffutils tar gzip xz-utils'
  ).split(' '),
  kernel: ['linux-source-6.12'],
  image: ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1', 'ca-certificates'],
};

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DEFAULT_MIRRORS = ['http://deb.debian.org/debian', 'http://deb.debian.org/debian-security'];
const MAX_OUTPUT_BYTES: number = 64 * 1024 * 1024;

function sourcesList(mirrors: readonly string[]): string {
  const bases = [...mirrors, ...DEFAULT_MIRRORS];
  const line = (isSecurity: boolean, suite: string): string => {
    const base = bases.find((one) => one.includes('security') === isSecurity) ?? '';
    return `deb [signed-by=${KEYRING}] ${base} ${suite} main\n`;
  };
  return line(false, 'bookworm') + line(true, 'bookworm-security');
}

type Apt = (program: 'apt-get' | 'apt-cache', args: readonly string[]) => Promise<string>;

async function privateApt(folder: string): Promise<Apt> {
  const list = join(folder, 'sources.list');
  await mkdir(join(folder, 'state/lists/partial'), { recursive: true });
  await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
  await writeFile(list, sourcesList(await machineMirrors()));
  const settings = {
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Etc::SourceList': list,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'APT::Architecture': 'amd64',
    'APT::Architectures': 'amd64',
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'Acquire::Retries': '5',
    'Acquire::Languages': 'none',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return async (program, args) => {
    const env = { ...process.env, LC_ALL: 'C' };
    const run = promisify(execFile);
    const { stdout } = await run(program, [...options, ...args], {
      env,
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return stdout;
  };
}

async function closure(apt: Apt, wanted: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const plan = await apt('apt-get', ['--simulate', 'install', ...wanted]);
  const found = new Map<string, string>();
  for (const match of plan.matchAll(/^Inst (\S+) \((\S+) /gmu)) {
    found.set(match[1] ?? '', match[2] ?? '');
  }
  return found;
}

function field(record: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, 'mu').exec(record)?.[1] ?? '';
}

interface Chosen {
  readonly name: string;
  readonly version: string;
  readonly use: readonly PackageUse[];
}

async function describe(apt: Apt, chosen: readonly Chosen[]): Promise<readonly LockedPackage[]> {
  const asked = chosen.map(({ name, version }) => `${name}=${version}`);
  const records = (await apt('apt-cache', ['show', ...asked])).split('\n\n');
  return chosen.map(({ name, version, use }) => {
    const record = records.find(
      (one) => field(one, 'Package') === name && field(one, 'Version') === version,
    );
    if (record === undefined) throw new Error(`apt-cache shows no ${name}=${version}`);
    return {
      name,
      version,
      architecture: field(record, 'Architecture') === 'all' ? 'all' : 'amd64',
      path: field(record, 'Filename'),
      bytes: Number(field(record, 'Size')),
      sha256: field(record, 'SHA256'),
      use,
    };
  });
}

async function resolveAll(apt: Apt): Promise<readonly LockedPackage[]> {
  await apt('apt-get', ['update', '--error-on=any']);
  // The kernel's source and the image's own packages come without what they depend on: nothing of them runs.
  const toolchain = await closure(apt, WANTED_PACKAGES.toolchain);
  const all = await closure(apt, Object.values(WANTED_PACKAGES).flat());
  const chosen = [...all].map(([name, version]) => ({
    name,
    version,
    use: PACKAGE_USES.filter((one) =>
      one === 'toolchain' ? toolchain.has(name) : WANTED_PACKAGES[one].includes(name),
    ),
  }));
  const used = chosen.filter(({ use }) => use.length > 0);
  return describe(
    apt,
    used.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  );
}

/** Sorted by name. Refuses `input_unavailable`, with what apt says. */
export async function resolvePackages(): Promise<Result<readonly LockedPackage[]>> {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-apt-'));
  try {
    return accept(await resolveAll(await privateApt(folder)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse('input_unavailable', { step: 'apt', why: why.slice(-1000) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
