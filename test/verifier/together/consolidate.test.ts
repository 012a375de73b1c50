// Several accounts as one: what nobody may gain from it is a return that the money of all of them together did not have.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fixed } from '../../../wire/fixed.ts';
import { formatFixed } from '../../../wire/fixed.ts';
import { hourReturn } from '../../../wire/performance/hour-return.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import { exactRatio, ratioUnits } from '../../../wire/performance/ratio.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { consolidate } from '../../../verifier/together/consolidate.ts';
import { MAX_AHEAD_MS, MAX_TRANSIT_MS } from '../../../verifier/together/transfers.ts';
import { money } from '../../wire/performance/golden.ts';
import { blindHour, changed, hour, HOUR_MS, START_MS } from '../../wire/performance/hours.ts';
import type { Event } from './accounts.ts';
import { accountOf } from './accounts.ts';

type Hours = readonly HourFigures[];

const returns = (accounts: readonly Hours[]): readonly (string | null)[] =>
  consolidate(accounts).hours.map((one) => hourReturn(one).ratio);
const reasons = (accounts: readonly Hours[]): readonly (string | null)[] =>
  consolidate(accounts).hours.map((one) => hourReturn(one).reason);
const values = (accounts: readonly Hours[]): readonly (readonly string[])[] =>
  consolidate(accounts).hours.map(({ equityStart, equityEnd, inflow, outflow }) =>
    [equityStart, equityEnd, inflow, outflow].map((value) =>
      value === null ? 'unknown' : formatFixed(value),
    ),
  );
const still = (hours: number): readonly (readonly string[])[] =>
  Array.from({ length: hours }, () => ['1500', '1500', '0', '0']);
const quiet: readonly Event[] = [];

/** Of values at an end and a start, in turn. */
function growth(...parts: readonly number[]): string | null {
  let [over, under] = [1n, 1n];
  for (const [at, value] of parts.entries()) {
    if (at % 2 === 0) over *= BigInt(value);
    else under *= BigInt(value);
  }
  return exactRatio(over - under, under);
}

const leaves: Event = { minute: 10, flow: money(-400), reference: 1 };
const arrives: Event = { minute: 40, flow: money(400), reference: 1 };

const stock = (
  equity: number,
  unrealised: Fixed | null = money(equity),
): HourFigures['byMarket'] => [
  {
    market: 'stock',
    trades: 0,
    volume: 0n,
    fees: 0n,
    funding: 0n,
    realised: 0n,
    equity: money(equity),
    outlay: 0n,
    income: 0n,
    unrealised,
  },
];

const gain = (minute: number, dollars: number): Event => ({ minute, gain: money(dollars) });
const flow = (dollars: number): Hours =>
  accountOf(money(1000), [[{ minute: 30, flow: money(dollars) }]]);
const other = (dollars: number): Hours => accountOf(money(1000), [[gain(0, dollars)]]);
const at30 = (moved: number, before: number): Hours =>
  accountOf(money(1000), [[{ minute: 30, gain: money(before), flow: money(moved) }, gain(59, 50)]]);

