// What a trader could do to make a return larger than what was made with the capital: each case is a way that once worked.

import { describe, expect, it } from 'vitest';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type { BookRecord } from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { MAX_HOUR_FLOWS } from '../../../../enclave/ledger/book/tally.ts';
import { hourReturn } from '../../../../wire/performance/hour-return.ts';
import {
  balance,
  close,
  flow,
  hourly,
  linear,
  MINUTE_MS,
  observation,
  parUsdt,
  position,
  row,
  spot,
  T0,
  tell,
  text,
} from './helpers.ts';

const BTC = hourly('BTC/USDT', ['50000', '50000', '50000']);

function minutes(symbol: string, price: string): ReturnType<typeof row>[] {
  return Array.from({ length: 60 }, (_, at) => row(symbol, T0 + at * MINUTE_MS, price));
}

describe('money that nothing priced', () => {
  const lira = { currency: 'TRY', direction: 'in', type: 'deposit', amount: '400000' } as const;
  const table = PriceTable.of([...parUsdt(2), ...BTC, ...minutes('BTC/USDT', '50000')]);
  table.declareUnlisted('TRY');

  /** 1,000 dollars, a deposit of a currency that the venue lists no price of, and what is done with it. */
  function ratios(...records: readonly BookRecord[]): readonly (string | null)[] {
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(observation(T0, [balance('USDT', '1000')]));
    book.apply(flow({ ...lira, timeMs: T0 + 10 * MINUTE_MS }));
    for (const record of records) book.apply(record);
    return close(book, table, 1).map((figures) => hourReturn(figures).ratio);
  }

  it('is no gain when it pays for something that has a price', () => {
    const facts = { symbol: 'BTC/TRY', base: 'BTC', quote: 'TRY', side: 'buy' } as const;
    const price = { price: '2000000', amount: '0.2', timeMs: T0 + 20 * MINUTE_MS };
    expect(ratios(spot({ ...facts, ...price }))).toEqual([null]);
  });

  it('is no gain when it was paid for with a coin that nothing priced either', () => {
    const sold = { symbol: 'XYZ/TRY', base: 'XYZ', quote: 'TRY', side: 'sell' } as const;
    const unlisted = PriceTable.of([...parUsdt(1), ...minutes('USDT/USD', '1')]);
    for (const name of ['TRY', 'XYZ']) unlisted.declareUnlisted(name);
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(observation(T0, [balance('USDT', '1000'), balance('XYZ', '5000')]));
    book.apply(spot({ ...sold, price: '40', amount: '5000', timeMs: T0 + 20 * MINUTE_MS }));
    const pair = { symbol: 'USDT/TRY', base: 'USDT', quote: 'TRY', side: 'buy' } as const;
    book.apply(spot({ ...pair, price: '40', amount: '5000', timeMs: T0 + 21 * MINUTE_MS }));
    const [hour] = close(book, unlisted, 1);
    expect([text(hour?.inflow ?? null), hour && hourReturn(hour).ratio]).toEqual(['5000', null]);
  });

  it('is no gain when it is converted', () => {
    const leg = { type: 'conversion', networkId: 'c', timeMs: T0 + 20 * MINUTE_MS } as const;
    const legs = [
      flow({ ...leg, direction: 'out', currency: 'TRY', amount: '400000' }),
      flow({ ...leg, direction: 'in', currency: 'USDT', amount: '10000' }),
    ];
    expect(ratios(...legs)).toEqual([null]);
  });
});

