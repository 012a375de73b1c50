// The book held against what the venue says: races, hedged positions, entries that are rounded or not told, contracts of
// unknown size, coins without a price, transfers, and what lies between reconciled and beyond.

import { describe, expect, it } from 'vitest';
import type { Fill } from '../../../../enclave/connector/records.ts';
import type { Observation } from '../../../../enclave/ledger/book/contract.ts';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import { CLOCK_SLACK_MS } from '../../../../enclave/ledger/book/observed.ts';
import { CONVERSION_MATCH_MS, TRANSFER_MATCH_MS } from '../../../../enclave/ledger/book/pairs.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import {
  balance,
  close,
  flow,
  hourly,
  linear,
  MINUTE_MS,
  observation,
  parUsdt,
  position,
  spot,
  T0,
  tell,
  text,
  unexplained,
} from './helpers.ts';

const MARKS = hourly('BTC/USDT:USDT', ['50000', '50000', '50000'], 'mark');
const PRICES = [...parUsdt(2), ...MARKS, ...hourly('BTC/USDT', ['50000', '50000', '50000'])];
const START = observation(T0, [balance('USDT', '100000')]);

function statusWith(fill: Fill, seen: Observation): string | undefined {
  const story = { opening: START, records: [fill], observations: [seen], prices: PRICES, hours: 1 };
  return tell(story).figures[0]?.status;
}

function poll(fromMs: number, atMs: number, usdt: string, btc: string): Observation {
  return { fromMs, atMs, balances: [balance('USDT', usdt), balance('BTC', btc)], positions: [] };
}

/** What the venue has after the fill, told so long before it. */
function pollBefore(at: number, earlierMs: number): Observation {
  return poll(at - earlierMs, at - earlierMs, '50000', '1');
}

describe('a fill in the middle of a poll', () => {
  const at = T0 + 30 * MINUTE_MS;
  const fill = spot({ side: 'buy', price: '50000', amount: '1', timeMs: at });

  it.each([
    ['before', '100000', '0'],
    ['after', '50000', '1'],
    // One wallet was asked for before it and the other after it.
    ['between', '100000', '1'],
  ])('is no residual: balances from %s it', (_, usdt, btc) => {
    const seen = poll(at - 500, at + 500, usdt, btc);
    const { figures } = tell({
      opening: START,
      records: [fill],
      observations: [seen],
      prices: PRICES,
      hours: 1,
    });
    expect([figures[0]?.status, figures[0]?.residual]).toEqual(['reconciled', 0n]);
    // The fill itself is in the books all the same.
    expect(figures[0]?.trades).toBe(1);
  });

  it('nor one that the venue dates a little after the poll', () => {
    expect(statusWith(fill, pollBefore(at, CLOCK_SLACK_MS))).toBe('reconciled');
    expect(statusWith(fill, pollBefore(at, CLOCK_SLACK_MS + 1))).toBe('beyond');
  });

  it('but one that the poll could not have missed is', () => {
    const late = CLOCK_SLACK_MS;
    const inside = poll(at + late, at + late, '100000', '0');
    const outside = poll(at + late + 1, at + late + 1, '100000', '0');
    expect(statusWith(fill, inside)).toBe('beyond');
    expect(statusWith(fill, poll(at + late - 1, at + late - 1, '100000', '0'))).toBe('reconciled');
    expect(statusWith(fill, outside)).toBe('beyond');
  });
});

describe('the tolerance', () => {
  // A cent and a millionth of 100,000 dollars.
  it.each([
    ['100000.11', 'reconciled'],
    ['100000.12', 'beyond'],
    ['99999.89', 'reconciled'],
    ['99999.88', 'beyond'],
  ])('a balance of %s is %s, and its difference is published', (usdt, status) => {
    const seen = observation(T0 + MINUTE_MS, [balance('USDT', usdt)]);
    const [hour] = tell({ opening: START, observations: [seen], prices: PRICES, hours: 1 }).figures;
    expect(hour?.status).toBe(status);
    expect(text(hour?.equityEnd ?? null)).toBe(usdt);
    expect(text(hour?.residual ?? null)).toBe(
      String(Math.round((Number(usdt) - 100_000) * 100) / 100),
    );
  });

  it('differences of two signs do not make each other good', () => {
    const seen = observation(T0 + MINUTE_MS, [balance('USDT', '50000'), balance('BTC', '1')]);
    const [hour] = tell({ opening: START, observations: [seen], prices: PRICES, hours: 1 }).figures;
    expect([hour?.status, hour?.residual]).toEqual(['beyond', 0n]);
  });
});

