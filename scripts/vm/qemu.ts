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
interface Patch {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}
const PATCHES: readonly Patch[] = [
  // Debian's tarball comes without the firmware images that this step of the build would unpack.
  {
    file: 'meson.build',
    from: 'unpack_edk2_blobs = bzip2.found()',
    to: 'unpack_edk2_blobs = false',
  },
  // The guest's time stamp counter is the host's, whose rate a guest on a busy machine cannot find out: its kernel
  // would give up on the counter, and init on the kernel. Nanoseconds need no finding out (TSC_KHZ).
  {
    file: 'hw/i386/x86-cpu.c',
    from: 'return cpus_get_elapsed_ticks();',
    to: 'return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);',
  },
  // A request is two buffers and one kick. When the device starts, QEMU looks into the queue without a kick, and
  // may come between the two: it would call the device broken, and every later request would wait for ever.
  {
    file: 'hw/virtio/virtio-nsm.c',
    from: `        virtio_error(vdev, "Expected response buffer after request buffer "
                     "in virtqueue");
        goto cleanup;`,
    to: `        virtqueue_unpop(vq, out_elem, 0);
        return;`,
  },
];
/** Of the guest's time stamp counter. */
export const TSC_KHZ = 1_000_000;

function keyOf(lock: VmLock): string {
  const inputs = ['qemu-source', 'meson', 'pycotap'].map((name) => pinned(lock, name).sha256);
  const recipe = JSON.stringify([inputs, DEVICES, CONFIGURE, PATCHES]);
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
  for (const { file, from, to } of PATCHES) {
    const text = await readFile(join(source, file), 'utf8');
    if (!text.includes(from)) throw new Error(`QEMU: ${file} is not as expected`);
    await writeFile(join(source, file), text.replace(from, to));
  }
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
