// A strategy over batches, as in an epoch whose host waits for each batch: the enclave's own supervisor and
// runner process, the host's own execution, leaves numbered as the enclave numbers them. Reports reach the
// strategy before the next batch. There are no time anchors and heartbeats, so that the same strategy, seed
// and batches give the same bytes on every machine; docs/STRATEGIES.md says what an epoch may do otherwise.

import { performance } from 'node:perf_hooks';
import { startStrategy } from '../../enclave/strategy/process.ts';
import type {
  Strategy,
  StrategyAnswer,
  StrategyLimits,
  StrategyOutput,
} from '../../enclave/strategy/types.ts';
import type { Account } from '../../host-proxy/execution/account.ts';
import { Execution } from '../../host-proxy/execution/execution.ts';
import type { ExecutionSummary } from '../../host-proxy/execution/execution-summary.ts';
import { Journal } from '../../host-proxy/execution/journal.ts';
import { JournalState } from '../../host-proxy/execution/journal-state.ts';
import { KillSwitch } from '../../host-proxy/execution/kill-switch.ts';
import type { TradingOptions } from '../../host-proxy/execution/trading.ts';
import type { EncodedBatch } from '../../wire/market/batcher.ts';
import { parseBatch } from '../../wire/batch.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { originOf } from '../../wire/header.ts';
import { KIND, LABEL, STREAM } from '../../wire/leaf.ts';
import { SequenceTracker } from '../../wire/market/sequence.ts';
import type { RunnerProgram } from '../../wire/node/strategy-program.ts';
import type { Gap, Report } from '../../wire/payloads.ts';
import {
  encodeGap,
  encodeReport,
  encodeSeed,
  encodeStrategyEvent,
  STRATEGY_EVENT,
} from '../../wire/payloads.ts';
import { toHex } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, assertAccepted } from '../../wire/result.ts';
import type { LeafDraft } from './memory-log.ts';
import { MemoryLog } from './memory-log.ts';

/** As in an enclave (enclave/strategies.ts); with one batch at a time the window never fills. */
export const STRATEGY_LIMITS: Omit<StrategyLimits, 'batchMs'> = {
  startMs: 20_000,
  windowInputs: 32,
  windowBytes: 4 * 1024 * 1024,
};
/** Commitments are for others; here the bundle is in the same hands. */
export const ZERO_SALT: Uint8Array = new Uint8Array(32);
const ORIGIN = originOf('local', 1);

export interface LocalEpochOptions {
  readonly crypto: WireCrypto;
  readonly program: RunnerProgram;
  readonly name: string;
  /** Opaque bytes: the runner knows what they are. */
  readonly bundle: Uint8Array;
  /** JSON. */
  readonly parameters: Uint8Array;
  readonly seed: Uint8Array;
  readonly instruments: readonly Instrument[];
  readonly timeBudgetMs: number;
  /** Null: nobody trades; reports come by `report` only. */
  readonly trading: TradingOptions | null;
}

export interface LoggedOutput extends StrategyOutput {
  readonly leafIndex: number;
}

/** What one batch led to. */
export interface BatchOutcome {
  readonly leafIndex: number;
  readonly gaps: readonly Gap[];
  readonly outputs: readonly LoggedOutput[];
  readonly reports: readonly Report[];
}

function done(): Promise<void> {
  return Promise.resolve();
}

/** What is written down is lost. */
export function noFile(): Journal {
  return new Journal({ append: done, close: done });
}

export class LocalEpoch {
  readonly log: MemoryLog;
  readonly #tracker: SequenceTracker;
  readonly #known: ReadonlySet<number>;
  readonly #execution: Execution | null;
  #strategy: Strategy | null = null;
  #ended: RefusalCode | null = null;
  #endLogged = false;
  #answers: StrategyAnswer[] = [];
  /** What execution has said and the strategy has not heard. */
  #reports: Report[] = [];
  /** Leaf of an output to the id of its signal. */
  readonly #signals = new Map<number, number>();
  #timeNs = 0n;
  #slowestMs = 0;

  private constructor({ crypto, instruments, trading }: LocalEpochOptions) {
    this.log = new MemoryLog(crypto);
    this.#tracker = new SequenceTracker(instruments);
    this.#known = new Set(instruments.map(({ id }) => id));
    this.#execution =
      trading === null
        ? null
        : new Execution({
            crypto,
            log: this.log,
            origin: ORIGIN,
            instruments,
            ...trading,
            killSwitch: new KillSwitch(null),
            journal: noFile(),
            state: new JournalState(instruments),
            onReport: (_, report) => {
              this.#reports.push(report);
            },
          });
  }

