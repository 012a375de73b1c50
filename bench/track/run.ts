// From the fills of an account to its hourly returns, by the enclave's book and by the naive one, over the same records.
// Only what they do is timed; records and prices are made up outside of it, hour by hour, as polls bring them.

import { performance } from 'node:perf_hooks';
import { AccountBook } from '../../enclave/ledger/book/account-book.ts';
import { PriceTable } from '../../enclave/ledger/book/price-table.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import { HOUR_MS } from '../../wire/track/figures.ts';
import { hourReturn } from '../../wire/performance/hour-return.ts';
import { accountYear, START_MS } from './account-year.ts';
import { NaiveAccount } from './naive.ts';

export interface TrackRun {
  readonly hours: number;
  readonly fills: number;
  readonly elapsedMs: number;
  /** Processor time of the thread: on a machine with other work, what it would take alone. */
  readonly cpuMs: number;
  /** Hours that have a return. */
  readonly returns: number;
  /** Of the last hour, in dollars. */
  readonly equityEnd: number;
  /** Resident memory beyond what it was before the first hour, at its highest; measured at the end of each day. */
  readonly peakBytes: number;
}

const COVERAGE = { polls: 12, complete: true, gaps: [] };
/** What a round of the ledger closes at once, with one table of prices (account-track.ts). */
const DAY_HOURS = 24;

class Clock {
  elapsedMs = 0;
  cpuMs = 0;
  peakBytes = 0;
  readonly #before = process.memoryUsage().rss;

  time<T>(work: () => T): T {
    const cpu = process.threadCpuUsage();
    const before = performance.now();
    const result = work();
    this.elapsedMs += performance.now() - before;
    const { user, system } = process.threadCpuUsage(cpu);
    this.cpuMs += (user + system) / 1000;
    return result;
  }

  day(): void {
    this.peakBytes = Math.max(this.peakBytes, process.memoryUsage().rss - this.#before);
  }
}

/** Throws where an hour is not reconciled: then the numbers would be worth nothing. */
export function runBook(hours: number, fills: number): TrackRun {
  const year = accountYear(hours, fills);
  const clock = new Clock();
  const book = new AccountBook({ pricedIn: 'USDT' });
  book.observe(year.opening);
  let returns = 0;
  let figures: HourFigures | null = null;
  let table = new PriceTable();
  for (let at = 0; at < hours; at++) {
    const { records, observation } = year.hour(at);
    if (at % DAY_HOURS === 0) {
      // As a round of the ledger has them: of its hours and no others.
      const rows = year.prices(at, at + DAY_HOURS);
      table = clock.time(() => PriceTable.of(rows));
    }
    figures = clock.time(() => {
      for (const record of records) book.apply(record);
      book.observe(observation);
      const closed = book.closeHour(START_MS + at * HOUR_MS, table, COVERAGE);
      if (hourReturn(closed).ratio !== null) returns++;
      return closed;
    });
    if (figures.status !== 'reconciled') throw new Error(`hour ${at} is ${figures.status}`);
    if (at % DAY_HOURS === 0) clock.day();
  }
  const { elapsedMs, cpuMs, peakBytes } = clock;
  const equityEnd = Number(figures?.equityEnd ?? 0n) / 1e18;
  return { hours, fills, elapsedMs, cpuMs, returns, equityEnd, peakBytes };
}

export function runNaive(hours: number, fills: number): TrackRun {
  const year = accountYear(hours, fills);
  const clock = new Clock();
  const account = new NaiveAccount();
  for (const { currency, total } of year.opening.balances) account.open(currency, total);
  let returns = 0;
  let equityEnd = 0;
  for (const row of year.prices(0, 0)) account.price(row);
  account.close(0);
  for (let at = 0; at < hours; at++) {
    const { records } = year.hour(at);
    const rows = year.prices(at + 1, at + 1);
    const closed = clock.time(() => {
      let flows = 0;
      for (const record of records) flows += account.apply(record);
      for (const row of rows) account.price(row);
      return account.close(flows);
    });
    if (closed.ratio !== null) returns++;
    equityEnd = closed.equity;
    if (at % DAY_HOURS === 0) clock.day();
  }
  const { elapsedMs, cpuMs, peakBytes } = clock;
  return { hours, fills, elapsedMs, cpuMs, returns, equityEnd, peakBytes };
}
