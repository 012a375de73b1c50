// The program of a strategy process. It reads frames from descriptor 0 and writes frames to descriptor 1,
// with blocking calls and without an event loop: no promise job, timer or callback of the strategy can
// ever run between two frames. It refuses to run with any of Node's permissions left.
// Containment is the process's (permissions, user, system calls); this code only makes it deterministic.

import { readSync, writeSync } from 'node:fs';
import { concatBytes } from '../../wire/bytes.ts';
import { FrameDecoder } from '../../wire/frame.ts';
import { MAX_STRATEGY_IN_BYTES } from '../../wire/limits.ts';
import { FRAME } from '../../wire/messages.ts';
import type { Answer } from './session.ts';
import { StrategySession } from './session.ts';

const READ_BYTES: number = 256 * 1024;
/** Far below any time budget: the next batch's time counts against an answer that waits. */
const GATHER_MS = 1;
const SCOPES = ['fs', 'net', 'child', 'worker', 'addon', 'wasi', 'inspector', 'ffi'] as const;

/** Modules are loaded by now: whatever was granted for that is given up, for good. */
function givePermissionsUp(): void {
  // Typed as always there, but absent without --permission.
  const permission = process.permission as typeof process.permission | undefined;
  if (permission === undefined) throw new Error('the runner needs --permission');
  for (const scope of SCOPES) permission.drop(scope);
  // Signals need no permission of Node's, and the enclave may have the same user.
  for (const name of ['kill', '_kill']) Reflect.deleteProperty(process, name);
}

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

function main(): void {
  givePermissionsUp();
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

main();
