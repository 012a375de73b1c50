// The strategies of the epoch: each gets every input in the order of the log, and what it answers
// becomes output leaves, which wait for their release. A strategy that ends leaves an event in the log
// and the others go on. What a strategy sends was checked by its supervisor (strategy/process.ts).

import type { RefusalCode } from '../wire/codes.ts';
import type { Instrument } from '../wire/configuration.ts';
import type { DeskOutput } from '../wire/desk-frames.ts';
import { KIND, LABEL } from '../wire/leaf.ts';
import {
  clientOrderIdOf,
  encodeSeed,
  encodeStrategyEvent,
  STRATEGY_EVENT,
} from '../wire/enclave-payloads.ts';
import type { StrategyEvent } from '../wire/enclave-payloads.ts';
import type { Result } from '../wire/result.ts';
import type { Guard } from './fatal.ts';
import { Fatal, orFatal } from './fatal.ts';
import { Fifo } from './fifo.ts';
import type { StrategyMaterial } from './items.ts';
import type { SecretSource } from './keys.ts';
import type { LogWriter } from './log/writer.ts';
import type { OpenOrder, Orders } from './orders.ts';
import type { BatchInWork, Releases } from './release.ts';
import type {
  RunnerProgram,
  StartStrategy,
  Strategy,
  StrategyAnswer,
  StrategyOutput,
} from './strategy/types.ts';

const START_MS = 20_000;
/** Also bounds what strategies still log while the log is full (log/writer.ts). */
const WINDOW_INPUTS = 32;
const WINDOW_BYTES: number = 4 * 1024 * 1024;

export interface StrategyServices {
  readonly log: LogWriter;
  readonly releases: Releases;
  readonly orders: Orders;
  readonly guard: Guard;
  readonly program: RunnerProgram;
  readonly start: StartStrategy;
  readonly onEnded: (code: RefusalCode) => void;
  readonly onReleased: (output: DeskOutput) => void;
}

interface Running {
  readonly stream: number;
  /** Null until it has started and after its end. */
  strategy: Strategy | null;
  full: boolean;
  ended: RefusalCode | null;
  /** Batches whose answer is missing, in log order. */
  readonly unanswered: Fifo<BatchInWork>;
}

export class Strategies {
  readonly #services: StrategyServices;
  readonly #running: Running[] = [];
  readonly #stop = new AbortController();
  /** The one that has not started yet: they start one after the other. */
  #starting: Promise<Result<Strategy>> | null = null;
  #roomWaiters: (() => void)[] = [];
  #outputs = 0;

  constructor(services: StrategyServices) {
    this.#services = services;
  }

