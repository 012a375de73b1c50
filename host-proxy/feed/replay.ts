// Replays a capture into a feed sender: in real time, N times faster, or as fast as the enclave takes it.
// The batches are the same at every speed: only receive times of the capture decide where one ends. Time
// spent waiting for the enclave moves the schedule, so that a stall is not followed by a burst.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Instrument } from '../../wire/configuration.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import { Batcher } from '../../wire/market/batcher.ts';
import { BinanceParser } from '../../wire/market/venues/binance.ts';
import { readCapture } from './capture.ts';
import type { MarketEvent } from '../../wire/market/events.ts';
import { rowsOf } from '../../wire/market/events.ts';
import type { FeedSender } from '../../wire/market/sender.ts';

const NS_PER_MS = 1e6;

export interface ReplayClock {
  nowMs(): number;
  /** Resolves after about `ms`, earlier when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

const systemClock: ReplayClock = {
  nowMs: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await sleep(ms, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },
};

export interface ReplayOptions {
  readonly path: string;
  /** The instruments of the capture; messages about others are passed over. */
  readonly instruments: readonly Instrument[];
  /** Stream id of the configuration. */
  readonly stream: number;
  /** 1 is real time; null is as fast as possible. */
  readonly speed: number | null;
  /** Stop once this many events (rows) were taken; null: the whole file. */
  readonly limitEvents: number | null;
  readonly closeRows: number;
  readonly closeMs: number;
  readonly onMalformed: 'stop' | 'continue';
  readonly onRefusal?: (refusal: Refusal) => void;
  readonly signal?: AbortSignal;
  readonly clock?: ReplayClock;
}

export interface ReplaySummary {
  /** Messages of the venue. */
  messages: number;
  /** Rows. */
  events: number;
  batches: number;
  refusedLines: number;
  /** Receive times of the first and the last message; 0 without any. */
  firstTimeNs: bigint;
  lastTimeNs: bigint;
  ended: 'end' | 'limit' | 'aborted' | 'stream_closed';
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #sender: FeedSender;
  readonly #batcher: Batcher;
  readonly #clock: ReplayClock;
  readonly #signal: AbortSignal;
  #startMs = 0;
  readonly summary: ReplaySummary = {
    messages: 0,
    events: 0,
    batches: 0,
    refusedLines: 0,
    firstTimeNs: 0n,
    lastTimeNs: 0n,
    ended: 'end',
  };

  constructor(options: ReplayOptions, sender: FeedSender) {
    this.#options = options;
    this.#sender = sender;
    this.#clock = options.clock ?? systemClock;
    this.#signal = options.signal ?? new AbortController().signal;
    this.#batcher = new Batcher({
      stream: options.stream,
      closeRows: options.closeRows,
      closeMs: options.closeMs,
      onBatch: (batch) => {
        this.summary.batches++;
        sender.send(batch);
      },
    });
  }

  /** False when the replay is over. */
  async take(event: MarketEvent): Promise<boolean> {
    const { summary } = this;
    if (summary.messages === 0) {
      summary.firstTimeNs = event.receiveTimeNs;
      this.#startMs = this.#clock.nowMs();
    }
    this.#batcher.closeBefore(event);
    await this.#pace(event);
    if (this.#signal.aborted) return this.#end('aborted');
    if (!(await this.#waitForEnclave())) return this.#end('stream_closed');
    this.#batcher.add(event);
    summary.messages++;
    summary.events += rowsOf(event);
    summary.lastTimeNs = event.receiveTimeNs;
    const { limitEvents } = this.#options;
    return limitEvents === null || summary.events < limitEvents || this.#end('limit');
  }

  async finish(): Promise<void> {
    if (this.summary.ended === 'stream_closed') return;
    this.#batcher.flush();
    this.#sender.finish();
    if (!(await this.#sender.ready())) this.summary.ended = 'stream_closed';
  }

  #end(reason: ReplaySummary['ended']): false {
    this.summary.ended = reason;
    return false;
  }

  async #pace(event: MarketEvent): Promise<void> {
    const { speed } = this.#options;
    if (speed === null) return;
    const elapsedNs = Number(event.receiveTimeNs - this.summary.firstTimeNs);
    const dueMs = this.#startMs + elapsedNs / NS_PER_MS / speed;
    const waitMs = dueMs - this.#clock.nowMs();
    if (waitMs >= 1) await this.#clock.sleep(waitMs, this.#signal);
  }

  async #waitForEnclave(): Promise<boolean> {
    const before = this.#clock.nowMs();
    const alive = await this.#sender.ready();
    this.#startMs += this.#clock.nowMs() - before;
    return alive;
  }
}

/**
 * Replays until the end of the file, the limit, an abort or the end of the stream. Refuses
 * `file_unreadable`, and `capture_malformed` when malformed lines stop the replay; what came before was
 * sent all the same.
 */
export async function replayCapture(
  options: ReplayOptions,
  sender: FeedSender,
): Promise<Result<ReplaySummary>> {
  const replay = new Replay(options, sender);
  const parser = new BinanceParser(options.instruments);
  const fatal = await run(replay, readCapture(options.path, parser, options), options);
  await replay.finish();
  return fatal === null ? accept(replay.summary) : { ok: false, refusal: fatal };
}

async function run(
  replay: Replay,
  chunks: ReturnType<typeof readCapture>,
  options: ReplayOptions,
): Promise<Refusal | null> {
  for await (const { events, refusals } of chunks) {
    for (const event of events) if (!(await replay.take(event))) return null;
    for (const refusal of refusals) {
      replay.summary.refusedLines++;
      options.onRefusal?.(refusal);
      if (options.onMalformed === 'stop' || refusal.code === 'file_unreadable') return refusal;
    }
  }
  return null;
}
