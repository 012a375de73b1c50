// What happened in an epoch, opened with compliance's key, as far as somebody needs it who wants to make it
// happen again from the capture: inputs by their hash, outputs of all strategies, reports, declared drops. The
// log must hold together under its own key (verifier/replay/epoch-leaves.ts); who has that key is for `verify log`.

import type { Configuration } from '../../wire/configuration.ts';
import { parseConfiguration } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import type { StrategyEntry } from '../../wire/header.ts';
import { KIND, leafKey } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import type { OpenedLeaf } from '../../wire/open-leaf.ts';
import { parseBatch } from '../../wire/batch.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import {
  parseReport,
  parseSeed,
  parseSignal,
  parseStrategyEvent,
  STRATEGY_EVENT,
} from '../../wire/payloads.ts';
import type { Signal } from '../../wire/payloads.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { EpochLeaves, ReplayLeaf } from '../../verifier/replay/epoch-leaves.ts';
import { MemoryLog } from './memory-log.ts';

export interface StoryInput {
  readonly index: number;
  readonly stream: number;
  readonly sequence: number;
  readonly sha256: Uint8Array;
}

export interface StoryOutput {
  readonly index: number;
  readonly stream: number;
  readonly salt: Uint8Array;
  readonly bytes: Uint8Array;
  readonly signal: Signal;
}

/** About an output of this epoch. */
export interface StoryReport {
  readonly index: number;
  /** Leaf of the output. */
  readonly output: number;
  readonly bytes: Uint8Array;
}

export interface EpochStory {
  readonly configuration: Configuration;
  readonly entries: readonly StrategyEntry[];
  readonly seeds: ReadonlyMap<number, Uint8Array>;
  readonly inputs: readonly StoryInput[];
  readonly outputs: readonly StoryOutput[];
  readonly reports: readonly StoryReport[];
  /** Streams of strategies that ended, with leaf and code. */
  readonly ends: ReadonlyMap<number, { readonly index: number; readonly code: RefusalCode }>;
  readonly closed: boolean;
  /** With the leaves of the outputs, for execution to check signals against. */
  readonly log: MemoryLog;
}

class StoryReader {
  readonly #crypto: WireCrypto;
  readonly #leaves: EpochLeaves;
  readonly #disclosureKey: Uint8Array;
  readonly seeds = new Map<number, Uint8Array>();
  readonly inputs: StoryInput[] = [];
  readonly outputs: StoryOutput[] = [];
  readonly reports: StoryReport[] = [];
  readonly ends = new Map<number, { readonly index: number; readonly code: RefusalCode }>();
  closed = false;
  readonly log: MemoryLog;

  constructor(crypto: WireCrypto, leaves: EpochLeaves, disclosureKey: Uint8Array) {
    this.#crypto = crypto;
    this.#leaves = leaves;
    this.#disclosureKey = disclosureKey;
    this.log = new MemoryLog(crypto);
  }

  take(entry: ReplayLeaf): Result<null> {
    const { kind } = entry.leaf;
    this.log.add(entry.bytes, kind === KIND.output);
    if (kind === KIND.close) this.closed = true;
    if (kind === KIND.input) return this.#with(entry, (opened) => this.#input(entry, opened));
    if (kind === KIND.output) return this.#with(entry, (opened) => this.#output(entry, opened));
    if (kind === KIND.report) return this.#with(entry, (opened) => this.#report(entry, opened));
    if (kind === KIND.seed) return this.#with(entry, (opened) => this.#seed(entry, opened));
    if (kind === KIND.strategyEvent)
      return this.#with(entry, (opened) => this.#event(entry, opened));
    return accept(null);
  }

  #with(
    { index, leaf, blob }: ReplayLeaf,
    take: (opened: OpenedLeaf) => Result<null>,
  ): Result<null> {
    const { origin } = this.#leaves.head.header;
    const key = leafKey(this.#crypto, this.#disclosureKey, origin, index);
    const opened = openLeaf(this.#crypto, leaf, key, blob);
    return opened.ok ? take(opened.value) : opened;
  }

  #input({ index }: ReplayLeaf, { plaintext }: OpenedLeaf): Result<null> {
    const batch = parseBatch(plaintext);
    if (!batch.ok) return batch;
    const { stream, sequence } = batch.value;
    this.inputs.push({ index, stream, sequence, sha256: this.#crypto.sha256(plaintext) });
    return accept(null);
  }

  #output({ index, leaf }: ReplayLeaf, { salt, plaintext }: OpenedLeaf): Result<null> {
    const signal = parseSignal(plaintext);
    if (!signal.ok) return signal;
    const [saltCopy, bytes] = [salt.slice(), plaintext.slice()];
    this.outputs.push({ index, stream: leaf.stream, salt: saltCopy, bytes, signal: signal.value });
    return accept(null);
  }

  #report({ index }: ReplayLeaf, { plaintext }: OpenedLeaf): Result<null> {
    const report = parseReport(plaintext);
    if (!report.ok) return report;
    const { output, epoch } = report.value;
    // A late report is about an output of an earlier epoch: no strategy of this one hears of it.
    if (epoch === undefined) this.reports.push({ index, output, bytes: plaintext.slice() });
    return accept(null);
  }

  #seed({ leaf }: ReplayLeaf, { plaintext }: OpenedLeaf): Result<null> {
    const seed = parseSeed(plaintext);
    if (!seed.ok) return seed;
    this.seeds.set(leaf.stream, seed.value.slice());
    return accept(null);
  }

  #event({ index, leaf }: ReplayLeaf, { plaintext }: OpenedLeaf): Result<null> {
    const event = parseStrategyEvent(plaintext);
    if (!event.ok) return event;
    const { code } = event.value;
    if (event.value.event === STRATEGY_EVENT.ended) {
      this.ends.set(leaf.stream, { index, code: code ?? 'strategy_crashed' });
    }
    return accept(null);
  }
}

/** Refuses a wrong key and a log that does not hold together. */
export async function readStory(
  crypto: WireCrypto,
  leaves: EpochLeaves,
  keys: PrivateKeys,
  onProgress: (done: number, total: number) => void,
): Promise<Result<EpochStory>> {
  const { header, size } = leaves.head;
  const configuration = parseConfiguration(header.configuration);
  if (!configuration.ok) return configuration;
  const key = unwrapDisclosureKey(crypto, header.wrappedDisclosureKey, keys, header.origin);
  if (!key.ok) return key;
  const reader = new StoryReader(crypto, leaves, key.value);
  const read = await leaves.read((leaf) => {
    onProgress(leaf.index + 1, size);
    return Promise.resolve(reader.take(leaf));
  });
  if (!read.ok) return read;
  const { seeds, inputs, outputs, reports, ends, closed, log } = reader;
  const story = { seeds, inputs, outputs, reports, ends, closed, log };
  return accept({ ...story, configuration: configuration.value, entries: header.strategies });
}
