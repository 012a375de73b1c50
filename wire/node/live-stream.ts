// Keeps one live stream running: connects, subscribes, asks for snapshots, notices silence, and connects
// again after a while that grows. Who makes the connections (ccxt on the host, the enclave's own TLS) is the
// dialer's part. A venue, or whoever stands before it, can end the stream again and again, and fill nothing.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Instrument } from '../instrument.ts';
import type { Backoff } from '../market/backoff.ts';
import { backoffMs } from '../market/backoff.ts';
import type { LiveFeed } from '../market/live-feed.ts';
import type { Venue } from '../market/venues/venue.ts';
import type { Refusal } from '../result.ts';

/** A connection that lasted so long counts as a good one. */
const GOOD_MS = 10_000;

/** One connection, already open. */
export interface LiveConnection {
  send(text: string): void;
  /** A ping of WebSocket's own. */
  ping(): void;
  close(): void;
}

export interface LiveHandlers {
  readonly onText: (text: string) => void;
  /** A pong, or anything else that is no text. */
  readonly onAlive: () => void;
  /** Once; also for what breaks the protocol. */
  readonly onEnd: () => void;
}

/** What went wrong with a snapshot, and how long the venue wants to be left alone. */
export class SnapshotError extends Error {
  readonly retryAfterMs: number;
  constructor(retryAfterMs: number) {
    super('snapshot');
    this.retryAfterMs = retryAfterMs;
  }
}

export interface LiveDialer {
  /** Resolves with an open connection; rejects with whatever kept it from being made. */
  connect(handlers: LiveHandlers): Promise<LiveConnection>;
  /** The answer's text. Rejects with a SnapshotError or any other error. */
  snapshot(path: string): Promise<string>;
}

export interface LiveTimes {
  /** Between two looks at what is due; batches are closed at least so often. */
  readonly tickMs: number;
  readonly pingMs: number;
  /** Without a sign of life for so long a connection counts as lost. */
  readonly silenceMs: number;
  readonly reconnect: Backoff;
  /**
   * Between two requests for snapshots: at 50 of Binance's 6,000 a minute on spot, and 20 of 2,400 on USD-M, well
   * below the limit of an address.
   */
  readonly askMs: number;
}

const TIMES: LiveTimes = {
  tickMs: 50,
  pingMs: 15_000,
  silenceMs: 40_000,
  reconnect: { firstMs: 500, maxMs: 30_000 },
  askMs: 1000,
};

export interface LiveStreamOptions {
  readonly venue: Venue;
  readonly instruments: readonly Instrument[];
  readonly feed: LiveFeed;
  readonly dialer: LiveDialer;
  /** Receive times; wall clock. */
  readonly nowNs: () => bigint;
  readonly random: () => number;
  readonly times?: Partial<LiveTimes>;
  readonly onRefusal?: (refusal: Refusal) => void;
  readonly onConnected?: () => void;
  readonly onLost?: () => void;
}

/** Of a stream that has not begun. */
export const NO_CONNECTIONS = {
  connected: 0,
  connectsFailed: 0,
  /** Connections that ended without being asked to. */
  lost: 0,
  silent: 0,
  snapshotsFailed: 0,
};
export type LiveStreamCounters = typeof NO_CONNECTIONS;

export class LiveStream {
  readonly counters: LiveStreamCounters = { ...NO_CONNECTIONS };
  readonly #options: LiveStreamOptions;
  readonly #times: LiveTimes;
  /** No snapshot is asked for before. */
  #nextAskMs = 0;

  constructor(options: LiveStreamOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
  }

  /** Until it is aborted; what came is then flushed. */
  async run(signal: AbortSignal): Promise<void> {
    let attempt = 0;
    while (!signal.aborted) {
      const startMs = performance.now();
      await this.#connection(signal);
      if (performance.now() - startMs >= GOOD_MS) attempt = 0;
      const waitMs = backoffMs(this.#times.reconnect, attempt++, this.#options.random());
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
    this.#options.feed.flush();
  }

  /** One connection, from its beginning to its end. */
  async #connection(signal: AbortSignal): Promise<void> {
    const { feed, dialer, venue, instruments, nowNs, onRefusal } = this.#options;
    const ended = Promise.withResolvers<null>();
    let over = false;
    let aliveMs = performance.now();
    const end = (): void => {
      over = true;
      ended.resolve(null);
    };
    const handlers: LiveHandlers = {
      onText: (text) => {
        if (over) return;
        aliveMs = performance.now();
        const refusal = feed.message(text, nowNs());
        if (refusal === null) return;
        onRefusal?.(refusal);
        end();
      },
      onAlive: () => {
        aliveMs = performance.now();
      },
      onEnd: end,
    };
    let connection: LiveConnection;
    try {
      connection = await dialer.connect(handlers);
    } catch {
      this.counters.connectsFailed++;
      // Without a connection nothing new is missing, but a first text may have come before its end.
      feed.interrupt();
      return;
    }
    this.counters.connected++;
    this.#options.onConnected?.();
    let pingMs = performance.now();
    const tick = setInterval(() => {
      const nowMs = performance.now();
      feed.flush();
      this.#askForBooks(connection, nowMs, () => over);
      if (nowMs - pingMs >= this.#times.pingMs) {
        pingMs = nowMs;
        if (venue.ping !== null) connection.send(venue.ping);
        connection.ping();
      }
      if (nowMs - aliveMs < this.#times.silenceMs || over) return;
      this.counters.silent++;
      end();
    }, this.#times.tickMs);
    signal.addEventListener('abort', end, { once: true });
    try {
      if (signal.aborted) end();
      for (const text of venue.subscribe(instruments)) connection.send(text);
      feed.opened(performance.now());
      await ended.promise;
    } finally {
      over = true;
      clearInterval(tick);
      signal.removeEventListener('abort', end);
      connection.close();
    }
    // At an end that was asked for nothing is missing: the stream is over.
    if (signal.aborted) return;
    this.counters.lost++;
    feed.interrupt();
    this.#options.onLost?.();
  }

  /** One request at a time, so that a venue's limits hold for many books as well. */
  #askForBooks(connection: LiveConnection, nowMs: number, isOver: () => boolean): void {
    const { feed, venue } = this.#options;
    const instrument = isOver() || nowMs < this.#nextAskMs ? null : feed.due(nowMs);
    if (instrument === null) return;
    this.#nextAskMs = nowMs + this.#times.askMs;
    const path = venue.snapshotPath(instrument);
    if (path !== null) void this.#fetchSnapshot(instrument, path, isOver);
    else for (const text of venue.resubscribe(instrument)) connection.send(text);
  }

  async #fetchSnapshot(instrument: Instrument, path: string, isOver: () => boolean): Promise<void> {
    const { feed, dialer, nowNs, onRefusal } = this.#options;
    let text: string;
    try {
      text = await dialer.snapshot(path);
    } catch (error) {
      this.counters.snapshotsFailed++;
      const pauseMs = error instanceof SnapshotError ? error.retryAfterMs : 0;
      // The venue counts them all together.
      this.#nextAskMs = Math.max(this.#nextAskMs, performance.now() + pauseMs);
      return;
    }
    if (isOver()) return;
    const refusal = feed.snapshot(text, instrument, nowNs());
    if (refusal !== null) onRefusal?.(refusal);
  }
}
