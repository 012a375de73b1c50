// What each market of an account makes, held against another way to say it: what is held at the start of an hour times the
// change of its price, and every deal at its price against the one at the end. Cash, coins, stocks, options and contracts
// in one account, with fees in dollars and in a coin.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BookRecord, PriceRow } from '../../../../enclave/ledger/book/contract.ts';
import type { Fixed } from '../../../../wire/fixed.ts';
import { FIXED_ONE, multiplyFixed } from '../../../../wire/fixed.ts';
import { marketReturns } from '../../../../wire/performance/market-returns.ts';
import { metricsFigures } from '../../../../wire/performance/metrics-figures.ts';
import { performanceOf } from '../../../../wire/performance/performance.ts';
import type { FigureMarket, HourFigures, MarketFigures } from '../../../../wire/track/figures.ts';
import { FIGURE_MARKETS, HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  flow,
  funding,
  fx,
  hourly,
  linear,
  observation,
  position,
  row,
  spot,
  T0,
  tell,
  text,
} from './helpers.ts';

const HOURS = 4;

interface Thing {
  readonly name: string;
  readonly market: FigureMarket;
  readonly units: Fixed;
  /** At each full hour, in dollars. */
  readonly prices: readonly string[];
}

const THINGS = [
  { name: 'BTC', market: 'spot', units: FIXED_ONE, prices: ['100', '110.5', '90', '95.25', '99'] },
  { name: 'ACME', market: 'stock', units: FIXED_ONE, prices: ['10', '12.5', '11', '13', '12'] },
  {
    name: 'ACME261218C00012000',
    market: 'option',
    units: 100n * FIXED_ONE,
    prices: ['1', '1.5', '0.25', '2', '0.5'],
  },
  {
    name: 'BTC/USDT:USDT',
    market: 'swap',
    units: FIXED_ONE,
    prices: ['100', '111', '91', '95', '98.5'],
  },
] as const satisfies readonly Thing[];

/** Which fees are paid with. */
const BNB = ['300', '330', '290', '310', '305'];

const PRICES: readonly PriceRow[] = [
  ...hourly('BTC/USDT', THINGS[0].prices),
  ...hourly('BNB/USDT', BNB),
  ...hourly(
    'USDT/USD',
    BNB.map(() => '1'),
  ),
  ...THINGS.slice(1).flatMap(({ name, prices }) => hourly(name, prices, 'mark')),
];

interface Deal {
  readonly thing: number;
  readonly minute: number;
  readonly size: number;
  readonly dimes: number;
  readonly fee: 'none' | 'money' | 'coin' | 'itself';
}

const deals: fc.Arbitrary<readonly Deal[]> = fc.array(
  fc.record({
    thing: fc.nat({ max: THINGS.length - 1 }),
    minute: fc.integer({ min: 1, max: HOURS * 60 - 1 }),
    size: fc.integer({ min: -9, max: 9 }).filter((size) => size !== 0),
    dimes: fc.integer({ min: 1, max: 1200 }),
    fee: fc.constantFrom('none', 'money', 'coin', 'itself'),
  }),
  { maxLength: 30 },
);

function priceOf({ dimes }: Deal): Fixed {
  return BigInt(dimes) * (FIXED_ONE / 10n);
}

function feeOf({ fee, thing }: Deal): { currency: string; amount: string }[] {
  if (fee === 'none') return [];
  if (fee === 'coin') return [{ currency: 'BNB', amount: '0.01' }];
  const { name, market } = THINGS[thing] ?? THINGS[0];
  if (fee === 'itself' && market === 'spot') return [{ currency: name, amount: '0.001' }];
  return [{ currency: market === 'stock' || market === 'option' ? 'USD' : 'USDT', amount: '0.5' }];
}

function recordOf(deal: Deal, at: number): BookRecord {
  const { name, market } = THINGS[deal.thing] ?? THINGS[0];
  const facts = {
    id: `d${String(at).padStart(3, '0')}`,
    side: deal.size < 0 ? ('sell' as const) : ('buy' as const),
    amount: String(Math.abs(deal.size)),
    price: text(priceOf(deal)) ?? '',
    fees: feeOf(deal),
    timeMs: T0 + deal.minute * 60_000,
  };
  if (market === 'spot') return spot(facts);
  if (market === 'swap') return linear(facts);
  const contractSize = market === 'option' ? '100' : null;
  return spot({ ...facts, symbol: name, market, base: name, quote: 'USD', contractSize });
}

