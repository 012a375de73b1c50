// The enclave's side of a strategy process: spawns it, feeds it inputs and reports in the order of the
// log, and checks every answer. The process is hostile: what it sends is parsed strictly, what it takes
// in time and memory is bounded, and whatever goes wrong becomes one closed code. Its words never
// reach a log line, its exceptions never leave it.

import { performance } from 'node:perf_hooks';
import { concatBytes, equalBytes } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Frame } from '../../wire/frame.ts';
import { FrameDecoder, encodeFrame, encodeFrameHead } from '../../wire/frame.ts';
import { MAX_CAUSES, MAX_STRATEGY_IN_BYTES, MAX_STRATEGY_OUT_BYTES } from '../../wire/limits.ts';
import { STREAM } from '../../wire/leaf.ts';
import { FRAME } from '../../wire/enclave-messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { RunnerProgram, StrategyChild } from '../../wire/node/strategy-program.ts';
import { spawnStrategy } from '../../wire/node/strategy-program.ts';
import type { Signal } from '../../wire/enclave-payloads.ts';
import { parseSignal } from '../../wire/enclave-payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { encodeStrategyFill } from '../../wire/strategy-fill.ts';
import {
  encodeStrategyInputHead,
  encodeStrategyStart,
  parseStrategyEnded,
  parseStrategyOutputs,
  parseStrategyStarted,
} from '../../wire/strategy-frames.ts';
import { residentBytes } from './memory.ts';
import type {
  Strategy,
  StrategyHandlers,
  StrategyLimits,
  StrategyOutput,
  StrategySpecification,
} from './types.ts';

/** What a process may say about itself. Over-budget and crashes are for the supervisor to find. */
const OWN_CODES: ReadonlySet<RefusalCode> = new Set([
  'strategy_malformed',
  'strategy_parameters',
  'instrument_unknown',
  'strategy_crashed',
  'strategy_output_malformed',
  'strategy_output_limit',
]);

/** 256 MiB of heap (runnerFlags), Node itself, and buffers outside of the heap. */
const MAX_RESIDENT_BYTES: number = 768 * 1024 * 1024;

const FROM_PROCESS: ReadonlyMap<number, number> = new Map([
  [FRAME.started, MAX_STRATEGY_OUT_BYTES],
  [FRAME.outputs, MAX_STRATEGY_OUT_BYTES],
  [FRAME.ended, 128],
]);

interface PendingInput {
  readonly leafIndex: number;
  readonly batchTimeNs: bigint;
  /** Of every signal that answers this input. */
  readonly causes: readonly number[];
  readonly bytes: number;
}

class StrategyProcess implements Strategy {
  readonly stream: number;
  #subscribed: readonly number[] = [];
  readonly #known: ReadonlySet<number>;
  readonly #limits: StrategyLimits;
  readonly #handlers: StrategyHandlers;
  readonly #child: StrategyChild;
  readonly #decoder: FrameDecoder = new FrameDecoder({ maxPayloadBytes: FROM_PROCESS });
  readonly #gone: Promise<void>;
  readonly #watch: NodeJS.Timeout;
  #onStarted: ((result: Result<Strategy>) => void) | null;
  #phase: 'starting' | 'running' | 'ended' = 'starting';
  readonly #pending: PendingInput[] = [];
  #pendingBytes = 0;
  /** Bytes of FILL frames since the last INPUT; they count with the next one. */
  #fillBytes = 0;
  #fillsSince: number[] = [];
  #nextSignal = 0;
  /** When the process began with the oldest pending input, or with its start. */
  #sinceMs: number = performance.now();
  /** When it last took something out of its pipe, or the pipe was empty. */
  #tookMs = 0;
  #checking = false;
  #waiters: { readonly settled: boolean; readonly resolve: () => void }[] = [];

