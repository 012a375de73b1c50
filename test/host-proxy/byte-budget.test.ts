import { describe, expect, it } from 'vitest';
import { ByteBudget } from '../../host-proxy/byte-budget.ts';

describe('byte budget', () => {
  it('is shared up to its maximum, to the byte', () => {
    for (const [more, fits] of [
      [39, true],
      [40, true],
      [41, false],
    ] as const) {
      const budget = new ByteBudget(100);
      expect([budget.take(60), budget.take(more)]).toEqual([true, fits]);
      expect(budget.taken).toBe(fits ? 60 + more : 60);
    }
  });

  it('lets one answer of any size go, and the next when that is given back', () => {
    const budget = new ByteBudget(100);
    expect([budget.take(500), budget.take(1)]).toEqual([true, false]);
    budget.giveBack(500);
    expect([budget.take(1), budget.take(500)]).toEqual([true, false]);
    budget.giveBack(1);
    expect([budget.taken, budget.take(500)]).toEqual([0, true]);
  });
});
