// A trader who has a gap in a bad hour: whatever he does to get one, what was lost is in the figures over the gap.

import { describe, expect, it } from 'vitest';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type {
  HourCoverage,
  Observation,
  PriceRow,
} from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import type { Performance } from '../../../../wire/performance/performance.ts';
import { performanceOf } from '../../../../wire/performance/performance.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  COVERED,
  flow,
  hourly,
  MINUTE_MS,
  observation,
  parUsdt,
  row,
  spot,
  T0,
} from './helpers.ts';

const FAILED: HourCoverage = { polls: 3, complete: false, gaps: ['not_completed', 'timeout'] };
/** Ten bitcoins that fall to half in the third hour. */
const FALL = ['50000', '51000', '51000', '25500', '25500', '25500'];
const PRICES = [...hourly('BTC/USDT', FALL), ...hourly('BTC/USD', FALL), ...parUsdt(5)];

interface Played {
  readonly prices?: readonly PriceRow[];
  readonly failed?: readonly number[];
  readonly records?: Parameters<AccountBook['apply']>[0][];
  readonly observations?: readonly Observation[];
}

function play({ prices = PRICES, failed = [], ...told }: Played = {}): Performance {
  const book = new AccountBook({ pricedIn: 'USDT' });
  book.observe(observation(T0, [balance('BTC', '10')]));
  for (const record of told.records ?? []) book.apply(record);
  for (const observed of told.observations ?? []) book.observe(observed);
  const table = PriceTable.of(prices);
  return performanceOf(
    Array.from({ length: 5 }, (_, at) =>
      book.closeHour(T0 + at * HOUR_MS, table, failed.includes(at) ? FAILED : COVERED),
    ),
  );
}

const HONEST = play();

describe('a loss of half', () => {
  it('is what it is where nothing is missing', () => {
    expect(HONEST.linked.ratio).toBe('-0.49');
    expect(HONEST.hourly.worst?.ratio).toBe('-0.5');
  });

  it.each([[[2]], [[1, 2]], [[2, 3]], [[0, 1, 2, 3]], [[2, 3, 4]]])(
    'is in the figures when polls of hours %j fail',
    (failed) => {
      const found = play({ failed });
      expect(found.linked).toMatchObject({ ratio: null, bridged: '-0.49' });
      // Without it the record would look good.
      expect(Number(found.linked.observed ?? '0')).toBeGreaterThanOrEqual(0);
      expect(found.hourly.gaps).toBe(0);
      expect(Number(found.hourly.maximum_drawdown?.depth)).toBeGreaterThanOrEqual(0.49);
      expect(Number(found.hourly.worst?.ratio)).toBeLessThanOrEqual(-0.49);
    },
  );

  it('is in the figures when the coin has no price at the end of the hour', () => {
    // Nor an hour before it, which would be taken for one that is old.
    const unpriced = new Set([2, 3].map((at) => T0 + at * HOUR_MS));
    const found = play({
      prices: PRICES.filter(({ symbol, atMs }) => symbol === 'USDT/USD' || !unpriced.has(atMs)),
    });
    expect(found.gaps).toMatchObject([{ reason: 'no_value', change: '-0.5' }]);
    expect(found.linked).toMatchObject({ ratio: null, bridged: '-0.49', observed: '0.02' });
    expect(found.hourly).toMatchObject({ gaps: 0, bridged: 2 });
  });

  it('is in the figures when a deal that nobody was told made it', () => {
    const flat = PRICES.map((one) =>
      one.symbol === 'USDT/USD' ? one : row(one.symbol, one.atMs, '50000'),
    );
    const found = play({
      prices: flat,
      failed: [1, 2],
      observations: [observation(T0 + 3 * HOUR_MS + MINUTE_MS, [balance('BTC', '5')])],
    });
    expect(found.linked).toMatchObject({ ratio: null, bridged: '-0.5' });
  });

  it('is in the figures when the same sum comes in without a word', () => {
    const found = play({
      failed: [2],
      observations: [observation(T0 + 3 * HOUR_MS + MINUTE_MS, [balance('BTC', '20')])],
    });
    expect(found.linked.ratio).toBeNull();
    expect(found.gaps).toMatchObject([{ reason: 'incomplete', change: '-0.5' }]);
    expect(found.linked.bridged).toBe('-0.49');
    expect(found.capital.gain).toBe(HONEST.capital.gain);
  });

  it('is not thinned by a deposit in the gap: then nothing is known, and nothing is said', () => {
    const found = play({
      failed: [2],
      prices: [...PRICES, row('USDT/USD', T0 + 2 * HOUR_MS + 58 * MINUTE_MS, '1')],
      records: [
        flow({
          type: 'deposit',
          direction: 'in',
          currency: 'USDT',
          amount: '10000000',
          timeMs: T0 + 2 * HOUR_MS + 59 * MINUTE_MS,
        }),
      ],
    });
    expect(found.gaps).toMatchObject([{ change: null, unknown: 'flow_not_valued' }]);
    expect(found.linked.bridged).toBeNull();
  });

  it('is not hidden by a buy of what has no price', () => {
    // All is changed into a coin that has no price until it is sold again, at the bottom.
    const pair = { symbol: 'XYZ/USDT', base: 'XYZ', quote: 'USDT' } as const;
    const records = [
      spot({ side: 'sell', price: '51000', amount: '10', timeMs: T0 + 70 * MINUTE_MS }),
      spot({ ...pair, side: 'buy', price: '51', amount: '10000', timeMs: T0 + 80 * MINUTE_MS }),
      spot({ ...pair, side: 'sell', price: '25.5', amount: '10000', timeMs: T0 + 190 * MINUTE_MS }),
    ];
    const minutes = [70, 80, 190].flatMap((at) => [
      row('BTC/USDT', T0 + (at - 1) * MINUTE_MS, '51000'),
      row('USDT/USD', T0 + (at - 1) * MINUTE_MS, '1'),
    ]);
    const found = play({ records, prices: [...PRICES, ...minutes] });
    expect(found.linked.ratio).toBeNull();
    expect(found.linked.bridged).toBe('-0.49');
  });
});
