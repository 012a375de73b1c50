// Sums of a user's accounts as a client adds them up: what is not known is not zero, and what is played is not money.

import { describe, expect, it } from 'vitest';
import { totalsOf } from '../../client/node/track-totals.ts';

type Figures = Parameters<typeof totalsOf>[0][number];

function account(equity: string | null, environment: Figures['environment'] = 'live'): Figures {
  const figures = new Map<string, string | number | null>([
    ['equity_end', equity],
    ['unrealised_end', '0.1'],
    ['fees', '1'],
    ['trades', 2],
  ]);
  return { environment, figures };
}

describe('sums of accounts', () => {
  it('are exact', () => {
    const { equity, balance, fees, trades, accounts } = totalsOf([
      account('0.1'),
      account('-0.300000000000000001'),
    ]);
    expect({ equity, balance, fees, trades, accounts }).toEqual({
      equity: '-0.200000000000000001',
      balance: '-0.400000000000000001',
      fees: '2',
      trades: 4,
      accounts: 2,
    });
  });

  it('are not known where one of them does not know its part', () => {
    const { equity, balance, fees, volume } = totalsOf([account('1'), account(null)]);
    expect([equity, balance, fees, volume]).toEqual([null, null, '2', null]);
  });

  it('have no money of a test environment beside money that is', () => {
    const mixed = totalsOf([account('1'), account('1000000', 'sandbox')]);
    expect([mixed.accounts, mixed.equity, mixed.trades]).toEqual([1, '1', 2]);
    const played = totalsOf([account('1', 'sandbox'), account('2', 'sandbox')]);
    expect([played.accounts, played.equity]).toEqual([2, '3']);
    expect(totalsOf([])).toMatchObject({ accounts: 0, equity: '0', trades: 0 });
  });
});
