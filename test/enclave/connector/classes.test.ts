// What became of a call, seen through whole jobs: the class, whether it is tried again, and what the desk is told.

import { describe, expect, it } from 'vitest';
import type { ErrorClass } from '../../../enclave/connector/classes.ts';
import { ERROR_CLASSES, isRetryable } from '../../../enclave/connector/classes.ts';
import type { Job } from '../../../enclave/connector/job.ts';
import type { Asked, Failure, Outcome, Reply } from '../../helpers/connector-desk.ts';
import { jobOf, routes, runJob } from '../../helpers/connector-desk.ts';
import { reply } from '../../helpers/venue-shapes.ts';

const EXCHANGE_INFO = {
  timezone: 'UTC',
  serverTime: 1,
  rateLimits: [],
  exchangeFilters: [],
  symbols: [],
};
const BUDGET = { calls: 100, retries: 2, deadlineMs: 60_000 };

/** A check of Binance: its account is asked for first. */
function check(
  account: (asked: Asked, at: number) => Reply | Failure,
  change: Partial<Job> = {},
): Promise<Outcome> {
  let at = 0;
  return runJob(
    jobOf('binance', { kind: 'check', budget: BUDGET, ...change }),
    routes({
      '/api/v3/exchangeInfo': reply(EXCHANGE_INFO),
      '/api/v3/account': (asked) => account(asked, at++),
      '/api/v3/time': reply({ serverTime: jobOf('binance').nowMs }),
      '/sapi/v1/account/apiRestrictions': reply({ enableReading: true }),
    }),
  );
}

function attemptsOf({ asked }: Outcome): readonly number[] {
  return asked
    .filter(({ url }) => url.pathname === '/api/v3/account')
    .map(({ fetch }) => fetch.attempt);
}

function binance(status: number, code: number, msg = 'x'): Reply {
  return { status, body: { code, msg } };
}

describe('an answer', () => {
  it.each<[string, Reply, ErrorClass, number]>([
    ['429', binance(429, -1003), 'rate_limited', 1],
    ['418', binance(418, -1003), 'banned', 1],
    ['451, which ccxt takes for an outage', binance(451, 0), 'geo_blocked', 1],
    ['403 of a firewall', { status: 403, body: '<html>forbidden</html>' }, 'permission', 1],
    ['404', { status: 404, body: '' }, 'bad_request', 1],
    ['302', { status: 302, body: '' }, 'redirected', 1],
    ['an unknown key', binance(401, -2015), 'authentication', 1],
    ['a key of bad format', binance(401, -2014), 'authentication', 1],
    ['500', { status: 500, body: '' }, 'unavailable', 3],
    ['502 with a page', { status: 502, body: '<html>bad gateway</html>' }, 'unavailable', 3],
    ['503 of overload', binance(503, -1008), 'unavailable', 3],
    ['half of a body', { status: 200, body: '{"balances":[{' }, 'bad_response', 3],
    ['a page of HTML', { status: 200, body: '<html>hello</html>' }, 'bad_response', 3],
    ['an empty body', { status: 200, body: '' }, 'bad_response', 3],
  ])('%s', async (_, answer, errorClass, calls) => {
    const outcome = await check(() => answer);
    expect(outcome.done).toMatchObject({ outcome: 'failed', errorClass });
    expect(attemptsOf(outcome)).toEqual([0, 1, 2].slice(0, calls));
    // The desk hears it of every attempt: its breaker counts them.
    const said = outcome.meanings.filter(({ callClass }) => callClass !== 'ok');
    expect(said.map(({ callClass }) => callClass)).toEqual(
      Array.from({ length: calls }, () => errorClass),
    );
  });

  it('that says that the signature is too old has the clock asked for, and the call signed again', async () => {
    const outcome = await check((_, at) =>
      at === 0 ? binance(400, -1021) : { body: { uid: 1, balances: [] } },
    );
    expect(outcome.done.outcome).toBe('complete');
    expect(outcome.done.clockOffsetMs).not.toBeNull();
    const [first, second] = outcome.asked.filter(({ url }) => url.pathname === '/api/v3/account');
    expect(first?.query.get('signature')).not.toBe(second?.query.get('signature'));
  });

  it('that says so again and again is `invalid_nonce` in the end', async () => {
    const outcome = await check(() => binance(400, -1021));
    expect(outcome.done.errorClass).toBe('invalid_nonce');
    expect(outcome.asked.filter(({ url }) => url.pathname === '/api/v3/time')).toHaveLength(1);
  });
});

