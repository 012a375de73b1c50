// The fuzzer's loop: mutants of the corpus in batches, coverage taken after each batch, and a batch that
// reached new code halved until the inputs are known that did. Input after input is written to the slot
// before it runs, so that whoever watches the process knows what a hang or a crash was about.

import { inspect } from 'node:util';
import type { Coverage, FileCoverage } from './coverage.ts';
import type { Finding, FindingType, Shows } from './finding.ts';
import { keyOf, minimise } from './finding.ts';
import { Random } from './random.ts';
import type { Target } from './target.ts';
import { OracleFailure } from './target.ts';

export interface EngineOptions {
  readonly inputs: number;
  readonly seed: number;
  /** Kept corpus and regressions: tried first. */
  readonly corpus: readonly Uint8Array[];
  /** Inputs between two takes of the coverage. */
  readonly batchInputs: number;
  /** Stops at the first finding. */
  readonly first: boolean;
  /** Inputs of each window between two measurements of the memory; 0 measures none. */
  readonly windowInputs: number;
  readonly distil: boolean;
  readonly beforeInput: (input: Uint8Array, number: number) => void;
  readonly onProgress: (done: number, corpus: number) => void;
}

export interface Growth {
  /** Bytes that are alive after each window, collected. */
  readonly aliveBytes: readonly number[];
  /** Least growth of all windows, for each input. */
  readonly bytesPerInput: number;
}

export interface EngineResult {
  readonly inputs: number;
  readonly seconds: number;
  /** Without what other processes took. */
  readonly cpuSeconds: number;
  /** In the order in which they were kept. */
  readonly corpus: readonly Uint8Array[];
  readonly outcomes: number;
  readonly slowest: { readonly ms: number; readonly input: Uint8Array };
  /** Highest resident memory over what it was when the seeds had been tried. */
  readonly peakGrowthBytes: number;
  readonly growth: Growth | null;
  readonly findings: readonly Finding[];
  readonly coverage: readonly FileCoverage[];
  /** The shortest inputs that together reach what the corpus reaches. */
  readonly distilled: readonly Uint8Array[];
}

const MAX_FINDINGS = 5;
const MAX_OUTCOMES = 5000;
const MINIMISE_TRIES = 3000;
const WINDOWS = 5;
/** Whoever keeps an input keeps at least its object: more than this for each. */
const MAX_KEPT_PER_INPUT = 32;
/** What comes and goes by itself between two windows is less; short windows see only what keeps much. */
const MIN_GROWTH_BYTES = 64 * 1024;
const DEFAULT_STEPS = { base: 30_000, perByte: 200 };
const PROGRESS_MS = 250;
const TRIM_FROM_BYTES = 256;
const TRIM_TRIES = 60;

export class Engine {
  readonly #target: Target;
  readonly #coverage: Coverage;
  readonly #options: EngineOptions;
  readonly #random: Random;
  readonly #corpus: Uint8Array[] = [];
  readonly #outcomes = new Set<string>();
  readonly #findings = new Map<string, Finding>();
  #lastOutcome = '';
  #done = 0;
  #saidMs = 0;
  #slowest: EngineResult['slowest'] = { ms: 0, input: new Uint8Array(0) };
  /** Thrown outside of the run of an input, in a stream's handler for example. */
  #uncaught: unknown = null;