  get counters(): Readonly<Record<string, number>> {
    const strategies_running = this.#running.filter(({ strategy }) => strategy !== null).length;
    return { strategies_running, outputs: this.#outputs };
  }

  /** False while a strategy has too much before it: take nothing more from the host. */
  get hasRoom(): boolean {
    return !this.#running.some(({ full }) => full);
  }

  ready(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Logs the seed, starts the process, logs that it has started. Throws a Fatal when it refuses. */
  async start(
    material: StrategyMaterial,
    secrets: SecretSource,
    instruments: readonly Instrument[],
  ): Promise<void> {
    const { log, guard, program, start } = this.#services;
    const { stream, name, bundle, salt, bundleCommitment, parameters, timeBudgetMs } = material;
    const running: Running = {
      stream,
      strategy: null,
      full: false,
      ended: null,
      unanswered: new Fifo(),
    };
    const seed = secrets.draw();
    const plaintext = encodeSeed(seed);
    log.appendPrivate({ kind: KIND.seed, stream, label: LABEL.strategy, causes: [], plaintext });
    this.#starting = start(
      program,
      { name, stream, bundle, salt, commitment: bundleCommitment, parameters, seed, instruments },
      {
        startMs: START_MS,
        batchMs: timeBudgetMs,
        windowInputs: WINDOW_INPUTS,
        windowBytes: WINDOW_BYTES,
      },
      {
        onAnswer: (answer) => {
          guard.run(() => {
            this.#answer(running, answer);
          });
        },
        onEnded: (code) => {
          guard.run(() => {
            this.#end(running, code);
          });
        },
      },
      this.#stop.signal,
    );
    const started = await this.#starting;
    for (const secret of [seed, plaintext, bundle, parameters]) secret.fill(0);
    if (this.#isStopped) {
      if (started.ok) await started.value.stop();
      return;
    }
    running.strategy = orFatal(started);
    this.#running.push(running);
    this.#logEvent(stream, { event: STRATEGY_EVENT.started, code: null });
    if (running.ended !== null) this.#end(running, running.ended);
  }

  /** Hands a batch to all that still run; `batch` then knows how many answers are missing. */
  input(batch: BatchInWork, timeNs: bigint, bytes: Uint8Array): void {
    for (const running of this.#running) {
      if (running.strategy === null) continue;
      running.unanswered.push(batch);
      batch.strategiesWaiting++;
      if (!running.strategy.input(batch.leafIndex, timeNs, bytes)) this.#wait(running);
    }
  }

  fill(order: OpenOrder, leafIndex: number, report: Uint8Array): void {
    const running = this.#running.find(({ stream }) => stream === order.stream);
    if (running === undefined || running.strategy === null) return;
    if (!running.strategy.fill(leafIndex, order.signal, report)) this.#wait(running);
  }

  /** Resolves when every input so far is answered. */
  async settled(): Promise<void> {
    await this.#each((strategy) => strategy.settled());
  }

  /** No answer counts any more; resolves when the processes are gone. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#each((strategy) => strategy.stop()), this.#starting]);
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #each(action: (strategy: Strategy) => Promise<void>): Promise<void> {
    await Promise.all(
      this.#running.flatMap(({ strategy }) => (strategy === null ? [] : [action(strategy)])),
    );
  }

  #wait(running: Running): void {
    if (running.full || running.strategy === null) return;
    running.full = true;
    void running.strategy.drained().then(() => {
      running.full = false;
      if (!this.hasRoom) return;
      for (const resolve of this.#roomWaiters.splice(0)) resolve();
    });
  }

  #answer(running: Running, answer: StrategyAnswer): void {
    if (this.#isStopped) return;
    const batch = running.unanswered.shift();
    if (batch === undefined || batch.leafIndex !== answer.leafIndex) throw new Fatal('internal');
    for (const output of answer.outputs) {
      batch.neededSize = this.#logOutput(running.stream, output) + 1;
    }
    batch.strategiesWaiting--;
    if (answer.outputs.length > 0) this.#services.log.flushShared();
    this.#services.releases.advance();
  }

  #logOutput(stream: number, { bytes: plaintext, signal }: StrategyOutput): number {
    const { log, orders, releases, onReleased } = this.#services;
    const { causes } = signal;
    const kind = KIND.output;
    const leaf = log.appendPrivate({ kind, stream, label: LABEL.strategy, causes, plaintext });
    const { index, salt } = leaf;
    this.#outputs++;
    releases.addOutput({
      index,
      salt,
      plaintext,
      onReleased: () => {
        const clientOrderId = clientOrderIdOf(leaf.hash);
        orders.open({ output: index, clientOrderId, stream, signal: signal.id });
        onReleased({ leafIndex: index, clientOrderId, instrument: signal.instrument });
      },
    });
    return index;
  }

  #end(running: Running, code: RefusalCode): void {
    running.ended = code;
    if (this.#isStopped || running.strategy === null) return;
    running.strategy = null;
    this.#logEvent(running.stream, { event: STRATEGY_EVENT.ended, code });
    for (;;) {
      const batch = running.unanswered.shift();
      if (batch === undefined) break;
      batch.strategiesWaiting--;
    }
    this.#services.releases.advance();
    this.#services.onEnded(code);
  }

  #logEvent(stream: number, event: StrategyEvent): void {
    const plaintext = encodeStrategyEvent(event);
    const kind = KIND.strategyEvent;
    this.#services.log.append({ kind, stream, label: LABEL.strategy, causes: [], plaintext });
  }
}
