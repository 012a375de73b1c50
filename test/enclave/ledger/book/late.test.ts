// What is told late, again, as pending, or before the book was opened: nothing is lost silently and nothing counts twice.

import { describe, expect, it } from 'vitest';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import { RESTART_KEEP_HOURS } from '../../../../enclave/ledger/book/checkpoints.ts';
import type { Flow } from '../../../../enclave/connector/records.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  close,
  COVERED,
  flow,
  hourly,
  MINUTE_MS,
  observation,
  parUsdt,
  position,
  row,
  spot,
  T0,
  text,
} from './helpers.ts';

const HOURS = 8;
const table = PriceTable.of([
  ...parUsdt(HOURS),
  ...hourly(
    'BTC/USDT',
    Array.from({ length: HOURS + 1 }, () => '50000'),
  ),
]);

function opened(keepHours: number, closed: number): AccountBook {
  const book = new AccountBook({ pricedIn: 'USDT', keepHours });
  book.observe(observation(T0, [balance('USDT', '100000')]));
  close(book, table, closed);
  return book;
}

function fillAt(hour: number, id = `late-${hour}`): ReturnType<typeof spot> {
  const timeMs = T0 + hour * HOUR_MS + MINUTE_MS;
  return spot({ id, side: 'buy', price: '50000', amount: '0.1', timeMs });
}

function withdrawal(status: Flow['status'], timeMs: number = T0 + MINUTE_MS): Flow {
  const facts = { type: 'withdrawal', direction: 'out', currency: 'USDT', amount: '1000' } as const;
  return flow({ ...facts, id: 'w', timeMs, status });
}

