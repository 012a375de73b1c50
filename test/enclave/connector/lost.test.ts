// What a walk could not have, a record without form or the rest of a full page, is said of its own time: an account that is
// read anew meets it again days later, and loses nothing of the present hour for it.

import { describe, expect, it } from 'vitest';
import type { Coverage } from '../../../enclave/connector/classes.ts';
import { emptyCursors } from '../../../enclave/connector/cursors.ts';
import { convert, pageByHalves, pageByTime } from '../../../enclave/connector/paging.ts';
import type { Raw } from '../../../enclave/connector/raw.ts';
import { decimalAt, momentsIn, textAt, timeAt } from '../../../enclave/connector/raw.ts';
import type { Flow } from '../../../enclave/connector/records.ts';
import type { HistorySource, Span } from '../../../enclave/connector/source.ts';
import { cursorOf, walkHistory } from '../../../enclave/connector/source.ts';
import { CoverageLog, pollRecordOf } from '../../../enclave/ledger/track/hour-coverage.ts';
import { DAY_MS, HOUR_MS } from '../../../wire/track/head.ts';
import { depositedAt } from '../../helpers/records.ts';

const NOW_MS = Date.UTC(2026, 10, 20, 20, 5);
const FROM_MS = NOW_MS - 5 * DAY_MS;
const LOST_MS = NOW_MS - 4 * DAY_MS;

function flowOf(raw: Raw): Flow | null {
  const [id, amount, timeMs] = [textAt(raw, 'id'), decimalAt(raw, 'amount'), timeAt(raw, 'time')];
  return id === null || amount === null || timeMs === null ? null : depositedAt(id, timeMs, amount);
}

function rawAt(time: number, id: number, amount: string | null = '1'): Raw {
  return { id, time, amount };
}

/** One page that has everything of the span. */
function sourceOf(raws: readonly Raw[], more: Partial<HistorySource> = {}): HistorySource {
  const within = ({ fromMs, toMs }: Span): readonly Raw[] =>
    raws.filter((raw) => (timeAt(raw, 'time') ?? fromMs) >= fromMs && Number(raw['time']) <= toMs);
  return {
    type: 'history',
    what: 'deposits',
    market: 'all',
    key: 'k',
    windowMs: null,
    historyMs: null,
    overlapMs: HOUR_MS,
    page: (span) => Promise.resolve({ ...convert(within(span), flowOf), next: null }),
    ...more,
  };
}

async function walked(source: HistorySource, doneToMs = FROM_MS): Promise<readonly Coverage[]> {
  const coverage: Coverage[] = [];
  const walker = {
    cursors: emptyCursors(),
    fromMs: FROM_MS,
    nowMs: () => NOW_MS,
    emit: () => Promise.resolve(),
    cover: (line: Coverage) => coverage.push(line),
  };
  cursorOf(walker, source.key).doneToMs = doneToMs;
  expect(await walkHistory(source, walker)).toBe(null);
  return coverage;
}

type Row = readonly [fromMs: number, toMs: number, reason: string | null];

function rowsOf(coverage: readonly Coverage[]): readonly Row[] {
  for (const { complete, reason } of coverage) expect(complete).toBe(reason === null);
  return coverage.map(({ fromMs, toMs, reason }) => [fromMs, toMs, reason]);
}

function around(fromMs: number, toMs: number, reason: string): readonly Row[] {
  return [
    [FROM_MS, fromMs, null],
    [fromMs, toMs, reason],
    [toMs, NOW_MS, null],
  ];
}

const bad = rawAt(LOST_MS, 2, null);
const known = [rawAt(FROM_MS + 5, 1), bad, rawAt(NOW_MS - 5, 3)];

describe('a record without form', () => {
  it('is missed at its own time', async () => {
    const rows = rowsOf(await walked(sourceOf(known)));
    expect(rows).toEqual(around(LOST_MS, LOST_MS + 1, 'record_malformed'));
  });

  it('and another: from the first to the last, of pages and windows together', async () => {
    const more = rawAt(LOST_MS + 2 * DAY_MS, 4, null);
    for (const windowMs of [null, DAY_MS]) {
      const rows = rowsOf(await walked(sourceOf([...known, more], { windowMs })));
      expect(rows).toEqual(around(LOST_MS, LOST_MS + 2 * DAY_MS + 1, 'record_malformed'));
    }
  });

  it('that has several times is missed at all of them', async () => {
    const two = { ...bad, updated: new Date(LOST_MS + HOUR_MS).toISOString() };
    const rows = rowsOf(await walked(sourceOf([two])));
    expect(rows).toEqual(around(LOST_MS, LOST_MS + HOUR_MS + 1, 'record_malformed'));
  });

  it.each([
    ['has no time', { time: 'soon' }, {}],
    ['has one that is not of the span', { time: FROM_MS - 1 }, {}],
    ['may be dated by day alone', { time: LOST_MS }, { byDay: true }],
  ])('that %s may be of any time of the window', async (_, told, more) => {
    const raws = [{ id: 1, ...told }];
    const page = ({ fromMs }: Span) =>
      Promise.resolve({ ...convert(fromMs === LOST_MS ? raws : [], flowOf), next: null });
    const windowed = sourceOf([], { windowMs: DAY_MS, page, ...more });
    expect(rowsOf(await walked(windowed))).toEqual(
      around(LOST_MS, LOST_MS + DAY_MS + 1, 'record_malformed'),
    );
    const whole = { ...windowed, windowMs: null, page: () => page({ fromMs: LOST_MS, toMs: 0 }) };
    expect(rowsOf(await walked(whole))).toEqual([[FROM_MS, NOW_MS, 'record_malformed']]);
  });

  it.each([
    [
      'begin',
      FROM_MS,
      [
        [FROM_MS, FROM_MS + 1, 'record_malformed'],
        [FROM_MS + 1, NOW_MS, null],
      ],
    ],
    [
      'end',
      NOW_MS,
      [
        [FROM_MS, NOW_MS - 1, null],
        [NOW_MS - 1, NOW_MS, 'record_malformed'],
      ],
    ],
  ])('at the %s of what was asked for is missed too', async (_, timeMs, rows) => {
    expect(rowsOf(await walked(sourceOf([rawAt(timeMs, 1, null)])))).toEqual(rows);
  });

  it('of a time that was covered before is missed there, and not since', async () => {
    const rows = rowsOf(await walked(sourceOf([rawAt(NOW_MS - 9, 1, null)]), NOW_MS - 3));
    expect(rows).toEqual([
      [NOW_MS - 9, NOW_MS - 8, 'record_malformed'],
      [NOW_MS - 3, NOW_MS, null],
    ]);
  });
});

