// docs/EVIDENCE.md tells people how to check an evidence file with OpenSSL and a shell. What it says is run
// here as it stands there, on a file as it is and on one that was changed.

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/bundle.ts';
import { run as runLogPull } from '../../verifier/commands/log-pull.ts';
import { isoOfNs } from '../../verifier/log/payload.ts';
import { EpochBuilder } from '../helpers/epoch-builder.ts';
import { LogFolder, runCommand } from '../verifier/log/log-folder.ts';

const execute = promisify(execFile);
let folder: LogFolder;
let script = '';
let missing: string | null = null;
let unpacked = 0;

beforeAll(async () => {
  folder = await LogFolder.create();
  const text = await readFile(join(ROOT, 'docs/EVIDENCE.md'), 'utf8');
  script = /```sh\n(# every part[^]*?)```/u.exec(text)?.[1] ?? '';
  const epoch = await EpochBuilder.create();
  const fromNs = epoch.nowNs;
  epoch.startStrategy();
  for (let at = 0; at < 5; at++) {
    const output = epoch.addOutput(epoch.addInput());
    epoch.addReport(output);
  }
  const toNs = epoch.nowNs;
  epoch.addHeartbeat(1);
  epoch.commit();
  await folder.write([epoch]);
  const times = ['--from', isoOfNs(fromNs), '--to', isoOfNs(toNs)];
  const key = ['--key', folder.path('key.pem')];
  const file = folder.path('evidence.zip');
  const pulled = await runCommand(runLogPull, folder.log, ...times, ...key, '-o', file);
  if (pulled.exit !== 0) throw new Error(pulled.err);
  for (const program of ['unzip', 'openssl', 'od', 'sha256sum']) {
    await execute('sh', ['-c', `command -v ${program}`]).catch(() => {
      missing ??= `skipped: there is no ${program} here`;
    });
  }
  if (missing !== null) console.log(missing);
});

afterAll(() => folder.remove());

async function unpack(): Promise<string> {
  const directory = folder.path(`unpacked-${unpacked++}`);
  await execute('unzip', ['-q', folder.path('evidence.zip'), '-d', directory]);
  return directory;
}

async function check(directory: string): Promise<string> {
  const env = { ...process.env, LC_ALL: 'C' };
  const run = await execute('sh', ['-c', script], { cwd: directory, env }).catch(
    (error: unknown) => error as { readonly stdout: string; readonly stderr: string },
  );
  return run.stdout + run.stderr;
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = new Uint8Array(await readFile(path));
  await writeFile(path, bytes.with(at, (bytes[at] ?? 0) ^ 1));
}

describe('the commands of docs/EVIDENCE.md', () => {
  it('accept an evidence file', async (context) => {
    if (missing !== null) context.skip();
    const said = await check(await unpack());
    expect(said).toContain('Verified OK');
    expect(said).toContain('key is attested');
    expect(said).not.toMatch(/FAILED|WARNING/u);
    expect(said.match(/is in the table/gu)?.length).toBeGreaterThan(10);
  });

  it('see a changed head, another key, and a changed part', async (context) => {
    if (missing !== null) context.skip();
    const head = await unpack();
    await flip(join(head, 'checkpoint'), 5);
    expect(await check(head)).toContain('Verification failure');
    const key = await unpack();
    await flip(join(key, 'attestation.cbor'), 1);
    expect(await check(key)).toContain('attestation.cbor: FAILED');
    const leaf = await unpack();
    const before = (await check(leaf)).match(/is in the table/gu)?.length ?? 0;
    await flip(join(leaf, 'leaves/00000000000000000004.cbor'), 60);
    const said = await check(leaf);
    expect(said).toContain('leaves/00000000000000000004.cbor: FAILED');
    expect(said.match(/is in the table/gu)?.length).toBe(before - 1);
  });
});