describe('late data', () => {
  it('can be as late as the book keeps hours, and not an hour later', () => {
    for (const keepHours of [1, 2, 3]) {
      const book = opened(keepHours, 6);
      expect(book.apply(fillAt(6 - keepHours))).toBe('late');
      expect(book.apply(fillAt(5 - keepHours))).toBe('settled');
      expect(book.floorMs).toBe(T0 + (6 - keepHours) * HOUR_MS);
      expect(book.reopen(T0 + (5 - keepHours) * HOUR_MS)).toBeNull();
    }
  });

  it('gives back the hours from it on, and nothing for an hour that is open', () => {
    const book = opened(4, 6);
    expect(book.reopen(T0 + 6 * HOUR_MS)).toEqual([]);
    expect(book.nextHourMs).toBe(T0 + 6 * HOUR_MS);
    expect(book.reopen(T0 + 4 * HOUR_MS)).toEqual([T0 + 4 * HOUR_MS, T0 + 5 * HOUR_MS]);
    expect(book.nextHourMs).toBe(T0 + 4 * HOUR_MS);
  });

  it('that is not closed again cannot be skipped', () => {
    const book = opened(4, 6);
    book.reopen(T0 + 4 * HOUR_MS);
    expect(() => book.closeHour(T0 + 5 * HOUR_MS, table, COVERED)).toThrow('in their order');
  });

  it.each([2, 4, RESTART_KEEP_HOURS])('outlives a restart: %d hours are kept', (keepHours) => {
    const kept = Math.min(keepHours, 4);
    const book = new AccountBook({ pricedIn: 'USDT', keepHours });
    book.observe(observation(T0, [balance('USDT', '100000')]));
    for (const hour of [1, 2, 3, 4]) book.apply(fillAt(hour, `known-${hour}`));
    const before = close(book, table, 6);
    const back = AccountBook.parse(book.encode(), { pricedIn: 'USDT', keepHours });
    if (back === null) throw new Error('not read');
    expect(back.encode()).toEqual(book.encode());
    for (const hour of [1, 2, 3, 4])
      expect(back.apply(fillAt(hour, `known-${hour}`))).toBe('repeated');
    expect(back.apply(fillAt(6 - kept))).toBe('late');
    expect(back.floorMs).toBe(T0 + Math.max(1, 6 - keepHours) * HOUR_MS);
    expect(back.apply(fillAt(6))).toBe('new');
    book.apply(fillAt(6 - kept));
    book.apply(fillAt(6));
    book.reopen(T0 + (6 - kept) * HOUR_MS);
    const again = back.reopen(T0 + (6 - kept) * HOUR_MS) ?? [];
    expect(again.at(-1)).toBe(T0 + 5 * HOUR_MS);
    const after = close(back, table, again.length + 1);
    // Hours before the late one come to what they were.
    const first = ((again[0] ?? T0) - T0) / HOUR_MS;
    expect(after.slice(0, 6 - kept - first)).toEqual(before.slice(first, 6 - kept));
    expect(after.slice(6 - kept - first)).toEqual(close(book, table, kept + 1));
  });

  it('is late after a restart for a day, and settled before that', () => {
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(observation(T0, [balance('USDT', '100000')]));
    const hours = RESTART_KEEP_HOURS + 5;
    const long = PriceTable.of(parUsdt(hours));
    const first = close(book, long, hours);
    const back = AccountBook.parse(book.encode(), { pricedIn: 'USDT' });
    if (back === null) throw new Error('not read');
    expect(back.floorMs).toBe(T0 + 5 * HOUR_MS);
    expect(back.apply(fillAt(4))).toBe('settled');
    expect(back.apply(fillAt(5))).toBe('late');
    expect(back.reopen(T0 + 4 * HOUR_MS)).toBeNull();
    // Back to a state that was kept, from which the hours up to it come to what they were.
    const again = back.reopen(T0 + 7 * HOUR_MS) ?? [];
    const from = ((again[0] ?? T0) - T0) / HOUR_MS;
    expect([from > 0, from <= 5, back.floorMs]).toEqual([true, true, T0 + 5 * HOUR_MS]);
    expect(close(back, long, 5 - from)).toEqual(first.slice(from, 5));
  });

  it('keeps hours that it has closed, when what they began with never was', () => {
    const book = new AccountBook({ pricedIn: 'USDT' });
    const early = withdrawal('pending', T0 - 2 * HOUR_MS + MINUTE_MS);
    book.observe(observation(T0 + 1000, [balance('USDT', '100000')]));
    book.apply(early);
    const prices = PriceTable.of([
      ...parUsdt(HOURS),
      ...[-2, -1].map((hour) => row('USDT/USD', T0 + hour * HOUR_MS, '1')),
    ]);
    close(book, prices, 4);
    expect(book.apply({ ...early, status: 'failed' })).toBe('late');
    expect(book.reopen(T0 - 2 * HOUR_MS)?.at(0)).toBe(T0 - 2 * HOUR_MS);
    const said = close(book, prices, 7);
    expect(said.map(({ outflow }) => outflow)).toEqual(said.map(() => 0n));
    expect(said.map(({ equityStart }) => text(equityStart))).toEqual(said.map(() => '100000'));
    const back = AccountBook.parse(book.encode(), { pricedIn: 'USDT' });
    expect(back?.reopen(T0 + 2 * HOUR_MS)?.at(0)).toBe(T0 - HOUR_MS);
    expect(back === null ? null : close(back, prices, 6)).toEqual(said.slice(1));
  });

  it('that nobody waits for any more is not waited for after a restart either', () => {
    const options = { pricedIn: 'USDT', keepHours: 3 };
    const deposit = flow({
      type: 'deposit',
      direction: 'in',
      currency: 'USDT',
      amount: '5',
      id: 'd',
      timeMs: T0 + 2 * HOUR_MS + MINUTE_MS,
      status: 'pending',
    });
    const first = opened(3, 2);
    first.apply(deposit);
    close(first, table, 3);
    const book = AccountBook.parse(first.encode(), options);
    if (book === null) throw new Error('not read');
    // Behind the floor now, and kept for the way to the hours above it.
    close(book, table, 1);
    expect([book.apply({ ...deposit, status: 'failed' }), book.pendingFromMs]).toEqual([
      'settled',
      Infinity,
    ]);
    expect(AccountBook.parse(book.encode(), options)?.pendingFromMs).toBe(Infinity);
  });

  it('finds its way back after a restart when the hour that was kept then is long ago', () => {
    const book = opened(3, 5);
    const back = AccountBook.parse(book.encode(), { pricedIn: 'USDT', keepHours: 3 });
    if (back === null) throw new Error('not read');
    const said = [...close(book, table, 2), ...close(back, table, 2)].slice(0, 2);
    expect(back.floorMs).toBe(T0 + 4 * HOUR_MS);
    const again = back.reopen(T0 + 4 * HOUR_MS) ?? [];
    expect(again.at(-1)).toBe(T0 + 6 * HOUR_MS);
    expect(close(back, table, again.length).slice(-2)).toEqual(said);
  });

  it('from before the first hour opens the book anew, with what was held before it', () => {
    const book = opened(72, 2);
    expect(book.apply(fillAt(-3))).toBe('late');
    expect(book.reopen(T0 - 3 * HOUR_MS)).toHaveLength(5);
    expect(book.nextHourMs).toBe(T0 - 3 * HOUR_MS);
    const early = PriceTable.of([
      ...parUsdt(HOURS),
      ...['USDT/USD', 'BTC/USDT'].flatMap((symbol) =>
        [-3, -2, -1, 0, 1, 2].map((hour) =>
          row(symbol, T0 + hour * HOUR_MS, symbol === 'USDT/USD' ? '1' : '50000'),
        ),
      ),
    ]);
    const figures = close(book, early, 5);
    expect(figures.map(({ rebuilt }) => rebuilt)).toEqual([true, true, true, false, false]);
    // 105,000 less what it bought is not what is there at the opening: the book believes what is there.
    expect(figures.map(({ equityStart }) => text(equityStart))[0]).toBe('100000');
    expect(figures.map(({ trades }) => trades)).toEqual([1, 0, 0, 0, 0]);
  });
});

