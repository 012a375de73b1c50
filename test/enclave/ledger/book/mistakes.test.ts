// What earlier systems got wrong, by the numbers of the list that they were collected in; each case fails where the old
// way of counting comes back.

import { describe, expect, it } from 'vitest';
import type { Fill } from '../../../../enclave/connector/records.ts';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type { BookRecord } from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import { hourReturn } from '../../../../wire/performance/hour-return.ts';
import {
  balance,
  close,
  flow,
  funding,
  hourly,
  inverse,
  linear,
  MINUTE_MS,
  observation,
  parUsdt,
  position,
  row,
  spot,
  T0,
  tell,
  text,
  unexplained,
} from './helpers.ts';

const BTC = hourly('BTC/USDT', ['50000', '50000', '50000', '50000']);
const MARKS = hourly('BTC/USDT:USDT', ['50000', '51000', '51000', '51000'], 'mark');

/** Of an account of two bitcoins whose price falls and rises. */
function ratiosOf(records: readonly BookRecord[]): readonly (string | null)[] {
  return tell({
    opening: observation(T0, [balance('BTC', '2')]),
    records,
    prices: [
      ...parUsdt(1),
      ...hourly('BTC/USD', ['50000', '55000']),
      row('BTC/USD', T0 + 30 * MINUTE_MS, '40000'),
    ],
    hours: 1,
  }).figures.map((figures) => hourReturn(figures).ratio);
}

/** Of 1,000 dollars that are so many at the next poll, without a word. */
function returnWith(usdt: string): readonly (string | null)[] {
  return tell({
    opening: observation(T0, [balance('USDT', '1000')]),
    observations: [observation(T0 + MINUTE_MS, [balance('USDT', usdt)])],
    prices: parUsdt(1),
    hours: 1,
  }).figures.flatMap((figures) => [hourReturn(figures).ratio, hourReturn(figures).reason]);
}

function bought(price: string, amount: string, timeMs: number): Fill {
  return spot({ side: 'buy', price, amount, timeMs });
}

describe('7: deposits and withdrawals are no profit and no loss', () => {
  it.each([
    ['deposit', 'in', '900000'],
    ['withdrawal', 'out', '90000'],
    ['transfer_in', 'in', '5'],
    ['transfer_out', 'out', '5'],
  ] as const)('a %s moves no return', (type, direction, amount) => {
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000')]),
      records: [flow({ type, direction, currency: 'USDT', amount, timeMs: T0 + 30 * MINUTE_MS })],
      prices: [...parUsdt(1), row('USDT/USD', T0 + 29 * MINUTE_MS, '1')],
      hours: 1,
    });
    const [hour] = figures;
    expect(hour === undefined ? null : hourReturn(hour)).toEqual({
      ratio: '0',
      method: 'twr',
      reason: null,
    });
    expect(text((direction === 'in' ? hour?.inflow : hour?.outflow) ?? null)).toBe(amount);
    expect(hour?.realised).toBe(0n);
  });

  it('nor is money that no record explains: it may be a deposit that the venue does not list', () => {
    expect(returnWith('1500')).toEqual([null, 'gain_unexplained']);
    // What is gone without a word is a loss.
    expect(returnWith('500')).toEqual(['-0.5', null]);
  });

  it('a deposit in the middle does not move the return of what is held', () => {
    const amount = { currency: 'BTC', amount: '7', timeMs: T0 + 30 * MINUTE_MS };
    const deposit = flow({ type: 'deposit', direction: 'in', ...amount });
    expect(ratiosOf([])).toEqual(['0.1']);
    expect(ratiosOf([deposit])).toEqual(['0.1']);
  });
});

describe('8: coins are worth their price, not their number', () => {
  it('half a bitcoin is 25,000 dollars, and every coin counts', () => {
    const { figures } = tell({
      opening: observation(T0, [
        balance('BTC', '0.5'),
        balance('ETH', '2', 'earn'),
        balance('EUR', '100', 'funding'),
      ]),
      prices: [
        ...parUsdt(1),
        ...BTC,
        ...hourly('ETH/BTC', ['0.05', '0.05']),
        ...hourly('EUR/USD', ['1.1', '1.1']),
      ],
      hours: 1,
    });
    // 25,000 + 2 · 0.05 · 50,000 + 110
    expect(text(figures[0]?.equityEnd ?? null)).toBe('30110');
  });

  it('a stablecoin is what it is sold for: never a dollar by decree', () => {
    const opening = observation(T0, [balance('USDC', '1000')]);
    const prices = hourly('USDC/USD', ['1', '0.88']);
    const [fallen] = tell({ opening, prices, hours: 1 }).figures;
    expect(text(fallen?.equityEnd ?? null)).toBe('880');
    expect(text(fallen?.unrealisedChange ?? null)).toBe('-120');
    const [unknown] = tell({ opening, prices: [], hours: 1 }).figures;
    expect(unknown?.equityEnd).toBeNull();
    expect(unknown?.gaps).toContain('price_missing');
  });
});