/** Of one hour: by what was held and what was dealt, without a book. */
function expected(list: readonly Deal[], hour: number): ReadonlyMap<FigureMarket, Fixed> {
  const made = new Map<FigureMarket, Fixed>();
  const add = (market: FigureMarket, amount: Fixed): void => {
    made.set(market, (made.get(market) ?? 0n) + amount);
  };
  const fall = (prices: readonly string[], from: number): Fixed =>
    fx(prices[hour + 1] ?? '') - fx(prices[from] ?? '');
  // What is there from the begin: ten bitcoin and ten of the coin that fees are paid with.
  add('spot', 10n * fall(THINGS[0].prices, hour) + 10n * fall(BNB, hour));
  for (const deal of list) {
    const then = Math.floor(deal.minute / 60);
    if (then > hour) continue;
    const { market, units, prices } = THINGS[deal.thing] ?? THINGS[0];
    const from = then === hour ? priceOf(deal) : fx(prices[hour] ?? '');
    const move = fx(prices[hour + 1] ?? '') - from;
    add(market, multiplyFixed(BigInt(deal.size) * units, move));
    if (deal.fee === 'coin') {
      add('spot', -fall(BNB, hour) / 100n);
      if (then === hour) add(market, -fx(BNB[hour] ?? '') / 100n);
    } else if (deal.fee === 'itself' && market === 'spot') {
      add('spot', -move / 1000n);
      if (then === hour) add('spot', -priceOf(deal) / 1000n);
    } else if (deal.fee !== 'none' && then === hour) add(market, -fx('0.5'));
  }
  return made;
}

/** As docs/TRACK-RECORD.md says it. */
function madeBy(market: FigureMarket, hour: HourFigures, before: HourFigures): Fixed {
  const own = hour.byMarket.find((one) => one.market === market);
  const start = before.byMarket.find((one) => one.market === market)?.equity ?? 0n;
  if (own === undefined) return -start;
  const { equity, outlay, income, funding: paid, fees } = own;
  return (equity ?? 0n) - start - (outlay ?? 0n) + (income ?? 0n) + (paid ?? 0n) - (fees ?? 0n);
}

function sumOf(
  { byMarket }: HourFigures,
  name: Exclude<keyof MarketFigures, 'market' | 'trades'>,
): Fixed {
  return byMarket.reduce((sum, one) => sum + (one[name] ?? 0n), 0n);
}

function unrealisedOf(market: FigureMarket, { byMarket }: HourFigures): Fixed {
  return byMarket.find((one) => one.market === market)?.unrealised ?? 0n;
}

/** What a market gained without a sale, from what was paid for it and what sales realised. */
function changeOf(market: FigureMarket, hour: HourFigures, before: HourFigures): Fixed {
  const start = before.byMarket.find((one) => one.market === market)?.equity ?? 0n;
  const own = hour.byMarket.find((one) => one.market === market);
  return (own?.equity ?? 0n) - start - (own?.outlay ?? 0n) - (own?.realised ?? 0n);
}

const OPENING = observation(T0, [
  balance('USD', '5000'),
  balance('USDT', '5000'),
  balance('BTC', '10'),
  balance('BNB', '10'),
]);

