import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatFixed } from '../../../wire/fixed.ts';
import { linkReturns } from '../../../wire/performance/link.ts';
import type { MetricsFigures } from '../../../wire/performance/metrics-figures.ts';
import { metricsFigures } from '../../../wire/performance/metrics-figures.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import { ratioOf } from '../../../wire/performance/ratio.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { HourFigures, MarketFigures } from '../../../wire/track/figures.ts';
import { FIGURE_MARKETS } from '../../../wire/track/figures.ts';
import { MAX_TRACK_STATEMENT_BYTES } from '../../../wire/track/head.ts';
import type { MetricsStatement } from '../../../wire/track/metrics.ts';
import {
  encodeMetricsStatement,
  MAX_METRICS,
  MAX_METRICS_GAPS,
  parseMetricsStatement,
} from '../../../wire/track/metrics.ts';
import { money } from './golden.ts';
import type { Move } from './hours.ts';
import { blindHour, changed, hour, HOUR_MS, record, START_MS } from './hours.ts';

function move(gain: number | string, flow: number | string = 0, valued = true): Move {
  return { gain: money(gain), flow: money(flow), before: 0n, valued };
}

const CENTS = fc.integer({ min: -5000, max: 5000 }).map((value) => BigInt(value) * 10n ** 16n);
const MOVES = fc.array(
  fc.record({ gain: CENTS, flow: CENTS, before: CENTS, valued: fc.constant(true) }),
  { minLength: 1, maxLength: 40 },
);

