// Makes an epoch happen again from the capture that it was fed with: batches through the host's reader and
// batcher, the strategy's process with the epoch's seed and leaf indexes, execution with the signals of all its
// strategies. Inputs, outputs and reports must come out as the log has them, byte for byte. When a report
// reached the strategy was a matter of time; that is taken from the log, and nothing else.

import { startStrategy } from '../../enclave/strategy/process.ts';
import type { Strategy } from '../../enclave/strategy/types.ts';
import { Execution } from '../../host-proxy/execution/execution.ts';
import type { ExecutionSummary } from '../../host-proxy/execution/execution-summary.ts';
import { JournalState } from '../../host-proxy/execution/journal-state.ts';
import { KillSwitch } from '../../host-proxy/execution/kill-switch.ts';
import type { EncodedBatch } from '../../wire/market/batcher.ts';
import { Comparison } from '../../verifier/replay/comparison.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { StrategyEntry } from '../../wire/header.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { BatchCuts, CaptureOptions } from './capture-batches.ts';
import { CaptureBatches } from './capture-batches.ts';
import type { EpochStory, StoryInput, StoryOutput } from './epoch-story.ts';
import type { TradingOptions } from '../../host-proxy/execution/trading.ts';
import type { LocalEpochOptions } from './local-epoch.ts';
import { noFile, STRATEGY_LIMITS, ZERO_SALT } from './local-epoch.ts';

export interface ReproduceOptions {
  readonly epoch: Omit<LocalEpochOptions, 'seed' | 'instruments' | 'trading' | 'name'>;
  readonly trading: TradingOptions;
  readonly story: EpochStory;
  readonly origin: string;
  readonly entry: StrategyEntry;
  readonly capture: Omit<CaptureOptions, 'instruments'>;
  readonly cuts: BatchCuts;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The first thing that is not as in the log. */
export interface ReproduceDifference {
  readonly what: 'input' | 'output' | 'report';
  /** Of the log; null for what the log does not have. */
  readonly leaf: number | null;
}

export interface Reproduction {
  readonly inputs: number;
  readonly outputs: { readonly logged: number; readonly identical: number };
  /** Of all strategies of the epoch: they share one execution. */
  readonly reports: { readonly logged: number; readonly identical: number };
  readonly difference: ReproduceDifference | null;
  readonly ended: { readonly logged: RefusalCode | null; readonly reproduced: RefusalCode | null };
  readonly execution: ExecutionSummary;
}

class Reproducer {
  readonly #options: ReproduceOptions;
  readonly #execution: Execution;
  readonly #comparison = new Comparison();
  readonly #made: Uint8Array[] = [];
  #strategy: Strategy | null = null;
  #ended: RefusalCode | null = null;
  readonly #outputs: ReadonlyMap<number, StoryOutput>;
  /** For each batch that led to outputs: the place of the last one in the list. */
  readonly #lastOf = new Map<number, number>();
  #due = -1;
  #released = 0;
  #told = 0;

