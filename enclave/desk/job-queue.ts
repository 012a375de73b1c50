// What waits for a connector: the more urgent first, then as it came. A job begins only where the limits of its venue have
// room for what jobs there cost of late, so that none holds a connector while it waits for them; no venue has all of
// the connectors, and no urgency all of a venue's turns.

import type { Account } from './accounts.ts';
import type { ConnectorPool } from './connector-pool.ts';
import type { Limiter } from './limiter.ts';
import type { Time } from './time.ts';
import type { VenueEntry, VenueTable } from './venue-table.ts';
import { needOf } from './venue-table.ts';

type Asker = Pick<Account, 'environment' | 'id' | 'venue'>;

interface Waiting {
  readonly of: Asker;
  readonly entry: VenueEntry;
  readonly priority: number;
  /** As they came. */
  readonly order: number;
  readonly start: () => Promise<void>;
  readonly drop: () => void;
}

export interface QueueParts {
  readonly time: Time;
  readonly pool: ConnectorPool;
  readonly limiter: Limiter;
  readonly venues: VenueTable;
  /** Runs work and handles what it throws. */
  readonly track: (work: () => Promise<void>) => void;
}

/** One start of so many at a venue is for the one that has waited longest of those that are less urgent. */
export const TURNS = 32;

export class JobQueue {
  readonly #parts: QueueParts;
  readonly #waiting: Waiting[] = [];
  #order = 0;
  #cancelTimer: () => void = () => undefined;
  #closed = false;

  constructor(parts: QueueParts) {
    this.#parts = parts;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Runs `start` when a connector is free for the venue, its limits have room, and nothing more urgent waits for them; `drop`
   * when it is closed before. The answer takes it back.
   */
  add(
    of: Asker,
    priority: number,
    start: () => Promise<void>,
    drop: () => void = () => undefined,
  ): () => void {
    if (this.#closed) drop();
    const entry = this.#parts.venues.of(of.venue, of.environment);
    const job = { of, entry, priority, order: this.#order++, start, drop };
    const at = this.#waiting.findIndex((other) => other.priority > priority);
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, job);
    this.#serve();
    return () => {
      this.#take(job);
    };
  }

  /** Nothing more is started. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    for (const { drop } of this.#waiting.splice(0)) drop();
  }

  #take(job: Waiting): void {
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  #serve(): void {
    const { time, pool, track } = this.#parts;
    this.#cancelTimer();
    while (!this.#closed && pool.hasFree) {
      const next = this.#next();
      if (typeof next === 'number') {
        if (next !== Number.POSITIVE_INFINITY) {
          this.#cancelTimer = time.after(next, () => {
            this.#serve();
          });
        }
        return;
      }
      this.#take(next);
      const { running } = next.entry;
      running.push(next.priority);
      // `start` takes its connector before it first waits.
      track(async () => {
        await next.start();
        running.splice(running.indexOf(next.priority), 1);
        this.#serve();
      });
    }
  }

  /** The one to start, or after how many milliseconds to look again. */
  #next(): Waiting | number {
    const isMixed = new Set(this.#waiting.map(({ entry }) => entry)).size > 1;
    const full = new Set<VenueEntry>();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const job of this.#waiting) {
      const { entry } = job;
      if (full.has(entry)) continue;
      const venueMs = this.#venueMs(job, isMixed);
      // Less urgent ones may not use more.
      if (venueMs > 0) full.add(entry);
      const waitMs = venueMs > 0 ? venueMs : this.#accountMs(job);
      if (waitMs === 0) return this.#turnOf(job, isMixed);
      nextMs = Math.min(nextMs, waitMs);
    }
    return nextMs;
  }

  /** `job`, or the one whose turn it is in its place. */
  #turnOf(job: Waiting, isMixed: boolean): Waiting {
    job.entry.turn++;
    if (job.entry.turn % TURNS !== 0) return job;
    let first: Waiting | null = null;
    for (const other of this.#waiting) {
      const isOther = other.entry === job.entry && other.priority > job.priority;
      if (!isOther || (first !== null && first.order < other.order)) continue;
      if (this.#venueMs(other, isMixed) === 0 && this.#accountMs(other) === 0) first = other;
    }
    return first ?? job;
  }

  #venueMs({ entry, priority }: Waiting, isMixed: boolean): number {
    const { limiter, pool } = this.#parts;
    const { running } = entry;
    const most = isMixed ? Math.ceil(pool.size / 2) : Math.max(1, pool.size - 1);
    // The end of a job is waited for.
    if (running.length >= most) return Number.POSITIVE_INFINITY;
    return limiter.roomMs(needOf(entry, priority), '', priority);
  }

  #accountMs({ of, entry, priority }: Waiting): number {
    const cost = entry.costs.get(priority);
    return cost === undefined ? 0 : this.#parts.limiter.roomMs(cost, of.id, priority);
  }
}
