// What waits for a connector: the more urgent first, then as it came, and no venue before all others.

import type { Trigger } from '../../wire/exchange-call.ts';
import { TRIGGER } from '../../wire/exchange-call.ts';
import type { Venue } from '../connector/classes.ts';
import type { ConnectorPool } from './connector-pool.ts';
import type { Limiter } from './limiter.ts';
import type { VenueTable } from './venue-table.ts';
import { hostsOf } from './venues.ts';

/** Of jobs: lower goes first, at the connectors and at the limiter. */
export const PRIORITY: Readonly<Record<Trigger, number>> = {
  [TRIGGER.snapshot]: 0,
  [TRIGGER.registration]: 1,
  [TRIGGER.schedule]: 2,
  [TRIGGER.retry]: 3,
  [TRIGGER.prices]: 4,
};

interface Waiting {
  readonly venue: Venue;
  readonly priority: number;
  readonly start: () => Promise<void>;
}

export class JobQueue {
  readonly #pool: ConnectorPool;
  readonly #limiter: Limiter;
  readonly #venues: VenueTable;
  readonly #track: (work: () => Promise<void>) => void;
  #waiting: Waiting[] = [];
  #closed = false;

  /** `track` runs work and handles what it throws. */
  constructor(
    pool: ConnectorPool,
    limiter: Limiter,
    venues: VenueTable,
    track: (work: () => Promise<void>) => void,
  ) {
    this.#pool = pool;
    this.#limiter = limiter;
    this.#venues = venues;
    this.#track = track;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Runs `start` when a connector is free for the venue and nothing more urgent waits for one. */
  add(venue: Venue, priority: number, start: () => Promise<void>): void {
    const at = this.#waiting.findIndex((other) => other.priority > priority);
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, { venue, priority, start });
    this.#serve();
  }

  /** Nothing more is started. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  #serve(): void {
    while (!this.#closed && this.#pool.hasFree) {
      const isMixed = new Set(this.#waiting.map(({ venue }) => venue)).size > 1;
      const at = this.#waiting.findIndex(({ venue }) => this.#mayStart(venue, isMixed));
      const [next] = at < 0 ? [] : this.#waiting.splice(at, 1);
      if (next === undefined) return;
      const entry = this.#venues.of(next.venue);
      entry.running++;
      // `start` takes its connector before it first waits.
      this.#track(async () => {
        await next.start();
        entry.running--;
        this.#serve();
      });
    }
  }

  /** A venue whose limit is reached must not hold all connectors while others wait. */
  #mayStart(venue: Venue, isMixed: boolean): boolean {
    const { running } = this.#venues.of(venue);
    if (running === 0) return true;
    if (this.#limiter.waitsFor(hostsOf(venue, 'live'))) return false;
    return !isMixed || running < Math.ceil(this.#pool.size / 2);
  }
}
