// Cursors of a job that reads again: what came when is asked for once more, and what nothing else tells stays known.

import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../node_modules/ccxt/js/src/base/Exchange.js';
import type { Cursors, SourceCursor } from '../../../enclave/connector/cursors.ts';
import {
  emptyCursors,
  encodeCursors,
  ENDED_MARK,
  parseCursors,
  rewindCursors,
  toldMsOf,
} from '../../../enclave/connector/cursors.ts';
import {
  changedAssets,
  MAX_SYMBOLS_PER_JOB,
  pairsOf,
  symbolsToAsk,
} from '../../../enclave/connector/symbols.ts';
import type { Span } from '../../../enclave/connector/source.ts';
import { walkHistory } from '../../../enclave/connector/source.ts';
import { transferOf } from '../../helpers/records.ts';

const DAY_MS = 86_400_000;
const TOLD_MS = 20 * DAY_MS;
const FROM_MS = 15 * DAY_MS + 1;

function cursorOf(change: Partial<SourceCursor> = {}): SourceCursor {
  const ids = new Map([['0011223344556677', TOLD_MS]]);
  const idsFromMs = TOLD_MS - DAY_MS;
  return { doneToMs: TOLD_MS, mark: null, ids, idsFromMs, pendingFromMs: null, ...change };
}

function cursorsOf(accounts: Readonly<Record<string, SourceCursor>>): Cursors {
  const cursors = emptyCursors();
  for (const [name, cursor] of Object.entries(accounts)) cursors.sources.set(name, cursor);
  cursors.symbols.add('BTC/USDT');
  cursors.totals.set('BTC', '1').set('USDT', '2');
  return cursors;
}

function kept(cursors: Cursors): Cursors {
  return parseCursors(encodeCursors(cursors));
}

describe('rewindCursors', () => {
  it('leaves cursors of a job that goes on as they are', () => {
    const cursors = cursorsOf({ flex: cursorOf(), 'flex/U1': cursorOf() });
    expect(rewindCursors(cursors, 'on', FROM_MS)).toBe(cursors);
  });

  it.each(['again', 'anew'] as const)(
    'reading %s, goes back in every source, and knows every symbol and asset still',
    (reads) => {
      const fills = cursorOf({ mark: '77', pendingFromMs: 8 * DAY_MS });
      const cursors = cursorsOf({ fills, flex: cursorOf() });
      const rewound = rewindCursors(cursors, reads, FROM_MS);
      // What is on its way since then is met again.
      const idsFromMs = 8 * DAY_MS;
      expect([...kept(rewound).sources]).toEqual([
        ['fills', { ...fills, doneToMs: FROM_MS, mark: null, ids: new Map(), idsFromMs }],
      ]);
      expect([...kept(rewound).symbols]).toEqual(['BTC/USDT']);
      // With no total of before, so that what is sold out since has changed as well.
      expect([...kept(rewound).totals]).toEqual([
        ['BTC', ''],
        ['USDT', ''],
      ]);
    },
  );

  it('reading again, knows until when each account was told, and tells its records once more', () => {
    const { sources } = rewindCursors(cursorsOf({ 'flex/U1': cursorOf() }), 'again', FROM_MS);
    const cursor = sources.get('flex/U1');
    expect(cursor).toMatchObject({ doneToMs: TOLD_MS, ids: new Map(), idsFromMs: 15 * DAY_MS });
  });

  it('reading anew, takes nothing as told, but waits for each account from when it was', () => {
    const once = rewindCursors(cursorsOf({ 'flex/U1': cursorOf() }), 'anew', FROM_MS);
    const twice = rewindCursors(kept(once), 'anew', FROM_MS - DAY_MS);
    for (const [cursors, fromMs] of [
      [once, FROM_MS],
      [twice, FROM_MS - DAY_MS],
    ] as const) {
      const cursor = kept(cursors).sources.get('flex/U1') ?? cursorOf();
      expect(cursor).toMatchObject({ doneToMs: fromMs, ids: new Map() });
      expect(toldMsOf(cursor)).toBe(TOLD_MS);
    }
  });

  it('asks for nothing that was told later than an account that is behind', () => {
    const behind = cursorOf({ doneToMs: 9 * DAY_MS + 5 });
    for (const reads of ['again', 'anew'] as const) {
      const { sources } = rewindCursors(cursorsOf({ 'flex/U1': behind }), reads, FROM_MS);
      const expected = { doneToMs: 9 * DAY_MS + 5, idsFromMs: 9 * DAY_MS };
      expect(sources.get('flex/U1')).toMatchObject(expected);
    }
  });

  it('does not wait again for an account that has ended', () => {
    const ended = cursorOf({ mark: ENDED_MARK });
    for (const reads of ['again', 'anew'] as const) {
      const { sources } = rewindCursors(cursorsOf({ 'flex/U1': ended }), reads, FROM_MS);
      expect(sources.get('flex/U1')?.mark).toBe(ENDED_MARK);
    }
  });
});

