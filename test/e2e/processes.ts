// Processes of a test: started by it, watched by conditions instead of sleeps, and gone after it, also
// when it fails. Commands run through the launcher, as a user runs them, with a home of their own.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from 'vitest';
import { ROOT } from '../../scripts/bundle.ts';
import { testSeed } from '../helpers/seed.ts';

export const LAUNCHER: string = join(ROOT, 'scripts/trackseal');
const POLL_MS = 10;
const DEFAULT_WAIT_MS = 60_000;
let defaultWaitMs = DEFAULT_WAIT_MS;

export interface Json {
  readonly [name: string]: unknown;
}

const children = new Set<ChildProcess>();
const folders = new Set<string>();
const closers = new Set<() => Promise<void>>();

/** The whole group: a host that is killed leaves its enclave behind. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}

process.on('exit', () => {
  for (const child of children) killGroup(child);
});

/** Ends and removes all that was started and made here. */
export async function cleanUp(): Promise<void> {
  for (const child of children) killGroup(child);
  children.clear();
  for (const close of closers) await close();
  closers.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

/** Call once in each test file: after each test nothing of it is left. */
export function cleanUpAfterEach(): void {
  afterEach(cleanUp);
}

export function closeAfterwards(close: () => Promise<void>): void {
  closers.add(close);
}

/** A folder with a short path, for Unix sockets; removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ts-e2e-'));
  folders.add(folder);
  return folder;
}

/** The same, for several tests: the caller removes it. */
export function lastingFolder(): string {
  return mkdtempSync(join(tmpdir(), 'ts-e2e-'));
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class TestProcess {
  readonly pid: number;
  /** When it and all that hold its output have ended. */
  readonly closed: Promise<ProcessEnd>;
  /** When the process itself has ended. */
  readonly ended: Promise<ProcessEnd>;
  stdout = '';
  stderr = '';
  end: ProcessEnd | null = null;

  constructor(program: string, args: readonly string[], { cwd, env }: StartOptions = {}) {
    const child = spawn(program, args, {
      cwd: cwd ?? tmpdir(),
      env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    children.add(child);
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      this.stdout += part;
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      this.stderr += part;
    });
    if (child.pid === undefined) throw new Error(`cannot start ${program}`);
    this.pid = child.pid;
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.end = { code, signal };
        resolve(this.end);
      });
    });
    this.closed = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        resolve({ code, signal });
      });
    });
  }

  signal(name: NodeJS.Signals): void {
    if (this.end === null) process.kill(this.pid, name);
  }
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What it printed as JSON. */
  readonly json: Json;
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return {};
  }
}

/** Runs `scripts/trackseal` (or another launcher) to its end. */
export async function trackseal(
  args: readonly string[],
  options: StartOptions & { readonly launcher?: string } = {},
): Promise<CommandResult> {
  const child = new TestProcess(options.launcher ?? LAUNCHER, args, options);
  const { code } = await child.closed;
  const { stdout, stderr } = child;
  return { code, stdout, stderr, json: parseJson(stdout) };
}

/** For all that is waited for in this file: emulated machines are slow. */
export function waitAtMost(ms: number): void {
  defaultWaitMs = ms;
}

/** The first value that is not null, false or undefined; throws after a minute, or what `waitAtMost` said. */
export async function waitFor<T>(
  what: string,
  look: () => T | null | false | undefined,
  timeoutMs: number = defaultWaitMs,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const found = look();
    if (found !== null && found !== false && found !== undefined) return found;
    if (performance.now() > deadlineMs) throw new Error(`waited in vain: ${what}`);
    await sleep(POLL_MS);
  }
}

/** False for processes that are gone or wait to be collected. */
export function isRunning(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}

/** By process id. */
export function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

/** Children and theirs, by process id; children first. */
export function descendantsOf(pid: number): readonly number[] {
  const children = childrenOf(pid);
  return [...children, ...children.flatMap((child) => descendantsOf(child))];
}

/** Of the descendants, those whose command line names `program`. */
export function descendantsNamed(pid: number, program: string): readonly number[] {
  return descendantsOf(pid).filter((one) => {
    try {
      return readFileSync(`/proc/${one}/cmdline`, 'utf8').includes(program);
    } catch {
      return false;
    }
  });
}

/** A seed that is printed, so that a failed run can be run again with TRACKSEAL_SEED. */
export function seededNumbers(name: string): (low: number, high: number) => number {
  const seed = testSeed();
  console.log(`${name}: TRACKSEAL_SEED=${seed}`);
  let state = (seed >>> 0) + 0x9e3779b9;
  return (low, high) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return low + (((mixed ^ (mixed >>> 14)) >>> 0) % (high - low + 1));
  };
}