describe('money that is lent for minutes', () => {
  it('by an account that nobody sees is capital as long as it is there', () => {
    const moved = { currency: 'USDT', amount: '99000' } as const;
    const records = [
      flow({ ...moved, type: 'transfer_in', direction: 'in', timeMs: T0 + 10 * MINUTE_MS }),
      spot({ side: 'buy', price: '50000', amount: '2', timeMs: T0 + 11 * MINUTE_MS }),
      spot({ side: 'sell', price: '50500', amount: '2', timeMs: T0 + 12 * MINUTE_MS }),
      flow({ ...moved, type: 'transfer_out', direction: 'out', timeMs: T0 + 13 * MINUTE_MS }),
    ];
    const [hour] = tell({
      opening: observation(T0, [balance('USDT', '1000')]),
      records,
      prices: [...parUsdt(1), ...minutes('USDT/USD', '1'), ...BTC],
      hours: 1,
    }).figures;
    // 1,000 on 100,000; not on 1,000.
    expect(hour === undefined ? null : hourReturn(hour).ratio).toBe('0.01');
  });

  it('is counted at its own time, however many flows there were before', () => {
    const small = Array.from({ length: MAX_HOUR_FLOWS }, (_, at) =>
      flow({ type: 'deposit', direction: 'in', currency: 'USDT', amount: '1', timeMs: T0 + at }),
    );
    const records = [
      ...small,
      spot({ side: 'buy', price: '50000', amount: '2', timeMs: T0 + 11 * MINUTE_MS }),
      spot({ side: 'sell', price: '50500', amount: '2', timeMs: T0 + 12 * MINUTE_MS }),
      flow({
        type: 'withdrawal',
        direction: 'out',
        currency: 'USDT',
        amount: '99000',
        timeMs: T0 + 55 * MINUTE_MS,
      }),
    ];
    const [hour] = tell({
      opening: observation(T0, [balance('USDT', '99900')]),
      records,
      prices: [...parUsdt(1), ...minutes('USDT/USD', '1'), ...BTC],
      hours: 1,
    }).figures;
    expect(text(hour?.outflow ?? null)).toBe('99000');
    expect(hour === undefined ? null : hourReturn(hour)).toEqual({
      ratio: null,
      method: null,
      reason: 'flow_not_valued',
    });
  });
});

describe('a deposit that is told before it is there', () => {
  it('moves no return, although its time is from before the hour in which it came', () => {
    const facts = { type: 'deposit', direction: 'in', currency: 'USDT', amount: '1000' } as const;
    const told = { ...facts, id: 'slow', timeMs: T0 + 50 * MINUTE_MS };
    const table = PriceTable.of([...parUsdt(2), ...minutes('USDT/USD', '1')]);
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(observation(T0, [balance('USDT', '1000')]));
    book.apply(flow({ ...told, status: 'pending' }));
    book.observe(observation(T0 + 55 * MINUTE_MS, [balance('USDT', '1000')]));
    book.observe(observation(T0 + 61 * MINUTE_MS, [balance('USDT', '1000')]));
    const [first] = close(book, table, 1);
    const parsed = AccountBook.parse(book.encode(), { pricedIn: 'USDT' });
    for (const one of [book, parsed]) {
      expect(one?.apply(flow({ ...told, status: 'ok' }))).toBe('new');
      one?.observe(observation(T0 + 80 * MINUTE_MS, [balance('USDT', '2000')]));
      expect(one?.apply(flow({ ...told, status: 'ok' }))).toBe('repeated');
      const [second] = one === null ? [] : close(one, table, 1);
      expect([first, second].map((hour) => text(hour?.inflow ?? null))).toEqual(['0', '1000']);
      expect([first, second].map((hour) => hour?.residual)).toEqual([0n, 0n]);
      expect(second === undefined ? null : hourReturn(second).ratio).toBe('0');
    }
  });
});

describe('a position that changes while the venue is asked', () => {
  const atMs = T0 + 10 * MINUTE_MS;
  const open = linear({ side: 'buy', price: '50000', amount: '2', timeMs: atMs });
  const shut = linear({ side: 'sell', price: '50000', amount: '2', timeMs: atMs + 1000 });
  const held = position({ contracts: '2', entry: '50000' });

  it.each([
    ['opened and not seen yet', [open], []],
    ['opened and seen', [open], [held]],
    ['opened and closed, seen before', [open, shut], []],
    ['opened and closed, seen between', [open, shut], [held]],
  ] as const)('%s leaves no residual', (_, records, positions) => {
    const [hour] = tell({
      opening: observation(T0, [balance('USDT', '1000')]),
      records,
      observations: [observation(atMs, [balance('USDT', '1000')], positions)],
      prices: [...parUsdt(1), ...BTC, ...hourly('BTC/USDT:USDT', ['50000', '50000'], 'mark')],
      hours: 1,
    }).figures;
    expect([text(hour?.equityEnd ?? null), hour?.residual, hour?.status]).toEqual([
      '1000',
      0n,
      'reconciled',
    ]);
  });

  it('closed and not seen any more, or still, leaves no residual', () => {
    for (const positions of [[], [held]]) {
      const [hour] = tell({
        opening: observation(T0, [balance('USDT', '1000')], [held]),
        records: [shut],
        observations: [observation(atMs + 1000, [balance('USDT', '1000')], positions)],
        prices: [...parUsdt(1), ...BTC, ...hourly('BTC/USDT:USDT', ['50000', '50000'], 'mark')],
        hours: 1,
      }).figures;
      expect([text(hour?.equityEnd ?? null), hour?.residual]).toEqual(['1000', 0n]);
    }
  });
});
