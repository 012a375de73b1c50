import { describe, expect, it } from 'vitest';
import type { Coverage } from '../../../../enclave/connector/classes.ts';
import type { LedgerPoll } from '../../../../enclave/ledger/protocol.ts';
import type { StoredPollRecord } from '../../../../enclave/ledger/store/contract.ts';
import {
  encodeStoredRecord,
  parseStoredRecord,
} from '../../../../enclave/ledger/store/stored-record.ts';
import { observedIn } from '../../../../enclave/ledger/track/account-parts.ts';
import { CoverageLog, momentOf } from '../../../../enclave/ledger/track/hour-coverage.ts';
import {
  encodeTrackState,
  parseTrackState,
  stateOf,
} from '../../../../enclave/ledger/track/track-state.ts';
import { isObserved } from '../../../../wire/performance/hour-return.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { LEDGER_ACCOUNT } from '../../../helpers/track-store.ts';
import { OUTCOME } from '../../../../wire/exchange-call.ts';
import { HOUR, ORIGIN } from '../../../vectors/track.ts';

function pollAt(startedMs: number, leafIndex: number): StoredPollRecord {
  return {
    kind: 'poll',
    poll: { origin: ORIGIN, leafIndex, startedMs, outcome: OUTCOME.complete },
    endedMs: startedMs + 1,
    reasons: [],
    tooPrecise: [],
    toldFromMs: null,
    toldToMs: startedMs,
    follows: true,
    lost: [],
    observed: null,
  };
}

describe('coverage of an hour', () => {
  it('counts a poll, or a time without one, once when it is told again after a crash', () => {
    const missed = { kind: 'missed', fromMs: HOUR + 5, toMs: HOUR + 9, reason: 'late' } as const;
    const before = new CoverageLog(ORIGIN);
    before.addPoll(pollAt(HOUR + 1, 4));
    before.addPoll(pollAt(HOUR + 2, 5));
    before.addMissed(missed);
    const after = new CoverageLog(ORIGIN, before.lastCompleteMs, before.hours());
    after.addPoll(pollAt(HOUR + 2, 5));
    after.addMissed(missed);
    expect(after.hours()).toEqual(before.hours());
    expect(after.coverage(HOUR).polls).toBe(2);
    after.addPoll(pollAt(HOUR + 2, 6));
    expect(after.coverage(HOUR).polls).toBe(3);
  });
});

type Row = Pick<Coverage, 'what' | 'fromMs' | 'toMs' | 'reason'>;

const MINUTE_MS = 60_000;

const POLL: LedgerPoll = {
  id: 'a',
  poll: 1,
  leafIndex: 1,
  slotMs: HOUR,
  startedMs: HOUR,
  endedMs: HOUR + 1000,
  outcome: 'complete',
  reason: null,
  coverage: [],
  hosts: [],
  sinceMs: null,
};

function told(startedMs: number, rows: readonly Row[]): StoredPollRecord {
  const coverage = rows.map((row) => ({ market: 'all', complete: row.reason === null, ...row }));
  const times = { startedMs, endedMs: startedMs + 1000 };
  const poll = { ...POLL, ...times, leafIndex: startedMs % 1_000_000, coverage };
  const findings = { tooPrecise: new Set<number>(), findings: new Set<string>() };
  const record = new CoverageLog(ORIGIN).recordOf(poll, findings, null);
  // As a restart reads it.
  const parsed = parseStoredRecord(encodeStoredRecord(record));
  if (parsed?.kind !== 'poll') throw new Error('a record that does not read');
  expect(parsed).toEqual(record);
  return parsed;
}

function fills(fromMs: number, toMs: number, reason: Row['reason'] = null): Row {
  return { what: 'fills', fromMs, toMs, reason };
}

/** With as much between them. */
function manyOf(startMs: number, reason: Row['reason']): readonly Row[] {
  return Array.from({ length: 70 }, (_, at) => {
    const fromMs = startMs + 2 * at * MINUTE_MS;
    return fills(fromMs, fromMs + MINUTE_MS, reason);
  });
}

