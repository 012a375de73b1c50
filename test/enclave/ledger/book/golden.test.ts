// Published examples of lots and perpetuals (test/fixtures/performance/golden-metrics.json), through the whole book: fills to
// positions to figures of an hour. Last in, first out, which some of them have too, is not a method that is offered.

import { describe, expect, it } from 'vitest';
import type { Fill } from '../../../../enclave/connector/records.ts';
import { Lots } from '../../../../enclave/ledger/book/lots.ts';
import type { Fixed } from '../../../../wire/fixed.ts';
import { multiplyFixed } from '../../../../wire/fixed.ts';
import { hourPoint } from '../../../../wire/performance/hour-return.ts';
import { linkReturns } from '../../../../wire/performance/link.ts';
import { exactRatio } from '../../../../wire/performance/ratio.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import { GOLDEN, goldenCase } from '../../../wire/performance/golden.ts';
import {
  balance,
  flow,
  funding,
  fx,
  hourly,
  inverse,
  linear,
  MINUTE_MS,
  observation,
  parUsdt,
  row,
  spot,
  T0,
  tell,
} from './helpers.ts';

interface LotsCase {
  readonly trades: readonly (readonly ['B' | 'S', number, number])[];
  readonly mark: number | null;
  readonly results: Readonly<
    Record<
      'FIFO' | 'AVG',
      {
        readonly realised: number;
        readonly open: readonly (readonly [number, number])[];
        readonly unrealised: number | null;
        readonly total: number | null;
      }
    >
  >;
}

function shares(trades: LotsCase['trades']): readonly Fill[] {
  return trades.map(([side, amount, price], at) =>
    spot({
      symbol: 'LUV/USD',
      base: 'LUV',
      quote: 'USD',
      side: side === 'B' ? 'buy' : 'sell',
      amount: String(amount),
      price: String(price),
      timeMs: T0 + (at + 1) * MINUTE_MS,
    }),
  );
}

function only(figures: readonly HourFigures[]): HourFigures {
  const [first] = figures;
  if (first === undefined) throw new Error('no hour');
  return first;
}

function number(value: Fixed | null): number {
  if (value === null) throw new Error('not known');
  return Number(value) / 1e18;
}

const LOTS = GOLDEN.filter(({ kind }) => kind === 'lots').map(({ id }) => id);

describe('lots', () => {
  it.each(LOTS)('%s', (id) => {
    const { trades, mark, results } = goldenCase(id) as unknown as LotsCase;
    const last = String(mark ?? trades.at(-1)?.[2] ?? 0);
    const { figures } = tell({
      options: { pricedIn: 'USD' },
      opening: observation(T0, [balance('USD', '1000000')]),
      hours: 1,
      prices: hourly('LUV/USD', [last, last]),
      records: shares(trades),
    });
    const hour = only(figures);
    expect(number(hour.realised)).toBeCloseTo(results.FIFO.realised, 9);
    expect(number(hour.realisedAverage)).toBeCloseTo(results.AVG.realised, 9);
    // What an example does not say is worked out from what it says is open.
    const unrealised = results.FIFO.open.reduce(
      (sum, [size, price]) => sum + size * (Number(last) - price),
      0,
    );
    expect(number(hour.unrealisedChange)).toBeCloseTo(results.FIFO.unrealised ?? unrealised, 9);
    const total = number(hour.equityEnd) - number(hour.equityStart);
    expect(total).toBeCloseTo(results.FIFO.total ?? results.FIFO.realised + unrealised, 6);
  });

  it.each(LOTS)('%s: what is left, by both methods', (id) => {
    const { trades, results } = goldenCase(id) as unknown as LotsCase;
    for (const [method, { open }] of [
      ['fifo', results.FIFO],
      ['average', results.AVG],
    ] as const) {
      const lots = new Lots(method);
      for (const [side, size, price] of trades) {
        const quantity = fx(String(side === 'B' ? size : -size));
        lots.add(quantity, multiplyFixed(quantity, fx(String(price))));
      }
      const left = open.reduce((sum, [size]) => sum + size, 0);
      const cost = open.reduce((sum, [size, price]) => sum + size * price, 0);
      expect(number(lots.quantity), method).toBe(left);
      expect(number(lots.cost), method).toBeCloseTo(cost, 9);
    }
  });
});

