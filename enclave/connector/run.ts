// One job's calls: its clock, its budget, and the retries. A call is made again only for a class that may pass,
// with a pause that doubles and has jitter, or as long as the venue said, and never for longer than the
// job has; a clock that the venue does not like is asked for once. Signatures are made anew each time.

import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError, classOfThrown } from './call-error.ts';
import type { ErrorClass } from './classes.ts';
import { isRetryable } from './classes.ts';
import type { Job } from './job.ts';
import type { Answer, Line, Question } from './line.ts';

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;
/** The desk's limiter and breaker are for these: trying again is its decision, at the next poll. */
const LEFT_TO_THE_DESK: ReadonlySet<ErrorClass> = new Set([
  'rate_limited',
  'banned',
  'maintenance',
]);

/** Keys that cannot even sign are no keys: not a PEM, not base64. */
function buildWith(build: () => Attempt): Attempt {
  try {
    return build();
  } catch (error) {
    throw error instanceof CallError ? error : new CallError('authentication');
  }
}

export type Attempt = Omit<Question, 'attempt'>;

/** Calls or time of the job are used up; what was reached so far stays. */
export class BudgetError extends Error {}

export class Run {
  readonly job: Job;
  readonly #line: Line;
  readonly #startedMs = performance.now();
  readonly #random: () => number;
  #calls = 0;
  #offsetMs = 0;
  clockOffsetMs: number | null = null;
  /** Host and path of the last call. */
  source = '';

  /** `random` from 0 to 1, for jitter. */
  constructor(job: Job, line: Line, random: () => number = Math.random) {
    this.job = job;
    this.#line = line;
    this.#random = random;
  }

  get calls(): number {
    return this.#calls;
  }

  /** The desk's clock, which goes on by this process's own. */
  nowMs(): number {
    return this.job.nowMs + Math.floor(performance.now() - this.#startedMs);
  }

  /** What signatures say; differs from `nowMs` once the venue has said what time it is. */
  venueNowMs(): number {
    return this.nowMs() + this.#offsetMs;
  }

  setVenueTime(venueMs: number): void {
    this.#offsetMs = venueMs - this.nowMs();
    this.clockOffsetMs = this.#offsetMs;
  }

  get leftMs(): number {
    return this.job.budget.deadlineMs - (performance.now() - this.#startedMs);
  }

  /**
   * `build` makes the request of each attempt, `read` takes the answer and may throw; both ends of it become one
   * class, which the desk is told. `askTime` is tried once when the venue refuses the time of a signature.
   */
  async call<T>(
    build: () => Attempt,
    read: (answer: Answer) => T | Promise<T>,
    askTime: (() => Promise<number>) | null,
  ): Promise<T> {
    let asked = false;
    for (let attempt = 0; ; attempt++) {
      this.#spend();
      const outcome = await this.#attempt(build, read, attempt);
      if (outcome.error === null) return outcome.value;
      const { errorClass, retryAfterMs } = outcome.error;
      if (errorClass === 'invalid_nonce' && askTime !== null && !asked) {
        asked = true;
        this.setVenueTime(await askTime());
      } else {
        await this.#pause(errorClass, retryAfterMs, attempt);
      }
    }
  }

  #spend(): void {
    if (this.#calls >= this.job.budget.calls || this.leftMs <= 0) {
      throw new BudgetError('budget');
    }
    this.#calls++;
  }

  async #attempt<T>(
    build: () => Attempt,
    read: (answer: Answer) => T | Promise<T>,
    attempt: number,
  ): Promise<{ error: null; value: T } | { error: CallError }> {
    let status = 0;
    let call: number | null = null;
    try {
      const question = buildWith(build);
      this.source = question.url.replace(/^https:\/\/|\?.*$/gu, '');
      const answer = await this.#line.call(this.job.id, { ...question, attempt });
      ({ status, call } = answer);
      const value = await read(answer);
      this.#line.meaning(call, 'ok');
      return { error: null, value };
    } catch (error) {
      const errorClass = classOfThrown(error, status);
      if (call !== null) this.#line.meaning(call, errorClass);
      const wait = error instanceof CallError ? error.retryAfterMs : null;
      return { error: new CallError(errorClass, wait) };
    }
  }

  /** Throws when there is no next attempt. */
  async #pause(
    errorClass: ErrorClass,
    retryAfterMs: number | null,
    attempt: number,
  ): Promise<void> {
    const error = new CallError(errorClass, retryAfterMs);
    if (!isRetryable(errorClass) || LEFT_TO_THE_DESK.has(errorClass)) throw error;
    if (attempt >= this.job.budget.retries) throw error;
    const doubled = Math.min(FIRST_PAUSE_MS * 2 ** attempt, MAX_PAUSE_MS);
    const pauseMs = retryAfterMs ?? doubled * (0.5 + this.#random() / 2);
    if (pauseMs > this.leftMs) throw error;
    await sleep(pauseMs);
  }
}
