// Late data goes back to a state and from there over hours that are not stated again. They are run with the prices that they
// were closed with: what cannot be had any more, or is another price now, changes nothing behind them.

import { describe, expect, it } from 'vitest';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type { PriceRow } from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import type { SavedBase, SavedBook } from '../../../../enclave/ledger/book/state-codec.ts';
import {
  encodeBook,
  MAX_PRICED_BYTES,
  parseBook,
} from '../../../../enclave/ledger/book/state-codec.ts';
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

function restarted(book: AccountBook): AccountBook {
  const back = AccountBook.parse(book.encode(), OPTIONS);
  if (back === null) throw new Error('not read');
  expect(back.encode()).toEqual(book.encode());
  return back;
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

function savedOf(book: AccountBook): SavedBook {
  const saved = parseBook(book.encode());
  if (saved === null) throw new Error('not read');
  return saved;
}

function savedBase(saved: SavedBook): SavedBase {
  if (saved.base === null) throw new Error('no base');
  return saved.base;
}

describe('the way back to a late record', () => {
  it.each(Array.from({ length: HOURS - 7 }, (_, at) => at + 7))(
    'of hour %d needs no price from before it, after a restart neither',
    (hour) => {
      const startMs = T0 + hour * HOUR_MS;
      const gone = PriceTable.of(ROWS.filter(({ atMs }) => atMs >= startMs));
      const whole = again(told(), hour, table);
      expect(whole.map((one) => one.startMs)[0]).toBe(startMs);
      expect(whole[0]?.realised).not.toBeNull();
      expect(again(told(), hour, gone)).toEqual(whole);
      expect(again(restarted(told()), hour, gone)).toEqual(whole);
      // Also where it was reopened before, and started again in the middle of that.
      const book = restarted(told());
      const first = book.reopen(T0 + 6 * HOUR_MS) ?? [];
      close(book, table, Math.floor(first.length / 2));
      const back = restarted(book);
      close(back, table, HOURS - 6 - Math.floor(first.length / 2));
      expect(again(restarted(back), hour, gone)).toEqual(whole);
    },
  );

  it('is not changed by what prices are now', () => {
    const other = ROWS.map((one) => ({
      ...one,
      price: one.atMs < T0 + 20 * HOUR_MS ? '7' : one.price,
    }));
    const whole = again(told(), 20, table);
    expect(again(told(), 20, PriceTable.of(other))).toEqual(whole);
    expect(again(restarted(told()), 20, PriceTable.of(other))).toEqual(whole);
  });

  it('goes over prices that are asked for anew where none were stored', () => {
    const saved = savedOf(told());
    const base = savedBase(saved);
    const { hourMs } = base;
    const bytes = encodeBook({ ...saved, base: { ...base, used: [] } });
    const whole = again(told(), 20, table);
    for (const isGone of [false, true]) {
      const book = AccountBook.parse(bytes, OPTIONS);
      if (book === null) throw new Error('not read');
      const rows = isGone ? ROWS.filter(({ atMs }) => atMs >= T0 + 20 * HOUR_MS) : ROWS;
      const figures = again(book, 20, PriceTable.of(rows));
      expect(figures[0]?.startMs).toBe(hourMs);
      const own = figures.find(({ startMs }) => startMs === T0 + 20 * HOUR_MS);
      expect(own?.realised === whole[0]?.realised).toBe(!isGone);
      // From then on there are some again.
      const back = restarted(book);
      expect(back.reopen(T0 + 25 * HOUR_MS)).toHaveLength(HOURS - 25);
    }
  });
});

/** With so many prices that it has almost as many bytes, and a key that makes up for the rest. */
function padded(saved: SavedBook, bytes: number): SavedBook {
  const base = savedBase(saved);
  const rows = Array.from({ length: 1000 }, (_, at) => row('BTC/USDT', T0 + at, '50000.5'));
  const withRows = (count: number, key: number): SavedBook => {
    const used = Array.from({ length: Math.ceil(count / 1000) }, (_, at) => ({
      rows: rows.slice(0, count - at * 1000),
      unlisted: [],
    }));
    return { ...saved, base: { ...base, used }, pending: ['k'.repeat(key)] };
  };
  let count = 0;
  const missing = (): number => bytes - encodeBook(withRows(count, 50)).length;
  const perRow = encodeBook(withRows(2, 50)).length - encodeBook(withRows(1, 50)).length;
  // Each thousand has a few bytes of its own.
  for (let turn = 0; turn < 4; turn++) count += Math.floor((missing() / perRow) * 0.99);
  return withRows(count, 50 + missing());
}

describe('prices in a stored state', () => {
  it.each([0, 1])('are left out where they would make it too large: %d bytes', (more) => {
    const fits = padded(savedOf(told()), MAX_PRICED_BYTES);
    const saved = { ...fits, pending: fits.pending.map((key) => key + 'k'.repeat(more)) };
    const bytes = encodeBook(saved);
    const read = parseBook(bytes);
    expect(read?.base?.hourMs).toBe(saved.base?.hourMs);
    const hours = saved.base?.used.length ?? 0;
    expect(read?.base?.used).toHaveLength(more === 0 ? hours : 0);
    const without = encodeBook({ ...saved, base: { ...savedBase(saved), used: [] } });
    expect(bytes).toHaveLength(more === 0 ? MAX_PRICED_BYTES : without.length);
  });

  it('are of hours that are closed, and behind a floor that is none of a later one', () => {
    const saved = savedOf(told());
    const base = savedBase(saved);
    const nextMs = saved.nextHourMs ?? 0;
    const isRead = (own: Partial<SavedBase>): boolean =>
      AccountBook.parse(encodeBook({ ...saved, base: { ...base, ...own } }), OPTIONS) !== null;
    expect(base.used).toHaveLength((nextMs - base.hourMs) / HOUR_MS);
    expect(isRead({})).toBe(true);
    expect(isRead({ used: [...base.used, { rows: [], unlisted: [] }] })).toBe(false);
    expect([base.hourMs, nextMs].map((floorMs) => isRead({ floorMs }))).toEqual([true, true]);
    expect(isRead({ floorMs: base.hourMs - 1 })).toBe(false);
    expect(isRead({ floorMs: nextMs + 1 })).toBe(false);
    for (const price of ['0', '-1', '1.0', 'x']) {
      const rows = [row('BTC/USDT', T0, price)];
      expect(isRead({ used: [{ rows, unlisted: [] }] })).toBe(false);
    }
  });
});
