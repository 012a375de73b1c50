// The JSON baseline of the whole path (ARCHITECTURE.md): the same rows in batches of the same size, as
// lines of JSON through a child process that parses, hashes and signs them; the host appends each signed
// line to a file, syncs what came together, and acknowledges.

import { spawn } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

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

/** Events a second through the baseline, everything signed and on disk. */
export async function runJsonBaseline(
  batches: readonly (readonly JsonEvent[])[],
): Promise<{ readonly eventsPerSecond: number; readonly logBytes: number }> {
  const directory = await mkdtemp(join(tmpdir(), 'trackseal-bench-'));
  const log = await open(join(directory, 'log.jsonl'), 'a');
  const child = spawn(process.execPath, [join(import.meta.dirname, 'json-enclave.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  // The child is up when it has answered one batch; the clock starts then.
  const exchange = async (): Promise<number> => {
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
    const send = async (): Promise<void> => {
      for (const batch of batches) {
        const room = child.stdin.write(`${JSON.stringify({ batch })}\n`);
        if (!room) await new Promise((resolve) => child.stdin.once('drain', resolve));
      }
    };
    const receive = async (): Promise<void> => {
      let syncing: Promise<void> | null = null;
      for (let count = 0; count < batches.length; count++) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error('the baseline ended early');
        waiting.push(value);
        syncing ??= syncAll().finally(() => {
          syncing = null;
        });
      }
      while (durable < batches.length) await (syncing ?? syncAll());
    };
    await Promise.all([send(), receive()]);
    return bytes;
  };
  try {
    child.stdin.write(`${JSON.stringify({ batch: [] })}\n`);
    await lines.next();
    const start = performance.now();
    const logBytes = await exchange();
    const seconds = (performance.now() - start) / 1000;
    const events = batches.reduce((sum, batch) => sum + batch.length, 0);
    return { eventsPerSecond: events / seconds, logBytes };
  } finally {
    child.kill();
    await log.close();
    await rm(directory, { recursive: true });
  }
}
