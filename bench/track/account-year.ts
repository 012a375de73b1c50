// A year of one busy account, made up: spot and perpetuals in two coins, fees in three, funding every eight hours, a
// deposit each week, and a poll each hour that tells what the venue has. The same seed gives the same year.

import type { Balance, Fill, Position } from '../../enclave/connector/records.ts';
import type { BookRecord, Observation, PriceRow } from '../../enclave/ledger/book/contract.ts';
import type { Fixed } from '../../wire/fixed.ts';
import { divideFixed, formatFixed, multiplyFixed, toFixed } from '../../wire/fixed.ts';
import { HOUR_MS } from '../../wire/track/figures.ts';

export const START_MS = 1_735_689_600_000;

export interface AccountYear {
  readonly hours: number;
  readonly fills: number;
  readonly opening: Observation;
  /** What one hour brings, and how the account stands at its end. */
  hour(at: number): { readonly records: readonly BookRecord[]; readonly observation: Observation };
  /** Rows from one hour to another, both with it; the spots of deposits too. */
  prices(fromHour: number, toHour: number): readonly PriceRow[];
}

const COINS = ['BTC', 'ETH'] as const;
const BASE_PRICE: Readonly<Record<string, number>> = { BTC: 60_000, ETH: 3_000, BNB: 600 };
const RAW = new Uint8Array(32);
const WEEK_HOURS = 168;

/** 0 to 1; the same for the same numbers. */
function noise(a: number, b: number): number {
  let state = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x165667b1, 0xc2b2ae35);
  state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  state = Math.imul(state ^ (state >>> 12), 0x297a2d39);
  return ((state ^ (state >>> 15)) >>> 0) / 2 ** 32;
}

/** Two digits after the point, canonical. */
function priceOf(coin: string, hour: number, part: number): string {
  const base = BASE_PRICE[coin] ?? 1;
  const wave = 1 + 0.2 * Math.sin(hour / 400) + 0.01 * noise(hour * 64 + part, base);
  return String(Math.round(base * wave * 100) / 100);
}

function fixed(text: string): Fixed {
  return toFixed(text) ?? 0n;
}

/** Where the venue stands: cash as if contracts had been paid for, and contracts with what they cost. */
class Venue {
  readonly cash = new Map<string, Fixed>([
    ['USDT', fixed('1000000')],
    ['BTC', fixed('10')],
    ['ETH', fixed('100')],
    ['BNB', fixed('1000')],
  ]);
  readonly open = new Map<string, { contracts: Fixed; cost: Fixed }>();

  add(currency: string, amount: Fixed): void {
    this.cash.set(currency, (this.cash.get(currency) ?? 0n) + amount);
  }

  deal(coin: string, contracts: Fixed, cost: Fixed): void {
    const held = this.open.get(coin) ?? { contracts: 0n, cost: 0n };
    const after = held.contracts + contracts;
    const grows = held.contracts === 0n || held.contracts < 0n === contracts < 0n;
    const through = !grows && after !== 0n && after < 0n !== held.contracts < 0n;
    let left = grows ? held.cost + cost : (held.cost * after) / held.contracts;
    if (through) left = (cost * after) / contracts;
    this.open.set(coin, { contracts: after, cost: left });
    this.add('USDT', -cost);
  }

  observe(atMs: number): Observation {
    const balances: Balance[] = [];
    const positions: Position[] = [];
    let inContracts = 0n;
    for (const [coin, { contracts, cost }] of this.open) {
      inContracts += cost;
      if (contracts === 0n) continue;
      positions.push({
        kind: 'position',
        symbol: `${coin}/USDT:USDT`,
        market: 'swap',
        side: contracts < 0n ? 'short' : 'long',
        contracts: formatFixed(contracts < 0n ? -contracts : contracts),
        contractSize: '1',
        entry: formatFixed(divideFixed(cost, contracts)),
        mark: null,
        unrealized: null,
        settle: 'USDT',
        marginMode: 'cross',
      });
    }
    for (const [currency, amount] of this.cash) {
      const total = formatFixed(currency === 'USDT' ? amount + inContracts : amount);
      balances.push({ kind: 'balance', wallet: 'unified', currency, total, free: null });
    }
    return { fromMs: atMs, atMs, balances, positions };
  }
}