describe('the rest of a moment that is fuller than a page', () => {
  const full = [1, 2, 3].map((id) => rawAt(LOST_MS, id));
  const ask = ({ fromMs, toMs }: Span) =>
    Promise.resolve(
      full.filter(({ time }) => Number(time) >= fromMs && Number(time) <= toMs).slice(0, 2),
    );
  const asked = { limit: 2, ask, one: flowOf, timeOf: (raw: Raw) => timeAt(raw, 'time') };

  it.each(['oldest', 'newest', 'halves'] as const)(
    'is missed at that moment: %s',
    async (shows) => {
      const page: HistorySource['page'] = (span, token) =>
        shows === 'halves'
          ? pageByHalves(asked, span, token)
          : pageByTime({ ...asked, shows }, span, token);
      const rows = rowsOf(await walked(sourceOf([], { page })));
      expect(rows).toEqual(around(LOST_MS, LOST_MS + 1, 'history_limit'));
    },
  );
});

function askTimeless(): Promise<readonly Raw[]> {
  return Promise.resolve([{ id: 1 }]);
}

describe('a full page that names no time', () => {
  it.each(['oldest', 'newest'] as const)('is missed whole: %s', async (shows) => {
    const asked = { limit: 1, shows, ask: askTimeless, one: () => [], timeOf: () => null };
    const page: HistorySource['page'] = (span, token) => pageByTime(asked, span, token);
    const rows = rowsOf(await walked(sourceOf([], { page })));
    expect(rows).toEqual([[FROM_MS, NOW_MS, 'history_limit']]);
  });
});

describe('a time', () => {
  const atMs = Date.UTC(2026, 10, 16, 20, 5, 7);

  it.each([
    ['milliseconds', atMs],
    ['a text of milliseconds', String(atMs)],
    ['seconds', atMs / 1000],
    ['a text of seconds', `${atMs / 1000}.0004`],
    ['ISO 8601', new Date(atMs).toISOString()],
    ['ISO 8601 with a zone', '2026-11-16T21:05:07+01:00'],
    ['ISO 8601 with nanoseconds', '2026-11-16T20:05:07.000000001Z'],
    ['no zone', '2026-11-16 20:05:07'],
  ])('is known as %s', (_, value) => {
    expect(momentsIn({ id: 'a1', value, amount: '1.5', none: null })).toEqual([atMs]);
  });

  it.each(['2026-11-16', '12345678901', '2026-99-99T00:00:00Z', '', true, [atMs], { atMs }])(
    'is not %j',
    (value) => {
      expect(momentsIn({ value })).toEqual([]);
    },
  );
});

describe('an account that is read anew', () => {
  it.each([
    ['record_malformed', known],
    ['record_malformed', [bad]],
  ])('keeps its present hour when it meets %s of days ago', async (reason, raws) => {
    const log = new CoverageLog('o');
    const poll = (startedMs: number, coverage: readonly Coverage[]): void => {
      const times = { slotMs: startedMs, startedMs, endedMs: startedMs + 1, leafIndex: startedMs };
      const said = { outcome: 'complete', reason: null, hosts: [], coverage } as const;
      const none = { tooPrecise: new Set<number>(), findings: new Set<string>() };
      log.addPoll(pollRecordOf({ id: 'a', poll: 1, ...times, ...said }, 'o', none, null));
    };
    const hourMs = NOW_MS - (NOW_MS % HOUR_MS);
    poll(hourMs, await walked(sourceOf([])));
    const again = await walked(sourceOf(raws));
    expect(again.some((row) => row.reason === reason)).toBe(true);
    poll(NOW_MS, again);
    poll(hourMs + HOUR_MS + 1, []);
    expect(log.coverage(hourMs)).toMatchObject({ complete: true, gaps: [] });
  });
});
