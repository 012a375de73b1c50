// An independent reader of our log folder: Tessera's fsck (Go), which knows nothing of Trackseal, must
// accept the plain tlog-tiles that the host writes, under the ECDSA verifier key, and refuse changed ones.
// Needs Go and its module proxy for the first run; the binary is kept in the system's temporary folder.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EpochLog } from '../../host-proxy/epoch-log.ts';
import { nodeFiles } from '../../host-proxy/files.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import { verifierKey } from '../../wire/tlog/verifier-key.ts';
import { LogWriter } from '../helpers/log-writer.ts';

const MODULE = 'github.com/transparency-dev/tessera/cmd/fsck@v1.0.4';
const CACHE = join(tmpdir(), 'trackseal-peers');
const FSCK = join(CACHE, 'bin', 'fsck');
const INSTALL_MS = 300_000;
const CHECK_MS = 60_000;
/** One flipped byte shows in a tile of each level; fsck loses a worker for each, and hangs without any. */
const WORKERS = 8;

const execute = promisify(execFile);

/** Null when it is there, else why not. */
async function installFsck(): Promise<string | null> {
  if (existsSync(FSCK)) return null;
  await mkdir(CACHE, { recursive: true });
  const { PATH, HOME, GOPROXY, GOSUMDB } = process.env;
  const env = {
    PATH,
    HOME,
    ...(GOPROXY === undefined ? {} : { GOPROXY }),
    ...(GOSUMDB === undefined ? {} : { GOSUMDB }),
    GOPATH: join(CACHE, 'go'),
    GOCACHE: join(CACHE, 'build'),
    GOBIN: join(CACHE, 'bin'),
    GOFLAGS: '-modcacherw -buildvcs=false',
  };
  try {
    await execute('go', ['install', MODULE], { env, timeout: INSTALL_MS });
    return null;
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return missing ? 'there is no Go here' : 'its module could not be fetched or built';
  }
}

let folder = '';
let missing: string | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-fsck-'));
  missing = await installFsck();
  if (missing !== null) console.log(`skipped: Tessera's fsck, because ${missing}`);
}, INSTALL_MS);

afterAll(() => rm(folder, { recursive: true, force: true }));

interface WrittenLog {
  readonly directory: string;
  readonly keyFile: string;
  readonly size: number;
}

/** `size` leaves, one of them the largest possible, through the host's own spool and publisher. */
async function writeLog(size: number): Promise<WrittenLog> {
  const root = join(folder, String(size));
  const writer = new LogWriter();
  const log = await EpochLog.create({
    files: nodeFiles,
    crypto: nodeCrypto,
    spoolDirectory: join(root, 'spool'),
    logDirectory: join(root, 'log'),
    epoch: 1,
    onFailure: (error) => {
      throw error;
    },
  });
  writer.addInputs(1, 60_000);
  while (writer.leaves.length < size) {
    writer.addInputs(Math.min(1000, size - writer.leaves.length));
    assertAccepted(await log.receive(writer.commit()));
  }
  await log.finish();
  const keyFile = join(root, 'key');
  const { origin, logKey } = writer.header;
  await writeFile(keyFile, `${verifierKey(nodeCrypto, origin, logKey)}\n`);
  return { directory: join(root, 'log', 'epochs', '0000000001'), keyFile, size };
}

/** The exit code of fsck is always 0: what it says counts. */
async function fsck({ directory, keyFile, size }: WrittenLog): Promise<'accepted' | 'refused'> {
  const args = [`--storage_url=file://${directory}/`, `--public_key=${keyFile}`, '--ui=false'];
  const limits = { timeout: CHECK_MS, maxBuffer: 64 * 1024 * 1024 };
  const { stderr } = await execute(FSCK, [...args, `--N=${WORKERS}`], limits);
  if (stderr.includes(`Successfully fsck'd log with size ${size} `)) return 'accepted';
  expect(stderr).toContain('fsck failed');
  return 'refused';
}

/** Flips a byte of one file for the time of a check. */
async function fsckChanged(log: WrittenLog, file: string, at: number): Promise<string> {
  const path = join(log.directory, file);
  const bytes = new Uint8Array(await readFile(path));
  await chmod(path, 0o644);
  await writeFile(path, bytes.with(at, (bytes[at] ?? 0) ^ 1));
  const verdict = await fsck(log);
  await writeFile(path, bytes);
  return verdict;
}

describe('Tessera’s fsck', () => {
  it('accepts 700 leaves and refuses changed ones', { timeout: 4 * CHECK_MS }, async (context) => {
    if (missing !== null) context.skip();
    const log = await writeLog(700);
    expect(await fsck(log)).toBe('accepted');
    expect(await fsckChanged(log, 'tile/entries/001', 1000)).toBe('refused');
    expect(await fsckChanged(log, 'tile/0/002.p/188', 100)).toBe('refused');
    expect(await fsckChanged(log, 'checkpoint', 40)).toBe('refused');
    expect(await fsck(log)).toBe('accepted');
  });

  it('accepts 70,000 leaves', { timeout: 4 * CHECK_MS }, async (context) => {
    if (missing !== null) context.skip();
    const log = await writeLog(70_000);
    expect(await fsck(log)).toBe('accepted');
    expect(await fsckChanged(log, 'tile/entries/123', 999)).toBe('refused');
  });
});
