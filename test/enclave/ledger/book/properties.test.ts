import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fill } from '../../../../enclave/connector/records.ts';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type { BookRecord, Observation } from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import type { Fixed } from '../../../../wire/fixed.ts';
import { absolute, formatFixed, toFixed } from '../../../../wire/fixed.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { close, fx, observation, T0, tell, unexplained } from './helpers.ts';
import type { Action } from './story.ts';
import { actions, END_MS, play, PRICES, STORY_HOURS, Venue } from './story.ts';

const RUNS = { numRuns: 150 };
const table = PriceTable.of(PRICES);
const options = { pricedIn: 'USDT' };

function opening(): Observation {
  const venue = new Venue();
  return observation(T0, venue.balances());
}

function told(
  records: readonly BookRecord[],
  observations: readonly Observation[] = [],
): readonly HourFigures[] {
  return tell({ opening: opening(), records, observations, prices: PRICES, hours: STORY_HOURS })
    .figures;
}

/** A venue's books at the end of the story, as a poll tells them. */
function last(list: readonly Action[]): Observation {
  const { venue } = play(list);
  return observation(END_MS - 1, venue.balances(), venue.positions());
}

function isNear(a: Fixed | null, b: Fixed | null): boolean {
  // Inverse contracts do not divide evenly: the venue rounds each of them, and the book each deal.
  return a !== null && b !== null && absolute(a - b) < fx('0.000000001');
}

