// Late data goes back to a state and from there over hours that are not stated again. They are run with the prices that they
// were closed with: what cannot be had any more, or is another price now, changes nothing behind them.

import { describe, expect, it } from 'vitest';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import { RESTART_KEEP_HOURS } from '../../../../enclave/ledger/book/checkpoints.ts';
import type { PriceRow } from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import { balance, close, flow, MINUTE_MS, observation, row, spot, T0 } from './helpers.ts';

const OPTIONS = { pricedIn: 'USDT' };
const HOURS = 30;

/** A bitcoin comes each hour; what it costs is its price of that minute. */
const ROWS: readonly PriceRow[] = Array.from({ length: HOURS + 1 }, (_, hour) => {
  const atMs = T0 + hour * HOUR_MS;
  return [
    row('USDT/USD', atMs, '1'),
    row('BTC/USDT', atMs, String(50_000 + ((hour * 7919) % 977))),
    row('USDT/USD', atMs + 30 * MINUTE_MS, '1'),
    row('BTC/USDT', atMs + 30 * MINUTE_MS, String(50_000 + ((hour * 6091) % 1009))),
  ];
}).flat();
const table = PriceTable.of(ROWS);

function told(): AccountBook {
  const book = new AccountBook(OPTIONS);
  book.observe(observation(T0, [balance('USDT', '100000')]));
  for (let hour = 0; hour < HOURS; hour++) {
    const timeMs = T0 + hour * HOUR_MS + 30 * MINUTE_MS;
    const facts = { type: 'deposit', direction: 'in', currency: 'BTC', amount: '1' } as const;
    book.apply(flow({ ...facts, id: `d${hour}`, timeMs }));
  }
  close(book, table, HOURS);
  return book;
}

/** All but half a coin of what came before the hour is sold in it. */
function late(hour: number): ReturnType<typeof spot> {
  const timeMs = T0 + hour * HOUR_MS + MINUTE_MS;
  return spot({ id: 'late', side: 'sell', price: '50000', amount: `${hour - 1}.5`, timeMs });
}

/** What is closed again when it is told with these prices, and the first hour of it. */
function again(book: AccountBook, hour: number, prices: PriceTable): readonly HourFigures[] {
  expect(book.apply(late(hour))).toBe('late');
  const hours = book.reopen(T0 + hour * HOUR_MS) ?? [];
  return close(book, prices, hours.length);
}

describe('the way back to a late record', () => {
  it.each(Array.from({ length: HOURS - 7 }, (_, at) => at + 7))(
    'of hour %d needs no price from before it',
    (hour) => {
      const startMs = T0 + hour * HOUR_MS;
      const gone = PriceTable.of(ROWS.filter(({ atMs }) => atMs >= startMs));
      const whole = again(told(), hour, table);
      expect(whole.map((one) => one.startMs)[0]).toBe(startMs);
      expect(whole[0]?.realised).not.toBeNull();
      expect(again(told(), hour, gone)).toEqual(whole);
      // Also where it was reopened before.
      const book = told();
      const first = book.reopen(T0 + 6 * HOUR_MS) ?? [];
      close(book, table, first.length);
      expect(again(book, hour, gone)).toEqual(whole);
    },
  );

  it('is not changed by what prices are now', () => {
    const other = ROWS.map((one) => {
      const { kind, symbol, atMs, source, tradedMs } = one;
      const isThen = atMs < T0 + 20 * HOUR_MS;
      return isThen ? { kind, symbol, atMs, price: '7', source, tradedMs } : one;
    });
    const whole = again(told(), 20, table);
    expect(again(told(), 20, PriceTable.of(other))).toEqual(whole);
  });

  it('after a restart begins with the state that was stored, over prices that are asked for anew', () => {
    const book = AccountBook.parse(told().encode(), OPTIONS);
    if (book === null) throw new Error('not read');
    const whole = again(told(), 20, table);
    const figures = again(book, 20, table);
    expect(figures[0]?.startMs).toBe(T0 + (HOURS - RESTART_KEEP_HOURS) * HOUR_MS);
    expect(figures.slice(-whole.length)).toEqual(whole);
    // From then on hours can be run again.
    expect(book.reopen(T0 + 25 * HOUR_MS)).toHaveLength(HOURS - 25);
  });
});
