// Two halves of one thing, and a flow between them: what is under way is there all the same.

import { describe, expect, it } from 'vitest';
import type { Flow, FlowType } from '../../../../enclave/connector/records.ts';
import { hourReturn } from '../../../../wire/performance/hour-return.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { balance, flow, MINUTE_MS, observation, row, spot, T0, tell, text } from './helpers.ts';

const OPENING = observation(T0, [balance('USDT', '1000')]);

function at(minute: number): number {
  return T0 + 60 * MINUTE_MS + minute * MINUTE_MS;
}

function moves(type: FlowType, amount: string, timeMs: number, name: string): Flow {
  const sign = amount.startsWith('-');
  const direction = sign ? 'out' : 'in';
  const common = { type, direction, currency: 'USDT', amount: amount.replace('-', '') } as const;
  return flow({ ...common, timeMs, [sign ? 'to' : 'from']: 'elsewhere', id: name });
}

function told(...records: readonly Flow[]): HourFigures {
  const minutes = Array.from({ length: 181 }, (_, minute) => T0 + minute * MINUTE_MS);
  const prices = [
    ...minutes.map((atMs) => row('USDT/USD', atMs, '1')),
    ...minutes.map((atMs) => row('BTC/USDT', atMs, '900')),
  ];
  const [, hour] = tell({ opening: OPENING, records, prices, hours: 2 }).figures;
  if (hour === undefined) throw new Error('two hours');
  return hour;
}

const OUT = moves('transfer_out', '-900', at(1), 't');
const BACK = moves('transfer_in', '900', at(9), 't');
const SPENT = moves('conversion', '-900', at(5), 'c');
const GOT = { ...moves('conversion', '1', at(5), 'c'), currency: 'BTC' };

describe('a flow while a transfer between own wallets is under way', () => {
  it.each([
    ['deposit', '50'],
    ['withdrawal', '-50'],
  ] as const)('makes no return of its own: %s', (type, amount) => {
    const hour = told(OUT, moves(type, amount, at(5), 'w'), BACK);
    expect(hour.flows.map(({ equityBefore }) => text(equityBefore))).toEqual(['1000']);
    expect(hourReturn(hour).ratio).toBe('0');
  });
});

describe('a flow in the moment of a conversion', () => {
  it.each(['a', 'a name that is longer'])('comes before or after both legs: %s', (name) => {
    const deposit = told(SPENT, GOT, moves('deposit', '900', at(5), name));
    expect(deposit.flows.map(({ equityBefore }) => text(equityBefore))).toEqual(['1000']);
    expect(hourReturn(deposit)).toMatchObject({ ratio: '0', method: 'twr' });
    const withdrawal = told(SPENT, GOT, moves('withdrawal', '-50', at(5), name));
    expect(hourReturn(withdrawal)).toMatchObject({ ratio: '0', method: 'twr' });
  });

  it.each([-1, 0, 30_000, 60_000, 60_001])(
    'has no value before it between its legs, a minute apart: %d ms after the first',
    (ms) => {
      const later = { ...GOT, timeMs: at(6) };
      const hour = told(SPENT, later, moves('withdrawal', '-50', at(5) + ms, 'w'));
      const isBetween = ms >= 0 && ms <= 60_000;
      expect(hour.flows.map(({ equityBefore }) => equityBefore === null)).toEqual([isBetween]);
      expect(hourReturn(hour).ratio).toBe('0');
    },
  );
});

describe('a flow in the moment in which shares are exchanged', () => {
  it.each(['a', 'a name that is longer'])('has neither twice before it: %s', (name) => {
    const security = { symbol: 'ACME', market: 'stock', base: 'ACME', quote: 'USD' } as const;
    const bought = spot({ ...security, side: 'buy', price: '10', amount: '50', timeMs: at(1) });
    const gone = { ...moves('other', '-50', at(5), 's'), currency: 'ACME' };
    const come = { ...moves('other', '50', at(5), 's'), currency: 'ACME' };
    const paid = { ...moves('deposit', '1000', at(5), name), currency: 'USD' };
    const { figures } = tell({
      opening: observation(T0, [balance('USD', '1000')]),
      records: [bought, gone, come, paid],
      prices: [1, 4, 60].map((minute) => row('ACME', at(minute), '10', 'mark')),
      hours: 2,
    });
    const hour = figures[1];
    if (hour === undefined) throw new Error('two hours');
    expect(hour.flows.map(({ equityBefore }) => text(equityBefore))).toEqual(['1000']);
    expect(hourReturn(hour).ratio).toBe('0');
  });
});
