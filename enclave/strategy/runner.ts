// The program of a strategy process. It reads frames from descriptor 0 and writes frames to descriptor 1,
// with blocking calls and without an event loop: no promise job, timer or callback of the strategy can
// ever run between two frames, nor after the last one. It refuses to run with any of Node's permissions left.
// Containment is the process's (permissions, user, system calls); this code only makes it deterministic.

import { readSync, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { concatBytes } from '../../wire/bytes.ts';
import { FrameDecoder } from '../../wire/frame.ts';
import { MAX_STRATEGY_IN_BYTES } from '../../wire/limits.ts';
import { FRAME } from '../../wire/enclave-messages.ts';
import { seal } from './seal.ts';
import type { Answer } from './session.ts';
import { StrategySession } from './session.ts';

// Not imported: that would open standard input as a stream, and it would no longer block.
const nodeProcess: NodeJS.Process = process;

const READ_BYTES: number = 256 * 1024;
/** Far below any time budget: the next batch's time counts against an answer that waits. */
const GATHER_MS = 1;

/** Gathers answers without signals, because a system call for each would cost more than the batch. */
class Outbox {
  #frames: Uint8Array[] = [];
  #flushedMs = 0;

  add({ frame, urgent }: Answer): void {
    if (frame === null) return;
    this.#frames.push(frame);
    if (urgent || performance.now() - this.#flushedMs >= GATHER_MS) this.flush();
  }

  flush(): void {
    if (this.#frames.length === 0) return;
    const bytes = concatBytes(...this.#frames);
    this.#frames = [];
    this.#flushedMs = performance.now();
    let offset = 0;
    while (offset < bytes.length) offset += writeSync(1, bytes, offset);
  }
}

/** Until the strategy or its input ends. */
function serve(): void {
  const decoder = new FrameDecoder({
    maxPayloadBytes: new Map([
      [FRAME.start, MAX_STRATEGY_IN_BYTES],
      [FRAME.input, MAX_STRATEGY_IN_BYTES],
      [FRAME.fill, MAX_STRATEGY_IN_BYTES],
    ]),
  });
  const session = new StrategySession();
  const outbox = new Outbox();
  // One buffer for all reads: what frames of it is needed longer, their readers have copied.
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const count = readSync(0, buffer);
    if (count === 0) return;
    const { frames, refusal } = decoder.push(buffer.subarray(0, count));
    for (const frame of frames) {
      const answer = session.handle(frame);
      outbox.add(answer);
      if (answer.ended) return;
    }
    outbox.flush();
    if (refusal !== null) throw new Error(`the enclave's frames are refused: ${refusal.code}`);
  }
}

seal(Number(nodeProcess.argv[2]));
// An event loop, or the report of an exception, would run promise jobs and hooks of the strategy.
let exitCode = 1;
try {
  serve();
  exitCode = 0;
} finally {
  nodeProcess.exit(exitCode);
}
