// The walk over a history, against a model of a venue that shows a list in pages: whatever the times, limits and the
// order, over any number of polls, each record comes once, and nothing is claimed that was not seen.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallError } from '../../../enclave/connector/call-error.ts';
import type { Coverage } from '../../../enclave/connector/classes.ts';
import { encodeCursors, parseCursors } from '../../../enclave/connector/cursors.ts';
import { pageByHalves, pageById, pageByTime } from '../../../enclave/connector/paging.ts';
import type { Raw } from '../../../enclave/connector/raw.ts';
import { textAt, timeAt } from '../../../enclave/connector/raw.ts';
import type { ConnectorRecord, Flow } from '../../../enclave/connector/records.ts';
import { BudgetError } from '../../../enclave/connector/run.ts';
import type { HistorySource, Span } from '../../../enclave/connector/source.ts';
import { walkHistory } from '../../../enclave/connector/source.ts';
import { transferOf } from '../../helpers/records.ts';

interface Entry {
  readonly id: number;
  readonly time: number;
}

const FROM_MS = 1_000_000;

function flowOf(raw: Raw, status: Flow['status'] = 'ok'): Flow {
  const id = textAt(raw, 'id') ?? '';
  return transferOf({ id, currency: 'USD', amount: '1', timeMs: timeAt(raw, 'time') ?? 0, status });
}

/** A venue that shows at most `limit` entries of a span, from one of its ends. */
function venue(
  entries: readonly Entry[],
  limit: number,
  shows: 'oldest' | 'newest',
): (span: Span) => Promise<readonly Raw[]> {
  return ({ fromMs, toMs }) => {
    const inside = entries.filter(({ time }) => time >= fromMs && time <= toMs);
    const sorted = inside.sort(
      (a, b) => (shows === 'oldest' ? a.time - b.time : b.time - a.time) || a.id - b.id,
    );
    return Promise.resolve(sorted.slice(0, limit).map(({ id, time }) => ({ id, time })));
  };
}

interface Polled {
  readonly records: ConnectorRecord[];
  readonly coverage: Coverage[];
  readonly cursors: Uint8Array;
  readonly error: CallError | null;
}

async function poll(
  source: HistorySource,
  cursors: Uint8Array | null,
  nowMs: number,
): Promise<Polled> {
  const records: ConnectorRecord[] = [];
  const coverage: Coverage[] = [];
  const parsed = parseCursors(cursors);
  const error = await walkHistory(source, {
    cursors: parsed,
    fromMs: FROM_MS,
    nowMs: () => nowMs,
    emit: (page) => {
      records.push(...page);
      return Promise.resolve();
    },
    cover: (line) => coverage.push(line),
  });
  return { records, coverage, cursors: encodeCursors(parsed), error };
}

function timeSource(
  ask: (span: Span) => Promise<readonly Raw[]>,
  limit: number,
  shows: 'oldest' | 'newest',
  more: Partial<HistorySource> = {},
): HistorySource {
  return {
    type: 'history',
    what: 'deposits',
    market: 'all',
    key: 'k',
    windowMs: null,
    historyMs: null,
    overlapMs: 500,
    page: (span, token) =>
      pageByTime(
        { limit, shows, ask, timeOf: (raw) => timeAt(raw, 'time'), one: (raw) => flowOf(raw) },
        span,
        token,
      ),
    ...more,
  };
}

function idsOf(records: readonly ConnectorRecord[]): readonly number[] {
  return records.map((record) => Number('id' in record ? record.id : Number.NaN));
}

const scenes = fc.record({
  times: fc.array(fc.integer({ min: FROM_MS, max: FROM_MS + 5000 }), { maxLength: 60 }),
  limit: fc.integer({ min: 1, max: 12 }),
  windowMs: fc.option(fc.integer({ min: 50, max: 3000 })),
  polls: fc.array(fc.integer({ min: 1, max: 2500 }), { minLength: 1, maxLength: 6 }),
  shows: fc.constantFrom('oldest', 'newest'),
});

