// Builds QEMU with the nitro-enclave machine from Debian's own source package: its binary packages are built
// without libcbor and lack that machine. One target, no features and no devices but what the machine itself
// needs, so that it takes minutes. Kept in the cache by the hash of everything that goes in.

import { createHash } from 'node:crypto';
import {
  access,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { CommandFailed, runCommand } from './command.ts';
import { fetchPinned, unpackPackage } from './fetch.ts';
import { cacheFolder, pinned } from './lock.ts';
import type { VmLock } from './lock.ts';
import { installPackages } from './packages.ts';

const PROGRAM = 'qemu-system-x86_64';
const DEVICES = 'CONFIG_NITRO_ENCLAVE=y\n';
const CONFIGURE = [
  '--target-list=x86_64-softmmu',
  '--without-default-features',
  '--without-default-devices',
  '--with-devices-x86_64=nitro',
  '--enable-system',
  '--enable-tcg',
  '--enable-vhost-user',
  '--enable-gnutls',
  '--enable-libcbor',
  '--enable-fdt=system',
  '--disable-install-blobs',
  '--disable-werror',
  '--python=/usr/bin/python3',
];
/** Debian's tarball comes without the firmware images that this step of the build would unpack. */
const UNPACK_FIRMWARE = ['unpack_edk2_blobs = bzip2.found()', 'unpack_edk2_blobs = false'] as const;

function keyOf(lock: VmLock): string {
  const inputs = ['qemu-source', 'meson', 'pycotap'].map((name) => pinned(lock, name).sha256);
  const recipe = JSON.stringify([inputs, DEVICES, CONFIGURE, UNPACK_FIRMWARE]);
  return createHash('sha256').update(recipe).digest('hex').slice(0, 16);
}

/** Whether it runs here (its libraries are there) and has the machine. */
async function works(program: string): Promise<boolean> {
  return (await runCommand([program, '-M', 'help']).catch(() => '')).includes('nitro-enclave');
}

async function build(lock: VmLock, work: string): Promise<string> {
  const tools = join(work, 'tools');
  for (const name of ['meson', 'pycotap']) await unpackPackage(pinned(lock, name), tools);
  const source = join(work, 'source');
  await mkdir(source);
  const tarball = await fetchPinned(pinned(lock, 'qemu-source'));
  await runCommand(['tar', '-xf', tarball, '-C', source, '--strip-components=1']);
  const rules = join(source, 'meson.build');
  const text = await readFile(rules, 'utf8');
  if (!text.includes(UNPACK_FIRMWARE[0])) throw new Error('QEMU: meson.build is not as expected');
  await writeFile(rules, text.replace(...UNPACK_FIRMWARE));
  await writeFile(join(source, 'configs/devices/x86_64-softmmu/nitro.mak'), DEVICES);
  const folder = join(source, 'build');
  await mkdir(folder);
  const env = {
    PATH: `${join(tools, 'usr/bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
    PYTHONPATH: join(tools, 'usr/lib/python3/dist-packages'),
    HOME: work,
    LC_ALL: 'C.UTF-8',
  };
  await runCommand(['../configure', ...CONFIGURE], { cwd: folder, env });
  const jobs = String(availableParallelism());
  await runCommand(['nice', '-n', '10', 'ninja', '-j', jobs, PROGRAM], { cwd: folder, env });
  await runCommand(['strip', PROGRAM], { cwd: folder });
  return join(folder, PROGRAM);
}

/** The path of a QEMU that has the machine. Takes minutes where it has to be built. */
export async function openQemu(lock: VmLock, say: (line: string) => void): Promise<string> {
  const program = join(cacheFolder(), 'vm', `qemu-${keyOf(lock)}`, PROGRAM);
  if (await works(program)) return program;
  await installPackages(lock.build_packages);
  const isThere = await access(program).then(
    () => true,
    () => false,
  );
  // Only its libraries were missing.
  if (isThere && (await works(program))) return program;
  say('building QEMU with the nitro-enclave machine from Debian’s source; once, for some minutes');
  await mkdir(join(program, '..'), { recursive: true });
  const work = await mkdtemp(join(cacheFolder(), 'vm', 'build-'));
  try {
    const built = await build(lock, work);
    if (!(await works(built))) throw new CommandFailed(`${PROGRAM}: has no nitro-enclave machine`);
    const partial = `${program}.${String(process.pid)}`;
    await copyFile(built, partial);
    await rename(partial, program);
    return program;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