  constructor(
    program: RunnerProgram,
    specification: StrategySpecification,
    start: Uint8Array,
    limits: StrategyLimits,
    handlers: StrategyHandlers,
    onStarted: (result: Result<Strategy>) => void,
  ) {
    this.stream = specification.stream;
    this.#known = new Set(specification.instruments.map(({ id }) => id));
    this.#limits = limits;
    this.#handlers = handlers;
    this.#onStarted = onStarted;
    this.#child = spawnStrategy(program, specification.stream - STREAM.firstStrategy);
    const { stdin, stdout } = this.#child;
    this.#gone = new Promise((resolve) => {
      this.#child.once('close', () => {
        resolve();
      });
      this.#child.once('error', () => {
        this.#end('strategy_crashed');
        resolve();
      });
    });
    stdout.on('data', (chunk: Uint8Array) => {
      this.#receive(chunk);
    });
    // Only after all that it wrote: an ENDED in the pipe comes before the end of the pipe.
    stdout.once('close', () => {
      this.#end('strategy_crashed');
    });
    // A pipe to a process that has just died; `close` tells.
    stdin.on('error', () => undefined);
    stdout.on('error', () => undefined);
    const shortest = Math.min(limits.startMs, limits.batchMs);
    this.#watch = setInterval(
      () => {
        this.#check();
      },
      Math.min(Math.max(shortest / 4, 5), 50),
    );
    this.#watch.unref();
    stdin.write(encodeFrame(FRAME.start, start));
  }

  /** Ends the process before it has started; `onStarted` hears of it when it is gone. */
  abandon(): void {
    const onStarted = this.#onStarted;
    if (onStarted === null) return;
    this.#shutDown();
    void this.#gone.then(() => {
      onStarted(refuse('strategy_crashed'));
    });
  }

  get subscribed(): readonly number[] {
    return this.#subscribed;
  }

  input(leafIndex: number, batchTimeNs: bigint, batch: Uint8Array): boolean {
    if (this.#phase !== 'running') return true;
    const inputHead = encodeStrategyInputHead(leafIndex, batch.length);
    const frameHead = encodeFrameHead(FRAME.input, inputHead.length + batch.length);
    const head = concatBytes(frameHead, inputHead);
    const bytes = head.length + batch.length + this.#fillBytes;
    const causes = [...this.#fillsSince, leafIndex];
    this.#fillsSince = [];
    this.#fillBytes = 0;
    if (this.#pending.length === 0) this.#sinceMs = performance.now();
    this.#pending.push({ leafIndex, batchTimeNs, causes, bytes });
    this.#pendingBytes += bytes;
    this.#write(head, batch);
    return this.#hasRoom();
  }

  fill(leafIndex: number, signalId: number, report: Uint8Array): boolean {
    if (this.#phase !== 'running') return true;
    const fill = { leafIndex, report, signal: signalId };
    const frame = encodeFrame(FRAME.fill, encodeStrategyFill(fill));
    this.#fillBytes += frame.length;
    this.#fillsSince.push(leafIndex);
    if (this.#fillsSince.length === MAX_CAUSES) this.#fillsSince.shift();
    this.#write(frame);
    return this.#hasRoom();
  }

  drained(): Promise<void> {
    return this.#wait(false);
  }

  settled(): Promise<void> {
    return this.#wait(true);
  }

  async stop(): Promise<void> {
    this.#shutDown();
    await this.#gone;
  }

  /** Frames of one turn of the event loop leave in one system call; nothing of them is copied. */
  #write(frame: Uint8Array, rest: Uint8Array | null = null): void {
    const { stdin } = this.#child;
    if (stdin.writableLength === 0) this.#tookMs = performance.now();
    if (stdin.writableCorked === 0) {
      stdin.cork();
      process.nextTick(() => {
        stdin.uncork();
      });
    }
    if (rest !== null) stdin.write(frame);
    stdin.write(rest ?? frame, () => {
      this.#tookMs = performance.now();
      this.#wake();
    });
  }

  #hasRoom(): boolean {
    const { windowInputs, windowBytes } = this.#limits;
    // Reports have no answer: before the next input only what the process has not read is in the way.
    if (this.#pending.length === 0) return this.#child.stdin.writableLength < windowBytes;
    return (
      this.#pending.length < windowInputs && this.#pendingBytes + this.#fillBytes < windowBytes
    );
  }

  #wait(settled: boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ settled, resolve });
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const ended = this.#phase === 'ended';
    const isReady = (settled: boolean): boolean =>
      ended || (settled ? this.#pending.length === 0 : this.#hasRoom());
    const ready = this.#waiters.filter(({ settled }) => isReady(settled));
    this.#waiters = this.#waiters.filter(({ settled }) => !isReady(settled));
    for (const { resolve } of ready) resolve();
  }

  #receive(chunk: Uint8Array): void {
    const { frames, refusal } = this.#decoder.push(chunk);
    for (const frame of frames) {
      if (this.#phase === 'ended') return;
      const code = this.#handle(frame);
      if (code !== null) {
        this.#end(code);
        return;
      }
    }
    if (refusal !== null) this.#end('strategy_output_malformed');
    else this.#wake();
  }

  /** Null, or the code that ends the process. */
  #handle(frame: Frame): RefusalCode | null {
    if (frame.type === FRAME.ended) {
      const parsed = parseStrategyEnded(frame.payload);
      if (!parsed.ok) return 'strategy_output_malformed';
      return OWN_CODES.has(parsed.value) ? parsed.value : 'strategy_crashed';
    }
    if (frame.type === FRAME.started) return this.#handleStarted(frame.payload);
    return this.#handleOutputs(frame.payload);
  }

  #handleStarted(payload: Uint8Array): RefusalCode | null {
    const parsed = parseStrategyStarted(payload);
    if (!parsed.ok || this.#phase !== 'starting') return 'strategy_output_malformed';
    const ascending = parsed.value.every((id, at) => at === 0 || id > (parsed.value[at - 1] ?? 0));
    if (!ascending || parsed.value.length === 0) return 'strategy_output_malformed';
    if (!parsed.value.every((id) => this.#known.has(id))) return 'instrument_unknown';
    this.#subscribed = parsed.value;
    this.#phase = 'running';
    this.#onStarted?.(accept(this));
    this.#onStarted = null;
    return null;
  }

  #handleOutputs(payload: Uint8Array): RefusalCode | null {
    const parsed = parseStrategyOutputs(payload);
    const input = this.#pending[0];
    if (!parsed.ok || input === undefined || parsed.value.leafIndex !== input.leafIndex) {
      return 'strategy_output_malformed';
    }
    const outputs: StrategyOutput[] = [];
    for (const bytes of parsed.value.outputs) {
      const signal = parseSignal(bytes);
      if (!signal.ok || !this.#isExpected(signal.value, input)) return 'strategy_output_malformed';
      this.#nextSignal++;
      outputs.push({ bytes, signal: signal.value });
    }
    this.#pending.shift();
    this.#pendingBytes -= input.bytes;
    this.#sinceMs = performance.now();
    this.#handlers.onAnswer({ leafIndex: input.leafIndex, outputs });
    return null;
  }

  /** What the process could lie about: another strategy's instruments, other causes, ids with holes. */
  #isExpected(signal: Signal, input: PendingInput): boolean {
    return (
      signal.id === this.#nextSignal &&
      this.#subscribed.includes(signal.instrument) &&
      signal.decisionNs === input.batchTimeNs &&
      signal.causes.length === input.causes.length &&
      signal.causes.every((cause, at) => cause === input.causes[at])
    );
  }

  /** Called by the clock. An answer that is already in the pipe counts as in time. */
  #check(): void {
    const { pid } = this.#child;
    if (pid !== undefined && residentBytes(pid) > MAX_RESIDENT_BYTES) {
      this.#end('strategy_over_budget');
      return;
    }
    if (!this.#isLate() || this.#checking) return;
    this.#checking = true;
    const late = this.#pending[0];
    // The first turn reads the pipe, if the event loop itself was late.
    setImmediate(() => {
      setImmediate(() => {
        this.#checking = false;
        if (this.#pending[0] === late && this.#isLate()) this.#end('strategy_over_budget');
      });
    });
  }

  #isLate(): boolean {
    const nowMs = performance.now();
    const { startMs, batchMs } = this.#limits;
    if (this.#phase === 'starting') return nowMs - this.#sinceMs > startMs;
    if (this.#pending.length > 0) return nowMs - this.#sinceMs > batchMs;
    // Reports have no answer and no budget, but those never read would hold up the feed, and so every strategy.
    return this.#child.stdin.writableLength > 0 && nowMs - this.#tookMs > startMs;
  }

  #end(code: RefusalCode): void {
    if (this.#phase === 'ended') return;
    const onStarted = this.#onStarted;
    this.#shutDown();
    if (onStarted === null) this.#handlers.onEnded(code);
    else onStarted(refuse(code));
  }

  #shutDown(): void {
    this.#phase = 'ended';
    this.#onStarted = null;
    clearInterval(this.#watch);
    this.#child.kill('SIGKILL');
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    this.#wake();
  }
}

/**
 * Checks the bundle against its commitment, spawns the process and waits until it has started. Refuses
 * `commitment_mismatch` and what the process ended with: `strategy_malformed`, `strategy_parameters`,
 * `instrument_unknown`, `strategy_crashed`, `strategy_over_budget`, `strategy_output_malformed`. When
 * `stopped` aborts before that, the process is ended, and the answer comes when it is gone.
 */
export function startStrategy(
  program: RunnerProgram,
  specification: StrategySpecification,
  limits: StrategyLimits,
  handlers: StrategyHandlers,
  stopped: AbortSignal,
): Promise<Result<Strategy>> {
  const { salt, bundle, commitment } = specification;
  if (salt.length !== 32 || !equalBytes(nodeCrypto.sha256(salt, bundle), commitment)) {
    return Promise.resolve(refuse('commitment_mismatch', { strategy: specification.name }));
  }
  const start = encodeStrategyStart(specification);
  if (start.length > MAX_STRATEGY_IN_BYTES) {
    return Promise.resolve(refuse('strategy_malformed', { bytes: start.length }));
  }
  if (stopped.aborted) return Promise.resolve(refuse('strategy_crashed'));
  return new Promise((resolve) => {
    const abandon = (): void => {
      child.abandon();
    };
    const child = new StrategyProcess(program, specification, start, limits, handlers, (result) => {
      stopped.removeEventListener('abort', abandon);
      resolve(result);
    });
    stopped.addEventListener('abort', abandon);
  });
}
