import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OrderRequest, PaperOptions } from '../../../host-proxy/execution/paper-broker.ts';
import { PaperBroker } from '../../../host-proxy/execution/paper-broker.ts';
import type { MarketEvent } from '../../../wire/market/events.ts';
import { SIDE } from '../../../wire/payloads.ts';
import { parseBatch } from '../../../wire/batch.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { batchOf, depth, encodedBatches, MS, PLAIN, snapshot, trade } from './support.ts';

/** A broker whose events are lines: `id price x quantity @ms fee` and `id end @ms`. */
class Desk {
  readonly events: string[] = [];
  readonly broker: PaperBroker;

  constructor(options: Partial<PaperOptions> = {}) {
    this.broker = new PaperBroker(
      [PLAIN],
      { latencyMs: 0, takerFeePpm: 0, makerFeePpm: 0, slippageTicks: 0, ...options },
      {
        onFill: (id, { price, quantity, fee, timeNs }) => {
          const paid = fee === 0 ? '' : ` ${fee.toString()}`;
          this.events.push(
            `${id} ${price.toString()}x${quantity.toString()} @${ms(timeNs)}${paid}`,
          );
        },
        onEnd: (id, end, timeNs) => {
          this.events.push(`${id} ${end} @${ms(timeNs)}`);
        },
      },
    );
  }

  play(...events: MarketEvent[]): this {
    this.broker.apply(batchOf(...events));
    return this;
  }

  order(id: string, changes: Partial<OrderRequest> & { ttlMs?: number } = {}): this {
    const decisionNs = changes.decisionNs ?? this.broker.clockNs;
    this.broker.submit({
      clientOrderId: id,
      instrument: PLAIN.id,
      side: SIDE.buy,
      quantity: 10,
      limit: 101,
      decisionNs,
      expiresNs: decisionNs + BigInt(changes.ttlMs ?? 1000) * MS,
      ...changes,
    });
    return this;
  }

  settle(): this {
    this.broker.settle();
    return this;
  }

  take(): string[] {
    return this.events.splice(0);
  }
}

const ms = (timeNs: bigint): string => (timeNs / MS).toString();

const BOOK = snapshot(
  0,
  [
    [99, 5],
    [98, 5],
  ],
  [
    [101, 4],
    [102, 4],
    [103, 100],
  ],
);

const resting = (changes: Parameters<Desk['order']>[1] = {}): Desk =>
  new Desk({ makerFeePpm: 500 })
    .play(BOOK)
    .order('a', { limit: 100, ...changes })
    .settle();

describe('paper broker, taking', () => {
  it('takes levels up to the limit, the rest waits', () => {
    const desk = new Desk().play(BOOK).order('a', { limit: 102 }).settle();
    expect(desk.take()).toEqual(['a 101x4 @0', 'a 102x4 @0']);
    expect(desk.broker.openOrders).toBe(1);
    expect(desk.broker.openQuantity(PLAIN.id, SIDE.buy)).toBe(2n);
    expect(desk.broker.openQuantity(PLAIN.id, SIDE.sell)).toBe(0n);
  });

  it('sells into bids', () => {
    const desk = new Desk()
      .play(BOOK)
      .order('a', { side: SIDE.sell, limit: 98, quantity: 7 })
      .settle();
    expect(desk.take()).toEqual(['a 99x5 @0', 'a 98x2 @0', 'a filled @0']);
  });

  it('does not take beyond the limit', () => {
    const desk = new Desk().play(BOOK).order('a', { limit: 100 });
    desk.order('b', { side: SIDE.sell, limit: 100 }).settle();
    expect(desk.take()).toEqual([]);
  });

  it('does not take the same quantity twice until the venue reports the level again', () => {
    const desk = new Desk()
      .play(BOOK)
      .order('a', { quantity: 3 })
      .order('b', { quantity: 3 })
      .settle();
    expect(desk.take()).toEqual(['a 101x3 @0', 'a filled @0', 'b 101x1 @0']);
    desk
      .play(depth(10, [], [[102, 9]]))
      .order('c', { limit: 102, quantity: 12 })
      .settle();
    expect(desk.take()).toEqual(['c 102x9 @10']);
    desk.play(depth(20, [], [[101, 6]]));
    expect(desk.take()).toEqual(['b 101x2 @20', 'b filled @20', 'c 102x3 @20', 'c filled @20']);
  });

  it('is worse by the slippage, within the limit', () => {
    const desk = new Desk({ slippageTicks: 1 }).play(BOOK);
    desk.order('a', { limit: 102 }).settle();
    expect(desk.take()).toEqual(['a 102x4 @0']);
    desk.order('b', { side: SIDE.sell, limit: 97 }).settle();
    expect(desk.take()).toEqual(['b 98x5 @0', 'b 97x5 @0', 'b filled @0']);
  });

  it('charges fees in millionths, rounded up', () => {
    const desk = new Desk({ takerFeePpm: 1000 }).play(BOOK).order('a', { quantity: 3 }).settle();
    expect(desk.take()).toEqual(['a 101x3 @0 30300000', 'a filled @0']);
  });

  it('has nothing to take without a book', () => {
    const desk = new Desk().order('a').settle();
    expect(desk.take()).toEqual([]);
    desk.play(BOOK);
    expect(desk.take()).toEqual(['a 101x4 @0']);
  });
});