describe('a record', () => {
  it('does not move with a deposit in its middle', () => {
    const quiet = performanceOf(record([move(10), move(0), move('20.2')]));
    const paid = performanceOf(record([move(10), move(0, 500), move('30.2')]));
    expect(quiet.linked.ratio).toBe('0.0302');
    expect(paid.linked.ratio).toBe('0.0302');
    expect(paid.totals.inflow).toBe(money(500));
  });

  it('with every flow valued has the returns of the same record without flows', () => {
    fc.assert(
      fc.property(MOVES, (moves) => {
        const hours = record(moves, money(100_000));
        // The same growth on a capital that nobody touches, scaled so that it stays whole.
        let capital = ratioOf('1');
        for (const { equityStart, equityEnd, flows } of hours) {
          let from = equityStart ?? 0n;
          for (const { amount, equityBefore } of flows) {
            capital = capital.times(String(equityBefore ?? 0n)).div(String(from));
            from = (equityBefore ?? 0n) + (amount ?? 0n);
          }
          capital = capital.times(String(equityEnd ?? 0n)).div(String(from));
        }
        const { linked } = performanceOf(hours);
        const difference = ratioOf(linked.ratio ?? '9')
          .plus(1)
          .minus(capital)
          .abs();
        expect(difference.lte('1e-16')).toBe(true);
      }),
    );
  });

  it('split at any hour links to the same', () => {
    fc.assert(
      fc.property(MOVES, fc.nat(), (moves, cut) => {
        const hours = record(moves, money(100_000));
        const at = cut % hours.length;
        const whole = performanceOf(hours);
        const parts = [hours.slice(0, at), hours.slice(at)].flatMap(
          (part) => performanceOf(part).points,
        );
        expect(linkReturns(parts)).toEqual(whole.linked);
      }),
    );
  });

  it('in another unit of money has the same ratios', () => {
    fc.assert(
      fc.property(MOVES, fc.integer({ min: 1, max: 1000 }), (moves, by) => {
        const k = BigInt(by);
        const scaled = moves.map(({ gain, flow, before, valued }) => ({
          gain: gain * k,
          flow: flow * k,
          before: before * k,
          valued,
        }));
        const one = performanceOf(record(moves, money(100_000)));
        const other = performanceOf(record(scaled, money(100_000) * k));
        expect(other.linked).toEqual(one.linked);
        expect(other.hourly).toEqual(one.hourly);
        expect(other.moneyWeighted).toEqual(one.moneyWeighted);
      }),
      { numRuns: 30 },
    );
  });

  it('shows an outage as a gap, and nothing as zero', () => {
    const hours = record(Array.from({ length: 6 }, () => move(10)));
    const withOutage = hours.map((one, at) => (at === 2 || at === 3 ? blindHour(at) : one));
    const found = performanceOf(withOutage);
    expect(found.linked.ratio).toBeNull();
    expect(found.linked.periods).toBe(4);
    expect(found.linked.gaps).toEqual([
      { fromMs: START_MS + 2 * HOUR_MS, toMs: START_MS + 4 * HOUR_MS, reason: 'incomplete' },
    ]);
    expect(found.coverage).toMatchObject({ hours: 6, recorded: 6, returns: 4, incomplete: 2 });
    expect(found.moneyWeighted.reason).toBe('gaps');
    expect(found.totals.inflow).toBeNull();
    expect(found.hourly).toMatchObject({ sample: 4, gaps: 2 });
  });

  it('takes an hour without a statement for a gap', () => {
    const hours = record(Array.from({ length: 6 }, () => move(10))).filter((_, at) => at !== 2);
    const found = performanceOf(hours);
    expect(found.linked.gaps).toMatchObject([{ reason: 'missing' }]);
    expect(found.coverage).toMatchObject({ hours: 6, recorded: 5, returns: 5 });
    expect(found.moneyWeighted.reason).toBe('gaps');
  });

  it('begins with the first capital and ends with the last', () => {
    const empty = { equityStart: 0n, equityEnd: 0n };
    const [one, two] = record([move(10), move(10)]).map((figures, at) =>
      changed(figures, { startMs: START_MS + (at + 2) * HOUR_MS }),
    );
    if (one === undefined || two === undefined) throw new Error('two');
    const all = [hour(0, empty), hour(1, empty), one, two, hour(4, empty)];
    const found = performanceOf(all);
    expect(found.linked).toMatchObject({ ratio: '0.02', startMs: START_MS + 2 * HOUR_MS });
    // In between it is a gap: the record of an account without capital is not that of the one before.
    const broken = performanceOf([
      one,
      hour(3, empty),
      { ...two, startMs: START_MS + 4 * HOUR_MS },
    ]);
    expect(broken.linked.ratio).toBeNull();
    expect(broken.linked.gaps[0]).toMatchObject({ reason: 'no_capital' });
  });

  it('does not link hours of which one begins where the one before has not ended', () => {
    const [one, two, three] = record([move(10), move(10), move(10)]);
    if (one === undefined || two === undefined || three === undefined) throw new Error('three');
    const lifted = changed(two, { equityStart: money(1011), equityEnd: money(1020) });
    const found = performanceOf([one, lifted, three]);
    expect(found.linked.ratio).toBeNull();
    expect(found.linked.gaps).toEqual([
      { fromMs: two.startMs, toMs: three.startMs, reason: 'value_jump' },
    ]);
    // Behind a gap nobody knows.
    expect(performanceOf([one, blindHour(1), three]).linked.periods).toBe(2);
  });

  it('has no money-weighted return over a gain that may have been paid in', () => {
    const [one, two] = record([move(10), move(10)]);
    if (one === undefined || two === undefined) throw new Error('two');
    const more = changed(two, { realised: 0n, residual: money(10), status: 'beyond' });
    expect(performanceOf([one, more]).moneyWeighted.reason).toBe('gaps');
    expect(performanceOf([one, two]).moneyWeighted.period).toBe('0.02');
  });

  it.each([
    [364 * 24 + 23, true],
    [365 * 24, false],
  ])('of %d hours has a money-weighted return a year below a year: no', (hours, isShort) => {
    const day = performanceOf(
      Array.from({ length: hours }, (_, at) =>
        hour(at, at === 0 ? { equityEnd: money(1010) } : {}),
      ).map((one, at) =>
        at === 0 ? one : changed(one, { equityStart: money(1010), equityEnd: money(1010) }),
      ),
    );
    expect(day.moneyWeighted.period).toBe('0.01');
    expect([day.moneyWeighted.annual === null, day.moneyWeighted.reason]).toEqual(
      isShort ? [true, 'below_minimum'] : [false, null],
    );
  });

  it('of no hours has no figure', () => {
    const found = performanceOf([]);
    expect(found.linked.ratio).toBeNull();
    expect(found.moneyWeighted.reason).toBe('none');
    expect(found.days).toEqual([]);
  });

  it('adds the residual up with and without its signs', () => {
    const hours = [
      hour(0, { residual: money('0.5'), status: 'beyond' }),
      hour(1, { residual: money('-0.5'), status: 'beyond' }),
      hour(2, { residual: null, status: 'unknown' }),
      hour(3),
    ];
    expect(performanceOf(hours).totals.residual).toEqual({
      sum: 0n,
      absolute: money(1),
      reconciled: 1,
      beyond: 2,
      unknown: 1,
    });
    const unseen = performanceOf([hour(0, { residual: null, status: 'unknown' })]);
    expect(unseen.totals.residual).toMatchObject({ sum: null, absolute: null, unknown: 1 });
    expect(metricsFigures(unseen).reasons.get('residual')).toBe('not_compared');
  });
});

