// Which polls looked at which hour of an account, and what they could not tell. An hour that nobody looked at is incomplete;
// one whose polls failed is too, even if what they missed was told later: then the figures are late data, and say so.

import type { Outcome } from '../../../wire/exchange-call.ts';
import { OUTCOME } from '../../../wire/exchange-call.ts';
import { HISTORY_LIMIT, NOT_BOOKED } from '../../../wire/performance/hour-return.ts';
import { MAX_FIGURES_GAPS } from '../../../wire/track/figures-codec.ts';
import { HOUR_MS } from '../../../wire/track/head.ts';
import type { HourPoll } from '../../../wire/track/hour.ts';
import { MAX_HOUR_POLLS } from '../../../wire/track/hour.ts';
import type { HourCoverage } from '../book/contract.ts';
import type { LedgerPoll } from '../protocol.ts';
import type { LostSpan, StoredMissed, StoredPollRecord } from '../store/contract.ts';

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
const DELAYED = 'delayed';
/** What the venue never tells, or tells later, is no gap of an hour; docs/VENUES.md has those. */
const STANDING: ReadonlySet<string> = new Set(['venue_lacks', DELAYED]);
/** No later poll makes it good. */
const LOST: ReadonlySet<string> = new Set([HISTORY_LIMIT, 'record_malformed']);
/** With a place for the first of each reason. */
const MAX_LOST: number = MAX_FINDINGS - LOST.size;
/** How long hours wait for a venue that tells of a day when it is over, and of a weekend after it. */
const DELAYED_GRACE_MS: number = 5 * 24 * HOUR_MS;

type Told = Pick<StoredPollRecord, 'toldFromMs' | 'toldToMs'>;

/** From and until when a complete poll told every history that the venue has. */
function toldOf({ outcome, coverage, startedMs }: LedgerPoll): Told {
  if (outcome !== 'complete') return { toldFromMs: null, toldToMs: null };
  const delayed = coverage.filter(({ reason }) => reason === DELAYED);
  const spans = coverage.filter(
    ({ what, reason }) =>
      !MOMENTS.has(what) && (reason === null || (reason !== DELAYED && !LASTING.has(reason))),
  );
  const isWhole = spans.length > 0 && spans.every(({ complete }) => complete);
  return {
    toldFromMs: isWhole ? Math.max(...spans.map(({ fromMs }) => fromMs)) : null,
    toldToMs: Math.min(startedMs, ...delayed.map(({ fromMs }) => fromMs + 1)),
  };
}

/** Of each reason, without what they have in common. */
function lostOf(coverage: LedgerPoll['coverage']): readonly LostSpan[] {
  const spans = coverage.flatMap(({ what, fromMs, toMs, complete, reason }) => {
    const isLost = !complete && !MOMENTS.has(what) && reason !== null && LOST.has(reason);
    return isLost ? [{ fromMs, toMs, reason }] : [];
  });
  const lost: LostSpan[] = [];
  for (const span of spans.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const at = lost.findLastIndex(({ reason }) => reason === span.reason);
    const last = lost[at];
    const isApart = last !== undefined && span.fromMs > last.toMs && lost.length < MAX_LOST;
    if (last === undefined || isApart) lost.push(span);
    else lost[at] = { ...last, toMs: Math.max(last.toMs, span.toMs) };
  }
  return lost;
}

/** What the book says of a poll's records. */
export interface PollFindings {
  /** Hours of those that it cannot count. */
  readonly tooPrecise: ReadonlySet<number>;
  /** Codes for the hour of the poll. */
  readonly findings: ReadonlySet<string>;
}

/** What is kept of a poll beside its records. */
function pollRecordOf(
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
      const isNone = row.reason === null || STANDING.has(row.reason) || LOST.has(row.reason);
      if (!row.complete && !isNone) reasons.add(row.reason);
    }
  }
  return {
    kind: 'poll',
    poll: { origin, leafIndex, startedMs, outcome: OUTCOMES[outcome] },
    endedMs,
    reasons: [...reasons].slice(0, MAX_FINDINGS),
    tooPrecise: [...tooPrecise].slice(0, MAX_FINDINGS),
    ...toldOf(poll),
    follows: true,
    lost: outcome === 'failed' ? [] : lostOf(coverage),
    observed,
  };
}

