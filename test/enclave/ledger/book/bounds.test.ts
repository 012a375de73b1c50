// Where things end: flows of an hour, ids that are remembered, the way back to the opening, and bytes that do not add up.

import { describe, expect, it } from 'vitest';
import { AccountBook, MAX_HISTORY_MS } from '../../../../enclave/ledger/book/account-book.ts';
import { eventOf } from '../../../../enclave/ledger/book/event.ts';
import { instrumentOf } from '../../../../enclave/ledger/book/instrument.ts';
import { Ledger, LEDGER_ACCOUNTS } from '../../../../enclave/ledger/book/ledger.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { MAX_HOUR_FLOWS } from '../../../../enclave/ledger/book/tally.ts';
import {
  MAX_PENDING,
  MAX_PENDING_HOURS,
  MAX_SEEN,
  MAX_SEEN_HOURS,
  Timeline,
} from '../../../../enclave/ledger/book/timeline.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  close,
  flow,
  hourly,
  MINUTE_MS,
  observation,
  parUsdt,
  spot,
  T0,
  tell,
  text,
} from './helpers.ts';

const table = PriceTable.of([
  ...parUsdt(12),
  ...hourly(
    'BTC/USDT',
    Array.from({ length: 13 }, () => '50000'),
  ),
]);

describe('flows of one hour', () => {
  it.each([MAX_HOUR_FLOWS - 1, MAX_HOUR_FLOWS, MAX_HOUR_FLOWS + 1])('%d: none is lost', (count) => {
    const records = Array.from({ length: count }, (_, at) =>
      flow({
        type: 'deposit',
        direction: 'in',
        currency: 'USDT',
        amount: '1',
        timeMs: T0 + 1000 + at,
      }),
    );
    const opening = observation(T0, [balance('USDT', '1')]);
    const [hour] = tell({ opening, records, prices: parUsdt(1), hours: 1 }).figures;
    const flows = hour?.flows ?? [];
    expect(flows.length).toBe(Math.min(count, MAX_HOUR_FLOWS));
    expect(text(hour?.inflow ?? null)).toBe(String(count));
    // What two of them came to is of no one moment.
    expect(flows.at(-1)?.amount === null).toBe(count > MAX_HOUR_FLOWS);
    expect(flows.at(-1)?.equityBefore === null).toBe(count > MAX_HOUR_FLOWS);
  });
});

function keys(hour: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `fill ${hour} ${at}`);
}

function at(timeMs: number): ReturnType<typeof spot> {
  return spot({ side: 'buy', price: '40000', amount: '0.2', timeMs });
}

describe('ids', () => {
  it('of settled hours are known for fourteen days', () => {
    const timeline = new Timeline();
    timeline.restore([[T0, keys(0, 1)]], []);
    timeline.settle(T0 + MAX_SEEN_HOURS * HOUR_MS);
    expect(timeline.hourOfKey('fill 0 0')).toBe(T0);
    timeline.settle(T0 + (MAX_SEEN_HOURS + 1) * HOUR_MS);
    expect(timeline.hourOfKey('fill 0 0')).toBe(null);
  });

  it.each([
    [MAX_PENDING_HOURS, T0],
    [MAX_PENDING_HOURS + 1, null],
  ])('of what is pending are known for thirty: after %d hours', (hours, known) => {
    const timeline = new Timeline();
    timeline.restore([[T0, keys(0, 2)]], ['fill 0 1']);
    timeline.settle(T0 + hours * HOUR_MS);
    expect([timeline.hourOfKey('fill 0 0'), timeline.hourOfKey('fill 0 1')]).toEqual([null, known]);
    expect([timeline.isPending('fill 0 1'), timeline.pendingFromMs]).toEqual(
      known === null ? [false, Infinity] : [true, T0],
    );
  });

  it.each([
    [MAX_PENDING, T0],
    [MAX_PENDING + 1, null],
  ])('of what is pending are kept for longer where they are %d; the oldest go', (count, first) => {
    const timeline = new Timeline();
    const all = [keys(0, 1), keys(1, count - 1)] as const;
    timeline.restore(
      all.map((names, hour) => [T0 + hour * HOUR_MS, names] as const),
      all.flat(),
    );
    timeline.settle(T0 + (MAX_SEEN_HOURS + 2) * HOUR_MS);
    expect(timeline.hourOfKey('fill 0 0')).toBe(first);
    expect(timeline.hourOfKey('fill 1 0')).toBe(T0 + HOUR_MS);
  });

  it('of a deposit that came after days are known from then on', () => {
    const [key = ''] = keys(0, 1);
    const came = eventOf(at(T0 + 10 * 24 * HOUR_MS), false);
    if (came === null) throw new Error('no event');
    const timeline = new Timeline();
    timeline.restore([[T0, [key]]], [key]);
    timeline.replace({ ...came, key });
    timeline.settle(T0 + (MAX_SEEN_HOURS + 1) * HOUR_MS);
    expect([timeline.hourOfKey(key), timeline.isPending(key)]).toEqual([came.atMs, false]);
  });

  it.each([
    [MAX_SEEN, T0],
    [MAX_SEEN + 1, null],
  ])('are %d at most; the oldest hour goes first', (count, first) => {
    const timeline = new Timeline();
    timeline.restore(
      [
        [T0, keys(0, 10)],
        [T0 + HOUR_MS, keys(1, count - 10)],
      ],
      [],
    );
    timeline.settle(T0 + 2 * HOUR_MS);
    expect(timeline.hourOfKey('fill 0 0')).toBe(first);
    expect(timeline.hourOfKey('fill 1 0')).toBe(T0 + HOUR_MS);
  });
});