  constructor(target: Target, coverage: Coverage, options: EngineOptions) {
    this.#target = target;
    this.#coverage = coverage;
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  /** For errors that nobody caught: they count as the current input's. */
  uncaught(error: unknown): void {
    this.#uncaught ??= error;
  }

  async run(): Promise<EngineResult> {
    const { inputs, corpus } = this.#options;
    // Loading the sources is no coverage of an input's, but it is no news either.
    this.#coverage.take().merge();
    for (const seed of [...this.#target.seeds, ...corpus]) await this.#try(seed);
    const startRss = process.memoryUsage.rss();
    const start = performance.now();
    const first = this.#done;
    const startCpu = process.cpuUsage();
    while (this.#done - first < inputs && !this.#enough) {
      await this.#batch(Math.min(this.#options.batchInputs, inputs - (this.#done - first)));
      // What Node frees between events would pile up in a loop that never comes to one.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(startCpu);
    const peakGrowthBytes = process.resourceUsage().maxRSS * 1024 - startRss;
    const growth = this.#enough ? null : await this.#measureGrowth();
    const coverage = this.#coverage.report();
    return {
      inputs: this.#done,
      seconds,
      cpuSeconds: (user + system) / 1e6,
      corpus: this.#corpus,
      outcomes: this.#outcomes.size,
      slowest: this.#slowest,
      peakGrowthBytes: Math.max(0, peakGrowthBytes),
      growth,
      findings: [...this.#findings.values()],
      coverage,
      distilled: this.#options.distil ? await this.#distil() : [],
    };
  }

  get #enough(): boolean {
    return this.#findings.size >= (this.#options.first ? 1 : MAX_FINDINGS);
  }

  /** An input that is kept whatever it does: a seed, or one of the kept corpus. */
  async #try(input: Uint8Array): Promise<void> {
    this.#done++;
    await this.#execute(input);
    const taken = this.#coverage.take();
    taken.merge();
    this.#corpus.push(input);
    await this.#judgeSteps([input], taken.steps);
  }

  #mutant(): Uint8Array {
    const { maxBytes, mutate } = this.#target;
    const mutant = mutate(this.#random, this.#parent(), this.#random.pick(this.#corpus));
    return mutant.length > maxBytes ? mutant.slice(0, maxBytes) : mutant;
  }

  /** Newer entries are taken more often, and of two mostly the shorter one. */
  #parent(): Uint8Array {
    const { length } = this.#corpus;
    const newest = Math.max(1, Math.floor(length / 4));
    const one = (): Uint8Array =>
      this.#corpus[
        this.#random.oneIn(2) ? this.#random.below(length) : length - 1 - this.#random.below(newest)
      ] ?? new Uint8Array(0);
    const [a, b] = [one(), one()];
    return a.length <= b.length || this.#random.oneIn(8) ? a : b;
  }

  async #batch(count: number): Promise<void> {
    const batch: Uint8Array[] = [];
    for (let index = 0; index < count && !this.#enough; index++) {
      const input = this.#mutant();
      batch.push(input);
      this.#done++;
      const news = this.#outcomes.size;
      await this.#execute(input);
      if (this.#outcomes.size > news) await this.#keepOutcome(input);
    }
    const taken = this.#coverage.take();
    if (taken.fresh > 0) await this.#isolate(batch);
    // What runs only once, whichever input is first, is nobody's.
    taken.merge();
    await this.#judgeSteps(batch, taken.steps);
  }

  /** Keeps the inputs of a batch that reach new code. */
  async #isolate(batch: readonly Uint8Array[]): Promise<void> {
    const [only] = batch;
    if (batch.length <= 1 || only === undefined) {
      if (only === undefined) return;
      await this.#execute(only);
      const { fresh } = this.#coverage.take();
      if (fresh > 0) await this.#keepCoverage(only, fresh);
      return;
    }
    const middle = Math.ceil(batch.length / 2);
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      for (const input of half) await this.#execute(input);
      if (this.#coverage.take().fresh > 0) await this.#isolate(half);
    }
  }