function states(log: CoverageLog, hours: number): readonly (boolean | string)[] {
  return Array.from({ length: hours }, (_, at) => {
    const { complete, gaps } = log.coverage(HOUR + at * HOUR_MS);
    // Even an hour that was compared with the venue, for what is lost.
    const isKnown = isObserved({ complete, gaps, status: 'unknown' });
    return isKnown && isObserved({ complete, gaps, status: 'reconciled' }) ? true : gaps.join(' ');
  });
}

describe('an outage that is longer than what the venue keeps', () => {
  const endMs = HOUR + 6 * HOUR_MS;

  it('is a gap as far as nobody can tell, with the hour of the poll that says so; the rest was told later', () => {
    const log = new CoverageLog(ORIGIN);
    log.addPoll(told(HOUR + MINUTE_MS, [fills(HOUR - HOUR_MS, HOUR + MINUTE_MS)]));
    const lostToMs = HOUR + 3 * HOUR_MS + MINUTE_MS;
    log.addMissed({
      kind: 'missed',
      fromMs: HOUR + 2 * MINUTE_MS,
      toMs: endMs,
      reason: 'not_running',
    });
    const rows = [fills(HOUR + MINUTE_MS, lostToMs, 'history_limit'), fills(lostToMs, endMs)];
    log.addPoll(told(endMs + MINUTE_MS, rows));
    log.addPoll(told(endMs + HOUR_MS + MINUTE_MS, [fills(endMs, endMs + HOUR_MS + MINUTE_MS)]));
    log.addPoll(told(endMs + 2 * HOUR_MS + MINUTE_MS, [fills(endMs, endMs + 2 * HOUR_MS)]));
    const lost = 'history_limit not_running';
    expect(states(log, 8)).toEqual([lost, lost, lost, lost, true, true, 'history_limit', true]);
  });

  it('is a gap for as long as hours of a venue that tells later are open', () => {
    const log = new CoverageLog(ORIGIN);
    log.addPoll(told(HOUR + MINUTE_MS, [fills(HOUR - HOUR_MS, HOUR + MINUTE_MS)]));
    log.addPoll(told(HOUR + HOUR_MS, []));
    const endMs = HOUR + 7 * 24 * HOUR_MS;
    log.addPoll(
      told(endMs + HOUR_MS, [
        fills(HOUR + HOUR_MS, HOUR + 2 * HOUR_MS, 'history_limit'),
        fills(HOUR + 2 * HOUR_MS, endMs),
        fills(endMs, endMs + HOUR_MS, 'delayed'),
      ]),
    );
    expect(log.coverage(HOUR + HOUR_MS)).toMatchObject({ polls: 1, gaps: ['history_limit'] });
  });

  it('is no gap of what was told between two of them', () => {
    const log = new CoverageLog(ORIGIN);
    log.addPoll(told(HOUR + MINUTE_MS, [fills(HOUR - HOUR_MS, HOUR)]));
    const rows = [1, 3].flatMap((at) => [
      // Of two subjects, one told in parts.
      fills(HOUR + at * HOUR_MS, HOUR + (at + 0.5) * HOUR_MS, 'history_limit'),
      fills(HOUR + (at + 0.25) * HOUR_MS, HOUR + (at + 1) * HOUR_MS, 'history_limit'),
      fills(HOUR + (at + 1) * HOUR_MS, HOUR + (at + 2) * HOUR_MS),
    ]);
    const record = told(HOUR + 5 * HOUR_MS + MINUTE_MS, rows);
    expect(record.lost).toHaveLength(2);
    log.addPoll(record);
    const lost = ['history_limit', 'no_poll', 'history_limit', 'no_poll', 'history_limit'];
    const found = [1, 2, 3, 4, 5].map((at) => log.coverage(HOUR + at * HOUR_MS).gaps[0]);
    expect(found).toEqual(lost);
  });

  it('ends with the poll that says so, whatever day to come a venue says', () => {
    const log = new CoverageLog(ORIGIN);
    log.addPoll(told(HOUR + MINUTE_MS, [fills(HOUR - HOUR_MS, HOUR + MINUTE_MS)]));
    const startedMs = HOUR + 3 * HOUR_MS - 1001;
    const toMs = HOUR + 2000 * HOUR_MS;
    log.addPoll(told(startedMs, [fills(HOUR + MINUTE_MS, toMs, 'history_limit')]));
    expect(log.hours().map(({ startMs }) => startMs)).toEqual(
      [-1, 0, 1, 2].map((at) => HOUR + at * HOUR_MS),
    );
  });

  it('is kept whole where there are more of them than can be kept one by one', () => {
    const limits = manyOf(HOUR, 'history_limit');
    for (const startMs of [HOUR + 1, HOUR + 4 * HOUR_MS]) {
      const rows = manyOf(startMs, 'record_malformed');
      const { lost } = told(HOUR + 8 * HOUR_MS, [...limits, ...rows]);
      const ends = (['history_limit', 'record_malformed'] as const).map(
        (reason) => lost.findLast((span) => span.reason === reason)?.toMs,
      );
      expect(ends).toEqual([limits.at(-1)?.toMs, rows.at(-1)?.toMs]);
    }
  });

  it.each([
    ['tells later: of the last that it tells of', 2, [['delayed', 2, 4]], 1],
    ['is asked over the end of an hour: of the one after it', 4, [], 4],
  ] as const)('is in the hour that is compared, where a venue %s', (_, toHour, rest, hour) => {
    const log = new CoverageLog(ORIGIN);
    log.addPoll(told(HOUR + MINUTE_MS, [fills(HOUR - HOUR_MS, HOUR)]));
    const lostToMs = HOUR + 30 * MINUTE_MS;
    log.addPoll(
      told(HOUR + 4 * HOUR_MS - 500, [
        fills(HOUR, lostToMs, 'history_limit'),
        fills(lostToMs, HOUR + toHour * HOUR_MS - 501),
        ...rest.map(([reason, from, to]) =>
          fills(HOUR + from * HOUR_MS - 1, HOUR + to * HOUR_MS - 500, reason),
        ),
      ]),
    );
    const gapped = [0, 1, 2, 3, 4].filter((at) =>
      log.coverage(HOUR + at * HOUR_MS).gaps.includes('history_limit'),
    );
    expect(gapped).toEqual([0, hour]);
  });

  it('is in the next hour that is compared, also after a restart, and in none after it', () => {
    const before = new CoverageLog(ORIGIN);
    before.addPoll(told(HOUR + MINUTE_MS, [fills(HOUR - HOUR_MS, HOUR)]));
    before.addPoll(told(HOUR + HOUR_MS, [fills(HOUR, HOUR + HOUR_MS, 'history_limit')]));
    const bytes = encodeTrackState({
      book: new Uint8Array(0),
      lastCompleteMs: before.lastCompleteMs,
      hours: before.hours(),
      uncompared: before.uncompared,
      heardMs: before.heardMs,
      isDelayed: before.isDelayed,
    });
    const log = CoverageLog.of(ORIGIN, parseTrackState(bytes));
    for (const at of [2, 3, 4]) {
      const poll = told(HOUR + at * HOUR_MS, [fills(HOUR, HOUR + at * HOUR_MS)]);
      log.addPoll({ ...poll, observed: at === 2 ? null : { balances: [], positions: [] } });
    }
    const gapped = [0, 1, 2, 3, 4].filter((at) =>
      log.coverage(HOUR + at * HOUR_MS).gaps.includes('history_limit'),
    );
    expect(gapped).toEqual([0, 1, 3]);
  });

  it('takes nothing from hours that were told before: a symbol that is new, an account that is read anew', () => {
    const log = new CoverageLog(ORIGIN);
    // The first poll of all says how far the venue goes back: no hour was there before it.
    log.addPoll(told(HOUR + MINUTE_MS, [fills(0, HOUR - HOUR_MS, 'history_limit')]));
    log.addPoll(told(HOUR + HOUR_MS, [fills(0, HOUR + MINUTE_MS, 'history_limit')]));
    expect(states(log, 1)).toEqual([true]);
    log.addPoll(told(HOUR + 2 * HOUR_MS, [fills(0, HOUR + HOUR_MS + 1, 'history_limit')]));
    expect(states(log, 2)).toEqual([true, 'history_limit']);
  });
});

