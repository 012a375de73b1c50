// Starts a worker for a parser and watches it: a worker that says nothing for long hangs, one that ends
// without a result has crashed. What it was working on is in its slot.

import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readU32 } from '../../wire/bytes.ts';
import type { EngineResult } from './engine.ts';
import type { Finding, FindingType } from './finding.ts';
import { minimise } from './finding.ts';
import type { Job, Message } from './job.ts';
import { SLOT_HEAD_BYTES } from './job.ts';

/** Memory of a worker's heap: a parser that needs more for one input has no bound. */
const MAX_HEAP_MIB = 256;
/** Each takes a worker of its own, for a hang until it is given up. */
const MINIMISE_TRIES = 24;
const STDERR_BYTES = 4096;

export interface SuperviseOptions {
  /** Silence that counts as a hang; generous, because machines are busy. */
  readonly hangMs: number;
  /** Questions for a smaller input of a hang or a crash. Default 24. */
  readonly tries?: number;
  readonly onProgress?: (done: number, corpus: number) => void;
}

export interface Supervised {
  /** Null when the worker did not live to say it. */
  readonly result: EngineResult | null;
  readonly findings: readonly Finding[];
  /** Inputs that were tried, at least. */
  readonly inputs: number;
}

interface Ended {
  readonly result: EngineResult | null;
  readonly type: FindingType | null;
  readonly what: string;
  readonly slot: { readonly number: number; readonly input: Uint8Array };
}

function readSlot(path: string): Ended['slot'] {
  try {
    const bytes = new Uint8Array(readFileSync(path));
    const length = readU32(bytes, 4);
    const input = bytes.slice(SLOT_HEAD_BYTES, SLOT_HEAD_BYTES + length);
    return { number: readU32(bytes, 0), input };
  } catch {
    return { number: 0, input: new Uint8Array(0) };
  }
}

function runOnce(job: Omit<Job, 'slot'>, options: SuperviseOptions): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  const slot = join(folder, 'slot');
  const child = fork(join(import.meta.dirname, 'worker.ts'), [], {
    execArgv: ['--expose-gc', `--max-old-space-size=${MAX_HEAP_MIB}`, '--no-warnings'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const { promise, resolve } = Promise.withResolvers<Ended>();
  let result: EngineResult | null = null;
  let hangs = false;
  let stderr = '';
  const watch = setTimeout(() => {
    hangs = true;
    child.kill('SIGKILL');
  }, options.hangMs);
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_BYTES);
  });
  child.on('message', (message: Message) => {
    watch.refresh();
    if (message.type === 'result') result = message.result;
    else options.onProgress?.(message.done, message.corpus);
  });
  child.on('close', (code, signal) => {
    clearTimeout(watch);
    const ended = { result, slot: readSlot(slot) };
    rmSync(folder, { recursive: true, force: true });
    if (result !== null) resolve({ ...ended, type: null, what: '' });
    else if (hangs) resolve({ ...ended, type: 'hang', what: `nothing for ${options.hangMs} ms` });
    else resolve({ ...ended, type: 'crash', what: causeOf(code, signal, stderr) });
  });
  child.send({ ...job, slot } satisfies Job);
  return promise;
}

function causeOf(code: number | null, signal: string | null, stderr: string): string {
  if (stderr.includes('heap out of memory')) return `more than ${MAX_HEAP_MIB} MiB of heap`;
  const lines = stderr.trim().split('\n').slice(0, 8).join(' | ');
  return `the process ended with ${signal ?? code ?? 'nothing'}: ${lines}`;
}

/** Fuzzes one parser; a hang or a crash ends its run. */
export async function supervise(
  job: Omit<Job, 'slot'>,
  options: SuperviseOptions,
): Promise<Supervised> {
  const ended = await runOnce(job, options);
  const { result, type, what, slot } = ended;
  if (result !== null) return { result, findings: result.findings, inputs: result.inputs };
  if (type === null) throw new Error('a worker ended for no reason');
  const alone = { ...job, inputs: 0, windowInputs: 0, only: true, distil: false };
  const shows = async (input: Uint8Array): Promise<boolean> => {
    const again = await runOnce({ ...alone, corpus: [input] }, { hangMs: options.hangMs });
    return again.type === type;
  };
  const reproduced = await shows(slot.input);
  const input = reproduced
    ? await minimise(slot.input, shows, options.tries ?? MINIMISE_TRIES)
    : slot.input;
  const finding: Finding = {
    type,
    what: reproduced ? what : `${what} (not with this input alone)`,
    input,
    after: slot.number,
  };
  return { result: null, findings: [finding], inputs: slot.number };
}
