// A poll that begins in one hour and ends in the next, or is under way when something happens. Wherever each wallet was
// told before or after what, neither a loss nor a gain nor a gap comes of it; and what is really missing still shows.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type { BookRecord, Observation } from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { hourReturn } from '../../../../wire/performance/hour-return.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  COVERED,
  flow,
  funding,
  linear,
  MINUTE_MS,
  observation,
  position,
  row,
  spot,
  T0,
  text,
} from './helpers.ts';

const FULL = T0 + HOUR_MS;
const OPTIONS = { pricedIn: 'USDT' };
/** Every minute of three hours; nothing moves, so that whatever is no zero is wrong. */
const table = PriceTable.of(
  Array.from({ length: 181 }, (_, minute) => {
    const atMs = T0 + minute * MINUTE_MS;
    return [
      row('USDT/USD', atMs, '1'),
      row('BTC/USDT', atMs, '50000'),
      row('BTC/USDT:USDT', atMs, '50000', 'mark'),
    ];
  }).flat(),
);

const TYPES = ['deposit', 'withdrawal', 'buy', 'sell', 'long', 'short', 'move', 'funding'] as const;

interface Happening {
  readonly type: (typeof TYPES)[number];
  /** From the full hour. */
  readonly atMs: number;
  readonly size: number;
}

/** How far from the full hour the venue was asked, and when each part of the answer was read. */
interface Asking {
  readonly beginsMs: number;
  readonly tookMs: number;
  /** Of the spot wallet, the one of contracts, the positions: parts of a thousand of the time that it took. */
  readonly read: readonly [number, number, number];
}

interface Held {
  spotUsdt: number;
  swapUsdt: number;
  tenthsOfBtc: number;
  contracts: number;
}

/** What is there at a moment, by the venue's own books. */
function heldAt(list: readonly Happening[], atMs: number): Held {
  const held: Held = { spotUsdt: 100_000, swapUsdt: 100_000, tenthsOfBtc: 20, contracts: 1 };
  for (const { type, atMs: then, size } of list) {
    if (FULL + then > atMs) continue;
    if (type === 'deposit') held.spotUsdt += 1000 * size;
    else if (type === 'withdrawal') held.spotUsdt -= 1000 * size;
    else if (type === 'buy' || type === 'sell') {
      const sign = type === 'buy' ? size : -size;
      held.tenthsOfBtc += sign;
      held.spotUsdt -= sign * 5000;
    } else if (type === 'long') held.contracts += size;
    else if (type === 'short') held.contracts -= size;
    else if (type === 'funding') held.swapUsdt += size;
    else {
      held.spotUsdt -= 1000 * size;
      held.swapUsdt += 1000 * size;
    }
  }
  return held;
}

function recordOf({ type, atMs, size }: Happening, id: number): BookRecord {
  const common = { id: `e${id}`, timeMs: FULL + atMs };
  const amount = String(1000 * size);
  const moved = { ...common, currency: 'USDT', amount };
  if (type === 'deposit') return flow({ ...moved, type, direction: 'in' });
  if (type === 'withdrawal') return flow({ ...moved, type, direction: 'out' });
  if (type === 'move') {
    return flow({ ...moved, type: 'transfer_out', direction: 'out', from: 'spot', to: 'swap' });
  }
  if (type === 'funding') return funding({ ...common, amount: String(size) });
  if (type === 'long' || type === 'short') {
    const side = type === 'long' ? 'buy' : 'sell';
    return linear({ ...common, side, price: '50000', amount: String(size) });
  }
  return spot({ ...common, side: type, price: '50000', amount: String(size / 10) });
}

function seenIn(list: readonly Happening[], { beginsMs, tookMs, read }: Asking): Observation {
  const fromMs = FULL + beginsMs;
  const [a, b, c] = read.map((part) => heldAt(list, fromMs + Math.floor((tookMs * part) / 1000)));
  const contracts = c?.contracts ?? 0;
  const side = contracts < 0 ? ('short' as const) : ('long' as const);
  return {
    fromMs,
    atMs: fromMs + tookMs,
    balances: [
      balance('USDT', String(a?.spotUsdt ?? 0)),
      balance('BTC', String((a?.tenthsOfBtc ?? 0) / 10)),
      balance('USDT', String(b?.swapUsdt ?? 0), 'swap'),
    ],
    positions:
      contracts === 0
        ? []
        : [position({ side, contracts: String(Math.abs(contracts)), entry: '50000' })],
  };
}

const part = fc.integer({ min: 0, max: 1000 });
const asking = fc.record({
  beginsMs: fc.integer({ min: -70_000, max: 3000 }),
  tookMs: fc.integer({ min: 0, max: 90_000 }),
  read: fc.tuple(part, part, part),
});
const happenings = fc.array(
  fc.record({
    type: fc.constantFrom(...TYPES),
    atMs: fc.integer({ min: -90_000, max: 90_000 }),
    size: fc.integer({ min: 1, max: 9 }),
  }),
  { minLength: 1, maxLength: 6 },
);

const start: Asking = { beginsMs: -50 * MINUTE_MS, tookMs: 0, read: [0, 0, 0] };