  constructor(options: ReproduceOptions) {
    this.#options = options;
    const { epoch, trading, story, origin } = options;
    this.#outputs = new Map(story.outputs.map((output) => [output.index, output]));
    for (const [at, { signal }] of story.outputs.entries()) {
      this.#lastOf.set(signal.causes.at(-1) ?? -1, at);
    }
    this.#execution = new Execution({
      crypto: epoch.crypto,
      log: story.log,
      origin,
      instruments: story.configuration.instruments,
      ...trading,
      killSwitch: new KillSwitch(null),
      journal: noFile(),
      // As the host that began with the epoch; one that had traded before had another account.
      state: new JournalState(story.configuration.instruments),
      onReport: (payload) => {
        this.#made.push(payload);
      },
    });
  }

  async run(): Promise<Result<Reproduction>> {
    const { story, entry, onProgress } = this.#options;
    const started = await this.#start();
    if (!started.ok) return started;
    this.#strategy = started.value;
    const own = story.outputs.filter(({ stream }) => stream === entry.stream);
    for (const { index, bytes } of own) this.#comparison.addLogged({ index, bytes });
    const wrong = await this.#feed(onProgress);
    this.#tellUpTo(Number.POSITIVE_INFINITY);
    await this.#strategy.settled();
    await this.#strategy.stop();
    await this.#execution.close();
    return accept(this.#judge(own.length, wrong));
  }

  #start(): Promise<Result<Strategy>> {
    const { epoch, story, entry } = this.#options;
    const { crypto, program, bundle, parameters, timeBudgetMs } = epoch;
    const seed = story.seeds.get(entry.stream);
    if (seed === undefined) {
      return Promise.resolve(refuse('strategy_not_started', { stream: entry.stream }));
    }
    const { name, stream } = entry;
    const { instruments } = story.configuration;
    const commitment = crypto.sha256(ZERO_SALT, bundle);
    return startStrategy(
      program,
      { name, stream, bundle, salt: ZERO_SALT, commitment, parameters, seed, instruments },
      { ...STRATEGY_LIMITS, batchMs: timeBudgetMs },
      {
        onAnswer: ({ leafIndex: input, outputs }) => {
          for (const { bytes } of outputs) this.#comparison.addReplayed({ input, bytes });
        },
        onEnded: (code) => {
          this.#ended = code;
        },
      },
      new AbortController().signal,
    );
  }

  /** Null, or the leaf of the first input that the capture does not give. */
  async #feed(onProgress: ReproduceOptions['onProgress']): Promise<number | null> {
    const { capture, cuts, story, epoch } = this.#options;
    const { inputs, configuration } = story;
    const stream = inputs[0]?.stream ?? 1;
    const { instruments } = configuration;
    const batches = new CaptureBatches([{ ...capture, instruments, stream }], cuts);
    let at = 0;
    for await (const batch of batches) {
      const input = inputs[at];
      if (input === undefined) break;
      // The host has dropped it, and the log says so.
      if (batch.sequence < input.sequence) continue;
      const same = equalBytes(epoch.crypto.sha256(batch.bytes), input.sha256);
      if (!same || input.stream !== stream) return input.index;
      await this.#take(input, batch);
      at++;
      onProgress?.(at, inputs.length);
    }
    return inputs[at]?.index ?? null;
  }

  async #take(input: StoryInput, { stream, sequence, timeNs, bytes }: EncodedBatch): Promise<void> {
    const { story, entry } = this.#options;
    this.#tellUpTo(input.index);
    const end = story.ends.get(entry.stream)?.index ?? Number.POSITIVE_INFINITY;
    const room = input.index > end || this.#strategy?.input(input.index, timeNs, bytes);
    if (room === false) await this.#strategy?.drained();
    this.#execution.holdBatch({ stream, sequence, bytes });
    this.#releaseFor(input.index);
    const leafIndex = input.index;
    await this.#execution.progress({
      stream,
      sequence,
      leafIndex,
      acknowledgedSize: story.log.size,
    });
  }

  /** In the order of their leaves: all outputs up to the last one that this batch or an earlier one led to. */
  #releaseFor(batch: number): void {
    const { outputs } = this.#options.story;
    this.#due = Math.max(this.#due, this.#lastOf.get(batch) ?? -1);
    for (; this.#released <= this.#due; this.#released++) {
      const output = outputs[this.#released];
      if (output === undefined) break;
      const { index: leafIndex, salt, bytes: plaintext } = output;
      this.#execution.release({ leafIndex, salt, plaintext });
    }
  }

  /** Reports of the log before this leaf, to the strategy whose signals they are about. */
  #tellUpTo(index: number): void {
    const { story, entry } = this.#options;
    const end = story.ends.get(entry.stream)?.index ?? Number.POSITIVE_INFINITY;
    for (; this.#told < story.reports.length; this.#told++) {
      const report = story.reports[this.#told];
      if (report === undefined || report.index > index) return;
      const output = this.#outputs.get(report.output);
      if (output?.stream !== entry.stream || report.index > end) continue;
      this.#strategy?.fill(report.index, output.signal.id, report.bytes);
    }
  }

  #judge(logged: number, wrongInput: number | null): Reproduction {
    const { story, entry } = this.#options;
    const made = this.#made;
    const wrong = story.reports.findIndex(({ bytes }, at) => !equalBytes(bytes, made[at] ?? EMPTY));
    const identical = wrong < 0 ? story.reports.length : wrong;
    const ended = story.ends.get(entry.stream)?.code ?? null;
    const fits = this.#comparison.finish({ closed: story.closed, ended }, this.#ended);
    const differences: ReproduceDifference[] = [];
    if (wrongInput !== null) differences.push({ what: 'input', leaf: wrongInput });
    if (!fits) {
      const leaf = this.#comparison.difference?.logged?.index ?? null;
      differences.push({ what: 'output', leaf });
    }
    // An epoch that was cut off may lack the last ones.
    if (wrong >= 0) differences.push({ what: 'report', leaf: story.reports[wrong]?.index ?? null });
    else if (story.closed && made.length > story.reports.length) {
      differences.push({ what: 'report', leaf: null });
    }
    const placeOf = ({ leaf }: ReproduceDifference): number => leaf ?? Number.POSITIVE_INFINITY;
    const [difference = null] = differences.sort((a, b) => placeOf(a) - placeOf(b));
    return {
      inputs: story.inputs.length,
      outputs: { logged, identical: this.#comparison.identical },
      reports: { logged: story.reports.length, identical },
      difference,
      ended: { logged: ended, reproduced: this.#ended },
      execution: this.#execution.summary(),
    };
  }
}

const EMPTY = new Uint8Array();

/** Refuses what the strategy's process refuses at its start. Throws a CaptureFailure. */
export function reproduceEpoch(options: ReproduceOptions): Promise<Result<Reproduction>> {
  return new Reproducer(options).run();
}
