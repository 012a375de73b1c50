import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  divide,
  formatAmount,
  formatPlaces,
  multiply,
  parseAmount,
  roundTo,
} from '../../../simulator/exchange/amount.ts';
import { Ledger, walletBook } from '../../../simulator/exchange/ledger.ts';
import {
  fund,
  move,
  openAccount,
  trade,
  transfer,
} from '../../../simulator/exchange/operations.ts';
import { oldestFirst, pageOf } from '../../../simulator/exchange/pages.ts';
import { World } from '../../../simulator/exchange/world.ts';

describe('amounts', () => {
  it('are the decimal that was written, to eighteen places', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (value) => {
        expect(parseAmount(formatAmount(value))).toBe(value);
      }),
    );
    expect(formatAmount(parseAmount('-0.100'))).toBe('-0.1');
    expect(formatAmount(parseAmount('0'))).toBe('0');
    expect(formatPlaces(parseAmount('1.239'), 2)).toBe('1.23');
    expect(formatPlaces(parseAmount('-0.001'), 2)).toBe('0.00');
    expect(formatPlaces(parseAmount('7'), 0)).toBe('7');
  });

  it.each(['', '1.', '.5', '+1', '1e3', '0.0000000000000000001', '1,5', 'NaN', '--1'])(
    'refuse %j',
    (text) => {
      expect(() => parseAmount(text)).toThrow(RangeError);
    },
  );

  it('multiply exactly, and cut towards zero where they must', () => {
    const [price, amount] = [parseAmount('65000.01'), parseAmount('0.00000001')];
    expect(formatAmount(multiply(price, amount))).toBe('0.0006500001');
    expect(formatAmount(roundTo(parseAmount('-1.999999999'), 8))).toBe('-1.99999999');
    expect(formatAmount(roundTo(divide(parseAmount('-1'), parseAmount('3')), 8))).toBe(
      '-0.33333333',
    );
  });
});

