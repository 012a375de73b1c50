import { describe, expect, it } from 'vitest';
import type { CallClass, Venue } from '../../../enclave/connector/classes.ts';
import type { Account } from '../../../enclave/desk/accounts.ts';
import type { Trouble } from '../../../simulator/exchange/call.ts';
import type { Fault } from '../../../simulator/exchange/faults.ts';
import type { VenueName } from '../../../simulator/exchange/markets.ts';
import type { RefusalCode } from '../../../wire/codes.ts';
import { OUTCOME, TRIGGER } from '../../../wire/exchange-call.ts';
import type { PolledExchange } from '../../helpers/polled-exchange.ts';
import { polledExchange, figuresOf } from '../../helpers/polled-exchange.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const MIB = 1024 * 1024;
const LIMITS = {
  firstByteMs: 2500,
  silenceMs: 2500,
  totalMs: 5000,
  maxBodyBytes: MIB,
  maxInflatedBytes: 2 * MIB,
};
const SYMBOL: Readonly<Partial<Record<Venue, string>>> = { kraken: 'BTC/USD', coinbase: 'BTC/USD' };

/** An account with three fills, not polled yet. */
function openWithFills(scene: PolledExchange, venue: VenueName & Venue): Account {
  const { control } = scene.exchange;
  const opened = control.account({ venue });
  const symbol = SYMBOL[venue] ?? 'BTC/USDT';
  const [, currency = ''] = symbol.split('/');
  control.deposit({ account: opened.account, currency, amount: '100000' });
  for (let fill = 0; fill < 3; fill++) {
    const timeMs = scene.time.nowMs() - HOUR_MS + fill;
    control.trade({
      account: opened.account,
      symbol,
      side: 'buy',
      amount: '0.01',
      price: '60000',
      timeMs,
    });
  }
  return scene.account(opened, venue);
}

/** Time goes on until a poll was complete. */
async function untilComplete(scene: PolledExchange): Promise<void> {
  while (scene.polls.at(-1)?.outcome !== OUTCOME.complete) {
    await scene.untilPolls(scene.polls.length + 1, 20_000);
  }
}

interface Expected {
  readonly refusal: RefusalCode;
  readonly class: CallClass;
  /** Of the first request: with its one retry, where that may help. */
  readonly attempts: number;
  /** Reason for which the breaker is open at once; null: it is not. */
  readonly opens: CallClass | null;
}

const once = (refusal: RefusalCode, callClass: CallClass, opens: CallClass | null): Expected => ({
  refusal,
  class: callClass,
  attempts: 1,
  opens,
});
const twice = (refusal: RefusalCode, callClass: CallClass): Expected => ({
  refusal,
  class: callClass,
  attempts: 2,
  opens: null,
});
const UNUSABLE = 'exchange_answer_invalid';

