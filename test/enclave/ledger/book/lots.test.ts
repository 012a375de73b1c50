import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lots, MAX_LOTS } from '../../../../enclave/ledger/book/lots.ts';
import type { Fixed } from '../../../../wire/fixed.ts';
import { FIXED_ONE, multiplyFixed } from '../../../../wire/fixed.ts';
import { fx } from './helpers.ts';

/** Signed quantity in hundredths and a price in cents. */
const deals = fc.array(
  fc.tuple(
    fc.integer({ min: -500, max: 500 }).filter((size) => size !== 0),
    fc.integer({ min: 1, max: 1_000_000 }),
  ),
  { minLength: 1, maxLength: 60 },
);

function quantityOf(hundredths: number): Fixed {
  return (BigInt(hundredths) * FIXED_ONE) / 100n;
}

/** Realised, what is left and what that had cost. */
function run(
  method: 'fifo' | 'average',
  list: readonly (readonly [number, number])[],
): { readonly realised: Fixed; readonly lots: Lots } {
  const lots = new Lots(method);
  let realised = 0n;
  for (const [hundredths, cents] of list) {
    const quantity = quantityOf(hundredths);
    realised += lots.add(quantity, multiplyFixed(quantity, quantityOf(cents)));
  }
  return { realised, lots };
}

describe('lots', () => {
  it('first in, first out: a sale closes the oldest', () => {
    const lots = new Lots('fifo');
    lots.add(fx('1'), fx('100'));
    lots.add(fx('1'), fx('200'));
    expect(lots.add(fx('-1'), fx('-180'))).toBe(fx('80'));
    expect(lots.cost).toBe(fx('200'));
  });

  it('average cost: a sale closes all alike', () => {
    const lots = new Lots('average');
    lots.add(fx('1'), fx('100'));
    lots.add(fx('1'), fx('200'));
    expect(lots.add(fx('-1'), fx('-180'))).toBe(fx('30'));
    expect(lots.cost).toBe(fx('150'));
  });

  it.each(['fifo', 'average'] as const)('%s: short, covered, and through zero', (method) => {
    const lots = new Lots(method);
    expect(lots.add(fx('-2'), fx('-200'))).toBe(0n);
    expect(lots.add(fx('1'), fx('90'))).toBe(fx('10'));
    // Covers one that was sold at 100 and goes long with two at 110.
    expect(lots.add(fx('3'), fx('330'))).toBe(fx('-10'));
    expect(lots.quantity).toBe(fx('2'));
    expect(lots.cost).toBe(fx('220'));
  });

  it('realised and unrealised together do not depend on the method', () => {
    fc.assert(
      fc.property(deals, fc.integer({ min: 1, max: 1_000_000 }), (list, cents) => {
        const [fifo, average] = [run('fifo', list), run('average', list)];
        const worth = multiplyFixed(fifo.lots.quantity, quantityOf(cents));
        expect(average.lots.quantity).toBe(fifo.lots.quantity);
        expect(fifo.realised + worth - fifo.lots.cost).toBe(
          average.realised + worth - average.lots.cost,
        );
      }),
    );
  });

  it.each(['fifo', 'average'] as const)('%s: nothing is left of what is closed', (method) => {
    fc.assert(
      fc.property(deals, (list) => {
        const { lots } = run(method, list);
        lots.add(-lots.quantity, 0n);
        expect([lots.quantity, lots.cost, lots.size]).toEqual([0n, 0n, 0]);
      }),
    );
  });

  it.each(['fifo', 'average'] as const)('%s: a deal in two parts is a deal', (method) => {
    fc.assert(
      fc.property(deals, fc.nat(), (list, seed) => {
        const parts = list.flatMap(([size, cents], at) => {
          const first = Math.trunc((size * ((seed + at * 7919) % 97)) / 97);
          return first === 0 || first === size
            ? [[size, cents] as const]
            : [[first, cents] as const, [size - first, cents] as const];
        });
        const [whole, split] = [run(method, list), run(method, parts)];
        expect(split.realised).toBe(whole.realised);
        expect(split.lots.cost).toBe(whole.lots.cost);
      }),
    );
  });

  it.each(['fifo', 'average'] as const)('%s: a copy goes its own way', (method) => {
    fc.assert(
      fc.property(deals, deals, deals, (before, here, there) => {
        const { lots } = run(method, before);
        const copy = lots.copy();
        const add = (to: Lots, list: typeof here): void => {
          for (const [size, cents] of list) {
            to.add(quantityOf(size), multiplyFixed(quantityOf(size), quantityOf(cents)));
          }
        };
        add(lots, here);
        add(copy, there);
        expect(lots.toNumbers()).toEqual(run(method, [...before, ...here]).lots.toNumbers());
        expect(copy.toNumbers()).toEqual(run(method, [...before, ...there]).lots.toNumbers());
      }),
    );
  });

  it.each(['fifo', 'average'] as const)(
    '%s: read back, it goes on as if never written',
    (method) => {
      fc.assert(
        fc.property(deals, deals, (before, after) => {
          const { lots } = run(method, before);
          const back = Lots.of(method, lots.toNumbers());
          for (const [size, cents] of after) {
            const cost = multiplyFixed(quantityOf(size), quantityOf(cents));
            expect(back?.add(quantityOf(size), cost)).toBe(lots.add(quantityOf(size), cost));
          }
          expect([back?.quantity, back?.cost]).toEqual([lots.quantity, lots.cost]);
        }),
      );
    },
  );

  it.each([
    ['two signs', [1n, 1n, 1n, -1n, -1n]],
    ['more left than there was', [2n, 1n, 1n]],
    ['nothing left of the first', [0n, 1n, 1n]],
    ['the first of another sign', [-1n, 1n, 1n]],
    ['an empty lot', [1n, 1n, 1n, 0n, 1n]],
    ['half a lot', [1n, 1n]],
  ])('are refused with %s', (_, numbers) => {
    expect(Lots.of('fifo', numbers)).toBeNull();
  });

  it('money without a quantity is realised at once', () => {
    const lots = new Lots('fifo');
    expect(lots.add(0n, 5n)).toBe(-5n);
    expect([lots.size, lots.cost]).toEqual([0, 0n]);
  });

  it('there are so many at most, and none is lost', () => {
    const lots = new Lots('fifo');
    for (let at = 0; at < MAX_LOTS; at++) lots.add(1n, 2n);
    expect(lots.size).toBe(MAX_LOTS);
    lots.add(1n, 2n);
    expect(lots.size).toBeLessThanOrEqual(MAX_LOTS / 2 + 2);
    expect([lots.quantity, lots.cost]).toEqual([BigInt(MAX_LOTS) + 1n, 2n * BigInt(MAX_LOTS) + 2n]);
    expect(lots.add(-lots.quantity, -lots.cost)).toBe(0n);
  });
});