describe('9: a wallet counts once', () => {
  it('however often it was told; two wallets are two', () => {
    const usdt = balance('USDT', '100', 'futures');
    const opening = observation(T0, [usdt, usdt, balance('USDT', '7', 'spot')]);
    const [hour] = tell({ opening, prices: parUsdt(1), hours: 1 }).figures;
    expect(text(hour?.equityEnd ?? null)).toBe('107');
  });
});

describe('10: what is not known is not zero', () => {
  it('an hour without a price has no value; where the last price is an hour old it says so', () => {
    const prices = [...parUsdt(4), ...hourly('BTC/USDT', ['50000', '0', '0', '60000', '60000'])];
    const opening = observation(T0, [balance('BTC', '1')]);
    const { figures } = tell({ opening, prices, hours: 4 });
    expect(figures.map(({ equityEnd }) => text(equityEnd))).toEqual([
      '50000',
      null,
      '60000',
      '60000',
    ]);
    expect(figures.map(({ equityStart }) => text(equityStart))).toEqual([
      '50000',
      '50000',
      null,
      '60000',
    ]);
    expect(figures.map((hour) => hourReturn(hour).ratio)).toEqual(['0', null, null, '0']);
    expect(figures.map(({ gaps }) => gaps)).toEqual([['price_old'], ['price_missing'], [], []]);
    expect(figures[0]?.prices).toEqual([
      { source: 'venue.example/spot', rows: 3, oldestAgeMs: HOUR_MS },
    ]);
  });

  it('a coin that nobody deals has its last price, as old as it is', () => {
    const quiet = [0, 1, 2, 3].map((hour) =>
      row('BTC/USDT', T0 + hour * HOUR_MS, '50000', 'spot', T0 - HOUR_MS),
    );
    const opening = observation(T0, [balance('BTC', '1')]);
    const { figures } = tell({ opening, prices: [...parUsdt(3), ...quiet], hours: 3 });
    expect(figures.map(({ equityEnd }) => text(equityEnd))).toEqual(['50000', '50000', '50000']);
    expect(figures.map(({ gaps }) => gaps)).toEqual([['price_old'], ['price_old'], ['price_old']]);
    const ages = figures.map(({ prices }) => prices.map(({ oldestAgeMs }) => oldestAgeMs));
    expect(ages).toEqual([[2 * HOUR_MS], [3 * HOUR_MS], [4 * HOUR_MS]]);
  });

  it('a share has its last price while its exchange is closed, for five days and not longer', () => {
    const hours = 5 * 24 + 1;
    const { figures } = tell({
      opening: observation(
        T0,
        [],
        [
          position({
            symbol: 'AAPL',
            market: 'stock',
            contracts: '1',
            contractSize: null,
            settle: 'USD',
          }),
        ],
      ),
      prices: hourly('AAPL', ['150'], 'mark'),
      hours,
    });
    expect(text(figures[hours - 2]?.equityEnd ?? null)).toBe('150');
    expect(figures[hours - 2]?.gaps).toEqual([]);
    expect(figures[hours - 2]?.prices[0]?.oldestAgeMs).toBe(5 * 24 * HOUR_MS);
    expect([figures[hours - 1]?.equityEnd, figures[hours - 1]?.gaps]).toEqual([
      null,
      ['price_missing'],
    ]);
  });

  it('an outage leaves the account as it was, and says that nobody looked', () => {
    const opening = observation(T0, [balance('BTC', '1')]);
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(opening);
    const table = PriceTable.of([...parUsdt(2), ...BTC]);
    const coverage = { polls: 0, complete: false, gaps: ['exchange_unavailable'] };
    const figures = book.closeHour(T0, table, coverage);
    const next = book.closeHour(T0 + HOUR_MS, table, coverage);
    expect(text(next.equityEnd)).toBe('50000');
    expect([next.status, next.residual, next.complete]).toEqual(['unknown', null, false]);
    expect(next.gaps).toEqual(['exchange_unavailable']);
    expect(figures.polls).toBe(0);
  });

  it('an account below zero is below zero, and shorts count', () => {
    const { figures } = tell({
      opening: observation(
        T0,
        [balance('USDT', '1000')],
        [position({ side: 'short', contracts: '2', entry: '50000' })],
      ),
      prices: [...parUsdt(1), ...MARKS],
      hours: 1,
    });
    expect(text(figures[0]?.equityEnd ?? null)).toBe('-1000');
    expect(text(figures[0]?.unrealisedChange ?? null)).toBe('-2000');
  });
});

