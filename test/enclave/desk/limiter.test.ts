import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LimitedCall } from '../../../enclave/desk/limiter.ts';
import { Limiter } from '../../../enclave/desk/limiter.ts';
import { hostsOf, RULES, rulesFor } from '../../../enclave/desk/venues.ts';
import { VENUES } from '../../../enclave/connector/classes.ts';
import { settle, VirtualTime } from '../../helpers/virtual-time.ts';

const NEVER = new AbortController().signal;
const START_MS = 1_760_000_000_000;
const HOUR_MS = 3_600_000;
const BINANCE: LimitedCall = {
  account: 'a',
  host: 'api.binance.com',
  path: '/api/v3/myTrades',
  weight: 20,
  priority: 0,
};

/** Calls that may go now, one after the other, until one has to wait. */
async function burst(limiter: Limiter, call: LimitedCall, most = 10_000): Promise<number> {
  for (let count = 0; count < most; count++) {
    const waiting = limiter.acquire(call, HOUR_MS, NEVER);
    const first = await Promise.race([waiting, settle(1).then(() => 'waits' as const)]);
    if (first !== 0) return count;
  }
  return most;
}

describe('the limits of venues', () => {
  it('know each host that a job may call, by a rule or as a count of its own', () => {
    for (const venue of VENUES) {
      for (const host of [...hostsOf(venue, 'live'), ...hostsOf(venue, 'sandbox')]) {
        const paths = ['/api/v3/a', '/sapi/v1/a', '/0/private/A', '/api/v5/public/a', '/v2/a'];
        expect(paths.flatMap((path) => rulesFor(host, path)).length, host).toBeGreaterThan(0);
      }
    }
    expect(new Set(RULES.map(({ name }) => name)).size).toBe(RULES.length);
  });
});