describe('a record without form', () => {
  it('leaves the hours of its span unknown, unless balances say otherwise', () => {
    const log = new CoverageLog(ORIGIN);
    log.addPoll(told(HOUR + MINUTE_MS, [fills(HOUR, HOUR + MINUTE_MS)]));
    const span = fills(HOUR + MINUTE_MS, HOUR + 5 * MINUTE_MS, 'record_malformed');
    log.addPoll(told(HOUR + 5 * MINUTE_MS, [span]));
    log.addPoll(told(HOUR + HOUR_MS, [fills(HOUR, HOUR + HOUR_MS)]));
    const { complete, gaps } = log.coverage(HOUR);
    expect([complete, gaps]).toEqual([false, ['record_malformed']]);
    expect(isObserved({ complete, gaps, status: 'unknown' })).toBe(false);
    expect(isObserved({ complete, gaps, status: 'reconciled' })).toBe(true);
  });
});

function delayed(toldToMs: number, nowMs: number): StoredPollRecord {
  return told(nowMs, [fills(0, toldToMs - 1), fills(toldToMs - 1, nowMs, 'delayed')]);
}

describe('a venue that tells of a day when it is over', () => {
  const dayMs = HOUR + 20 * HOUR_MS;
  const wait = { waitsFromMs: 0, graceMs: 600_000, maxHours: 24 };

  it('is waited for: no hour is complete because nothing was told yet', () => {
    const log = new CoverageLog(ORIGIN);
    log.addPoll(delayed(HOUR + HOUR_MS, dayMs));
    expect(log.dueUntil(HOUR, { nowMs: dayMs + HOUR_MS, ...wait })).toBe(HOUR + HOUR_MS);
    expect(log.coverage(HOUR + HOUR_MS).gaps).toContain('not_completed');
    log.addPoll(delayed(dayMs, dayMs + HOUR_MS));
    expect(log.dueUntil(HOUR, { nowMs: dayMs + HOUR_MS, ...wait })).toBe(dayMs);
    expect(log.coverage(dayMs - HOUR_MS).gaps).not.toContain('not_completed');
    // Not for ever.
    const laterMs = dayMs + 6 * 24 * HOUR_MS;
    expect(log.dueUntil(dayMs, { nowMs: laterMs, ...wait })).toBeGreaterThan(dayMs);
  });

  it('is waited for after a restart as well, behind a state that has all of its polls', () => {
    const before = new CoverageLog(ORIGIN);
    before.addPoll(delayed(HOUR + HOUR_MS, dayMs));
    const { bytes } = stateOf({ encode: () => new Uint8Array(0) }, before, 1);
    const log = CoverageLog.of(ORIGIN, parseTrackState(bytes));
    expect(log.dueUntil(HOUR, { nowMs: dayMs + HOUR_MS, ...wait })).toBe(HOUR + HOUR_MS);
  });

  it.each([
    ['at once', pollAt(HOUR + HOUR_MS, 1)],
    ['later', delayed(HOUR + HOUR_MS, dayMs)],
  ])('that tells %s is asked after a start before hours of long ago are closed', (_, poll) => {
    const log = new CoverageLog(ORIGIN);
    log.addPoll(poll);
    const startedMs = HOUR + 10 * 24 * HOUR_MS;
    const dueAt = (nowMs: number): number =>
      log.dueUntil(HOUR, { ...wait, nowMs, waitsFromMs: startedMs });
    expect(dueAt(startedMs + wait.graceMs - 1)).toBe(HOUR + HOUR_MS);
    expect(dueAt(startedMs + wait.graceMs)).toBe(HOUR + 24 * HOUR_MS);
  });

  it('tells balances of then, and they are compared with then', () => {
    const record = delayed(HOUR, dayMs);
    expect(momentOf(record)).toEqual({ fromMs: HOUR - 1, atMs: HOUR - 1 });
    expect(momentOf(pollAt(HOUR, 1))).toEqual({ fromMs: HOUR, atMs: HOUR + 1 });
    const coverage = [true, false].map((complete) => ({
      what: 'balances' as const,
      market: 'U1',
      fromMs: 0,
      toMs: HOUR,
      complete,
      reason: complete ? null : ('delayed' as const),
    }));
    const poll = { ...POLL, coverage, account: LEDGER_ACCOUNT, records: [] };
    expect(observedIn(poll)).toEqual({ balances: [], positions: [] });
    expect(observedIn({ ...poll, coverage: coverage.slice(1) })).toBe(null);
  });
});
