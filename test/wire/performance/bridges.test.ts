import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unexplainedSum } from '../../../wire/performance/bridges.ts';
import type { Performance } from '../../../wire/performance/performance.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import { ratioOf } from '../../../wire/performance/ratio.ts';
import type { HourFigures, HourFlow } from '../../../wire/track/figures.ts';
import { money } from './golden.ts';
import type { Move } from './hours.ts';
import { blindHour, changed, hour, HOUR_MS, record, START_MS } from './hours.ts';

function move(gain: number | string, flow: number | string = 0, valued = true): Move {
  return { gain: money(gain), flow: money(flow), before: 0n, valued };
}

/** Polls failed, and none told the rest: the ledger has what it has. */
const UNSEEN: Partial<HourFigures> = {
  complete: false,
  status: 'unknown',
  residual: null,
  gaps: ['not_completed', 'venue_timeout'],
};

/** A coin without a price at the end of an hour: its value there is not known, nor at the begin of the next. */
function unpricedAt(hours: readonly HourFigures[], at: number): readonly HourFigures[] {
  return hours.map((one, index) => {
    if (index === at) return changed(one, { equityEnd: null });
    return index === at + 1 ? changed(one, { equityStart: null }) : one;
  });
}

function replaced(
  hours: readonly HourFigures[],
  at: number,
  figures: Partial<HourFigures>,
): readonly HourFigures[] {
  return hours.map((one, index) => (index === at ? changed(one, figures) : one));
}

function flow(at: number, minute: number, amount: number, before: number | null): HourFlow {
  return {
    atMs: START_MS + at * HOUR_MS + minute * 60_000,
    amount: money(amount),
    equityBefore: before === null ? null : money(before),
    reference: null,
  };
}

/** Into 1,000, with polls that failed. */
function paid(amount: number): Performance {
  return performanceOf([
    hour(0),
    hour(1, {
      ...UNSEEN,
      equityEnd: money(1000 + amount),
      inflow: money(amount),
      flows: [flow(1, 30, amount, null)],
    }),
    hour(2, { equityStart: money(1000 + amount), equityEnd: money(1000 + amount) }),
  ]);
}

/** Each figure that somebody would look at first. */
function shown({ linked, hourly, gaps }: Performance): Record<string, unknown> {
  return {
    return: linked.ratio,
    bridged: linked.bridged,
    depth: hourly.maximum_drawdown?.depth ?? null,
    worst: hourly.worst?.ratio ?? null,
    changes: gaps.map(({ change }) => change),
  };
}

