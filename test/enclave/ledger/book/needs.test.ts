// What a book asks for is enough: hours closed with nothing but the rows that it asked for are known in full.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type { PriceQuestion, PriceRow } from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  close,
  flow,
  linear,
  MINUTE_MS,
  observation,
  position,
  spot,
  T0,
} from './helpers.ts';
import { actions, play, PRICES, STORY_HOURS, Venue } from './story.ts';

/** A venue's candles: rows at multiples of the step only. */
function answer(questions: readonly PriceQuestion[]): readonly PriceRow[] {
  return PRICES.filter(({ kind, symbol, atMs }) =>
    questions.some(
      (asked) =>
        asked.kind === kind &&
        asked.symbol === symbol &&
        asked.fromMs <= atMs &&
        atMs <= asked.toMs &&
        atMs % asked.stepMs === 0,
    ),
  );
}

function asked(book: AccountBook, hours = 1): readonly string[] {
  return book.needs(T0, T0 + hours * HOUR_MS).map(({ kind, symbol, fromMs, toMs, stepMs }) => {
    const [from, to] = [fromMs, toMs].map((at) => (at - T0) / MINUTE_MS);
    return `${kind} ${symbol} ${from}-${to} ${stepMs / MINUTE_MS}`;
  });
}

describe('what a book needs', () => {
  it('is enough to know every hour', () => {
    fc.assert(
      fc.property(actions, fc.boolean(), (list, isHourly) => {
        const book = new AccountBook({ pricedIn: 'USDT' });
        book.observe(observation(T0, new Venue().balances()));
        for (const record of play(list).records) book.apply(record);
        const table = new PriceTable();
        const end = T0 + STORY_HOURS * HOUR_MS;
        if (!isHourly) table.add(answer(book.needs(T0, end)));
        for (let startMs = T0; startMs < end; startMs += HOUR_MS) {
          if (isHourly) table.add(answer(book.needs(startMs, startMs + HOUR_MS)));
          const [figures] = close(book, table, 1);
          expect(figures?.gaps).toEqual([]);
          expect(figures?.equityEnd).not.toBeNull();
          expect(figures?.flows.every(({ equityBefore }) => equityBefore !== null)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('is what is held, at full hours, before anything was closed', () => {
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(
      observation(
        T0,
        [balance('BTC', '1'), balance('USD', '5'), balance('JPY', '7')],
        [position({ contracts: '1', entry: '1' })],
      ),
    );
    expect(asked(book, 2)).toEqual([
      'mark BTC/USDT:USDT 0-120 60',
      'spot BTC/USDT 0-120 60',
      'spot USD/JPY 0-120 60',
      'spot USDT/USD 0-120 60',
    ]);
  });

  it('is by the minute around a flow, of everything that is held', () => {
    const book = new AccountBook({ pricedIn: 'USD' });
    book.observe(observation(T0, [balance('BTC', '1')]));
    const facts = { type: 'deposit', direction: 'in', currency: 'ETH', amount: '1' } as const;
    book.apply(flow({ ...facts, timeMs: T0 + 10 * MINUTE_MS }));
    expect(asked(book)).toEqual([
      'spot BTC/USD 0-60 60',
      'spot BTC/USD 5-10 1',
      'spot ETH/USD 0-60 60',
      'spot ETH/USD 5-10 1',
    ]);
  });

  it('is by the minute for a coin that is paid with, and by the hour for a stablecoin', () => {
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(observation(T0, [balance('USDT', '100')]));
    const fees = [{ currency: 'BNB', amount: '0.1' }];
    const [first, last] = [T0 + 20 * MINUTE_MS, T0 + 40 * MINUTE_MS];
    book.apply(linear({ side: 'buy', price: '1', amount: '1', timeMs: first, fees }));
    book.apply(linear({ side: 'sell', price: '1', amount: '1', timeMs: last, fees }));
    expect(asked(book)).toEqual([
      'mark BTC/USDT:USDT 0-60 60',
      'spot BNB/USDT 0-60 60',
      'spot BNB/USDT 15-40 1',
      'spot USDT/USD 0-60 60',
      'spot USDT/USD 15-40 1',
    ]);
  });

  it('names pairs that the account has traded, where the venue may list no other', () => {
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(observation(T0, []));
    const fill = { side: 'buy', price: '1', amount: '1', timeMs: T0 + MINUTE_MS } as const;
    book.apply(spot({ ...fill, symbol: 'XYZ/USDC', base: 'XYZ', quote: 'USDC' }));
    expect(asked(book)).toEqual(['spot USDC/USD 0-60 60', 'spot XYZ/USDC 0-60 60']);
  });
});
