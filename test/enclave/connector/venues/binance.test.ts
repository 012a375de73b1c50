import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Venue } from '../../../../enclave/connector/classes.ts';
import { forgetMarkets } from '../../../../enclave/connector/exchange.ts';
import type { Job } from '../../../../enclave/connector/job.ts';
import type { Balance, Fill } from '../../../../enclave/connector/records.ts';
import type { AccountAnswer } from '../../../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../../../simulator/exchange/server.ts';
import { startExchange } from '../../../../simulator/exchange/server.ts';
import { addDecimals, assertDecimal, formatDecimal } from '../../../../wire/decimal.ts';
import type { Outcome } from '../../../helpers/connector-desk.ts';
import { jobOf, runJob } from '../../../helpers/connector-desk.ts';
import { credentialsOf, simulatedInternet } from '../../../helpers/simulated-venues.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let exchange: RunningExchange;
let nowMs = Date.now();

beforeAll(async () => {
  exchange = await startExchange({ clock: () => nowMs });
});

afterAll(() => exchange.close());

class Trader {
  readonly account: AccountAnswer;
  readonly fromMs: number;
  cursors: Uint8Array | null = null;

  constructor(fromMs: number) {
    this.account = exchange.control.account({ venue: 'binance' });
    this.fromMs = fromMs;
  }

  /** Keeps the cursors, as the desk does with each DONE. */
  async poll(venue: Venue, change: Partial<Job> = {}): Promise<Outcome> {
    const outcome = await runJob(
      jobOf(venue, {
        cursors: this.cursors,
        fromMs: this.fromMs,
        nowMs,
        credentials: credentialsOf(this.account),
        ...change,
      }),
      simulatedInternet(exchange),
    );
    this.cursors = outcome.done.cursors ?? this.cursors;
    return outcome;
  }
}

function fillsOf({ records }: Outcome): readonly Fill[] {
  return records.filter((record) => record.kind === 'fill');
}

function balancesOf({ records }: Outcome): readonly Balance[] {
  return records.filter((record) => record.kind === 'balance');
}

function sum(texts: readonly string[]): string {
  let total = assertDecimal('0');
  for (const text of texts) total = addDecimals(total, assertDecimal(text));
  return formatDecimal(total);
}

function isAsked({ asked }: Outcome, path: string, symbol: string | null): boolean {
  return asked.some(({ url, query }) => url.pathname === path && query.get('symbol') === symbol);
}

