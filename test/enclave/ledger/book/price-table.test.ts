import { createSecretKey } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BookState } from '../../../../enclave/ledger/book/book-state.ts';
import type { PriceRow } from '../../../../enclave/ledger/book/contract.ts';
import { HourPrices } from '../../../../enclave/ledger/book/hour-prices.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { row } from './helpers.ts';

const AT = 1_000_000;
const AGE = 1000;

function dollars(rows: readonly PriceRow[], asset: string, atMs = AT): string | null {
  const valuation = PriceTable.of(rows).lookup(asset, atMs, AGE);
  return valuation === null ? null : formatFixed(valuation.price);
}

function made(all: readonly (readonly [string, number, number])[]): readonly PriceRow[] {
  return all.map(([name, atMs, price]) => row(name, atMs, String(price)));
}

describe('a price', () => {
  it('is the last one at or before the moment, and not older than allowed', () => {
    const rows = [row('BTC/USD', AT - AGE, '1'), row('BTC/USD', AT + 1, '3')];
    expect(dollars(rows, 'BTC', AT - AGE - 1)).toBeNull();
    expect(dollars(rows, 'BTC', AT - AGE)).toBe('1');
    expect(dollars(rows, 'BTC', AT)).toBe('1');
    expect(dollars(rows, 'BTC', AT + 1)).toBe('3');
    expect(dollars([row('BTC/USD', AT - AGE - 1, '1')], 'BTC')).toBeNull();
  });

  it('goes over stablecoins that have prices of their own', () => {
    const rows = [row('ETH/BTC', AT, '0.05'), row('BTC/USDT', AT, '60000')];
    expect(dollars(rows, 'ETH')).toBeNull();
    expect(dollars([...rows, row('USDT/USD', AT, '0.9')], 'ETH')).toBe('2700');
    expect(dollars([...rows, row('USDT/USD', AT - AGE - 1, '0.9')], 'ETH')).toBeNull();
  });

  it('goes over three legs and not over four', () => {
    const legs = ['A/B', 'B/C', 'C/D', 'D/USD'].map((symbol) => row(symbol, AT, '2'));
    expect(dollars(legs, 'B')).toBe('8');
    expect(dollars(legs, 'A')).toBeNull();
  });

  it('rests on nothing of a way that leads nowhere', () => {
    const ways = [
      // Euros come first, and from there it is one leg too many.
      row('A/EUR', AT, '5'),
      row('BTC/EUR', AT, '9'),
      row('A/BTC', AT, '2'),
      row('BTC/USDT', AT, '10'),
      row('USDT/USD', AT, '1'),
    ];
    const found = PriceTable.of(ways).lookup('A', AT, AGE);
    expect(formatFixed(found?.price ?? 0n)).toBe('20');
    expect(found?.rows.map(({ line }) => line.split('\t')[1])).toEqual([
      'A/BTC',
      'BTC/USDT',
      'USDT/USD',
    ]);
  });

  it('is the direct one where there is one, and another where that is too old', () => {
    const ways = [row('BTC/USDT', AT, '10'), row('USDT/USD', AT, '1')];
    expect(dollars([...ways, row('BTC/USD', AT, '11')], 'BTC')).toBe('11');
    expect(dollars([...ways, row('BTC/USD', AT - AGE - 1, '11')], 'BTC')).toBe('10');
  });

  it('of a currency may be told the other way round', () => {
    expect(dollars([row('USD/JPY', AT, '160')], 'JPY')).toBe('0.00625');
  });

  it('of the dollar is one, and rests on nothing', () => {
    expect(PriceTable.of([]).lookup('USD', AT, AGE)?.rows).toEqual([]);
    expect(dollars([row('USD/EUR', AT, '2')], 'USD')).toBe('1');
  });

  it('of one moment is of the source that sorts first, whichever came first', () => {
    const a = { ...row('BTC/USD', AT, '1'), source: 'a' };
    const b = { ...row('BTC/USD', AT, '2'), source: 'b' };
    expect([dollars([a, b], 'BTC'), dollars([b, a], 'BTC')]).toEqual(['1', '1']);
  });

  it('of one moment and source is as old as the one that says more says', () => {
    const hour = row('BTC/USD', AT, '1');
    const minute = { ...hour, tradedMs: AT - 5 };
    for (const rows of [
      [hour, minute],
      [minute, hour],
    ]) {
      const [found] = PriceTable.of(rows).lookup('BTC', AT, AGE)?.rows ?? [];
      expect(found?.told.tradedMs).toBe(AT - 5);
    }
  });

  it('is the same for a table that was asked before, in whatever order', () => {
    const [symbol, moment] = [
      fc.constantFrom('A/USD', 'A/B', 'B/USD', 'B/C', 'A/C', 'C/USD'),
      fc.integer({ min: 0, max: 12 }),
    ];
    const rows = fc.array(fc.tuple(symbol, moment, fc.integer({ min: 1, max: 9 })), {
      maxLength: 12,
    });
    const asked = fc.array(
      fc.tuple(fc.constantFrom('A', 'B', 'C'), moment, fc.integer({ min: 0, max: 5 })),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(rows, rows, asked, asked, (first, more, before, after) => {
        const table = PriceTable.of(made(first));
        for (const [asset, atMs, ageMs] of before) {
          const fresh = PriceTable.of(made(first)).lookup(asset, atMs, ageMs);
          expect(table.lookup(asset, atMs, ageMs)).toEqual(fresh);
        }
        table.add(made(more));
        for (const [asset, atMs, ageMs] of after) {
          const fresh = PriceTable.of(made([...first, ...more])).lookup(asset, atMs, ageMs);
          expect(table.lookup(asset, atMs, ageMs)).toEqual(fresh);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('does not depend on the order in which rows came', () => {
    const rows = fc.array(
      fc.record({
        symbol: fc.constantFrom('BTC/USD', 'BTC/USDT', 'USDT/USD', 'USDT/EUR', 'EUR/USD'),
        atMs: fc.integer({ min: AT - 2 * AGE, max: AT + AGE }),
        price: fc.integer({ min: 1, max: 99 }).map(String),
        source: fc.constantFrom('a', 'b', 'c'),
        age: fc.nat({ max: 2 }),
      }),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(
        rows,
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: AT - AGE, max: AT }),
        (list, keys, at) => {
          // A source says one price of a moment, by the hour and by the minute; and may say differently how old it is.
          const told = new Map(list.map((one) => [`${one.symbol}${one.atMs}${one.source}`, one]));
          const all = list.map(({ symbol, atMs, source, age }): PriceRow => ({
            kind: 'spot',
            symbol,
            atMs,
            price: told.get(`${symbol}${atMs}${source}`)?.price ?? '',
            source,
            tradedMs: atMs - age,
          }));
          const shuffled = all
            .map((one) => ({ one, key: keys.next().value ?? 0 }))
            .sort((a, b) => a.key - b.key)
            .map(({ one }) => one);
          const [table, other] = [PriceTable.of(all), PriceTable.of(shuffled)];
          expect(other.lookup('BTC', at, AGE)).toEqual(table.lookup('BTC', at, AGE));
          // Asked in whatever order, too.
          other.lookup('BTC', at + AGE, AGE);
          other.lookup('BTC', at - AGE, AGE);
          expect(other.lookup('BTC', at, AGE)).toEqual(table.lookup('BTC', at, AGE));
        },
      ),
    );
  });

  it.each([
    ['zero', row('BTC/USD', AT, '0')],
    ['negative', row('BTC/USD', AT, '-1')],
    ['not canonical', row('BTC/USD', AT, '1.0')],
    ['too precise', row('BTC/USD', AT, `0.${'0'.repeat(18)}1`)],
    ['of no pair', row('BTCUSD', AT, '1')],
    ['of three', row('BTC/USD/EUR', AT, '1')],
    ['of one thing twice', row('BTC/BTC', AT, '1')],
  ])('that is %s is refused and counted', (_, wrong) => {
    const table = new PriceTable();
    expect(table.add([wrong, row('ETH/USD', AT, '5')])).toBe(1);
    expect(table.size).toBe(1);
  });

  it('of a contract is by its mark, never by the spot of its name', () => {
    const table = PriceTable.of([row('BTC/USDT:USDT', AT, '7', 'mark')]);
    expect(formatFixed(table.mark('BTC/USDT:USDT', AT, AGE)?.price ?? 0n)).toBe('7');
    expect(table.mark('BTC/USDT', AT, AGE)).toBeNull();
    expect(table.lookup('BTC', AT, AGE)).toBeNull();
  });
});

const ROWS = [row('BTC/USDT', AT - 5, '10'), row('USDT/USD', AT - 7, '1'), row('ETH/USD', AT, '2')];

function digest(...assets: readonly string[]): string {
  const prices = new HourPrices(PriceTable.of(ROWS), new BookState());
  for (const asset of assets) prices.dollars(asset, AT, AGE);
  return Buffer.from(prices.digest()).toString('hex');
}

describe('the prices of an hour', () => {
  it('say which rows were used, how old they were, and nothing of the others', () => {
    const prices = new HourPrices(PriceTable.of(ROWS), new BookState());
    prices.dollars('BTC', AT, AGE);
    prices.dollars('BTC', AT + 100, AGE);
    expect(prices.sources()).toEqual([{ source: 'venue.example/spot', rows: 2, oldestAgeMs: 107 }]);
  });

  it('have a digest of what was used, in whatever order', () => {
    expect(digest('BTC', 'ETH')).toBe(digest('ETH', 'BTC', 'BTC'));
    expect(digest('BTC')).not.toBe(digest('BTC', 'ETH'));
    // Of nothing and under no key: HMAC-SHA256 of nothing.
    expect(digest()).toMatch(/^b613679a0814d9ec/u);
    const keyed = new HourPrices(
      PriceTable.of(ROWS),
      new BookState(),
      createSecretKey(new Uint8Array(32).fill(1)),
    );
    keyed.dollars('BTC', AT, AGE);
    expect(Buffer.from(keyed.digest()).toString('hex')).not.toBe(digest('BTC'));
  });

  it.each([
    [
      'BTC/USD',
      'api.coinbase.com/api/v3/brokerage/market/products/BTC-USD/candles',
      'api.coinbase.com/api/v3/brokerage/market/products/*/candles',
    ],
    [
      'BTC/USDT',
      'contract.mexc.com/api/v1/contract/kline/BTC_USDT',
      'contract.mexc.com/api/v1/contract/kline/*',
    ],
    [
      'XBT/USD',
      'futures.kraken.com/api/charts/v1/mark/PF_XBTUSD/1h',
      'futures.kraken.com/api/charts/v1/mark/*/1h',
    ],
    ['ETH/USDT', 'x.example/klines/ethusdt', 'x.example/klines/*'],
    [
      'BTC/USDT',
      'fapi.binance.com/fapi/v1/markPriceKlines',
      'fapi.binance.com/fapi/v1/markPriceKlines',
    ],
  ])('name no instrument: %s', (symbol, source, shown) => {
    const rows = [{ ...row(symbol, AT, '1'), source }, row('USDT/USD', AT, '1')];
    const prices = new HourPrices(PriceTable.of(rows), new BookState());
    prices.dollars(symbol.split('/')[0] ?? '', AT, AGE);
    expect(prices.sources().map((one) => one.source)).toContain(shown);
    expect(prices.sources().map((one) => one.source)).not.toContain(source === shown ? '' : source);
  });

  it('name one source for each instrument that it would name', () => {
    const source = 'x.example/klines/btc/1h';
    const rows = [
      { ...row('BTC/USD', AT, '1'), source },
      { ...row('ETH/USD', AT, '1'), source },
    ];
    const prices = new HourPrices(PriceTable.of(rows), new BookState());
    for (const asset of ['BTC', 'ETH']) prices.dollars(asset, AT, AGE);
    expect(prices.sources().map((one) => one.source)).toEqual(['x.example/klines/*/1h', source]);
  });

  it('have a stand-in where one is missing, and say that it is not known', () => {
    const prices = new HourPrices(PriceTable.of(ROWS), new BookState());
    expect(prices.dollars('BTC', AT + AGE + 1, AGE)).toMatchObject({ price: 0n, known: false });
    expect(prices.dollars('BTC', AT, AGE).known).toBe(true);
    const stale = prices.dollars('BTC', AT + AGE + 1, AGE);
    expect([formatFixed(stale.price), stale.known]).toEqual(['10', false]);
  });
});
