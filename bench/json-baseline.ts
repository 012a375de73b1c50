// The JSON baseline of the whole path (ARCHITECTURE.md): the same rows in batches of the same size, as
// lines of JSON through a child process that parses, hashes and signs them; the host appends each signed
// line to a file, syncs what came together, and acknowledges.

import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** An event as somebody would write it in JSON; money as numbers, as people do. */
export interface JsonEvent {
  readonly instrument: number;
  readonly kind: string;
  readonly side: string;
  readonly exchange_time: number;
  readonly receive_time: number;
  readonly price: number;
  readonly quantity: number;
  readonly id: number;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** Null: as fast as the child takes them. Else one batch after the other, each when it is due. */
type Pace = number | null;

/** Answers when each batch was due, on the clock of `performance.now()`. */
async function sendAll(
  child: Child,
  batches: readonly (readonly JsonEvent[])[],
  batchesPerSecond: Pace,
  dueMs: number[],
): Promise<void> {
  const startMs = performance.now();
  for (const [index, batch] of batches.entries()) {
    let due = performance.now();
    if (batchesPerSecond !== null) {
      due = startMs + (index / batchesPerSecond) * 1000;
      while (performance.now() < due) await sleep(1);
    }
    dueMs.push(due);
    const room = child.stdin.write(`${JSON.stringify({ batch })}\n`);
    if (!room) await new Promise((resolve) => child.stdin.once('drain', resolve));
  }
}

interface Logged {
  readonly bytes: number;
  /** When each batch was durable. */
  readonly durableMs: readonly number[];
}

/** Appends what came back, one sync for what is there, until all is durable. */
async function logAll(
  child: Child,
  lines: AsyncIterator<string>,
  log: FileHandle,
  count: number,
): Promise<Logged> {
  const durableMs: number[] = [];
  let waiting: string[] = [];
  let bytes = 0;
  const syncAll = async (): Promise<void> => {
    const group = waiting;
    waiting = [];
    const text = `${group.join('\n')}\n`;
    bytes += text.length;
    await log.appendFile(text);
    await log.datasync();
    const now = performance.now();
    for (const _ of group) durableMs.push(now);
    child.stdin.write(`${JSON.stringify({ acknowledged: durableMs.length })}\n`);
  };
  let syncing: Promise<void> | null = null;
  for (let received = 0; received < count; received++) {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('the baseline ended early');
    waiting.push(value);
    syncing ??= syncAll().finally(() => {
      syncing = null;
    });
  }
  for (;;) {
    const rest: Promise<void> | null = syncing ?? (waiting.length > 0 ? syncAll() : null);
    if (rest === null) return { bytes, durableMs };
    await rest;
  }
}

export interface BaselineResult {
  readonly eventsPerSecond: number;
  readonly logBytes: number;
  /** From the time at which a batch was due until it was durable, ms. */
  readonly latencyMs: readonly number[];
}

export interface BaselineOptions {
  readonly batches: readonly (readonly JsonEvent[])[];
  readonly batchesPerSecond: Pace;
  /** Receives the log, for whoever verifies it. */
  readonly logFile: string;
  /** Receives the public key, PEM. */
  readonly keyFile: string;
}

/** Events a second through the baseline, everything signed and on disk. */
export async function runJsonBaseline(options: BaselineOptions): Promise<BaselineResult> {
  const { batches, batchesPerSecond, logFile, keyFile } = options;
  const log = await open(logFile, 'a');
  const program = join(import.meta.dirname, 'json-enclave.ts');
  const child = spawn(process.execPath, [program, keyFile], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  try {
    // The child is up when it has answered one batch, which is logged too; the clock starts then.
    child.stdin.write(`${JSON.stringify({ batch: [] })}\n`);
    const { value } = await lines.next();
    await log.appendFile(`${String(value)}\n`);
    const start = performance.now();
    const dueMs: number[] = [];
    const [, { bytes, durableMs }] = await Promise.all([
      sendAll(child, batches, batchesPerSecond, dueMs),
      logAll(child, lines, log, batches.length),
    ]);
    const seconds = (performance.now() - start) / 1000;
    const events = batches.reduce((sum, batch) => sum + batch.length, 0);
    const latencyMs = durableMs.map((durable, index) => durable - (dueMs[index] ?? 0));
    return { eventsPerSecond: events / seconds, logBytes: bytes, latencyMs };
  } finally {
    child.kill();
    await log.close();
  }
}
