import { describe, expect, it } from 'vitest';
import {
  balance,
  flow,
  hourly,
  MINUTE_MS,
  observation,
  parUsdt,
  row,
  spot,
  T0,
  tell,
  text,
  unexplained,
} from './helpers.ts';

describe('an account', () => {
  it('buys, sells and gets a deposit: every dollar is explained', () => {
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000')]),
      hours: 3,
      prices: [
        ...parUsdt(3),
        ...hourly('BTC/USDT', ['50000', '51000', '52000', '53000']),
        row('BTC/USDT', T0 + 80 * MINUTE_MS, '51600'),
      ],
      records: [
        spot({
          side: 'buy',
          price: '50000',
          amount: '1',
          timeMs: T0 + MINUTE_MS,
          fees: [{ currency: 'BTC', amount: '0.001' }],
        }),
        spot({
          side: 'sell',
          price: '51500',
          amount: '0.5',
          timeMs: T0 + 70 * MINUTE_MS,
          fees: [{ currency: 'USDT', amount: '25.75' }],
        }),
        flow({
          type: 'deposit',
          direction: 'in',
          currency: 'USDT',
          amount: '10000',
          timeMs: T0 + 80 * MINUTE_MS,
        }),
      ],
      observations: [
        observation(T0 + 170 * MINUTE_MS, [balance('USDT', '85724.25'), balance('BTC', '0.499')]),
      ],
    });
    const [first, second, third] = figures;
    // 50,000 USDT and 0.999 BTC at 51,000: the fee in BTC made less of it.
    expect(text(first?.equityEnd ?? null)).toBe('100949');
    expect(text(first?.fees ?? null)).toBe('50');
    expect(text(first?.realised ?? null)).toBe('0');
    expect(text(second?.realised ?? null)).toBe('750');
    expect(text(second?.inflow ?? null)).toBe('10000');
    // 75,724.25 USDT and 0.499 BTC at 51,600... before the deposit.
    expect(second?.flows.map((one) => [text(one.amount), text(one.equityBefore)])).toEqual([
      ['10000', null],
    ]);
    expect(third?.status).toBe('reconciled');
    expect(third?.residual).toBe(0n);
    expect(figures.map(unexplained)).toEqual([0n, 0n, 0n]);
  });
});
