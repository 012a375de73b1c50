// Fills to positions to returns, against a fund that the reference library pyfolio publishes (Apache-2.0): its transactions
// run through the book have to give its positions and its cash on each day, and its returns. Half a year is in the
// repository; all six years are read where they lie beside it. A trading day is an hour of the book here.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Fill, Position } from '../../../../enclave/connector/records.ts';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { canonicalDecimal } from '../../../../wire/decimal.ts';
import { divideFixed, formatFixed } from '../../../../wire/fixed.ts';
import { hourReturn } from '../../../../wire/performance/hour-return.ts';
import { marketReturns } from '../../../../wire/performance/market-returns.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import { ROOT } from '../../../../scripts/bundle.ts';
import {
  balance,
  COVERED,
  fx,
  MINUTE_MS,
  observation,
  position,
  row,
  spot,
  T0,
  unexplained,
} from './helpers.ts';

const SHARED: string = join(ROOT, '../shared/data/performance');
const FIXTURES: string = join(ROOT, 'test/fixtures/performance/pyfolio');

interface Fund {
  /** One line each: day, amount, price, sid, symbol. */
  readonly transactions: readonly (readonly string[])[];
  /** First line: names of the columns, of which the last one is cash. */
  readonly positions: readonly (readonly string[])[];
  readonly returns: ReadonlyMap<string, number>;
}

function fundOf(read: (name: string) => string): Fund {
  const lines = (name: string): readonly (readonly string[])[] =>
    read(name)
      .trim()
      .split('\n')
      .map((line) => line.trim().split(','));
  const returns = lines('returns').map(
    ([day = '', ratio = '']) => [day.slice(0, 10), Number(ratio)] as const,
  );
  return {
    transactions: lines('txn').slice(1),
    positions: lines('pos'),
    returns: new Map(returns),
  };
}

function sharesOf(symbol: string, shares: bigint): Position {
  const side = shares < 0n ? 'short' : 'long';
  const contracts = String(shares < 0n ? -shares : shares);
  return position({ symbol, market: 'stock', side, contracts, contractSize: null, settle: 'USD' });
}

function fillOf(
  [, amount = '', price = '', , symbol = '']: readonly string[],
  at: number,
  id: number,
): Fill {
  return spot({
    id: String(id),
    symbol,
    market: 'stock',
    base: symbol,
    quote: 'USD',
    side: amount.startsWith('-') ? 'sell' : 'buy',
    price: canonicalDecimal(price) ?? '',
    amount: canonicalDecimal(amount.replace('-', '')) ?? '',
    timeMs: T0 + at * HOUR_MS + 1000 + id,
  });
}

interface Day {
  readonly day: string;
  readonly figures: HourFigures;
  /** Published: value of all positions, and cash. */
  readonly stocks: number;
  readonly cash: number;
}

/** The fund's days; it begins with 100,000 dollars, and paid no commissions. */
function run({ transactions, positions }: Fund): readonly Day[] {
  const [columns = [], ...days] = positions;
  const symbols = columns.slice(1, -1);
  const book = new AccountBook({ pricedIn: 'USD', keepHours: 1 });
  const table = new PriceTable();
  book.observe(observation(T0, [balance('USD', '100000')]));
  const held = new Map<string, bigint>(symbols.map((symbol) => [symbol, 0n]));
  let next = 0;
  return days.map((values, at) => {
    const [day = ''] = values;
    const endMs = T0 + (at + 1) * HOUR_MS;
    const dealt = new Map<string, string>();
    for (; transactions[next]?.[0] === day; next++) {
      const line = transactions[next] ?? [];
      const [, amount = '0', price = '', , symbol = ''] = line;
      held.set(symbol, (held.get(symbol) ?? 0n) + BigInt(amount));
      dealt.set(symbol, canonicalDecimal(price) ?? '');
      expect(book.apply(fillOf(line, at, next))).toBe('new');
    }
    for (const [index, symbol] of symbols.entries()) {
      const worth = fx(Number(values[index + 1]).toFixed(12));
      const shares = held.get(symbol) ?? 0n;
      // The fund is valued at the prices of its own deals, and on days without one at the price that its value implies.
      const implied = shares === 0n ? null : formatFixed(divideFixed(worth, shares * fx('1')));
      const price = dealt.get(symbol) ?? implied;
      if (price !== null) table.add([row(symbol, endMs, price, 'mark')]);
    }
    const cash = Number(values.at(-1));
    const told = [...held].filter(([, shares]) => shares !== 0n);
    const seen = told.map(([symbol, shares]) => sharesOf(symbol, shares));
    const money = balance('USD', canonicalDecimal(cash.toFixed(12)) ?? '');
    book.observe(observation(endMs - MINUTE_MS, [money], seen));
    const stocks = values.slice(1, -1).reduce((sum, value) => sum + Number(value), 0);
    return {
      day: day.slice(0, 10),
      figures: book.closeHour(endMs - HOUR_MS, table, COVERED),
      stocks,
      cash,
    };
  });
}

/** Published numbers are binary floats of 12 digits. */
function checkedDays({ transactions, positions, returns }: Fund): number {
  const days = run({ transactions, positions, returns });
  for (const { day, figures, stocks, cash } of days) {
    const equity = (market: string): number =>
      Number(figures.byMarket.find((one) => one.market === market)?.equity ?? 0n) / 1e18;
    expect(Math.abs(equity('stock') - stocks), `${day}: positions`).toBeLessThan(1e-5);
    expect(Math.abs(equity('spot') - cash), `${day}: cash`).toBeLessThan(1e-5);
    expect([figures.status, unexplained(figures)], day).toEqual(['reconciled', 0n]);
    const { ratio } = hourReturn(figures);
    expect(
      Math.abs(Number(ratio) - (returns.get(day) ?? Number.NaN)),
      `${day}: return`,
    ).toBeLessThan(1e-9);
  }
  // All of it was made with stocks: what is left for cash is how the published numbers are rounded.
  const markets = marketReturns(days.map(({ figures }) => figures));
  expect(markets.map(({ market }) => market)).toEqual(['spot', 'stock']);
  for (const { market, points } of markets) {
    expect(points).toHaveLength(days.length - 1);
    for (const [at, { ratio }] of points.entries()) {
      const made = market === 'stock' ? returns.get(days[at + 1]?.day ?? '') : 0;
      expect(Math.abs(Number(ratio) - (made ?? Number.NaN)), market).toBeLessThan(1e-9);
    }
  }
  expect(days.reduce((sum, { figures }) => sum + figures.trades, 0)).toBe(transactions.length);
  return days.length;
}

const FILES: Readonly<Record<string, string>> = {
  txn: 'transactions',
  pos: 'positions',
  returns: 'returns',
};

function half(name: string): string {
  return readFileSync(join(FIXTURES, `${FILES[name] ?? ''}.csv`), 'utf8');
}

function whole(name: string): string {
  return gunzipSync(readFileSync(join(SHARED, `pyfolio_test_${name}.csv.gz`))).toString();
}

describe('the fund of pyfolio', () => {
  it('half a year: fills, positions, cash and returns', () => {
    expect(checkedDays(fundOf(half))).toBe(126);
  });

  it.skipIf(!existsSync(SHARED))('six years, from ../shared', () => {
    expect(checkedDays(fundOf(whole))).toBe(1506);
  });
});

if (!existsSync(SHARED)) console.log('skipped: there is no ../shared/data/performance');