describe('money-weighted', () => {
  it('is the time-weighted return when nothing was paid in or out', () => {
    const found = performanceOf(record([move(10), move(10)]));
    expect(found.moneyWeighted.period).toBe('0.02');
    expect(found.linked.ratio).toBe('0.02');
  });

  it('rewards who pays in before the gain, and time-weighting does not', () => {
    const early = performanceOf(record([move(0), move(0, 1000), move(200), move(0)]));
    const late = performanceOf(record([move(0), move(100), move(0, 1000), move(0)]));
    expect(early.linked.ratio).toBe('0.1');
    expect(late.linked.ratio).toBe('0.1');
    expect(Number(early.moneyWeighted.period)).toBeGreaterThan(Number(late.moneyWeighted.period));
  });
});

function market(name: MarketFigures['market'], figures: Partial<MarketFigures>): MarketFigures {
  const sums = { volume: 0n, fees: 0n, funding: 0n, realised: 0n, outlay: 0n, income: 0n };
  return { market: name, trades: 0, ...sums, equity: 0n, unrealised: 0n, ...figures };
}

function linked(...ratios: readonly string[]): string | null {
  const points = ratios.map((ratio, at) => {
    const startMs = at * HOUR_MS;
    return { startMs, endMs: startMs + HOUR_MS, ratio, method: 'twr' as const, reason: null };
  });
  return linkReturns(points).ratio;
}

/** A spot and a swap market; what the swap makes of the account is its own. */
function twoMarkets(): readonly HourFigures[] {
  const swap = (equity: number, realised: number): MarketFigures =>
    market('swap', {
      trades: 1,
      equity: money(equity),
      realised: money(realised),
      outlay: money(-realised),
      fees: money(1),
      funding: money(-1),
    });
  const cash = market('spot', { equity: money(1000) });
  return [
    hour(0, { byMarket: [cash, swap(0, 0)] }),
    // Swap: 12 realised, 10 not realised, 1 fee, 1 funding: 20. Spot: 10.
    hour(1, { equityEnd: money(1030), byMarket: [cash, swap(10, 12)] }),
    hour(2, { equityStart: money(1030), equityEnd: money(1030), byMarket: [cash] }),
  ];
}

describe('markets', () => {
  it('add up to the account, hour by hour', () => {
    const found = performanceOf(twoMarkets());
    const ratios = Object.fromEntries(
      found.markets.map(({ market: name, linked }) => [name, linked?.observed]),
    );
    // The third hour: what was not realised at the swap is gone, and the account has not lost it.
    const lost = ratioOf('-10').div(1030);
    const swap = ratioOf('1.02').times(lost.plus(1)).minus(1);
    const spot = ratioOf('1.01').times(ratioOf('1').minus(lost)).minus(1);
    expect(Number(ratios['swap'])).toBeCloseTo(swap.toNumber(), 15);
    expect(Number(ratios['spot'])).toBeCloseTo(spot.toNumber(), 15);
    expect(found.totals.byMarket.map(({ market: name, trades }) => [name, trades])).toEqual([
      ['spot', 0],
      ['swap', 2],
    ]);
  });

  it('are not known in the hour after a gap: nobody knows what was not realised then', () => {
    const [first, second, third] = twoMarkets();
    if (first === undefined || second === undefined || third === undefined) throw new Error('3');
    const found = performanceOf([first, blindHour(1), third]);
    for (const { linked } of found.markets) expect(linked?.observed).toBeNull();
    expect(performanceOf([first, second, third]).markets[0]?.linked?.periods).toBe(2);
  });

  it('that buy with cash make what their things gained, without what was paid for them', () => {
    // 400 paid in cash for shares that are worth 430 at the end; a dividend of 5, a fee of 2; cash made nothing else.
    const spot = (equity: number, outlay: number): MarketFigures =>
      market('spot', { equity: money(equity), outlay: money(outlay) });
    const share = market('stock', {
      equity: money(430),
      outlay: money(400),
      income: money(5),
      fees: money(2),
    });
    const hours = [
      hour(0, { byMarket: [spot(1000, 0)] }),
      hour(1, { equityEnd: money(1033), byMarket: [spot(603, -400), share] }),
      // All of it is sold for 420, 10 less than it was worth; cash made 20 of its own.
      hour(2, {
        equityStart: money(1033),
        equityEnd: money(1043),
        byMarket: [spot(1043, 420), market('stock', { outlay: money(-420) })],
      }),
    ];
    const [cash, stock] = performanceOf(hours).markets;
    expect([cash?.market, stock?.market]).toEqual(['spot', 'stock']);
    expect(cash?.linked.ratio).toBe(linked('0', '0.01936108422071636'));
    expect(stock?.linked.ratio).toBe(linked('0.033', '-0.00968054211035818'));
  });

  it('has no return of spot where one of the others has none', () => {
    const [first, second, third] = twoMarkets();
    if (first === undefined || second === undefined || third === undefined) throw new Error('3');
    const unknown = market('option', { equity: money(5), outlay: null });
    const found = performanceOf([
      first,
      changed(second, { byMarket: second.byMarket.concat(unknown) }),
      third,
    ]);
    const reasons = found.markets.map(({ market: name, linked }) => [name, linked.periods]);
    expect(reasons).toEqual([
      ['spot', 1],
      ['swap', 2],
      ['option', 1],
    ]);
  });
});

