// The feed of one epoch, from READY to its end: batches go out as the enclave takes them, released
// signals come back, are journaled durably and only then handed to execution, whose reports go out
// again. Frames that come back are handled strictly in order; a batch is answered when all that it led to
// is durable. What arrives is opaque but not trusted: execution checks every signal against the log.

import { Channel } from '../wire/channel.ts';
import type { Frame } from '../wire/frame.ts';
import { FIRST_CREDIT_BYTES, MAX_FEED_OUT_BYTES } from '../wire/limits.ts';
import type { Progress, Release } from '../wire/messages.ts';
import { FRAME, parseProgress, parseRefused, parseRelease } from '../wire/messages.ts';
import type { Refusal, Result } from '../wire/result.ts';
import type { SentBatch } from './execution/execution.ts';
import type { ReplaySummary } from './feed/replay.ts';
import { FeedSender } from '../wire/market/sender.ts';
import type { Logger } from './logger.ts';
import type { ReleaseJournal } from './release-journal.ts';

const MAX_QUEUED_BYTES: number = 4 * 1024 * 1024;

/** What the session needs of execution. */
export interface SignalHandler {
  holdBatch(batch: SentBatch): void;
  release(release: Release): void;
  /** Handled when it returns; resolves when it is durable and reported. */
  progress(progress: Progress): Promise<void>;
  /** Ends all orders and reports what became of them. */
  close(): Promise<void>;
}

/**
 * Sends a source's batches; resolves when there is no more, or when it was aborted. `openSender` is for a
 * source of several streams: each has a sender of its own.
 */
export type FeedSource = (
  sender: FeedSender,
  signal: AbortSignal,
  openSender: () => FeedSender,
) => Promise<Result<ReplaySummary>>;

export interface FeedSessionOptions {
  readonly source: FeedSource;
  /** `drop`: a source that cannot wait loses whole batches, which are declared as a gap. */
  readonly whenFull: 'wait' | 'drop';
  readonly execution: SignalHandler;
  readonly journal: ReleaseJournal;
  readonly logger: Logger;
  /** An output is journaled as released. */
  readonly onReleased: (leafIndex: number) => void;
  /** A disk or execution failed: the process must stop. */
  readonly onFailure: (error: unknown) => void;
}

export interface FeedNumbers {
  events: number;
  batchesSent: number;
  batchesDone: number;
  batchesRefused: number;
  /** Declared as gaps. */
  batchesDropped: number;
  gapsDeclared: number;
  signals: number;
  reports: number;
}

export interface FeedEnd {
  /** `complete`: every batch was answered and every signal handled; `failed`: the source refused. */
  readonly reason: 'complete' | 'stopped' | 'failed' | 'lost';
  readonly refusal: Refusal | null;
  readonly replay: ReplaySummary | null;
}

type ByteStream = ConstructorParameters<typeof Channel>[0];

export class FeedSession {
  readonly numbers: FeedNumbers = {
    events: 0,
    batchesSent: 0,
    batchesDone: 0,
    batchesRefused: 0,
    batchesDropped: 0,
    gapsDeclared: 0,
    signals: 0,
    reports: 0,
  };
  readonly #options: FeedSessionOptions;
  readonly #channel: Channel;
  readonly #abort = new AbortController();
  readonly #lost = Promise.withResolvers<Refusal | null>();
  #tail: Promise<void> = Promise.resolve();
  /** Of the last batch that execution has played; those of the ones before come first. */
  #delivered: Promise<void> = Promise.resolve();
  /** Batches that were sent, `stream/sequence`; the credit bounds them. */
  readonly #unanswered = new Set<string>();
  #allDone: (() => void) | null = null;
  #closed: Promise<void> | null = null;
  #over = false;
  #failed = false;

