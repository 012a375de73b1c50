// Puts batches on the feed stream. Where the source can wait it is made to wait; where it cannot, whole
// batches are dropped from a full queue on until it has drained, so that holes are few, and each hole
// is declared to the enclave with a GAP frame as soon as there is room, also when no batch follows. A
// drop that is not declared would show in the log as one of ours.

import type { DeclaredGap } from '../enclave-messages.ts';
import { encodeDeclaredGap, FRAME } from '../enclave-messages.ts';
import type { EncodedBatch } from './batcher.ts';

/** What is used of a Channel. */
export interface FeedChannel {
  readonly alive: boolean;
  readonly queuedBytes: number;
  send(type: number, payload: Uint8Array): boolean;
  drained(): Promise<boolean>;
}

export interface FeedSenderOptions {
  /** `wait`: the source must await `ready()`. `drop`: the source goes on, batches may be dropped. */
  readonly whenFull: 'wait' | 'drop';
  /** With `drop`: a batch that would make the channel hold more than this starts a hole. */
  readonly maxQueuedBytes: number;
  /** Called for each batch that is sent, in order; the paper broker holds it back from here. */
  readonly onSent?: (batch: EncodedBatch) => void;
  /** Called for each GAP that is sent. */
  readonly onDeclared?: (gap: DeclaredGap) => void;
}

const NOTHING = {
  batchesSent: 0,
  rowsSent: 0,
  bytesSent: 0,
  batchesDropped: 0,
  rowsDropped: 0,
  gapsDeclared: 0,
  /** How often the source had to wait. */
  waits: 0,
};
export type FeedCounters = typeof NOTHING;

/** Of one stream; several may share a channel. */
export class FeedSender {
  readonly counters: FeedCounters = { ...NOTHING };
  readonly #channel: FeedChannel;
  readonly #options: FeedSenderOptions;
  #full = false;
  /** Being dropped; it is declared when the channel has drained, or at the end. */
  #gap: { stream: number; firstMissing: number; batches: number; rows: number | null } | null =
    null;

  constructor(channel: FeedChannel, options: FeedSenderOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  send(batch: EncodedBatch): void {
    const { whenFull, maxQueuedBytes, onSent } = this.#options;
    const queued = this.#channel.queuedBytes + batch.bytes.length;
    if (whenFull === 'drop' && (this.#gap !== null || queued > maxQueuedBytes)) {
      this.#drop(batch);
      return;
    }
    this.#full = !this.#channel.send(FRAME.batch, batch.bytes);
    this.counters.batchesSent++;
    this.counters.rowsSent += batch.rows;
    this.counters.bytesSent += batch.bytes.length;
    onSent?.(batch);
  }

  /** False when the stream is over. Resolves at once unless batches are waiting and may not be dropped. */
  async ready(): Promise<boolean> {
    if (this.#full && this.#options.whenFull === 'wait' && this.#channel.alive) {
      this.counters.waits++;
      this.#full = !(await this.#channel.drained());
    }
    return this.#channel.alive;
  }

  /**
   * Data that never came, in place of the batch with this sequence: declared now, or together with what is
   * being dropped.
   */
  skip(stream: number, sequence: number): void {
    if (this.#gap === null) {
      this.#gap = { stream, firstMissing: sequence, batches: 1, rows: null };
      this.#declare();
    } else {
      this.#gap.batches++;
      this.#gap.rows = null;
    }
  }

  /** Declares what was dropped last, when no batch follows. */
  finish(): void {
    this.#declare();
  }

  #drop(batch: EncodedBatch): void {
    this.counters.batchesDropped++;
    this.counters.rowsDropped += batch.rows;
    if (this.#gap === null) {
      this.#gap = { stream: batch.stream, firstMissing: batch.sequence, batches: 0, rows: 0 };
      void this.#channel.drained().then((alive) => {
        if (alive) this.#declare();
      });
    }
    this.#gap.batches++;
    if (this.#gap.rows !== null) this.#gap.rows += batch.rows;
  }

  #declare(): void {
    const gap = this.#gap;
    if (gap === null) return;
    this.#gap = null;
    this.#channel.send(FRAME.gap, encodeDeclaredGap(gap));
    this.counters.gapsDeclared++;
    this.#options.onDeclared?.(gap);
  }
}
