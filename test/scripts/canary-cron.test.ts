// The script in docs/OPERATE.md, run as it stands there, beside commands that only say what they were asked.

import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run as canary } from '../../owner/commands/kms-canary.ts';
import { ROOT } from '../../scripts/bundle.ts';

const SCRIPT =
  /```sh\n(?<script>#!\/bin\/sh\n# \/usr\/local\/bin\/trackseal-canary.*?)```/su.exec(
    readFileSync(join(ROOT, 'docs/OPERATE.md'), 'utf8'),
  )?.groups?.['script'] ?? '';

describe('the canary from cron', () => {
  let directory: string;

  const put = (name: string, text: string): void => {
    writeFileSync(join(directory, name), text);
    chmodSync(join(directory, name), 0o755);
  };

  /** Exit code of the script, and what it logged; nothing else than these commands can be found. */
  const sing = async (): Promise<{ readonly code: number; readonly logged: string }> => {
    put('logger', `#!/bin/sh\necho "$@" >> ${join(directory, 'logged')}\n`);
    put('script', SCRIPT);
    const code = await new Promise<number>((resolve) => {
      const child = execFile(join(directory, 'script'), { env: { PATH: directory } });
      child.once('exit', (exitCode) => {
        resolve(exitCode ?? -1);
      });
    });
    const file = join(directory, 'logged');
    return { code, logged: existsSync(file) ? readFileSync(file, 'utf8') : '' };
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'canary-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it.each([
    [0, 'daemon.info', 'denied'],
    [1, 'daemon.alert', 'ALARM: KMS gives keys to who is no enclave: it said so'],
    [2, 'daemon.warning', 'could not tell: it said so'],
  ])('exit code %i is %s', async (exitCode, level, text) => {
    put(
      'trackseal',
      `#!/bin/sh\necho "$@" > ${join(directory, 'asked')}\necho it said so >&2\nexit ${exitCode}\n`,
    );
    const { code, logged } = await sing();
    expect(code).toBe(exitCode);
    expect(logged).toContain(`-p ${level} `);
    expect(logged).toContain(text);
    expect(logged.trimEnd().split('\n')).toHaveLength(1);
  });

  it('a command that is not there is no all-clear', async () => {
    const { code, logged } = await sing();
    expect(code).toBe(127);
    expect(logged).toContain('-p daemon.warning ');
  });

  it('asks with options that the command has', async () => {
    put('trackseal', `#!/bin/sh\necho "$@" > ${join(directory, 'asked')}\n`);
    await sing();
    const [kms, word, ...args] = readFileSync(join(directory, 'asked'), 'utf8').trim().split(' ');
    expect([kms, word]).toEqual(['kms', 'canary']);
    let said = '';
    const io = { env: {}, stdout: () => undefined, stderr: (text: string) => (said += text) };
    // It gets as far as the file, which is the operator's.
    expect(await canary(args, io)).toBe(2);
    expect(said).toContain('file_unreadable');
  });
});