describe('perpetuals', () => {
  it('binance-linear-roundtrip', () => {
    const golden = goldenCase('binance-linear-roundtrip') as unknown as Readonly<
      Record<
        | 'entry'
        | 'exit'
        | 'qty'
        | 'open_fee'
        | 'close_fee'
        | 'funding'
        | 'gross'
        | 'net'
        | 'margin'
        | 'roe',
        number
      >
    >;
    const trade = (side: 'buy' | 'sell', price: number, paid: number, minute: number): Fill =>
      linear({
        side,
        price: String(price),
        amount: String(golden.qty),
        fees: [{ currency: 'USDT', amount: String(paid) }],
        timeMs: T0 + minute * MINUTE_MS,
      });
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', String(golden.margin))]),
      hours: 1,
      prices: [...parUsdt(1), ...hourly('BTC/USDT:USDT', ['60000', '62000'], 'mark')],
      records: [
        trade('buy', golden.entry, golden.open_fee, 1),
        funding({ amount: String(golden.funding), timeMs: T0 + 2 * MINUTE_MS }),
        trade('sell', golden.exit, golden.close_fee, 3),
      ],
    });
    const hour = only(figures);
    expect(number(hour.realised)).toBe(golden.gross);
    expect(number(hour.funding)).toBe(golden.funding);
    expect(number(hour.fees)).toBeCloseTo(golden.open_fee + golden.close_fee, 12);
    const net = (hour.equityEnd ?? 0n) - (hour.equityStart ?? 0n);
    expect(number(net)).toBe(golden.net);
    // On the margin: the return of an account that has nothing else.
    expect(Number(exactRatio(net, fx(String(golden.margin))))).toBeCloseTo(golden.roe, 14);
    expect(Number(hourPoint(hour).ratio)).toBeCloseTo(golden.roe, 14);
  });

  it('basefex-inverse', () => {
    const golden = goldenCase('basefex-inverse') as unknown as {
      readonly contracts: number;
      readonly entry: number;
      readonly mark: number;
      readonly unrealised_btc: number;
      readonly close: {
        readonly contracts: number;
        readonly price: number;
        readonly realised_btc: number;
      };
    };
    const { mark, close } = golden;
    // A contract of one dollar; bitcoin is worth what the contract is.
    const { figures } = tell({
      options: { pricedIn: 'USD' },
      opening: observation(T0, [balance('BTC', '1')]),
      hours: 2,
      prices: [
        ...hourly('BTC/USD', [String(mark), String(mark), String(close.price)]),
        ...hourly('BTC/USD:BTC', [String(mark), String(mark), String(close.price)], 'mark'),
        row('BTC/USD', T0 + HOUR_MS + MINUTE_MS, String(close.price)),
      ],
      records: [
        inverse({
          side: 'buy',
          price: String(golden.entry),
          amount: String(golden.contracts),
          contractSize: '1',
          timeMs: T0 + MINUTE_MS,
        }),
        inverse({
          side: 'sell',
          price: String(close.price),
          amount: String(close.contracts),
          contractSize: '1',
          timeMs: T0 + HOUR_MS + MINUTE_MS,
        }),
      ],
    });
    const [first, second] = figures;
    expect(number(first?.unrealisedEnd ?? null) / mark).toBeCloseTo(golden.unrealised_btc, 12);
    expect(number(second?.realised ?? null) / close.price).toBeCloseTo(close.realised_btc, 12);
  });

  it('binance-futures-pnl-page', () => {
    const { steps } = goldenCase('binance-futures-pnl-page') as unknown as {
      readonly steps: readonly Readonly<Record<string, number>>[];
    };
    const [start, paid, moved] = steps;
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', String(start?.['wallet']))]),
      hours: 10,
      prices: parUsdt(10),
      records: [
        funding({ amount: String(paid?.['funding']), timeMs: T0 + 8 * HOUR_MS - MINUTE_MS }),
        flow({
          type: 'deposit',
          direction: 'in',
          currency: 'USDT',
          amount: String(moved?.['transfer']),
          timeMs: T0 + 9 * HOUR_MS - MINUTE_MS,
        }),
      ],
    });
    for (const step of [paid, moved]) {
      const until = figures.slice(0, step?.['t']);
      expect(number(until.at(-1)?.equityEnd ?? null)).toBe(step?.['wallet']);
      const gains = until.reduce((sum, hour) => sum + number(hour.funding), 0);
      expect(gains).toBe(step?.['pnl']);
      // The page divides by what was there at first; so does a time-weighted return, and the transfer is none.
      const { ratio } = linkReturns(until.map(hourPoint));
      expect(Number(ratio)).toBeCloseTo(step?.['pnl_pct'] ?? 0, 15);
    }
  });
});