describe('paper broker, event time', () => {
  it('meets the book as it is after the latency', () => {
    const desk = new Desk({ latencyMs: 10 })
      .play(BOOK)
      .order('a', { quantity: 4, limit: 103 })
      .settle();
    expect(desk.take()).toEqual([]);
    // At 10 ms itself the event of 10 ms comes first.
    desk.play(depth(9, [], [[101, 0]]), depth(10, [], [[102, 1]]), depth(11, [], [[102, 100]]));
    expect(desk.take()).toEqual(['a 102x1 @10', 'a 103x3 @10', 'a filled @10']);
  });

  it('arrives at the end of a batch that reaches its time', () => {
    const desk = new Desk({ latencyMs: 10 }).play(BOOK).order('a', { quantity: 1 }).settle();
    desk.play(trade(10, 101, 1));
    expect(desk.take()).toEqual(['a 101x1 @10', 'a filled @10']);
  });

  it.each([
    [10, 11, ['a 101x4 @10', 'a expired @11']],
    [10, 10, ['a expired @10']],
    [10, 9, ['a expired @9']],
  ])('latency %i ms, time to live %i ms', (latencyMs, ttlMs, expected) => {
    const desk = new Desk({ latencyMs }).play(BOOK).order('a', { ttlMs }).settle();
    desk.play(trade(50, 101, 1));
    expect(desk.take()).toEqual(expected);
  });

  it('does not go back with a clock that does', () => {
    const desk = new Desk({ latencyMs: 5 }).play(BOOK, trade(100, 101, 1));
    desk.order('a', { quantity: 1 }).settle();
    desk.play(trade(50, 101, 1), trade(104, 101, 1));
    expect(desk.take()).toEqual([]);
    desk.play(trade(105, 101, 1));
    expect(desk.take()).toEqual(['a 101x1 @105', 'a filled @105']);
  });

  it('stamps fills with the clock, whatever the receive time', () => {
    const desk = new Desk()
      .play(BOOK, trade(100, 101, 1))
      .order('a', { limit: 100 })
      .settle();
    expect(desk.play(trade(50, 99, 1)).take()).toEqual(['a 100x1 @100']);
  });

  it('cancels all', () => {
    const desk = new Desk().play(BOOK).order('a', { limit: 50 }).order('b', { limit: 51 }).settle();
    desk.broker.cancelAll();
    expect(desk.take()).toEqual(['a cancelled @0', 'b cancelled @0']);
    expect(desk.play(trade(5000, 1, 1)).take()).toEqual([]);
  });
});

