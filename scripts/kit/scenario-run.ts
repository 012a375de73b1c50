// Plays a scenario: its events through the host's batcher, the strategy in its real process under the real
// limits, twice at the same time in two processes that must agree in every byte. What did not come as expected
// is told with its place in the file.

import { paperOf } from '../../host-proxy/execution/trading.ts';
import { Batcher } from '../../wire/market/batcher.ts';
import type { EncodedBatch } from '../../wire/market/batcher.ts';
import { parseDecimal } from '../../wire/market/scaled.ts';
import { equalBytes, parseHex } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { Fill, Signal } from '../../wire/payloads.ts';
import { STATUS } from '../../wire/payloads.ts';
import type { LocalEpochOptions } from './local-epoch.ts';
import { LocalEpoch } from './local-epoch.ts';
import { NO_LIMITS } from './prepare.ts';
import type { EventStep, ExpectStep, ReportStep, Scenario, Step } from './scenario.ts';
import { BadStep, driftOf, priceOf, quantityOf, ScenarioMarket } from './scenario-market.ts';
import { signalLine, sameSignals } from './scenario-signals.ts';

const NS_PER_MS = 1_000_000n;
/** 2023-11-14T22:13:20Z, when scenarios begin. */
const START_NS = 1_700_000_000_000n * NS_PER_MS;
const FEE_SCALE = 8;
const MAX_STEPS = 5_000_000;

export interface ScenarioFailure {
  /** Path of the step in the file; `end` for what shows at the end. */
  readonly place: string;
  /** Since the start of the scenario. */
  readonly atMs: number;
  readonly what: string;
  /** One line a signal. */
  readonly expected: readonly string[];
  readonly actual: readonly string[];
}

export interface ScenarioResult {
  readonly name: string;
  readonly failures: readonly ScenarioFailure[];
  readonly batches: number;
  readonly rows: number;
  readonly signals: number;
  readonly ended: RefusalCode | null;
}

export interface ScenarioOptions {
  readonly epoch: Pick<LocalEpochOptions, 'crypto' | 'program' | 'name' | 'bundle'>;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly instruments: readonly Instrument[];
}

interface Drift {
  readonly text: string;
  readonly times: number;
}

/** What was said about a signal. */
interface Told {
  readonly leafIndex: number;
  readonly instrument: number;
  filled: number;
  fills: number;
}

/** Nothing more is played. */
class Over extends Error {}

class Run {
  readonly #options: ScenarioOptions;
  readonly #scenario: Scenario;
  readonly #epoch: LocalEpoch;
  readonly #market: ScenarioMarket;
  readonly #batcher: Batcher;
  readonly failures: ScenarioFailure[] = [];
  #closed: EncodedBatch[] = [];
  /** Since the last `expect`. */
  #signals: Signal[] = [];
  readonly #outputs = new Map<number, Told>();
  #timeNs = START_NS;
  #place = '';
  #steps = 0;
  batches = 0;
  rows = 0;

