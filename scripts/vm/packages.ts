// Debian packages that have to be installed on the machine itself. As root they are installed; otherwise the
// command that does it is printed.

import { CommandFailed, retry, runCommand } from './command.ts';

export class Unavailable extends Error {}

async function isInstalled(name: string): Promise<boolean> {
  const query = ['dpkg-query', '-W', '-f', '${db:Status-Status}', name] as const;
  return (await runCommand(query).catch(() => '')) === 'installed';
}

/** Throws Unavailable, saying what to do, where packages are missing and cannot be installed. */
export async function installPackages(names: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of names) if (!(await isInstalled(name))) missing.push(name);
  if (missing.length === 0) return;
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...missing] as const;
  if (process.getuid?.() !== 0) {
    throw new Unavailable(`missing packages: as root, ${install.join(' ')}`);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await retry(() => runCommand(['apt-get', 'update', '-qq'], { env }));
    await retry(() => runCommand([...install, '-qq'], { env }));
  } catch (error) {
    if (error instanceof CommandFailed) throw new Unavailable(error.message);
    throw error;
  }
}
