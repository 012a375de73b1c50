// Captures to batches: each file goes through the host's own replay (parser, batcher, sender) as a stream of
// its own, 1, 2, …, and the batches of all files come out in the order of their times; of equal times the
// lower stream first. Nothing is read far ahead of whoever takes the batches.

import type { EncodedBatch } from '../../wire/market/batcher.ts';
import type { ReplaySummary } from '../../host-proxy/feed/replay.ts';
import { replayCapture } from '../../host-proxy/feed/replay.ts';
import type { FeedChannel } from '../../wire/market/sender.ts';
import { FeedSender } from '../../wire/market/sender.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';

export interface CaptureOptions {
  readonly path: string;
  /** Those that the file is about. */
  readonly instruments: readonly Instrument[];
  /** Of its batches; default: 1 for the first capture, 2 for the second, … */
  readonly stream?: number;
}

export interface BatchCuts {
  readonly closeRows: number;
  readonly closeMs: number;
  /** Rows of each file; null: all. */
  readonly limitEvents: number | null;
}

export interface CaptureEnd {
  readonly path: string;
  readonly summary: ReplaySummary;
}

/** A file that cannot be read to its end; carries the refusal of the host's reader. */
export class CaptureFailure extends Error {
  readonly refusal: Refusal;
  constructor(path: string, { code, detail }: Refusal) {
    super(code);
    this.refusal = { code, detail: { file: path, ...detail } };
  }
}

/** What the host's sender takes for the stream to the enclave. */
class BatchQueue implements FeedChannel {
  alive = true;
  queuedBytes = 0;
  #batches: EncodedBatch[] = [];
  #drained: (() => void) | null = null;
  #filled: (() => void) | null = null;
  readonly #replay: Promise<Result<ReplaySummary>>;
  #end: Result<ReplaySummary> | null = null;

  constructor({ path, instruments }: CaptureOptions, stream: number, cuts: BatchCuts) {
    const sender = new FeedSender(this, {
      whenFull: 'wait',
      maxQueuedBytes: 0,
      onSent: (batch) => {
        this.#batches.push(batch);
        this.#filled?.();
      },
    });
    const options = { path, instruments, stream, speed: null, onMalformed: 'stop' } as const;
    this.#replay = replayCapture({ ...options, ...cuts }, sender);
    // A bug of the reader, not of the file, rejects; `next` then rejects, too.
    void this.#replay.then(
      (end) => {
        this.#end = end;
        this.#filled?.();
      },
      () => this.#filled?.(),
    );
  }

  /** Its batches, and every time that it must wait until they are taken. */
  send(): boolean {
    return false;
  }

  drained(): Promise<boolean> {
    if (this.#batches.length === 0 || !this.alive) return Promise.resolve(this.alive);
    return new Promise((resolve) => {
      this.#drained = () => {
        resolve(this.alive);
      };
    });
  }

  /** The first batch without taking it; null at the end of the file. */
  async next(): Promise<EncodedBatch | null> {
    while (this.#batches.length === 0) {
      if (this.#end !== null) return null;
      const filled = new Promise<void>((resolve) => {
        this.#filled = resolve;
      });
      await Promise.race([filled, this.#replay]);
    }
    return this.#batches[0] ?? null;
  }

  take(): void {
    this.#batches.shift();
    if (this.#batches.length === 0) this.#drained?.();
  }

  /** The reader stops at its next batch. */
  async stop(): Promise<Result<ReplaySummary>> {
    this.alive = false;
    this.#drained?.();
    return this.#replay;
  }
}

export class CaptureBatches {
  readonly #captures: readonly CaptureOptions[];
  readonly #cuts: BatchCuts;
  #ends: readonly CaptureEnd[] = [];

  constructor(captures: readonly CaptureOptions[], cuts: BatchCuts) {
    this.#captures = captures;
    this.#cuts = cuts;
  }

  /** Once all batches were taken. */
  get ends(): readonly CaptureEnd[] {
    return this.#ends;
  }

  /** Throws a CaptureFailure after the batches that came before it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<EncodedBatch> {
    const queues = this.#captures.map(
      (capture, at) => new BatchQueue(capture, capture.stream ?? at + 1, this.#cuts),
    );
    try {
      for (;;) {
        const heads = await Promise.all(queues.map((queue) => queue.next()));
        let first = -1;
        for (const [at, head] of heads.entries()) {
          const best = heads[first]?.timeNs ?? null;
          if (head !== null && (best === null || head.timeNs < best)) first = at;
        }
        const batch = heads[first] ?? null;
        if (batch === null) break;
        queues[first]?.take();
        yield batch;
      }
      this.#ends = await Promise.all(queues.map((queue, at) => this.#endOf(queue, at)));
    } finally {
      await Promise.all(queues.map((queue) => queue.stop()));
    }
  }

  async #endOf(queue: BatchQueue, at: number): Promise<CaptureEnd> {
    const path = this.#captures[at]?.path ?? '';
    const ended = await queue.stop();
    if (!ended.ok) throw new CaptureFailure(path, ended.refusal);
    return { path, summary: assertAccepted(ended) };
  }
}
