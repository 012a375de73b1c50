import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bars } from '../../../wire/market/bars.ts';
import { Market } from '../../../wire/market/market.ts';
import { batchOf, instrument } from './depth.ts';

const NS = 1_000_000n;

describe('bars', () => {
  it('are aligned to the epoch, skip empty intervals, and take a late trade into the open bar', () => {
    const bars = new Bars(1000);
    expect(bars.current).toBe(null);
    expect(bars.add(1999n * NS, 10, 1, true)).toBe(false);
    expect(bars.add(2000n * NS, 12, 2, false)).toBe(true);
    expect(bars.add(1500n * NS, 8, 3, true)).toBe(false);
    expect(bars.add(5000n * NS - 1n, 9, 1, true)).toBe(true);
    expect(bars.closed).toEqual([
      {
        startNs: 1000n * NS,
        open: 10,
        high: 10,
        low: 10,
        close: 10,
        volume: 1n,
        buyVolume: 1n,
        trades: 1,
      },
      {
        startNs: 2000n * NS,
        open: 12,
        high: 12,
        low: 8,
        close: 8,
        volume: 5n,
        buyVolume: 3n,
        trades: 2,
      },
    ]);
    expect(bars.current).toMatchObject({ startNs: 4000n * NS, open: 9 });
  });

  it('keeps as many as asked', () => {
    const bars = new Bars(1, 3);
    for (let time = 0n; time < 10n; time++) bars.add(time * NS, 1, 1, true);
    expect(bars.closed.map((bar) => bar.startNs / NS)).toEqual([6n, 7n, 8n]);
  });

  it.each([0, -1, 1.5, Number.NaN])('throws for an interval of %d', (interval) => {
    expect(() => new Bars(interval)).toThrow(RangeError);
  });

  it('agree with a plain computation, beyond 2^53 too', () => {
    const trade = fc.record({
      wait: fc.integer({ min: 0, max: 3000 }),
      price: fc.integer({ min: 1, max: 50 }),
      quantity: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    });
    fc.assert(
      fc.property(fc.array(trade, { minLength: 1, maxLength: 50 }), (trades) => {
        const bars = new Bars(1000);
        const byInterval = new Map<bigint, { price: number; quantity: number }[]>();
        let time = 0n;
        for (const { wait, price, quantity } of trades) {
          time += BigInt(wait) * NS;
          bars.add(time, price, quantity, true);
          const start = (time / (1000n * NS)) * 1000n * NS;
          byInterval.set(start, [...(byInterval.get(start) ?? []), { price, quantity }]);
        }
        const expected = [...byInterval].map(([startNs, inside]) => {
          const volume = inside.reduce((sum, { quantity }) => sum + BigInt(quantity), 0n);
          const prices = inside.map(({ price }) => price);
          return {
            startNs,
            open: prices[0],
            high: Math.max(...prices),
            low: Math.min(...prices),
            close: prices.at(-1),
            volume,
            buyVolume: volume,
            trades: inside.length,
          };
        });
        expect([...bars.closed, bars.current]).toEqual(expected);
      }),
    );
  });
});

describe('market', () => {
  it('keeps last trades and bars per instrument, and counts a repeated trade once', () => {
    const market = new Market([instrument(1, 'binance-spot'), instrument(2, 'none')], [1000]);
    market.apply(
      batchOf(
        [],
        [
          { id: 5, price: 10, quantity: 2, side: 2, timeNs: 7n },
          { id: 5, price: 11 },
          { id: 6, price: 12 },
          { instrument: 2, id: 5, price: 20 },
          { instrument: 2, id: 5, price: 21 },
          { instrument: 3, id: 5, price: 30 },
        ],
      ),
    );
    const [one, two] = [market.of(1), market.of(2)];
    expect([one?.trades, two?.trades, market.of(3)]).toEqual([2, 2, null]);
    // No exchange time: the receive time counts.
    expect(one?.lastTrade).toEqual({ price: 12, quantity: 1, id: 6, timeNs: 1n, buyerTook: true });
    expect(one?.bars[0]?.current).toMatchObject({ open: 10, close: 12, volume: 3n, buyVolume: 1n });
    expect(two?.lastTrade?.price).toBe(21);
  });
});