function keyOf(symbol: string): string {
  return `fills/${symbol}`;
}

describe('symbols to ask for when an account is read again', () => {
  const seen = Array.from({ length: MAX_SYMBOLS_PER_JOB + 10 }, (_, at) => `C${at}/USDT`);
  const listed = [...seen, 'NEW/USDT'].map((symbol): readonly [string, object] => [
    symbol,
    { base: symbol.split('/')[0], quote: 'USDT', spot: true },
  ]);
  const exchange = { markets: Object.fromEntries(listed) } as unknown as Exchange;

  it.each(['on', 'again', 'anew'] as const)(
    'begin with a pair that is new, reading %s, though more are known than one job asks for',
    (reads) => {
      const cursors = emptyCursors();
      for (const symbol of seen) {
        cursors.symbols.add(symbol);
        cursors.sources.set(keyOf(symbol), cursorOf());
      }
      const rewound = rewindCursors(cursors, reads, FROM_MS);
      const bought = { kind: 'balance', wallet: 'spot', currency: 'NEW', total: '1' } as const;
      const changed = changedAssets(rewound, [{ ...bought, free: null }]);
      const pairs = pairsOf(exchange, changed, new Set(['USDT']));
      const asked = symbolsToAsk(exchange, rewound, keyOf, rewound.symbols, pairs);
      expect(asked).toHaveLength(MAX_SYMBOLS_PER_JOB);
      expect(asked).toContain('NEW/USDT');
    },
  );
});

it('what was before the start of the first job is told by none that reads again', async () => {
  const startMs = 15 * DAY_MS + 12 * 3_600_000;
  const nowMs = startMs + 8 * DAY_MS;
  const flows = [-30, 60].map((minutes, at) =>
    transferOf({
      id: String(at),
      currency: 'USD',
      amount: '1',
      timeMs: startMs + minutes * 60_000,
      status: 'ok',
    }),
  );
  const told = async (cursors: Cursors): Promise<readonly string[]> => {
    const ids: string[] = [];
    const source = {
      type: 'history',
      what: 'deposits',
      market: 'all',
      key: 'deposits',
      windowMs: null,
      historyMs: null,
      overlapMs: 3_600_000,
      page: ({ fromMs, toMs }: Span) => {
        const records = flows.filter(({ timeMs }) => timeMs >= fromMs && timeMs <= toMs);
        return Promise.resolve({ records, malformed: 0, next: null });
      },
    } as const;
    await walkHistory(source, {
      cursors,
      fromMs: startMs,
      nowMs: () => nowMs,
      emit: (records) => {
        for (const record of records) if (record.kind === 'flow') ids.push(record.id);
        return Promise.resolve();
      },
      cover: () => undefined,
    });
    return ids;
  };
  const cursors = emptyCursors();
  expect(await told(cursors)).toEqual(['1']);
  for (const reads of ['again', 'anew'] as const)
    expect(await told(rewindCursors(kept(cursors), reads, startMs))).toEqual(['1']);
});
