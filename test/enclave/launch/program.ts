// What the tests of the launcher start: it, the program of attempts, a copy of Node and the runner, in a folder
// that the users of strategies can read. They need root, because only root may become somebody else.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, constants, copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { BOOT_SOURCES, compileBoot } from '../../../eif/build/boot.ts';
import type { RunnerProgram } from '../../../wire/node/strategy-program.ts';
import { runnerFlags } from '../../../wire/node/strategy-program.ts';
import { findRunner } from '../../../wire/node/find-runner.ts';
import { ROOT, imageRunner } from '../strategy/support.ts';
import type { Ended } from './verdicts.ts';

export interface LaunchPrograms {
  readonly folder: string;
  readonly launcher: string;
  readonly attempts: string;
  readonly node: string;
  readonly runner: string;
}

/** What is missing here for these tests; null when nothing is. */
export function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (getuid?.() !== 0) return 'needs root, to become another user';
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    return null;
  } catch {
    return 'needs gcc';
  }
}

export async function makePrograms(): Promise<LaunchPrograms> {
  const folder = mkdtempSync(join(tmpdir(), 'trackseal-'));
  chmodSync(folder, 0o755);
  const programs: LaunchPrograms = {
    folder,
    launcher: join(folder, 'launch'),
    attempts: join(folder, 'attempts'),
    node: join(folder, 'node'),
    runner: join(folder, 'strategy-runner.mjs'),
  };
  await compileBoot(BOOT_SOURCES.launch, programs.launcher);
  await compileBoot('test/enclave/launch/attempts.c', programs.attempts);
  copyFileSync(findRunner(ROOT).execPath, programs.node, constants.COPYFILE_FICLONE);
  copyFileSync((await imageRunner()).path, programs.runner);
  mkdirSync(join(folder, 'scripts'));
  return programs;
}

/** The runner as the image starts it. */
export function launchedRunner({ launcher, node, runner }: LaunchPrograms): RunnerProgram {
  return { launcher, execPath: node, flags: runnerFlags(), path: runner };
}

let scripts = 0;

/** A script for Node without any of Node's own limits: what native code in the runner could do. */
export function scriptOf({ launcher, node, folder }: LaunchPrograms, text: string): RunnerProgram {
  const path = join(folder, 'scripts', `${String(scripts++)}.cjs`);
  writeFileSync(path, text);
  return { launcher, execPath: node, flags: ['--no-warnings'], path };
}

/** Runs a program to its end; descriptors from 3 on are `more`. */
export async function run(
  command: string,
  args: readonly string[],
  more: readonly number[] = [],
): Promise<Ended> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore', ...more], cwd: '/' });
  const { stdout } = child;
  if (stdout === null) throw new Error('no pipe');
  let output = '';
  stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, output };
}
