// Which polls looked at which hour of an account, and what they could not tell. An hour that nobody looked at is incomplete;
// one whose polls failed is too, even if what they missed was told later: then the figures are late data, and say so.

import type { Outcome } from '../../../wire/exchange-call.ts';
import { OUTCOME } from '../../../wire/exchange-call.ts';
import { MAX_FIGURES_GAPS } from '../../../wire/track/figures-codec.ts';
import { HOUR_MS } from '../../../wire/track/head.ts';
import type { HourPoll } from '../../../wire/track/hour.ts';
import { MAX_HOUR_POLLS } from '../../../wire/track/hour.ts';
import type { HourCoverage } from '../book/contract.ts';
import type { LedgerPoll } from '../protocol.ts';
import type { StoredMissed, StoredPollRecord } from '../store/contract.ts';

/** What a venue does not tell of any hour: docs/VENUES.md has those. */
const LASTING: ReadonlySet<string> = new Set([
  'venue_lacks',
  'venue_closed',
  'not_supported',
  'symbols_unknown',
]);
const MOMENTS: ReadonlySet<string> = new Set(['balances', 'positions']);
/** What the desk asks for at most. */
const MAX_HISTORY_MS: number = 8 * 24 * HOUR_MS;
/** Hours that can be corrected, and a day before them. */
export const KEPT_HOURS = 96;

export interface CoveredHour {
  readonly startMs: number;
  readonly polls: readonly HourPoll[];
  readonly reasons: readonly string[];
  /** Records that came when it had been stated. */
  readonly late: number;
}

interface Hour {
  readonly polls: HourPoll[];
  readonly reasons: Set<string>;
  late: number;
}

const OUTCOMES = { complete: OUTCOME.complete, partial: OUTCOME.partial, failed: OUTCOME.failed };
const MAX_FINDINGS = 64;
/** What the venue never tells, or tells later, is no gap of an hour; docs/VENUES.md has those. */
const STANDING: ReadonlySet<string> = new Set(['venue_lacks', 'delayed']);

/** Since when a complete poll told every history that the venue has; null for another poll. */
function toldFrom({ outcome, coverage }: LedgerPoll): number | null {
  const spans = coverage.filter(
    ({ what, reason }) => !MOMENTS.has(what) && (reason === null || !LASTING.has(reason)),
  );
  const isWhole = outcome === 'complete' && spans.every(({ complete }) => complete);
  return isWhole && spans.length > 0 ? Math.max(...spans.map(({ fromMs }) => fromMs)) : null;
}

/** What the book says of a poll's records. */
export interface PollFindings {
  /** Hours of those that it cannot count. */
  readonly tooPrecise: ReadonlySet<number>;
  /** Codes for the hour of the poll. */
  readonly findings: ReadonlySet<string>;
}

/** What is kept of a poll beside its records. */
export function pollRecordOf(
  poll: LedgerPoll,
  origin: string,
  { tooPrecise, findings }: PollFindings,
  observed: StoredPollRecord['observed'],
): StoredPollRecord {
  const { leafIndex, startedMs, endedMs, outcome, reason, coverage } = poll;
  const reasons = new Set(findings);
  if (outcome !== 'complete') {
    reasons.add(reason ?? outcome);
    for (const row of coverage) {
      if (!row.complete && row.reason !== null && !STANDING.has(row.reason))
        reasons.add(row.reason);
    }
  }
  return {
    kind: 'poll',
    poll: { origin, leafIndex, startedMs, outcome: OUTCOMES[outcome] },
    endedMs,
    reasons: [...reasons].slice(0, MAX_FINDINGS),
    tooPrecise: [...tooPrecise].slice(0, MAX_FINDINGS),
    toldFromMs: toldFrom(poll),
    observed,
  };
}

export function hourOf(timeMs: number): number {
  return timeMs - (timeMs % HOUR_MS);
}

function isSamePoll(a: HourPoll, b: HourPoll): boolean {
  return (
    a.startedMs === b.startedMs &&
    a.leafIndex === b.leafIndex &&
    a.origin === b.origin &&
    a.outcome === b.outcome
  );
}

interface Due {
  readonly nowMs: number;
  readonly waitsFromMs: number;
  readonly graceMs: number;
  readonly maxHours: number;
}

export class CoverageLog {
  readonly #origin: string;
  readonly #hours = new Map<number, Hour>();
  /** Begin of the newest poll that told everything. */
  lastCompleteMs = 0;

  constructor(origin: string, lastCompleteMs = 0, hours: readonly CoveredHour[] = []) {
    this.#origin = origin;
    this.lastCompleteMs = lastCompleteMs;
    for (const { startMs, polls, reasons, late } of hours) {
      this.#hours.set(startMs, { polls: [...polls], reasons: new Set(reasons), late });
    }
  }

