import { describe, expect, it } from 'vitest';
import { Turns } from '../../../host-proxy/database/turns.ts';

describe('turns', () => {
  it('are given in the order in which they were asked for, one at a time', async () => {
    const turns = new Turns();
    const order: number[] = [];
    await turns.take(1000);
    const all = Array.from({ length: 5 }, async (_, number) => {
      expect(await turns.take(10_000)).toBe(true);
      order.push(number);
      await Promise.resolve();
      turns.give();
    });
    expect(order).toEqual([]);
    expect(turns.waiting).toBe(5);
    turns.give();
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  it('are not given to who has waited for too long', async () => {
    const turns = new Turns();
    await turns.take(1000);
    const late = turns.take(10);
    const next = turns.take(10_000);
    expect(await late).toBe(false);
    expect(turns.waiting).toBe(1);
    turns.give();
    expect(await next).toBe(true);
    turns.give();
    expect(await turns.take(1)).toBe(true);
  });
});