describe('11: every fill is in its own hour', () => {
  it('the last millisecond belongs to the hour, the next one to the next', () => {
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000')]),
      records: [bought('50000', '0.1', T0 + HOUR_MS - 1), bought('50000', '0.1', T0 + HOUR_MS)],
      prices: [...parUsdt(2), ...BTC],
      hours: 2,
    });
    expect(figures.map(({ trades }) => trades)).toEqual([1, 1]);
  });
});

describe('12: funding and dated futures', () => {
  it('funding of a position that was only held counts, in its coin', () => {
    const { figures } = tell({
      opening: observation(
        T0,
        [balance('BTC', '1')],
        [
          position({
            symbol: 'BTC/USD:BTC',
            contracts: '10',
            contractSize: '100',
            entry: '50000',
            settle: 'BTC',
          }),
        ],
      ),
      records: [
        funding({
          symbol: 'BTC/USD:BTC',
          currency: 'BTC',
          amount: '-0.001',
          timeMs: T0 + MINUTE_MS,
        }),
      ],
      prices: [...parUsdt(1), ...BTC, ...hourly('BTC/USD:BTC', ['50000', '50000'], 'mark')],
      hours: 1,
    });
    const [hour] = figures;
    expect([text(hour?.funding ?? null), hour?.trades]).toEqual(['-50', 0]);
    const swap = hour?.byMarket.find(({ market }) => market === 'swap');
    expect(text(swap?.funding ?? null)).toBe('-50');
    expect(unexplained(figures[0] ?? fail())).toBe(0n);
  });

  it('a dated future is a future by what the venue says, not by digits in its name', () => {
    const dated = linear({
      symbol: 'BTC/USDT:USDT-240329',
      market: 'future',
      side: 'buy',
      price: '50000',
      amount: '1',
      timeMs: T0 + MINUTE_MS,
    });
    const coin = spot({
      symbol: '1000000MOG/USDT',
      base: '1000000MOG',
      side: 'buy',
      price: '2',
      amount: '10',
      timeMs: T0 + MINUTE_MS,
    });
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000')]),
      records: [dated, coin],
      prices: [
        ...parUsdt(1),
        ...hourly('BTC/USDT:USDT-240329', ['50000', '52000'], 'mark'),
        ...hourly('1000000MOG/USDT', ['2', '2']),
      ],
      hours: 1,
    });
    const markets = figures[0]?.byMarket.map(({ market, trades, equity }) => [
      market,
      trades,
      text(equity),
    ]);
    expect(markets).toEqual([
      ['spot', 1, '100000'],
      ['future', 1, '2000'],
    ]);
  });
});

describe('13: fees have a currency, and sums no floats', () => {
  it('0.01 BNB is six dollars', () => {
    const fees = [{ currency: 'BNB', amount: '0.01' }];
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000'), balance('BNB', '1')]),
      records: [linear({ side: 'buy', price: '50000', amount: '1', timeMs: T0 + MINUTE_MS, fees })],
      prices: [...parUsdt(1), ...MARKS, ...hourly('BNB/USDT', ['600', '610'])],
      hours: 1,
    });
    expect(text(figures[0]?.fees ?? null)).toBe('6');
    expect(unexplained(figures[0] ?? fail())).toBe(0n);
  });

  it('a fee in the base coin makes less of it, a rebate more', () => {
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000')]),
      records: [
        spot({
          side: 'buy',
          price: '50000',
          amount: '1',
          timeMs: T0 + MINUTE_MS,
          fees: [{ currency: 'BTC', amount: '0.001' }],
        }),
        spot({
          side: 'sell',
          price: '50000',
          amount: '0.999',
          timeMs: T0 + 2 * MINUTE_MS,
          fees: [{ currency: 'USDT', amount: '-5' }],
        }),
      ],
      observations: [observation(T0 + 3 * MINUTE_MS, [balance('USDT', '99955')])],
      prices: [...parUsdt(1), ...BTC],
      hours: 1,
    });
    const [hour] = figures;
    expect([text(hour?.fees ?? null), text(hour?.realised ?? null)]).toEqual(['45', '0']);
    expect([hour?.residual, hour?.status]).toEqual([0n, 'reconciled']);
  });

  it('a tenth and two tenths are three tenths', () => {
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '1')]),
      records: [bought('1', '0.1', T0 + MINUTE_MS), bought('1', '0.2', T0 + MINUTE_MS)],
      prices: [...parUsdt(1), ...hourly('BTC/USDT', ['1', '1'])],
      hours: 1,
    });
    expect([text(figures[0]?.volume ?? null), text(figures[0]?.equityEnd ?? null)]).toEqual([
      '0.3',
      '1',
    ]);
  });
});

