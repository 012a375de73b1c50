// The Versity S3 gateway over a folder of this machine, where Go is there to build it: pinned by version, its
// sources checked by Go's own checksum database. For tests only.

import { spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandFailed, retry, runCommand } from '../vm/command.ts';
import { cacheFolder } from '../vm/lock.ts';
import { answers, freePort } from './ceph.ts';
import type { S3Server } from './ceph.ts';

const VERSION = 'v1.7.0';
const START_MS = 60_000;

/** The program's path, built when it is not there. Throws CommandFailed. */
export async function openVersityGateway(): Promise<string> {
  const folder = join(cacheFolder(), 's3', `versitygw-${VERSION}`);
  const program = join(folder, 'versitygw');
  const isThere = await access(program).then(
    () => true,
    () => false,
  );
  if (isThere) return program;
  await runCommand(['go', 'version']);
  await mkdir(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder, GOFLAGS: '-p=2' };
  const source = `github.com/versity/versitygw/cmd/versitygw@${VERSION}`;
  await retry(() => runCommand(['nice', '-n', '10', 'go', 'install', source], { env }));
  return program;
}

/** Throws CommandFailed. */
export async function startVersityGateway(program: string): Promise<S3Server> {
  const work = await mkdtemp(join(tmpdir(), 'trackseal-versitygw-'));
  const port = await freePort();
  const [accessKeyId, secretAccessKey] = ['AKIATRACKSEALTEST000', randomUUID()];
  const folders = ['data', 'versions', 'iam'].map((name) => join(work, name));
  for (const folder of folders) await mkdir(folder);
  const [data = '', versions = '', iam = ''] = folders;
  const address = `127.0.0.1:${String(port)}`;
  const options = ['--port', address, '--iam-dir', iam, '--region', 'us-east-1', '--quiet'];
  const command = [program, ...options, 'posix', '--versioning-dir', versions, data];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    env: { ...process.env, ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4096);
    });
  }
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      said += error.message;
      resolve();
    });
    child.once('close', () => {
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    await rm(work, { recursive: true, force: true });
  };
  const end = Date.now() + START_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > end) {
      await stop();
      throw new CommandFailed(`versitygw does not answer\n${said}`);
    }
    await sleep(50);
  }
  return {
    name: `versitygw ${VERSION}`,
    endpoint: `http://${address}`,
    region: 'us-east-1',
    accessKeyId,
    secretAccessKey,
    stop,
  };
}
