// The frames of a runner, for the runners of these tests: blocking, and without the checks of the real one.

import { readSync, writeSync } from 'node:fs';
import { StrategySession } from '../../enclave/strategy/session.ts';
import { parseBatch } from '../../wire/batch.ts';
import { parseUtf8 } from '../../wire/bytes.ts';
import { FrameDecoder, encodeFrame } from '../../wire/frame.ts';
import type { Frame } from '../../wire/frame.ts';
import { MAX_STRATEGY_IN_BYTES } from '../../wire/limits.ts';
import { FRAME } from '../../wire/messages.ts';
import { encodeSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import {
  encodeStrategyOutputs,
  encodeStrategyStarted,
  parseStrategyInput,
  parseStrategyStart,
} from '../../wire/strategy-messages.ts';

const ownProcess = process;

const pending: Frame[] = [];
const decoder = new FrameDecoder({
  maxPayloadBytes: new Map(
    [FRAME.start, FRAME.input, FRAME.fill].map((type) => [type, MAX_STRATEGY_IN_BYTES]),
  ),
});

/** The next frame from the enclave; ends the process with its input. Blocks. */
export function read(): Frame {
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const frame = pending.shift();
    if (frame !== undefined) return frame;
    const count = readSync(0, buffer);
    if (count === 0) ownProcess.exit();
    pending.push(...decoder.push(buffer.subarray(0, count)).frames);
  }
}

export function write(bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) offset += writeSync(1, bytes, offset);
}

export function readInput(): { leafIndex: number; timeNs: bigint } {
  const { leafIndex, bytes } = assertAccepted(parseStrategyInput(read().payload));
  return { leafIndex, timeNs: assertAccepted(parseBatch(bytes)).timeNs };
}

export function started(): void {
  write(encodeFrame(FRAME.started, encodeStrategyStarted([7])));
}

let signals = 0;

/** Answers one input with a signal whose quantity is 1 + `harm`. */
export function confessOnce(harm: number): void {
  const { leafIndex, timeNs } = readInput();
  const signal = encodeSignal({
    id: signals++,
    instrument: 7,
    side: 1,
    quantity: 1 + harm,
    limit: 1,
    ttlMs: 1,
    decisionNs: timeNs,
    causes: [leafIndex],
  });
  write(encodeFrame(FRAME.outputs, encodeStrategyOutputs({ leafIndex, outputs: [signal] })));
}

/** Answers all inputs so. */
export function confess(harm: number): never {
  for (;;) confessOnce(harm);
}

/** The text of the bundle when it begins with `mark`; any other bundle is served as by the real runner. */
export function bundleText(mark: string): string {
  const start = read();
  const text = parseUtf8(assertAccepted(parseStrategyStart(start.payload)).bundle) ?? '';
  if (text.startsWith(mark)) return text;
  const session = new StrategySession();
  for (let frame = start; ; frame = read()) {
    const answer = session.handle(frame);
    if (answer.frame !== null) write(answer.frame);
    if (answer.ended) ownProcess.exit();
  }
}
