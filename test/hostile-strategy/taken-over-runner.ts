// A runner that hostile code has taken over, for tests. It seals itself as the real one does; then a bundle
// that begins with TAKEN_OVER runs in the runner's own context, with every module of Node's in hand, which
// is more than the real runner has loaded. Any other bundle is served as usual.

import * as childProcess from 'node:child_process';
import * as cluster from 'node:cluster';
import * as crypto from 'node:crypto';
import * as dgram from 'node:dgram';
import * as dns from 'node:dns';
import * as fs from 'node:fs';
import * as http2 from 'node:http2';
import * as inspector from 'node:inspector';
import * as moduleModule from 'node:module';
import * as net from 'node:net';
import * as repl from 'node:repl';
import * as tls from 'node:tls';
import * as traceEvents from 'node:trace_events';
import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import * as wasi from 'node:wasi';
import * as workerThreads from 'node:worker_threads';
import { seal } from '../../enclave/strategy/seal.ts';
import { StrategySession } from '../../enclave/strategy/session.ts';
import { parseBatch } from '../../wire/batch.ts';
import { FrameDecoder, encodeFrame } from '../../wire/frame.ts';
import type { Frame } from '../../wire/frame.ts';
import { MAX_STRATEGY_IN_BYTES } from '../../wire/limits.ts';
import { FRAME } from '../../wire/messages.ts';
import { encodeSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import {
  encodeStrategyEnded,
  encodeStrategyOutputs,
  encodeStrategyStarted,
  parseStrategyInput,
  parseStrategyStart,
} from '../../wire/strategy-messages.ts';

const TAKEN_OVER = '//taken over\n';
/** What a refusal of the process boundary looks like; any other error would mean that something was tried. */
const DENIED: ReadonlySet<unknown> = new Set([
  'ERR_ACCESS_DENIED',
  'ERR_DLOPEN_DISABLED',
  'ERR_UNKNOWN_BUILTIN_MODULE',
  'ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED',
]);

const ownProcess = process;
const {
  setTimeout: later,
  Buffer: NodeBuffer,
  fetch: ownFetch,
  WebSocket: OwnWebSocket,
} = globalThis;

const pending: Frame[] = [];
const decoder = new FrameDecoder({
  maxPayloadBytes: new Map(
    [FRAME.start, FRAME.input, FRAME.fill].map((type) => [type, MAX_STRATEGY_IN_BYTES]),
  ),
});

/** The next frame from the enclave, or null at its end. Blocks. */
function read(): Frame | null {
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const frame = pending.shift();
    if (frame !== undefined) return frame;
    const count = fs.readSync(0, buffer);
    if (count === 0) return null;
    pending.push(...decoder.push(buffer.subarray(0, count)).frames);
  }
}

function write(bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) offset += fs.writeSync(1, bytes, offset);
}

function readInput(): { leafIndex: number; timeNs: bigint } {
  const frame = read();
  if (frame === null) return ownProcess.exit();
  const { leafIndex, bytes } = assertAccepted(parseStrategyInput(frame.payload));
  return { leafIndex, timeNs: assertAccepted(parseBatch(bytes)).timeNs };
}

let signals = 0;

/** Says that it has started, and answers every input with a signal whose quantity is 1 + `harm`. */
function confess(harm: number): void {
  for (;;) {
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
}

/** 0 when all of it is refused by the process boundary, and the number of what was not otherwise. */
async function denied(...acts: readonly (() => unknown)[]): Promise<number> {
  let harm = 0;
  for (const act of acts) {
    let code: unknown = null;
    try {
      await act();
    } catch (error) {
      const { code: own, cause } = error as { code?: unknown; cause?: { code?: unknown } };
      code = own ?? cause?.code;
    }
    if (!DENIED.has(code)) harm++;
  }
  return harm;
}

const TOOLS = {
  // Modules and globals, as they were before the runner sealed itself.
  childProcess,
  cluster,
  crypto,
  dgram,
  dns,
  fs,
  http2,
  inspector,
  moduleModule,
  net,
  repl,
  tls,
  traceEvents,
  v8,
  vm,
  wasi,
  workerThreads,
  process: ownProcess,
  later,
  Buffer: NodeBuffer,
  fetch: ownFetch,
  WebSocket: OwnWebSocket,
  // Frames.
  read,
  write,
  readInput,
  confess,
  denied,
  frame: encodeFrame,
  FRAME,
  encodeSignal,
  started: () => {
    write(encodeFrame(FRAME.started, encodeStrategyStarted([7])));
  },
  startedFrame: (...ids: readonly number[]) =>
    encodeFrame(FRAME.started, encodeStrategyStarted(ids)),
  outputsFrame: (leafIndex: number, outputs: readonly Uint8Array[]) =>
    encodeFrame(FRAME.outputs, encodeStrategyOutputs({ leafIndex, outputs })),
  endedFrame: (code: 'strategy_malformed') => encodeFrame(FRAME.ended, encodeStrategyEnded(code)),
};

type TakenOver = (tools: typeof TOOLS) => Promise<void>;

function serve(first: Frame): void {
  const session = new StrategySession();
  for (let frame: Frame | null = first; frame !== null; frame = read()) {
    const answer = session.handle(frame);
    if (answer.frame !== null) write(answer.frame);
    if (answer.ended) return;
  }
}

seal(Number(ownProcess.argv[2]));
const start = read();
if (start !== null) {
  const { bundle } = assertAccepted(parseStrategyStart(start.payload));
  const text = NodeBuffer.from(bundle).toString('utf8');
  if (text.startsWith(TAKEN_OVER)) {
    const { USE_MAIN_CONTEXT_DEFAULT_LOADER: importModuleDynamically } = vm.constants;
    const script = new vm.Script(text, { importModuleDynamically });
    await (script.runInThisContext() as TakenOver)(TOOLS);
  } else {
    serve(start);
  }
}
ownProcess.exit();