/** 23:00, then `days` whole ones: only `name` makes something, and the account no more. */
function inOneMarket(name: 'spot' | 'swap', days: number): readonly HourFigures[] {
  let equity = money(10_000);
  return Array.from({ length: days * 24 + 1 }, (_, at) => {
    const gain =
      at === 0 ? 0n : money([3, -2, 0, '1.37', '-4.1', 2][((at * 2_654_435_761) >>> 13) % 6] ?? 1);
    const equityStart = equity;
    equity += gain;
    const cost = { volume: at === 0 ? 0n : money(10), fees: at === 0 ? 0n : money('0.25') };
    const realised = gain + cost.fees;
    const own = market(name, { ...cost, trades: at === 0 ? 0 : 1, realised, equity: 0n });
    const rows =
      name === 'spot'
        ? [{ ...own, equity }]
        : [market('spot', { equity, outlay: gain }), { ...own, outlay: -realised }];
    const sums = { ...cost, trades: own.trades, realised, realisedAverage: realised };
    return hour(at - 1, { equityStart, equityEnd: equity, ...sums, byMarket: rows });
  });
}

describe('an account that has all in one market', () => {
  it.each([
    ['spot', 366],
    ['swap', 366],
    ['spot', 31],
    ['swap', 1],
  ] as const)('has the figures of %s, to the last digit, over %d days', (name, days) => {
    const hours = inOneMarket(name, days);
    const own = metricsFigures(performanceOf(hours));
    // Returns of markets begin with the second hour.
    const account = metricsFigures(performanceOf(hours.slice(1)));
    const pairs = [...account.figures.keys()]
      .filter((key) => /^(?:return|hourly\.|daily\.)/u.test(key))
      .concat('trades', 'volume', 'fees', 'funding', 'realised', 'income')
      .map((key) => [key, `${name}.${key}`] as const);
    expect(pairs).toHaveLength(2 * 19 + 3 + 6);
    for (const [whole, part] of pairs) {
      expect([own.figures.get(part), own.reasons.get(part)], part).toEqual([
        account.figures.get(whole),
        account.reasons.get(whole),
      ]);
    }
    const isKnown = (key: string): boolean => own.figures.get(`${name}.${key}`) !== null;
    const calmar = ['hourly.calmar', 'daily.calmar', 'daily.win_rate', 'hourly.drawdown_peak_ms'];
    expect(calmar.map(isKnown)).toEqual([days > 365, days > 365, days > 30, true]);
  });
});