/** Empty: each hour has a return of zero or what funding has made, nothing unexplained, and the end is what is there. */
function wrongIn(figures: readonly HourFigures[], list: readonly Happening[]): readonly unknown[] {
  const { spotUsdt, swapUsdt, tenthsOfBtc } = heldAt(list, FULL + HOUR_MS);
  const worth = String(spotUsdt + swapUsdt + tenthsOfBtc * 5000);
  const end = text(figures.at(-1)?.equityEnd ?? null);
  const isPaid = list.some(({ type }) => type === 'funding');
  const wrong = figures.filter((hour) => {
    const ratio = Number(hourReturn(hour).ratio ?? Number.NaN);
    const isRight = isPaid ? ratio >= 0 && ratio < 0.001 : ratio === 0;
    return !isRight || (hour.residual ?? 0n) !== 0n || hour.status === 'beyond';
  });
  return end === worth ? wrong : [...wrong, { end, worth }];
}

describe('a poll that is under way when the hour ends', () => {
  it('tells no loss, no gain and no gap, whatever happens before, in and after it', () => {
    fc.assert(
      fc.property(happenings, asking, (list, asked) => {
        const book = new AccountBook(OPTIONS);
        book.observe(seenIn(list, start));
        for (const [at, one] of list.entries()) book.apply(recordOf(one, at));
        book.observe(seenIn(list, asked));
        const figures = [T0, FULL].map((startMs) => book.closeHour(startMs, table, COVERED));
        expect(wrongIn(figures, list)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('nor where some of it is told when the hours are closed, one after the other, with a restart', () => {
    const late = fc.array(fc.boolean(), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(happenings, asking, late, fc.boolean(), (list, asked, isLate, again) => {
        let book: AccountBook = new AccountBook(OPTIONS);
        const figures = new Map<number, HourFigures>();
        const closeAt = (startMs: number): void => {
          figures.set(startMs, book.closeHour(startMs, table, COVERED));
        };
        const told = (when: boolean): void => {
          for (const [at, one] of list.entries()) {
            if ((isLate[at] ?? false) !== when) continue;
            const record = recordOf(one, at);
            if (book.apply(record) !== 'late') continue;
            for (const startMs of book.reopen(hourStart(record.timeMs)) ?? []) closeAt(startMs);
          }
        };
        book.observe(seenIn(list, start));
        told(false);
        book.observe(seenIn(list, asked));
        closeAt(T0);
        closeAt(FULL);
        told(true);
        if (again) {
          const parsed = AccountBook.parse(book.encode(), OPTIONS);
          if (parsed === null) throw new Error('a state that cannot be read');
          book = parsed;
        }
        const last = { beginsMs: 100 * MINUTE_MS, tookMs: 0, read: [0, 0, 0] } as const;
        book.observe(seenIn(list, last));
        closeAt(FULL + HOUR_MS);
        const closed = [...figures].sort(([a], [b]) => a - b).map(([, hour]) => hour);
        expect(wrongIn(closed, list)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('tells what is really missing, to the last cent', () => {
    // What is as small as the difference itself may have been told already.
    const large = happenings.map((list) => list.filter(({ type }) => type !== 'funding'));
    fc.assert(
      fc.property(large, asking, fc.integer({ min: 1, max: 99 }), (list, asked, cents) => {
        const book = new AccountBook(OPTIONS);
        book.observe(seenIn(list, start));
        for (const [at, one] of list.entries()) book.apply(recordOf(one, at));
        const seen = seenIn(list, { ...asked, read: [500, 500, 500] });
        const lost = `${-7}.${String(cents).padStart(2, '0')}`;
        book.observe({ ...seen, balances: [...seen.balances, balance('USDT', lost, 'other')] });
        const figures = [T0, FULL].map((startMs) => book.closeHour(startMs, table, COVERED));
        const residuals = figures.map(({ residual }) => residual ?? 0n);
        expect(Number(residuals[0]) + Number(residuals[1])).toBe(Number(lost) * 1e18);
      }),
      { numRuns: 200 },
    );
  });
});

function hourStart(timeMs: number): number {
  return timeMs - (timeMs % HOUR_MS);
}

describe('the poll that a book begins with', () => {
  it('is the first one in which nothing happened, so that nothing is counted twice', () => {
    fc.assert(
      fc.property(happenings, asking, (list, asked) => {
        const book = new AccountBook(OPTIONS);
        book.observe(seenIn(list, asked));
        for (const [at, one] of list.entries()) book.apply(recordOf(one, at));
        book.observe(seenIn(list, { beginsMs: 30 * MINUTE_MS, tookMs: 0, read: [0, 0, 0] }));
        const hours: HourFigures[] = [];
        while ((book.nextHourMs ?? 0) <= FULL) {
          hours.push(book.closeHour(book.nextHourMs ?? 0, table, COVERED));
        }
        expect(wrongIn(hours, list)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a deposit that comes while the venue is asked', () => {
  it('and was told as on its way is counted once, whether the poll saw it or not', () => {
    const facts = { type: 'deposit', direction: 'in', currency: 'USDT', amount: '1000' } as const;
    const told = { ...facts, id: 'slow', timeMs: FULL - 10 * MINUTE_MS };
    for (const total of ['1000', '2000']) {
      const book = new AccountBook(OPTIONS);
      book.observe(observation(T0, [balance('USDT', '1000')]));
      book.apply(flow({ ...told, status: 'pending' }));
      const seen = { fromMs: FULL - 20_000, atMs: FULL - 1, positions: [] };
      book.observe({ ...seen, balances: [balance('USDT', total)] });
      book.apply(flow({ ...told, status: 'ok' }));
      book.observe(observation(FULL + 30 * MINUTE_MS, [balance('USDT', '2000')]));
      const hours = [T0, FULL].map((startMs) => book.closeHour(startMs, table, COVERED));
      expect(hours.map(({ residual }) => residual)).toEqual([0n, 0n]);
      expect(hours.map((hour) => hourReturn(hour).ratio)).toEqual(['0', '0']);
    }
  });
});
