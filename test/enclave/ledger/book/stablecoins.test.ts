// A coin that is made to be worth a dollar is worth what it is sold for at the moment that it is paid, whatever it is paid for.

import { expect, it } from 'vitest';
import {
  balance,
  flow,
  funding,
  hourly,
  linear,
  MINUTE_MS,
  observation,
  row,
  spot,
  T0,
  tell,
  text,
  unexplained,
} from './helpers.ts';

const AT_MS = T0 + 30 * MINUTE_MS;

it.each(['USDT', 'USDC', 'DAI'])('%s that has lost its peg, in all that is paid in it', (coin) => {
  const pair = { symbol: `BTC/${coin}`, quote: coin } as const;
  const swap = { symbol: `BTC/${coin}:${coin}`, quote: coin, settle: coin } as const;
  const facts = { currency: coin, timeMs: AT_MS } as const;
  const { figures } = tell({
    opening: observation(T0, [balance(coin, '100000')]),
    records: [
      flow({ type: 'deposit', direction: 'in', amount: '1000', ...facts }),
      flow({ type: 'withdrawal', direction: 'out', amount: '200', ...facts }),
      flow({ type: 'fee', direction: 'out', amount: '7', ...facts }),
      funding({ amount: '-50', symbol: swap.symbol, ...facts }),
      spot({
        ...pair,
        side: 'buy',
        price: '50000',
        amount: '0.1',
        fees: [{ currency: coin, amount: '5' }],
        timeMs: AT_MS,
      }),
      linear({
        ...swap,
        side: 'buy',
        price: '50000',
        amount: '1',
        fees: [{ currency: coin, amount: '20' }],
        timeMs: AT_MS,
      }),
    ],
    prices: [
      ...hourly(`${coin}/USD`, ['0.99', '0.97']),
      row(`${coin}/USD`, AT_MS - MINUTE_MS, '0.98'),
      ...hourly(`BTC/${coin}`, ['50000', '50000']),
      ...hourly(swap.symbol, ['50000', '50000'], 'mark'),
    ],
    hours: 1,
  });
  const [hour] = figures;
  if (hour === undefined) throw new Error('no hour');
  expect(hour.flows.map(({ amount }) => text(amount))).toEqual(['980', '-196']);
  expect([hour.inflow, hour.outflow].map(text)).toEqual(['980', '196']);
  // 7 + 5 + 20, and 5,000 + 50,000, at 0.98.
  expect([hour.fees, hour.funding, hour.volume].map(text)).toEqual(['31.36', '-49', '53900']);
  // 99,000 less what it paid and 5,000; at the end, 0.1 BTC is worth 5,000 of it again.
  expect([hour.equityStart, hour.equityEnd].map(text)).toEqual(['99000', '97696.46']);
  expect(unexplained(hour)).toBe(0n);
});