  /** Starts the process. Refuses what `startStrategy` refuses. */
  static async start(options: LocalEpochOptions): Promise<Result<LocalEpoch>> {
    const { crypto, program, name, bundle, parameters, seed, instruments, timeBudgetMs } = options;
    const epoch = new LocalEpoch(options);
    // In the places of header and attestation: what decides about all that follows.
    const hash = (bytes: Uint8Array): string => toHex(crypto.sha256(bytes));
    const facts = { name, bundle: hash(bundle), parameters: hash(parameters), instruments };
    const enclave = { stream: STREAM.enclave, label: LABEL.enclave };
    epoch.#append({ kind: KIND.header, ...enclave, plaintext: canonicalJson(facts) });
    epoch.#append({ kind: KIND.attestation, ...enclave, plaintext: new Uint8Array() });
    epoch.#append({ kind: KIND.seed, plaintext: encodeSeed(seed) });
    const stream = STREAM.firstStrategy;
    const commitment = crypto.sha256(ZERO_SALT, bundle);
    const started = await startStrategy(
      program,
      { name, stream, bundle, salt: ZERO_SALT, commitment, parameters, seed, instruments },
      { ...STRATEGY_LIMITS, batchMs: timeBudgetMs },
      {
        onAnswer: (answer) => epoch.#answers.push(answer),
        onEnded: (code) => {
          epoch.#ended = code;
        },
      },
      new AbortController().signal,
    );
    if (!started.ok) return started;
    epoch.#strategy = started.value;
    epoch.#logEvent(STRATEGY_EVENT.started, null);
    return accept(epoch);
  }

  /** What the strategy has ended with; null while it runs. */
  get ended(): RefusalCode | null {
    return this.#ended;
  }

  /** The slowest answer, in ms of the machine's clock. */
  get slowestMs(): number {
    return this.#slowestMs;
  }

  get subscribed(): readonly number[] {
    return this.#strategy?.subscribed ?? [];
  }

  /** Null without execution. */
  get account(): Account | null {
    return this.#execution?.account ?? null;
  }

  executionSummary(): ExecutionSummary | null {
    return this.#execution?.summary() ?? null;
  }

  /** Hands a batch to the strategy, waits for its answer, and trades. After the strategy's end nobody answers. */
  async batch({ stream, sequence, timeNs, bytes }: EncodedBatch): Promise<BatchOutcome> {
    this.#timeNs = timeNs;
    const input = { kind: KIND.input, stream, label: LABEL.host, plaintext: bytes } as const;
    const { index: leafIndex } = this.#append(input);
    const gaps = this.#tracker.apply(assertAccepted(parseBatch(bytes, this.#known)));
    for (const gap of gaps) {
      const plaintext = encodeGap(gap);
      const label = LABEL.host;
      this.#append({ kind: KIND.gap, stream, label, causes: [leafIndex], plaintext });
    }
    this.#execution?.holdBatch({ stream, sequence, bytes });
    const answers = await this.#ask(leafIndex, timeNs, bytes);
    const outputs = answers.map((output) => this.#release(output));
    const acknowledgedSize = this.log.size;
    await this.#execution?.progress({ stream, sequence, leafIndex, acknowledgedSize });
    return { leafIndex, gaps, outputs, reports: this.#tell() };
  }

  /** A report that the caller has made up; execution does not know of it. */
  report(signal: number, report: Report): void {
    this.#fill(signal, report);
  }

  /** Cancels what is open and ends the process. Answers the last reports. */
  async close(): Promise<readonly Report[]> {
    await this.#execution?.close();
    const reports = this.#tell();
    await this.#strategy?.stop();
    return reports;
  }

  async #ask(
    leafIndex: number,
    timeNs: bigint,
    bytes: Uint8Array,
  ): Promise<readonly StrategyOutput[]> {
    if (this.#strategy === null || this.#endLogged) return [];
    const sinceMs = performance.now();
    this.#strategy.input(leafIndex, timeNs, bytes);
    await this.#strategy.settled();
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - sinceMs);
    if (this.#ended !== null) {
      this.#endLogged = true;
      this.#logEvent(STRATEGY_EVENT.ended, this.#ended);
    }
    return this.#answers.splice(0).flatMap(({ outputs }) => outputs);
  }

  #release({ bytes: plaintext, signal }: StrategyOutput): LoggedOutput {
    const { causes, id } = signal;
    const { index: leafIndex, salt } = this.#append({ kind: KIND.output, causes, plaintext });
    this.#signals.set(leafIndex, id);
    this.#execution?.release({ leafIndex, salt, plaintext });
    return { leafIndex, bytes: plaintext, signal };
  }

  /** Logs what execution has reported and hands it to the strategy. */
  #tell(): readonly Report[] {
    const reports = this.#reports.splice(0);
    for (const report of reports) this.#fill(this.#signals.get(report.output) ?? -1, report);
    return reports;
  }

  #fill(signal: number, report: Report): void {
    const plaintext = encodeReport(report);
    const { index } = this.#append({
      kind: KIND.report,
      stream: STREAM.reports,
      label: LABEL.host,
      causes: [report.output],
      plaintext,
    });
    this.#execution?.logged([report.output]);
    if (this.#ended === null) this.#strategy?.fill(index, signal, plaintext);
  }

  #logEvent(event: (typeof STRATEGY_EVENT)['started' | 'ended'], code: RefusalCode | null): void {
    const plaintext = encodeStrategyEvent({ event, code });
    this.#append({ kind: KIND.strategyEvent, plaintext });
  }

  /** By default a leaf of the strategy's stream. */
  #append(
    draft: Pick<LeafDraft, 'kind' | 'plaintext'> & Partial<LeafDraft>,
  ): ReturnType<MemoryLog['append']> {
    const own = { stream: STREAM.firstStrategy, label: LABEL.strategy, causes: [] } as const;
    return this.log.append({ ...own, timeNs: this.#timeNs, ...draft });
  }
}
