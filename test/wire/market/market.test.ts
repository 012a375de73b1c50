import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchBuilder } from '../../../wire/market/batch-builder.ts';
import type { Batch } from '../../../wire/batch.ts';
import { parseBatch, ROW } from '../../../wire/batch.ts';
import type { SequenceRule } from '../../../wire/configuration.ts';
import type { BookSide } from '../../../wire/market/book-side.ts';
import { Market } from '../../../wire/market/market.ts';
import type { OrderBook } from '../../../wire/market/order-book.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { Depth } from './depth.ts';
import { batchOf, instrument, Venue, WHOLE } from './depth.ts';

const RULES: readonly SequenceRule[] = ['binance-spot', 'binance-futures', 'none'];

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

function book(of: Market, id = 1): OrderBook {
  const traded = of.of(id);
  if (traded === null) throw new Error('no such instrument');
  return traded.book;
}

function bestOf(sequence: number, stream = 1): Batch {
  const builder = new BatchBuilder(stream);
  for (const side of [1, 2]) {
    builder.addRow({
      instrument: 1,
      kind: ROW.best,
      side,
      exchangeTimeNs: null,
      receiveTimeNs: 1n,
      price: 99 + side,
      quantity: 5,
      id: 7,
    });
  }
  return assertAccepted(parseBatch(builder.encode(sequence, 1n)));
}

const BOOK: Depth = {
  snapshot: true,
  ids: [10, 10],
  levels: [
    [1, 99, 5],
    [2, 101, 5],
  ],
};
const NEXT: Depth = { ids: [11, 11, 10], levels: [[1, 98, 1]] };
const AGAIN: Depth = {
  snapshot: true,
  ids: [20, 20],
  levels: [
    [1, 97, 5],
    [2, 102, 5],
  ],
};

describe.each(RULES)('a market of rule %s', (rule) => {
  const market = (): Market => new Market([instrument(1, rule), instrument(2, rule)]);
  it('has no book from missing batches to the next snapshot, even if the updates would fit', () => {
    const of = market();
    of.apply(batchOf([BOOK], [], { sequence: 0 }));
    of.apply(batchOf([], [{ id: 5 }], { sequence: 1 }));
    expect(book(of).valid).toBe(true);
    of.apply(batchOf([], [{ id: 9 }], { sequence: 3 }));
    expect([book(of).valid, book(of).bids.levels, book(of).asks.levels]).toEqual([false, 0, 0]);
    of.apply(batchOf([NEXT], [], { sequence: 4 }));
    expect(book(of).valid).toBe(false);
    of.apply(batchOf([AGAIN], [], { sequence: 5 }));
    expect([book(of).valid, book(of).bestBid, book(of).bestAsk]).toEqual([true, 97, 102]);
    // Trades that were seen are facts.
    expect([of.of(1)?.trades, of.of(1)?.lastTrade?.id]).toEqual([2, 9]);
  });

  it('loses the quote with the book', () => {
    const of = market();
    of.apply(bestOf(0));
    expect(of.of(1)?.quote).toMatchObject({ bidPrice: 100, askPrice: 101, updateId: 7 });
    of.apply(batchOf([], [], { sequence: 2 }));
    expect(of.of(1)?.quote).toEqual({
      bidPrice: 0,
      bidQuantity: 0,
      askPrice: 0,
      askQuantity: 0,
      updateId: 0,
    });
  });

  it('loses what the stream has fed, and no more', () => {
    const of = market();
    of.apply(batchOf([BOOK], [], { stream: 1, sequence: 0 }));
    of.apply(batchOf([{ ...BOOK, instrument: 2 }], [], { stream: 2, sequence: 0 }));
    of.apply(batchOf([], [], { stream: 2, sequence: 2 }));
    expect([book(of, 1).valid, book(of, 2).valid]).toEqual([true, false]);
    of.apply(batchOf([], [], { stream: 1, sequence: 5 }));
    expect([book(of, 1).valid, book(of, 2).valid]).toEqual([false, false]);
  });

  it('takes a first batch that is not number 0, and repetitions, as no hole of its own', () => {
    const of = market();
    of.apply(batchOf([BOOK], [], { sequence: 3 }));
    of.apply(batchOf([], [], { sequence: 3 }));
    of.apply(batchOf([], [], { sequence: 4 }));
    expect(book(of).valid).toBe(true);
  });

  it('forgets parts and held updates from before the hole', () => {
    const of = market();
    // Parts of a snapshot whose end is missing, then a part that would continue it.
    of.apply(batchOf([{ ...BOOK, part: 2 }], [], { sequence: 0 }));
    of.apply(batchOf([{ ...BOOK, part: 4 }], [], { sequence: 2 }));
    expect(book(of).valid).toBe(false);
    of.apply(batchOf([{ ...BOOK, part: WHOLE }], [], { sequence: 3 }));
    expect(levelsOf(book(of)).size).toBe(2);
    // An update that waits for a snapshot, from before a hole, in which the one after it was lost.
    const held = market();
    held.apply(batchOf([NEXT], [], { sequence: 0 }));
    held.apply(batchOf([BOOK], [], { sequence: 2 }));
    expect(book(held).lastUpdateId).toBe(10);
  });

  it('shows the true book or none, whatever batches are missing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(1, 2), fc.integer({ min: 90, max: 110 }), fc.nat(3)), {
          minLength: 20,
          maxLength: 60,
        }),
        fc.array(fc.constantFrom('send', 'send', 'send', 'drop', 'snapshot'), {
          minLength: 10,
          maxLength: 40,
        }),
        (changes, steps) => {
          const venue = new Venue();
          const of = market();
          let [sequence, sent] = [0, 0];
          for (const step of steps) {
            const next = changes[venue.lastId];
            if (next === undefined) break;
            venue.add([next[0] === 1 ? 1 : 2, next[1], next[2]]);
            const id = venue.lastId;
            const depth = step === 'snapshot' ? venue.snapshot(id) : venue.update(sent + 1, id);
            const batch = batchOf([depth], [], { sequence: sequence++ });
            sent = id;
            if (step === 'drop') continue;
            of.apply(batch);
            const truth = book(of).valid ? venue.book(id) : new Map();
            expect(levelsOf(book(of))).toEqual(truth);
          }
        },
      ),
    );
  });
});