  constructor(options: ScenarioOptions, scenario: Scenario, epoch: LocalEpoch) {
    this.#options = options;
    this.#scenario = scenario;
    this.#epoch = epoch;
    this.#market = new ScenarioMarket(options.instruments);
    this.#batcher = new Batcher({
      stream: 1,
      closeRows: scenario.batch.rows,
      closeMs: scenario.batch.ms,
      onBatch: (batch) => this.#closed.push(batch),
    });
  }

  get signals(): number {
    return this.#outputs.size;
  }

  async play(): Promise<void> {
    try {
      await this.#playAll(this.#scenario.steps, 'steps', []);
      this.#place = 'end';
      await this.#close();
    } catch (error) {
      if (error instanceof BadStep) this.#fail(error.message);
      else if (!(error instanceof Over)) throw error;
    }
    this.#place = 'end';
    if (this.#signals.length > 0) this.#differ('signals that no `expect` names', []);
    this.#checkEnd();
  }

  async #playAll(steps: readonly Step[], place: string, drifts: readonly Drift[]): Promise<void> {
    for (const [at, step] of steps.entries()) {
      this.#place = `${place}.${at}`;
      await this.#playOne(step, drifts);
    }
  }

  async #playOne(step: Step, drifts: readonly Drift[]): Promise<void> {
    if (++this.#steps > MAX_STEPS) throw new BadStep(`more than ${MAX_STEPS} steps`);
    switch (step.kind) {
      case 'repeat': {
        const place = `${this.#place}.steps`;
        for (let times = 0; times < step.repeat; times++) {
          await this.#playAll(step.steps, place, [...drifts, { text: step.drift, times }]);
        }
        break;
      }
      case 'expect':
        await this.#expect(step);
        break;
      case 'report':
        await this.#report(step);
        break;
      case 'best':
      case 'trade':
      case 'snapshot':
      case 'update':
      case 'lose':
        await this.#event(step, drifts);
        break;
    }
  }

  async #event(step: EventStep, drifts: readonly Drift[]): Promise<void> {
    this.#timeNs += BigInt(step.after) * NS_PER_MS;
    const instrument = this.#market.instrument(step.instrument);
    const drift = drifts.reduce(
      (sum, { text, times }) => sum + driftOf(text, instrument) * BigInt(times),
      0n,
    );
    const event = this.#market.event(step, this.#timeNs, drift);
    if (event !== null) this.#batcher.add(event);
    await this.#feed();
  }

  /** Closes the open batch and hands over what is closed. */
  async #close(): Promise<void> {
    this.#batcher.flush();
    await this.#feed();
  }

  async #feed(): Promise<void> {
    for (const batch of this.#closed.splice(0)) {
      const { outputs } = await this.#epoch.batch(batch);
      this.batches++;
      this.rows += batch.rows;
      for (const { leafIndex, signal } of outputs) {
        this.#outputs.set(signal.id, {
          leafIndex,
          instrument: signal.instrument,
          filled: 0,
          fills: 0,
        });
        this.#signals.push(signal);
      }
      if (this.#epoch.ended !== null) throw new Over();
    }
  }

  async #expect({ expect }: ExpectStep): Promise<void> {
    await this.#close();
    const { instruments } = this.#options;
    const wanted = expect.map((one) => ({
      ...one,
      instrument: this.#market.instrument(one.instrument),
    }));
    if (!sameSignals(wanted, this.#signals)) {
      this.#differ(
        'other signals than expected',
        wanted.map((one) => signalLine(one, instruments)),
      );
    }
    this.#signals = [];
  }

  async #report({ report }: ReportStep): Promise<void> {
    await this.#close();
    const output = this.#outputs.get(report.signal);
    if (output === undefined) throw new BadStep(`there is no signal ${report.signal} yet`);
    if (this.#scenario.paper !== null) throw new BadStep('with `paper` the broker reports');
    const instrument = this.#market.instrument(output.instrument);
    const fills = report.fills.map(({ price, quantity, fee }): Fill => {
      const size = quantityOf(quantity, instrument);
      output.filled += size;
      return {
        number: output.fills++,
        price: priceOf(price, instrument, 0n),
        quantity: size,
        fee: feeOf(fee),
        timeNs: this.#timeNs,
      };
    });
    this.#epoch.report(report.signal, {
      output: output.leafIndex,
      clientOrderId: `ts${'0'.repeat(16)}`,
      status: STATUS[report.status],
      reason: report.reason,
      filledQuantity: output.filled,
      fills,
      environment: 'paper',
      timeNs: this.#timeNs,
    });
  }

  #differ(what: string, expected: readonly string[]): void {
    const actual = this.#signals.map((signal) => signalLine(signal, this.#options.instruments));
    this.#fail(what, expected, actual);
  }

  #fail(what: string, expected: readonly string[] = [], actual: readonly string[] = []): void {
    const atMs = Number((this.#timeNs - START_NS) / NS_PER_MS);
    this.failures.push({ place: this.#place, atMs, what, expected, actual });
  }

  #checkEnd(): void {
    const { ended } = this.#epoch;
    const { ends } = this.#scenario;
    if (ended === ends) return;
    if (ended === null) this.#fail(`it should end with ${ends ?? ''}, and runs`);
    else this.#fail(`it ended with ${ended}${ends === null ? '' : `, and not with ${ends}`}`);
  }
}

function feeOf(text: string): number {
  const fee = parseDecimal(text, FEE_SCALE);
  if (fee === null) throw new BadStep(`fee ${text}: at most ${FEE_SCALE} decimals`);
  return fee;
}

interface OneRun extends ScenarioResult {
  readonly root: Uint8Array;
}

async function playOnce(options: ScenarioOptions, scenario: Scenario): Promise<OneRun> {
  const { name, paper, seed, time_budget_ms: timeBudgetMs, ends } = scenario;
  const started = await LocalEpoch.start({
    ...options.epoch,
    parameters: canonicalJson({ ...options.parameters, ...scenario.parameters }),
    seed: parseHex(seed) ?? new Uint8Array(),
    instruments: options.instruments,
    timeBudgetMs,
    trading: paper && { paper: paperOf(paper), limits: NO_LIMITS },
  });
  if (!started.ok) {
    const { code } = started.refusal;
    const what = `it did not start: ${code}`;
    const failure = { place: 'start', atMs: 0, what, expected: [], actual: [] };
    const failures = code === ends ? [] : [failure];
    return { name, failures, batches: 0, rows: 0, signals: 0, ended: code, root: new Uint8Array() };
  }
  const epoch = started.value;
  const run = new Run(options, scenario, epoch);
  try {
    await run.play();
    const { failures, batches, rows, signals } = run;
    return { name, failures, batches, rows, signals, ended: epoch.ended, root: epoch.log.root };
  } finally {
    await epoch.close();
  }
}

/** Plays it in two processes at once. */
export async function playScenario(
  options: ScenarioOptions,
  scenario: Scenario,
): Promise<ScenarioResult> {
  const [first, second] = await Promise.all([
    playOnce(options, scenario),
    playOnce(options, scenario),
  ]);
  const { root, ...result } = first;
  if (equalBytes(root, second.root) && first.ended === second.ended) return result;
  const failure: ScenarioFailure = {
    place: 'end',
    atMs: 0,
    what: 'not determined: two processes with the same input and the same seed gave different outputs',
    expected: [],
    actual: [],
  };
  return { ...result, failures: [...result.failures, failure] };
}