describe('14: lots', () => {
  it('a sale in the millisecond of the purchase closes it', () => {
    const timeMs = T0 + MINUTE_MS;
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000')]),
      records: [
        linear({ id: '9', side: 'buy', price: '50000', amount: '1', timeMs }),
        linear({ id: '10', side: 'sell', price: '50100', amount: '1', timeMs }),
      ],
      prices: [...parUsdt(1), ...MARKS],
      hours: 1,
    });
    expect(text(figures[0]?.realised ?? null)).toBe('100');
    expect(figures[0]?.unrealisedEnd).toBe(0n);
  });

  it('in one millisecond ids are in the order in which the venue counts', () => {
    const timeMs = T0 + MINUTE_MS;
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000')]),
      records: [
        linear({ id: '10', side: 'buy', price: '52000', amount: '1', timeMs }),
        linear({ id: '9', side: 'buy', price: '50000', amount: '1', timeMs }),
        linear({ id: '11', side: 'sell', price: '51000', amount: '1', timeMs }),
      ],
      prices: [...parUsdt(1), ...MARKS],
      hours: 1,
    });
    expect(text(figures[0]?.realised ?? null)).toBe('1000');
    expect(text(figures[0]?.realisedAverage ?? null)).toBe('0');
  });

  it('in one millisecond a deposit is there before what it pays for', () => {
    const timeMs = T0 + 5 * MINUTE_MS;
    const fees = [{ currency: 'USDT', amount: '7' }];
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100')]),
      records: [
        linear({ side: 'buy', price: '50000', amount: '1', timeMs, fees }),
        flow({
          id: 'deposit'.repeat(9),
          type: 'deposit',
          direction: 'in',
          currency: 'USDT',
          amount: '1000',
          timeMs,
        }),
        flow({ type: 'withdrawal', direction: 'out', currency: 'USDT', amount: '50', timeMs }),
      ],
      prices: [...parUsdt(1), ...MARKS],
      hours: 1,
    });
    expect(
      figures[0]?.flows.map(({ amount, equityBefore }) => [text(amount), text(equityBefore)]),
    ).toEqual([
      ['1000', '100'],
      ['-50', '1093'],
    ]);
  });

  it.each([
    ['linear', linear, '1', '2000'],
    // 50,000 dollars of contracts: 50,000 · (1 / 48,000 − 1 / 50,000) BTC, at 48,000 dollars.
    ['inverse', inverse, '500', '2000'],
  ] as const)('a short %s that is covered lower has gained', (_, deal, amount, gain) => {
    const { figures } = tell({
      opening: observation(T0, [balance('USDT', '100000'), balance('BTC', '1')]),
      records: [
        deal({ side: 'sell', price: '50000', amount, timeMs: T0 + MINUTE_MS }),
        deal({ side: 'buy', price: '48000', amount, timeMs: T0 + 2 * MINUTE_MS }),
      ],
      prices: [...parUsdt(1), ...hourly('BTC/USD', ['48000', '48000'])],
      hours: 1,
    });
    const realised = text(figures[0]?.realised ?? null);
    expect(Math.abs(Number(realised) - Number(gain))).toBeLessThan(1e-12);
    expect(unexplained(figures[0] ?? fail())).toBe(0n);
  });

  it('what was bought long ago is still there when it is sold', () => {
    const hours = 31 * 24;
    const prices = Array.from({ length: hours + 1 }, () => '50000');
    const { book, table } = tell({
      opening: observation(T0, [balance('USDT', '100000')]),
      records: [spot({ side: 'buy', price: '40000', amount: '1', timeMs: T0 + MINUTE_MS })],
      prices: [
        ...hourly(
          'USDT/USD',
          prices.map(() => '1'),
        ),
        ...hourly('BTC/USDT', prices),
      ],
      hours: hours - 1,
    });
    const timeMs = T0 + (hours - 1) * HOUR_MS + MINUTE_MS;
    expect(book.apply(spot({ side: 'sell', price: '50000', amount: '1', timeMs }))).toBe('new');
    expect(text(close(book, table, 1)[0]?.realised ?? null)).toBe('10000');
  });

  it('ids are the venue’s, whatever is in them, and count by symbol', () => {
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(observation(T0, [balance('USDT', '1000')]));
    const facts = { side: 'buy', price: '1', amount: '1', timeMs: T0 + MINUTE_MS } as const;
    expect(book.apply(spot({ ...facts, id: 'user_1_2' }))).toBe('new');
    expect(book.apply(spot({ ...facts, id: 'user_1_3' }))).toBe('new');
    expect(book.apply(spot({ ...facts, id: 'user_1_2' }))).toBe('repeated');
    expect(book.apply(spot({ ...facts, id: 'user_1_2', symbol: 'ETH/USDT', base: 'ETH' }))).toBe(
      'new',
    );
  });
});