  constructor(stream: ByteStream, options: FeedSessionOptions) {
    this.#options = options;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_FEED_OUT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: [FRAME.release, FRAME.progress, FRAME.refused],
      onFrame: (frame) => this.#receive(frame),
      onEnd: (refusal) => {
        this.#over = true;
        this.#lost.resolve(refusal);
      },
    });
  }

  /**
   * A report for the enclave. Never waits: execution must not wait for the enclave to read while the
   * enclave waits for execution to go on; the orders bound what queues here.
   */
  report(payload: Uint8Array): void {
    this.numbers.reports++;
    this.#channel.send(FRAME.report, payload);
  }

  /** Stops the source; what was sent is still waited for. */
  stop(): void {
    this.#abort.abort();
  }

  /** Everything from the first batch to the end of the stream. Never rejects. */
  async run(): Promise<FeedEnd> {
    const lost = this.#lost.promise.then((refusal) => ({ lost: refusal }));
    const worked = await Promise.race([this.#work(), lost]);
    if ('lost' in worked) {
      this.stop();
      await this.#tail;
      await this.#closeExecution();
      return { reason: 'lost', refusal: worked.lost, replay: null };
    }
    // The end of the enclave's side says that it has read all of ours.
    void this.#channel.close();
    await this.#lost.promise;
    const { replay } = worked;
    if (!replay.ok) return { reason: 'failed', refusal: replay.refusal, replay: null };
    const reason = replay.value.ended === 'aborted' ? 'stopped' : 'complete';
    return { reason, refusal: null, replay: replay.value };
  }

  destroy(): void {
    this.#channel.destroy({ code: 'stream_closed', detail: {} });
  }

  async #work(): Promise<{ readonly replay: Result<ReplaySummary> }> {
    const { source } = this.#options;
    const openSender = (): FeedSender => this.#openSender();
    const replay = await source(openSender(), this.#abort.signal, openSender);
    await this.#answered();
    await this.#tail;
    if (!this.#over) await this.#closeExecution();
    return { replay };
  }

  #openSender(): FeedSender {
    const { whenFull, execution, logger } = this.#options;
    return new FeedSender(this.#channel, {
      whenFull,
      maxQueuedBytes: MAX_QUEUED_BYTES,
      onSent: (batch) => {
        this.numbers.batchesSent++;
        this.#unanswered.add(`${batch.stream}/${batch.sequence}`);
        this.numbers.events += batch.rows;
        execution.holdBatch(batch);
      },
      onDeclared: ({ stream: id, firstMissing: first_missing, batches, rows }) => {
        this.numbers.batchesDropped += batches;
        this.numbers.gapsDeclared++;
        logger.warn('feed_dropped', { stream: id, first_missing, batches, rows });
      },
    });
  }

  /** Once: the stream may be lost while this runs. */
  #closeExecution(): Promise<void> {
    this.#closed ??= this.#guard(() => this.#options.execution.close());
    return this.#closed;
  }

  /** Resolves when each batch that was sent has its PROGRESS or REFUSED. */
  #answered(): Promise<void> {
    if (this.#isAnswered()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#allDone = resolve;
    });
  }

  #isAnswered(): boolean {
    return this.#unanswered.size === 0;
  }

  /** True when the batch waited for this answer; a GAP can be refused too, and is not waited for. */
  #answer(stream: number | null, sequence: number | null): boolean {
    const answered = this.#unanswered.delete(`${stream}/${sequence}`);
    if (this.#isAnswered()) this.#allDone?.();
    return answered;
  }

  #receive({ type, payload }: Frame): Promise<void> | undefined {
    if (this.#over) return undefined;
    const refusal =
      type === FRAME.release
        ? this.#takeRelease(payload)
        : type === FRAME.progress
          ? this.#takeProgress(payload)
          : this.#takeRefused(payload);
    if (refusal !== null) {
      this.#options.logger.error('feed_refused', { code: refusal.code });
      this.#channel.destroy(refusal);
      return undefined;
    }
    // The host's own disk holds the enclave up, by its credit.
    return type === FRAME.progress ? this.#tail.then(() => this.#delivered) : this.#tail;
  }

  #takeRelease(payload: Uint8Array): Refusal | null {
    const parsed = parseRelease(payload);
    if (!parsed.ok) return parsed.refusal;
    const release = parsed.value;
    this.numbers.signals++;
    const { journal, execution, onReleased } = this.#options;
    // Written at once, so that releases that arrive together share a sync; handled in order.
    const journaled = journal.record(release.leafIndex);
    journaled.catch(() => undefined);
    this.#enqueue(async () => {
      await journaled;
      onReleased(release.leafIndex);
      execution.release(release);
    });
    return null;
  }

  #takeProgress(payload: Uint8Array): Refusal | null {
    const parsed = parseProgress(payload);
    if (!parsed.ok) return parsed.refusal;
    const { stream, sequence } = parsed.value;
    this.#enqueue(() => {
      // The next frame does not wait for the disk: batches that come together share a sync.
      const delivered = this.#options.execution.progress(parsed.value);
      this.#delivered = this.#guard(async () => {
        await delivered;
        if (this.#answer(stream, sequence)) this.numbers.batchesDone++;
      });
    });
    return null;
  }

  #takeRefused(payload: Uint8Array): Refusal | null {
    const parsed = parseRefused(payload);
    if (!parsed.ok) return parsed.refusal;
    const { code, stream, sequence } = parsed.value;
    this.#options.logger.warn('enclave_refused', { code, stream, sequence });
    this.#enqueue(() => {
      if (this.#answer(stream, sequence)) this.numbers.batchesRefused++;
    });
    return null;
  }

  #enqueue(step: () => void | Promise<void>): void {
    this.#tail = this.#tail.then(() => this.#guard(step));
  }

  async #guard(step: () => void | Promise<void>): Promise<void> {
    if (this.#failed) return;
    try {
      await step();
    } catch (error) {
      if (this.#failed) return;
      this.#failed = true;
      this.#options.onFailure(error);
    }
  }
}
