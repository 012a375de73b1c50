// A Ceph of one monitor, one OSD in memory and one S3 gateway on 127.0.0.1, as processes that end with this one
// (setpriv --pdeathsig). Runs from a folder with its own loader and libraries: no root, no chroot, no systemd,
// no manager. Everything is open to this machine and lost at the end: for tests only.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandFailed, runCommand } from '../vm/command.ts';
import type { CephFiles } from './packages.ts';

export interface S3Server {
  readonly name: string;
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly stop: () => Promise<void>;
}

const START_MS = 180_000;
const SHOWN_LINES = 15;
const ATTEMPTS = 3;
const ACCESS_KEY = 'AKIATRACKSEALTEST000';

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

/** Whether somebody listens. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

interface Place {
  readonly root: string;
  readonly work: string;
  readonly monitor: number;
  readonly gateway: number;
  readonly id: string;
}

function configuration({ root, work, monitor, gateway, id }: Place): string {
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  return `[global]
fsid = ${id}
mon_host = v1:127.0.0.1:${String(monitor)}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# Without these the gateway insists on a secured connection, which needs keys.
ms_mon_client_mode = crc
ms_mon_cluster_mode = crc
ms_mon_service_mode = crc
ms_client_mode = crc
ms_cluster_mode = crc
ms_service_mode = crc
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_crush_chooseleaf_type = 0
# Sent before the cluster's id is known, these would be refused for a wrong one now and then.
osd_crush_update_on_start = false
osd_class_update_on_start = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 10000
osd_class_dir = ${libraries}/rados-classes
osd_class_load_list = *
osd_class_default_list = *
erasure_code_dir = ${libraries}/ceph/erasure-code
plugin_dir = ${libraries}/ceph
mon_data = ${work}/mon
osd_data = ${work}/osd
rgw_data = ${work}/rgw
run_dir = ${work}
crash_dir = ${work}
log_file = ${work}/$name.log
mon_cluster_log_file = ${work}/cluster.log
keyring = ${work}/keyring
admin_socket =
pid_file =
rgw_mime_types_file = /dev/null
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:${String(gateway)}
`;
}

class Ceph {
  readonly #place: Place;
  readonly #loader: readonly [string, ...string[]];
  readonly #env: NodeJS.ProcessEnv;
  readonly #children: ChildProcess[] = [];

  constructor(place: Place) {
    this.#place = place;
    const { root } = place;
    const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
    const path = `${libraries}:${join(libraries, 'ceph')}`;
    this.#loader = [join(root, 'usr/lib64/ld-linux-x86-64.so.2'), '--library-path', path];
    this.#env = {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: place.work,
      LC_ALL: 'C.UTF-8',
      PYTHONHOME: join(root, 'usr'),
      PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'),
      PYTHONDONTWRITEBYTECODE: '1',
    };
  }

  /** To its end. */
  run(program: string, ...args: readonly string[]): Promise<string> {
    const command = [...this.#loader, ...this.#arguments(program, args)] as const;
    return runCommand(command, { env: this.#env });
  }

  /** The command line `ceph` is Python. */
  async ceph(...args: readonly string[]): Promise<string> {
    const programs = await readdir(join(this.#place.root, 'usr/bin'));
    const python = programs.find((name) => /^python3\.\d+$/u.test(name)) ?? 'python3';
    const script = join(this.#place.root, 'usr/bin/ceph');
    const config = ['-c', this.#config];
    return runCommand(
      [...this.#loader, join(this.#place.root, 'usr/bin', python), script, ...config, ...args],
      { env: this.#env },
    );
  }

  start(program: string, ...args: readonly string[]): void {
    const command = [...this.#loader, ...this.#arguments(program, args), '-f'];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = createWriteStream(join(this.#place.work, `${program}.out`));
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    child.once('error', () => output.end());
    child.once('close', () => output.end());
    this.#children.push(child);
  }

  /** Throws CommandFailed with what a program said last, when one ends or the time is over. */
  async until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + START_MS;
    for (;;) {
      if (await isTrue()) return;
      const ended = this.#children.find(({ exitCode, signalCode }) => {
        return exitCode !== null || signalCode !== null;
      });
      if (ended !== undefined || Date.now() > end) {
        const why = String(ended?.signalCode ?? ended?.exitCode ?? 'time is over');
        const words = await this.#lastWords();
        throw new CommandFailed(`Ceph: ${what} does not answer (${why})\n${words}`);
      }
      await sleep(100);
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => {
        child.once('close', resolve);
      });
      // There is nothing to save.
      child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#place.work, { recursive: true, force: true });
  }

  async #lastWords(): Promise<string> {
    const words: string[] = [];
    for (const name of ['ceph-mon.out', 'ceph-osd.out', 'radosgw.out', 'client.rgw.a.log']) {
      const path = join(this.#place.work, name);
      const text = await readFile(path, 'utf8').catch(() => '');
      words.push(`${name}:`, ...text.trimEnd().split('\n').slice(-SHOWN_LINES));
    }
    return words.join('\n');
  }

  get #config(): string {
    return join(this.#place.work, 'ceph.conf');
  }

  #arguments(program: string, args: readonly string[]): readonly string[] {
    const path = join(this.#place.root, 'usr/bin', program);
    return program === 'monmaptool' ? [path, ...args] : [path, '-c', this.#config, ...args];
  }
}

async function bringUp(ceph: Ceph, place: Place, secret: string): Promise<void> {
  const { work, monitor, gateway, id } = place;
  for (const name of ['mon', 'osd', 'rgw']) await mkdir(join(work, name));
  await writeFile(join(work, 'ceph.conf'), configuration(place));
  const map = join(work, 'monmap');
  const address = `v1:127.0.0.1:${String(monitor)}`;
  await ceph.run('monmaptool', '--create', '--addv', 'a', address, '--fsid', id, map);
  await ceph.run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map);
  ceph.start('ceph-mon', '-i', 'a');
  await ceph.until('the monitor', () => answers(monitor));
  // A store in memory makes an identity of its own, which the monitor has to be told.
  await ceph.run('ceph-osd', '-i', '0', '--mkfs');
  await ceph.ceph('osd', 'new', (await readFile(join(work, 'osd/fsid'), 'utf8')).trim());
  await ceph.ceph('osd', 'crush', 'add', 'osd.0', '1.0', 'root=default');
  ceph.start('ceph-osd', '-i', '0');
  ceph.start('radosgw', '-n', 'client.rgw.a');
  await ceph.until('the gateway', () => answers(gateway));
  const keys = ['--access-key', ACCESS_KEY, '--secret-key', secret];
  const user = ['user', 'create', '--uid=tester', '--display-name=tester', ...keys];
  await ceph.run('radosgw-admin', '-n', 'client.rgw.a', ...user);
}

async function startOnce({ root, version }: CephFiles): Promise<S3Server> {
  const work = await mkdtemp(join(tmpdir(), 'trackseal-ceph-'));
  const [monitor, gateway] = [await freePort(), await freePort()];
  const place = { root, work, monitor, gateway, id: randomUUID() };
  const ceph = new Ceph(place);
  const secret = randomUUID();
  try {
    await bringUp(ceph, place, secret);
  } catch (error) {
    await ceph.stop();
    throw error;
  }
  return {
    name: `Ceph radosgw ${version}`,
    endpoint: `http://127.0.0.1:${String(gateway)}`,
    region: 'default',
    accessKeyId: ACCESS_KEY,
    secretAccessKey: secret,
    stop: () => ceph.stop(),
  };
}

/** Tries again with other ports: one may be taken in between. Throws CommandFailed. */
export async function startCeph(
  files: CephFiles,
  say: (line: string) => void = () => undefined,
): Promise<S3Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(files);
    } catch (error) {
      if (!(error instanceof CommandFailed) || attempt === ATTEMPTS) throw error;
      say(`${error.message}\nonce more`);
    }
  }
}
