// A runner that hostile code has taken over. It seals itself as the real one does; then a bundle that begins
// with the mark runs in the runner's own context, with every module and global of Node's in hand, which is
// more than the real runner leaves: this shows what the process boundary holds on its own.

import * as childProcess from 'node:child_process';
import * as cluster from 'node:cluster';
import * as crypto from 'node:crypto';
import * as dgram from 'node:dgram';
import * as dns from 'node:dns';
import type { EventEmitter } from 'node:events';
import * as fs from 'node:fs';
import * as http2 from 'node:http2';
import * as inspector from 'node:inspector';
import * as moduleModule from 'node:module';
import * as net from 'node:net';
import * as tls from 'node:tls';
import * as traceEvents from 'node:trace_events';
import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import * as wasi from 'node:wasi';
import * as workerThreads from 'node:worker_threads';
import { seal } from '../../enclave/strategy/seal.ts';
import { encodeFrame } from '../../wire/frame.ts';
import { FRAME } from '../../wire/messages.ts';
import { encodeSignal } from '../../wire/payloads.ts';
import { encodeStrategyEnded, encodeStrategyOutputs } from '../../wire/strategy-messages.ts';
import {
  bundleText,
  confess,
  confessOnce,
  read,
  readInput,
  started,
  write,
} from './runner-frames.ts';

/** What a refusal of the process boundary looks like; any other error would mean that something was tried. */
const DENIED: ReadonlySet<unknown> = new Set([
  'ERR_ACCESS_DENIED',
  'ERR_DLOPEN_DISABLED',
  'ERR_UNKNOWN_BUILTIN_MODULE',
  'ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED',
  // enclave/strategy/seal.ts
  'sealed',
]);

interface Denial {
  readonly code?: unknown;
  readonly cause?: { readonly code?: unknown };
  readonly message?: unknown;
}

const ownProcess = process;
const { setTimeout: later, Buffer: NodeBuffer } = globalThis;
const globals = Object.getOwnPropertyDescriptors(globalThis);

/** 0 when all of it is refused by the process boundary; otherwise bit n is set when act n was not. */
async function denied(...acts: readonly (() => unknown)[]): Promise<number> {
  let harm = 0;
  // Some errors of the boundary are thrown out of events that nobody waits for.
  ownProcess.on('uncaughtException', () => undefined);
  for (const [index, act] of acts.entries()) {
    let code: unknown = null;
    try {
      await act();
    } catch (error) {
      const { code: own, cause, message } = error as Denial;
      code = own ?? cause?.code ?? message;
    }
    if (!DENIED.has(code)) harm += 2 ** index;
  }
  return harm;
}

/** Rejects with the emitter's error, resolves when it says that it succeeded. */
function settle(emitter: EventEmitter, success: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    emitter.once(success, resolve);
    emitter.once('error', reject);
    ownProcess.once('uncaughtException', reject);
  });
}

const TOOLS = {
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
  tls,
  traceEvents,
  v8,
  vm,
  wasi,
  workerThreads,
  process: ownProcess,
  later,
  Buffer: NodeBuffer,
  // Frames and the test's own.
  read,
  write,
  readInput,
  started,
  confess,
  confessOnce,
  denied,
  settle,
  frame: encodeFrame,
  FRAME,
  encodeSignal,
  outputsFrame: (leafIndex: number, outputs: readonly Uint8Array[]) =>
    encodeFrame(FRAME.outputs, encodeStrategyOutputs({ leafIndex, outputs })),
  endedFrame: (code: 'strategy_malformed') => encodeFrame(FRAME.ended, encodeStrategyEnded(code)),
};

type TakenOver = (tools: typeof TOOLS) => Promise<void>;

seal(Number(ownProcess.argv[2]));
const text = bundleText('//taken over\n');
Object.defineProperties(globalThis, globals);
const { USE_MAIN_CONTEXT_DEFAULT_LOADER: importModuleDynamically } = vm.constants;
const script = new vm.Script(text, { importModuleDynamically });
await (script.runInThisContext() as TakenOver)(TOOLS);
ownProcess.exit();