describe('as a metrics statement', () => {
  const largest = 10n ** 48n - 1n;
  const all = FIGURE_MARKETS.map((name) =>
    market(name, { volume: largest, fees: largest, funding: -largest, equity: largest }),
  );
  /** Every market, hours from before, and one gap more than is kept. */
  const widest = metricsFigures(
    performanceOf(
      Array.from({ length: 2 * MAX_METRICS_GAPS + 5 }, (_, at) => {
        const wide = hour(at, { byMarket: all, volume: largest, residual: largest });
        if (at < 2) return changed(wide, { rebuilt: true });
        return at % 2 === 1 ? blindHour(at) : wide;
      }),
    ),
  );

  it('has room for every market and as many gaps as are kept', () => {
    expect(widest.gaps).toHaveLength(MAX_METRICS_GAPS);
    expect(widest.figures.get('gaps')).toBe(MAX_METRICS_GAPS + 1);
    expect(widest.figures.get('option.return')).toBeNull();
    expect(widest.figures.size).toBe(335);
    expect(parseMetricsStatement(encodeMetricsStatement(metricsStatement(widest))).ok).toBe(true);
  });

  it.each([
    ['an amount', largest * 10n ** 12n],
    ['no value', null],
  ])('has room for them where each is %s as long as it may be', (_, value) => {
    const text = value === null ? null : formatFixed(-value);
    const names = [...widest.figures.keys()];
    const reason = 'capital_not_positive';
    const change = `-${'9'.repeat(30)}.${'9'.repeat(18)}`;
    const bytes = encodeMetricsStatement({
      ...metricsStatement(widest),
      figures: new Map(names.map((name) => [name, text])),
      reasons: new Map(text === null ? names.map((name) => [name, reason]) : []),
      gaps: widest.gaps.map((gap) => ({ ...gap, reason, change })),
    });
    expect(bytes.length).toBeLessThan((MAX_TRACK_STATEMENT_BYTES * 15) / 16);
    expect(parseMetricsStatement(bytes).ok).toBe(true);
  });

  it.each([
    [MAX_METRICS, true],
    [MAX_METRICS + 1, false],
  ])('of %d names is one: %s', (count, ok) => {
    const names = Array.from({ length: count }, (_, at) => `figure_${at}`);
    const figures = new Map(names.map((name) => [name, 0]));
    const statement = { ...metricsStatement(widest), figures, reasons: new Map<string, string>() };
    expect(parseMetricsStatement(encodeMetricsStatement(statement)).ok).toBe(ok);
  });

  const day = record(Array.from({ length: 60 }, (_, at) => move(at % 3 === 0 ? -2 : 3)));
  const hours = day.map((one, at) => (at === 40 ? blindHour(at) : one));
  const made = metricsFigures(performanceOf([...hours.slice(0, 58), ...twoMarketsAt(58)]));

  it('every null has a reason, and only a null', () => {
    const nulls = [...made.figures].filter(([, value]) => value === null).map(([name]) => name);
    expect(nulls.length).toBeGreaterThan(5);
    expect([...made.reasons.keys()].toSorted()).toEqual(nulls.toSorted());
  });

  it('has only names that are written down', () => {
    const text = readFileSync(new URL('../../../docs/TRACK-RECORD.md', import.meta.url), 'utf8');
    const list = text.slice(text.indexOf('## Names in a metrics statement'));
    const known = new Set([...list.matchAll(/`([a-z_.]+)`/gu)].map(([, name = '']) => name));
    const earlier = hours.map((one, at) => (at < 5 ? changed(one, { rebuilt: true }) : one));
    const all = [...metricsFigures(performanceOf(earlier)).figures.keys(), ...made.figures.keys()];
    const parts = new Set(all.flatMap((name) => name.split('.')));
    for (const { market: name } of twoMarkets().flatMap(({ byMarket }) => byMarket))
      parts.delete(name);
    const unknown = [...parts].filter((part) => !known.has(part) && !known.has(`${part}.`));
    expect(unknown).toEqual([]);
  });

  it('can be written and read', () => {
    const bytes = encodeMetricsStatement(metricsStatement(made));
    const read = assertAccepted(parseMetricsStatement(bytes));
    expect(new Map(read.figures)).toEqual(new Map(made.figures));
    expect(read.conventions.get('hourly.periods_per_year')).toBe('8760');
    expect(read.conventions.get('daily.periods_per_year')).toBe('365');
    expect(read.conventions.get('daily.minimum_annual')).toBe('365');
    expect(read.gaps).toEqual(made.gaps);
  });
});

function metricsStatement(made: MetricsFigures): MetricsStatement {
  const hash = new Uint8Array(32).fill(7);
  return {
    kind: 'metrics',
    origin: 'example.com/log/e1',
    accountCommitment: hash,
    venue: 'binance',
    environment: 'live',
    fromMs: START_MS,
    toMs: START_MS + HOUR_MS,
    asOfMs: START_MS + HOUR_MS,
    first: { counter: 1, hash },
    last: { counter: 61, hash },
    ...made,
  };
}

function twoMarketsAt(at: number): readonly HourFigures[] {
  return twoMarkets().map((one, index) =>
    changed(one, { startMs: START_MS + (at + index) * HOUR_MS }),
  );
}
