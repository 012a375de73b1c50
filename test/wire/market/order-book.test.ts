import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SequenceRule } from '../../../wire/configuration.ts';
import type { BookSide } from '../../../wire/market/book-side.ts';
import { OrderBook } from '../../../wire/market/order-book.ts';
import { SequenceTracker } from '../../../wire/market/sequence.ts';
import type { Gap } from '../../../wire/payloads.ts';
import type { Depth, Level } from './depth.ts';
import { batchOf, instrument, Venue, WHOLE } from './depth.ts';

function levelsOf(book: OrderBook): Map<string, number> {
  const levels = new Map<string, number>();
  const read = (side: BookSide, name: string): void => {
    for (let depth = 0; depth < side.levels; depth++) {
      levels.set(`${name} ${(side.price(depth) ?? Number.NaN).toString()}`, side.quantity(depth));
    }
  };
  read(book.bids, '1');
  read(book.asks, '2');
  return levels;
}

/** Book and tracker over the same batches; they must agree after each. */
class Pair {
  readonly book: OrderBook;
  readonly tracker: SequenceTracker;
  readonly gaps: Gap[] = [];

  constructor(rule: SequenceRule) {
    this.book = new OrderBook(rule);
    this.tracker = new SequenceTracker([instrument(1, rule)]);
  }

  take(...depths: readonly Depth[]): this {
    for (const depth of depths) {
      const batch = batchOf([depth]);
      this.book.apply(batch, 0);
      const before = this.book.valid;
      this.gaps.push(...this.tracker.apply(batch));
      if (this.tracker.bookValid(1) !== before) throw new Error('book and tracker disagree');
      if (!before && levelsOf(this.book).size > 0) throw new Error('levels without a book');
    }
    return this;
  }

  get verdict(): unknown {
    const gaps = this.gaps.map(({ firstMissing, count }) => [firstMissing, count]);
    return this.book.valid ? [this.book.lastUpdateId, ...gaps] : ['none', ...gaps];
  }
}

const snapshot = (id: number, ...levels: Level[]): Depth => ({
  snapshot: true,
  ids: [id, id],
  levels,
});
const update = (first: number, last: number, previous = first - 1): Depth => ({
  ids: [first, last, previous],
});

const bid = (price: number): Level => [1, price, 1];
const part = (flags: number, ids: [number, number], ...levels: Level[]): Depth => ({
  ids,
  levels,
  part: flags,
});

describe('sequence rule binance-spot', () => {
  it.each<[string, Depth[], unknown]>([
    ['no book before the first snapshot', [update(1, 5)], ['none']],
    ['a snapshot alone', [snapshot(7)], [7]],
    ['U = S + 1', [snapshot(7), update(8, 9)], [9]],
    ['U < S + 1 < u', [snapshot(7), update(5, 9)], [9]],
    ['u = S + 1', [snapshot(7), update(5, 8)], [8]],
    ['u = S is skipped', [snapshot(7), update(5, 7)], [7]],
    ['U = S + 2 is a gap of one', [snapshot(7), update(9, 9)], ['none', [8, 1]]],
    ['kept updates, then the snapshot', [update(5, 7), update(8, 9), snapshot(7)], [9]],
    ['a snapshot in the middle of a kept update', [update(5, 7), update(8, 9), snapshot(6)], [9]],
    ['a snapshot older than the kept updates', [update(9, 9), snapshot(7)], ['none', [8, 1]]],
    ['a hole in the kept updates', [update(8, 8), update(10, 11), snapshot(7)], ['none', [9, 1]]],
    [
      '… and a second snapshot behind it',
      [update(8, 8), update(10, 11), snapshot(7), snapshot(10)],
      [11, [9, 1]],
    ],
    ['each next follows', [snapshot(7), update(8, 9), update(10, 12)], [12]],
    ['a hole of three ids', [snapshot(7), update(8, 9), update(13, 14)], ['none', [10, 3]]],
    ['a repeated update', [snapshot(7), update(8, 9), update(8, 9)], ['none', [10, null]]],
    [
      'an overlap after the first',
      [snapshot(7), update(8, 9), update(9, 11)],
      ['none', [10, null]],
    ],
    [
      'one gap, however long it lasts',
      [snapshot(7), update(9, 9), update(20, 20)],
      ['none', [8, 1]],
    ],
    [
      'a newer snapshot in between',
      [snapshot(7), update(8, 9), snapshot(12), update(10, 14)],
      [14],
    ],
    [
      'an older snapshot in between',
      [snapshot(7), update(8, 9), snapshot(8), update(10, 14)],
      [14],
    ],
  ])('%s', (_, depths, verdict) => {
    expect(new Pair('binance-spot').take(...depths).verdict).toEqual(verdict);
  });
});