describe('binance', () => {
  it('gives 2,100 fills of one symbol once each, over three pages and two polls', async () => {
    nowMs += DAY_MS;
    const trader = new Trader(nowMs - HOUR_MS);
    const { account } = trader.account;
    exchange.control.deposit({ account, currency: 'USDT', amount: '10000000' });
    const buy = (count: number): void => {
      for (let at = 0; at < count; at++) {
        exchange.control.trade({
          account,
          symbol: 'BTC/USDT',
          side: 'buy',
          amount: '0.001',
          price: '60000.01',
        });
      }
    };
    buy(2100);
    const first = await trader.poll('binance');
    expect(first.done.outcome).toBe('complete');
    expect(new Set(fillsOf(first).map(({ id }) => id)).size).toBe(2100);
    expect(fillsOf(first)).toHaveLength(2100);
    buy(3);
    nowMs += 300_000;
    const second = await trader.poll('binance');
    expect(fillsOf(second)).toHaveLength(3);
    const { volume, balances } = exchange.control.ledger({ account });
    const costs = [...fillsOf(first), ...fillsOf(second)].map(({ cost }) => cost ?? '');
    expect(sum(costs)).toBe(volume['USDT']);
    const spot = balancesOf(second).map(({ currency, total }) => [currency, total] as const);
    expect(Object.fromEntries(spot)).toEqual(balances['spot']);
  });

  it('finds a pair that was sold out between two polls, because its balance is gone', async () => {
    nowMs += DAY_MS;
    const trader = new Trader(nowMs - HOUR_MS);
    const { account } = trader.account;
    exchange.control.deposit({ account, currency: 'USDT', amount: '100000' });
    exchange.control.deposit({ account, currency: 'ETH', amount: '2' });
    await trader.poll('binance');
    nowMs += 60_000;
    exchange.control.trade({
      account,
      symbol: 'ETH/USDT',
      side: 'sell',
      amount: '2',
      price: '3000',
    });
    nowMs += 240_000;
    const after = await trader.poll('binance');
    expect(balancesOf(after).some(({ currency }) => currency === 'ETH')).toBe(false);
    expect(fillsOf(after).map(({ symbol, side }) => [symbol, side])).toEqual([
      ['ETH/USDT', 'sell'],
    ]);
    // And says that it cannot know all.
    expect(after.done.coverage).toContainEqual(
      expect.objectContaining({ what: 'fills', market: 'spot', reason: 'symbols_unknown' }),
    );
  });

  it('asks for symbols of the settings, whatever the balances say', async () => {
    nowMs += DAY_MS;
    const trader = new Trader(nowMs - HOUR_MS);
    const settings = { ...jobOf('binance').settings, symbols: ['ETH/BTC'] };
    const { asked } = await trader.poll('binance', { settings });
    expect(asked.some(({ query }) => query.get('symbol') === 'ETHBTC')).toBe(true);
  });

  it('asks for open orders only where something is locked for one, and for their symbols', async () => {
    nowMs += DAY_MS;
    const trader = new Trader(nowMs - HOUR_MS);
    const { account } = trader.account;
    exchange.control.deposit({ account, currency: 'BTC', amount: '1' });
    const without = await trader.poll('binance');
    expect(isAsked(without, '/api/v3/openOrders', null)).toBe(false);
    expect(isAsked(without, '/api/v3/myTrades', 'ETHBTC')).toBe(false);
    const open = { account, symbol: 'ETH/BTC', side: 'buy', amount: '1', price: '0.05' } as const;
    const { order } = exchange.control.order(open);
    nowMs += 300_000;
    const locked = await trader.poll('binance');
    expect(isAsked(locked, '/api/v3/openOrders', null)).toBe(true);
    expect(isAsked(locked, '/api/v3/myTrades', 'ETHBTC')).toBe(true);
    expect(balancesOf(locked)).toContainEqual(
      expect.objectContaining({ currency: 'BTC', total: '1', free: '0.95' }),
    );
    exchange.control.cancel({ account, order });
    nowMs += 300_000;
    expect(isAsked(await trader.poll('binance'), '/api/v3/openOrders', null)).toBe(false);
    // Cross margin locks in ways of its own, and the question is cheap there.
    const margin = await trader.poll('binancemargin', { cursors: null });
    expect(isAsked(margin, '/sapi/v1/margin/openOrders', null)).toBe(true);
  });

  it.each([
    [0, 1],
    [1, 1],
    [999, 1],
    // They may be all, or the last of more: from the span's start then.
    [1000, 9],
    [1001, 9],
  ])(
    'asks once for the first %i trades of a week where that shows all: %i questions',
    async (count, questions) => {
      nowMs += 30 * DAY_MS;
      const trader = new Trader(nowMs - 7 * DAY_MS);
      const { account } = trader.account;
      exchange.control.deposit({ account, currency: 'USDT', amount: '10000000' });
      const buy = {
        account,
        symbol: 'BTC/USDT',
        side: 'buy',
        amount: '0.001',
        price: '60000',
      } as const;
      // Before the span: not counted, and no reason to ask for more.
      exchange.control.trade({ ...buy, timeMs: nowMs - 8 * DAY_MS });
      for (let at = 0; at < count; at++) {
        exchange.control.trade({ ...buy, timeMs: nowMs - HOUR_MS + at });
      }
      const settings = { ...jobOf('binance').settings, symbols: ['BTC/USDT'] };
      const first = await trader.poll('binance', { settings });
      expect(first.done.outcome).toBe('complete');
      expect(new Set(fillsOf(first).map(({ id }) => id)).size).toBe(count);
      expect(fillsOf(first)).toHaveLength(count);
      // A machine under load lets a second pass, and the venue then refuses the time of a signature once.
      const asked = first.asked.filter(
        ({ fetch, query }) => fetch.attempt === 0 && query.get('symbol') === 'BTCUSDT',
      );
      expect(asked).toHaveLength(questions);
      exchange.control.trade(buy);
      nowMs += 300_000;
      expect(fillsOf(await trader.poll('binance', { settings }))).toHaveLength(1);
    },
  );

  it('finds futures that were opened and closed between two polls, by the income history', async () => {
    nowMs += DAY_MS;
    const trader = new Trader(nowMs - HOUR_MS);
    const { account } = trader.account;
    exchange.control.deposit({ account, currency: 'USDT', amount: '100000', wallet: 'linear' });
    await trader.poll('binanceusdm');
    nowMs += 60_000;
    const round = { account, symbol: 'ETH/USDT:USDT', amount: '2', price: '3000' } as const;
    exchange.control.trade({ ...round, side: 'buy' });
    exchange.control.funding({ account, symbol: 'ETH/USDT:USDT', amount: '-0.12345678' });
    exchange.control.trade({ ...round, side: 'sell' });
    nowMs += 240_000;
    const after = await trader.poll('binanceusdm');
    expect(fillsOf(after)).toHaveLength(2);
    expect(after.records.some(({ kind }) => kind === 'position')).toBe(false);
    const funding = after.records.filter((record) => record.kind === 'funding');
    const ledger = exchange.control.ledger({ account });
    expect(sum(funding.map(({ amount }) => amount))).toBe(ledger.funding['USDT']);
    const short = after.done.coverage.filter(({ complete }) => !complete);
    expect(short.every(({ reason }) => reason === 'venue_lacks')).toBe(true);
  });

  it('tells what a key may do', async () => {
    const { account } = new Trader(nowMs);
    const check = async (
      permissions: readonly ('read' | 'trade' | 'withdraw')[],
    ): Promise<unknown> => {
      const key = exchange.control.key({ account: account.account, permissions });
      const job = jobOf('binance', { kind: 'check', nowMs, credentials: credentialsOf(key) });
      const { done } = await runJob(job, simulatedInternet(exchange));
      const { read, trade, withdraw } = done.permissions ?? {};
      return { read, trade, withdraw };
    };
    expect(await check(['read'])).toEqual({ read: true, trade: false, withdraw: false });
    expect(await check(['read', 'trade'])).toEqual({ read: true, trade: true, withdraw: false });
    expect(await check(['read', 'withdraw'])).toEqual({ read: true, trade: false, withdraw: true });
  });

  it('sees an unknown key as `authentication`, and ends the job there', async () => {
    const trader = new Trader(nowMs);
    exchange.control.revoke({ account: trader.account.account });
    const { done, asked } = await trader.poll('binance');
    expect(done).toMatchObject({ outcome: 'failed', errorClass: 'authentication' });
    expect(asked.filter(({ url }) => url.searchParams.has('signature'))).toHaveLength(1);
  });

  it('corrects its clock by the venue once, and signs again', async () => {
    nowMs += DAY_MS;
    const trader = new Trader(nowMs - HOUR_MS);
    const { done } = await trader.poll('binance', { nowMs: nowMs - 90_000 });
    expect(done.outcome).toBe('complete');
    expect(done.clockOffsetMs).toBeGreaterThan(80_000);
  });

  it('loads markets once for all jobs of a process', async () => {
    forgetMarkets();
    const jobs = [new Trader(nowMs - HOUR_MS), new Trader(nowMs - HOUR_MS)];
    const asked = [];
    for (const trader of jobs) asked.push(...(await trader.poll('binance')).asked);
    const lists = asked.filter(({ url }) => url.pathname === '/api/v3/exchangeInfo');
    expect(lists.map(({ query }) => query.get('showPermissionSets'))).toEqual(['false']);
  });
});
