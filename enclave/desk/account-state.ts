// What is known of one account: sums, what they cover, and what a restart needs in order to go on. A poll changes it at
// once, when it is over and its leaf is in the log, or not at all. An older state that the host brings back after
// a restart has older cursors as well: polling goes on from there, and counts nothing twice.

import { toHex } from '../../wire/bytes.ts';
import type { Coverage } from '../connector/classes.ts';
import type { Reads } from '../connector/job.ts';
import type { StatedHead } from '../ledger/messages.ts';
import type { AccountFigures, HourRow } from './accounts.ts';
import { CoverageMap, coveredToMs, Gaps } from './coverage.ts';
import type { CountedKind, PollRecords } from './poll-records.ts';
import { COUNTED_KINDS, Totals } from './poll-records.ts';
import { Seen } from './seen.ts';
import type { Sums } from './sums.ts';

export const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const HOURS_KEPT = 168;
export const MAX_HOSTS = 16;
const MS = 1_000_000n;

/** How long after a complete poll venues may still tell an old record anew. */
const KEEP_MS: Readonly<Record<CountedKind, number>> = {
  fill: 14 * DAY_MS,
  funding: 14 * DAY_MS,
  flow: 120 * DAY_MS,
};
const SUBJECTS = {
  fill: ['fills'],
  funding: ['funding'],
  flow: ['deposits', 'withdrawals', 'transfers', 'interest'],
} as const;

export interface PollCounts {
  scheduled: number;
  complete: number;
  partial: number;
  failed: number;
  missed: number;
}

/** What a poll that was not missed came to. */
export interface PollResult {
  readonly outcome: 'complete' | 'partial' | 'failed';
  /** A class or reason; null when complete. */
  readonly reason: string | null;
  readonly slotMs: number;
  /** The slot was counted before. */
  readonly isRetry: boolean;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Null keeps the old ones. */
  readonly cursors: Uint8Array | null;
  readonly coverage: readonly Coverage[];
  readonly records: PollRecords | null;
  readonly hosts: ReadonlyMap<string, Uint8Array>;
}

/** What the next poll tells once more: what is of `fromMs` and after it. */
export interface Again {
  readonly fromMs: number;
  /** Whoever it is told to has all that the cursors stand on. */
  readonly isHeard: boolean;
}

export function bothOf(one: Again, other: Again): Again {
  const fromMs = Math.min(one.fromMs, other.fromMs);
  return { fromMs, isHeard: one.isHeard && other.isHeard };
}

export class AccountState {
  readonly observedSinceMs: number;
  readonly periodStartMs: number;
  again: Again | null = null;
  asOfMs: number | null = null;
  cursors: Uint8Array | null = null;
  /** How far its chain of statements is stored; null: nothing is known of it. */
  head: StatedHead | null = null;
  /** The last slot of the schedule that has its leaf. */
  lastSlotMs: number | null = null;
  readonly polls: PollCounts = { scheduled: 0, complete: 0, partial: 0, failed: 0, missed: 0 };
  readonly gaps: Gaps = new Gaps();
  readonly coverage: CoverageMap = new CoverageMap();
  readonly totals: Totals = new Totals();
  /** Hex of the SPKI hash, by host. */
  readonly hosts: Map<string, string> = new Map<string, string>();
  readonly seen: Record<CountedKind, Seen> = {
    fill: new Seen(),
    funding: new Seen(),
    flow: new Seen(),
  };
  balances: Sums | null = null;
  positions: number | null = null;
  unrealized: Sums | null = null;
  /** There were more currencies or markets than are kept: sums and coverage may lack some. */
  overflowed = false;

  constructor(observedSinceMs: number, periodStartMs: number) {
    this.observedSinceMs = observedSinceMs;
    this.periodStartMs = periodStartMs;
  }

  /** From where on a poll without cursors reads. */
  get fromMs(): number {
    return this.again?.fromMs ?? this.periodStartMs;
  }

  get reads(): Reads {
    if (this.again === null) return 'on';
    return this.again.isHeard ? 'again' : 'anew';
  }

  /** The next poll reads again from there on; what was counted is not counted twice. */
  resync(asked: Again): void {
    const again = { ...asked, fromMs: Math.max(this.periodStartMs, asked.fromMs) };
    this.again = this.again === null ? again : bothOf(this.again, again);
  }

  /** End of the last poll that the next one goes on from; null: from none. */
  get sinceMs(): number | null {
    return this.cursors === null || this.reads === 'anew' ? null : this.asOfMs;
  }

  /** `heardMs`: end of the last poll that somebody has, and with it all before. */
  isHeard(heardMs: number | null): boolean {
    return heardMs !== null && (this.asOfMs ?? 0) <= heardMs;
  }

  /** `count` slots from `fromMs` on had no poll. */
  miss(fromMs: number, toMs: number, count: number, reason: string): void {
    this.polls.missed += count;
    this.polls.scheduled += count;
    this.gaps.extend(fromMs, toMs, reason);
  }

