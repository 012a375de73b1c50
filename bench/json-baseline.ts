// The JSON baseline of the whole path (ARCHITECTURE.md): the same rows in batches of the same size, as
// lines of JSON through a child process that parses, hashes and signs them; the host appends each signed
// line to a file, syncs what came together, and acknowledges.

import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

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

async function sendAll(child: Child, batches: readonly (readonly JsonEvent[])[]): Promise<void> {
  for (const batch of batches) {
    const room = child.stdin.write(`${JSON.stringify({ batch })}\n`);
    if (!room) await new Promise((resolve) => child.stdin.once('drain', resolve));
  }
}

/** Appends what came back, one sync for what is there, until all is durable; answers its bytes. */
async function logAll(
  child: Child,
  lines: AsyncIterator<string>,
  log: FileHandle,
  count: number,
): Promise<number> {
  let durable = 0;
  let waiting: string[] = [];
  let bytes = 0;
  const syncAll = async (): Promise<void> => {
    const group = waiting;
    waiting = [];
    const text = `${group.join('\n')}\n`;
    bytes += text.length;
    await log.appendFile(text);
    await log.datasync();
    durable += group.length;
    child.stdin.write(`${JSON.stringify({ acknowledged: durable })}\n`);
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
    if (rest === null) return bytes;
    await rest;
  }
}

export interface BaselineResult {
  readonly eventsPerSecond: number;
  readonly logBytes: number;
}

/** Events a second through the baseline, everything signed and on disk. */
export async function runJsonBaseline(
  batches: readonly (readonly JsonEvent[])[],
): Promise<BaselineResult> {
  const directory = await mkdtemp(join(tmpdir(), 'trackseal-bench-'));
  const log = await open(join(directory, 'log.jsonl'), 'a');
  const child = spawn(process.execPath, [join(import.meta.dirname, 'json-enclave.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  try {
    // The child is up when it has answered one batch; the clock starts then.
    child.stdin.write(`${JSON.stringify({ batch: [] })}\n`);
    await lines.next();
    const start = performance.now();
    const [, logBytes] = await Promise.all([
      sendAll(child, batches),
      logAll(child, lines, log, batches.length),
    ]);
    const seconds = (performance.now() - start) / 1000;
    const events = batches.reduce((sum, batch) => sum + batch.length, 0);
    return { eventsPerSecond: events / seconds, logBytes };
  } finally {
    child.kill();
    await log.close();
    await rm(directory, { recursive: true });
  }
}
