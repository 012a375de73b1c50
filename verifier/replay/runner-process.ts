// The same strategy process as in the enclave, fed from a log. Here it runs for its owner: nothing is
// hidden from it, but it is not believed either, and it gets the same permissions, which are none.

import { encodeFrame, FrameDecoder } from '../../wire/frame.ts';
import type { Frame } from '../../wire/frame.ts';
import { MAX_STRATEGY_OUT_BYTES } from '../../wire/limits.ts';
import { FRAME } from '../../wire/messages.ts';
import type { RunnerProgram, StrategyChild } from '../../wire/node/strategy-program.ts';
import { spawnStrategy } from '../../wire/node/strategy-program.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { encodeStrategyFill } from '../../wire/strategy-fill.ts';
import type { StrategyStart } from '../../wire/strategy-messages.ts';
import {
  encodeStrategyInput,
  encodeStrategyStart,
  parseStrategyEnded,
  parseStrategyOutputs,
} from '../../wire/strategy-messages.ts';

const WINDOW_INPUTS = 256;
const START_MS = 60_000;

const FROM_PROCESS: ReadonlyMap<number, number> = new Map([
  [FRAME.started, MAX_STRATEGY_OUT_BYTES],
  [FRAME.outputs, MAX_STRATEGY_OUT_BYTES],
  [FRAME.ended, 128],
]);

export class RunnerProcess {
  readonly #child: StrategyChild;
  readonly #decoder = new FrameDecoder({ maxPayloadBytes: FROM_PROCESS });
  readonly #onOutput: (input: number, output: Uint8Array) => void;
  readonly #stallMs: number;
  #unanswered = 0;
  /** The program has said anything at all. */
  #spoke = false;
  #ended: RefusalCode | null = null;
  #stall: NodeJS.Timeout | undefined;
  #waiting: (() => void) | null = null;
  readonly #gone: Promise<void>;

  /** `stallMs`: how long one batch may take before the strategy counts as over its budget. */
  constructor(
    program: RunnerProgram,
    start: StrategyStart,
    stallMs: number,
    onOutput: (input: number, output: Uint8Array) => void,
  ) {
    this.#onOutput = onOutput;
    this.#stallMs = stallMs;
    this.#child = spawnStrategy(program);
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
    stdout.once('close', () => {
      this.#end('strategy_crashed');
    });
    stdin.on('error', () => undefined);
    stdout.on('error', () => undefined);
    stdin.write(encodeFrame(FRAME.start, encodeStrategyStart(start)));
    this.#watch();
  }

  /** False: the program did not even start, which says nothing about the strategy. */
  get spoke(): boolean {
    return this.#spoke;
  }

  /** What it ended with; null while it runs. */
  get ended(): RefusalCode | null {
    return this.#ended;
  }

  /** Resolves when the process can take more. */
  async input(leafIndex: number, batch: Uint8Array): Promise<void> {
    if (this.#ended !== null) return;
    if (this.#unanswered === 0) this.#watch();
    this.#unanswered++;
    const payload = encodeStrategyInput({ leafIndex, bytes: batch });
    this.#child.stdin.write(encodeFrame(FRAME.input, payload));
    await this.#until(() => this.#unanswered < WINDOW_INPUTS);
  }

  fill(leafIndex: number, signal: number, report: Uint8Array): void {
    if (this.#ended !== null) return;
    const payload = encodeStrategyFill({ leafIndex, signal, report });
    this.#child.stdin.write(encodeFrame(FRAME.fill, payload));
  }

  /** Waits for all answers, then ends the process. Answers what it had ended with before, or null. */
  async finish(): Promise<RefusalCode | null> {
    await this.#until(() => this.#spoke && this.#unanswered === 0);
    const ended = this.#ended;
    this.#end('stream_closed');
    await this.#gone;
    return ended;
  }

  async #until(ready: () => boolean): Promise<void> {
    while (this.#ended === null && !ready()) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  #watch(): void {
    clearTimeout(this.#stall);
    // A busy machine may take long to start a process: that says nothing about a batch.
    const patienceMs = this.#spoke ? this.#stallMs : Math.max(this.#stallMs, START_MS);
    this.#stall = setTimeout(() => {
      this.#end('strategy_over_budget');
    }, patienceMs);
  }

  #receive(chunk: Uint8Array): void {
    const { frames, refusal } = this.#decoder.push(chunk);
    for (const frame of frames) if (this.#ended === null) this.#handle(frame);
    if (refusal !== null) this.#end('strategy_output_malformed');
    this.#waiting?.();
  }

  #handle(frame: Frame): void {
    this.#spoke = true;
    clearTimeout(this.#stall);
    if (frame.type === FRAME.started) {
      if (this.#unanswered > 0) this.#watch();
      return;
    }
    if (frame.type === FRAME.ended) {
      const code = parseStrategyEnded(frame.payload);
      this.#end(code.ok ? code.value : 'strategy_output_malformed');
      return;
    }
    const answer = parseStrategyOutputs(frame.payload);
    if (!answer.ok) {
      this.#end('strategy_output_malformed');
      return;
    }
    for (const output of answer.value.outputs) this.#onOutput(answer.value.leafIndex, output);
    this.#unanswered--;
    if (this.#unanswered > 0) this.#watch();
  }

  #end(code: RefusalCode): void {
    if (this.#ended !== null) return;
    this.#ended = code;
    clearTimeout(this.#stall);
    this.#child.kill('SIGKILL');
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    this.#waiting?.();
  }
}