describe('a gap in a bad hour', () => {
  // Half of it is lost in the third hour.
  const honest = record([move(10), move(10), move(-510), move(5), move(5)]);
  const told = performanceOf(honest);

  it('made by polls that fail changes nothing of what was lost', () => {
    const found = performanceOf(replaced(honest, 2, UNSEEN));
    expect(found.linked.ratio).toBeNull();
    expect(found.linked.observed).toBe('0.04');
    expect(shown(found)).toMatchObject({
      bridged: told.linked.ratio,
      depth: told.hourly.maximum_drawdown?.depth,
      worst: '-0.5',
      changes: ['-0.5'],
    });
    expect(found.hourly).toMatchObject({ sample: 5, bridged: 1, gaps: 0 });
  });

  it('made by a coin without a price is bridged over both hours that it takes', () => {
    const found = performanceOf(unpricedAt(honest, 2));
    expect(found.linked.bridged).toBe(told.linked.ratio);
    expect(found.gaps).toMatchObject([
      { fromMs: START_MS + 2 * HOUR_MS, toMs: START_MS + 4 * HOUR_MS, reason: 'no_value' },
    ]);
    // The good hour behind it is in it: the fall is not deeper than what was left of it.
    expect(found.hourly.worst?.ratio).toBe('-0.495098039215686275');
    expect(found.hourly.maximum_drawdown?.depth).toBe('0.495098039215686275');
  });

  it('does not lift the figures of a sample', () => {
    const calm = Array.from({ length: 800 }, (_, at) => move(at % 2 === 0 ? 3 : -1));
    const hours = record(calm.with(400, move(-600)));
    const before = performanceOf(hours).hourly;
    for (const found of [replaced(hours, 400, UNSEEN), unpricedAt(hours, 400)].map(
      (one) => performanceOf(one).hourly,
    )) {
      expect(Number(found.volatility.value)).toBeCloseTo(Number(before.volatility.value), 1);
      expect(Number(found.sharpe.value)).toBeCloseTo(Number(before.sharpe.value), 1);
      expect(Number(found.profit_factor.value)).toBeCloseTo(Number(before.profit_factor.value), 1);
    }
    const left = performanceOf(hours.filter((_, at) => at !== 400)).hourly;
    // Where nothing is known, the loss is out of the sample, and the count says so.
    expect(Number(left.sharpe.value)).toBeGreaterThan(2 * Number(before.sharpe.value));
    expect(left).toMatchObject({ sample: 799, bridged: 0, gaps: 1 });
  });

  it('is not thinned by money that comes in after it', () => {
    // 500 of 1,000 are lost, and a million follows at once: of the sum the loss would be next to nothing.
    const thinned = [
      hour(0),
      hour(1, {
        ...UNSEEN,
        equityEnd: money(1_000_500),
        inflow: money(1_000_000),
        flows: [flow(1, 1, 1_000_000, 1000)],
      }),
      hour(2, { equityStart: money(1_000_500), equityEnd: money(1_000_500) }),
    ];
    const found = performanceOf(thinned);
    expect(found.gaps).toMatchObject([{ change: null, unknown: 'flow_not_valued' }]);
    expect(found.linked.bridged).toBeNull();
    // In an hour that was seen the value before it is one to build on.
    const seen = performanceOf(replaced(thinned, 1, { complete: true, status: 'reconciled' }));
    expect(seen.linked.ratio).toBe('-0.0004995004995005');
  });

  it.each([
    ['100', '-0.499999993055555652'],
    ['100.02', null],
  ])('made by more flows than an hour lists, %s in all, is bridged: %s', (sum, change) => {
    // The last one stands for several; in and out are known as sums.
    const inflow = money(sum) / 2n;
    const listed = { ...flow(1, 30, 1, 1000), amount: null };
    const [first, second, third] = record([move(0), move(-500), move(0)]);
    if (first === undefined || second === undefined || third === undefined) throw new Error('3');
    const many = changed(second, { inflow, outflow: inflow, flows: [listed] });
    const { gaps, linked } = performanceOf([first, many, third]);
    expect(gaps).toMatchObject([{ reason: 'flow_not_valued', change }]);
    expect(linked.bridged).toBe(change);
    const unpriced = performanceOf([first, changed(many, { outflow: null }), third]);
    expect(unpriced.gaps).toMatchObject([{ change: null }]);
  });

  it('is not filled by money that no record explains', () => {
    const lost = record([move(0), move(-500), move(0)]);
    // A stranger sends 500 that the venue does not list: the value is as before.
    const filled = lost.map((one, at) =>
      changed(
        one,
        at === 0
          ? {}
          : at === 1
            ? { equityEnd: money(1000), residual: money(500), status: 'beyond', complete: false }
            : { equityStart: money(1000), equityEnd: money(1000) },
      ),
    );
    expect(performanceOf(filled).linked.ratio).toBe('-0.5');
    // Nor where the same hour has no value at its end.
    expect(performanceOf(unpricedAt(filled, 1)).gaps).toMatchObject([{ change: '-0.5' }]);
  });

  it('with a gain and money that no record explains makes the gain on both', () => {
    // 1,000 grew by 100, with 1,000 that were there as well: that is 5 %, and not 10 %.
    const grown = [
      hour(0),
      hour(1, {
        equityEnd: money(2100),
        realised: money(100),
        residual: money(1000),
        status: 'beyond',
      }),
      hour(2, { equityStart: money(2100), equityEnd: money(2100) }),
    ];
    const found = performanceOf(grown);
    expect(found.gaps).toMatchObject([{ reason: 'gain_unexplained', change: '0.05' }]);
    expect(found.capital.gain).toBe(money(100));
  });

  it('with a gain on money that came in late is not lifted by a dollar that no record explains', () => {
    // A thousand made with a million that came in at the last minute, and a dollar from nowhere.
    const late = [
      hour(0),
      hour(1, {
        equityEnd: money(1_002_001),
        inflow: money(1_000_000),
        flows: [flow(1, 59, 1_000_000, 1000)],
        realised: money(1000),
        residual: money(1),
        status: 'beyond',
      }),
      hour(2, { equityStart: money(1_002_001), equityEnd: money(1_002_001) }),
    ];
    const found = performanceOf(late);
    expect(found.gaps).toMatchObject([
      { reason: 'gain_unexplained', change: '0.000999000999000999' },
    ]);
  });

  it('does not grow by a value that an hour begins above the end of the one before', () => {
    const jump = [
      hour(0),
      hour(1, { equityStart: money(1500), equityEnd: money(1500) }),
      hour(2, { equityStart: money(1500), equityEnd: money(1500) }),
    ];
    expect(performanceOf(jump).gaps).toMatchObject([{ reason: 'value_jump', change: '0' }]);
    // Downwards it is a loss.
    const fall = jump.map((one, at) =>
      at === 0 ? one : changed(one, { equityStart: money(900), equityEnd: money(900) }),
    );
    expect(performanceOf(fall).gaps).toMatchObject([{ reason: 'value_jump', change: '-0.1' }]);
  });
});