/** Of which time its balances are. */
export function momentOf({ poll, endedMs, toldToMs }: StoredPollRecord): {
  readonly fromMs: number;
  readonly atMs: number;
} {
  const { startedMs } = poll;
  if (toldToMs === null || toldToMs >= startedMs) return { fromMs: startedMs, atMs: endedMs };
  return { fromMs: toldToMs - 1, atMs: toldToMs - 1 };
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

/** What of a log outlives a restart. */
export interface SavedCoverage {
  readonly lastCompleteMs: number;
  readonly heardMs: number | null;
  /** The venue tells of an hour later. */
  readonly isDelayed: boolean;
  readonly hours: readonly CoveredHour[];
  readonly uncompared: LostSpan | null;
}

export class CoverageLog {
  readonly #origin: string;
  readonly #hours = new Map<number, Hour>();
  /** Until when everything was told: begin of the newest complete poll, or as far as the venue tells by then. */
  lastCompleteMs = 0;
  /** End of the last poll that told anything: it is stored, and all that it goes on from. */
  heardMs: number | null = null;
  isDelayed = false;
  /** Lost, and no poll has compared since what is held: where one does, it shows. */
  uncompared: LostSpan | null = null;

  /** `saved`: of the state, or null without one. */
  static of(origin: string, saved: SavedCoverage | null): CoverageLog {
    const log = new CoverageLog(origin, saved?.lastCompleteMs, saved?.hours);
    log.uncompared = saved?.uncompared ?? null;
    log.heardMs = saved?.heardMs ?? null;
    log.isDelayed = saved?.isDelayed ?? false;
    return log;
  }

  constructor(origin: string, lastCompleteMs = 0, hours: readonly CoveredHour[] = []) {
    this.#origin = origin;
    this.lastCompleteMs = lastCompleteMs;
    for (const { startMs, polls, reasons, late } of hours) {
      this.#hours.set(startMs, { polls: [...polls], reasons: new Set(reasons), late });
    }
  }

  /** What is kept of a poll that comes now. */
  recordOf(
    poll: LedgerPoll,
    findings: PollFindings,
    observed: StoredPollRecord['observed'],
  ): StoredPollRecord {
    const record = pollRecordOf(poll, this.#origin, findings, observed);
    if (poll.sinceMs === null || poll.sinceMs <= (this.heardMs ?? -1)) return record;
    // What is between nobody knows until the account is read again: nothing is told whole, and nothing compared.
    const untold = { toldFromMs: null, toldToMs: null, lost: [], observed: null };
    return { ...record, ...untold, follows: false };
  }

  /** The one that was added last: going on from a poll that is not stored, it is no whole one. */
  asHeard<T extends LedgerPoll>(poll: T): T {
    const isHeard = poll.outcome !== 'complete' || poll.endedMs === this.heardMs;
    return isHeard ? poll : { ...poll, outcome: 'partial', reason: 'not_completed' };
  }

  /** Gives from when on it told of what no poll had told before; null: of nothing, or of all. */
  addPoll(record: StoredPollRecord): number | null {
    const { poll, reasons, tooPrecise, toldFromMs, toldToMs } = record;
    const { startedMs } = poll;
    const sinceMs = this.lastCompleteMs;
    if (record.follows && poll.outcome !== OUTCOME.failed) this.heardMs = record.endedMs;
    const hour = this.#hour(hourOf(startedMs));
    this.#push(hour, poll);
    if (toldFromMs !== null && toldToMs !== null && this.lastCompleteMs === 0)
      this.#addHistory(poll, toldFromMs, toldToMs);
    else if (this.lastCompleteMs > 0) this.#addLost(record);
    if (toldToMs !== null) {
      this.lastCompleteMs = Math.max(this.lastCompleteMs, toldToMs);
      this.isDelayed = toldToMs < startedMs;
    }
    for (const reason of reasons) hour.reasons.add(reason);
    for (const startMs of tooPrecise) this.#hour(startMs).reasons.add('too_precise');
    return sinceMs > 0 && this.lastCompleteMs > sinceMs ? sinceMs : null;
  }

  /** What was told before stays told; what the venue has let go of is in what the poll itself compares, too. */
  #addLost(record: StoredPollRecord): void {
    const { atMs } = momentOf(record);
    for (const { fromMs, toMs, reason } of record.lost) {
      const sinceMs = Math.max(fromMs, this.lastCompleteMs);
      if (sinceMs >= toMs) continue;
      // Where a venue tells later, hours are open, or opened again, for as long.
      const first = Math.max(hourOf(sinceMs), hourOf(record.poll.startedMs) - MAX_HISTORY_MS);
      // Nothing is lost of a time to come: whatever a venue says, this ends.
      const endMs = Math.min(toMs, record.endedMs);
      for (let startMs = first; startMs < endMs; startMs += HOUR_MS) this.addGap(startMs, reason);
      this.addGap(hourOf(atMs), reason);
      const known = this.uncompared ?? { fromMs: sinceMs, toMs: endMs, reason };
      this.uncompared = {
        fromMs: Math.min(known.fromMs, sinceMs),
        toMs: Math.max(known.toMs, endMs),
        // What is lost for good says more than what cannot be read.
        reason: known.reason === HISTORY_LIMIT ? known.reason : reason,
      };
    }
    if (record.observed === null || this.uncompared === null) return;
    if (atMs >= this.uncompared.fromMs) this.addGap(hourOf(atMs), this.uncompared.reason);
    // A day that a broker tells ends a millisecond before the next.
    if (atMs + 1 >= this.uncompared.toMs) this.uncompared = null;
  }

  /** The first complete poll tells of the time before it: hours that its spans cover whole rest on it. */
  #addHistory(poll: HourPoll, toldFromMs: number, toldToMs: number): void {
    const endMs = hourOf(toldToMs);
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

  /** A record of it is in no figure; where it is stated already, that is said anew (unbooked.ts). */
  addUnbooked(startMs: number): void {
    this.addGap(startMs, NOT_BOOKED);
  }

  addLate(startMs: number): void {
    this.#hour(startMs).late++;
  }

  addGap(startMs: number, reason: string): void {
    this.#hour(startMs).reasons.add(reason);
  }

  /** Hours of which it knows something. */
  get size(): number {
    return this.#hours.size;
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
   * that were over before `waitsFromMs` are waited for until `graceMs` after it at least.
   */
  dueUntil(fromMs: number, { nowMs, waitsFromMs, graceMs, maxHours }: Due): number {
    let toMs = fromMs;
    while (toMs - fromMs < maxHours * HOUR_MS) {
      const endMs = toMs + HOUR_MS;
      const isTold = this.lastCompleteMs >= endMs;
      const waitMs = this.isDelayed ? DELAYED_GRACE_MS : graceMs;
      const isOver = nowMs >= Math.max(endMs + waitMs, waitsFromMs + graceMs);
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