describe('contracts', () => {
  const buy = linear({ side: 'buy', price: '49000', amount: '1', timeMs: T0 + MINUTE_MS });
  const sell = linear({ side: 'sell', price: '49500', amount: '0.3', timeMs: T0 + 2 * MINUTE_MS });
  const seenAt = T0 + 3 * MINUTE_MS;

  it.each([
    ['as it was', '49000', '100150'],
    ['rounded by the venue', '49000.001', '100150'],
    ['not told', null, '100150'],
    // Settled by the venue every day: cash has moved and the entry with it.
    ['moved with the cash', '49600', '100570'],
  ])('agree with an entry that is %s', (_, entry, usdt) => {
    const seen = observation(
      seenAt,
      [balance('USDT', usdt)],
      [position({ contracts: '0.7', entry })],
    );
    const [hour] = tell({
      opening: START,
      records: [buy, sell],
      observations: [seen],
      prices: PRICES,
      hours: 1,
    }).figures;
    expect(hour?.status).toBe('reconciled');
    expect(text(hour?.equityEnd ?? null)).toMatch(/^100(?:849\.\d+|850)/u);
  });

  it('hedged, both sides count', () => {
    const seen = observation(
      seenAt,
      [balance('USDT', '100000')],
      [
        position({ contracts: '1', entry: '49000' }),
        position({ side: 'short', contracts: '0.3', entry: '49500' }),
      ],
    );
    const [hour] = tell({
      opening: START,
      records: [buy, sell],
      observations: [seen],
      prices: PRICES,
      hours: 1,
    }).figures;
    expect([hour?.status, hour?.residual]).toEqual(['reconciled', 0n]);
  });

  it('that nobody told of are in the value from then on, and their gain is the residual', () => {
    const seen = observation(
      seenAt,
      [balance('USDT', '100000')],
      [position({ contracts: '1', entry: '49000', mark: '50000' })],
    );
    const [hour] = tell({ opening: START, observations: [seen], prices: PRICES, hours: 1 }).figures;
    expect([hour?.status, text(hour?.residual ?? null)]).toEqual(['beyond', '1000']);
    expect(text(hour?.equityEnd ?? null)).toBe('101000');
    expect(unexplained(hour ?? fail())).toBe(0n);
  });

  it('of unknown size have no value, and no hour with one has', () => {
    const unknown = linear({
      side: 'buy',
      price: '1',
      amount: '1',
      timeMs: T0 + MINUTE_MS,
      contractSize: null,
    });
    const back = linear({
      side: 'sell',
      price: '1',
      amount: '1',
      timeMs: T0 + 61 * MINUTE_MS,
      contractSize: null,
    });
    const { figures } = tell({
      opening: START,
      records: [unknown, back],
      prices: PRICES,
      hours: 2,
    });
    expect(figures.map(({ equityEnd }) => text(equityEnd))).toEqual([null, '100000']);
    expect(figures.map(({ gaps }) => gaps)).toEqual([['contract_unknown'], ['contract_unknown']]);
    expect(figures.map(({ volume }) => volume)).toEqual([null, null]);
  });

  it.each([
    [
      'contract',
      position({
        symbol: 'X/USDT:USDT',
        contracts: '1',
        contractSize: null,
        entry: '1',
        mark: '1',
      }),
    ],
    [
      'option',
      position({ symbol: 'X-C', market: 'option', contracts: '1', contractSize: null, mark: '1' }),
    ],
  ])('of unknown size that the venue shows leave nothing to compare: %s', (_, unknown) => {
    const seen = observation(seenAt, [balance('USDT', '100000')], [unknown]);
    const prices = [...PRICES, ...hourly(unknown.symbol, ['1', '1'], 'mark')];
    const [hour] = tell({ opening: START, observations: [seen], prices, hours: 1 }).figures;
    expect([hour?.status, hour?.residual, hour?.equityEnd]).toEqual(['unknown', null, null]);
    expect(hour?.gaps).toContain('contract_unknown');
  });

  it('of unknown size that all agree about leave nothing to compare either', () => {
    const facts = {
      side: 'buy',
      price: '1',
      amount: '1',
      timeMs: T0 + MINUTE_MS,
      contractSize: null,
    } as const;
    const held = position({ contracts: '1', contractSize: null, entry: '1' });
    const seen = observation(seenAt, [balance('USDT', '100000')], [held]);
    const [hour] = tell({
      opening: START,
      records: [linear(facts)],
      observations: [seen],
      prices: PRICES,
      hours: 1,
    }).figures;
    expect([hour?.status, hour?.residual]).toEqual(['unknown', null]);
  });

  it('without a mark have no value', () => {
    const { figures } = tell({ opening: START, records: [buy], prices: parUsdt(1), hours: 1 });
    expect([figures[0]?.equityEnd, figures[0]?.gaps]).toEqual([null, ['price_missing']]);
  });

  it('with an entry that is not told, while half a transfer is on its way', () => {
    const half = { currency: 'USDT', amount: '400', type: 'transfer_out' } as const;
    const out = flow({ ...half, direction: 'out', timeMs: seenAt - 2 });
    const back = flow({
      ...half,
      type: 'transfer_in',
      direction: 'in',
      timeMs: seenAt + 5 * MINUTE_MS,
    });
    const seen = observation(seenAt, [balance('USDT', '99600')], [position({ contracts: '1' })]);
    const records = [buy, out, back];
    const [hour] = tell({
      opening: START,
      records,
      observations: [seen],
      prices: PRICES,
      hours: 1,
    }).figures;
    expect([hour?.status, hour?.residual]).toEqual(['reconciled', 0n]);
  });

  it('of a margin account that shows positions are contracts', () => {
    const fill = spot({
      market: 'margin',
      side: 'sell',
      price: '50000',
      amount: '1',
      timeMs: T0 + MINUTE_MS,
    });
    const seen = observation(
      seenAt,
      [balance('USDT', '100000')],
      [
        position({
          symbol: 'BTC/USDT',
          market: 'margin',
          side: 'short',
          contracts: '1',
          contractSize: null,
          entry: '50000',
        }),
      ],
    );
    const [hour] = tell({
      options: { marginPositions: true },
      opening: START,
      records: [fill],
      observations: [seen],
      prices: [...PRICES, ...hourly('BTC/USDT', ['50000', '49000'], 'mark')],
      hours: 1,
    }).figures;
    expect([hour?.status, text(hour?.equityEnd ?? null)]).toEqual(['reconciled', '101000']);
  });
});