describe('paper broker, resting', () => {
  it.each([
    [101, []],
    [100, []],
    [99, ['a 100x3 @5 15000000']],
  ])('a bid at 100 when a trade prints at %i', (price, expected) => {
    expect(
      resting()
        .play(trade(5, price, 3))
        .take(),
    ).toEqual(expected);
  });

  it.each([
    [99, []],
    [100, []],
    [101, ['a 100x3 @5 15000000']],
  ])('an offer at 100 when a trade prints at %i', (price, expected) => {
    expect(
      resting({ side: SIDE.sell })
        .play(trade(5, price, 3))
        .take(),
    ).toEqual(expected);
  });

  it('shares the quantity of a trade between orders, the oldest first', () => {
    const desk = resting({ quantity: 2 }).order('b', { limit: 100 }).settle();
    expect(desk.play(trade(5, 99, 5)).take()).toEqual([
      'a 100x2 @5 10000000',
      'a filled @5',
      'b 100x3 @5 15000000',
    ]);
  });

  it('fills at the limit when the other side of the book reaches it', () => {
    const desk = resting();
    expect(
      desk
        .play(
          depth(
            5,
            [[99, 0]],
            [
              [100, 4],
              [99, 1],
            ],
          ),
        )
        .take(),
    ).toEqual(['a 100x1 @5 5000000', 'a 100x4 @5 20000000']);
    // The same levels do not fill again until they are reported again.
    expect(desk.play(depth(6, [[98, 7]], [])).take()).toEqual([]);
    expect(desk.play(depth(7, [], [[100, 4]])).take()).toEqual(['a 100x4 @7 20000000']);
  });

  it('does not meet events that came before it', () => {
    const desk = new Desk()
      .play(BOOK, trade(1, 90, 100))
      .order('a', { limit: 100 })
      .settle();
    expect(desk.take()).toEqual([]);
  });

  it('expires at its time, before later events', () => {
    const desk = resting({ ttlMs: 20 });
    expect(desk.play(trade(20, 99, 1), trade(21, 99, 1)).take()).toEqual([
      'a 100x1 @20 5000000',
      'a expired @20',
    ]);
  });
});

/** Plays the batches but those with the numbers in `missing`; answers the middle after each. */
function playBut(
  desk: Desk,
  missing: readonly number[],
  ...lists: MarketEvent[][]
): (bigint | null)[] {
  return encodedBatches(lists)
    .filter(({ sequence }) => !missing.includes(sequence))
    .map(({ bytes }) => {
      desk.broker.apply(assertAccepted(parseBatch(bytes)));
      return desk.broker.mid(PLAIN.id);
    });
}

describe('paper broker, over a hole in the data', () => {
  it('has no book until the next snapshot, and fills nothing at the one from before', () => {
    const desk = new Desk({ latencyMs: 5 });
    const lists = [
      [BOOK],
      [depth(4, [], [[101, 0]]), depth(6, [], [[102, 0]])],
      [trade(10, 105, 9)],
      [depth(20, [], [[102, 1]])],
      [snapshot(30, [[95, 5]], [[100, 3]])],
    ];
    expect(playBut(desk, [1, 2, 3, 4], ...lists)).toEqual([200n]);
    // The order arrives at 5 ms, in the middle of what is missing.
    desk.order('a', { limit: 102, quantity: 4, decisionNs: 0n });
    expect(playBut(desk, [0, 1], ...lists)).toEqual([null, null, 195n]);
    expect(desk.take()).toEqual(['a 102x3 @30']);
  });

  it('fills a resting order by what it sees, expires it, and forgets what it took before', () => {
    const desk = new Desk();
    playBut(desk, [], [BOOK]);
    desk.order('a', { limit: 101, quantity: 4 }).order('b', { limit: 100, ttlMs: 25 }).settle();
    expect(desk.take()).toEqual(['a 101x4 @0', 'a filled @0']);
    const again = snapshot(20, [[99, 5]], [[101, 4]]);
    playBut(desk, [0, 1], [BOOK], [BOOK], [trade(10, 99, 2)], [again], [trade(30, 99, 2)]);
    expect(desk.take()).toEqual(['b 100x2 @10', 'b expired @25']);
    desk.order('c', { limit: 101, quantity: 4 }).settle();
    expect(desk.take()).toEqual(['c 101x4 @30', 'c filled @30']);
  });
});