describe('what the desk says of a call', () => {
  it.each(ERROR_CLASSES.filter((name) => !isRetryable(name)))(
    '%s is never tried again',
    async (failed) => {
      const outcome = await check(() => ({ failed }));
      expect(outcome.done.errorClass).toBe(failed);
      expect(attemptsOf(outcome)).toEqual([0]);
    },
  );

  it.each(['network', 'timeout', 'unavailable', 'bad_response'] as const)(
    '%s may pass',
    async (failed) => {
      const outcome = await check((_, at) =>
        at === 0 ? { failed } : { body: { uid: 7, balances: [] } },
      );
      expect(outcome.done.permissions?.accountId).toBe('7');
      expect(attemptsOf(outcome)).toEqual([0, 1]);
    },
  );

  it.each(['rate_limited', 'banned', 'maintenance'] as const)(
    '%s is left to its breaker',
    async (failed) => {
      expect(attemptsOf(await check(() => ({ failed })))).toEqual([0]);
    },
  );

  it('a pause longer than the job has is not waited for', async () => {
    const budget = { ...BUDGET, deadlineMs: 30_000 };
    const started = performance.now();
    const outcome = await check(() => ({ failed: 'unavailable', retryAfterMs: 31_000 }), {
      budget,
    });
    expect(attemptsOf(outcome)).toEqual([0]);
    expect(performance.now() - started).toBeLessThan(29_000);
  });
});

describe('the budget of a job', () => {
  const table = {
    '/v2/account': reply({ id: 'a', status: 'ACTIVE', cash: '1', currency: 'USD' }),
    '/v2/positions': reply([]),
    '/v2/account/activities': reply([]),
  };

  // Cash without coins is no wallet: one call gives nothing that is whole.
  it.each([
    [1, 'failed'],
    [2, 'partial'],
    [3, 'partial'],
  ] as const)(
    'of %i calls is kept, and what was not asked for is not covered: %s',
    async (calls, outcome) => {
      const budget = { calls, retries: 0, deadlineMs: 60_000 };
      const { asked, done } = await runJob(jobOf('alpaca', { budget }), routes(table));
      expect(asked).toHaveLength(calls);
      expect(done.outcome).toBe(outcome);
      const short = done.coverage.filter(({ reason }) => reason === 'budget');
      expect(short.length).toBeGreaterThan(0);
      expect(short.every(({ complete }) => !complete)).toBe(true);
    },
  );

  it('of four calls is enough', async () => {
    const budget = { calls: 4, retries: 0, deadlineMs: 60_000 };
    expect((await runJob(jobOf('alpaca', { budget }), routes(table))).done.outcome).toBe(
      'complete',
    );
  });
});

describe('a job that ends early', () => {
  it('at a ban: the next source is not asked, and the rest is not covered', async () => {
    const { asked, done } = await runJob(
      jobOf('alpaca'),
      routes({ '/v2/account': () => ({ failed: 'banned' }) }),
    );
    expect(asked).toHaveLength(1);
    expect(done).toMatchObject({ outcome: 'failed', errorClass: 'banned' });
    expect(done.coverage).toContainEqual(
      expect.objectContaining({ what: 'fills', market: 'all', complete: false, reason: 'banned' }),
    );
  });

  it('after three sources without an answer', async () => {
    const { asked, done } = await runJob(jobOf('alpaca'), () => ({ failed: 'network' }));
    expect(asked).toHaveLength(3);
    expect(done.outcome).toBe('failed');
  });
});
