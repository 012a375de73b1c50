// From fills to hours with everything real but processes and database: a trader at the simulated exchange whose prices
// move, polled each hour by the connector's own code, prices by its jobs of prices, and the book that makes hours of
// it. A deposit moves no return, nothing is left over, an outage is a gap, and a fill that was never told shows.

import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { forgetMarkets } from '../../../enclave/connector/exchange.ts';
import type { Job, PriceItem } from '../../../enclave/connector/job.ts';
import type { ConnectorRecord } from '../../../enclave/connector/records.ts';
import { AccountBook } from '../../../enclave/ledger/book/account-book.ts';
import type { PriceQuestion } from '../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../enclave/ledger/book/price-table.ts';
import type { AccountAnswer } from '../../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import { formatFixed } from '../../../wire/fixed.ts';
import { hourReturn } from '../../../wire/performance/hour-return.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { jobOf, runJob } from '../../helpers/connector-desk.ts';
import { credentialsOf, simulatedInternet } from '../../helpers/simulated-venues.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const START_MS: number = Date.UTC(2026, 10, 18, 6);
const HOURS = 10;
const DEPOSIT_HOUR = 5;
const OUTAGE_HOUR = 7;

beforeEach(forgetMarkets);

function isRate({ symbol }: PriceQuestion): boolean {
  return symbol.endsWith('/USD');
}

class Trader {
  readonly exchange: RunningExchange;
  readonly account: AccountAnswer;
  readonly book = new AccountBook({ pricedIn: 'USDT' });
  /** Prices that are none. */
  refused = 0;
  readonly applied = new Set<string>();
  /** By the begin of the hour: what was said of it, the last word at the end. */
  readonly said = new Map<number, HourFigures[]>();
  readonly #setNow: (nowMs: number) => void;
  /** False: the record is kept from the book. */
  readonly #isTold: (record: ConnectorRecord) => boolean;
  #cursors: Job['cursors'] = null;
  #nowMs = START_MS;
  #missed = false;

  constructor(
    exchange: RunningExchange,
    setNow: (nowMs: number) => void,
    isTold: (record: ConnectorRecord) => boolean,
  ) {
    this.exchange = exchange;
    this.#setNow = setNow;
    this.#isTold = isTold;
    this.account = exchange.control.account({ venue: 'binance' });
  }

  at(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#setNow(nowMs);
  }