describe('a transfer between two accounts', () => {
  it('is no flow of both, and moves no return', () => {
    const accounts = [accountOf(money(1000), [[leaves]]), accountOf(money(500), [[arrives]])];
    expect(values(accounts)).toEqual([['1500', '1500', '0', '0']]);
    expect(returns(accounts)).toEqual(['0']);
    const half = { hourMs: START_MS, amount: money(400) };
    expect(consolidate(accounts).transfers.internal).toEqual([
      {
        left: { ...half, account: 0, atMs: START_MS + 600_000 },
        arrived: { ...half, account: 1, atMs: START_MS + 2_400_000 },
        reference: '01'.repeat(16),
      },
    ]);
  });

  it('belongs to the whole while it is on its way', () => {
    const accounts = [
      accountOf(money(1000), [quiet, [leaves], quiet, quiet, quiet]),
      accountOf(money(500), [quiet, quiet, quiet, [arrives], quiet]),
    ];
    expect(values(accounts)).toEqual(still(5));
    expect(returns(accounts)).toEqual(['0', '0', '0', '0', '0']);
  });

  it('that is booked where it comes in before it is booked where it went is there once', () => {
    const accounts = [
      accountOf(money(1000), [quiet, [leaves], quiet]),
      accountOf(money(500), [[arrives], quiet, quiet]),
    ];
    expect(values(accounts)).toEqual(still(3));
    expect(returns(accounts)).toEqual(['0', '0', '0']);
  });

  it.each([
    ['with less has cost the difference', '392', '1592', '0', '-0.005'],
    ['with more: the rest came from outside', '440', '1640', '40', '0'],
  ])('that arrives %s', (_, amount, end, inflow, ratio) => {
    const flow = money(amount);
    const accounts = [
      accountOf(money(1000), [[leaves], quiet]),
      accountOf(money(600), [quiet, [{ ...arrives, flow }]]),
    ];
    const second = ['1600', end, inflow, '0'];
    expect(values(accounts)).toEqual([['1600', '1600', '0', '0'], second]);
    expect(returns(accounts)).toEqual(['0', ratio]);
    const ahead = [
      accountOf(money(1000), [quiet, [leaves]]),
      accountOf(money(600), [[{ ...arrives, flow }], quiet]),
    ];
    expect(values(ahead)).toEqual([['1600', '1600', '0', '0'], second]);
    expect(returns(ahead)).toEqual(['0', ratio]);
  });

  it.each([
    ['at the limit', MAX_TRANSIT_MS / HOUR_MS, 0, 1],
    ['a minute below it', MAX_TRANSIT_MS / HOUR_MS, -1, 1],
    ['a minute beyond it', MAX_TRANSIT_MS / HOUR_MS, 1, 0],
    ['as much ahead as it may be', -MAX_AHEAD_MS / HOUR_MS, 0, 1],
    ['a minute more ahead', -MAX_AHEAD_MS / HOUR_MS, -1, 0],
  ])('that takes %s', (_, hours, minutes, found) => {
    const [from, to] = [0, 0].map(() => Array.from({ length: 175 }, (): Event[] => []));
    from?.[2]?.push({ ...leaves, minute: 30 });
    to?.[2 + hours]?.push({ ...arrives, minute: 30 + minutes });
    const { transfers } = consolidate([
      accountOf(money(1000), from ?? []),
      accountOf(0n, to ?? []),
    ]);
    expect(transfers.internal).toHaveLength(found);
  });

  it.each([
    [2, 'references_differ'],
    [null, 'no_reference'],
  ] as const)(
    'needs one reference: with another, %s, it is external, and named',
    (reference, reason) => {
      const accounts = [
        accountOf(money(1000), [[leaves]]),
        accountOf(money(500), [[{ ...arrives, reference }]]),
      ];
      const { internal, alike } = consolidate(accounts).transfers;
      expect(values(accounts)).toEqual([['1500', '1500', '400', '400']]);
      expect([internal.length, alike.map((one) => one.reason)]).toEqual([0, [reason]]);
    },
  );

  it.each([
    [408, 1],
    [392, 1],
    [409, 0],
    [391, 0],
  ])('of 400 that comes as %d without a reference looks like %d', (dollars, found) => {
    const flow = money(dollars);
    const { alike } = consolidate([
      accountOf(money(1000), [[leaves]]),
      accountOf(money(500), [[{ ...arrives, flow, reference: null }]]),
    ]).transfers;
    expect(alike).toHaveLength(found);
  });

  it('needs two directions and two accounts', () => {
    const both = [accountOf(money(1000), [[arrives]]), accountOf(money(500), [[arrives]])];
    expect(values(both)).toEqual([['1500', '2300', '800', '0']]);
    const own = [accountOf(money(1000), [[leaves, arrives]]), accountOf(money(1), [quiet])];
    expect(values(own)).toEqual([['1001', '1001', '400', '400']]);
  });

  it('each flow is half of one: of a transaction with two payments each goes with the nearest amount', () => {
    const accounts = [
      accountOf(money(1000), [[{ ...leaves, flow: money(-100) }, leaves]]),
      accountOf(money(500), [[{ ...arrives, flow: money(399) }]]),
      accountOf(money(500), [[{ ...arrives, flow: money(99) }, arrives]]),
    ];
    const { internal } = consolidate(accounts).transfers;
    const pairs = internal.map(({ left, arrived }) => [left.amount, arrived.amount]);
    expect(pairs).toEqual([
      [money(400), money(400)],
      [money(100), money(99)],
    ]);
  });

  it('in an hour that was worked out backwards counts nothing', () => {
    const rebuilt = accountOf(0n, [[arrives], quiet]).map((one, at) =>
      changed(one, { rebuilt: at === 0 }),
    );
    const { spans, transfers } = consolidate([accountOf(money(1000), [[leaves], quiet]), rebuilt]);
    const toMs = START_MS + 2 * HOUR_MS;
    expect(spans).toEqual([
      { fromMs: START_MS, toMs },
      { fromMs: START_MS + HOUR_MS, toMs },
    ]);
    expect(transfers.internal).toEqual([]);
  });
});

