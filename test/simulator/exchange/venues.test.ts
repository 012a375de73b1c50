import { bybit, coinbase, kraken } from 'ccxt';
import type { Exchange, Trade } from 'ccxt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatAmount, parseAmount } from '../../../simulator/exchange/amount.ts';
import type { AccountAnswer } from '../../../simulator/exchange/control.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { fetchFor } from './dial.ts';

type Make = (config: object) => Exchange;

interface Case {
  readonly venue: 'bybit' | 'coinbase' | 'kraken';
  readonly make: Make;
  readonly cash: string;
  readonly spot: string;
  readonly swap: string | null;
  /** The wallet of spot trades. */
  readonly wallet: string;
  /** What ccxt makes of 10.5 and a fee of 1. */
  readonly withdrawn: string;
}

const CASES: readonly Case[] = [
  {
    venue: 'bybit',
    make: (config) => new bybit(config),
    cash: 'USDT',
    spot: 'BTC/USDT',
    swap: 'BTC/USDT:USDT',
    wallet: 'trading',
    withdrawn: '10.5',
  },
  {
    venue: 'kraken',
    make: (config) => new kraken(config),
    cash: 'USD',
    spot: 'BTC/USD',
    swap: null,
    wallet: 'spot',
    withdrawn: '10.5',
  },
  {
    venue: 'coinbase',
    make: (config) => new coinbase(config),
    cash: 'USD',
    spot: 'BTC/USD',
    swap: null,
    wallet: 'spot',
    // It takes the subtotal, which has the fee in it.
    withdrawn: '11.5',
  },
];

let exchange: RunningExchange;

beforeAll(async () => {
  exchange = await startExchange();
  for (const { venue } of CASES) exchange.control.limits({ venue, scale: 100 });
});

afterAll(() => exchange.close());

function clientOf({ make }: Case, account: AccountAnswer): Exchange {
  const { api_key: apiKey, secret, passphrase } = account;
  const credentials = { apiKey, secret, password: passphrase ?? undefined };
  const options = { fetchImplementation: fetchFor(exchange), number: String };
  const made = make({ ...credentials, ...options, enableRateLimit: false });
  // Kraken wants nonces that rise, and two calls may fall into one millisecond.
  let nonce = Date.now();
  if (made.id === 'kraken') made.nonce = () => (nonce += 1);
  return made;
}

function add(texts: readonly (string | undefined)[]): string {
  return formatAmount(texts.reduce((sum, text) => sum + parseAmount(text ?? ''), 0n));
}

function feesOf(trades: readonly Trade[]): Record<string, string> {
  const groups = Map.groupBy(trades, ({ fee }) => fee?.currency ?? '');
  const sums = [...groups].map(([currency, all]) => [
    currency,
    add(all.map(({ fee }) => String(fee?.cost))),
  ]);
  return Object.fromEntries(sums) as Record<string, string>;
}

describe.each(CASES)('$venue, as ccxt speaks to it', (one) => {
  const { venue, cash, spot, swap, wallet, withdrawn } = one;

  it('tells what the ledger holds', async () => {
    const { control } = exchange;
    const account = control.account({ venue });
    const of = { account: account.account };
    const since = Date.now() - 10_000;
    control.deposit({ ...of, currency: cash, amount: '1000000' });
    control.trade({ ...of, symbol: spot, side: 'buy', price: '65000.01', amount: '0.5' });
    control.trade({ ...of, symbol: spot, side: 'sell', price: '66000.03', amount: '0.25' });
    control.withdraw({ ...of, currency: cash, amount: '10.5', fee: '1' });
    if (swap !== null) {
      control.trade({ ...of, symbol: swap, side: 'sell', price: '65000', amount: '2' });
      control.trade({ ...of, symbol: swap, side: 'buy', price: '64000', amount: '1' });
      control.funding({ ...of, symbol: swap, amount: '-0.25' });
      // At the entry price, so that equity and balance are one.
      control.price({ venue, symbol: swap, price: '65000' });
    }
    const client = clientOf(one, account);
    await client.loadMarkets();
    const ledger = control.ledger(of);

    const spots = await client.fetchMyTrades(spot, since);
    const swaps = swap === null ? [] : await client.fetchMyTrades(swap, since);
    const trades = [...spots, ...swaps];
    expect(trades).toHaveLength(ledger.fills);
    expect({ [cash]: add(trades.map(({ cost }) => String(cost))) }).toEqual(ledger.volume);
    expect(feesOf(trades)).toEqual(ledger.fees);
    const deposits = await client.fetchDeposits(cash, since - 5000);
    expect(add(deposits.map(({ amount }) => String(amount)))).toBe('1000000');
    const withdrawals = await client.fetchWithdrawals(cash, since - 5000);
    expect(withdrawals.map(({ amount, fee }) => [add([String(amount)]), fee?.currency])).toEqual([
      [withdrawn, cash],
    ]);
    const balances = await client.fetchBalance();
    const held = Object.keys(ledger.balances[wallet] ?? {});
    const told = held.map((currency) => [currency, add([String(balances[currency]?.total)])]);
    expect(Object.fromEntries(told)).toEqual(ledger.balances[wallet]);
    const positions = swap === null ? [] : await client.fetchPositions([swap]);
    const sizes = positions.map(({ symbol, side, contracts }) => [symbol, side, contracts]);
    expect(sizes).toEqual(swap === null ? [] : [[swap, 'short', '1']]);
    expect(ledger.positions).toEqual(swap === null ? {} : { [swap]: '-1' });
  });

  it('refuses a forged signature and a key that is no more', async () => {
    const { control } = exchange;
    const account = control.account({ venue });
    const { secret } = control.account({ venue });
    const forged = clientOf(one, { ...account, secret });
    await expect(forged.fetchBalance()).rejects.toThrow(/sign|Unauthorized|invalid token/iu);
    const client = clientOf(one, account);
    await client.fetchBalance();
    control.revoke({ account: account.account });
    await expect(client.fetchBalance()).rejects.toThrow(/key|Unauthorized|invalid token/iu);
  });
});
