// What is known of each venue while the desk runs: its breaker, the retries of all its jobs, what a job costs there, and
// what it announced. Accounts and their calls are not in it.

import type { Environment } from '../../wire/exchange-call.ts';
import type { ErrorClass, Venue } from '../connector/classes.ts';
import type { BreakerState } from './breaker.ts';
import { Breaker } from './breaker.ts';
import type { JobCost } from './limiter.ts';
import { RetryBudget } from './retry-budget.ts';
import { hostsOf } from './venues.ts';

const COST_KEPT = 0.9;
const LEAST_COST = 0.1;

export interface VenueEntry {
  readonly venue: Venue;
  readonly breaker: Breaker;
  readonly retries: RetryBudget;
  /** Priorities of the jobs that run. */
  readonly running: number[];
  /** Jobs that were started, in turns of which each has one for what would otherwise go last. */
  turn: number;
  /** What the dearest of the last jobs cost, by priority. */
  readonly costs: Map<number, JobCost>;
  /** Answers that announce the end of what was called, or say that it is gone. */
  versionNotices: number;
}

/** What a job cost counts at once where it is more than before, and is forgotten a tenth with each job. */
export function noteCost({ costs }: VenueEntry, priority: number, cost: JobCost): void {
  const next = new Map(cost);
  for (const [key, amount] of costs.get(priority) ?? []) {
    const left = Math.max(next.get(key) ?? 0, amount * COST_KEPT);
    if (left >= LEAST_COST) next.set(key, left);
  }
  costs.set(priority, next);
}

/** What a job of the priority is to cost, with those that run, which may have counted nothing yet. */
export function needOf({ costs, running }: VenueEntry, priority: number): JobCost {
  const need = new Map(costs.get(priority));
  for (const other of running) {
    for (const [key, amount] of costs.get(other) ?? []) {
      need.set(key, (need.get(key) ?? 0) + amount);
    }
  }
  return need;
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
      running: [],
      turn: 0,
      costs: new Map<number, JobCost>(),
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
