// How events come: as fast as they are taken, or at a rate, like a live feed. What a paced event waits
// for counts from the time at which it was due, so that a late hand-over is latency and not left out.

import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Batcher } from '../wire/market/batcher.ts';
import type { MarketEvent } from '../wire/market/events.ts';
import { rowsOf } from '../wire/market/events.ts';
import type { FeedSource } from '../host-proxy/feed-session.ts';
import { accept } from '../wire/result.ts';

export interface Sent {
  readonly events: number;
  readonly batches: number;
}

interface Handing {
  readonly closeRows: number;
  readonly onDone: (sent: Sent) => void;
}

/** As fast as the host takes them. */
export function fullSpeed(
  events: readonly MarketEvent[],
  { closeRows, onDone }: Handing,
): FeedSource {
  return async (sender, signal) => {
    const sent = { events: 0, batches: 0 };
    const batcher = new Batcher({
      stream: 1,
      closeRows,
      closeMs: 60_000,
      onBatch: (batch) => {
        sent.batches++;
        sender.send(batch);
      },
    });
    for (const event of events) {
      if (signal.aborted || !(await sender.ready())) break;
      batcher.add(event);
      sent.events += rowsOf(event);
    }
    batcher.flush();
    onDone(sent);
    return accept(summaryOf(events, sent));
  };
}

interface Pace extends Handing {
  readonly eventsPerSecond: number;
  /** The oldest event of the batch with this time was due then, on the clock of `performance.now()`. */
  readonly onBatch: (timeNs: bigint, dueMs: number) => void;
}

/** At a rate, in steps of a timer; a step's events go out at once, as whole batches. */
export function paced(events: readonly MarketEvent[], pace: Pace): FeedSource {
  return async (sender, signal) => {
    const { closeRows, eventsPerSecond, onBatch, onDone } = pace;
    const sent = { events: 0, batches: 0 };
    let oldestMs = 0;
    const batcher = new Batcher({
      stream: 1,
      closeRows,
      closeMs: 60_000,
      onBatch: (batch) => {
        sent.batches++;
        onBatch(batch.timeNs, oldestMs);
        sender.send(batch);
      },
    });
    const startMs = performance.now();
    let next = 0;
    while (next < events.length && !signal.aborted) {
      const elapsedMs = performance.now() - startMs;
      for (;;) {
        const event = events[next];
        const dueMs = (sent.events / eventsPerSecond) * 1000;
        if (event === undefined || dueMs > elapsedMs) break;
        if (!batcher.pending) oldestMs = startMs + dueMs;
        batcher.add(event);
        sent.events += rowsOf(event);
        next++;
      }
      batcher.flush();
      if (!(await sender.ready())) break;
      await sleep(1);
    }
    onDone(sent);
    return accept(summaryOf(events, sent));
  };
}

type ReplaySummary = Extract<Awaited<ReturnType<FeedSource>>, { ok: true }>['value'];

function summaryOf(events: readonly MarketEvent[], sent: Sent): ReplaySummary {
  return {
    ...sent,
    messages: events.length,
    refusedLines: 0,
    firstTimeNs: events.at(0)?.receiveTimeNs ?? 0n,
    lastTimeNs: events.at(-1)?.receiveTimeNs ?? 0n,
    ended: 'end',
  };
}
