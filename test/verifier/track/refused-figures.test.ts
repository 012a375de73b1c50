// Figures that were signed and are wrong: the signature says who wrote them.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OUTCOME } from '../../../wire/exchange-call.ts';
import type { HourFigures, MarketFigures } from '../../../wire/track/figures.ts';
import type { HourPoll, StatedReturn } from '../../../wire/track/hour.ts';
import type { MetricsStatement } from '../../../wire/track/metrics.ts';
import type { SnapshotStatement } from '../../../wire/track/snapshot.ts';
import type { Placeless } from '../../helpers/track-record.ts';
import { hourStatement, RecordBuilder } from '../../helpers/track-record.ts';
import { money } from '../../wire/performance/golden.ts';
import { blindHour, changed, hour, HOUR_MS, START_MS } from '../../wire/performance/hours.ts';
import { built, RecordFolder, threeHours } from './record-folder.ts';

const DAY_MS = 24 * HOUR_MS;
const POLL: HourPoll = {
  origin: 'trackseal.test/polls',
  leafIndex: 3,
  startedMs: START_MS,
  outcome: OUTCOME.complete,
};
const UNSEEN = { complete: false, residual: null, gaps: ['not_completed'] };

let folder: RecordFolder;

beforeAll(async () => {
  folder = await RecordFolder.create();
});
afterAll(() => folder.remove());

function snapshot(atMs: number, more: Partial<SnapshotStatement>): Placeless {
  return {
    kind: 'snapshot',
    supersedes: null,
    atMs,
    equity: money(1000),
    balance: money(1000),
    unrealised: 0n,
    deposits: 0n,
    withdrawals: 0n,
    byMarket: hour(0).byMarket,
    basis: { lastCounter: 24, hours: 24, completeHours: 24 },
    gaps: [],
    ...more,
  };
}

function without(
  metrics: MetricsStatement,
  name: string,
): Pick<MetricsStatement, 'figures' | 'reasons'> {
  return {
    figures: new Map([...metrics.figures].filter(([one]) => one !== name)),
    reasons: new Map([...metrics.reasons].filter(([one]) => one !== name)),
  };
}

async function day(more: Partial<SnapshotStatement> = {}): Promise<RecordBuilder> {
  const builder = await built(Array.from({ length: 24 }, (_, at) => hour(at)));
  builder.add(snapshot(START_MS + DAY_MS, more));
  return builder;
}