describe('a gap', () => {
  const hours = record(Array.from({ length: 6 }, () => move(10)));

  it('is not known where a flow in it may be: nobody saw it, or it has no price', () => {
    const blind = performanceOf(hours.map((one, at) => (at === 2 ? blindHour(at) : one)));
    expect(blind.gaps).toMatchObject([{ change: null, unknown: 'incomplete' }]);
    expect(blind.linked.bridged).toBeNull();
    const hole = performanceOf(hours.filter((_, at) => at !== 2));
    expect(hole.gaps).toEqual([
      {
        fromMs: START_MS + 2 * HOUR_MS,
        toMs: START_MS + 3 * HOUR_MS,
        reason: 'missing',
        change: null,
        unknown: 'missing',
      },
    ]);
    const unpriced = performanceOf(
      replaced(hours, 2, { inflow: null, flows: [{ ...flow(2, 30, 1, null), amount: null }] }),
    );
    expect(unpriced.gaps).toMatchObject([{ reason: 'flow_not_valued', change: null }]);
  });

  it('of which an hour has no statement is not known, whatever the hours beside it say', () => {
    const hole = replaced(hours, 1, UNSEEN).filter((_, at) => at !== 2);
    expect(performanceOf(hole).gaps).toMatchObject([
      {
        fromMs: START_MS + HOUR_MS,
        toMs: START_MS + 3 * HOUR_MS,
        change: null,
        unknown: 'missing',
      },
    ]);
    const behind = replaced(hours, 3, UNSEEN).filter((_, at) => at !== 2);
    expect(performanceOf(behind).gaps).toMatchObject([{ reason: 'missing', change: null }]);
  });

  it('at the begin or the end of a record needs a value there', () => {
    const first = performanceOf(replaced(hours, 0, UNSEEN));
    expect(first.linked.bridged).toBe('0.06');
    const last = performanceOf(replaced(hours, 5, UNSEEN));
    expect(last.linked.bridged).toBe('0.06');
    const open = performanceOf(replaced(hours, 5, { ...UNSEEN, equityEnd: null }));
    expect(open.gaps).toMatchObject([{ change: null, unknown: 'no_value' }]);
  });

  it('weights what came in by time, as Modified Dietz does', () => {
    // 1,000, 60 for half of two hours, 20.6 more: 20.6 / 1,030.
    const weighted = [
      hour(0),
      hour(1, { ...UNSEEN, equityEnd: null }),
      hour(2, {
        ...UNSEEN,
        equityStart: null,
        equityEnd: money('1080.6'),
        inflow: money(60),
        flows: [flow(2, 0, 60, null)],
      }),
      hour(3, { equityStart: money('1080.6'), equityEnd: money('1080.6') }),
    ];
    expect(performanceOf(weighted).gaps).toMatchObject([{ change: '0.02' }]);
  });

  it('of which money came in is known up to a tenth of the value before it', () => {
    expect(paid(100).gaps).toMatchObject([{ change: '0', unknown: null }]);
    expect(paid(101).gaps).toMatchObject([{ change: null, unknown: 'flow_not_valued' }]);
  });

  it('without capital changes nothing', () => {
    const empty = { equityStart: 0n, equityEnd: 0n };
    const out = hour(0, {
      equityEnd: 0n,
      outflow: money(1000),
      flows: [flow(0, 30, -1000, 1000)],
    });
    const back = hour(3, {
      equityStart: 0n,
      equityEnd: money(1010),
      inflow: money(1000),
      flows: [flow(3, 30, 1000, 0)],
    });
    const found = performanceOf([out, hour(1, empty), hour(2, empty), back]);
    expect(found.gaps).toMatchObject([{ reason: 'no_capital', change: '0' }]);
    expect(found.linked).toMatchObject({ ratio: null, bridged: '0.01' });
  });

  it('ends where both hours know the value and another reason begins', () => {
    const found = performanceOf([
      hour(0),
      hour(1, { residual: money(1), status: 'beyond', equityEnd: money(1001) }),
      hour(2, {
        equityStart: money(1001),
        equityEnd: money(2001),
        inflow: money(1000),
        flows: [flow(2, 30, 1000, null)],
      }),
      hour(3, { equityStart: money(2001), equityEnd: money(2001) }),
    ]);
    expect(found.gaps.map(({ reason, change }) => [reason, change])).toEqual([
      ['gain_unexplained', '0'],
      ['flow_not_valued', null],
    ]);
  });

  it('over midnight is in the day in which it ends, and only there', () => {
    const days = record(Array.from({ length: 96 }, () => move(1)));
    const outage = days.map((one, at) =>
      at < 22 || at > 26 ? one : changed(one, at === 22 ? { ...UNSEEN, equityEnd: null } : UNSEEN),
    );
    const cut = outage.map((one, at) => (at === 23 ? changed(one, { equityStart: null }) : one));
    const found = performanceOf(cut);
    expect(found.days.map(({ ratio }) => ratio === null)).toEqual([true, true, false, false]);
    expect(found.days.map(({ bridged }) => bridged)).toEqual([
      '0.022000000000000001',
      // 1,022 to 1,048.
      '0.025440313111545988',
      expect.any(String),
      expect.any(String),
    ]);
    const linked = found.days.reduce(
      (product, { bridged }) => product.times(ratioOf(bridged ?? '9').plus(1)),
      ratioOf('1'),
    );
    expect(Number(linked.minus(1))).toBeCloseTo(0.096, 15);
    expect(found.daily).toMatchObject({ sample: 4, bridged: 2, gaps: 0 });
  });
});

