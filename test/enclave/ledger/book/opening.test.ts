// The way backwards: what was held before the records that are known, at which cost.

import { describe, expect, it } from 'vitest';
import type { Fill } from '../../../../enclave/connector/records.ts';
import { eventOf } from '../../../../enclave/ledger/book/event.ts';
import { observedOf } from '../../../../enclave/ledger/book/observed.ts';
import { openingOf } from '../../../../enclave/ledger/book/opening.ts';
import { balance, inverse, linear, observation, position, T0, text } from './helpers.ts';

const SYMBOL = 'BTC/USDT:USDT';

interface Opened {
  readonly contracts: string | null;
  readonly cost: string | null;
  readonly cash: string | null;
}

/** Of 10,000 USDT in the wallet afterwards, and `left` contracts entered at `entry`. */
function before(fills: readonly Fill[], left: string, entry: string | null): Opened {
  const held = left.replace('-', '');
  const side = left.startsWith('-') ? 'short' : 'long';
  const positions = left === '0' ? [] : [position({ contracts: held, side, entry, mark: '150' })];
  const observed = observedOf(observation(T0 + 1000, [balance('USDT', '10000')], positions), false);
  const events = fills.flatMap((fill) => eventOf(fill, false) ?? []);
  if (observed === null) throw new Error('no observation');
  const { fifo, ledger } = openingOf(observed, events);
  return {
    contracts: text(fifo.contracts(SYMBOL)),
    cost: text(fifo.contractsCost(SYMBOL)),
    cash: text(ledger.balance('wallet', 'USDT')),
  };
}

function deal(side: 'buy' | 'sell', amount: string, price: string, at: number): Fill {
  return linear({ side, amount, price, timeMs: T0 + at });
}

describe('before what is known there was', () => {
  it.each([
    [
      'what is there, without records',
      [],
      '2',
      '100',
      { contracts: '2', cost: '200', cash: '9800' },
    ],
    [
      'less, of what was added to',
      [deal('buy', '1', '130', 1)],
      '3',
      '110',
      { contracts: '2', cost: '200', cash: '9800' },
    ],
    [
      'more at the same average, of what was sold from',
      [deal('sell', '1', '130', 1)],
      '2',
      '100',
      { contracts: '3', cost: '300', cash: '9670' },
    ],
    [
      'nothing, of what was opened',
      [deal('buy', '2', '100', 1)],
      '2',
      '100',
      { contracts: '0', cost: '0', cash: '10000' },
    ],
    [
      'what was closed, at the price at which it was',
      [deal('sell', '2', '130', 1)],
      '0',
      null,
      { contracts: '2', cost: '260', cash: '9740' },
    ],
    [
      'the other side of what was turned over, at that price',
      [deal('sell', '5', '130', 1)],
      '-3',
      '130',
      { contracts: '2', cost: '260', cash: '9740' },
    ],
    [
      'a short that was added to and then covered in part',
      [deal('sell', '2', '120', 1), deal('buy', '1', '90', 2)],
      '-3',
      '110',
      // Four at 110 after the first deal; so two at 100 before it.
      { contracts: '-2', cost: '-200', cash: '10180' },
    ],
    [
      'what is at its mark, where no entry is told',
      [],
      '2',
      null,
      { contracts: '2', cost: '300', cash: '9700' },
    ],
  ] as const)('%s', (_, fills, left, entry, expected) => {
    expect(before(fills, left, entry)).toEqual(expected);
  });

  it('an inverse contract, in its coin', () => {
    const fill = inverse({ side: 'buy', amount: '100', price: '50000', timeMs: T0 + 1 });
    const event = eventOf(fill, false);
    const seen = position({
      symbol: 'BTC/USD:BTC',
      contracts: '300',
      contractSize: '100',
      entry: '40000',
      settle: 'BTC',
    });
    const observed = observedOf(observation(T0 + 9, [balance('BTC', '1')], [seen]), false);
    if (observed === null || event === null) throw new Error('not read');
    const { fifo, ledger } = openingOf(observed, [event]);
    // 300 of 100 dollars at 40,000 are 0.75 coins, 100 of them bought at 50,000 are 0.2.
    expect(text(fifo.contractsCost('BTC/USD:BTC'))).toBe('-0.55');
    expect(text(ledger.balance('wallet', 'BTC'))).toBe('1.55');
    expect(text(fifo.quantity('BTC'))).toBe('1');
  });
});