const statusesOf = ({ records }: Polled): readonly unknown[] =>
  records.map((record) => (record.kind === 'flow' ? record.status : null));

const outOfBudget = (): Promise<never> => Promise.reject(new BudgetError('budget'));

function numbered(entries: readonly Entry[], limit: number): HistorySource {
  return {
    ...timeSource(() => Promise.resolve([]), limit, 'oldest'),
    page: (span, token, cursor) =>
      pageById(
        {
          limit,
          fromId: (id) =>
            Promise.resolve(
              entries
                .filter((entry) => BigInt(entry.id) >= id)
                .slice(0, limit)
                .map(({ ...raw }) => raw),
            ),
          ofSpan: venue(entries, limit, 'oldest'),
          idOf: (raw) => BigInt(textAt(raw, 'id') ?? '0'),
          one: (raw) => flowOf(raw),
        },
        span,
        token,
        cursor,
      ),
  };
}

describe('a history by time', () => {
  it('comes once each over any number of polls; where a moment is fuller than a page it says so', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, async ({ times, limit, windowMs, polls, shows }) => {
        const entries = times.map((time, id) => ({ id, time }));
        const seen: number[] = [];
        let cursors: Uint8Array | null = null;
        let nowMs = FROM_MS;
        let isTruncated = false;
        for (const step of polls) {
          nowMs += step;
          const there = entries.filter(({ time }) => time <= nowMs);
          const source = timeSource(venue(there, limit, shows), limit, shows, { windowMs });
          const polled: Polled = await poll(source, cursors, nowMs);
          expect(polled.error).toBeNull();
          isTruncated ||= polled.coverage.some(({ reason }) => reason === 'history_limit');
          seen.push(...idsOf(polled.records));
          cursors = polled.cursors;
        }
        expect(new Set(seen).size).toBe(seen.length);
        const due = entries.filter(({ time }) => time <= nowMs).map(({ id }) => id);
        expect(isTruncated ? due : seen.sort((a, b) => a - b)).toEqual(due);
        const perMoment = new Map<number, number>();
        for (const { time } of entries) perMoment.set(time, (perMoment.get(time) ?? 0) + 1);
        // Without a full page of one moment there is no excuse.
        expect(isTruncated && Math.max(0, ...perMoment.values()) < limit).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it('takes what the venue shows late, within the overlap', async () => {
    const early = { id: 1, time: FROM_MS + 900 };
    const late = { id: 2, time: FROM_MS + 600 };
    const first = await poll(
      timeSource(venue([early], 10, 'newest'), 10, 'newest'),
      null,
      FROM_MS + 1000,
    );
    expect(idsOf(first.records)).toEqual([1]);
    const both = timeSource(venue([early, late], 10, 'newest'), 10, 'newest');
    const second = await poll(both, first.cursors, FROM_MS + 1100);
    expect(idsOf(second.records)).toEqual([2]);
  });

  it('asks for nothing before the start of the account', async () => {
    const spans: Span[] = [];
    const ask = (span: Span): Promise<readonly Raw[]> => {
      spans.push(span);
      return Promise.resolve([]);
    };
    await poll(timeSource(ask, 10, 'oldest'), null, FROM_MS + 1000);
    expect(spans).toEqual([{ fromMs: FROM_MS, toMs: FROM_MS + 1000 }]);
  });

  it('waits for what is pending, and shows it again when it is final', async () => {
    let status: Flow['status'] = 'pending';
    const entry = { id: 1, time: FROM_MS + 10 };
    const sourceOf = (): HistorySource => ({
      ...timeSource(venue([entry], 10, 'newest'), 10, 'newest'),
      page: async (span, token) =>
        pageByTime(
          {
            limit: 10,
            shows: 'newest',
            ask: venue([entry], 10, 'newest'),
            timeOf: (raw) => timeAt(raw, 'time'),
            one: (raw) => flowOf(raw, status),
          },
          span,
          token,
        ),
    });
    const first = await poll(sourceOf(), null, FROM_MS + 1000);
    expect(statusesOf(first)).toEqual(['pending']);
    // Long after the overlap of half a second.
    const second = await poll(sourceOf(), first.cursors, FROM_MS + 3_600_000);
    expect(statusesOf(second)).toEqual([]);
    status = 'ok';
    const third = await poll(sourceOf(), second.cursors, FROM_MS + 7_200_000);
    expect(statusesOf(third)).toEqual(['ok']);
    const fourth = await poll(sourceOf(), third.cursors, FROM_MS + 9_000_000);
    expect(statusesOf(fourth)).toEqual([]);
  });

  it('still waits for what is pending after a poll that failed', async () => {
    let status: Flow['status'] = 'pending';
    const entry = { id: 1, time: FROM_MS + 10 };
    const sourceOf = (ask: (span: Span) => Promise<readonly Raw[]>): HistorySource => ({
      ...timeSource(ask, 10, 'newest'),
      page: async ({ fromMs, toMs }) => {
        const raws = await ask({ fromMs, toMs });
        return { records: raws.map((raw) => flowOf(raw, status)), malformed: 0, next: null };
      },
    });
    const whole = venue([entry], 10, 'newest');
    const first = await poll(sourceOf(whole), null, FROM_MS + 1000);
    expect(statusesOf(first)).toEqual(['pending']);
    const fails = sourceOf(() => Promise.reject(new CallError('network')));
    const second = await poll(fails, first.cursors, FROM_MS + 3_600_000);
    expect(second.error?.errorClass).toBe('network');
    status = 'ok';
    const third = await poll(sourceOf(whole), second.cursors, FROM_MS + 7_200_000);
    expect(statusesOf(third)).toEqual(['ok']);
  });

  it('waits no longer for what has come, when the rest was not asked for any more', async () => {
    const entries = [{ id: 1, time: FROM_MS + 10 }];
    let [status, calls]: [Flow['status'], number] = ['pending', Infinity];
    const whole = venue(entries, 10, 'oldest');
    const source: HistorySource = {
      ...timeSource(whole, 10, 'oldest', { windowMs: 1000, overlapMs: 0 }),
      page: async (span) => {
        if (calls-- <= 0) throw new BudgetError();
        const raws = await whole(span);
        return { records: raws.map((raw) => flowOf(raw, status)), malformed: 0, next: null };
      },
    };
    let { cursors } = await poll(source, null, FROM_MS + 1000);
    for (let at = 1; at <= 5; at++) {
      // Two windows in each poll: what is on its way, and another one.
      calls = 2;
      ({ cursors } = await poll(source, cursors, FROM_MS + 10_000 + at));
      expect(parseCursors(cursors).sources.get('k')?.doneToMs).toBe(FROM_MS + 2010);
    }
    status = 'ok';
    for (const seconds of [2, 4, 6, 8, 10]) {
      calls = 2;
      ({ cursors } = await poll(source, cursors, FROM_MS + 10_000));
      const doneToMs = parseCursors(cursors).sources.get('k')?.doneToMs ?? 0;
      expect(doneToMs).toBeGreaterThanOrEqual(FROM_MS + Math.min(seconds * 1000, 10_000));
    }
  });

  it('does not wait for what a page shows from before the start of the account', async () => {
    const old = { id: 1, time: FROM_MS - 500 };
    const source: HistorySource = {
      ...timeSource(venue([old], 10, 'newest'), 10, 'newest'),
      page: () => Promise.resolve({ records: [flowOf(old, 'pending')], malformed: 0, next: null }),
    };
    const { records, cursors } = await poll(source, null, FROM_MS + 1000);
    expect(records).toEqual([]);
    expect(parseCursors(cursors).sources.get('k')?.pendingFromMs).toBeNull();
  });

  it('newest first that fails on the way is asked for again, however much of it was there', async () => {
    const entries = Array.from({ length: 3000 }, (_, id) => ({ id, time: FROM_MS + id * 10 }));
    const whole = venue(entries, 100, 'newest');
    let pages = 0;
    const failing = (span: Span): Promise<readonly Raw[]> =>
      pages++ < 15 ? whole(span) : Promise.reject(new CallError('timeout'));
    const first = await poll(timeSource(failing, 100, 'newest'), null, FROM_MS + 40_000);
    expect(first.error?.errorClass).toBe('timeout');
    expect(first.records.length).toBeGreaterThan(1000);
    const source = timeSource(whole, 100, 'newest');
    const second = await poll(source, first.cursors, FROM_MS + 41_000);
    // The desk counts by id; what comes again is known there.
    const told = new Set([...idsOf(first.records), ...idsOf(second.records)]);
    expect(told.size).toBe(entries.length);
  });

  it('keeps what it reached when a later window fails, and goes on from there', async () => {
    const entries = [100, 1100, 2100].map((after, id) => ({ id, time: FROM_MS + after }));
    const whole = venue(entries, 10, 'oldest');
    const failing = (span: Span): Promise<readonly Raw[]> =>
      span.fromMs >= FROM_MS + 2000 ? Promise.reject(new CallError('timeout')) : whole(span);
    const more = { windowMs: 1000, overlapMs: 0 };
    const first = await poll(timeSource(failing, 10, 'oldest', more), null, FROM_MS + 3000);
    expect(idsOf(first.records)).toEqual([0, 1]);
    expect(first.error?.errorClass).toBe('timeout');
    expect(first.coverage).toEqual([
      expect.objectContaining({ fromMs: FROM_MS, toMs: FROM_MS + 2000, complete: true }),
      expect.objectContaining({
        fromMs: FROM_MS + 2000,
        toMs: FROM_MS + 3000,
        complete: false,
        reason: 'timeout',
      }),
    ]);
    const second = await poll(timeSource(whole, 10, 'oldest', more), first.cursors, FROM_MS + 3000);
    expect(idsOf(second.records)).toEqual([2]);
    expect(second.coverage).toEqual([
      expect.objectContaining({ fromMs: FROM_MS + 2000, toMs: FROM_MS + 3000, complete: true }),
    ]);
  });

  it('that ends with the budget is no failure, and not complete', async () => {
    const { error, coverage } = await poll(
      timeSource(outOfBudget, 10, 'oldest'),
      null,
      FROM_MS + 1000,
    );
    expect(error).toBeNull();
    expect(coverage).toEqual([expect.objectContaining({ complete: false, reason: 'budget' })]);
  });

  it('says so when a record had to be left out', async () => {
    const source = {
      ...timeSource(() => Promise.resolve([]), 10, 'oldest'),
      page: () => Promise.resolve({ records: [], malformed: 1, next: null }),
    };
    const { coverage } = await poll(source, null, FROM_MS + 1000);
    expect(coverage).toEqual([
      expect.objectContaining({ complete: false, reason: 'record_malformed' }),
    ]);
  });

  it.each([
    ['record_malformed', { malformed: 1 }],
    ['history_limit', { truncated: true }],
    ['history_limit', { malformed: 1, truncated: true }],
  ] as const)('says %s of a page before one that failed', async (reason, lost) => {
    const source: HistorySource = {
      ...timeSource(() => Promise.resolve([]), 10, 'oldest'),
      page: (_, token) =>
        token === null
          ? Promise.resolve({ records: [], malformed: 0, next: '2', ...lost })
          : Promise.reject(new CallError('network')),
    };
    const { coverage, error } = await poll(source, null, FROM_MS + 1000);
    expect(error?.errorClass).toBe('network');
    const all = { fromMs: FROM_MS, toMs: FROM_MS + 1000, complete: false };
    expect(coverage).toEqual([
      expect.objectContaining({ ...all, reason }),
      expect.objectContaining({ ...all, reason: 'network' }),
    ]);
  });

  it('does not follow a venue that repeats its page without end', async () => {
    let calls = 0;
    const source = {
      ...timeSource(() => Promise.resolve([]), 10, 'oldest'),
      page: () => {
        calls++;
        return Promise.resolve({ records: [], malformed: 0, next: 'same' });
      },
    };
    const { error } = await poll(source, null, FROM_MS + 1000);
    expect(error?.errorClass).toBe('bad_response');
    expect(calls).toBe(2);
  });
});

describe('a history by halves', () => {
  it('comes once each, whichever end of a full page the venue shows', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, async ({ times, limit, shows }) => {
        const entries = times.map((time, id) => ({ id, time }));
        const source = {
          ...timeSource(venue(entries, limit, shows), limit, shows),
          page: (span: Span, token: string | null) =>
            pageByHalves(
              { limit, ask: venue(entries, limit, shows), one: (raw) => flowOf(raw) },
              span,
              token,
            ),
        };
        const { records, coverage } = await poll(source, null, FROM_MS + 6000);
        const perMoment = Map.groupBy(times, (time) => time);
        const isFuller = [...perMoment.values()].some(({ length }) => length >= limit);
        expect(coverage.some(({ reason }) => reason === 'history_limit')).toBe(isFuller);
        const seen = [...idsOf(records)].sort((a, b) => a - b);
        expect(isFuller ? entries : seen.map((id) => ({ id, time: times[id] }))).toEqual(entries);
        expect(new Set(seen).size).toBe(seen.length);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a history by number', () => {
  it('comes once each, though many have the same moment', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 2, max: 9 }),
        async (batches, limit) => {
          const entries: Entry[] = [];
          const seen: number[] = [];
          let cursors: Uint8Array | null = null;
          let nowMs = FROM_MS;
          for (const count of batches) {
            nowMs += 1000;
            const time = nowMs - 1;
            for (let at = 0; at < count; at++) entries.push({ id: entries.length + 1, time });
            const polled: Polled = await poll(numbered(entries, limit), cursors, nowMs);
            expect(polled.coverage.every(({ complete }) => complete)).toBe(true);
            seen.push(...idsOf(polled.records));
            cursors = polled.cursors;
          }
          expect(seen).toEqual(entries.map(({ id }) => id));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('sees that the venue let go of trades in between', async () => {
    const entries = Array.from({ length: 10 }, (_, at) => ({ id: at + 1, time: FROM_MS + at }));
    const first = await poll(numbered(entries.slice(0, 3), 100), null, FROM_MS + 1000);
    const second = await poll(numbered(entries.slice(6), 100), first.cursors, FROM_MS + 2000);
    expect(second.coverage).toEqual([
      expect.objectContaining({ complete: false, reason: 'history_limit' }),
    ]);
  });
});

describe('a history that is asked for once an hour', () => {
  it('is asked by the first poll behind each hour, so that this one tells all of it', async () => {
    const everyMs = 3_600_000;
    const hourMs = everyMs * 10;
    const asked: number[] = [];
    const source = timeSource(
      ({ toMs }) => {
        asked.push(toMs - hourMs);
        return Promise.resolve([]);
      },
      10,
      'oldest',
      { everyMs },
    );
    let cursors: Uint8Array | null = null;
    for (const atMs of [-300_000, -1, 0, 1, 300_000, everyMs - 1, everyMs, 2 * everyMs + 5]) {
      const polled: Polled = await poll(source, cursors, hourMs + atMs);
      ({ cursors } = polled);
    }
    expect(asked).toEqual([-300_000, 0, everyMs, 2 * everyMs + 5]);
  });
});