describe('markets of an account', () => {
  it('make what their own things gained, by any deals, and add up to the account', () => {
    fc.assert(
      fc.property(deals, (list) => {
        const records = list.map(recordOf);
        const { figures } = tell({ opening: OPENING, records, prices: PRICES, hours: HOURS });
        for (const [at, hour] of figures.entries()) {
          for (const name of ['fees', 'funding', 'income', 'realised', 'volume'] as const) {
            expect(sumOf(hour, name), name).toBe(hour[name]);
          }
          expect(sumOf(hour, 'equity')).toBe(hour.equityEnd);
          expect(sumOf(hour, 'outlay')).toBe(0n);
          expect(sumOf(hour, 'unrealised')).toBe(hour.unrealisedEnd);
          const before = figures[at - 1];
          if (before === undefined) continue;
          const made = expected(list, at);
          const others = FIGURE_MARKETS.filter((market) => market !== 'spot');
          for (const market of others) {
            const own = text(madeBy(market, hour, before));
            expect(own, `${market} ${at}`).toBe(text(made.get(market) ?? 0n));
            expect(unrealisedOf(market, hour), `${market} ${at}`).toBe(
              unrealisedOf(market, before) + changeOf(market, hour, before),
            );
          }
          const all = others.reduce((sum, market) => sum + madeBy(market, hour, before), 0n);
          const account = (hour.equityEnd ?? 0n) - (hour.equityStart ?? 0n);
          expect(text(account - all), `spot ${at}`).toBe(text(made.get('spot') ?? 0n));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('add up to the account in a metrics statement, whatever it sums', () => {
    fc.assert(
      fc.property(deals, (list) => {
        const records = list.map(recordOf);
        const { figures } = tell({ opening: OPENING, records, prices: PRICES, hours: HOURS });
        const { figures: named } = metricsFigures(performanceOf(figures));
        const pairs = [
          ...['trades', 'volume', 'fees', 'funding', 'realised', 'income'].map((one) => [one, one]),
          ['equity', 'equity_end'],
          ['unrealised', 'unrealised_end'],
        ];
        for (const [own, whole] of pairs) {
          const amounts = FIGURE_MARKETS.map((market) => named.get(`${market}.${own}`) ?? '0');
          const sum = amounts.reduce((total: Fixed, amount) => total + fx(String(amount)), 0n);
          expect(text(sum), own).toBe(String(named.get(`${whole}`)));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('have returns that add up to that of the account, where no money came or went', () => {
    fc.assert(
      fc.property(deals, (list) => {
        const records = list.map(recordOf);
        const { figures } = tell({ opening: OPENING, records, prices: PRICES, hours: HOURS });
        const markets = marketReturns(figures);
        for (const [at, hour] of figures.slice(1).entries()) {
          if (hour.equityStart === null || hour.equityEnd === null || hour.equityStart <= 0n) {
            continue;
          }
          const whole = Number(hour.equityEnd - hour.equityStart) / Number(hour.equityStart);
          const sum = markets.reduce((total, { points }) => total + Number(points[at]?.ratio), 0);
          expect(Math.abs(sum - whole)).toBeLessThan(1e-12);
        }
      }),
      { numRuns: 50 },
    );
  });
});

/** What markets made in the second of two hours. */
function second(records: readonly BookRecord[], seen = OPENING): Record<string, string | null> {
  const { figures } = tell({
    opening: OPENING,
    observations: seen === OPENING ? [] : [seen],
    records,
    prices: PRICES,
    hours: 2,
  });
  const [before, hour] = figures;
  if (before === undefined || hour === undefined) throw new Error('two hours');
  const others = hour.byMarket.filter(({ market }) => market !== 'spot');
  const made = others.map(({ market }) => [market, madeBy(market, hour, before)] as const);
  const flows = hour.flows.reduce((sum, { amount }) => sum + (amount ?? 0n), 0n);
  const all = (hour.equityEnd ?? 0n) - (hour.equityStart ?? 0n) - flows;
  const rest = made.reduce((sum, [, amount]) => sum - amount, all);
  return Object.fromEntries([...made, ['spot', rest] as const].map(([m, v]) => [m, text(v)]));
}

const LATER: number = T0 + HOUR_MS + 1_800_000;
/** What coins do in that hour. */
const COINS = '-605';

function paid(
  type: 'dividend' | 'other' | 'fee' | 'interest',
  amount: string,
  market: 'stock' | null,
): BookRecord {
  const direction = amount.startsWith('-') ? 'out' : 'in';
  const size = amount.replace('-', '');
  return flow({ type, direction, currency: 'USD', amount: size, timeMs: LATER, market });
}

describe('what is of a market, and what is not', () => {
  const acme = { symbol: 'ACME', market: 'stock', base: 'ACME', quote: 'USD' } as const;
  const bought = spot({ ...acme, side: 'buy', price: '10', amount: '8', timeMs: T0 + 60_000 });

  it('shares that come in are no gain of the market, and none of cash', () => {
    const moved = { type: 'transfer_in', direction: 'in', timeMs: LATER } as const;
    const came = flow({ ...moved, currency: 'ACME', amount: '100' });
    // They come at 12.5 and are worth 11 in the end.
    expect(second([bought, came])).toEqual({ stock: '-162', spot: COINS });
  });

  it('what is not realised of it is its value less what it cost, and what contracts have not settled', () => {
    const records = [
      bought,
      spot({ ...acme, side: 'sell', price: '14', amount: '3', timeMs: LATER }),
      linear({ side: 'buy', price: '100', amount: '1', timeMs: T0 + 60_000 }),
    ];
    const { figures } = tell({ opening: OPENING, records, prices: PRICES, hours: 2 });
    const rows = figures.map(({ byMarket }) =>
      byMarket.map(({ market, realised, unrealised }) => [
        market,
        text(realised),
        text(unrealised),
      ]),
    );
    // Coins came in at what they were worth then: ten bitcoin at 100, ten of the other at 300.
    expect(rows).toEqual([
      [
        ['spot', '0', '405'],
        ['swap', '0', '11'],
        ['stock', '0', '20'],
      ],
      [
        ['spot', '0', '-200'],
        ['swap', '0', '-9'],
        ['stock', '12', '5'],
      ],
    ]);
  });

  it('a row of spot is there for it, too, where currencies are worth nothing together', () => {
    const prices = [...PRICES, ...hourly('EUR/USD', ['1', '1.1', '1.25', '1.25', '1.25'])];
    const opening = observation(T0, [balance('EUR', '100'), balance('USD', '-115')]);
    const share = spot({ ...acme, side: 'buy', price: '10', amount: '1', timeMs: T0 + 60_000 });
    const { figures } = tell({ opening, records: [share], prices, hours: 2 });
    const rows = figures[1]?.byMarket.map((one) => [
      one.market,
      text(one.equity),
      text(one.unrealised),
    ]);
    expect(rows).toEqual([
      ['spot', '0', '25'],
      ['stock', '11', '1'],
    ]);
    expect(text(figures[1]?.unrealisedEnd ?? null)).toBe('26');
  });

  it('a split is no gain, and nothing is paid for it', () => {
    const split = flow({
      type: 'other',
      direction: 'in',
      currency: 'ACME',
      amount: '8',
      timeMs: LATER,
    });
    expect(second([bought, split])).toEqual({ stock: '76', spot: COINS });
  });

  it('what the venue has more of than the book is the residual, which is in spot', () => {
    const cash = OPENING.balances.map((one) =>
      one.currency === 'USD' ? balance('USD', '4920') : one,
    );
    const own = position({ symbol: 'ACME', market: 'stock', contracts: '10', settle: 'USD' });
    const seen = observation(LATER, cash, [{ ...own, contractSize: null }]);
    // Two shares more at 12.5, which then fall with the others: 10 × 1.5 less for them.
    expect(second([bought], seen)).toEqual({ stock: '-15', spot: text(fx(COINS) + fx('25')) });
  });

  it('a gain of the coin that a fee is paid with is in spot, however old it is', () => {
    const fees = [{ currency: 'BNB', amount: '1' }];
    const sale = linear({ side: 'sell', price: '111', amount: '1', timeMs: LATER, fees });
    // 330 for the fee, 20 by the contract; one BNB less falls by 40.
    expect(second([sale])).toEqual({ swap: '-310', spot: text(fx(COINS) + fx('40')) });
  });

  it('a dividend, its tax and a fee are of the market that they are for, and interest is of cash', () => {
    const records = [
      bought,
      paid('dividend', '20', 'stock'),
      paid('other', '-3', 'stock'),
      paid('fee', '-0.5', 'stock'),
      paid('interest', '7', null),
    ];
    // 8 × 1.5 less, 20 − 3 − 0.5.
    expect(second(records)).toEqual({ stock: '4.5', spot: text(fx(COINS) + fx('7')) });
    const { figures } = tell({ opening: OPENING, records, prices: PRICES, hours: 2 });
    const rows = figures[1]?.byMarket.map(({ market, income, fees }) => [
      market,
      text(income),
      text(fees),
    ]);
    expect(rows).toEqual([
      ['spot', '7', '0'],
      ['stock', '17', '0.5'],
    ]);
  });

  it('funding, and a coin that contracts settle in', () => {
    const fee = funding({ amount: '-3', timeMs: LATER });
    const open = linear({ side: 'buy', price: '100', amount: '1', timeMs: T0 + 60_000 });
    expect(second([open, fee])).toEqual({ swap: '-23', spot: COINS });
  });

  it('is not known where what it was paid with has no price', () => {
    const foreign = spot({
      ...acme,
      symbol: 'OTHER',
      base: 'OTHER',
      quote: 'XYZ',
      side: 'buy',
      price: '1',
      amount: '1',
      timeMs: LATER,
    });
    const prices = [...PRICES, row('ACME', T0, '10', 'mark')];
    const { figures } = tell({ opening: OPENING, records: [foreign], prices, hours: 2 });
    const stock = figures[1]?.byMarket.find(({ market }) => market === 'stock');
    expect([stock?.outlay, stock?.equity]).toEqual([null, null]);
  });

  it('is not known where what a contract settles in has no price', () => {
    const facts = { symbol: 'ACME/XYZ:XYZ', base: 'ACME', quote: 'XYZ', settle: 'XYZ' } as const;
    const deal = { ...facts, price: '5', amount: '1' } as const;
    const records = [
      linear({ ...deal, side: 'buy', timeMs: LATER }),
      linear({ ...deal, side: 'sell', price: '7', timeMs: LATER + 1 }),
    ];
    const { figures } = tell({ opening: OPENING, records, prices: PRICES, hours: 2 });
    const swap = figures[1]?.byMarket.find(({ market }) => market === 'swap');
    expect([swap?.outlay, swap?.realised]).toEqual([null, null]);
  });
});