describe('accounts whose records cover different times', () => {
  it('come in and leave with their value, and neither is a gain', () => {
    const long = accountOf(money(1000), [quiet, quiet, quiet, quiet]);
    const short = accountOf(money(3000), [[{ minute: 0, gain: money(400) }], quiet], 1);
    expect(values([long, short])).toEqual([
      ['1000', '1000', '0', '0'],
      ['1000', '4400', '3000', '0'],
      ['4400', '4400', '0', '0'],
      ['4400', '1000', '0', '3400'],
    ]);
    expect(returns([long, short])).toEqual(['0', '0.1', '0', '0']);
    expect(performanceOf(consolidate([long, short]).hours).linked.ratio).toBe('0.1');
  });

  it('may follow each other; between them nobody knows', () => {
    const accounts = [accountOf(money(1000), [quiet]), accountOf(money(50), [quiet], 2)];
    const { gaps } = performanceOf(consolidate(accounts).hours).linked;
    const [fromMs, toMs] = [START_MS + HOUR_MS, START_MS + 2 * HOUR_MS];
    expect(gaps).toEqual([{ fromMs, toMs, reason: 'missing' }]);
  });

  it('and what is in them by market comes and goes without a profit', () => {
    const long = [hour(0), hour(1), hour(2), hour(3)];
    const short = [1, 2].map((at) => hour(at, { byMarket: stock(1000) }));
    const { markets } = performanceOf(consolidate([long, short]).hours);
    const linked = markets.find(({ market }) => market === 'stock')?.linked;
    expect(linked?.observed).toBe('0');
    expect(linked?.gaps.map(({ reason }) => reason)).toEqual(['no_value']);
  });

  it('and what of a market is not realised is that of all, or not known', () => {
    const first = [hour(0, { byMarket: stock(1000, money(10)) })];
    const sums = [money(-3), null].map((unrealised) => {
      const second = [hour(0, { byMarket: stock(1000, unrealised) })];
      return consolidate([first, second]).hours[0]?.byMarket[0]?.unrealised;
    });
    expect(sums).toEqual([money(7), null]);
  });
});

