// In the place of the enclave's program: what init leaves it, and what the launcher leaves a strategy. Prints
// one line of JSON, exit code 7. Started as   node privileges.mjs   beside the program `attempts` (attempts.c).

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ended } from '../../enclave/launch/verdicts.ts';
import { ALL_CALLS, verdict } from '../../enclave/launch/verdicts.ts';

const LAUNCH = '/trackseal/launch';
const NODE = '/trackseal/node';
const ATTEMPTS = join(import.meta.dirname, 'attempts');
const USER = '2003';

function start(command: string, ...args: readonly string[]): Ended {
  const { status, signal, stdout } = spawnSync(command, args, { encoding: 'utf8', env: {} });
  return { code: status, signal, output: stdout };
}

function attempt(...args: readonly string[]): string {
  return verdict(start(LAUNCH, USER, ATTEMPTS, ...args));
}

function errorOf(act: () => void): string {
  try {
    act();
    return 'none';
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

function readable(path: string): string {
  return readFileSync(path, 'utf8').trim();
}

function devices(): readonly (readonly [string, string, number])[] {
  return readdirSync('/dev').map((name) => {
    const { mode, uid } = statSync(join('/dev', name));
    return [name, (mode & 0o777).toString(8), uid];
  });
}

/** A strategy that computes without end: seen from the enclave, and ended by it. */
async function endStrategy(): Promise<unknown> {
  const busy = spawn(LAUNCH, [USER, NODE, '-e', 'for (;;);'], { stdio: 'ignore', env: {} });
  const ended = once(busy, 'exit');
  await sleep(3000);
  const status = readable(`/proc/${String(busy.pid)}/status`);
  const resident = Number(readable(`/proc/${String(busy.pid)}/statm`).split(' ')[1]);
  busy.kill('SIGKILL');
  return { status, resident, ended: await ended };
}

const names = start(ATTEMPTS, 'names').output.trimEnd().split('\n');
const look = `const { existsSync, readFileSync, writeSync } = require('fs');
  let device = 'opened';
  try { readFileSync('/dev/nsm'); } catch ({ code }) { device = code; }
  writeSync(1, JSON.stringify([process.getuid(), existsSync('/proc/' + process.ppid), device]));`;
const result = {
  status: readable('/proc/self/status'),
  devices: devices(),
  root: readdirSync('/').sort(),
  writing: ['/x', '/tmp/x', '/run/x', '/dev/x', '/trackseal/x', '/proc/sys/kernel/panic'].map(
    (path) => errorOf(() => writeFileSync(path, '')),
  ),
  ptraceScope: readable('/proc/sys/kernel/yama/ptrace_scope'),
  modules: errorOf(() => readFileSync('/proc/modules')),
  state: start(LAUNCH, USER, ATTEMPTS, 'state').output,
  node: start(LAUNCH, USER, NODE, '-e', look),
  names,
  attempts: Object.fromEntries(names.map((name) => [name, attempt(name)])),
  numbers: Object.fromEntries(ALL_CALLS.map((number) => [number, attempt('number', number)])),
  strategy: await endStrategy(),
};
writeSync(1, `${JSON.stringify(result)}\n`);
process.exit(7);