describe('sequence rule binance-futures', () => {
  it.each<[string, Depth[], unknown]>([
    ['u < S is skipped', [snapshot(7), update(3, 6, 2)], [7]],
    ['u = S', [snapshot(7), update(5, 7, 2)], [7]],
    ['U = S', [snapshot(7), update(7, 11, 6)], [11]],
    ['pu = S: the snapshot is between two events', [snapshot(7), update(9, 11, 7)], [11]],
    ['U > S and another pu', [snapshot(7), update(8, 11, 6)], ['none', [8, null]]],
    ['each next has pu = u', [snapshot(7), update(5, 9, 4), update(15, 20, 9)], [20]],
    ['pu ≠ u', [snapshot(7), update(5, 9, 4), update(10, 20, 8)], ['none', [10, null]]],
    ['kept updates', [update(5, 9, 4), update(15, 20, 9), snapshot(7)], [20]],
  ])('%s', (_, depths, verdict) => {
    expect(new Pair('binance-futures').take(...depths).verdict).toEqual(verdict);
  });
});

describe('an update that ends at the snapshot', () => {
  it.each<[SequenceRule, number | null]>([
    ['binance-spot', null],
    ['binance-futures', 5],
  ])('under %s leaves a best bid of %s', (rule, best) => {
    const pair = new Pair(rule).take(snapshot(7), { ...update(6, 7), levels: [[1, 5, 1]] });
    expect(pair.book.bestBid).toBe(best);
  });
});

describe('sequence rule none', () => {
  it.each<[string, Depth[], unknown]>([
    ['updates before a snapshot are not kept', [update(1, 2), snapshot(0)], [0]],
    ['updates as they come', [snapshot(0), update(5, 9), update(2, 3)], [3]],
  ])('%s', (_, depths, verdict) => {
    expect(new Pair('none').take(...depths).verdict).toEqual(verdict);
  });
});

describe('events in parts', () => {
  it('applies an event when its last part is there', () => {
    const pair = new Pair('binance-spot').take(snapshot(7), part(2, [8, 9], bid(10)));
    expect(pair.book.bestBid).toBe(null);
    pair.take(part(0, [8, 9], bid(11)), part(4, [8, 9], bid(12)));
    expect(pair.book.bids.levels).toBe(3);
    expect(pair.verdict).toEqual([9]);
  });

  it('keeps a snapshot in parts, and updates in parts before it', () => {
    const pair = new Pair('binance-spot').take(
      part(2, [8, 9], bid(20)),
      part(4, [8, 9], bid(21)),
      { ...snapshot(7, bid(10)), part: 2 },
      { ...snapshot(7, bid(11)), part: 4 },
    );
    expect(pair.book.bids.levels).toBe(4);
    expect(pair.book.bestBid).toBe(21);
  });

  it.each<[string, Depth]>([
    ['another event begins', part(WHOLE, [10, 11])],
    ['the next part has another id', part(4, [8, 10])],
    ['the next part is of a snapshot', { ...snapshot(8), part: 4 }],
  ])('is a gap when %s before the last part', (_, next) => {
    const pair = new Pair('binance-spot').take(snapshot(7, bid(1)), part(2, [8, 9]), next);
    expect(pair.verdict).toEqual(['none', [8, null]]);
  });

  it('is a gap when a part comes without its first', () => {
    const pair = new Pair('binance-spot').take(snapshot(7, bid(1)), part(4, [8, 9]));
    expect(pair.verdict).toEqual(['none', [8, null]]);
  });

  it.each([
    [16_384, [9]],
    [16_385, ['none', [8, null]]],
  ])('an event of %i rows in all', (rows, verdict) => {
    const pair = new Pair('binance-spot').take(snapshot(7));
    for (let left = rows; left > 0; left -= 1024) {
      const levels = Array.from({ length: Math.min(left, 1024) }, (_, price) => bid(left + price));
      const flags = (left === rows ? 2 : 0) | (left <= 1024 ? 4 : 0);
      pair.take(part(flags, [8, 9], ...levels));
    }
    expect(pair.verdict).toEqual(verdict);
  });
});

describe('what is kept before a snapshot', () => {
  it.each([
    [1000, [1000]],
    [1001, ['none', [1, 1]]],
  ])('%i events', (events, verdict) => {
    const pair = new Pair('binance-spot');
    for (let id = 1; id <= events; id++) pair.take(update(id, id));
    pair.take(snapshot(0));
    expect(pair.verdict).toEqual(verdict);
  });

  it('goes with its levels, the oldest first', () => {
    const venue = new Venue();
    const pair = new Pair('binance-spot');
    for (let id = 1; id <= 1005; id++) {
      venue.add([1, id, id]);
      pair.take(venue.update(id, id));
    }
    pair.take({ ...venue.snapshot(5), part: WHOLE });
    expect(pair.verdict).toEqual([1005]);
    expect(levelsOf(pair.book)).toEqual(venue.book(1005));
  });

  it.each([
    [64, 1024, [64]],
    [65, 1024, ['none', [1, 1]]],
  ])('%i events of %i rows', (events, rows, verdict) => {
    const levels = Array.from({ length: rows }, (_, price): Level => [1, price, 1]);
    const pair = new Pair('binance-spot');
    for (let id = 1; id <= events; id++) pair.take({ ...update(id, id), levels });
    pair.take(snapshot(0));
    expect(pair.verdict).toEqual(verdict);
  });
});