describe('an hour that one of them does not know', () => {
  const good = accountOf(money(1000), [quiet, [{ minute: 1, gain: money(100) }], quiet]);
  const more = { residual: money(5), equityEnd: money(1005), status: 'beyond' } as const;

  const bad: readonly (readonly [string, string, Hours])[] = [
    ['nobody saw', 'incomplete', [blindHour(1), hour(2)]],
    ['has no value', 'no_value', [hour(1, { equityEnd: null }), hour(2, { equityStart: null })]],
    ['has an amount without a price', 'flow_not_valued', [hour(1, { inflow: null }), hour(2)]],
    [
      'has more than is explained',
      'gain_unexplained',
      [hour(1, more), hour(2, { equityStart: money(1005), equityEnd: money(1005) })],
    ],
    ['begins with another value', 'incomplete', [hour(1, { equityStart: money(900) }), hour(2)]],
    ['is not there', 'missing', [hour(2)]],
  ];
  it.each(bad)('that %s is a gap of all', (_, reason, rest) => {
    const { linked } = performanceOf(consolidate([good, [hour(0), ...rest]]).hours);
    expect(linked.ratio).toBe(null);
    expect(linked.gaps.map((gap) => gap.reason)).toContain(reason);
  });

  it('jumps that cancel are no less jumps', () => {
    const up = [hour(0), hour(1, { equityStart: money(1100), equityEnd: money(1100) })];
    const down = [hour(0), hour(1, { equityStart: money(900), equityEnd: money(900) })];
    expect(reasons([up, down])).toEqual([null, 'incomplete']);
    // What appeared in one does not make up for what went from the other.
    const { gaps } = performanceOf(consolidate([up, down]).hours);
    expect(gaps.map(({ change }) => change)).toEqual(['-0.05']);
  });

  it('and a later poll that told what an earlier one could not tells nothing of them', () => {
    const later = { complete: false, gaps: ['poll_missed'] } as const;
    const up = [hour(0), hour(1, { equityStart: money(1100), equityEnd: money(1100), ...later })];
    expect(reasons([up, [hour(0), hour(1, later)]])).toEqual([null, 'incomplete']);
  });

  it('what one lacks does not make up for what another has beyond its records', () => {
    const above = [hour(0, { residual: money('0.005'), equityEnd: money('1000.005') })];
    const below = [hour(0, { residual: money('-0.005'), equityEnd: money('999.995') })];
    // 2,000 to 2,000, of which nobody explained 0.005.
    expect(returns([above, below])).toEqual(['-0.0000025']);
  });

  it('two ways of knowing it are as good as one', () => {
    const told = [hour(0, { complete: true, status: 'unknown', residual: null })];
    const compared = [hour(0, { complete: false, gaps: ['not_completed'] })];
    expect(returns([told, compared])).toEqual(['0']);
  });
});

describe('the value of the others at a flow', () => {
  it.each([
    ['a deposit, up', 1000, 100, growth(2000, 2000, 3100, 3000)],
    ['a deposit, down', 1000, -100, growth(1900, 2000, 2900, 2900)],
    ['a withdrawal, up', -500, 100, growth(2100, 2000, 1600, 1600)],
    ['a withdrawal, down', -500, -100, growth(2000, 2000, 1400, 1500)],
  ])('is the one that makes the return smaller: %s', (_, moved, gained, expected) => {
    expect(returns([flow(moved), other(gained)])).toEqual([expected]);
  });

  it('is signed where it has a flow in the same moment', () => {
    const expected = growth(2060, 2000, 2460, 2360);
    expect(returns([at30(500, 100), at30(-200, -40)])).toEqual([expected]);
  });

  it('has what is on its way in it', () => {
    const accounts = [
      accountOf(money(1000), [[leaves, { minute: 30, flow: money(1000) }, gain(50, 500)], quiet]),
      accountOf(money(500), [quiet, [arrives]]),
    ];
    expect(returns(accounts)).toEqual([growth(1500, 1500, 3000, 2500), '0']);
  });

  it('leaves nothing to whoever brings money for a minute to the account that won', () => {
    const won = accountOf(money(1), [[gain(1, 1), { minute: 59, flow: money(60_000_000) }]]);
    const lost = accountOf(money(1_000_000), [[gain(2, -100_000)]]);
    expect(returns([won, lost])).toEqual([growth(900_002, 1_000_001)]);
  });

  it('that is not known leaves modified Dietz, and nothing for more than a tenth', () => {
    const unvalued = [10, 50].map((minute): Event => ({ minute, flow: money(1), valued: false }));
    const with_ = (moved: number): readonly Hours[] => [
      flow(moved),
      accountOf(money(1000), [unvalued]),
    ];
    const [small] = consolidate(with_(100)).hours;
    expect(small === undefined ? null : hourReturn(small).method).toBe('modified_dietz');
    expect(reasons(with_(300))).toEqual(['flow_not_valued']);
  });
});

