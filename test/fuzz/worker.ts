// One parser's fuzzing, in a process of its own: a crash, a hang or memory without end hit nobody else.

import { openSync, writeSync } from 'node:fs';
import { writeU32 } from '../../wire/bytes.ts';
import { Coverage } from './coverage.ts';
import { Engine } from './engine.ts';
import type { Job, Message } from './job.ts';
import { SLOT_HEAD_BYTES } from './job.ts';
import { plantBug } from './plant.ts';
import { loadTarget } from './targets.ts';

function slotWriter(path: string): (input: Uint8Array, number: number) => void {
  const file = openSync(path, 'w');
  let scratch = new Uint8Array(64 * 1024);
  return (input, number) => {
    const bytes = SLOT_HEAD_BYTES + input.length;
    if (bytes > scratch.length) scratch = new Uint8Array(bytes * 2);
    writeU32(scratch, 0, number);
    writeU32(scratch, 4, input.length);
    scratch.set(input, SLOT_HEAD_BYTES);
    writeSync(file, scratch, 0, bytes, 0);
  };
}

const PARENT = process.ppid;

function send(message: Message): void {
  process.send?.(message);
}

async function work(job: Job): Promise<void> {
  if (job.plant !== null) plantBug(job.plant);
  const coverage = Coverage.start();
  const loaded = await loadTarget(job.target);
  const target = job.only ? { ...loaded, seeds: [] } : loaded;
  coverage.watch(target.files);
  const engine = new Engine(target, coverage, {
    ...job,
    beforeInput: slotWriter(job.slot),
    onProgress: (done, corpus) => {
      // The loop never waits for an event, so that the end of a killed parent would not be heard.
      if (process.ppid !== PARENT) process.exit(1);
      send({ type: 'progress', done, corpus });
    },
  });
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error) => {
      engine.uncaught(error);
    });
  }
  send({ type: 'progress', done: 0, corpus: 0 });
  const result = await engine.run();
  process.send?.({ type: 'result', result } satisfies Message, () => process.exit(0));
}

process.once('message', (job: Job) => {
  work(job).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