describe('a sample', () => {
  const moves = Array.from({ length: 721 }, (_, at) => move(at % 2 === 0 ? 3 : -1));

  it.each([
    [720, 'below_minimum'],
    [721, null],
  ])('of %d hours, one of them a gap, has the minimum without it: %s', (length, reason) => {
    const found = performanceOf(replaced(record(moves.slice(0, length)), 5, UNSEEN)).hourly;
    expect(found).toMatchObject({ sample: length, bridged: 1, gaps: 0 });
    expect(found.volatility.reason).toBe(reason);
  });

  it('of a year has no annual return with a gap, and one over it', () => {
    const year = record(Array.from({ length: 8761 }, (_, at) => move(at === 7 ? -20 : 1)));
    const found = performanceOf(replaced(year, 4000, UNSEEN)).hourly;
    expect(found.annual_return).toEqual({ value: null, reason: 'gaps' });
    expect(found.annual_return_bridged).toEqual(performanceOf(year).hourly.annual_return);
    expect(found.calmar).toEqual(performanceOf(year).hourly.calmar);
    const blind = performanceOf(year.map((one, at) => (at === 4000 ? blindHour(at) : one))).hourly;
    expect(blind.annual_return_bridged).toEqual({ value: null, reason: 'gaps' });
  });
});

