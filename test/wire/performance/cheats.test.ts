// A trader who knows the formulas, and moves money or hours so that a figure comes out better than what was made.

import { describe, expect, it } from 'vitest';
import { metricsFigures } from '../../../wire/performance/metrics-figures.ts';
import type { MarketPerformance } from '../../../wire/performance/performance.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { money } from './golden.ts';
import { changed, hour, HOUR_MS, START_MS } from './hours.ts';

function at(hours: number, minutes: number): number {
  return START_MS + hours * HOUR_MS + minutes * 60_000;
}

/** A year of hours in which nothing happened, and one more: enough for an annual rate. */
function quietYear(): readonly HourFigures[] {
  return Array.from({ length: 8761 }, (_, index) => hour(index));
}

describe('capital', () => {
  it('that is taken out and brought back within one hour is small all the same', () => {
    // 1,000 of it: 999 go, one dollar becomes three, 999 come back.
    const lucky = hour(1, {
      equityEnd: money(1002),
      outflow: money(999),
      inflow: money(999),
      realised: money(2),
      flows: [
        { atMs: at(1, 1), amount: money(-999), equityBefore: money(1000), reference: null },
        { atMs: at(1, 59), amount: money(999), equityBefore: money(3), reference: null },
      ],
    });
    const later = hour(2, { equityStart: money(1002), equityEnd: money(1002) });
    const { linked, capital } = performanceOf([hour(0), lucky, later]);
    expect(linked.ratio).toBe('2');
    expect(capital).toMatchObject({ lowest: money(1), smallHours: 1, hours: 3 });
  });
});

/** Swaps that gained so much, in the hour in which `came` came into 1,000 a minute before its end. */
function swapsOf(gained: number, came: number): MarketPerformance | undefined {
  const end = 1000 + gained + came;
  const grown = hour(1, {
    equityEnd: money(end),
    inflow: money(came),
    realised: money(gained),
    flows: [{ atMs: at(1, 59), amount: money(came), equityBefore: money(1000), reference: null }],
    byMarket: [
      {
        market: 'swap',
        trades: 2,
        volume: money(1),
        fees: 0n,
        funding: 0n,
        realised: money(gained),
        equity: 0n,
        outlay: money(-gained),
        income: 0n,
        unrealised: 0n,
      },
    ],
  });
  const { markets } = performanceOf([hour(0), grown]);
  return markets.find(({ market }) => market === 'swap');
}

describe('the return of a market', () => {
  it('is made with the capital of the hour, up to a flow of a tenth of it', () => {
    expect(swapsOf(50, 100)?.linked.ratio).toBe('0.049916805324459235');
    expect(swapsOf(50, 101)?.linked).toMatchObject({
      ratio: null,
      gaps: [{ reason: 'flow_not_valued' }],
    });
  });

  it('is not made on the little that was there before a deposit, nor thinned by one', () => {
    // 5 % of a million in its minute would be three times the average of the hour.
    expect(swapsOf(50_000, 1_000_000)?.linked.observed).toBeNull();
    expect(swapsOf(-500, 1_000_000)?.linked.observed).toBeNull();
  });

  it('is zero where it did nothing, whatever came', () => {
    expect(swapsOf(0, 1_000_000)?.linked.ratio).toBe('0');
  });
});

describe('a flow without a value before it', () => {
  it('is held against what was left of the capital, and not against what the hour began with', () => {
    const figures = hour(0, {
      equityEnd: money('104.05'),
      outflow: money('999.9'),
      inflow: money(99),
      realised: money('4.95'),
      flows: [
        { atMs: at(0, 1), amount: money('-999.9'), equityBefore: money(1000), reference: null },
        { atMs: at(0, 59), amount: money(99), equityBefore: null, reference: null },
      ],
    });
    const { linked } = performanceOf([figures]);
    expect(linked).toMatchObject({ ratio: null, gaps: [{ reason: 'flow_not_valued' }] });
  });
});

describe('the money-weighted return', () => {
  it('has nothing of what no record explains, however little it is in an hour', () => {
    let equity = money(1000);
    const dust = money('0.01');
    const dusty = quietYear().map((one) => {
      const equityStart = equity;
      equity += dust;
      return changed(one, { equityStart, equityEnd: equity, residual: dust });
    });
    const { figures } = metricsFigures(performanceOf(dusty));
    expect(figures.get('return')).toBe('0');
    expect(figures.get('xirr')).toBe('0');
  });

  it('is not known where an hour begins with another value than the one before ended with', () => {
    const jump = quietYear().map((one, index) =>
      index < 4000 ? one : changed(one, { equityStart: money(1500), equityEnd: money(1500) }),
    );
    const { figures, reasons } = metricsFigures(performanceOf(jump));
    expect(figures.get('xirr')).toBeNull();
    expect(reasons.get('xirr')).toBe('gaps');
  });

  it('is not known where hours were worked out backwards', () => {
    const lost = quietYear().map((one, index) =>
      index === 4000 ? changed(one, { rebuilt: true }) : one,
    );
    expect(metricsFigures(performanceOf(lost)).reasons.get('xirr')).toBe('gaps');
  });
});