  apply(result: PollResult): void {
    const { outcome, slotMs, startedMs, endedMs, coverage, records } = result;
    if (!result.isRetry) this.polls.scheduled++;
    this.polls[outcome]++;
    for (const [host, hash] of result.hosts) {
      if (this.hosts.has(host) || this.hosts.size < MAX_HOSTS) this.hosts.set(host, toHex(hash));
    }
    if (outcome === 'complete') this.gaps.end(startedMs);
    else this.gaps.extend(slotMs, endedMs, result.reason ?? 'failed');
    if (!this.coverage.take(coverage, outcome === 'complete')) this.overflowed = true;
    if (outcome === 'failed' || records === null) return;
    this.asOfMs = endedMs;
    if (result.cursors !== null) {
      this.cursors = result.cursors;
      this.again = null;
    }
    this.#count(records);
    this.#takeMoment(records, coverage);
    for (const kind of COUNTED_KINDS) {
      const toMs = coveredToMs(coverage, SUBJECTS[kind]);
      if (toMs !== null) this.seen[kind].settle(toMs - KEEP_MS[kind]);
      this.seen[kind].bound();
    }
    this.#forgetHours(endedMs);
  }

  figures(nowMs: number, countsMatches: boolean): AccountFigures {
    const { totals, polls, periodStartMs } = this;
    const unmatchedTrades = totals.trades - totals.matchedTrades;
    return {
      observedSinceNs: BigInt(this.observedSinceMs) * MS,
      asOfNs: this.asOfMs === null ? null : BigInt(this.asOfMs) * MS,
      periodStartNs: BigInt(periodStartMs) * MS,
      hosts: [...this.hosts].map(([host, spki_sha256]) => ({ host, spki_sha256 })),
      polls: { ...polls },
      coverage: [...this.coverage.rows(periodStartMs), ...this.#ownCoverage()],
      gaps: this.gaps.rows,
      trades: totals.trades,
      volume: totals.volume.toAmounts(),
      fees: totals.fees.toAmounts(),
      funding: totals.funding.toAmounts(),
      deposits: totals.deposits.toAmounts(),
      withdrawals: totals.withdrawals.toAmounts(),
      balances: this.balances?.toAmounts() ?? null,
      positions: this.positions,
      unrealized: this.unrealized?.toAmounts() ?? null,
      matched: countsMatches
        ? { trades: totals.matchedTrades, volume: totals.matchedVolume.toAmounts() }
        : null,
      unmatched: countsMatches
        ? { trades: unmatchedTrades, volume: totals.unmatchedVolume.toAmounts() }
        : null,
      hours: this.#hourRows(nowMs),
    };
  }

  #count(records: PollRecords): void {
    if (!this.totals.addAll(records.totals)) this.overflowed = true;
    for (const kind of COUNTED_KINDS) {
      for (const [key, timeMs] of records.newIds[kind]) this.seen[kind].add(key, timeMs);
    }
  }

  /** Balances and positions are of this poll or unknown: old ones under a new date would be wrong. */
  #takeMoment(records: PollRecords, coverage: readonly Coverage[]): void {
    const whole = (what: 'balances' | 'positions'): boolean => {
      const rows = coverage.filter((row) => row.what === what);
      return rows.length > 0 && rows.every(({ complete }) => complete);
    };
    this.balances = whole('balances') ? records.balances : null;
    const positions = whole('positions');
    this.positions = positions ? records.positions : null;
    this.unrealized = positions && !records.positionsUnvalued ? records.unrealized : null;
  }

  /** What the sums lack for reasons of ours. */
  #ownCoverage(): AccountFigures['coverage'] {
    const { late, unvalued } = this.totals;
    const row = (what: string, reason: string): AccountFigures['coverage'][number] => ({
      what,
      market: 'all',
      from_ms: this.periodStartMs,
      to_ms: this.asOfMs ?? this.periodStartMs,
      complete: false,
      reason,
    });
    return [
      ...(late > 0 ? [row('records', 'late')] : []),
      ...(unvalued > 0 ? [row('volume', 'unvalued')] : []),
      ...(this.overflowed ? [row('records', 'too_many')] : []),
    ];
  }

  #forgetHours(nowMs: number): void {
    for (const start of this.totals.hours.keys()) {
      if (start < nowMs - HOURS_KEPT * HOUR_MS) this.totals.hours.delete(start);
    }
  }

  /** Each hour of the period, with or without trades. */
  #hourRows(nowMs: number): readonly HourRow[] {
    const last = nowMs - (nowMs % HOUR_MS);
    const oldest = last - (HOURS_KEPT - 1) * HOUR_MS;
    const first = Math.max(oldest, this.periodStartMs - (this.periodStartMs % HOUR_MS));
    const rows: HourRow[] = [];
    for (let start = first; start <= last; start += HOUR_MS) {
      const hour = this.totals.hours.get(start);
      rows.push({
        start_ms: start,
        trades: hour?.trades ?? 0,
        volume: hour?.volume.toAmounts() ?? {},
        fees: hour?.fees.toAmounts() ?? {},
        complete:
          hour?.overflowed !== true && this.coverage.covers('fills', start, start + HOUR_MS),
      });
    }
    return rows;
  }
}
