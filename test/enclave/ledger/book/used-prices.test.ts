// What an hour used of its prices answers all that it asked, the same again: late data has hours closed over it.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BookState } from '../../../../enclave/ledger/book/book-state.ts';
import type { PriceRow } from '../../../../enclave/ledger/book/contract.ts';
import type { Price } from '../../../../enclave/ledger/book/hour-prices.ts';
import { HourPrices } from '../../../../enclave/ledger/book/hour-prices.ts';
import type { Instrument } from '../../../../enclave/ledger/book/instrument.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { row } from './helpers.ts';

const AT = 1_000_000;
const AGES = [20, 60, 400];
const ASSETS = ['USD', 'USDT', 'EUR', 'JPY', 'BTC', 'ETH', 'XYZ', 'ABC', 'SHARE', 'COIN'];
const PAIRS =
  'USDT/USD EUR/USD USD/JPY EUR/USDT BTC/USDT BTC/EUR BTC/USD ETH/BTC ETH/USDT XYZ/ETH XYZ/USDT ABC/XYZ BTC/XYZ JPY/ABC'.split(
    ' ',
  );
const MARKS = ['SHARE', 'COIN', 'BTC/USDT:USDT'];
const FACTS = { market: 'swap', size: 2n * 10n ** 18n, quote: 'USD' } as const;
const INSTRUMENTS: readonly Instrument[] = [
  { ...FACTS, symbol: 'SHARE', style: 'security', settle: 'EUR' },
  { ...FACTS, symbol: 'BTC/USDT:USDT', style: 'linear', settle: 'USDT' },
];

const rows = fc.array(
  fc.record({
    kind: fc.constantFrom('spot' as const, 'spot' as const, 'mark' as const),
    at: fc.nat({ max: PAIRS.length * MARKS.length - 1 }),
    atMs: fc.integer({ min: AT - 500, max: AT + 100 }),
    price: fc.integer({ min: 1, max: 99 }).map(String),
    age: fc.nat({ max: 3 }),
  }),
  { maxLength: 60 },
);
const questions = fc.array(
  fc.record({
    name: fc.constantFrom(...ASSETS),
    isMark: fc.boolean(),
    isOfCopy: fc.boolean(),
    atMs: fc.integer({ min: AT - 300, max: AT + 100 }),
    ageMs: fc.constantFrom(...AGES),
  }),
  { minLength: 1, maxLength: 30 },
);
type Question = typeof questions extends fc.Arbitrary<readonly (infer One)[]> ? One : never;

function stateOf(): BookState {
  const state = new BookState();
  state.instruments = new Map(INSTRUMENTS.map((one) => [one.symbol, one]));
  return state;
}

/** As the hour asks, a part of it for what a poll has told ahead. */
function ask(prices: HourPrices, all: readonly Question[]): readonly (Price | boolean)[] {
  const copy = prices.of(stateOf());
  return all.flatMap(({ name, isMark, isOfCopy, atMs, ageMs }) => {
    const asked = isOfCopy ? copy : prices;
    const instrument = INSTRUMENTS.find(({ symbol }) => symbol === name) ?? INSTRUMENTS[1];
    const price =
      isMark && instrument !== undefined
        ? asked.mark(instrument, atMs, ageMs)
        : asked.dollars(name, atMs, ageMs);
    return [price, asked.isUnlisted(name)];
  });
}

describe('the prices that an hour used', () => {
  it('give the same answers to the same questions, with nothing else in their table', () => {
    fc.assert(
      fc.property(rows, questions, fc.subarray(ASSETS), (list, all, unlisted) => {
        const told = list.map(({ kind, at, atMs, price, age }): PriceRow => {
          const names = kind === 'spot' ? PAIRS : MARKS;
          return row(names[at % names.length] ?? '', atMs, price, kind, atMs - age);
        });
        const first = new HourPrices(PriceTable.of(told, unlisted), stateOf());
        const answers = ask(first, all);
        const used = first.used();
        const again = new HourPrices(PriceTable.of(used.rows, used.unlisted), stateOf());
        expect(ask(again, all)).toEqual(answers);
        expect(again.digest()).toEqual(first.digest());
        // None of them for nothing.
        expect(again.used()).toEqual(used);
      }),
      { numRuns: 2000 },
    );
  });

  it('are those of a way that was left meanwhile, too, and of a row that a later one followed', () => {
    const told = [
      row('BTC/USD', AT, '7'),
      row('BTC/USDT', AT + 30, '8'),
      row('BTC/USDT', AT + 50, '9'),
      row('USDT/USD', AT + 20, '2'),
      row('USDT/USD', AT + 40, '5'),
      row('ETH/USD', AT, '3'),
    ];
    const prices = new HourPrices(PriceTable.of(told), new BookState());
    for (const atMs of [AT + 10, AT + 31, AT + 45]) {
      prices.dollars('BTC', atMs, 30);
      prices.digest();
    }
    const used = prices.used();
    // Dollars first, while there are some; then by what was the last at 31, and at 45.
    expect(used.rows).toEqual([told[0], told[1], told[3], told[4]]);
    const table = PriceTable.of(used.rows);
    const found = [AT + 10, AT + 31, AT + 45].map((at) => table.lookup('BTC', at, 30)?.price);
    expect(found).toEqual([7n, 16n, 40n].map((dollars) => dollars * 10n ** 18n));
  });
});
