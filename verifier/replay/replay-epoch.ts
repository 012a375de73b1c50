// Runs the strategy of an epoch again over what the log says that it got: start, seed, batches and
// reports in the order of their leaves. Needs compliance's key, because seed, outputs and reports are
// private, and the strategy's own files, which the header's commitments must fit.

import type { RefusalCode } from '../../wire/codes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { parseConfiguration } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { unwrapDisclosureKey } from '../../wire/disclosure.ts';
import type { StrategyEntry } from '../../wire/header.ts';
import { KIND, leafKey, openLeaf } from '../../wire/leaf.ts';
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
import type { StrategyFiles } from './strategy-files.ts';

export interface ReplayRequest {
  readonly leaves: EpochLeaves;
  readonly keys: PrivateKeys;
  readonly entry: StrategyEntry;
  readonly files: StrategyFiles;
  readonly program: RunnerProgram;
  readonly stallMs: number;
  readonly onProgress?: (done: number, total: number) => void;
}

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

class Replay {
  readonly #crypto: WireCrypto;
  readonly #request: ReplayRequest;
  readonly #configuration: Configuration;
  readonly #disclosureKey: Uint8Array;
  readonly #comparison = new Comparison();
  /** Leaf indexes of this strategy's outputs, with the ids of their signals. */
  readonly #signals = new Map<number, number>();
  #seed: Uint8Array | null = null;
  #process: RunnerProcess | null = null;
  #ended: RefusalCode | null = null;
  #closed = false;
  #inputs = 0;
  #reports = 0;

  constructor(
    crypto: WireCrypto,
    request: ReplayRequest,
    configuration: Configuration,
    disclosureKey: Uint8Array,
  ) {
    this.#crypto = crypto;
    this.#request = request;
    this.#configuration = configuration;
    this.#disclosureKey = disclosureKey;
  }

  async run(): Promise<Result<ReplayFacts>> {
    const { leaves, onProgress } = this.#request;
    const read = await leaves.read(async (leaf) => {
      onProgress?.(leaf.index + 1, leaves.head.size);
      return this.#take(leaf);
    });
    const endedReplayed = (await this.#process?.finish()) ?? null;
    if (!read.ok) return read;
    if (this.#process?.spoke === false) {
      return refuse('strategy_not_started', { what: 'the strategy runner of this installation' });
    }
    if (this.#process === null) {
      return refuse('strategy_not_started', { stream: this.#request.entry.stream });
    }
    const comparison = this.#comparison;
    const end = { closed: this.#closed, ended: this.#ended };
    return accept({
      comparison,
      identical: comparison.finish(end, endedReplayed),
      inputs: this.#inputs,
      reports: this.#reports,
      outputs: this.#signals.size,
      closed: this.#closed,
      endedLogged: this.#ended,
      endedReplayed,
    });
  }

  async #take(entry: ReplayLeaf): Promise<Result<null>> {
    const { kind, stream, causes } = entry.leaf;
    const running = this.#process !== null && this.#ended === null;
    if (kind === KIND.close) this.#closed = true;
    if (kind === KIND.input && running) return this.#input(entry);
    const signal = this.#signals.get(causes[0] ?? -1);
    if (kind === KIND.report && signal !== undefined && running) return this.#report(entry, signal);
    if (stream !== this.#request.entry.stream) return accept(null);
    if (kind === KIND.seed) return this.#takeSeed(entry);
    if (kind === KIND.output) return this.#output(entry);
    if (kind === KIND.strategyEvent) return this.#event(entry);
    return accept(null);
  }

  /** The plaintext, opened with the key of that leaf, against its digest. */
  #open({ index, leaf, blob }: ReplayLeaf): Result<Uint8Array> {
    const { origin } = this.#request.leaves.head.header;
    const key = leafKey(this.#crypto, this.#disclosureKey, origin, index);
    const opened = openLeaf(this.#crypto, leaf, key, blob);
    return opened.ok ? accept(opened.value.plaintext) : opened;
  }

  async #input(entry: ReplayLeaf): Promise<Result<null>> {
    const batch = this.#open(entry);
    if (!batch.ok) return batch;
    this.#inputs++;
    await this.#process?.input(entry.index, batch.value);
    return accept(null);
  }

  #report(entry: ReplayLeaf, signal: number): Result<null> {
    const report = this.#open(entry);
    if (!report.ok) return report;
    const parsed = parseReport(report.value);
    if (!parsed.ok) return parsed;
    this.#reports++;
    this.#process?.fill(entry.index, signal, report.value);
    return accept(null);
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
    const { entry: strategy, files, program, stallMs } = this.#request;
    const start = {
      name: strategy.name,
      bundle: files.bundle,
      parameters: files.parameters,
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

/** Refuses what makes a replay impossible: a wrong key, a log that does not hold together. */
export async function replayEpoch(
  crypto: WireCrypto,
  request: ReplayRequest,
): Promise<Result<ReplayFacts>> {
  const { header } = request.leaves.head;
  const configuration = parseConfiguration(header.configuration);
  if (!configuration.ok) return configuration;
  const key = unwrapDisclosureKey(crypto, header.wrappedDisclosureKey, request.keys, header.origin);
  if (!key.ok) return key;
  return new Replay(crypto, request, configuration.value, key.value).run();
}
