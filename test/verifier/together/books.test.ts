// From what two venues tell to figures of both: books of two accounts of one user, with their own prices and their own names of
// one transaction. What a trader gains by moving a coin between them is nothing, whatever it costs.

import { describe, expect, it } from 'vitest';
import type { Flow } from '../../../enclave/connector/records.ts';
import { referenceOf } from '../../../enclave/ledger/book/reference.ts';
import { consolidate } from '../../../verifier/together/consolidate.ts';
import { formatFixed } from '../../../wire/fixed.ts';
import { hourReturn } from '../../../wire/performance/hour-return.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../wire/track/figures.ts';
import {
  balance,
  flow,
  MINUTE_MS,
  observation,
  parUsdt,
  row,
  T0,
  tell,
} from '../../enclave/ledger/book/helpers.ts';

const USER = new Uint8Array(32).fill(1);
const HASH = 'c0'.repeat(32);

interface Kept {
  readonly venue: string;
  readonly coins: string;
  readonly records: readonly Flow[];
  /** Of BTC, by the hour, and by the minute in between. */
  readonly prices: readonly string[];
  readonly user?: Uint8Array;
}

function hoursOf({ venue, coins, records, prices, user = USER }: Kept): readonly HourFigures[] {
  const rows = prices.flatMap((price, hour) =>
    Array.from({ length: 60 }, (_, at) =>
      row('BTC/USDT', T0 + hour * HOUR_MS + at * MINUTE_MS, price),
    ),
  );
  const usdt = Array.from({ length: 240 }, (_, at) => row('USDT/USD', T0 + at * MINUTE_MS, '1'));
  return tell({
    options: { referenceOf: (id) => referenceOf(user, venue, id) },
    opening: observation(T0, [balance('BTC', coins), balance('USDT', '10000')]),
    records,
    prices: [...rows, ...usdt, ...parUsdt(4)],
    hours: 3,
  }).figures;
}

const common = { currency: 'BTC', amount: '1' } as const;
const sent = flow({
  ...common,
  type: 'withdrawal',
  direction: 'out',
  timeMs: T0 + 30 * MINUTE_MS,
  networkId: HASH.toUpperCase(),
  fee: { currency: 'BTC', amount: '0.001' },
});
const came = flow({
  ...common,
  type: 'deposit',
  direction: 'in',
  timeMs: T0 + 90 * MINUTE_MS,
  networkId: `0x${HASH}:1`,
});
const from = (prices: readonly string[]): readonly HourFigures[] =>
  hoursOf({ venue: 'binance', coins: '2', records: [sent], prices });
const to = (prices: readonly string[], user?: Uint8Array): readonly HourFigures[] =>
  hoursOf({ venue: 'mexc', coins: '0', records: [came], prices, ...(user && { user }) });

describe('a coin that goes from one venue to another', () => {
  it('is a flow of each, and none of both; the fee is a cost', () => {
    const prices = ['60000', '60000', '60000', '60000'];
    const [a, b] = [from(prices), to(prices)];
    expect(
      [a, b].map(([first, second]) => [first, second].map((one) => one?.flows.length)),
    ).toEqual([
      [1, 0],
      [0, 1],
    ]);
    const { hours, transfers } = consolidate([a, b]);
    expect(transfers.internal).toHaveLength(1);
    expect(hours.flatMap(({ flows }) => flows)).toEqual([]);
    // 140,000 in all, of which 0.001 of a coin were paid.
    expect(hours.map(({ equityEnd }) => formatFixed(equityEnd ?? 0n))).toEqual([
      '139940',
      '139940',
      '139940',
    ]);
    expect(hours.map((one) => hourReturn(one).ratio)).toEqual(['-0.000428571428571429', '0', '0']);
    // Each by itself has the transfer in its flows and not in its return.
    expect(performanceOf(b).linked.ratio).toBe('0');
  });

  it('that fell on its way has cost that; what it rose is not earned, and comes in as a flow', () => {
    const fell = ['60000', '54000', '54000', '54000'];
    const rose = ['60000', '66000', '66000', '66000'];
    const gains = [fell, rose].map((prices) => {
      const { hours } = consolidate([from(prices), to(prices)]);
      return hours.map(({ inflow, outflow }) =>
        [inflow, outflow].map((one) => formatFixed(one ?? 0n)),
      );
    });
    expect(gains).toEqual([
      [
        ['0', '0'],
        ['0', '0'],
        ['0', '0'],
      ],
      [
        ['0', '0'],
        ['6000', '0'],
        ['0', '0'],
      ],
    ]);
  });

  it('to the account of somebody else is a flow, though the transaction is one', () => {
    const prices = ['60000', '60000', '60000', '60000'];
    const { transfers } = consolidate([from(prices), to(prices, new Uint8Array(32).fill(2))]);
    expect(transfers.internal).toEqual([]);
    expect(transfers.alike.map(({ reason }) => reason)).toEqual(['references_differ']);
  });
});