describe('each fault of the exchange', () => {
  it.each<[string, Fault, Expected]>([
    [
      'an error of the server',
      { type: 'status', status: 500 },
      twice('exchange_unavailable', 'unavailable'),
    ],
    ['a page of HTML', { type: 'html' }, twice('exchange_unavailable', 'unavailable')],
    ['no answer', { type: 'hang' }, twice('exchange_network', 'timeout')],
    [
      'an answer that comes too late',
      { type: 'slow', delayMs: 20_000 },
      twice('exchange_network', 'timeout'),
    ],
    [
      'an answer that comes too slowly',
      { type: 'drip', bytes: 1, everyMs: 100 },
      twice('exchange_network', 'timeout'),
    ],
    ['a connection that is reset', { type: 'reset' }, twice('exchange_network', 'network')],
    ['half of a body', { type: 'cut' }, twice('exchange_network', 'network')],
    ['half of the JSON', { type: 'malformed' }, twice(UNUSABLE, 'bad_response')],
    ['JSON of another shape', { type: 'wrong-shape' }, twice(UNUSABLE, 'bad_response')],
    ['no body', { type: 'empty' }, twice(UNUSABLE, 'bad_response')],
    ['no gzip where there should be', { type: 'bad-gzip' }, twice(UNUSABLE, 'bad_response')],
    ['no HTTP', { type: 'bad-http' }, twice(UNUSABLE, 'bad_response')],
    ['8 MiB', { type: 'huge', bytes: 8 * MIB }, once(UNUSABLE, 'too_large', null)],
    ['8 MiB, packed', { type: 'gzip-bomb', bytes: 8 * MIB }, once(UNUSABLE, 'too_large', null)],
    [
      'a redirect',
      { type: 'redirect', location: 'https://api.bybit.com/' },
      once(UNUSABLE, 'redirected', null),
    ],
    [
      'a certificate of another authority',
      { type: 'certificate', kind: 'wrong-authority' },
      once('tls_untrusted', 'tls_untrusted', null),
    ],
    [
      'a certificate for another name',
      { type: 'certificate', kind: 'wrong-name' },
      once('tls_untrusted', 'tls_untrusted', null),
    ],
    [
      'a certificate that has expired',
      { type: 'certificate', kind: 'expired' },
      once('tls_untrusted', 'tls_untrusted', null),
    ],
    [
      'too many requests',
      { type: 'trouble', kind: 'rate_limited', retryAfterS: 120 },
      once('exchange_rate_limited', 'rate_limited', 'rate_limited'),
    ],
    [
      'a ban',
      { type: 'trouble', kind: 'banned', retryAfterS: 600 },
      once('exchange_rate_limited', 'banned', 'banned'),
    ],
    [
      'maintenance',
      { type: 'trouble', kind: 'maintenance' },
      once('exchange_unavailable', 'maintenance', 'maintenance'),
    ],
    [
      'a country that is not served',
      { type: 'trouble', kind: 'geo_blocked' },
      once('exchange_blocked', 'geo_blocked', 'geo_blocked'),
    ],
    [
      '451 with an unknown body',
      { type: 'status', status: 451, body: 'no' },
      once('exchange_blocked', 'geo_blocked', 'geo_blocked'),
    ],
    [
      'a key that is not known',
      { type: 'trouble', kind: 'authentication' },
      once('exchange_refused', 'authentication', null),
    ],
    [
      'a key that may not read',
      { type: 'trouble', kind: 'permission' },
      once('exchange_refused', 'authentication', null),
    ],
  ])('%s: class, retries, gap and breaker; then all is told once', async (_, fault, expected) => {
    const scene = await polledExchange(LIMITS, 1);
    const account = openWithFills(scene, 'binance');
    const { control } = scene.exchange;
    control.fault({ ...fault, host: 'api.binance.com' });
    const { breaker } = scene.polling.venues.of('binance');
    scene.polling.add(account, null);
    await scene.untilPolls(1);
    expect(scene.fatal).toEqual([]);
    const [first] = scene.polls;
    expect(first).toMatchObject({ outcome: OUTCOME.failed, refusal: expected.refusal });
    const calls = first?.calls ?? [];
    expect(calls.map((call) => call.class)).toEqual(
      Array.from({ length: expected.attempts }, () => expected.class),
    );
    expect(calls.map(({ attempt }) => attempt)).toEqual(calls.map((__, index) => index + 1));
    expect([breaker.state === 'open', breaker.reason]).toEqual([
      expected.opens !== null,
      expected.opens,
    ]);
    expect(figuresOf(scene, account)).toMatchObject({
      trades: 0,
      balances: null,
      asOfNs: null,
      gaps: [{ reason: expected.class }],
      polls: { scheduled: 1, failed: 1 },
    });
    control.clear();
    await untilComplete(scene);
    expect(breaker.state).toBe('closed');
    const figures = figuresOf(scene, account);
    expect(figures.trades).toBe(3);
    expect(figures.gaps).toHaveLength(1);
    expect(figures.gaps[0]?.reason).toBe(expected.class);
    expect(figures.balances).not.toBeNull();
    expect(scene.fatal).toEqual([]);
  });

  it('a clock that is off is asked for once, and the poll goes on', async () => {
    const scene = await polledExchange(LIMITS, 1);
    const account = openWithFills(scene, 'binance');
    scene.exchange.control.skew({ venue: 'binance', ms: -HOUR_MS });
    scene.polling.add(account, null);
    await scene.untilPolls(1);
    const [poll] = scene.polls;
    expect(poll?.outcome).toBe(OUTCOME.complete);
    const refused = poll?.calls.filter((call) => call.class === 'invalid_nonce') ?? [];
    expect(refused).toHaveLength(1);
    expect(scene.polling.venues.of('binance').breaker.counters.opened).toBe(0);
  });

  it('in the middle of a poll leaves it partial, with what was told, and the rest comes later', async () => {
    const scene = await polledExchange(LIMITS, 1);
    const account = openWithFills(scene, 'binance');
    scene.exchange.control.fault({ type: 'reset', path: '/api/v3/myTrades' });
    scene.polling.add(account, null);
    await scene.untilPolls(1);
    expect(scene.polls[0]).toMatchObject({ outcome: OUTCOME.partial, refusal: 'exchange_network' });
    const partial = figuresOf(scene, account);
    expect([partial.trades, partial.balances === null, partial.gaps.length]).toEqual([0, false, 1]);
    expect(Object.keys(partial.deposits)).toEqual(['USDT']);
    scene.exchange.control.clear();
    await untilComplete(scene);
    expect(scene.polls.at(-1)?.trigger).toBe(TRIGGER.retry);
    expect(figuresOf(scene, account).trades).toBe(3);
    expect(figuresOf(scene, account).deposits).toEqual(partial.deposits);
  });
});