const CENTS = fc.integer({ min: -5000, max: 5000 }).map((value) => BigInt(value) * 10n ** 16n);
const MOVES = fc.array(
  fc.record({ gain: CENTS, flow: fc.constant(0n), before: CENTS, valued: fc.constant(true) }),
  { minLength: 3, maxLength: 40 },
);

describe('whatever hours are missing', () => {
  it('the whole is what it was, and neither drawdown nor worst hour is worse than it was', () => {
    fc.assert(
      fc.property(MOVES, fc.array(fc.nat(), { maxLength: 12 }), (moves, at) => {
        const hours = record(moves, money(100_000));
        const gone = new Set(at.map((one) => one % hours.length));
        const found = performanceOf(
          hours.map((one, index) => (gone.has(index) ? changed(one, UNSEEN) : one)),
        );
        const whole = performanceOf(hours);
        const difference = ratioOf(found.linked.bridged ?? '9')
          .minus(whole.linked.ratio ?? '9')
          .abs();
        expect(difference.lte('1e-15')).toBe(true);
        expect(found.hourly.sample).toBe(hours.length);
        const runs = found.gaps.map(({ fromMs, toMs }) => (toMs - fromMs) / HOUR_MS);
        expect(runs.reduce((sum, one) => sum + one, 0)).toBe(gone.size);
        const [depth, was] = [found, whole].map(({ hourly }) =>
          Number(hourly.maximum_drawdown?.depth ?? '0'),
        );
        expect(depth).toBeLessThanOrEqual((was ?? 0) + 1e-15);
        // One hour alone takes nothing from the line.
        const least = gone.size <= 1 ? (was ?? 0) - 1e-14 : 0;
        expect(depth).toBeGreaterThanOrEqual(least);
      }),
    );
  });

  it('no sum that no record explains lifts what was bridged', () => {
    const GIFT = fc.integer({ min: 1, max: 100_000 }).map((value) => money(value));
    fc.assert(
      fc.property(CENTS, GIFT, fc.boolean(), (gain, gift, isJump) => {
        const from = money(100_000);
        const end = from + gain;
        const plain = [
          hour(0, { equityStart: from, equityEnd: from }),
          hour(1, { ...UNSEEN, equityStart: from, equityEnd: end }),
          hour(2, { equityStart: end, equityEnd: end }),
        ];
        const lifted = [
          plain[0] ?? hour(0),
          isJump
            ? hour(1, { equityStart: from + gift, equityEnd: end + gift })
            : hour(1, {
                equityStart: from,
                equityEnd: end + gift,
                residual: gift,
                status: 'beyond',
              }),
          hour(2, { equityStart: end + gift, equityEnd: end + gift }),
        ];
        const [honest, given] = [plain, lifted].map((hours) =>
          Number(performanceOf(hours).linked.bridged),
        );
        expect(given).toBeLessThanOrEqual((honest ?? 0) + 1e-15);
        expect(Math.sign(given ?? 9)).toBe(Math.sign(Number(gain)));
      }),
    );
  });
});

describe('what no record explains', () => {
  it('is what balances show beyond the ledger and what hours begin above', () => {
    const hours = [
      hour(0, { residual: money(3) }),
      hour(1, { residual: money(-5), equityStart: money(1007) }),
      hour(2, { equityStart: money(900), residual: null }),
    ];
    expect(unexplainedSum(hours)).toBe(money(10));
    expect(unexplainedSum(hours, hour(-1, { equityEnd: money(990) }))).toBe(money(20));
  });
});