describe('the ledger', () => {
  it('throws at an entry that leaves something over', () => {
    const ledger = new Ledger();
    const book = walletBook('a', 'spot');
    const legs = [
      { book, currency: 'USDT', amount: 2n },
      { book: 'market', currency: 'USDT', amount: -1n },
    ];
    expect(() => ledger.post(0, 'trade', 1, legs)).toThrow(/unbalanced/u);
    expect(ledger.balance('a', 'spot', 'USDT')).toBe(0n);
  });

  const price = fc.integer({ min: 1, max: 9_999_999 }).map((cents) => (cents / 100).toFixed(2));
  const amount = fc.integer({ min: 1, max: 50_000 }).map((units) => (units / 1000).toFixed(3));
  const side = fc.constantFrom('buy' as const, 'sell' as const);
  const action = fc.oneof(
    fc.record({ type: fc.constant('spot' as const), side, price, amount }),
    fc.record({ type: fc.constant('linear' as const), side, price, amount }),
    fc.record({ type: fc.constant('inverse' as const), side, price, amount }),
    fc.record({ type: fc.constant('funding' as const), amount, side }),
    fc.record({ type: fc.constant('deposit' as const), amount }),
    fc.record({ type: fc.constant('withdrawal' as const), amount }),
    fc.record({ type: fc.constant('transfer' as const), amount }),
  );

  it('is at zero over all its books after any history, and never lends on spot', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const world = new World(() => 1_000_000);
        const { account } = openAccount(world, { venue: 'binance' });
        const of = { account: account.id };
        move(world, 'deposit', { ...of, currency: 'USDT', amount: '1000000' });
        for (const one of actions) {
          try {
            act(world, of, one);
          } catch (error) {
            // Only for the lack of money, and then nothing has changed.
            if (!/^RangeError: .* lacks /u.test(String(error))) throw error;
          }
        }
        const sums = new Map<string, bigint>();
        for (const { legs } of world.ledger.entries) {
          for (const leg of legs)
            sums.set(leg.currency, (sums.get(leg.currency) ?? 0n) + leg.amount);
        }
        expect([...sums.values()].every((sum) => sum === 0n)).toBe(true);
        const spot = [...world.ledger.balances(account.id, 'spot').values()];
        expect(spot.every((balance) => balance >= 0n)).toBe(true);
        // What is held is what was bought less what was sold.
        for (const [symbol, { contracts }] of account.positions) {
          const fills = account.fills.filter(({ market }) => market.symbol === symbol);
          const net = fills.reduce(
            (sum, fill) => sum + (fill.side === 'buy' ? fill.amount : -fill.amount),
            0n,
          );
          expect(contracts).toBe(net);
        }
        // The last row of each wallet and currency has its balance.
        for (const row of world.ledger.rows(account.id)) {
          const last = world.ledger
            .rows(account.id)
            .findLast(({ wallet, currency }) => wallet === row.wallet && currency === row.currency);
          expect(last?.balance).toBe(world.ledger.balance(account.id, row.wallet, row.currency));
        }
      }),
      { numRuns: 60 },
    );
  });

  type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

  function act(world: World, of: { readonly account: string }, one: Action): void {
    if (one.type === 'spot') trade(world, { ...of, ...one, symbol: 'BTC/USDT' });
    else if (one.type === 'linear') trade(world, { ...of, ...one, symbol: 'BTC/USDT:USDT' });
    else if (one.type === 'inverse') trade(world, { ...of, ...one, symbol: 'BTC/USD:BTC' });
    else if (one.type === 'funding') {
      const signed = one.side === 'buy' ? one.amount : `-${one.amount}`;
      fund(world, { ...of, symbol: 'BTC/USDT:USDT', amount: signed });
    } else if (one.type === 'transfer') {
      transfer(world, { ...of, currency: 'USDT', amount: one.amount, toWallet: 'linear' });
    } else move(world, one.type, { ...of, currency: 'USDT', amount: one.amount, fee: '0.1' });
  }

  it('closes a position at the profit that its prices say, whatever the way there', () => {
    const world = new World(() => 1_000_000);
    const { account } = openAccount(world, { venue: 'binance' });
    const common = { account: account.id, symbol: 'BTC/USDT:USDT', fee: '0' };
    trade(world, { ...common, side: 'buy', price: '100', amount: '1' });
    trade(world, { ...common, side: 'buy', price: '200', amount: '1' });
    // Through zero: two closed at an average of 150, one opened short at 180.
    const turned = trade(world, { ...common, side: 'sell', price: '180', amount: '3' });
    expect(formatAmount(turned.realized)).toBe('60');
    expect(account.positions.get('BTC/USDT:USDT')).toMatchObject({
      contracts: parseAmount('-1'),
      entry: parseAmount('180'),
    });
    const closed = trade(world, { ...common, side: 'buy', price: '190', amount: '1' });
    expect(formatAmount(closed.realized)).toBe('-10');
    expect(formatAmount(world.ledger.balance(account.id, 'linear', 'USDT'))).toBe('50');
  });
});

describe('pages', () => {
  it('give each record once, whatever their size, and whatever arrives meanwhile', () => {
    const records = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 30 });
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 7 }), (times, limit) => {
        const kept = times.map((timeMs, number) => ({ timeMs, number }));
        const seen: number[] = [];
        let cursor: string | null = null;
        do {
          const page: ReturnType<typeof pageOf<(typeof kept)[number]>> = pageOf(
            kept,
            limit,
            cursor,
          );
          if (page === null) throw new Error('no page');
          seen.push(...page.records.map(({ number }) => number));
          ({ cursor } = page);
          kept.push({ timeMs: 9, number: 1000 + kept.length });
        } while (cursor !== '' && cursor !== null);
        const old = seen.filter((number) => number < 1000);
        expect(old.toSorted((left, right) => left - right)).toEqual(times.map((_, at) => at));
      }),
    );
    expect(pageOf([], 1, 'nonsense')).toBe(null);
    expect(
      oldestFirst([
        { timeMs: 2, number: 1 },
        { timeMs: 1, number: 2 },
      ])[0]?.number,
    ).toBe(2);
  });
});
