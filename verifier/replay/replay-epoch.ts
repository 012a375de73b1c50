// Runs strategies of an epoch again over what the log says that they got: start, seed, batches and
// reports in the order of their leaves, in one pass over the log. Needs compliance's key, because seeds,
// outputs and reports are private, and the strategies' own files, which the header's commitments must fit.

import type { RefusalCode } from '../../wire/codes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { parseConfiguration } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import { KIND, leafKey } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { RunnerProgram } from '../../wire/node/strategy-program.ts';
import {
  STRATEGY_EVENT,
  parseReport,
  parseSeed,
  parseSignal,
  parseStrategyEvent,
} from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { Comparison } from './comparison.ts';
import type { EpochLeaves, ReplayLeaf } from './epoch-leaves.ts';
import { RunnerProcess } from './runner-process.ts';
import type { MatchedStrategy } from './strategy-files.ts';

export interface ReplayRequest {
  readonly leaves: EpochLeaves;
  readonly keys: PrivateKeys;
  /** Each runs in a process of its own. */
  readonly strategies: readonly MatchedStrategy[];
  readonly program: RunnerProgram;
  readonly stallMs: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Of one strategy. */
export interface ReplayFacts {
  readonly comparison: Comparison;
  readonly identical: boolean;
  readonly inputs: number;
  readonly reports: number;
  readonly outputs: number;
  readonly closed: boolean;
  /** What the strategy ended with; null where it did not. */
  readonly endedLogged: RefusalCode | null;
  readonly endedReplayed: RefusalCode | null;
}

type Open = (leaf: ReplayLeaf) => Result<Uint8Array>;

class StrategyReplay {
  readonly #strategy: MatchedStrategy;
  readonly #request: ReplayRequest;
  readonly #configuration: Configuration;
  readonly #open: Open;
  readonly #comparison = new Comparison();
  /** Leaf indexes of this strategy's outputs, with the ids of their signals. */
  readonly #signals = new Map<number, number>();
  #seed: Uint8Array | null = null;
  #process: RunnerProcess | null = null;
  #ended: RefusalCode | null = null;
  #inputs = 0;
  #reports = 0;

  constructor(
    strategy: MatchedStrategy,
    request: ReplayRequest,
    configuration: Configuration,
    open: Open,
  ) {
    this.#strategy = strategy;
    this.#request = request;
    this.#configuration = configuration;
    this.#open = open;
  }

  get stream(): number {
    return this.#strategy.entry.stream;
  }

  get running(): boolean {
    return this.#process !== null && this.#ended === null;
  }

  /** True for the leaf of one of its outputs. */
  hasOutput(index: number): boolean {
    return this.#signals.has(index);
  }

  async input(index: number, batch: Uint8Array): Promise<void> {
    if (!this.running) return;
    this.#inputs++;
    await this.#process?.input(index, batch);
  }

  report(index: number, output: number, bytes: Uint8Array): Result<null> {
    const signal = this.#signals.get(output);
    if (!this.running || signal === undefined) return accept(null);
    const parsed = parseReport(bytes);
    if (!parsed.ok) return parsed;
    this.#reports++;
    this.#process?.fill(index, signal, bytes);
    return accept(null);
  }

  /** A leaf of its own stream. */
  take(entry: ReplayLeaf): Result<null> {
    const { kind } = entry.leaf;
    if (kind === KIND.seed) return this.#takeSeed(entry);
    if (kind === KIND.output) return this.#output(entry);
    if (kind === KIND.strategyEvent) return this.#event(entry);
    return accept(null);
  }