const HOURS = 6;
interface Moved {
  readonly from: number;
  readonly fromHour: number;
  readonly toHour: number;
  readonly minutes: readonly [number, number];
  readonly dollars: number;
}
const someMoved: fc.Arbitrary<readonly Moved[]> = fc.array(
  fc.record({
    from: fc.nat(2),
    fromHour: fc.nat(HOURS - 1),
    toHour: fc.nat(HOURS - 1),
    minutes: fc.tuple(fc.nat(59), fc.nat(59)),
    dollars: fc.integer({ min: 1, max: 900 }),
  }),
  { maxLength: 8 },
);
const size = { minLength: HOURS, maxLength: HOURS };
const gains: fc.Arbitrary<readonly (readonly number[])[]> = fc.array(
  fc.array(fc.integer({ min: -50, max: 80 }), size),
  { minLength: 3, maxLength: 3 },
);

/** Three accounts with gains at the end of each hour, and transfers that are in time. */
function storyOf(
  all: readonly (readonly number[])[],
  transfers: readonly Moved[],
): readonly Hours[] {
  const events = all.map((own) => own.map((): Event[] => []));
  for (const [at, { from, fromHour, toHour, minutes, dollars }] of transfers.entries()) {
    const [leftAt, arrivedAt] = [fromHour * 60 + minutes[0], toHour * 60 + minutes[1]];
    if (arrivedAt < leftAt - MAX_AHEAD_MS / 60_000) continue;
    const reference = at + 1;
    const flow = money(dollars);
    events[from]?.[fromHour]?.push({ minute: minutes[0], flow: -flow, reference });
    events[(from + 1) % 3]?.[toHour]?.push({ minute: minutes[1], flow, reference });
  }
  return events.map((own, account) =>
    accountOf(
      money(10_000),
      own.map((inHour, at) => [
        ...inHour.toSorted((a, b) => a.minute - b.minute),
        { minute: 60, gain: money(all[account]?.[at] ?? 0) },
      ]),
    ),
  );
}

describe('of all accounts', () => {
  it('transfers between them change no value, no flow and no return', () => {
    fc.assert(
      fc.property(gains, someMoved, (all, transfers) => {
        const accounts = storyOf(all, transfers);
        expect(values(accounts)).toEqual(values(storyOf(all, [])));
        expect(returns(accounts)).toEqual(returns(storyOf(all, [])));
      }),
    );
  });

  it('one alone is what it was', () => {
    fc.assert(
      fc.property(gains, someMoved, (all, transfers) => {
        for (const account of storyOf(all, transfers)) {
          expect(returns([account])).toEqual(account.map((one) => hourReturn(one).ratio));
          const { totals, linked } = performanceOf(consolidate([account]).hours);
          expect([totals, linked]).toEqual([
            performanceOf(account).totals,
            performanceOf(account).linked,
          ]);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('the order changes nothing', () => {
    fc.assert(
      fc.property(gains, someMoved, (all, transfers) => {
        const accounts = storyOf(all, transfers);
        expect(values(accounts.toReversed())).toEqual(values(accounts));
        expect(returns(accounts.toReversed())).toEqual(returns(accounts));
      }),
    );
  });

  it('no return is more than that of all the money, whenever others gained', () => {
    const dollars = fc.integer({ min: -900, max: 5000 }).filter((one) => one !== 0);
    const gained = fc.integer({ min: -500, max: 500 });
    fc.assert(
      fc.property(dollars, gained, fc.boolean(), (moved, gain, isEarly) => {
        const own = accountOf(money(1000), [[{ minute: 30, flow: money(moved) }]]);
        const minute = isEarly ? 1 : 59;
        const other = accountOf(money(1000), [[{ minute, gain: money(gain) }]]);
        const before = 2000 + (isEarly ? gain : 0);
        const truth = growth(before, 2000, 2000 + gain + moved, before + moved);
        const [found] = returns([own, other]);
        expect(ratioUnits(found ?? 'none') <= ratioUnits(truth ?? 'none')).toBe(true);
      }),
    );
  });

  it('what is there at the end is what was there, earned and moved', () => {
    fc.assert(
      fc.property(gains, someMoved, (all, transfers) => {
        for (const one of consolidate(storyOf(all, transfers)).hours) {
          const { equityStart, equityEnd, inflow, outflow, realised } = one;
          const change = (equityEnd ?? 0n) - (equityStart ?? 0n);
          expect(change).toBe((realised ?? 0n) + (inflow ?? 0n) - (outflow ?? 0n));
        }
      }),
    );
  });
});
