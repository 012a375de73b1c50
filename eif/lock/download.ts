// One download, bounded in size. apt's own helper first, where there is one: it knows the proxies and
// certificates that this machine's apt is set up with. Nothing here checks a hash; see fetch.ts.

import { execFile } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

/** Writes what is at the address to the path; the answer is null, or why not. */
export type Download = (address: string, path: string, maxBytes: number) => Promise<string | null>;

const APT_HELPER = '/usr/lib/apt/apt-helper';
const TIMEOUT_MS = 900_000;
const ERROR_CHARACTERS = 300;
/** POSIX. */
const ULIMIT_BLOCK_BYTES = 512;
/** apt writes small files of its own. */
const SLACK_BLOCKS = 2048;

function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/gu, ' ').slice(-ERROR_CHARACTERS);
}

export async function downloadWithApt(
  address: string,
  path: string,
  maxBytes: number,
): Promise<string | null> {
  const helper = [APT_HELPER, '-o', 'Acquire::Retries=0', '-o', 'APT::Sandbox::User=root'];
  const blocks = String(Math.ceil(maxBytes / ULIMIT_BLOCK_BYTES) + SLACK_BLOCKS);
  try {
    const args = [
      '-c',
      'ulimit -f "$0"; exec "$@"',
      blocks,
      ...helper,
      'download-file',
      address,
      path,
    ];
    const env = { ...process.env, LC_ALL: 'C' };
    await promisify(execFile)('/bin/sh', args, { timeout: TIMEOUT_MS, env });
    return null;
  } catch (error) {
    await rm(`${path}.FAILED`, { force: true });
    const lines = reason(error).split(/(?=E: )/u);
    return lines.find((line) => line.startsWith('E: ')) ?? lines.at(-1) ?? 'failed';
  }
}

export async function downloadDirectly(
  address: string,
  path: string,
  maxBytes: number,
): Promise<string | null> {
  let bytes = 0;
  const bound = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(bytes > maxBytes ? new Error(`more than ${String(maxBytes)} bytes`) : null, chunk);
    },
  });
  try {
    const answer = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok || answer.body === null) {
      await answer.body?.cancel();
      return `HTTP status ${String(answer.status)}`;
    }
    const body = Readable.fromWeb(answer.body);
    await pipeline(body, bound, createWriteStream(path, { flags: 'w', mode: 0o644 }));
    return null;
  } catch (error) {
    return reason(error);
  }
}

/** The ways of this machine, in the order in which they are tried. */
export function machineDownloads(): readonly Download[] {
  return existsSync(APT_HELPER) ? [downloadWithApt, downloadDirectly] : [downloadDirectly];
}