function fillAt(hour: number, index: number, of: number, venue: Venue): Fill {
  const random = noise(hour, index * 3 + 1);
  const coin = COINS[random < 0.6 ? 0 : 1];
  const isSwap = noise(hour, index * 3 + 2) < 0.5;
  const price = priceOf(coin, hour, index % 64);
  // Towards where the account began, so that it never holds more and more.
  const isSell = noise(hour, index * 3 + 3) < 0.5;
  const amount = String((1 + Math.floor(random * 400)) / (coin === 'BTC' ? 10_000 : 1000));
  const size = isSell ? -fixed(amount) : fixed(amount);
  const cost = multiplyFixed(size, fixed(price));
  const feeCoin = index % 3 === 0 ? 'BNB' : 'USDT';
  const fee = formatFixed((cost < 0n ? -cost : cost) / (feeCoin === 'BNB' ? 600_000n : 1000n));
  if (isSwap) venue.deal(coin, size, cost);
  else {
    venue.add(coin, size);
    venue.add('USDT', -cost);
  }
  venue.add(feeCoin, -fixed(fee));
  return {
    kind: 'fill',
    id: String(hour * 100_000 + index),
    orderId: null,
    clientOrderId: null,
    symbol: isSwap ? `${coin}/USDT:USDT` : `${coin}/USDT`,
    market: isSwap ? 'swap' : 'spot',
    base: coin,
    quote: 'USDT',
    settle: isSwap ? 'USDT' : null,
    side: isSell ? 'sell' : 'buy',
    price,
    amount,
    contractSize: isSwap ? '1' : null,
    inverse: isSwap ? false : null,
    cost: null,
    fees: [{ currency: feeCoin, amount: fee }],
    timeMs: START_MS + hour * HOUR_MS + 1000 + Math.floor((3_500_000 * index) / of),
    liquidity: index % 2 === 0 ? 'maker' : 'taker',
    rawDigest: RAW,
  };
}

function paymentsAt(hour: number, venue: Venue): readonly BookRecord[] {
  const payments: BookRecord[] = [];
  const timeMs = START_MS + hour * HOUR_MS;
  if (hour % 8 === 0 && hour > 0) {
    const amount = String(Math.round((noise(hour, 7) - 0.5) * 10_000) / 100);
    const symbol = 'BTC/USDT:USDT';
    payments.push({ kind: 'funding', id: `p${hour}`, symbol, currency: 'USDT', amount, timeMs });
    venue.add('USDT', fixed(amount));
  }
  if (hour % WEEK_HOURS === 100) {
    payments.push({
      kind: 'flow',
      id: `d${hour}`,
      type: 'deposit',
      direction: 'in',
      currency: 'USDT',
      amount: '5000',
      fee: null,
      timeMs: timeMs + HOUR_MS / 2,
      status: 'ok',
      networkId: `0x${hour}`,
      from: null,
      to: null,
      market: null,
    });
    venue.add('USDT', fixed('5000'));
  }
  return payments;
}

export function accountYear(hours: number, fills: number): AccountYear {
  const venue = new Venue();
  return {
    hours,
    fills,
    opening: venue.observe(START_MS),
    hour: (at) => {
      const [first, next] = [
        Math.floor((at * fills) / hours),
        Math.floor(((at + 1) * fills) / hours),
      ];
      const records: BookRecord[] = [...paymentsAt(at, venue)];
      for (let index = 0; index < next - first; index++) {
        records.push(fillAt(at, index, next - first, venue));
      }
      return { records, observation: venue.observe(START_MS + (at + 1) * HOUR_MS - 10_000) };
    },
    prices: pricesOf,
  };
}

function pricesOf(fromHour: number, toHour: number): readonly PriceRow[] {
  const rows: PriceRow[] = [];
  const add = (symbol: string, atMs: number, price: string, kind: PriceRow['kind']): void => {
    rows.push({ kind, symbol, atMs, price, source: 'api.venue.example/klines', tradedMs: atMs });
  };
  for (let hour = fromHour; hour <= toHour; hour++) {
    const times = [START_MS + hour * HOUR_MS];
    // By the minute where a deposit was.
    if (hour % WEEK_HOURS === 100) times.push(START_MS + hour * HOUR_MS + HOUR_MS / 2 - 30_000);
    for (const [part, atMs] of times.entries()) {
      add('USDT/USD', atMs, String(1 + Math.round(noise(hour, 5) * 20 - 10) / 10_000), 'spot');
      add('BNB/USDT', atMs, priceOf('BNB', hour, part), 'spot');
      for (const coin of COINS) {
        add(`${coin}/USDT`, atMs, priceOf(coin, hour, part), 'spot');
        add(`${coin}/USDT:USDT`, atMs, priceOf(coin, hour, part), 'mark');
      }
    }
  }
  return rows;
}
