// The book against a model of a few lines: a price for each minute, deeds anywhere, many of them around a full hour, and a venue
// that is asked anywhere, each of its figures at a moment of its own. No residual, the value at each full hour, and the true
// time-weighted return between them.

import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { BookRecord, Observation } from '../../../../enclave/ledger/book/contract.ts';
import { hourReturn } from '../../../../wire/performance/hour-return.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  flow,
  linear,
  MINUTE_MS,
  observation,
  position,
  row,
  spot,
  T0,
  tell,
  text,
} from './helpers.ts';

const HOURS = 4;
const POLL_SECONDS = 31;
const START = { usdt: 100_000, btc: 1000 };

interface Deed {
  readonly type: 'deposit' | 'withdrawal' | 'deal' | 'swap';
  readonly second: number;
  readonly size: number;
}

/** When each of its figures was of, in seconds. */
interface Poll {
  readonly begin: number;
  readonly usdt: number;
  readonly btc: number;
  readonly contracts: number;
}

const anywhere = fc.integer({ min: 120, max: (HOURS - 1) * 3600 });
const around = fc.integer({ min: 3600 - 40, max: 3600 + 30 });
const within = fc.integer({ min: 0, max: POLL_SECONDS - 1 });
const deed: fc.Arbitrary<Deed> = fc.record({
  type: fc.constantFrom('deposit', 'withdrawal', 'deal', 'swap'),
  second: fc.oneof(anywhere, around),
  size: fc.integer({ min: 1, max: 60 }),
});
const deeds = fc.uniqueArray(deed, { maxLength: 8, selector: ({ second }) => second });
const polls: fc.Arbitrary<readonly Poll[]> = fc.array(
  fc.record({ begin: fc.oneof(anywhere, around), usdt: within, btc: within, contracts: within }),
  { maxLength: 5 },
);

function priceAt(atMs: number): number {
  return 100 + ((Math.floor((atMs - T0) / MINUTE_MS) * 37) % 41);
}

const PRICES = Array.from({ length: HOURS * 60 + 1 }, (_, minute) => {
  const atMs = T0 + minute * MINUTE_MS;
  const price = String(priceAt(atMs));
  return [
    row('USDT/USD', atMs, '1'),
    row('BTC/USDT', atMs, price),
    row('BTC/USDT:USDT', atMs, price, 'mark'),
  ];
}).flat();

function timeOf({ second }: Deed): number {
  return T0 + second * 1000;
}

/** Deals and contracts at 100 each, whatever the market says. */
function recordOf(one: Deed): BookRecord {
  const { type, second, size } = one;
  const common = { amount: String(size), timeMs: timeOf(one), id: String(second) };
  if (type === 'deal') return spot({ ...common, side: 'buy', price: '100' });
  if (type === 'swap') return linear({ ...common, side: 'buy', price: '100' });
  const isIn = type === 'deposit';
  return flow({
    ...common,
    type,
    direction: isIn ? 'in' : 'out',
    currency: isIn ? 'USDT' : 'BTC',
  });
}

class Model {
  readonly #deeds: readonly Deed[];

  constructor(list: readonly Deed[]) {
    this.#deeds = list;
  }

  /** With what happened at that moment. */
  #sum(atMs: number, of: (deed: Deed) => number): number {
    return this.#deeds.reduce((sum, one) => sum + (timeOf(one) <= atMs ? of(one) : 0), 0);
  }

  usdt(atMs: number): number {
    const of = { deposit: 1, deal: -100, withdrawal: 0, swap: 0 };
    return START.usdt + this.#sum(atMs, ({ type, size }) => of[type] * size);
  }

  btc(atMs: number): number {
    const of = { deposit: 0, deal: 1, withdrawal: -1, swap: 0 };
    return START.btc + this.#sum(atMs, ({ type, size }) => of[type] * size);
  }

  contracts(atMs: number): number {
    return this.#sum(atMs, ({ type, size }) => (type === 'swap' ? size : 0));
  }

  value(atMs: number, price: number = priceAt(atMs)): number {
    return this.usdt(atMs) + this.btc(atMs) * price + this.contracts(atMs) * (price - 100);
  }

  /** Before what happens in that moment. */
  valueAtHour(hourMs: number): number {
    return this.value(hourMs - 1, priceAt(hourMs));
  }

  growth(startMs: number): number {
    const endMs = startMs + HOUR_MS;
    let [growth, from] = [1, this.valueAtHour(startMs)];
    for (const one of this.#deeds.toSorted((a, b) => a.second - b.second)) {
      const atMs = timeOf(one);
      if (atMs < startMs || atMs >= endMs) continue;
      if (one.type !== 'deposit' && one.type !== 'withdrawal') continue;
      const amount = one.type === 'deposit' ? one.size : -one.size * priceAt(atMs);
      const after = this.value(atMs);
      growth *= (after - amount) / from;
      from = after;
    }
    return growth * (this.valueAtHour(endMs) / from);
  }

  seen({ begin, usdt, btc, contracts }: Poll): Observation {
    const fromMs = T0 + begin * 1000;
    const held = this.contracts(fromMs + contracts * 1000);
    return {
      fromMs,
      atMs: fromMs + POLL_SECONDS * 1000,
      balances: [
        balance('USDT', String(this.usdt(fromMs + usdt * 1000))),
        balance('BTC', String(this.btc(fromMs + btc * 1000))),
      ],
      positions: held === 0 ? [] : [position({ contracts: String(held), entry: '100' })],
    };
  }
}

it('has the values and the returns of a model, wherever polls and deeds fall', () => {
  fc.assert(
    fc.property(deeds, polls, (list, asked) => {
      const model = new Model(list);
      const { figures } = tell({
        opening: observation(T0, [
          balance('USDT', String(START.usdt)),
          balance('BTC', String(START.btc)),
        ]),
        records: list.map(recordOf),
        observations: asked.map((poll) => model.seen(poll)),
        prices: PRICES,
        hours: HOURS,
      });
      for (const hour of figures) {
        const { startMs, residual, equityEnd } = hour;
        expect([text(residual) ?? '0', text(equityEnd)]).toEqual([
          '0',
          String(model.valueAtHour(startMs + HOUR_MS)),
        ]);
        expect(Number(hourReturn(hour).ratio)).toBeCloseTo(model.growth(startMs) - 1, 12);
      }
    }),
    { numRuns: 400 },
  );
});