describe('flows that are not final', () => {
  it.each(['ok', 'pending'] as const)('a withdrawal counts when it is %s', (status) => {
    const book = opened(72, 0);
    expect(book.apply(withdrawal(status))).toBe('new');
    expect(text(close(book, table, 1)[0]?.outflow ?? null)).toBe('1000');
  });

  it.each(['failed', 'canceled'] as const)('and one that %s never was', (status) => {
    const book = opened(72, 0);
    book.apply(withdrawal('pending'));
    close(book, table, 2);
    expect(book.apply(withdrawal('pending'))).toBe('repeated');
    expect(book.apply(withdrawal(status))).toBe('late');
    expect(book.reopen(T0)).toHaveLength(2);
    const figures = close(book, table, 2);
    expect(figures.map(({ outflow }) => outflow)).toEqual([0n, 0n]);
    expect(text(figures[1]?.equityEnd ?? null)).toBe('100000');
  });

  it('one that is through after it was pending changes nothing', () => {
    const book = opened(72, 0);
    book.apply(withdrawal('pending'));
    const before = close(book, table, 2);
    expect(book.apply(withdrawal('ok', T0 + 90 * MINUTE_MS))).toBe('repeated');
    expect(book.reopen(T0)).toHaveLength(2);
    expect(close(book, table, 2)).toEqual(before);
  });

  it.each([
    ['0.00', 'repeated', '1000'],
    ['3', 'late', '1003'],
  ])('one that is through with a fee of %s is %s', (amount, applied, cost) => {
    const book = opened(72, 0);
    book.apply(withdrawal('pending'));
    close(book, table, 1);
    const through = { ...withdrawal('ok'), fee: { currency: 'USDT', amount } };
    expect(book.apply(through)).toBe(applied);
    book.reopen(T0);
    const [figures] = close(book, table, 1);
    expect(text(100_000n * 10n ** 18n - (figures?.equityEnd ?? 0n))).toBe(cost);
  });

  it('one that fails after its hour is settled is said to be settled, and not lost', () => {
    const book = new AccountBook({ pricedIn: 'USDT', keepHours: 1 });
    book.observe(observation(T0, [balance('USDT', '100000')]));
    book.apply(withdrawal('pending'));
    close(book, table, 4);
    expect(book.apply(withdrawal('pending'))).toBe('repeated');
    // As a restart tells it again, from before it was stored.
    const back = AccountBook.parse(book.encode(), { pricedIn: 'USDT' });
    expect(book.apply(withdrawal('failed'))).toBe('settled');
    expect(back?.apply(withdrawal('failed'))).toBe('settled');
    // Whether it is told again, what is stored says.
    expect(back?.apply(withdrawal('failed'))).toBe('settled');
    expect(back?.apply(withdrawal('ok'))).toBe('settled');
  });

  it.each([
    ['withdrawal', 'ok', 'settled'],
    ['withdrawal', 'canceled', 'settled'],
    ['deposit', 'ok', 'new'],
    ['deposit', 'failed', 'settled'],
  ] as const)('a %s that is settled is waited for until it is %s', (type, status, applied) => {
    const direction = type === 'deposit' ? 'in' : 'out';
    const facts = { type, direction, currency: 'USDT', amount: '500', id: 'f' } as const;
    const told = flow({ ...facts, timeMs: T0 + MINUTE_MS, status: 'pending' });
    const book = new AccountBook({ pricedIn: 'USDT', keepHours: 1 });
    book.observe(observation(T0, [balance('USDT', '100000')]));
    book.apply(told);
    close(book, table, 4);
    book.observe(observation(T0 + 4 * HOUR_MS, [balance('USDT', '100000')]));
    expect([book.apply(told), book.pendingFromMs]).toEqual(['repeated', T0]);
    expect([book.apply({ ...told, status }), book.pendingFromMs]).toEqual([applied, Infinity]);
    // A deposit that came is in an hour that is open; all others are looked for in what is stored.
    expect(book.apply({ ...told, status })).toBe(applied === 'new' ? 'repeated' : 'settled');
    const back = AccountBook.parse(book.encode(), { pricedIn: 'USDT' });
    expect(back?.pendingFromMs).toBe(Infinity);
  });

  it('a withdrawal that was through and comes back after its hour is settled', () => {
    const book = new AccountBook({ pricedIn: 'USDT', keepHours: 1 });
    book.observe(observation(T0, [balance('USDT', '100000')]));
    book.apply(withdrawal('pending'));
    close(book, table, 4);
    const told = (['ok', 'failed'] as const).map((status) => book.apply(withdrawal(status)));
    // That it went through is no news: what is stored says so, too.
    expect(told).toEqual(['settled', 'settled']);
  });

  it('a deposit counts when it is there', () => {
    const book = opened(72, 0);
    const facts = { type: 'deposit', direction: 'in', currency: 'USDT', amount: '500' } as const;
    const deposit = { ...facts, id: 'd', timeMs: T0 + MINUTE_MS };
    expect(book.apply(flow({ ...deposit, status: 'pending' }))).toBe('uncounted');
    expect(text(close(book, table, 1)[0]?.equityEnd ?? null)).toBe('100000');
    expect(book.apply(flow({ ...deposit, status: 'ok' }))).toBe('late');
    expect(book.reopen(T0)).toEqual([T0]);
    expect(text(close(book, table, 1)[0]?.inflow ?? null)).toBe('500');
  });
});