describe('coins without a price', () => {
  it('stay out of the value while the venue lists none, and come in with their first price', () => {
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(observation(T0, [balance('USDT', '1000'), balance('DUST', '5')]));
    const table = PriceTable.of(parUsdt(3));
    table.declareUnlisted('DUST');
    const [first] = close(book, table, 1);
    expect([text(first?.equityEnd ?? null), first?.gaps]).toEqual(['1000', ['asset_unpriced']]);
    book.apply(
      spot({
        symbol: 'DUST/USDT',
        base: 'DUST',
        side: 'sell',
        price: '20',
        amount: '2',
        timeMs: T0 + 61 * MINUTE_MS,
      }),
    );
    table.add(hourly('DUST/USDT', ['20', '20', '20', '20']).slice(2));
    const [second] = close(book, table, 1);
    // 5 · 20 came in with the first price; selling two of them is no gain.
    expect([text(second?.inflow ?? null), text(second?.realised ?? null)]).toEqual(['100', '0']);
    expect(text(second?.equityEnd ?? null)).toBe('1100');
    expect(unexplained(second ?? fail())).toBe(0n);
  });

  it('that were not declared so make the value unknown', () => {
    const opening = observation(T0, [balance('USDT', '1000'), balance('DUST', '5')]);
    const [hour] = tell({ opening, prices: parUsdt(1), hours: 1 }).figures;
    expect([hour?.equityEnd, hour?.gaps]).toEqual([null, ['price_missing']]);
  });
});

