// The programs that emulate a Nitro Enclave: QEMU, its firmware, and the vsock device in user space. All from
// Debian, pinned in vm.lock.json, kept in the cache; no kernel module and no /dev/kvm of this machine is used.

import { createHash } from 'node:crypto';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackPackage } from './fetch.ts';
import { cacheFolder, pinned, readVmLock } from './lock.ts';
import type { VmLock } from './lock.ts';
import { Unavailable } from './packages.ts';
import { openQemu } from './qemu.ts';

export interface Machine {
  readonly qemu: string;
  readonly firmware: readonly string[];
  readonly vsockDevice: string;
}

const UNPACKED = ['qemu-firmware', 'seabios', 'vhost-device-vsock'];

async function openTools(lock: VmLock): Promise<string> {
  const hashes = UNPACKED.map((name) => pinned(lock, name).sha256);
  const key = createHash('sha256').update(hashes.join()).digest('hex').slice(0, 16);
  const root = join(cacheFolder(), 'vm', `tools-${key}`);
  const isThere = await access(root).then(
    () => true,
    () => false,
  );
  if (isThere) return root;
  const partial = `${root}.${String(process.pid)}`;
  await mkdir(partial, { recursive: true });
  for (const name of UNPACKED) await unpackPackage(pinned(lock, name), partial);
  await rename(partial, root).catch(async () => {
    // Another process was faster.
    await rm(partial, { recursive: true, force: true });
  });
  return root;
}

/** What this machine lacks for an emulated enclave; null when nothing is missing. */
async function missing(): Promise<string | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'an x86-64 Linux machine';
  for (const path of ['/usr/lib/apt/apt-helper', '/usr/bin/dpkg-deb', '/usr/bin/setpriv']) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (!isThere) return `Debian (${path})`;
  }
  return null;
}

/** Finds, fetches or builds everything. Throws Unavailable or CommandFailed, which say what is missing. */
export async function openMachine(say: (line: string) => void): Promise<Machine> {
  const lacking = await missing();
  if (lacking !== null) throw new Unavailable(`an emulated enclave needs ${lacking}`);
  const lock = await readVmLock();
  const qemu = await openQemu(lock, say);
  const tools = await openTools(lock);
  return {
    qemu,
    firmware: [join(tools, 'usr/share/qemu'), join(tools, 'usr/share/seabios')],
    vsockDevice: join(tools, 'usr/bin/vhost-device-vsock'),
  };
}
