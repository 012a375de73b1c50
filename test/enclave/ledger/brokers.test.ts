// Hours of accounts at brokers, from the simulated ones to the book: shares and dollars, a deposit and a dividend, marks
// of statements (Interactive Brokers) and bars in the hours of the market (Alpaca).

import { describe, expect, it, onTestFinished } from 'vitest';
import { forgetMarkets } from '../../../enclave/connector/exchange.ts';
import type { Job, PriceItem } from '../../../enclave/connector/job.ts';
import { AccountBook } from '../../../enclave/ledger/book/account-book.ts';
import { PriceTable } from '../../../enclave/ledger/book/price-table.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import { formatFixed } from '../../../wire/fixed.ts';
import { hourReturn } from '../../../wire/performance/hour-return.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { jobOf, runJob } from '../../helpers/connector-desk.ts';
import { credentialsOf, simulatedInternet } from '../../helpers/simulated-venues.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** A Wednesday, when New York trades. */
const START_MS: number = Date.UTC(2026, 10, 18, 15);
const HOURS = 5;

interface Told {
  /** The last word on each hour. */
  readonly figures: readonly HourFigures[];
  readonly shares: string;
  readonly cash: string;
  readonly price: string;
}

async function hoursAt(venue: 'alpaca' | 'ibkr'): Promise<Told> {
  forgetMarkets();
  let nowMs = START_MS;
  const exchange = await startExchange({ clock: () => nowMs });
  onTestFinished(() => exchange.close());
  const { control } = exchange;
  control.move({ isMoving: true });
  control.limits({ venue, scale: 1000 });
  const answer = control.account({ venue });
  const { account } = answer;
  const book = new AccountBook({ pricedIn: 'USD' });
  const prices = new PriceTable();
  const figures = new Map<number, HourFigures>();
  let cursors: Job['cursors'] = null;
  const tell = async (job: Partial<Job>): Promise<void> => {
    const own = { nowMs, credentials: credentialsOf(answer), fromMs: START_MS - HOUR_MS };
    const { records, done } = await runJob(
      jobOf(venue, { ...own, ...job }),
      simulatedInternet(exchange),
    );
    if (job.kind !== 'prices') ({ cursors } = done);
    for (const record of records) {
      if (record.kind === 'fill' || record.kind === 'flow') {
        // A deposit that is dated by its day alone comes to hours that were closed.
        const isLate = book.apply(record) === 'late';
        if (isLate) book.reopen(record.timeMs - (record.timeMs % HOUR_MS));
      }
      if (record.kind !== 'price') continue;
      const { of: kind, symbol, atMs, price, source, tradedMs } = record;
      prices.add([{ kind, symbol, atMs, price, source, tradedMs }]);
    }
    const balances = records.filter((record) => record.kind === 'balance');
    const positions = records.filter((record) => record.kind === 'position');
    if (balances.length > 0) book.observe({ fromMs: nowMs, atMs: nowMs, balances, positions });
  };
  control.deposit({ account, currency: 'USD', amount: '10000', timeMs: START_MS - MINUTE_MS });
  nowMs = START_MS + MINUTE_MS;
  await tell({});
  for (let hour = 0; hour < HOURS; hour++) {
    const at = (minutes: number): number => START_MS + hour * HOUR_MS + minutes * MINUTE_MS;
    nowMs = at(20);
    const trade = { account, symbol: 'AAPL/USD', amount: '2' } as const;
    control.trade({ ...trade, side: hour === 3 ? 'sell' : 'buy' });
    if (hour === 2) control.deposit({ account, currency: 'USD', amount: '50000', timeMs: at(30) });
    nowMs = at(61);
    await tell({ cursors });
    for (;;) {
      const startMs = book.nextHourMs ?? Number.POSITIVE_INFINITY;
      if (startMs + HOUR_MS > nowMs) break;
      const questions = book.needs(startMs, startMs + HOUR_MS) as readonly PriceItem[];
      if (venue === 'alpaca' && questions.length > 0) {
        await tell({ kind: 'prices', prices: questions });
      }
      const coverage = { polls: 1, complete: true, gaps: [] };
      figures.set(startMs, book.closeHour(startMs, prices, coverage));
    }
  }
  const held = control.ledger({ account }).balances['spot'] ?? {};
  const timeMs = START_MS + HOURS * HOUR_MS;
  const { price } = control.priceAt({ venue, symbol: 'AAPL/USD', timeMs });
  const { AAPL: shares = '', USD: cash = '' } = held;
  return { figures: [...figures.values()], shares, cash, price };
}

describe.each(['alpaca', 'ibkr'] as const)('hours at %s', (venue) => {
  it('have what was traded, and residual zero; a deposit is no profit', async () => {
    const { figures, shares, cash, price } = await hoursAt(venue);
    expect(figures.reduce((sum, { trades }) => sum + trades, 0)).toBe(HOURS);
    const flows = figures.flatMap((figure) => figure.flows.map(({ amount }) => amount));
    expect(flows.map((amount) => (amount === null ? null : formatFixed(amount)))).toContain(
      '50000',
    );
    const checked = figures.filter(({ status }) => status !== 'unknown');
    expect(checked.length).toBeGreaterThanOrEqual(HOURS - 1);
    for (const { status, residual } of checked) {
      expect([status, residual]).toEqual(['reconciled', 0n]);
    }
    // Ten thousand dollars, less than two thousand of them in shares; fifty thousand came in.
    const ratios = figures.map((figure) => Math.abs(Number(hourReturn(figure).ratio ?? '0')));
    expect(Math.max(...ratios)).toBeLessThan(0.01);
    const last = figures.at(-1)?.equityEnd ?? null;
    expect(last).not.toBeNull();
    const worth = Number(shares) * Number(price) + Number(cash);
    // A statement has its own moment; bars have the hour's.
    const digits = venue === 'alpaca' ? 6 : -1;
    expect(Number(formatFixed(last ?? 0n))).toBeCloseTo(worth, digits);
  });
});