  /** Waits for the process, and ends it. */
  async finish(closed: boolean): Promise<Result<ReplayFacts>> {
    const endedReplayed = (await this.#process?.finish()) ?? null;
    if (this.#process?.spoke === false) {
      return refuse('strategy_not_started', { what: 'the strategy runner of this installation' });
    }
    if (this.#process === null) return refuse('strategy_not_started', { stream: this.stream });
    const comparison = this.#comparison;
    return accept({
      comparison,
      identical: comparison.finish({ closed, ended: this.#ended }, endedReplayed),
      inputs: this.#inputs,
      reports: this.#reports,
      outputs: this.#signals.size,
      closed,
      endedLogged: this.#ended,
      endedReplayed,
    });
  }

  #takeSeed(entry: ReplayLeaf): Result<null> {
    const plaintext = this.#open(entry);
    if (!plaintext.ok) return plaintext;
    const seed = parseSeed(plaintext.value);
    if (!seed.ok) return seed;
    this.#seed = seed.value;
    return accept(null);
  }

  #output(entry: ReplayLeaf): Result<null> {
    const plaintext = this.#open(entry);
    if (!plaintext.ok) return plaintext;
    const signal = parseSignal(plaintext.value);
    if (!signal.ok) return signal;
    this.#signals.set(entry.index, signal.value.id);
    this.#comparison.addLogged({ index: entry.index, bytes: plaintext.value });
    return accept(null);
  }

  #event(entry: ReplayLeaf): Result<null> {
    const plaintext = this.#open(entry);
    if (!plaintext.ok) return plaintext;
    const event = parseStrategyEvent(plaintext.value);
    if (!event.ok) return event;
    if (event.value.event === STRATEGY_EVENT.ended) {
      this.#ended = event.value.code ?? 'strategy_crashed';
      return accept(null);
    }
    if (this.#seed === null || this.#process !== null) {
      return refuse('leaf_misplaced', { index: entry.index, kind: entry.leaf.kind });
    }
    const { program, stallMs } = this.#request;
    const { entry: strategy, bundle, parameters } = this.#strategy;
    const start = {
      name: strategy.name,
      bundle,
      parameters,
      seed: this.#seed,
      instruments: this.#configuration.instruments,
      stream: strategy.stream,
    };
    this.#process = new RunnerProcess(program, start, stallMs, (input, bytes) => {
      this.#comparison.addReplayed({ input, bytes });
    });
    return accept(null);
  }
}

class Replay {
  readonly #crypto: WireCrypto;
  readonly #request: ReplayRequest;
  readonly #disclosureKey: Uint8Array;
  readonly #strategies: readonly StrategyReplay[];
  #closed = false;

  constructor(
    crypto: WireCrypto,
    request: ReplayRequest,
    configuration: Configuration,
    disclosureKey: Uint8Array,
  ) {
    this.#crypto = crypto;
    this.#request = request;
    this.#disclosureKey = disclosureKey;
    this.#strategies = request.strategies.map(
      (strategy) =>
        new StrategyReplay(strategy, request, configuration, (leaf) => this.#open(leaf)),
    );
  }

  async run(): Promise<Result<readonly ReplayFacts[]>> {
    const { leaves, onProgress } = this.#request;
    const read = await leaves.read(async (leaf) => {
      onProgress?.(leaf.index + 1, leaves.head.size);
      return this.#take(leaf);
    });
    const finished = await Promise.all(this.#strategies.map((one) => one.finish(this.#closed)));
    if (!read.ok) return read;
    const facts: ReplayFacts[] = [];
    for (const one of finished) {
      if (!one.ok) return one;
      facts.push(one.value);
    }
    return accept(facts);
  }

  async #take(entry: ReplayLeaf): Promise<Result<null>> {
    const { kind, stream, causes } = entry.leaf;
    if (kind === KIND.close) this.#closed = true;
    if (kind === KIND.input) return this.#input(entry);
    if (kind === KIND.report) return this.#report(entry, causes[0] ?? -1);
    return this.#strategies.find((one) => one.stream === stream)?.take(entry) ?? accept(null);
  }

  /** The plaintext, opened with the key of that leaf, against its digest. */
  #open({ index, leaf, blob }: ReplayLeaf): Result<Uint8Array> {
    const { origin } = this.#request.leaves.head.header;
    const key = leafKey(this.#crypto, this.#disclosureKey, origin, index);
    const opened = openLeaf(this.#crypto, leaf, key, blob);
    return opened.ok ? accept(opened.value.plaintext) : opened;
  }

  async #input(entry: ReplayLeaf): Promise<Result<null>> {
    if (!this.#strategies.some(({ running }) => running)) return accept(null);
    const batch = this.#open(entry);
    if (!batch.ok) return batch;
    await Promise.all(this.#strategies.map((one) => one.input(entry.index, batch.value)));
    return accept(null);
  }

  /** Goes to the strategy whose signal it is about, and to no other. */
  #report(entry: ReplayLeaf, output: number): Result<null> {
    const owner = this.#strategies.find((one) => one.running && one.hasOutput(output));
    if (owner === undefined) return accept(null);
    const report = this.#open(entry);
    return report.ok ? owner.report(entry.index, output, report.value) : report;
  }
}

/** One entry for each strategy asked for. Refuses what makes a replay impossible: a wrong key, a log that does not hold together. */
export async function replayEpoch(
  crypto: WireCrypto,
  request: ReplayRequest,
): Promise<Result<readonly ReplayFacts[]>> {
  const { header } = request.leaves.head;
  const configuration = parseConfiguration(header.configuration);
  if (!configuration.ok) return configuration;
  const key = unwrapDisclosureKey(crypto, header.wrappedDisclosureKey, request.keys, header.origin);
  if (!key.ok) return key;
  return new Replay(crypto, request, configuration.value, key.value).run();
}
