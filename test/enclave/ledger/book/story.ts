// Random days of an account and a venue that keeps its own books of them, in another way: every contract by itself, in
// a queue, with the formula of the textbook. What the book under test says is held against it.

import * as fc from 'fast-check';
import type { Balance, Position } from '../../../../enclave/connector/records.ts';
import type { BookRecord, PriceRow } from '../../../../enclave/ledger/book/contract.ts';
import type { Fixed } from '../../../../wire/fixed.ts';
import {
  divideFixed,
  FIXED_ONE,
  formatFixed,
  multiplyFixed,
  toFixed,
} from '../../../../wire/fixed.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  flow,
  funding,
  inverse,
  linear,
  MINUTE_MS,
  position,
  row,
  spot,
  T0,
} from './helpers.ts';

export const STORY_HOURS = 4;
const MINUTES: number = STORY_HOURS * 60;

export type Action =
  | { readonly type: 'spot'; readonly minute: number; readonly size: number; readonly fee: number }
  | {
      readonly type: 'linear' | 'inverse';
      readonly minute: number;
      readonly size: number;
      readonly fee: number;
    }
  | {
      readonly type: 'funding' | 'deposit' | 'interest';
      readonly minute: number;
      readonly size: number;
      readonly fee: number;
    };

const TYPES = [
  'spot',
  'spot',
  'linear',
  'linear',
  'inverse',
  'funding',
  'deposit',
  'interest',
] as const;

/** `size` is signed and never 0; `fee` is 0 to 3. */
export const actions: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.record({
    type: fc.constantFrom(...TYPES),
    minute: fc.integer({ min: 1, max: MINUTES - 1 }),
    size: fc.integer({ min: -9, max: 9 }).map((size) => (size === 0 ? 10 : size)),
    fee: fc.integer({ min: 0, max: 3 }),
  }),
  { minLength: 1, maxLength: 40 },
);

/** Of the minute, in USDT; whole dimes. */
export function btcAt(minute: number): string {
  return `${40_000 + ((minute * 7919) % 2_003)}.${1 + ((minute * 31) % 9)}`;
}

function bnbAt(minute: number): string {
  return `${300 + ((minute * 17) % 40)}.5`;
}

function usdtAt(minute: number): string {
  return `0.99${1 + ((minute * 13) % 9)}`;
}

/** A row for each minute, of everything. */
export const PRICES: readonly PriceRow[] = Array.from({ length: MINUTES + 1 }, (_, minute) => {
  const atMs = T0 + minute * MINUTE_MS;
  return [
    row('BTC/USDT', atMs, btcAt(minute)),
    row('BNB/USDT', atMs, bnbAt(minute)),
    row('USDT/USD', atMs, usdtAt(minute)),
    row('BTC/USDT:USDT', atMs, btcAt(minute), 'mark'),
    row('BTC/USD:BTC', atMs, btcAt(minute), 'mark'),
  ];
}).flat();

function fixed(text: string): Fixed {
  return toFixed(text) ?? 0n;
}

/** Its own books: wallets, and a queue of entry prices for each kind of contract. */
export class Venue {
  readonly wallets: Map<string, Fixed> = new Map([
    ['USDT', fixed('100000')],
    ['BTC', fixed('5')],
    ['BNB', fixed('10')],
  ]);
  /** Signed, of one contract each. */
  readonly open: Readonly<Record<'linear' | 'inverse', { sign: bigint; entry: Fixed }[]>> = {
    linear: [],
    inverse: [],
  };

  add(currency: string, amount: Fixed): void {
    this.wallets.set(currency, (this.wallets.get(currency) ?? 0n) + amount);
  }

  /** Linear: a tenth of a bitcoin. Inverse: a hundred dollars. */
  deal(kind: 'linear' | 'inverse', size: number, price: Fixed): void {
    const sign = size < 0 ? -1n : 1n;
    for (let at = 0; at < Math.abs(size); at++) {
      const [first] = this.open[kind];
      if (first === undefined || first.sign === sign) this.open[kind].push({ sign, entry: price });
      else {
        this.open[kind].shift();
        this.add(kind === 'linear' ? 'USDT' : 'BTC', profit(kind, first, price));
      }
    }
  }

  /** In dollars, at a minute. */
  equity(minute: number): Fixed {
    const [usdt, btc, bnb] = [usdtAt(minute), btcAt(minute), bnbAt(minute)].map(fixed);
    const held = (currency: string): Fixed => this.wallets.get(currency) ?? 0n;
    const sum = (kind: 'linear' | 'inverse'): Fixed =>
      this.open[kind].reduce((all, one) => all + profit(kind, one, btc ?? 0n), 0n);
    const inUsdt =
      held('USDT') +
      sum('linear') +
      multiplyFixed(held('BTC') + sum('inverse'), btc ?? 0n) +
      multiplyFixed(held('BNB'), bnb ?? 0n);
    return multiplyFixed(inUsdt, usdt ?? 0n);
  }