  addPoll({ poll, reasons, tooPrecise, toldFromMs }: StoredPollRecord): void {
    const { startedMs, outcome } = poll;
    const hour = this.#hour(hourOf(startedMs));
    this.#push(hour, poll);
    if (toldFromMs !== null && this.lastCompleteMs === 0) this.#addHistory(poll, toldFromMs);
    if (outcome === OUTCOME.complete)
      this.lastCompleteMs = Math.max(this.lastCompleteMs, startedMs);
    for (const reason of reasons) hour.reasons.add(reason);
    for (const startMs of tooPrecise) this.#hour(startMs).reasons.add('too_precise');
  }

  /** The first complete poll tells of the time before it: hours that its spans cover whole rest on it. */
  #addHistory(poll: HourPoll, toldFromMs: number): void {
    const endMs = hourOf(poll.startedMs);
    const first = Math.max(Math.ceil(toldFromMs / HOUR_MS) * HOUR_MS, endMs - MAX_HISTORY_MS);
    for (let startMs = first; startMs < endMs; startMs += HOUR_MS) {
      if (!this.#hours.has(startMs)) this.#push(this.#hour(startMs), poll);
    }
  }

  addMissed({ fromMs, toMs, reason }: StoredMissed): void {
    const first = Math.max(hourOf(fromMs), hourOf(toMs) - KEPT_HOURS * HOUR_MS);
    for (let startMs = first; startMs < toMs || startMs === hourOf(fromMs); startMs += HOUR_MS) {
      const hour = this.#hour(startMs);
      hour.reasons.add(reason);
      const startedMs = Math.max(startMs, fromMs);
      const outcome: Outcome = OUTCOME.missed;
      this.#push(hour, { origin: this.#origin, leafIndex: null, startedMs, outcome });
    }
  }

  addLate(startMs: number): void {
    this.#hour(startMs).late++;
  }

  addGap(startMs: number, reason: string): void {
    this.#hour(startMs).reasons.add(reason);
  }

  polls(startMs: number): readonly HourPoll[] {
    return this.#hours.get(startMs)?.polls ?? [];
  }

  late(startMs: number): number {
    return this.#hours.get(startMs)?.late ?? 0;
  }

  /** For the book. A poll that began after the hour may have told what was missing of it: the hour is looked at all the same. */
  coverage(startMs: number): HourCoverage {
    const hour = this.#hours.get(startMs);
    const told = (hour?.polls ?? []).filter(({ outcome }) => outcome !== OUTCOME.missed);
    const reasons = new Set(hour?.reasons ?? []);
    if (told.length === 0 && reasons.size === 0) reasons.add('no_poll');
    if (this.lastCompleteMs < startMs + HOUR_MS) reasons.add('not_completed');
    const gaps = [...reasons].toSorted().slice(0, MAX_FIGURES_GAPS);
    return { polls: told.length, complete: gaps.length === 0, gaps };
  }

  /**
   * End of the last hour that can be closed now: a complete poll began after it, or nobody waits for one any more. Those
   * that were over before `waitsFromMs` are waited for from then on.
   */
  dueUntil(fromMs: number, { nowMs, waitsFromMs, graceMs, maxHours }: Due): number {
    let toMs = fromMs;
    while (toMs - fromMs < maxHours * HOUR_MS) {
      const endMs = toMs + HOUR_MS;
      const isTold = this.lastCompleteMs >= endMs;
      const isOver = nowMs >= Math.max(endMs, waitsFromMs) + graceMs;
      if (endMs > nowMs || (!isTold && !isOver)) break;
      toMs = endMs;
    }
    return toMs;
  }

  /** What is kept of it, oldest first. */
  hours(): readonly CoveredHour[] {
    return [...this.#hours]
      .toSorted(([a], [b]) => a - b)
      .map(([startMs, { polls, reasons, late }]) => ({
        startMs,
        polls,
        reasons: [...reasons],
        late,
      }));
  }

  forget(beforeMs: number): void {
    for (const startMs of this.#hours.keys()) if (startMs < beforeMs) this.#hours.delete(startMs);
  }

  #hour(startMs: number): Hour {
    const known = this.#hours.get(startMs);
    if (known !== undefined) return known;
    const hour: Hour = { polls: [], reasons: new Set(), late: 0 };
    this.#hours.set(startMs, hour);
    return hour;
  }

  /** Once each: after a crash a poll that was stored is told again. */
  #push(hour: Hour, poll: HourPoll): void {
    if (hour.polls.some((one) => isSamePoll(one, poll))) return;
    if (hour.polls.length < MAX_HOUR_POLLS) hour.polls.push(poll);
    else hour.reasons.add('more_polls');
  }
}