describe('transfers and conversions', () => {
  const at = T0 + 30 * MINUTE_MS;
  const moved = { currency: 'USDT', amount: '400', timeMs: at } as const;

  it('between wallets of the account are no flows', () => {
    const out = flow({ ...moved, type: 'transfer_out', direction: 'out' });
    const back = flow({ ...moved, type: 'transfer_in', direction: 'in', timeMs: at + 60_000 });
    const named = flow({
      ...moved,
      type: 'transfer_in',
      direction: 'in',
      from: 'FUND',
      to: 'Unified',
    });
    const opening = observation(T0, [
      balance('USDT', '1000', 'fund'),
      balance('USDT', '1', 'unified'),
    ]);
    const seen = { ...opening, fromMs: at + 120_000, atMs: at + 120_000 };
    const [hour] = tell({
      opening,
      records: [out, back, named],
      observations: [seen],
      prices: PRICES,
      hours: 1,
    }).figures;
    expect([hour?.flows, hour?.residual, hour?.status]).toEqual([[], 0n, 'reconciled']);
  });

  it('from elsewhere are, and so is the half of a pair that another network has', () => {
    const out = flow({ ...moved, type: 'transfer_out', direction: 'out', networkId: 'a' });
    const back = flow({ ...moved, type: 'transfer_in', direction: 'in', networkId: 'b' });
    const deposit = flow({ ...moved, type: 'deposit', direction: 'in' });
    const [hour] = tell({
      opening: START,
      records: [out, back, deposit],
      prices: PRICES,
      hours: 1,
    }).figures;
    expect([text(hour?.inflow ?? null), text(hour?.outflow ?? null)]).toEqual(['800', '400']);
  });

  it('a conversion is a trade; a leg alone came from outside', () => {
    const gave = flow({
      type: 'conversion',
      direction: 'out',
      currency: 'USDT',
      amount: '50500',
      timeMs: at,
    });
    const got = flow({
      type: 'conversion',
      direction: 'in',
      currency: 'BTC',
      amount: '1',
      timeMs: at,
    });
    const prices = [...PRICES, ...hourly('BTC/USDT', ['50000'])];
    const [both] = tell({ opening: START, records: [gave, got], prices, hours: 1 }).figures;
    expect([both?.flows.length, text(both?.realised ?? null)]).toEqual([0, '-500']);
    const [one] = tell({ opening: START, records: [got], prices, hours: 1 }).figures;
    expect([text(one?.inflow ?? null), text(one?.realised ?? null)]).toEqual(['50000', '0']);
    expect([both, one].map((hour) => unexplained(hour ?? fail()))).toEqual([0n, 0n]);
  });

  it.each([
    [TRANSFER_MATCH_MS, 0],
    [TRANSFER_MATCH_MS + 1, 2],
  ])('halves that are %d ms apart leave %d flows', (apartMs, flows) => {
    const out = flow({ ...moved, type: 'transfer_out', direction: 'out' });
    const back = flow({ ...moved, type: 'transfer_in', direction: 'in', timeMs: at + apartMs });
    const [hour] = tell({ opening: START, records: [out, back], prices: PRICES, hours: 1 }).figures;
    expect(hour?.flows.length).toBe(flows);
  });

  it.each([
    [CONVERSION_MATCH_MS, null, 0],
    [CONVERSION_MATCH_MS + 1, null, 2],
    [CONVERSION_MATCH_MS + 1, 'one', 0],
  ])('legs that are %d ms apart, named %s, leave %d flows', (apartMs, networkId, flows) => {
    const leg = { type: 'conversion', networkId } as const;
    const gave = flow({ ...leg, direction: 'out', currency: 'USDT', amount: '500', timeMs: at });
    const got = flow({
      ...leg,
      direction: 'in',
      currency: 'BTC',
      amount: '0.01',
      timeMs: at + apartMs,
    });
    const [hour] = tell({ opening: START, records: [gave, got], prices: PRICES, hours: 1 }).figures;
    expect(hour?.flows.length).toBe(flows);
  });

  it('what the venue does not name never helps', () => {
    const other = { type: 'other', currency: 'USDT', amount: '100', timeMs: at } as const;
    const gift = flow({ ...other, direction: 'in' });
    const charge = flow({ ...other, direction: 'out' });
    const [hour] = tell({
      opening: START,
      records: [gift, charge],
      prices: PRICES,
      hours: 1,
    }).figures;
    expect([text(hour?.inflow ?? null), text(hour?.income ?? null)]).toEqual(['100', '-100']);
  });
});

describe('the last observation of an hour', () => {
  it('is the one that counts, in whatever order they come', () => {
    const early = observation(T0 + MINUTE_MS, [balance('USDT', '1')]);
    const last = observation(T0 + 50 * MINUTE_MS, [balance('USDT', '100000')]);
    for (const observations of [
      [early, last],
      [last, early],
    ]) {
      const [hour] = tell({ opening: START, observations, prices: PRICES, hours: 1 }).figures;
      expect(hour?.status).toBe('reconciled');
    }
    const book = new AccountBook({ pricedIn: 'USDT' });
    book.observe(START);
    close(book, PriceTable.of(PRICES), 1);
    expect(book.observe(last)).toBe('settled');
    expect(book.observe({ ...last, fromMs: T0 + HOUR_MS, atMs: T0 + HOUR_MS })).toBe('new');
  });
});

function fail(): never {
  throw new Error('no figures');
}

it('contracts that cost nothing together and are worth something are beyond', () => {
  const [btc, eth] = ['BTC/USDT:USDT', 'ETH/USDT:USDT'];
  const told = observation(
    T0 + 30 * MINUTE_MS,
    [balance('USDT', '100000')],
    [
      position({ symbol: btc, contracts: '1', entry: '50000', mark: '60000' }),
      position({ symbol: eth, contracts: '1', side: 'short', entry: '50000', mark: '40000' }),
    ],
  );
  const { figures } = tell({ opening: START, observations: [told], prices: PRICES, hours: 1 });
  expect([figures[0]?.status, text(figures[0]?.residual ?? null)]).toEqual(['beyond', '20000']);
});