describe('the opening', () => {
  const openedAt = T0 + 5 * HOUR_MS + 10 * MINUTE_MS;
  const early = spot({ side: 'buy', price: '50000', amount: '0.1', timeMs: T0 + MINUTE_MS });

  function opened(keepHours: number, hours: number): AccountBook {
    const book = new AccountBook({ pricedIn: 'USDT', keepHours });
    book.apply(early);
    book.observe(observation(openedAt, [balance('USDT', '95000'), balance('BTC', '0.1')]));
    close(book, table, hours);
    return book;
  }

  it('is looked for again when something from before it comes, in an hour that is still open', () => {
    const book = opened(72, 2);
    expect(book.nextHourMs).toBe(T0 + 2 * HOUR_MS);
    expect(book.apply(at(openedAt + 1))).toBe('new');
    expect(book.apply(at(openedAt))).toBe('late');
    expect(book.reopen(T0 + 5 * HOUR_MS)).toEqual([T0, T0 + HOUR_MS]);
    const [first] = close(book, table, 1);
    // 108,000 dollars, short of 0.2 coins at 50,000: what was there, less the purchases of both.
    expect(text(first?.equityStart ?? null)).toBe('98000');
  });

  it('goes back seven days, whatever the venue tells of the years before', () => {
    const first = T0 + 5 * HOUR_MS - MAX_HISTORY_MS;
    for (const [told, from] of [
      [first, first],
      [first - 1, T0 + 5 * HOUR_MS],
      [1, T0 + 5 * HOUR_MS],
    ] as const) {
      const book = new AccountBook({ pricedIn: 'USDT' });
      expect(book.apply(at(told))).toBe('new');
      book.observe(observation(openedAt, [balance('USDT', '95000')]));
      expect(book.nextHourMs).toBe(from);
    }
    const book = opened(72, 1);
    expect(book.apply(at(first - 1))).toBe('settled');
    expect(book.apply(at(first))).toBe('late');
    expect(book.reopen(first)?.at(0)).toBe(first);
  });

  it('can be reached as long as its own hour can be reopened, with all hours before it', () => {
    const hours = 7;
    expect(opened(2, hours).floorMs).toBe(T0);
    expect(opened(2, hours).reopen(T0)).toHaveLength(hours);
    // One hour later it is settled.
    const later = opened(2, hours + 1);
    expect(later.floorMs).toBe(T0 + 6 * HOUR_MS);
    expect(later.apply(at(openedAt))).toBe('settled');
  });
});

describe('what does not add up', () => {
  it('is no ledger', () => {
    const none = LEDGER_ACCOUNTS.map(() => 0n);
    const sound = [5n, -5n, ...none.slice(2)];
    expect(Ledger.of([['BTC', sound]])?.balance('wallet', 'BTC')).toBe(5n);
    expect(Ledger.of([['BTC', [5n, -4n, ...none.slice(2)]]])).toBeNull();
    expect(Ledger.of([['BTC', sound.slice(1)]])).toBeNull();
  });

  it('every entry leaves each currency at zero', () => {
    const ledger = new Ledger();
    ledger.move('BTC', 7n, 'external', 'wallet');
    ledger.move('BTC', 3n, 'wallet', 'fees');
    ledger.move('BTC', -2n, 'wallet', 'unexplained');
    expect([
      ledger.balance('wallet', 'BTC'),
      ledger.balance('fees', 'BTC'),
      ledger.sum('BTC'),
    ]).toEqual([6n, 3n, 0n]);
    expect(Ledger.of(ledger.toRows())?.toRows()).toEqual(ledger.toRows());
  });

  it.each([
    ['BTC/USDT:USDT', 'linear'],
    ['BTC/USD:BTC', 'inverse'],
    ['BTC/USD:USD', 'linear'],
    ['BTC/USD:BTC-240329', 'inverse'],
    // Profit in a third coin, at a rate of its own: nobody tells it, so it is not guessed.
    ['ETH/USD:BTC', 'opaque'],
  ])('%s is %s', (symbol, style) => {
    const facts = { symbol, market: 'swap', settle: null, contractSize: '1' } as const;
    expect(instrumentOf(facts).style).toBe(style);
    expect(instrumentOf({ ...facts, contractSize: '0' }).style).toBe('opaque');
  });

  it.each([
    { quote: 'USD' },
    { settle: 'BTC' },
    { inverse: true },
    { quote: 'USD', settle: 'BTC' },
    { quote: 'USD', inverse: true },
    { settle: 'BTC', inverse: true },
  ])('what a venue does not tell of a contract is in its symbol: %j is told', (told) => {
    const facts = {
      symbol: 'BTC/USD:BTC-261225',
      market: 'future',
      settle: null,
      contractSize: '100',
    } as const;
    const whole = { ...facts, base: 'BTC', quote: 'USD', settle: 'BTC', inverse: true };
    expect(instrumentOf({ ...facts, ...told })).toEqual(instrumentOf(whole));
  });

  it('what a venue does not tell of a fill is in its symbol', () => {
    const fill = spot({ side: 'buy', price: '3', amount: '2', timeMs: T0 });
    const told = { asset: 'BTC', currency: 'USDT' };
    expect(eventOf(fill, false)).toMatchObject(told);
    expect(eventOf({ ...fill, base: null, quote: null }, false)).toMatchObject(told);
  });

  it('an inverse contract at a price of zero is not divided by it', () => {
    const fill = spot({
      symbol: 'BTC/USD:BTC',
      market: 'swap',
      settle: 'BTC',
      contractSize: '100',
      inverse: true,
      side: 'buy',
      price: '0',
      amount: '1',
      timeMs: T0,
    });
    expect(eventOf(fill, false)).toMatchObject({ kind: 'contract', cost: 0n });
  });
});