describe('the limiter', () => {
  it.each([
    [0, 285],
    [1, 225],
    [2, 225],
    [3, 225],
    [4, 195],
  ])(
    'lets calls of priority %i use their share of 6,000 a minute: %i calls of 20',
    async (priority, calls) => {
      const time = new VirtualTime(START_MS);
      expect(await burst(new Limiter(time), { ...BINANCE, priority })).toBe(calls);
    },
  );

  it('is one for all accounts, and never above the limit in any minute', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ gapMs: fc.nat(15_000), weight: fc.integer({ min: 1, max: 400 }) }), {
          minLength: 20,
          maxLength: 120,
        }),
        async (calls) => {
          const time = new VirtualTime(START_MS);
          const limiter = new Limiter(time);
          const gone: { atMs: number; weight: number }[] = [];
          for (const [index, { gapMs, weight }] of calls.entries()) {
            const call = { ...BINANCE, account: `account ${index % 7}`, weight };
            void limiter.acquire(call, HOUR_MS, NEVER).then((waitMs) => {
              if (waitMs === 0) gone.push({ atMs: time.nowMs(), weight });
            });
            await time.run(gapMs, 1);
          }
          await time.run(HOUR_MS / 2, 1);
          expect(gone).toHaveLength(calls.length);
          for (const { atMs } of gone) {
            const window = gone.filter((one) => one.atMs >= atMs && one.atMs < atMs + 60_000);
            expect(window.reduce((sum, one) => sum + one.weight, 0)).toBeLessThanOrEqual(6000);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('serves the more urgent first, and keeps room for them', async () => {
    const time = new VirtualTime(START_MS);
    const limiter = new Limiter(time);
    expect(await burst(limiter, { ...BINANCE, priority: 2 })).toBe(225);
    // The last one waits; a snapshot goes at once, until its own share is used up.
    expect(await burst(limiter, { ...BINANCE, priority: 0, account: 'b' })).toBe(60);
    const order: string[] = [];
    for (const [name, priority] of [
      ['schedule', 2],
      ['retry', 3],
      ['snapshot', 0],
    ] as const) {
      void limiter.acquire({ ...BINANCE, priority }, HOUR_MS, NEVER).then(() => order.push(name));
    }
    await time.run(2 * 60_000);
    expect(order).toEqual(['snapshot', 'schedule', 'retry']);
  });

  it('learns what others behind the address have used', async () => {
    const time = new VirtualTime(START_MS);
    const limiter = new Limiter(time);
    limiter.learn(BINANCE, new Map([['x-mbx-used-weight-1m', '5600']]));
    expect(await burst(limiter, BINANCE)).toBe(5);
    limiter.learn(BINANCE, new Map([['x-mbx-used-weight-1m', '10']]));
    expect(await burst(limiter, BINANCE)).toBe(0);
    await time.run(70_000);
    expect(await burst(limiter, BINANCE)).toBeGreaterThan(200);
  });

  it.each([
    ['no number', 'many'],
    ['a negative one', '-1'],
    ['an exponent', '1e9'],
    ['nothing', ''],
  ])('takes %s in a header for no header', async (_, value) => {
    const limiter = new Limiter(new VirtualTime(START_MS));
    limiter.learn(BINANCE, new Map([['x-mbx-used-weight-1m', value]]));
    expect(await burst(limiter, BINANCE)).toBe(285);
  });

  it('keeps to what is left by account and endpoint, until the time that the venue names', async () => {
    const time = new VirtualTime(START_MS);
    const limiter = new Limiter(time);
    const bybit = { ...BINANCE, host: 'api.bybit.com', path: '/v5/execution/list', weight: 1 };
    limiter.learn(
      bybit,
      new Map([
        ['x-bapi-limit', '10'],
        ['x-bapi-limit-status', '0'],
        ['x-bapi-limit-reset-timestamp', String(START_MS + 5000)],
      ]),
    );
    expect(await burst(limiter, bybit)).toBe(0);
    expect(await burst(limiter, { ...bybit, account: 'b' })).toBe(9);
    expect(await burst(limiter, { ...bybit, path: '/v5/account/wallet-balance' })).toBe(9);
    let went = 0;
    void limiter.acquire(bybit, HOUR_MS, NEVER).then(() => (went = time.nowMs()));
    await time.run(10_000);
    expect(went).toBeGreaterThanOrEqual(START_MS + 5000);
  });

  it('believes no venue that sends us away for days', async () => {
    const time = new VirtualTime(START_MS);
    const limiter = new Limiter(time);
    const alpaca = { ...BINANCE, host: 'api.alpaca.markets', path: '/v2/account', weight: 1 };
    const farS = Math.floor(START_MS / 1000) + 864_000;
    limiter.learn(
      alpaca,
      new Map([
        ['x-ratelimit-remaining', '0'],
        ['x-ratelimit-reset', String(farS)],
      ]),
    );
    expect(await burst(limiter, alpaca)).toBe(0);
    await time.run(16 * 60_000);
    expect(await burst(limiter, alpaca)).toBeGreaterThan(0);
  });

  it('blocks one account alone when the venue says so in a body', async () => {
    const time = new VirtualTime(START_MS);
    const limiter = new Limiter(time);
    const kraken = { ...BINANCE, host: 'api.kraken.com', path: '/0/private/Ledgers', weight: 6 };
    limiter.blockAccount(kraken, 30_000);
    expect(await burst(limiter, kraken)).toBe(0);
    expect(await burst(limiter, { ...kraken, account: 'b' })).toBe(7);
    limiter.forget('a');
    expect(await burst(limiter, kraken)).toBe(7);
  });

  it('forgets counts that nobody uses any more, and no others', async () => {
    const time = new VirtualTime(START_MS);
    const limiter = new Limiter(time);
    const busy = { ...BINANCE, host: 'api.kraken.com', path: '/0/private/Ledgers', weight: 6 };
    limiter.blockAccount(busy, 10 * 60_000);
    // Paths of a connector that invents them, and accounts that came for one check.
    const call = (at: number): LimitedCall => ({
      ...BINANCE,
      account: `a${at}`,
      host: 'www.okx.com',
      path: `/x/${at}`,
    });
    for (let at = 0; at < 20_000; at++) {
      if (at % 1000 === 0) await time.run(5000);
      await limiter.acquire(call(at), 4000, NEVER);
    }
    expect(limiter.size).toBeLessThanOrEqual(4096);
    expect(await burst(limiter, busy)).toBe(0);
  });

  it('tells a call to come back with a new signature, and forgets it', async () => {
    const time = new VirtualTime(START_MS);
    const limiter = new Limiter(time);
    await burst(limiter, BINANCE);
    const waiting = limiter.acquire(BINANCE, 4000, NEVER);
    await time.run(4000);
    expect(await waiting).toBeGreaterThan(30_000);
    expect(limiter.counters).toMatchObject({ limiter_deferred: 1 });
  });

  it('gives up with the signal', async () => {
    const time = new VirtualTime(START_MS);
    const limiter = new Limiter(time);
    await burst(limiter, BINANCE);
    const abort = new AbortController();
    const waiting = limiter.acquire(BINANCE, HOUR_MS, abort.signal);
    abort.abort();
    expect(await waiting).toBe(-1);
    expect(await limiter.acquire(BINANCE, HOUR_MS, AbortSignal.abort())).toBe(-1);
  });

  it('lets a call that weighs more than its share go alone', async () => {
    const limiter = new Limiter(new VirtualTime(START_MS));
    const heavy = { ...BINANCE, weight: 100_000 };
    expect(await burst(limiter, heavy)).toBe(1);
  });
});
