// The desk's prices: one job for all who ask, kept afterwards, never with a trader's keys, and never made up.

import { describe, expect, it } from 'vitest';
import type { PriceItem } from '../../../enclave/connector/job.ts';
import { MAX_PRICE_ITEMS } from '../../../enclave/connector/job.ts';
import type { Price } from '../../../enclave/connector/records.ts';
import { MAX_STEPS } from '../../../enclave/desk/price-desk.ts';
import { OUTCOME, TRIGGER } from '../../../wire/exchange-call.ts';
import type { JobLine } from '../../helpers/fake-connector.ts';
import type { PollingScene } from '../../helpers/polling-scene.ts';
import {
  accountOf,
  fillOf,
  HOUR_MS,
  MINUTE_MS,
  NOON_MS,
  pollingScene,
} from '../../helpers/polling-scene.ts';
import { settle } from '../../helpers/virtual-time.ts';

const SOURCE = 'api.binance.com/api/v3/klines';
const TODAY_MS: number = NOON_MS - 12 * HOUR_MS;

function item(change: Partial<PriceItem> = {}): PriceItem {
  const span = { fromMs: TODAY_MS, toMs: TODAY_MS + 2 * HOUR_MS };
  return { kind: 'spot', symbol: 'BTC/USDT', ...span, stepMs: HOUR_MS, ...change };
}

function priceOf(atMs: number, change: Partial<Price> = {}): Price {
  const names = { of: 'spot', symbol: 'BTC/USDT' } as const;
  const dated = { atMs, tradedMs: atMs, stepMs: HOUR_MS } as const;
  return { kind: 'price', ...names, ...dated, price: '60000.5', source: SOURCE, ...change };
}

function many(symbol: string, count: number): readonly Price[] {
  return Array.from({ length: count }, (_, at) =>
    priceOf(TODAY_MS - at * MINUTE_MS, { of: 'mark', symbol }),
  );
}

function made(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `MADE-UP-${String(at)}`);
}

interface Scene extends PollingScene {
  readonly lines: JobLine[];
}

/** Answers each hour of each item, but of symbols with LUNC in them. */
function answerAll(line: JobLine): void {
  const coverage = [];
  for (const { kind, symbol, fromMs, toMs, stepMs } of line.job.prices) {
    const isThere = !symbol.includes('LUNC');
    for (let atMs = isThere ? fromMs : toMs + 1; atMs <= toMs; atMs += stepMs) {
      line.records('price', [priceOf(atMs, { of: kind, symbol, stepMs })]);
    }
    const reason = isThere ? null : ('venue_lacks' as const);
    const span = { fromMs, toMs };
    coverage.push({ what: 'prices', market: symbol, ...span, complete: isThere, reason } as const);
  }
  line.done({ coverage });
}

function scene(answer: (line: JobLine) => void = answerAll): Scene {
  const lines: JobLine[] = [];
  const made = pollingScene({
    script: (line) => {
      lines.push(line);
      answer(line);
    },
  });
  return Object.assign(made, { lines });
}