describe('properties of the book', () => {
  it('equity is what the venue has, whatever happened', () => {
    fc.assert(
      fc.property(actions, (list) => {
        const figures = told(play(list).records);
        for (const [at, { equityEnd }] of figures.entries()) {
          const minute = (at + 1) * 60;
          const expected = play(list, minute).venue.equity(minute);
          expect(isNear(equityEnd, expected), `${equityEnd} ${expected}`).toBe(true);
        }
      }),
      RUNS,
    );
  });

  it('every change of equity is explained, to the last digit', () => {
    fc.assert(
      fc.property(actions, fc.boolean(), (list, isWrong) => {
        const seen = last(list);
        const lie = { ...seen, balances: seen.balances.slice(1) };
        const figures = told(play(list).records, [isWrong ? lie : seen]);
        expect(figures.map(unexplained)).toEqual(figures.map(() => 0n));
        expect(figures.at(-1)?.status).toBe(isWrong ? 'beyond' : 'reconciled');
        expect(isNear(figures.at(-1)?.residual ?? null, 0n)).toBe(!isWrong);
      }),
      RUNS,
    );
  });

  it('what is missing shows as the residual', () => {
    fc.assert(
      fc.property(actions, fc.nat(), (list, seed) => {
        const { records } = play(list);
        const hidden = seed % records.length;
        const seen = last(list);
        const figures = told(
          records.filter((_, at) => at !== hidden),
          [seen],
        );
        expect(figures.at(-1)?.status).toBe('beyond');
        expect(figures.map(unexplained)).toEqual(figures.map(() => 0n));
        // The residual brings the book to where the venue is.
        const whole = told(records, [seen]);
        expect(isNear(figures.at(-1)?.equityEnd ?? null, whole.at(-1)?.equityEnd ?? null)).toBe(
          true,
        );
      }),
      RUNS,
    );
  });

  it('a fill in parts changes nothing but the number of trades', () => {
    fc.assert(
      fc.property(actions, (list) => {
        const { records } = play(list);
        const seen = last(list);
        const parts = records.flatMap((record): readonly BookRecord[] =>
          record.kind === 'fill' && record.contractSize !== '100' ? halves(record) : [record],
        );
        const [whole, split] = [told(records, [seen]), told(parts, [seen])];
        expect(split.map(withoutCounts)).toEqual(whole.map(withoutCounts));
      }),
      RUNS,
    );
  });

  it('a poll that is told again changes nothing', () => {
    fc.assert(
      fc.property(actions, fc.integer({ min: 0, max: STORY_HOURS }), (list, closed) => {
        const { records } = play(list);
        const [once, again] = [new AccountBook(options), new AccountBook(options)];
        for (const book of [once, again]) {
          book.observe(opening());
          for (const record of records) expect(book.apply(record)).toBe('new');
          close(book, table, closed);
        }
        for (const record of records) expect(again.apply(record)).toBe('repeated');
        expect(again.encode()).toEqual(once.encode());
        const rest = STORY_HOURS - closed;
        expect(close(again, table, rest)).toEqual(close(once, table, rest));
      }),
      RUNS,
    );
  });

  it('the order in which records come does not matter', () => {
    fc.assert(
      fc.property(actions, fc.array(fc.nat(), { minLength: 40, maxLength: 40 }), (list, keys) => {
        const { records } = play(list);
        const shuffled = records
          .map((record, at) => ({ record, key: keys[at] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ record }) => record);
        expect(told(shuffled)).toEqual(told(records));
      }),
      RUNS,
    );
  });

  it('late data, once its hours are closed again, leaves what it would have been', () => {
    fc.assert(
      fc.property(actions, fc.nat(), (list, seed) => {
        const { records } = play(list);
        const late = records[seed % records.length];
        const book = new AccountBook(options);
        book.observe(opening());
        for (const record of records) if (record !== late) book.apply(record);
        const before = close(book, table, STORY_HOURS);
        if (late === undefined) return;
        expect(book.apply(late)).toBe('late');
        const hour = late.timeMs - (late.timeMs % 3_600_000);
        const hours = book.reopen(hour) ?? [];
        const after = [
          ...before.slice(0, STORY_HOURS - hours.length),
          ...hours.map((startMs) =>
            book.closeHour(startMs, table, { polls: 12, complete: true, gaps: [] }),
          ),
        ];
        expect(hours.at(0)).toBe(hour);
        expect(after).toEqual(told(records));
      }),
      RUNS,
    );
  });

  it('a restart goes on with the same digits', () => {
    fc.assert(
      fc.property(actions, fc.integer({ min: 0, max: STORY_HOURS }), (list, closed) => {
        const book = new AccountBook(options);
        book.observe(opening());
        for (const record of play(list).records) book.apply(record);
        close(book, table, closed);
        const bytes = book.encode();
        const back = AccountBook.parse(bytes, options);
        expect(back?.encode()).toEqual(bytes);
        if (back === null) return;
        const floorMs = back.floorMs ?? 0;
        for (const record of play(list).records) {
          // Of a flow that it has by no more than its id, what is stored says whether it is news.
          const isSettled = record.kind === 'flow' && record.timeMs < floorMs;
          expect(back.apply(record)).toBe(isSettled ? 'settled' : 'repeated');
        }
        const rest = STORY_HOURS - closed;
        expect(close(back, table, rest)).toEqual(close(book, table, rest));
      }),
      RUNS,
    );
  });

  it('worked out backwards it is the same', () => {
    fc.assert(
      fc.property(actions, (list) => {
        const { records } = play(list);
        const first = Math.min(...records.map(({ timeMs }) => timeMs));
        const hours = STORY_HOURS - Math.floor((first - T0) / 3_600_000);
        const back = tell({ opening: last(list), records, prices: PRICES, hours }).figures;
        const forth = told(records).slice(-hours);
        for (const [at, hour] of forth.entries()) {
          const other = back[at];
          expect(other?.rebuilt).toBe(true);
          for (const name of [
            'equityStart',
            'equityEnd',
            'inflow',
            'outflow',
            'fees',
            'funding',
            'income',
          ] as const) {
            expect(isNear(other?.[name] ?? null, hour[name]), name).toBe(true);
          }
        }
        expect(back.at(-1)?.status).toBe('reconciled');
        expect(back.map(unexplained)).toEqual(back.map(() => 0n));
      }),
      RUNS,
    );
  });

  it('a deposit of money changes the value by itself and realises nothing', () => {
    fc.assert(
      fc.property(actions, fc.integer({ min: 1, max: 239 }), (list, minute) => {
        const { records } = play(list);
        const deposit = { type: 'deposit', minute, size: 9, fee: 0 } as const;
        const more = play([...list, deposit]).records;
        const [without, within] = [told(records), told(more)];
        expect(sum(within, 'outflow')).toBe(sum(without, 'outflow'));
        expect(sum(within, 'inflow') > sum(without, 'inflow')).toBe(true);
        for (const [at, figures] of within.entries()) {
          expect(figures.fees).toBe(without[at]?.fees);
          expect(figures.volume).toBe(without[at]?.volume);
          expect(figures.flows.every(({ equityBefore }) => equityBefore !== null)).toBe(true);
        }
      }),
      RUNS,
    );
  });
});

function sum(all: readonly HourFigures[], name: 'inflow' | 'outflow'): Fixed {
  return all.reduce((total, figures) => total + (figures[name] ?? 0n), 0n);
}

function halves(fill: Fill): readonly Fill[] {
  const amount = toFixed(fill.amount) ?? 0n;
  const first = (amount * 3n) / 10n;
  const part = (name: string, size: Fixed, share: bigint): Fill => ({
    ...fill,
    id: `${fill.id}${name}`,
    amount: formatFixed(size),
    fees: (fill.fees ?? []).map(({ currency, amount: fee }) => ({
      currency,
      amount: formatFixed(((toFixed(fee) ?? 0n) * share) / 10n),
    })),
    timeMs: fill.timeMs,
  });
  return [part('a', first, 3n), part('b', amount - first, 7n)];
}

function withoutCounts(figures: HourFigures): HourFigures {
  const byMarket = figures.byMarket.map((market) => ({ ...market, trades: 0 }));
  return { ...figures, trades: 0, byMarket };
}
