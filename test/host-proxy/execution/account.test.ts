import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Account } from '../../../host-proxy/execution/account.ts';
import { feeQuote8, notional, QUOTE8, toQuote8 } from '../../../host-proxy/execution/money.ts';
import type { Instrument } from '../../../wire/configuration.ts';
import type { Side } from '../../../wire/payloads.ts';
import { SIDE } from '../../../wire/payloads.ts';
import { PLAIN } from './support.ts';

const ONE = 10n ** 24n;
const OTHER: Instrument = { ...PLAIN, id: 2, price_scale: 2, quantity_scale: 8 };

describe('money', () => {
  it('is exact for every scale', () => {
    expect(notional({ price_scale: 12, quantity_scale: 12 }, 3, 5n)).toBe(15n);
    expect(notional(OTHER, 6_183_763, 2_000_000n)).toBe(
      (6_183_763n * 2_000_000n * ONE) / 10n ** 10n,
    );
  });

  it('rounds amounts down and fees up', () => {
    expect([QUOTE8 + 1n, QUOTE8, -1n, -QUOTE8, -QUOTE8 - 1n].map(toQuote8)).toEqual([
      1n,
      1n,
      -1n,
      -1n,
      -2n,
    ]);
    // 1,000 ppm of 100 units is 0.1; of 10^-8 it is less than the smallest unit.
    expect(feeQuote8(100n * ONE, 1000)).toBe(10_000_000n);
    expect(feeQuote8(QUOTE8, 1000)).toBe(1n);
    expect(feeQuote8(1n, 1)).toBe(1n);
    expect(feeQuote8(ONE, 0)).toBe(0n);
    expect(feeQuote8(ONE, -100)).toBe(-10_000n);
  });
});

describe('account', () => {
  it('follows average cost through zero', () => {
    const account = new Account([PLAIN]);
    const position = account.of(1);
    const trade = (side: Side, price: number, quantity: number): void => {
      position.addFill({ instrument: 1, side, price, quantity, fee: 0 });
    };
    trade(SIDE.buy, 100, 10);
    trade(SIDE.buy, 110, 10);
    expect([position.quantity, position.cost]).toEqual([20n, 2100n * ONE]);
    trade(SIDE.sell, 120, 5);
    expect([position.realised, position.cost]).toEqual([75n * ONE, 1575n * ONE]);
    // Through zero: 15 closed at 100, 5 short at 100.
    trade(SIDE.sell, 100, 20);
    expect([position.quantity, position.cost, position.realised]).toEqual([-5n, -500n * ONE, 0n]);
    position.mark = 2n * 90n;
    expect(position.unrealised).toBe(50n * ONE);
    trade(SIDE.buy, 90, 5);
    expect([position.quantity, position.cost, position.realised]).toEqual([0n, 0n, 50n * ONE]);
  });

  it('leaves no cost behind when a position is closed, though averages do not divide', () => {
    const fine: Instrument = { ...PLAIN, price_scale: 12, quantity_scale: 12 };
    for (const parts of [[3], [1, 2], [2, 1], [1, 1, 1]]) {
      const position = new Account([fine]).of(1);
      position.addFill({ instrument: 1, side: SIDE.buy, price: 1, quantity: 1, fee: 0 });
      position.addFill({ instrument: 1, side: SIDE.buy, price: 2, quantity: 2, fee: 0 });
      for (const quantity of parts) {
        position.addFill({ instrument: 1, side: SIDE.sell, price: 2, quantity, fee: 0 });
      }
      expect([position.quantity, position.cost, position.realised]).toEqual([0n, 0n, 1n]);
    }
  });

  it('knows no equity while a position has no mark', () => {
    const account = new Account([PLAIN]);
    expect(account.totals()?.equity).toBe(0n);
    account.of(1).addFill({ instrument: 1, side: SIDE.buy, price: 1, quantity: 1, fee: 0 });
    expect(account.totals()).toBe(null);
  });

  it('conserves: the sum of fills is the position, cash + value is the profit', () => {
    const fill = fc.record({
      instrument: fc.constantFrom(1, 2),
      side: fc.constantFrom<Side>(SIDE.buy, SIDE.sell),
      price: fc.integer({ min: 1, max: 2 ** 40 }),
      quantity: fc.integer({ min: 1, max: 2 ** 40 }),
      fee: fc.integer({ min: -1000, max: 100_000 }),
    });
    const marks = fc.tuple(fc.bigInt(1n, 2n ** 41n), fc.bigInt(1n, 2n ** 41n));
    fc.assert(
      fc.property(fc.array(fill, { maxLength: 40 }), marks, (fills, [one, two]) => {
        const account = new Account([PLAIN, OTHER]);
        for (const each of fills) account.of(each.instrument).addFill(each);
        account.of(1).mark = one;
        account.of(2).mark = two;
        let wealth = 0n;
        for (const position of account.positions) {
          const own = fills.filter(({ instrument }) => instrument === position.instrument.id);
          const signed = own.map(({ side, quantity }) =>
            BigInt(side === SIDE.buy ? quantity : -quantity),
          );
          expect(position.quantity).toBe(signed.reduce((sum, each) => sum + each, 0n));
          expect(position.fees).toBe(own.reduce((sum, { fee }) => sum + BigInt(fee) * QUOTE8, 0n));
          const noCost = position.quantity === 0n && position.cost !== 0n;
          expect(noCost).toBe(false);
          wealth += position.cash + (position.value ?? 0n);
        }
        expect(account.totals()?.equity).toBe(wealth);
      }),
    );
  });
});