describe('prices', () => {
  it('gives the price at each full hour with its source, and keeps it', async () => {
    const { polling, lines } = scene();
    const first = await polling.prices.ask('binance', 'live', [item()]);
    expect(first).toEqual({
      rows: [0, 1, 2].map((hour) => ({
        kind: 'spot',
        symbol: 'BTC/USDT',
        atMs: TODAY_MS + hour * HOUR_MS,
        price: '60000.5',
        source: SOURCE,
        tradedMs: TODAY_MS + hour * HOUR_MS,
      })),
      missing: [],
    });
    expect(await polling.prices.ask('binance', 'live', [item()])).toEqual(first);
    expect(lines).toHaveLength(1);
  });

  it('asks once for all accounts that ask while a job waits', async () => {
    const made = scene(() => undefined);
    // Both connectors are taken.
    for (const number of [1, 2]) made.polling.add(accountOf(number), null);
    await settle();
    const asks = Array.from({ length: 20 }, (_, at) =>
      made.polling.prices.ask('binance', 'live', [
        item(),
        item({ symbol: at < 10 ? 'A/B' : 'C/D' }),
      ]),
    );
    made.connectors.script = answerAll;
    for (const line of made.lines) line.done();
    const answers = await Promise.all(asks);
    expect(answers.every(({ rows }) => rows.length === 6)).toBe(true);
    expect(made.polls.filter(({ trigger }) => trigger === TRIGGER.prices)).toHaveLength(1);
  });

  it('is behind every poll, in the queue and at the limiter', async () => {
    const made = scene(() => undefined);
    for (const number of [1, 2, 3]) made.polling.add(accountOf(number), null);
    await settle();
    const asked = made.polling.prices.ask('binance', 'live', [item()]);
    made.polling.add(accountOf(4), null);
    made.connectors.script = (line) => {
      made.lines.push(line);
      if (line.job.kind === 'prices') answerAll(line);
      else line.done();
    };
    for (const line of made.lines.splice(0)) line.done();
    await asked;
    expect(made.lines.map(({ job }) => job.kind)).toEqual(['poll', 'poll', 'poll', 'prices']);
    const [checked, , , prices] = made.lines.map(({ job }) => job.priority);
    expect(prices).toBeGreaterThan(checked ?? Number.NaN);
  });

  it('hands no keys to a job, but those of a customer where prices are for customers only', async () => {
    const { polling, lines, audit, polls } = scene();
    polling.add(accountOf(1, { venue: 'alpaca' }), null);
    polling.add(accountOf(2), null);
    await settle();
    audit.length = 0;
    await polling.prices.ask('binance', 'live', [item()]);
    expect(lines.at(-1)?.job.credentials.apiKey).toHaveLength(0);
    expect(audit).toEqual([]);
    await polling.prices.ask('alpaca', 'live', [item({ symbol: 'AAPL' })]);
    expect(audit).toEqual(['credentials_used']);
    const leaves = polls.filter(({ trigger }) => trigger === TRIGGER.prices);
    expect(leaves).toHaveLength(2);
    expect(leaves.every(({ accountCommitment: bytes }) => bytes.every((byte) => byte === 0))).toBe(
      true,
    );
  });

  it('says which prices are missing and why, and gives the others', async () => {
    const { polling, polls } = scene();
    const items = [item(), item({ symbol: 'LUNC/USDT' })];
    const { rows, missing } = await polling.prices.ask('binance', 'live', items);
    expect(rows).toHaveLength(3);
    expect(missing).toEqual([{ symbol: 'LUNC/USDT', reason: 'venue_lacks' }]);
    expect(polls.at(-1)).toMatchObject({ trigger: TRIGGER.prices, outcome: OUTCOME.complete });
  });

  it('asks a venue of futures for spot prices where its spot markets are', async () => {
    const { polling, lines } = scene();
    await polling.prices.ask('binanceusdm', 'live', [item()]);
    await polling.prices.ask('binanceusdm', 'live', [item({ kind: 'mark', symbol: 'B/U:U' })]);
    expect(lines.map(({ job }) => job.venue)).toEqual(['binance', 'binanceusdm']);
  });

  it('counts nothing of a job that broke off, and tries again at the next question', async () => {
    const made = scene((line) => {
      line.records('price', [priceOf(TODAY_MS)]);
      line.stream.destroy();
    });
    const broken = await made.polling.prices.ask('binance', 'live', [item()]);
    expect(broken).toEqual({ rows: [], missing: [{ symbol: 'BTC/USDT', reason: 'connector' }] });
    made.connectors.script = answerAll;
    const { rows } = await made.polling.prices.ask('binance', 'live', [item()]);
    expect(rows).toHaveLength(3);
  });

  it('asks nobody while the log takes nothing, because there would be no leaf', async () => {
    const made = scene();
    made.stalled = true;
    const { missing } = await made.polling.prices.ask('binance', 'live', [item()]);
    expect(missing).toEqual([{ symbol: 'BTC/USDT', reason: 'log_stalled' }]);
    expect(made.lines).toEqual([]);
  });

  it.each([
    [MAX_STEPS, 1, 'history_limit'],
    [MAX_STEPS + 1, 0, 'too_large'],
  ])('takes %i moments of one item: %i jobs', async (steps, jobs, reason) => {
    const made = scene((line) => {
      line.done();
    });
    const toMs = TODAY_MS + (steps - 1) * MINUTE_MS;
    const ask = [item({ toMs, stepMs: MINUTE_MS })];
    const { missing } = await made.polling.prices.ask('binance', 'live', ask);
    expect(missing).toEqual([{ symbol: 'BTC/USDT', reason }]);
    expect(made.lines).toHaveLength(jobs);
  });

  it('does not ask again for a moment of which the venue has no candle', async () => {
    const made = scene((line) => {
      line.records('price', [priceOf(TODAY_MS)]);
      line.done();
    });
    await made.polling.prices.ask('binance', 'live', [item()]);
    const { rows } = await made.polling.prices.ask('binance', 'live', [item()]);
    expect(rows).toHaveLength(1);
    expect(made.lines).toHaveLength(1);
  });

  it('gives the last price before a span in which the market was closed', async () => {
    const { polling } = scene();
    const price = priceOf(TODAY_MS - HOUR_MS, { of: 'mark', symbol: 'AAPL' });
    polling.prices.learn({ venue: 'ibkr', environment: 'live' }, [price]);
    const known = [item({ kind: 'mark', symbol: 'AAPL' })];
    const { rows } = await polling.prices.ask('ibkr', 'live', known);
    expect(rows.map(({ atMs }) => atMs)).toEqual([TODAY_MS - HOUR_MS]);
    const unknown = [item({ kind: 'mark', symbol: 'SPY' })];
    const { missing } = await polling.prices.ask('ibkr', 'live', unknown);
    expect(missing).toEqual([{ symbol: 'SPY', reason: 'delayed' }]);
  });

  it.each([
    ['from the future', { atMs: NOON_MS + HOUR_MS }],
    ['of another kind than its page says', null],
  ])('count nothing of a job that tells one %s', async (_, change) => {
    const made = scene((line) => {
      line.records('price', [priceOf(TODAY_MS)]);
      if (change === null) line.records('price', [fillOf(1)]);
      else line.records('price', [priceOf(TODAY_MS, change)]);
      line.done();
    });
    const { rows, missing } = await made.polling.prices.ask('binance', 'live', [item()]);
    expect(rows).toEqual([]);
    expect(missing).toHaveLength(1);
  });

  it('are never zero', async () => {
    const made = scene((line) => {
      line.records('price', [priceOf(TODAY_MS, { price: '0' })]);
      line.done();
    });
    const { rows, missing } = await made.polling.prices.ask('binance', 'live', [item()]);
    expect([rows, missing]).toEqual([[], [{ symbol: 'BTC/USDT', reason: 'history_limit' }]]);
  });

  it.each([
    [MAX_PRICE_ITEMS, 1],
    [MAX_PRICE_ITEMS + 1, 2],
  ])('of %i markets are %i jobs', async (markets, jobs) => {
    const made = scene(() => undefined);
    for (const number of [1, 2]) made.polling.add(accountOf(number), null);
    await settle();
    const items = Array.from({ length: markets }, (_, at) => item({ symbol: `C${at}/USDT` }));
    const asked = made.polling.prices.ask('binance', 'live', items);
    const polls = made.lines.splice(0);
    made.connectors.script = (line) => {
      made.lines.push(line);
      answerAll(line);
    };
    for (const line of polls) line.done();
    const { rows } = await asked;
    expect(rows).toHaveLength(3 * markets);
    expect(made.lines.filter(({ job }) => job.kind === 'prices')).toHaveLength(jobs);
  });

  it('forget those that nobody asked for the longest, beyond 200,000', async () => {
    const { polling } = scene();
    const place = { venue: 'ibkr', environment: 'live' } as const;
    const known = async (symbol: string): Promise<boolean> => {
      const asked = [item({ kind: 'mark', symbol })];
      const { rows } = await polling.prices.ask('ibkr', 'live', asked);
      return rows.length > 0;
    };
    polling.prices.learn(place, many('OLD', 100_000));
    polling.prices.learn(place, many('NEW', 100_000));
    expect([await known('OLD'), await known('NEW')]).toEqual([true, true]);
    // Asked for last: NEW, and before it OLD.
    polling.prices.learn(place, many('ONE', 1));
    expect([await known('NEW'), await known('OLD'), await known('ONE')]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('forget symbols that nobody asked for the longest, beyond 20,000, whether or not they have a price', async () => {
    const { polling } = scene();
    const ask = async (symbols: readonly string[]): Promise<number> => {
      const asked = symbols.map((symbol) => item({ kind: 'mark', symbol }));
      return (await polling.prices.ask('ibkr', 'live', asked)).rows.length;
    };
    polling.prices.learn({ venue: 'ibkr', environment: 'live' }, many('ONE', 1));
    await ask(made(19_999));
    expect(await ask(['ONE'])).toBe(1);
    await ask(made(19_999));
    expect(await ask(['ONE'])).toBe(1);
    await ask([...made(19_999), 'ANOTHER']);
    expect(await ask(['ONE'])).toBe(0);
  });

  it('of a desk that closes are missing, asked before or after, whether a job runs for them or waits', async () => {
    const { polling, time } = scene(() => undefined);
    const asked = [
      polling.prices.ask('binance', 'live', [item()]),
      polling.prices.ask('binance', 'sandbox', [item()]),
      ...made(2 * MAX_PRICE_ITEMS).map((symbol) =>
        polling.prices.ask('kraken', 'live', [item({ symbol })]),
      ),
    ];
    await time.run(1000);
    await polling.close();
    asked.push(polling.prices.ask('bybit', 'live', [item()]));
    const answers = await Promise.all(asked);
    expect(answers.flatMap(({ rows }) => rows)).toEqual([]);
    const reasons = answers.flatMap(({ missing }) => missing.map(({ reason }) => reason));
    expect(reasons).toHaveLength(asked.length);
    expect(new Set(reasons)).toEqual(new Set(['connector', 'not_running']));
    expect(reasons.at(-1)).toBe('not_running');
  });
});