  /** Long inputs make long mutants: what is kept is cut down before. */
  async #keepOutcome(input: Uint8Array): Promise<void> {
    const outcome = this.#lastOutcome;
    const shows = async (candidate: Uint8Array): Promise<boolean> => {
      const failed = await this.#attempt(candidate);
      return failed === null && this.#lastOutcome === outcome;
    };
    this.#corpus.push(await this.#trim(input, shows));
  }

  async #keepCoverage(input: Uint8Array, fresh: number): Promise<void> {
    const shows = async (candidate: Uint8Array): Promise<boolean> => {
      const failed = await this.#attempt(candidate);
      return this.#coverage.take().fresh >= fresh && failed === null;
    };
    const kept = await this.#trim(input, shows);
    await this.#execute(kept);
    this.#coverage.take().merge();
    this.#corpus.push(kept);
  }

  async #trim(input: Uint8Array, shows: Shows): Promise<Uint8Array> {
    return input.length <= TRIM_FROM_BYTES ? input : minimise(input, shows, TRIM_TRIES);
  }

  /** Work is bounded by the size: counted in blocks, so that no clock is asked. */
  async #judgeSteps(batch: readonly Uint8Array[], steps: number): Promise<void> {
    const { base, perByte } = this.#target.maxSteps ?? DEFAULT_STEPS;
    const allowed = batch.reduce((sum, { length }) => sum + base + perByte * length, 0);
    if (steps <= allowed) return;
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) {
      this.#found('steps', `more than ${base} + ${perByte} for each byte`, only);
      return;
    }
    const middle = Math.ceil(batch.length / 2);
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      for (const input of half) await this.#execute(input);
      await this.#judgeSteps(half, this.#coverage.take().steps);
    }
  }

  async #distil(): Promise<readonly Uint8Array[]> {
    this.#coverage.reset();
    // What the seeds reach is there without being kept.
    for (const seed of this.#target.seeds) await this.#attempt(seed);
    this.#coverage.take().merge();
    const kept: Uint8Array[] = [];
    for (const input of this.#corpus.toSorted((a, b) => a.length - b.length)) {
      await this.#attempt(input);
      const taken = this.#coverage.take();
      if (taken.fresh > 0) kept.push(input);
      taken.merge();
    }
    return kept;
  }

  async #execute(input: Uint8Array): Promise<void> {
    const failure = await this.#attempt(input);
    if (failure === null) return;
    const { type, what } = failure;
    const key = keyOf(type, what);
    if (this.#findings.has(key) || this.#enough) return;
    const shows = async (candidate: Uint8Array): Promise<boolean> => {
      const again = await this.#attempt(candidate);
      return again !== null && keyOf(again.type, again.what) === key;
    };
    const smallest = await minimise(input, shows, MINIMISE_TRIES);
    const last = await this.#attempt(smallest);
    this.#found(type, last?.what ?? what, smallest);
  }

  #found(type: FindingType, what: string, input: Uint8Array): void {
    const key = keyOf(type, what);
    if (this.#findings.has(key)) return;
    this.#findings.set(key, { type, what, input, after: this.#done });
  }

  /** Runs one input; what is wrong with it, or null. */
  async #attempt(input: Uint8Array): Promise<{ type: FindingType; what: string } | null> {
    this.#options.beforeInput(input, this.#done);
    const start = performance.now();
    let failure: unknown = null;
    try {
      const outcome = await this.#target.run(input);
      this.#lastOutcome = outcome;
      if (this.#outcomes.size < MAX_OUTCOMES) this.#outcomes.add(outcome);
    } catch (error) {
      failure = error ?? new Error('threw nothing');
    }
    const now = performance.now();
    if (now - this.#saidMs > PROGRESS_MS) {
      this.#saidMs = now;
      this.#options.onProgress(this.#done, this.#corpus.length);
    }
    const ms = now - start;
    if (ms > this.#slowest.ms) this.#slowest = { ms, input };
    failure ??= this.#uncaught;
    this.#uncaught = null;
    if (failure === null) return null;
    const what = failure instanceof Error ? failure.message : inspect(failure);
    return { type: failure instanceof OracleFailure ? 'oracle' : 'threw', what };
  }

  /** Memory that is alive after each of several windows, with a corpus that no longer grows. */
  async #measureGrowth(): Promise<Growth | null> {
    const { windowInputs } = this.#options;
    if (windowInputs === 0) return null;
    const aliveBytes: number[] = [];
    for (let window = 0; window <= WINDOWS; window++) {
      // The slowest input is the engine's own; outcomes are not added any more.
      for (let index = 0; index < windowInputs; index++) await this.#attempt(this.#mutant());
      this.#coverage.take();
      aliveBytes.push(await this.#aliveBytes());
    }
    // The first window warms up what is made once.
    const steps = aliveBytes.slice(2).map((bytes, index) => bytes - (aliveBytes[index + 1] ?? 0));
    const bytesPerInput = Math.min(...steps) / windowInputs;
    const kept = bytesPerInput * windowInputs;
    if (bytesPerInput > MAX_KEPT_PER_INPUT && kept > MIN_GROWTH_BYTES) {
      const what = `${Math.round(bytesPerInput)} bytes are kept for each input`;
      this.#found('growth', what, this.#corpus.at(-1) ?? new Uint8Array(0));
    }
    return { aliveBytes, bytesPerInput };
  }

  async #aliveBytes(): Promise<number> {
    await this.#target.settle?.();
    for (let round = 0; round < 3; round++) {
      await new Promise((resolve) => setImmediate(resolve));
      globalThis.gc?.();
    }
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  }
}