describe('order book', () => {
  it('has the highest bid and the lowest ask at depth 0, and removes levels', () => {
    const levels: Level[] = [
      [1, 5, 1],
      [1, 7, 2],
      [1, 6, 3],
      [2, 9, 4],
      [2, 8, 5],
      [2, 0, 6],
    ];
    const { book } = new Pair('none').take(snapshot(1, ...levels));
    expect([book.bestBid, book.bids.quantity(0)]).toEqual([7, 2]);
    expect([book.bids.price(2), book.bids.price(3), book.bids.price(-1)]).toEqual([5, null, null]);
    expect(book.bestAsk).toBe(0);
    book.apply(
      batchOf([
        {
          ids: [2, 2],
          levels: [
            [2, 0, 0],
            [1, 7, 0],
            [1, 1, 0],
            [2, 8, 9],
          ],
        },
      ]),
      0,
    );
    expect([book.bestBid, book.bestAsk, book.asks.quantityAt(8)]).toEqual([6, 8, 9]);
    expect([book.bids.quantityAt(7), book.bids.quantity(9)]).toEqual([0, 0]);
  });

  it('forgets the farthest levels beyond its maximum', () => {
    const { book } = new Pair('none').take(snapshot(1));
    const total = 65_536 + 2;
    for (let start = 0; start < total; start += 1000) {
      const length = Math.min(1000, total - start);
      const levels = Array.from({ length }, (_, index): Level => [2, start + index, 1]);
      book.apply(batchOf([{ ids: [1, 1], levels }]), 0);
    }
    expect(book.asks.levels).toBe(65_536);
    expect(book.asks.price(65_535)).toBe(65_535);
    book.apply(batchOf([{ ids: [1, 1], levels: [[2, -1, 1]] }]), 0);
    expect([book.bestAsk, book.asks.price(65_535)]).toEqual([-1, 65_534]);
  });

  const level = fc.tuple(
    fc.constantFrom<1 | 2>(1, 2),
    fc.integer({ min: 1, max: 30 }),
    fc.constantFrom(0, 1, 2, 3),
  );
  const step = fc.record({
    changes: fc.array(level, { minLength: 1, maxLength: 5 }),
    fate: fc.constantFrom('sent', 'sent', 'sent', 'sent', 'lost', 'snapshot', 'parts'),
    delay: fc.nat(12),
  });

  it.each<SequenceRule>(['binance-spot', 'binance-futures'])(
    'under %s is the true book at its update id whenever there is a book, and agrees with the tracker',
    (rule) => {
      let books = 0;
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const venue = new Venue();
          const pair = new Pair(rule);
          for (const { changes, fate, delay } of steps) {
            const before = venue.lastId;
            for (const change of changes) venue.add(change);
            const event = venue.update(before + 1, venue.lastId);
            const levels = event.levels ?? [];
            if (fate === 'parts') {
              pair.take({ ...event, levels: levels.slice(0, 1), part: 2 });
              pair.take({ ...event, levels: levels.slice(1), part: 4 });
            } else if (fate !== 'lost') pair.take(event);
            if (fate === 'snapshot') pair.take(venue.snapshot(Math.max(0, venue.lastId - delay)));
            if (!pair.book.valid) continue;
            books++;
            expect(levelsOf(pair.book)).toEqual(venue.book(pair.book.lastUpdateId));
          }
        }),
        { numRuns: 300 },
      );
      expect(books).toBeGreaterThan(100);
    },
  );

  it('agrees with the tracker whatever the groups are, and never throws', () => {
    const id = fc.oneof(fc.nat(6), fc.constantFrom(Number.MAX_SAFE_INTEGER, 2 ** 52));
    const group = fc.record({
      snapshot: fc.boolean(),
      a: id,
      b: id,
      previous: fc.oneof(id, fc.constant(-1)),
      part: fc.constantFrom(0, 2, 4, 6, 6, 6),
      levels: fc.array(level, { maxLength: 3 }),
    });
    const rules = fc.constantFrom<SequenceRule>('binance-spot', 'binance-futures', 'none');
    fc.assert(
      fc.property(rules, fc.array(group, { maxLength: 30 }), (rule, groups) => {
        const pair = new Pair(rule);
        for (const { snapshot: isSnapshot, a, b, previous, part, levels } of groups) {
          const [first, last] = isSnapshot ? [a, a] : [Math.min(a, b), Math.max(a, b)];
          const ids = [first, last, isSnapshot ? -1 : previous] as const;
          pair.take({ snapshot: isSnapshot, ids, levels, part });
        }
        for (const gap of pair.gaps) expect(Number.isSafeInteger(gap.firstMissing)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