describe('what does not fit', () => {
  it('an amount of 19 digits is refused, not rounded', () => {
    const book = opened(72, 0);
    const amount = `0.${'0'.repeat(18)}1`;
    const timeMs = T0 + MINUTE_MS;
    expect(book.apply(spot({ side: 'buy', price: '1', amount, timeMs }))).toBe('too_precise');
    expect(book.apply(spot({ side: 'buy', price: '1', amount: '1', timeMs, cost: amount }))).toBe(
      'too_precise',
    );
    const fees = [{ currency: 'BNB', amount }];
    expect(book.apply(spot({ side: 'buy', price: '1', amount: '1', timeMs, fees }))).toBe(
      'too_precise',
    );
    expect(book.observe(observation(timeMs, [balance('BTC', amount)]))).toBe('too_precise');
    expect(book.observe(observation(timeMs, [], [position({ contracts: amount })]))).toBe(
      'too_precise',
    );
  });

  it('bytes that are no state are no book', () => {
    const book = opened(72, 2);
    book.apply(fillAt(3));
    const bytes = book.encode();
    const options = { pricedIn: 'USDT' };
    expect(AccountBook.parse(bytes, options)).not.toBeNull();
    expect(AccountBook.parse(bytes.subarray(1), options)).toBeNull();
    expect(AccountBook.parse(bytes.subarray(0, -1), options)).toBeNull();
    let accepted = 0;
    for (let at = 0; at < bytes.length; at += 7) {
      const flipped = Uint8Array.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0xff;
      // Never a throw; where it is read it is another state, which its owner has to authenticate.
      if (AccountBook.parse(flipped, options) !== null) accepted++;
    }
    expect(accepted).toBeLessThan(bytes.length / 7);
  });
});
