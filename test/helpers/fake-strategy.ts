// Stands in for a strategy process: the same interface (enclave/strategy/types.ts), no process. A test
// says what it answers to each input, and when.

import type {
  StartStrategy,
  Strategy,
  StrategyHandlers,
  StrategyOutput,
  StrategySpecification,
} from '../../enclave/strategy/types.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { encodeSignal, SIDE } from '../../wire/payloads.ts';
import type { Signal } from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';

export interface FakeInput {
  readonly leafIndex: number;
  readonly timeNs: bigint;
  readonly batch: Uint8Array;
}

export interface FakeFill {
  readonly leafIndex: number;
  readonly signal: number;
  readonly report: Uint8Array;
}

export interface FakeOptions {
  /** Prices of the signals that answer an input; none when left out. */
  readonly limits?: (input: FakeInput, count: number) => readonly number[];
  /** Answers only when the test calls `answer`. */
  readonly manual?: boolean;
  /** `input` answers false from this many unanswered inputs. */
  readonly window?: number;
  readonly refuse?: Result<never>;
  /** Added to the leaf index of every answer. */
  readonly answerOffset?: number;
}

export class FakeStrategy implements Strategy {
  readonly stream: number;
  readonly subscribed: readonly number[] = [1];
  readonly inputs: FakeInput[] = [];
  readonly fills: FakeFill[] = [];
  readonly seed: Uint8Array;
  /** Views that the core is to wipe. */
  readonly given: StrategySpecification;
  stopped = false;
  ended = false;
  readonly #options: FakeOptions;
  readonly #handlers: StrategyHandlers;
  #answered = 0;
  #signals = 0;
  #waiters: { readonly left: number; readonly resolve: () => void }[] = [];

  constructor(given: StrategySpecification, handlers: StrategyHandlers, options: FakeOptions) {
    this.stream = given.stream;
    this.given = given;
    this.seed = given.seed.slice();
    this.#handlers = handlers;
    this.#options = options;
  }

  get unanswered(): number {
    return this.ended ? 0 : this.inputs.length - this.#answered;
  }

  input(leafIndex: number, timeNs: bigint, batch: Uint8Array): boolean {
    this.inputs.push({ leafIndex, timeNs, batch });
    if (this.#options.manual !== true) setImmediate(() => this.answer());
    return this.unanswered < (this.#options.window ?? Number.POSITIVE_INFINITY);
  }

  fill(leafIndex: number, signal: number, report: Uint8Array): boolean {
    this.fills.push({ leafIndex, signal, report });
    return true;
  }

  drained(): Promise<void> {
    return this.#waitFor((this.#options.window ?? Number.POSITIVE_INFINITY) - 1);
  }

  settled(): Promise<void> {
    return this.#waitFor(0);
  }

  stop(): Promise<void> {
    this.stopped = true;
    this.#wake();
    return Promise.resolve();
  }

  /** Answers the oldest input. */
  answer(): void {
    const input = this.inputs[this.#answered];
    if (input === undefined || this.stopped || this.ended) return;
    this.#answered++;
    const limits = this.#options.limits?.(input, this.#answered - 1) ?? [];
    const outputs = limits.map((limit): StrategyOutput => {
      const signal: Signal = {
        id: this.#signals++,
        instrument: 1,
        side: SIDE.buy,
        quantity: 1000,
        limit,
        ttlMs: 1000,
        decisionNs: input.timeNs,
        causes: [input.leafIndex],
      };
      return { bytes: encodeSignal(signal), signal };
    });
    const leafIndex = input.leafIndex + (this.#options.answerOffset ?? 0);
    this.#handlers.onAnswer({ leafIndex, outputs });
    this.#wake();
  }

  end(code: RefusalCode): void {
    this.ended = true;
    this.#handlers.onEnded(code);
    this.#wake();
  }

  #waitFor(left: number): Promise<void> {
    if (this.unanswered <= left || this.stopped) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ left, resolve }));
  }

  #wake(): void {
    const over = this.stopped || this.ended;
    const due = this.#waiters.filter(({ left }) => over || this.unanswered <= left);
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
    for (const { resolve } of due) resolve();
  }
}

export interface FakeStrategies {
  readonly start: StartStrategy;
  readonly started: FakeStrategy[];
}

/** The nth strategy that is started gets the nth options. */
export function fakeStrategies(...options: readonly FakeOptions[]): FakeStrategies {
  const started: FakeStrategy[] = [];
  return {
    started,
    start: (_program, specification, _limits, handlers) => {
      const own = options[started.length] ?? {};
      if (own.refuse !== undefined) return Promise.resolve(own.refuse);
      const strategy = new FakeStrategy(specification, handlers, own);
      started.push(strategy);
      return Promise.resolve(accept(strategy));
    },
  };
}