  async poll(): Promise<void> {
    const settings = { ...jobOf('binance').settings, symbols: ['BTC/USDT'] };
    const credentials = credentialsOf(this.account);
    const cursors = this.#cursors;
    const times = { fromMs: START_MS - HOUR_MS, nowMs: this.#nowMs };
    const job = jobOf('binance', { ...times, settings, credentials, cursors });
    const { records, done } = await runJob(job, simulatedInternet(this.exchange));
    this.#missed = done.outcome !== 'complete';
    if (this.#missed) return;
    this.#cursors = done.cursors;
    for (const record of records) {
      const isChange = record.kind === 'fill' || record.kind === 'flow';
      if (!isChange || !this.#isTold(record)) continue;
      const applied = this.book.apply(record);
      this.applied.add(applied);
      if (applied === 'late') this.book.reopen(record.timeMs - (record.timeMs % HOUR_MS));
    }
    const balances = records.filter((record) => record.kind === 'balance');
    const moment = { fromMs: this.#nowMs, atMs: this.#nowMs };
    this.book.observe({ ...moment, balances, positions: [] });
  }

  /** Hours before now: the last one, and those that have to be said again. */
  async close(): Promise<void> {
    for (;;) {
      const startMs = this.book.nextHourMs;
      if (startMs === null || startMs + HOUR_MS > this.#nowMs) return;
      await this.#closeOne(startMs);
    }
  }

  async #closeOne(startMs: number): Promise<void> {
    const questions = this.book.needs(startMs, startMs + HOUR_MS);
    const prices = new PriceTable();
    await this.#price(
      'binance',
      questions.filter((one) => !isRate(one)),
      prices,
    );
    await this.#price('kraken', questions.filter(isRate), prices);
    const gaps = this.#missed ? ['poll_incomplete'] : [];
    const coverage = { polls: 1, complete: !this.#missed, gaps };
    const figures = this.book.closeHour(startMs, prices, coverage);
    this.said.set(startMs, [...(this.said.get(startMs) ?? []), figures]);
  }

  async #price(
    venue: 'binance' | 'kraken',
    questions: readonly PriceQuestion[],
    prices: PriceTable,
  ): Promise<void> {
    if (questions.length === 0) return;
    const job = jobOf(venue, {
      kind: 'prices',
      nowMs: this.#nowMs,
      prices: questions as readonly PriceItem[],
    });
    const { records } = await runJob(job, simulatedInternet(this.exchange));
    for (const record of records) {
      if (record.kind !== 'price') continue;
      const { of: kind, symbol, atMs, price, source, tradedMs } = record;
      this.refused += prices.add([{ kind, symbol, atMs, price, source, tradedMs }]);
    }
  }
}

async function live(isTold: (record: ConnectorRecord) => boolean = () => true): Promise<Trader> {
  let nowMs = START_MS;
  const exchange = await startExchange({ clock: () => nowMs });
  onTestFinished(() => exchange.close());
  const { control } = exchange;
  control.move({ isMoving: true });
  for (const venue of ['binance', 'kraken'] as const) control.limits({ venue, scale: 1000 });
  const setNow = (ms: number): void => {
    nowMs = ms;
  };
  const trader = new Trader(exchange, setNow, isTold);
  const { account } = trader.account;
  control.deposit({ account, currency: 'USDT', amount: '10000' });
  trader.at(START_MS + MINUTE_MS);
  await trader.poll();
  for (let hour = 0; hour < HOURS; hour++) {
    const hourMs = START_MS + hour * HOUR_MS;
    trader.at(hourMs + 20 * MINUTE_MS);
    const side = hour % 3 === 2 ? 'sell' : 'buy';
    control.trade({ account, symbol: 'BTC/USDT', side, amount: '0.01' });
    if (hour === DEPOSIT_HOUR) {
      trader.at(hourMs + 37 * MINUTE_MS);
      control.deposit({ account, currency: 'USDT', amount: '90000' });
    }
    const isOutage = hour === OUTAGE_HOUR;
    const fault = { venue: 'binance', type: 'trouble', kind: 'maintenance' } as const;
    const down = isOutage ? control.fault(fault) : null;
    for (const pollMs of [hourMs + 40 * MINUTE_MS, hourMs + HOUR_MS + MINUTE_MS]) {
      trader.at(pollMs);
      await trader.poll();
    }
    if (down !== null) control.clear({ id: down.id });
    await trader.close();
  }
  return trader;
}

function written(value: bigint | null): string | null {
  return value === null ? null : formatFixed(value);
}

function lastOf({ said }: Trader): readonly HourFigures[] {
  return [...said.values()].flatMap((versions) => versions.slice(-1));
}

function hourOf({ startMs }: HourFigures): number {
  return (startMs - START_MS) / HOUR_MS;
}

describe('a trader’s hours', () => {
  it('have residual zero, a deposit moves no return, and an outage is a gap until it is told', async () => {
    const trader = await live();
    const { said, exchange, account, applied, refused } = trader;
    expect([[...applied], refused]).toEqual([['new', 'late'], 0]);
    const figures = lastOf(trader);
    expect(figures.map(hourOf)).toEqual(Array.from({ length: HOURS }, (_, hour) => hour));
    expect(figures.map(({ trades }) => trades)).toEqual(Array.from({ length: HOURS }, () => 1));
    for (const figure of figures) {
      const { status, residual, complete, equityEnd } = figure;
      expect([hourOf(figure), status, written(residual), complete]).toEqual([
        hourOf(figure),
        'reconciled',
        '0',
        true,
      ]);
      expect(equityEnd).not.toBeNull();
    }
    // First it was a gap; the fill of that hour came with the next poll, and the hour was said again.
    const [first, second, ...more] = said.get(START_MS + OUTAGE_HOUR * HOUR_MS) ?? [];
    expect([first?.complete, first?.gaps, first?.trades]).toEqual([false, ['poll_incomplete'], 0]);
    expect([second?.complete, second?.trades, more]).toEqual([true, 1, []]);

    const deposit = figures.find((figure) => hourOf(figure) === DEPOSIT_HOUR);
    if (deposit === undefined) throw new Error('the hour of the deposit');
    expect(deposit.flows).toHaveLength(1);
    const { ratio, method } = hourReturn(deposit);
    expect(method).toBe('twr');
    // Nine times of what was there came in; a part of it is a coin that moves by a percent.
    expect(Math.abs(Number(ratio))).toBeLessThan(0.01);
    const grew = Number(written(deposit.equityEnd)) / Number(written(deposit.equityStart));
    expect(grew).toBeGreaterThan(9);

    const timeMs = START_MS + HOURS * HOUR_MS;
    const held = exchange.control.ledger({ account: account.account }).balances['spot'] ?? {};
    const coin = exchange.control.priceAt({ venue: 'binance', symbol: 'BTC/USDT', timeMs }).price;
    const dollar = exchange.control.priceAt({ venue: 'kraken', symbol: 'USDT/USD', timeMs }).price;
    const worth = (Number(held['BTC']) * Number(coin) + Number(held['USDT'])) * Number(dollar);
    expect(Number(written(figures.at(-1)?.equityEnd ?? null))).toBeCloseTo(worth, 6);
  });

  it('in which a fill was never told are beyond their tolerance, and say by how much', async () => {
    let fills = 0;
    const trader = await live((record) => record.kind !== 'fill' || ++fills !== 4);
    const beyond = lastOf(trader).filter(({ status }) => status === 'beyond');
    expect(beyond.map(hourOf)).toEqual([3]);
    expect(Number(written(beyond[0]?.residual ?? null))).not.toBe(0);
  });
});