describe('figures that contradict themselves are refused, whoever signed them', () => {
  it.each<[string, Partial<HourFigures>]>([
    ['a change of equity that nothing explains', { realised: money(11) }],
    ['flows that are not what came in', { inflow: money(1), residual: money(-1) }],
    ['money that came and went in no flow', { inflow: money(5), outflow: money(5) }],
  ])('%s', async (_, change) => {
    const [first] = threeHours();
    if (first === undefined) throw new Error('three');
    expect(await folder.codeOf((await built([changed(first, change)])).file())).toBe(
      'record_mismatch',
    );
  });

  it.each<[string, Partial<MarketFigures>, string | null]>([
    ['what the hour says', {}, null],
    ['something that is not known', { equity: null, fees: null }, null],
    ['another number of trades', { trades: 2 }, 'record_mismatch'],
    ['another value', { equity: money(1009) }, 'record_mismatch'],
    ['another volume', { volume: money(1) }, 'record_mismatch'],
    ['other fees', { fees: money(1) }, 'record_mismatch'],
    ['other funding', { funding: money(1) }, 'record_mismatch'],
    ['other income', { income: money(-1) }, 'record_mismatch'],
    ['another profit', { realised: money(11) }, 'record_mismatch'],
    ['what nobody paid', { outlay: money(-5) }, 'record_mismatch'],
    ['another gain that is not realised', { unrealised: 1n }, 'record_mismatch'],
  ])('rows of markets that say %s', async (_, change, code) => {
    const [first] = threeHours();
    if (first === undefined) throw new Error('three');
    const { equityEnd: equity, realised, trades, volume, fees, funding, income } = first;
    const sums = { trades, volume, fees, funding, income, realised, equity, unrealised: 0n };
    const none = { volume: 0n, fees: 0n, funding: 0n, income: 0n, realised: 0n, equity: 0n };
    const outlay = change.outlay === undefined ? money(5) : 0n;
    const byMarket: readonly MarketFigures[] = [
      { market: 'spot', ...sums, outlay: money(-5), ...change },
      { market: 'stock', trades: 0, ...none, outlay, unrealised: 0n },
    ];
    const builder = await built([changed(first, { byMarket })]);
    const { exit, verdict } = await folder.verify(builder.file());
    expect([exit, verdict.code ?? null]).toEqual([code === null ? 0 : 1, code]);
  });

  it.each<[string, Partial<HourFigures>, string | null]>([
    ['nothing', {}, null],
    ['nothing that is known', { volume: null, fees: null, funding: null, realised: null }, null],
    ['fills', { trades: 7 }, 'trades'],
    ['a volume', { volume: money(5000) }, 'volume'],
    ['fees', { fees: money(3) }, 'fees'],
    ['funding', { funding: money(-1) }, 'funding'],
    ['income', { income: money(1) }, 'income'],
    ['a profit', { realised: money(1) }, 'realised'],
    ['a value', { equityEnd: money(1000), unrealisedChange: 0n }, 'equity'],
    ['a gain that is not realised', { unrealisedEnd: money(1) }, 'unrealised'],
  ])('no market at all, where the hour says %s', async (_, said, name) => {
    const unknown = { equityEnd: null, unrealisedEnd: null, unrealisedChange: null };
    // As they are where nobody knows the value: nothing else would be refused.
    const stated = hour(0, { byMarket: [], ...unknown, tolerance: money(1), ...said });
    const { exit, verdict } = await folder.verify((await built([stated])).file());
    const what = name === null ? null : `markets: ${name}`;
    expect([exit, verdict.detail?.['what'] ?? null]).toEqual([what === null ? 0 : 1, what]);
  });

  it.each([
    ['swap', 0n, 'record_mismatch'],
    ['future', 0n, 'record_mismatch'],
    ['swap', money(7), null],
    ['option', 0n, null],
  ] as const)(
    'a row of %s that is worth 7, of which %d is not realised',
    async (market, own, code) => {
      const [first] = threeHours();
      if (first === undefined) throw new Error('three');
      const { equityEnd, unrealisedEnd, realised } = first;
      const sums = { trades: 0, volume: 0n, fees: 0n, funding: 0n, outlay: 0n, income: 0n };
      const byMarket: readonly MarketFigures[] = [
        {
          ...sums,
          market: 'spot',
          realised,
          equity: (equityEnd ?? 0n) - money(7),
          unrealised: (unrealisedEnd ?? 0n) - own,
        },
        { ...sums, market, realised: 0n, equity: money(7), unrealised: own },
      ];
      const builder = await built([changed(first, { byMarket })]);
      const { exit, verdict } = await folder.verify(builder.file());
      expect([exit, verdict.code ?? null]).toEqual([code === null ? 0 : 1, code]);
    },
  );

  it.each([
    ['a better return', { ratio: '0.011', method: 'twr', reason: null }],
    ['a return in another digit', { ratio: '0.010000000000000001', method: 'twr', reason: null }],
    ['a better method', { ratio: '0.01', method: 'modified_dietz', reason: null }],
    ['no return where there is one', { ratio: null, method: null, reason: 'no_value' }],
  ] as const)('%s', async (_, stated) => {
    const [first] = threeHours();
    if (first === undefined) throw new Error('three');
    const builder = await RecordBuilder.create();
    builder.add(hourStatement(first, { return: stated }));
    expect(await folder.codeOf(builder.file())).toBe('record_mismatch');
  });

  it.each<[string, Partial<HourFigures>, string | null]>([
    ['a residual at the tolerance', { tolerance: money(5), residual: money(-5) }, null],
    [
      'a residual above the tolerance, and reconciled',
      { tolerance: money('4.999999999999999999'), residual: money(-5) },
      'status',
    ],
    [
      'a residual above the tolerance, and beyond it',
      { tolerance: money('4.999999999999999999'), residual: money(-5), status: 'beyond' },
      null,
    ],
    [
      'a gain that nobody explains, and reconciled',
      { tolerance: money('0.02'), residual: money(5), realised: money(5) },
      'status',
    ],
    ['differences beyond it that cancel out', { status: 'beyond' }, null],
    ['no residual, and reconciled', { residual: null }, 'status'],
    ['no residual, and beyond', { residual: null, status: 'beyond' }, 'status'],
    ['no residual, and not known', { residual: null, status: 'unknown' }, null],
    ['a residual, and not known', { status: 'unknown' }, 'status'],
    ['the least tolerance', { tolerance: money('0.01101') }, null],
    ['less than the least tolerance', { tolerance: money('0.011009999999999999') }, 'tolerance'],
    ['no tolerance', { residual: null, status: 'unknown', tolerance: 0n }, 'tolerance'],
  ])('an hour with %s', async (_, change, what) => {
    // From 1,000 to 1,010: what is not realised is in the residual.
    const stated = changed(hour(0, { equityEnd: money(1010), realised: money(10) }), change);
    const { residual } = stated;
    const realised = money(10) - (residual ?? 0n);
    const builder = await built([changed(stated, { realised, realisedAverage: realised })]);
    const { exit, verdict } = await folder.verify(builder.file());
    expect([exit, verdict.detail?.['what'] ?? null]).toEqual([what === null ? 0 : 1, what]);
  });

  const failed = { ...POLL, outcome: OUTCOME.failed };
  const missed = { ...POLL, outcome: OUTCOME.missed, leafIndex: null };

  it.each<[string, Partial<HourFigures>, readonly HourPoll[], RegExp | null]>([
    ['every poll, complete', {}, [POLL], null],
    ['a price that is missing, complete', { gaps: ['price_missing'] }, [POLL], null],
    ['a gap of polls, complete', { gaps: ['timeout'] }, [POLL], /^complete \(timeout\)$/u],
    ['a poll that failed, complete', {}, [failed], /^complete \(1 polls, not all/u],
    ['no poll, complete', { polls: 0 }, [], /^complete \(0 polls/u],
    ['a time that nobody polled, complete', {}, [POLL, missed], /^complete \(1 polls, not all/u],
    ['no gap, not complete', { complete: false }, [POLL], /^complete \(no gap says why\)$/u],
    [
      'a gap of prices alone, not complete',
      { complete: false, gaps: ['price_old'] },
      [POLL],
      /^complete \(no gap says why\)$/u,
    ],
    ['a poll that failed', { complete: false, gaps: ['timeout'] }, [failed], null],
    ['what nobody polled', { complete: false, gaps: ['timeout'] }, [POLL, missed], null],
    ['one poll more than there were', { polls: 2 }, [POLL], /^polls$/u],
    ['one poll less than there were', { polls: 1 }, [POLL, POLL], /^polls$/u],
    ['a poll that nobody made', { complete: false, gaps: ['timeout'] }, [missed], /^polls$/u],
  ])('an hour with %s', async (_, change, polls, what) => {
    const builder = await RecordBuilder.create();
    const basis = { polls, missingPrices: [], late: 0 };
    builder.add(hourStatement(hour(0, { polls: 1, ...change }), { basis }));
    const { exit, verdict } = await folder.verify(builder.file());
    expect(exit).toBe(what === null ? 0 : 1);
    expect(String(verdict.detail?.['what'] ?? 'none')).toMatch(what ?? /^none$/u);
  });

  it.each<[string, HourFigures, StatedReturn]>([
    ['another reason of none', blindHour(0), { ratio: null, method: null, reason: 'no_value' }],
    ['a reason beside a return', hour(0), { ratio: '0', method: 'twr', reason: 'incomplete' }],
  ])('%s', async (_, figures, stated) => {
    const builder = await RecordBuilder.create();
    builder.add(hourStatement(figures, { return: stated }));
    const { exit, verdict } = await folder.verify(builder.file());
    expect([exit, verdict.detail?.['what']]).toEqual([1, 'reason']);
  });

  it.each<[string, Partial<HourFigures>, string | null]>([
    ['as it was before', { unrealisedEnd: money(7) }, null],
    [
      'that has become more',
      { unrealisedEnd: money(9), unrealisedChange: money(2), realised: money(-2) },
      null,
    ],
    ['of which nothing is known', { unrealisedEnd: null, unrealisedChange: null }, null],
    [
      'that no change has made',
      { unrealisedEnd: money(900) },
      'not realised at the end: 7 expected, 900 stated',
    ],
    [
      'that should have changed',
      { unrealisedEnd: money(7), unrealisedChange: money(2), realised: money(-2) },
      'not realised at the end: 9 expected, 7 stated',
    ],
  ])('what is not realised, of hours that were stated together: %s', async (_, change, what) => {
    const hours = [hour(0, { unrealisedEnd: money(7) }), hour(1, change)].map((figures) =>
      hourStatement(figures),
    );
    const together = await RecordBuilder.create();
    together.addLeaf(hours);
    const { exit, verdict } = await folder.verify(together.file());
    const { what: name, expected, actual } = verdict.detail ?? {};
    const said =
      exit === 0 ? null : `${String(name)}: ${String(expected)} expected, ${String(actual)} stated`;
    expect(said).toBe(what);
    // Of two leaves it may be what two books have made, and corrections may take that up.
    const [first, second] = hours;
    if (first === undefined || second === undefined) throw new Error('two');
    const apart = await RecordBuilder.create();
    apart.add(first);
    apart.add(second);
    const reason = 'late_data';
    apart.addLeaf([
      { ...first, supersedes: { counter: 1, reason } } as Placeless,
      { ...second, supersedes: { counter: 2, reason } } as Placeless,
    ]);
    expect((await folder.verify(apart.file())).exit).toBe(0);
  });

  it('a return where there is none', async () => {
    const builder = await RecordBuilder.create();
    const stated = { ratio: '0', method: 'twr', reason: null } as const;
    builder.add(hourStatement(blindHour(0), { return: stated }));
    expect(await folder.codeOf(builder.file())).toBe('record_mismatch');
  });

  it('a snapshot is that of its hours', async () => {
    const { exit, verdict } = await folder.verify((await day()).file());
    expect([exit, verdict.record?.statements.snapshots]).toEqual([0, 1]);
  });

  it.each<[string, Partial<SnapshotStatement>]>([
    ['more equity', { equity: money(1001) }],
    ['another balance', { balance: money(999) }],
    ['unrealised', { unrealised: 1n }],
    ['deposits', { deposits: money(1) }],
    ['no withdrawals', { withdrawals: null }],
    [
      'a market',
      {
        byMarket: [
          {
            market: 'swap',
            trades: 1,
            volume: null,
            fees: null,
            funding: null,
            realised: null,
            equity: null,
            outlay: null,
            income: null,
            unrealised: null,
          },
        ],
      },
    ],
    ['another last hour', { basis: { lastCounter: 23, hours: 24, completeHours: 24 } }],
    ['more hours', { basis: { lastCounter: 24, hours: 23, completeHours: 23 } }],
    ['fewer complete hours', { basis: { lastCounter: 24, hours: 24, completeHours: 23 } }],
  ])('a snapshot with %s', async (_, more) => {
    expect(await folder.codeOf((await day(more)).file())).toBe('record_mismatch');
  });

  it('each figure of a market in a snapshot is that of the hours', async () => {
    const row: MarketFigures = {
      market: 'spot',
      trades: 0,
      volume: 0n,
      fees: 0n,
      funding: 0n,
      realised: 0n,
      outlay: 0n,
      income: 0n,
      equity: money(1000),
      unrealised: 0n,
    };
    const hours = Array.from({ length: 24 }, (_, at) => hour(at, { byMarket: [row] }));
    const codeWith = async (change: Partial<MarketFigures>): Promise<string | null> => {
      const builder = await built(hours);
      builder.add(snapshot(START_MS + DAY_MS, { byMarket: [{ ...row, ...change }] }));
      return (await folder.verify(builder.file())).verdict.code ?? null;
    };
    expect(await codeWith({})).toBeNull();
    const { market: _, trades, ...amounts } = row;
    expect(await codeWith({ trades: trades + 1 })).toBe('record_mismatch');
    for (const [name, value] of Object.entries(amounts)) {
      expect([name, await codeWith({ [name]: (value ?? 0n) + 1n })]).toEqual([
        name,
        'record_mismatch',
      ]);
      expect([name, await codeWith({ [name]: null })]).toEqual([name, 'record_mismatch']);
    }
  });

  it.each([
    ['return', '0.04'],
    ['residual', '0.1'],
    ['gaps', 1],
    ['hourly.sample', 4],
    ['a_figure_of_tomorrow', '1'],
  ] as const)('a metrics statement with another %s', async (name, value) => {
    const builder = await built();
    builder.addMetrics((metrics) => ({
      ...metrics,
      figures: new Map([...metrics.figures, [name, value]]),
    }));
    expect(await folder.codeOf(builder.file())).toBe('record_mismatch');
  });

  it.each<[string, (metrics: MetricsStatement) => Partial<MetricsStatement>]>([
    ['without the return over gaps', (metrics) => without(metrics, 'return_bridged')],
    [
      'with another reason',
      ({ reasons }) => ({ reasons: new Map([...reasons, ['xirr', 'none']]) }),
    ],
    [
      'with other conventions',
      ({ conventions }) => ({
        conventions: new Map([...conventions, ['daily.periods_per_year', '252']]),
      }),
    ],
    ['without a gap', () => ({ gaps: [] })],
    [
      'with another change over a gap',
      ({ gaps }) => ({
        gaps: gaps.map((gap) => ({ ...gap, change: '0' })),
      }),
    ],
  ])('a metrics statement %s', async (_, change) => {
    const [first, second, third] = threeHours();
    if (first === undefined || second === undefined || third === undefined) throw new Error('3');
    const hours = [first, second, changed(third, { status: 'unknown', ...UNSEEN })];
    const honest = await built(hours);
    honest.addMetrics();
    const { exit, verdict } = await folder.verify(honest.file());
    expect([exit, verdict.record?.gaps[0]?.reason]).toEqual([0, 'incomplete']);
    expect(verdict.record?.gaps[0]?.change).toMatch(/^0\.0\d+$/u);
    const builder = await built(hours);
    builder.addMetrics((metrics) => ({ ...metrics, ...change(metrics) }));
    expect(await folder.codeOf(builder.file())).toBe('record_mismatch');
  });

  it('a metrics statement over other statements', async () => {
    const builder = await built();
    builder.addMetrics((metrics) => ({
      ...metrics,
      last: { ...metrics.last, hash: new Uint8Array(32) },
    }));
    expect(await folder.codeOf(builder.file())).toBe('record_mismatch');
    const ahead = await built();
    ahead.addMetrics((metrics) => ({ ...metrics, last: { ...metrics.last, counter: 4 } }));
    expect(await folder.codeOf(ahead.file())).toBe('record_mismatch');
  });

  it('a metrics statement stays right when an hour is corrected later', async () => {
    const builder = await built();
    builder.addMetrics();
    const [first] = threeHours();
    if (first === undefined) throw new Error('three');
    const residual = { residual: money('-0.1'), status: 'beyond' } as const;
    const later = changed(first, { ...residual, realised: money('10.1') });
    builder.add(hourStatement(later, { supersedes: { counter: 1, reason: 'late_data' } }));
    expect((await folder.verify(builder.file())).exit).toBe(0);
  });
});
