// What is known of each venue while the desk runs: its breaker, the retries of all its jobs, and what it announced. For
// operators and counters; accounts and their calls are not in it.

import type { Environment } from '../../wire/exchange-call.ts';
import type { ErrorClass, Venue } from '../connector/classes.ts';
import type { BreakerState } from './breaker.ts';
import { Breaker } from './breaker.ts';
import { RetryBudget } from './retry-budget.ts';
import { hostsOf } from './venues.ts';

export interface VenueEntry {
  readonly venue: Venue;
  readonly breaker: Breaker;
  readonly retries: RetryBudget;
  /** Jobs. */
  running: number;
  /** Answers that announce the end of what was called, or say that it is gone. */
  versionNotices: number;
}

export interface VenueStatus {
  readonly venue: Venue;
  readonly state: BreakerState;
  readonly reason: ErrorClass | null;
  readonly openUntilMs: number;
  readonly versionNotices: number;
}

export class VenueTable {
  /** By venue and hosts: a test system with hosts of its own fails for itself. */
  readonly #venues = new Map<string, VenueEntry>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  of(venue: Venue, environment: Environment = 'live'): VenueEntry {
    const key = [venue, ...hostsOf(venue, environment)].join('|');
    const known = this.#venues.get(key);
    if (known !== undefined) return known;
    const entry = {
      venue,
      breaker: new Breaker(this.#random),
      retries: new RetryBudget(),
      running: 0,
      versionNotices: 0,
    };
    this.#venues.set(key, entry);
    return entry;
  }

  get status(): readonly VenueStatus[] {
    return [...this.#venues.values()].map(({ venue, breaker, versionNotices }) => ({
      venue,
      state: breaker.state,
      reason: breaker.reason,
      openUntilMs: breaker.openUntilMs,
      versionNotices,
    }));
  }

  get counters(): Readonly<Record<string, number>> {
    const all = this.status;
    const entries = [...this.#venues.values()];
    const sum = (read: (entry: VenueEntry) => number): number =>
      entries.reduce((total, entry) => total + read(entry), 0);
    return {
      venues_open: all.filter(({ state }) => state !== 'closed').length,
      venues_maintenance: all.filter(({ reason }) => reason === 'maintenance').length,
      venue_version_notices: sum(({ versionNotices }) => versionNotices),
      breaker_opened: sum(({ breaker }) => breaker.counters.opened),
      breaker_closed: sum(({ breaker }) => breaker.counters.closed),
      breaker_probes: sum(({ breaker }) => breaker.counters.probes),
    };
  }
}
