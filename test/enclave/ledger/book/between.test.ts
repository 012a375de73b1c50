// Two halves of one thing, and a flow between them: what is under way is there all the same.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fill, Flow, FlowType } from '../../../../enclave/connector/records.ts';
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

const HOURS = 4;
const FLAT = Array.from({ length: HOURS * 60 + 1 }, (_, minute) => T0 + minute * MINUTE_MS).flatMap(
  (atMs) => [row('USDT/USD', atMs, '1'), row('BTC/USDT', atMs, '100')],
);

interface Deed {
  readonly type: 'paid' | 'taken' | 'transfer' | 'conversion' | 'deal';
  readonly minute: number;
  readonly ms: number;
  readonly size: number;
  /** Until its other half. */
  readonly apart: number;
  readonly isNamed: boolean;
}

const deeds: fc.Arbitrary<readonly Deed[]> = fc.array(
  fc.record({
    type: fc.constantFrom('paid', 'taken', 'transfer', 'conversion', 'deal'),
    minute: fc.integer({ min: 1, max: 170 }),
    ms: fc.constantFrom(0, 0, 5000, 30_000),
    size: fc.integer({ min: 1, max: 60 }),
    apart: fc.integer({ min: 0, max: 12 }),
    isNamed: fc.boolean(),
  }),
  { maxLength: 12 },
);

function recordsOf(deed: Deed, index: number): readonly (Flow | Fill)[] {
  const { type, minute, ms, size, apart, isNamed } = deed;
  const timeMs = T0 + minute * MINUTE_MS + ms;
  const name = `${'long'.repeat(index % 3)}${index}`;
  const amount = String(size);
  if (type === 'deal') return [spot({ side: 'buy', price: '100', amount, timeMs, id: name })];
  if (type === 'paid') return [moves('deposit', amount, timeMs, name)];
  if (type === 'taken')
    return [{ ...moves('withdrawal', `-${size}`, timeMs, name), currency: 'BTC' }];
  if (type === 'transfer') {
    const backMs = timeMs + apart * MINUTE_MS;
    return [
      moves('transfer_out', `-${size * 900}`, timeMs, name),
      moves('transfer_in', String(size * 900), backMs, name),
    ];
  }
  const networkId = isNamed ? name : null;
  const got = moves('conversion', amount, timeMs + apart * 3000, name);
  return [
    { ...moves('conversion', `-${size * 100}`, timeMs, name), networkId },
    { ...got, currency: 'BTC', networkId },
  ];
}

describe('where no price moves', () => {
  it('no hour has a return, whatever is moved, paid in, taken out, dealt and converted when', () => {
    let returns = 0;
    fc.assert(
      fc.property(deeds, (list) => {
        const { figures } = tell({
          opening: observation(T0, [balance('USDT', '100000'), balance('BTC', '1000')]),
          records: list.flatMap(recordsOf),
          prices: FLAT,
          hours: HOURS,
        });
        const ratios = figures.map((hour) => hourReturn(hour).ratio).filter((one) => one !== null);
        returns += ratios.length;
        expect(ratios.filter((ratio) => Math.abs(Number(ratio)) > 1e-15)).toEqual([]);
      }),
      { numRuns: 300 },
    );
    expect(returns).toBeGreaterThan(600);
  });
});