describe('paper broker, always', () => {
  it('fills no order beyond its quantity, limit or time, and ends each once', () => {
    const price = fc.integer({ min: 95, max: 105 });
    const level = fc.tuple(price, fc.nat(20)).map(([p, q]): [number, number] => [p, q]);
    const event = fc.oneof(
      fc.tuple(fc.array(level, { maxLength: 3 }), fc.array(level, { maxLength: 3 })).map(
        ([bids, asks]) =>
          (timeMs: number) =>
            depth(timeMs, bids, asks),
      ),
      fc.tuple(price, fc.integer({ min: 1, max: 20 })).map(
        ([p, q]) =>
          (timeMs: number) =>
            trade(timeMs, p, q),
      ),
    );
    const step = fc.record({
      wait: fc.nat(20),
      events: fc.array(event, { minLength: 1, maxLength: 4 }),
      order: fc.option(
        fc.record({
          side: fc.constantFrom(SIDE.buy, SIDE.sell),
          quantity: fc.integer({ min: 1, max: 30 }),
          limit: price,
          ttlMs: fc.integer({ min: 1, max: 60 }),
        }),
      ),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), fc.nat(10), (steps, latencyMs) => {
        const requests = new Map<string, OrderRequest>();
        const filled = new Map<string, number>();
        const ended = new Set<string>();
        const broker = new PaperBroker(
          [PLAIN],
          { latencyMs, takerFeePpm: 10, makerFeePpm: 1, slippageTicks: 1 },
          {
            onFill: (id, fill) => {
              const request = requests.get(id);
              if (request === undefined || ended.has(id)) throw new Error('a fill out of place');
              const buyer = request.side === SIDE.buy;
              expect(buyer ? fill.price <= request.limit : fill.price >= request.limit).toBe(true);
              expect(fill.timeNs >= request.decisionNs + BigInt(latencyMs) * MS).toBe(true);
              expect(fill.timeNs <= request.expiresNs).toBe(true);
              filled.set(id, (filled.get(id) ?? 0) + fill.quantity);
            },
            onEnd: (id, end) => {
              expect(ended.has(id)).toBe(false);
              ended.add(id);
              const whole = filled.get(id) === requests.get(id)?.quantity;
              expect(end === 'filled').toBe(whole);
            },
          },
        );
        let now = 0;
        broker.apply(batchOf(BOOK));
        for (const [index, { wait, events, order }] of steps.entries()) {
          now += wait;
          broker.apply(batchOf(...events.map((make) => make(now))));
          if (order === null) continue;
          const decisionNs = broker.clockNs;
          const request: OrderRequest = {
            clientOrderId: index.toString(),
            instrument: PLAIN.id,
            decisionNs,
            expiresNs: decisionNs + BigInt(order.ttlMs) * MS,
            side: order.side,
            quantity: order.quantity,
            limit: order.limit,
          };
          requests.set(request.clientOrderId, request);
          broker.submit(request);
          broker.settle();
        }
        broker.apply(batchOf(trade(now + 10_000, 100, 1)));
        expect(broker.openOrders).toBe(0);
        expect(ended.size).toBe(requests.size);
        for (const [id, quantity] of filled) {
          expect(quantity).toBeLessThanOrEqual(requests.get(id)?.quantity ?? 0);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('throws for inverse contracts, whose notional is another', () => {
    const options = { latencyMs: 0, takerFeePpm: 0, makerFeePpm: 0, slippageTicks: 0 };
    const handlers = { onFill: () => {}, onEnd: () => {} };
    const inverse = { ...PLAIN, market: 'inverse' } as const;
    expect(() => new PaperBroker([inverse], options, handlers)).toThrow(RangeError);
  });
});