describe('each venue says it in its own words', () => {
  const venues = ['binance', 'bybit', 'kraken', 'coinbase'] as const;
  const troubles: readonly (readonly [Trouble, readonly CallClass[]])[] = [
    ['maintenance', ['maintenance', 'unavailable']],
    ['unavailable', ['unavailable', 'network']],
    ['rate_limited', ['rate_limited']],
    ['authentication', ['authentication']],
  ];
  it.each(
    venues.flatMap((venue) => troubles.map(([kind, classes]) => [venue, kind, classes] as const)),
  )('%s, %s', async (venue, kind, classes) => {
    const scene = await polledExchange(LIMITS, 1);
    const account = openWithFills(scene, venue);
    scene.exchange.control.fault({ type: 'trouble', kind, venue });
    scene.polling.add(account, null);
    await scene.untilPolls(1);
    expect(scene.polls[0]?.outcome).not.toBe(OUTCOME.complete);
    const seen = new Set(scene.polls[0]?.calls.map((call) => call.class));
    expect(
      [...seen].some((one) => (classes as readonly string[]).includes(one)),
      [...seen].join(),
    ).toBe(true);
    scene.exchange.control.clear();
    await untilComplete(scene);
    const figures = figuresOf(scene, account);
    // Where the venue meant two things, the gap is two rows without time between them.
    expect([figures.trades, figures.gaps.length > 0]).toEqual([3, true]);
    expect(scene.polling.venues.of(venue).breaker.state).toBe('closed');
  });
});

describe('an outage of two hours', () => {
  it('ends with what the ledger says: each fill, fee, deposit and funding once', async () => {
    const scene = await polledExchange(LIMITS, 2);
    const { control } = scene.exchange;
    const opened = control.account({ venue: 'binance' });
    const { account: name } = opened;
    const account = scene.account(opened, 'binance');
    const deposit = (): unknown =>
      control.deposit({ account: name, currency: 'USDT', amount: '10000' });
    const trade = (): void => {
      const timeMs = scene.time.nowMs();
      control.trade({
        account: name,
        symbol: 'BTC/USDT',
        side: 'buy',
        amount: '0.01',
        price: '60000.5',
        timeMs,
      });
      control.trade({
        account: name,
        symbol: 'ETH/USDT',
        side: 'buy',
        amount: '0.1',
        price: '2500.25',
        timeMs,
      });
    };
    for (let count = 0; count < 5; count++) deposit();
    scene.polling.add(account, null);
    await scene.untilPolls(1);
    const startMs = scene.time.nowMs();
    const outage = [startMs + 20 * MINUTE_MS, startMs + 140 * MINUTE_MS] as const;
    let down = false;
    for (let minute = 0; minute < 180; minute++) {
      const nowMs = scene.time.nowMs();
      if (nowMs >= outage[0] && nowMs < outage[1] && !down) {
        control.fault({ type: 'reset', venue: 'binance' });
        down = true;
      } else if (nowMs >= outage[1] && down) {
        control.clear();
        down = false;
      }
      if (minute % 7 === 0) trade();
      if (minute % 60 === 30) deposit();
      await scene.time.run(MINUTE_MS, 1);
      // What a poll of this minute asks over sockets comes in real time.
      await scene.idle();
    }
    await untilComplete(scene);
    await scene.untilPolls(scene.polls.length + 1, 20_000);
    expect(scene.fatal).toEqual([]);
    const figures = figuresOf(scene, account);
    const ledger = control.ledger({ account: name });
    expect({
      trades: figures.trades,
      volume: figures.volume,
      fees: figures.fees,
      deposits: figures.deposits,
      balances: figures.balances,
    }).toEqual({
      trades: ledger.fills,
      volume: ledger.volume,
      fees: ledger.fees,
      deposits: ledger.deposits,
      balances: ledger.balances['spot'],
    });
    expect(figures.gaps).toHaveLength(1);
    const [gap] = figures.gaps;
    expect(Math.abs((gap?.from_ms ?? 0) - outage[0])).toBeLessThan(10 * MINUTE_MS);
    expect((gap?.to_ms ?? 0) - outage[1]).toBeGreaterThanOrEqual(0);
    const { counters } = scene.polling;
    expect([counters['breaker_closed'], counters['venues_open']]).toEqual([1, 0]);
    expect(counters['breaker_opened']).toBeGreaterThan(2);
  });
});