  balances(): readonly Balance[] {
    return [...this.wallets].map(([currency, amount]) => balance(currency, formatFixed(amount)));
  }

  positions(): readonly Position[] {
    return (['linear', 'inverse'] as const).flatMap((kind) => {
      const queue = this.open[kind];
      const [first] = queue;
      if (first === undefined) return [];
      const count = BigInt(queue.length);
      const sum = queue.reduce((all, { entry }) => all + entry, 0n);
      const reciprocals = queue.reduce((all, { entry }) => all + divideFixed(FIXED_ONE, entry), 0n);
      const entry = kind === 'linear' ? sum / count : divideFixed(count * FIXED_ONE, reciprocals);
      return position({
        symbol: kind === 'linear' ? 'BTC/USDT:USDT' : 'BTC/USD:BTC',
        side: first.sign < 0n ? 'short' : 'long',
        contracts: String(queue.length),
        contractSize: kind === 'linear' ? '0.1' : '100',
        entry: formatFixed(entry),
        settle: kind === 'linear' ? 'USDT' : 'BTC',
      });
    });
  }
}

function profit(
  kind: 'linear' | 'inverse',
  { sign, entry }: { readonly sign: bigint; readonly entry: Fixed },
  price: Fixed,
): Fixed {
  if (kind === 'linear') return (sign * (price - entry)) / 10n;
  const hundred = 100n * FIXED_ONE;
  return sign * (divideFixed(hundred, entry) - divideFixed(hundred, price));
}

export interface Told {
  readonly records: readonly BookRecord[];
  readonly venue: Venue;
}

/** Records of the actions before `untilMinute`, and the venue's books then. */
export function play(list: readonly Action[], untilMinute: number = MINUTES): Told {
  const venue = new Venue();
  const records = [...list]
    .map((action, at) => ({ action, id: `r${String(at).padStart(4, '0')}` }))
    .filter(({ action }) => action.minute < untilMinute)
    .sort((a, b) => a.action.minute - b.action.minute || (a.id < b.id ? -1 : 1))
    .map(({ action, id }, at) => record(action, id, at, venue));
  return { records, venue };
}

function record(action: Action, id: string, at: number, venue: Venue): BookRecord {
  const { type, minute, size } = action;
  // No two at the same moment: ties are tested by themselves.
  const timeMs = T0 + minute * MINUTE_MS + at;
  const price = btcAt(minute);
  const side = size < 0 ? 'sell' : 'buy';
  const amount = String(Math.abs(size));
  if (type === 'spot') {
    const traded = fixed(String(size)) / 100n;
    const cost = multiplyFixed(traded, fixed(price));
    venue.add('BTC', traded);
    venue.add('USDT', -cost);
    const fees = feesOf(action, venue);
    return spot({
      id,
      side,
      price,
      amount: formatFixed(traded < 0n ? -traded : traded),
      fees,
      timeMs,
    });
  }
  if (type === 'linear' || type === 'inverse') {
    venue.deal(type, size, fixed(price));
    const fees = feesOf(action, venue);
    const facts = { id, side, price, amount, fees, timeMs } as const;
    return type === 'linear' ? linear({ ...facts, contractSize: '0.1' }) : inverse(facts);
  }
  const coin = action.fee % 2 === 0 ? 'USDT' : 'BTC';
  const value = fixed(String(size)) / (coin === 'BTC' ? 1000n : 1n);
  venue.add(coin, value);
  const moved = { id, currency: coin, timeMs };
  if (type === 'funding') return funding({ ...moved, amount: formatFixed(value) });
  const direction = size < 0 ? 'out' : 'in';
  const positive = formatFixed(value < 0n ? -value : value);
  if (type === 'interest') return flow({ ...moved, type, direction, amount: positive });
  const name = size < 0 ? 'withdrawal' : 'deposit';
  return flow({ ...moved, type: name, direction, amount: positive });
}

/** In nothing, in the quote, in the base, or in a third coin. */
function feesOf({ fee, size }: Action, venue: Venue): { currency: string; amount: string }[] {
  const currency = ['', 'USDT', 'BTC', 'BNB'][fee] ?? '';
  if (currency === '') return [];
  const amount = fixed(String(Math.abs(size))) / (currency === 'USDT' ? 10n : 100_000n);
  venue.add(currency, -amount);
  return [{ currency, amount: formatFixed(amount) }];
}

/** The end of the story. */
export const END_MS: number = T0 + STORY_HOURS * HOUR_MS;
