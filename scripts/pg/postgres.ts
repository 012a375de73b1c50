// A PostgreSQL 15 of Debian on 127.0.0.1, TLS only, in a temporary folder, that ends with this process (setpriv
// --pdeathsig). Nothing is installed. PostgreSQL refuses to run as root: then it runs as nobody. For tests only.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, chown, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DatabaseAuthority } from '../../host-proxy/database/authority.ts';
import { freePort } from '../s3/ceph.ts';
import { readCephLock } from '../s3/lock.ts';
import { missingTools, unpackAll } from '../s3/packages.ts';
import { CommandFailed, runCommand } from '../vm/command.ts';
import { LOCK_FILE } from './resolve.ts';

export interface PostgresServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Owner of everything. */
  readonly user: string;
  readonly password: string;
  /** PEM of the authority of its certificate. */
  readonly ca: string;
  readonly stop: () => Promise<void>;
}

const START_MS = 60_000;
const ATTEMPTS = 3;
const NOBODY = 65_534;
const SHOWN_CHARACTERS = 3000;
const CERTIFICATE_FILE = 'server.pem';
const KEY_FILE = 'server-key.pem';

interface Place {
  readonly work: string;
  readonly bin: string;
  readonly env: NodeJS.ProcessEnv;
  /** The command that becomes somebody else, where that is needed. */
  readonly as: readonly string[];
}

/** The unpacked packages. Throws CommandFailed, which says what is missing. */
export async function openPostgres(): Promise<{ readonly root: string; readonly version: string }> {
  const lacking = await missingTools();
  if (lacking !== null) throw new CommandFailed(`PostgreSQL needs ${lacking}`);
  const lock = await readCephLock(LOCK_FILE);
  return { root: await unpackAll(lock, 'pg', 'postgres'), version: lock.version };
}

async function makePlace(root: string): Promise<Place> {
  const work = await mkdtemp(join(tmpdir(), 'trackseal-pg-'));
  // The cache may be where only its owner reads.
  const usr = join(work, 'usr');
  await cp(join(root, 'usr'), usr, { recursive: true, verbatimSymlinks: true });
  await cp(join(root, 'lib'), join(work, 'lib'), { recursive: true, verbatimSymlinks: true });
  await chmod(work, 0o755);
  const libraries = [join(usr, 'lib/x86_64-linux-gnu'), join(work, 'lib/x86_64-linux-gnu')];
  const isRoot = process.getuid?.() === 0;
  const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  return {
    work,
    bin: join(usr, 'lib/postgresql/15/bin'),
    env: {
      PATH: '/usr/bin:/bin',
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      LD_LIBRARY_PATH: libraries.join(':'),
    },
    as: isRoot ? user : [],
  };
}

/** Belongs to who runs the server. */
async function writeFor(place: Place, name: string, text: string): Promise<string> {
  const path = join(place.work, name);
  await writeFile(path, text, { mode: 0o600 });
  if (place.as.length > 0) await chown(path, NOBODY, NOBODY);
  return path;
}

async function initialise(
  place: Place,
  password: string,
): Promise<{ readonly data: string; readonly ca: string }> {
  const { work, bin, env, as } = place;
  const own = join(work, 'own');
  await runCommand(['mkdir', '-m', '700', own]);
  if (as.length > 0) await chown(own, NOBODY, NOBODY);
  const data = join(own, 'data');
  const passwordFile = await writeFor(place, 'password', password);
  const files = ['-D', data, '--pwfile', passwordFile];
  const how = ['-U', 'postgres', '-A', 'scram-sha-256', '-E', 'UTF8', '--no-locale', '-N'];
  const share = join(work, 'usr/share/postgresql/15');
  const command = [join(bin, 'initdb'), ...files, ...how, '-L', share];
  await runCommand(['setpriv', ...as, '--', ...command], { env });
  issuer ??= makeIssuer();
  const authority = await issuer;
  const { keyPem, certificatePem } = await authority.issue(['localhost', '127.0.0.1']);
  await writeFor(place, KEY_FILE, keyPem);
  await writeFor(place, CERTIFICATE_FILE, certificatePem);
  await writeFor(place, 'hba.conf', 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
  return { data, ca: authority.pem };
}

let issuer: Promise<DatabaseAuthority> | null = null;

async function makeIssuer(): Promise<DatabaseAuthority> {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-pg-ca-'));
  const authority = await DatabaseAuthority.open(folder);
  await rm(folder, { recursive: true });
  return authority;
}

function start({ work, bin, env, as }: Place, data: string, port: number): ChildProcess {
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: join(work, 'own'),
    hba_file: join(work, 'hba.conf'),
    ssl: 'on',
    ssl_cert_file: join(work, CERTIFICATE_FILE),
    ssl_key_file: join(work, KEY_FILE),
    ssl_min_protocol_version: 'TLSv1.3',
    // Lost at the end.
    fsync: 'off',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = [join(bin, 'postgres'), '-D', data, ...flags];
  return spawn('setpriv', [...as, '--pdeathsig', 'KILL', '--', ...command], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

async function startOnce(root: string, version: string): Promise<PostgresServer> {
  const place = await makePlace(root);
  const password = randomUUID();
  let child: ChildProcess | null = null;
  const stop = async (): Promise<void> => {
    if (child?.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => {
        child?.once('close', resolve);
      });
      child.kill('SIGQUIT');
      await ended;
    }
    await rm(place.work, { recursive: true, force: true });
  };
  try {
    const { data, ca } = await initialise(place, password);
    const port = await freePort();
    child = start(place, data, port);
    const name = `PostgreSQL ${version}`;
    const server = { name, host: '127.0.0.1', port, user: 'postgres', password, ca, stop };
    await untilReady(server, child);
    return server;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilReady(server: PostgresServer, child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-SHOWN_CHARACTERS);
  });
  let hasEnded = false;
  child.once('close', () => {
    hasEnded = true;
  });
  const end = performance.now() + START_MS;
  while (!(await answers(server))) {
    if (hasEnded || performance.now() > end) {
      throw new CommandFailed(`PostgreSQL does not answer\n${said}`);
    }
    await sleep(100);
  }
}

async function answers({ host, port, user, password, ca }: PostgresServer): Promise<boolean> {
  const client = new Client({ host, port, user, password, database: 'postgres', ssl: { ca } });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Tries again with another port: it may be taken in between. Throws CommandFailed. */
export async function startPostgres(): Promise<PostgresServer> {
  const { root, version } = await openPostgres();
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(root, version);
    } catch (error) {
      if (!(error instanceof CommandFailed) || attempt === ATTEMPTS) throw error;
    }
  }
}