describe('16: brokers', () => {
  const share = {
    symbol: 'AAPL',
    market: 'stock',
    base: 'AAPL',
    quote: 'USD',
    settle: null,
  } as const;

  it('shares are paid for, valued at their mark, and named with their account in positions', () => {
    const { figures } = tell({
      opening: observation(T0, [balance('USD', '10000', 'U1')]),
      records: [
        spot({
          ...share,
          side: 'buy',
          price: '150.25',
          amount: '10',
          cost: '1502.5',
          timeMs: T0 + MINUTE_MS,
          fees: [{ currency: 'USD', amount: '1' }],
        }),
      ],
      observations: [
        observation(
          T0 + 2 * MINUTE_MS,
          [balance('USD', '8496.5', 'U1')],
          [
            position({
              symbol: 'U1:AAPL',
              market: 'stock',
              contracts: '10',
              contractSize: null,
              settle: 'USD',
            }),
          ],
        ),
      ],
      prices: hourly('AAPL', ['150', '151'], 'mark'),
      hours: 1,
    });
    const [hour] = figures;
    expect([hour?.status, hour?.residual, text(hour?.equityEnd ?? null)]).toEqual([
      'reconciled',
      0n,
      '10006.5',
    ]);
    expect(hour?.byMarket.map(({ market, equity }) => [market, text(equity)])).toEqual([
      ['spot', '8496.5'],
      ['stock', '1510'],
    ]);
  });

  it('an option is a cash flow, and worth its mark until it is gone', () => {
    const option = {
      symbol: 'AAPL240119C00150000',
      market: 'option',
      base: 'AAPL',
      quote: 'USD',
      settle: null,
      contractSize: '100',
      inverse: false,
    } as const;
    const { figures } = tell({
      opening: observation(T0, [balance('USD', '10000')]),
      records: [
        spot({ ...option, side: 'sell', price: '2.5', amount: '2', timeMs: T0 + MINUTE_MS }),
        // It expires worthless.
        spot({ ...option, side: 'buy', price: '0', amount: '2', timeMs: T0 + 90 * MINUTE_MS }),
      ],
      prices: hourly(option.symbol, ['2.5', '3'], 'mark'),
      hours: 2,
    });
    expect(figures.map(({ equityEnd }) => text(equityEnd))).toEqual(['9900', '10500']);
    expect(figures.map(({ realised }) => text(realised))).toEqual(['0', '500']);
    expect(figures.map(unexplained)).toEqual([0n, 0n]);
  });

  it('a split is neither profit nor deposit', () => {
    const { figures } = tell({
      opening: observation(
        T0,
        [],
        [
          position({
            symbol: 'AAPL',
            market: 'stock',
            contracts: '10',
            contractSize: null,
            settle: 'USD',
          }),
        ],
      ),
      records: [
        flow({
          type: 'other',
          direction: 'in',
          currency: 'AAPL',
          amount: '30',
          timeMs: T0 + MINUTE_MS,
        }),
      ],
      prices: hourly('AAPL', ['400', '100'], 'mark'),
      hours: 1,
    });
    const [hour] = figures;
    expect([text(hour?.equityStart ?? null), text(hour?.equityEnd ?? null)]).toEqual([
      '4000',
      '4000',
    ]);
    expect([hour?.inflow, hour?.realised, hour?.income]).toEqual([0n, 0n, 0n]);
  });
});

function fail(): never {
  throw new Error('no figures');
}
