import { describe, expect, it } from 'vitest';
import { CONNECTOR_FRAME } from '../../../enclave/connector/protocol.ts';
import { CONNECTOR_MS, MAX_JOBS_PER_CONNECTOR } from '../../../enclave/desk/connector-pool.ts';
import type { AccountFigures } from '../../../enclave/desk/accounts.ts';
import { PRIORITY } from '../../../enclave/desk/poll-entry.ts';
import { dueMs } from '../../../enclave/desk/schedule.ts';
import { OUTCOME, TRIGGER } from '../../../wire/exchange-call.ts';
import { sleep } from '../../helpers/sleep.ts';
import { toHex } from '../../../wire/bytes.ts';
import type { Script } from '../../helpers/fake-connector.ts';
import { isAnswer } from '../../helpers/fake-connector.ts';
import { PagedVenue, pagedScript } from '../../helpers/paged-venue.ts';
import type { PollingScene, SceneOptions } from '../../helpers/polling-scene.ts';
import {
  accountOf,
  fillOf,
  HOUR_MS,
  MINUTE_MS,
  NOON_MS,
  pollingScene,
  SPKI,
} from '../../helpers/polling-scene.ts';
import { VirtualTime } from '../../helpers/virtual-time.ts';

const INTERVAL_MS = 5 * MINUTE_MS;

function pagedScene(options: Partial<SceneOptions> = {}): PollingScene & { paged: PagedVenue } {
  const scene = pollingScene({ script: pagedScript, ...options });
  const paged = new PagedVenue();
  paged.attach(scene.venue);
  return Object.assign(scene, { paged });
}

function figuresOf(scene: PollingScene, number = 1): AccountFigures {
  const figures = scene.polling.figures(accountOf(number).id);
  if (figures === null) throw new Error('no such account');
  return figures;
}

const labelled = (number: number): ReturnType<typeof accountOf> =>
  accountOf(number, { label: `account-${number}` });

describe('the schedule', () => {
  it('polls at registration, then once in each slot, at the same time of it', async () => {
    const scene = pagedScene();
    scene.polling.add(accountOf(1), null);
    await scene.time.run(61 * MINUTE_MS);
    expect(scene.fatal).toEqual([]);
    const [first, ...rest] = scene.polls;
    expect(first).toMatchObject({ trigger: TRIGGER.registration, outcome: OUTCOME.complete });
    expect(rest.every(({ trigger }) => trigger === TRIGGER.schedule)).toBe(true);
    const slots = rest.map(({ scheduledNs }) => Number(scheduledNs / 1_000_000n));
    expect(slots).toEqual(slots.map((_, index) => NOON_MS + index * INTERVAL_MS));
    expect([12, 13]).toContain(slots.length);
    const offsets = rest.map(({ scheduledNs, startedNs }) => Number(startedNs - scheduledNs));
    expect(new Set(offsets).size).toBe(1);
  });

  it('spreads accounts over the slot, and takes all at once at midnight', async () => {
    const midnight = NOON_MS + 12 * HOUR_MS;
    const scene = pagedScene({ startMs: midnight - INTERVAL_MS });
    for (let number = 0; number < 200; number++) scene.polling.add(accountOf(number), null);
    await scene.time.runUntil(midnight + 10 * MINUTE_MS - 1, 2);
    expect(scene.fatal).toEqual([]);
    const delays = (trigger: number): number[] =>
      scene.polls
        .filter((poll) => poll.trigger === trigger)
        .map(({ startedNs, scheduledNs }) => Number((startedNs - scheduledNs) / 1_000_000_000n));
    expect(delays(TRIGGER.snapshot)).toEqual(Array.from({ length: 200 }, () => 0));
    const spread = delays(TRIGGER.schedule).sort((a, b) => a - b);
    expect(Math.max(...spread)).toBeLessThan(0.9 * 300);
    for (let tenth = 1; tenth < 10; tenth++) {
      // A tenth of the accounts in each tenth of nine tenths of the slot, give or take.
      const at = spread[Math.floor((spread.length * tenth) / 10)] ?? 0;
      expect(Math.abs(at - 27 * tenth)).toBeLessThan(30);
    }
  });

  it('polls a thousand accounts once in each slot, and keeps nothing of a poll that is over', async () => {
    const scene = pagedScene({ connectors: 4 });
    // As light as a venue may count that lets an address poll so many.
    scene.connectors.script = (line) =>
      pagedScript({ ...line, fetch: (fetch) => line.fetch({ ...fetch, weight: '1' }) });
    for (let number = 0; number < 1000; number++) scene.polling.add(labelled(number), null);
    await scene.time.runUntil(NOON_MS + 3 * INTERVAL_MS - 1, 2);
    expect(scene.fatal).toEqual([]);
    const perSlot = new Map<bigint, number>();
    for (const { trigger, outcome, scheduledNs } of scene.polls) {
      expect(outcome).toBe(OUTCOME.complete);
      if (trigger !== TRIGGER.schedule) continue;
      perSlot.set(scheduledNs, (perSlot.get(scheduledNs) ?? 0) + 1);
    }
    expect([...perSlot.values()]).toEqual([1000, 1000, 1000]);
    // One for each account's next slot, one for each connector's age.
    expect(scene.time.timers).toBeLessThanOrEqual(1000 + 4);
    expect(scene.polling.busy).toBe(false);
    const states = [...scene.states.values()].map((state) => state.length);
    expect(Math.max(...states)).toBeLessThan(1000);
  });

  it('records a poll that did not begin in its slot as missed, and a gap', async () => {
    // One connector, and each poll takes as long as it may.
    const scene = pagedScene({ connectors: 1 });
    scene.connectors.script = async (line) => {
      await new Promise<void>((resolve) => {
        scene.time.after(100_000, resolve);
      });
      await pagedScript(line);
    };
    for (let number = 1; number <= 4; number++) scene.polling.add(accountOf(number), null);
    await scene.time.run(HOUR_MS);
    const missed = scene.polls.filter(({ outcome }) => outcome === OUTCOME.missed);
    expect(missed.length).toBeGreaterThan(5);
    expect(missed[0]).toMatchObject({ refusal: 'poll_missed', calls: [], coverage: [] });
    const all = [1, 2, 3, 4].map((number) => figuresOf(scene, number));
    expect(all.reduce((sum, { polls }) => sum + polls.missed, 0)).toBe(missed.length);
    for (const { polls } of all) {
      expect(polls.complete + polls.missed).toBe(polls.scheduled);
    }
    expect(all.some(({ gaps }) => gaps.some(({ reason }) => reason === 'late'))).toBe(true);
  });

  it('counts no slot twice where a retry is still in the line when the next one is due', async () => {
    const scene = pagedScene({ connectors: 1 });
    scene.connectors.script = async (line) => {
      if (line.job.venue === 'binance') {
        line.done({ outcome: 'failed', errorClass: 'network' });
        return;
      }
      // Holds the only connector while the retry waits for it.
      await new Promise<void>((resolve) => {
        scene.time.after(100_000, resolve);
      });
      line.done();
    };
    for (let number = 2; number < 11; number++) {
      scene.polling.add(accountOf(number, { venue: 'kraken' }), null);
    }
    scene.polling.add(accountOf(1), null);
    await scene.time.run(4 * HOUR_MS);
    expect(scene.fatal).toEqual([]);
    const own = scene.polls.filter(({ venue }) => venue === 'binance');
    expect(own.some(({ outcome }) => outcome === OUTCOME.failed)).toBe(true);
    const due = own.filter(({ trigger }) => trigger !== TRIGGER.retry);
    expect(figuresOf(scene).polls.scheduled).toBe(due.length);
  });

  it('leaves connectors to other venues while one has reached its limit', async () => {
    const scene = pagedScene({ connectors: 2 });
    const url = { binance: 'api.binance.com/api/v3/a', kraken: 'api.kraken.com/0/private/A' };
    scene.connectors.script = async (line) => {
      const { venue } = line.job;
      const host = venue === 'kraken' ? url.kraken : url.binance;
      for (let call = 0; call < 5; call++) {
        await line.fetch({ url: `https://${host}`, weight: venue === 'kraken' ? '1' : '1000' });
      }
      line.done();
    };
    // Enough to keep both connectors waiting for hours.
    for (let number = 0; number < 60; number++) scene.polling.add(accountOf(number), null);
    const kraken = [100, 101, 102, 103].map((number) => accountOf(number, { venue: 'kraken' }));
    for (const account of kraken) scene.polling.add(account, null);
    await scene.time.run(INTERVAL_MS);
    const polls = scene.polls.filter(({ venue }) => venue === 'kraken');
    expect(polls.every(({ outcome }) => outcome === OUTCOME.complete)).toBe(true);
    expect(polls.length).toBeGreaterThanOrEqual(4);
    expect(scene.fatal).toEqual([]);
  });

  it('goes on where the log took nothing, with one leaf for the slots that passed', async () => {
    const scene = pagedScene();
    scene.polling.add(accountOf(1), null);
    await scene.time.run(12 * MINUTE_MS);
    const before = scene.polls.length;
    scene.stalled = true;
    await scene.time.run(HOUR_MS);
    expect(scene.polls.length).toBe(before);
    scene.stalled = false;
    await scene.time.run(10 * MINUTE_MS);
    const missed = scene.polls.filter(({ outcome }) => outcome === OUTCOME.missed);
    expect(missed).toHaveLength(1);
    expect(missed[0]).toMatchObject({ refusal: 'log_stalled' });
    const { polls, gaps } = figuresOf(scene);
    expect(polls.missed).toBe(12);
    const [gap] = gaps;
    expect((gap?.to_ms ?? 0) - (gap?.from_ms ?? 0)).toBeGreaterThanOrEqual(HOUR_MS - INTERVAL_MS);
  });
});

/** A first poll makes 20 calls, one after it three, of 20 each; the pauses of a connector that is sent away. */
function weightScript(scene: PollingScene): Script {
  return async (line) => {
    const isBinance = line.job.venue === 'binance';
    const calls = isBinance && line.job.cursors === null ? 20 : 3;
    const url = `https://${isBinance ? 'api.binance.com/api/v3/a' : 'api.kraken.com/0/private/A'}`;
    for (let call = 0; call < calls; call++) {
      for (let attempt = 0; ; attempt++) {
        const answer = await line.fetch({ attempt, url, weight: isBinance ? '20' : '6' });
        if (isAnswer(answer)) break;
        await sleep(scene.time, answer.retryAfterMs ?? 1000, new AbortController().signal);
      }
    }
    line.done({ cursors: new Uint8Array([0]) });
  };
}

describe('a storm of registrations', () => {
  it('makes no poll of an account miss its slot that is known already, and all of them are polled', async () => {
    const scene = pagedScene({ connectors: 4 });
    scene.connectors.script = weightScript(scene);
    const known = Array.from({ length: 200 }, (_, number) => accountOf(number));
    const others = Array.from({ length: 60 }, (_, number) =>
      accountOf(1000 + number, { venue: 'kraken' }),
    );
    for (const account of others) {
      scene.polling.add(account, null);
    }
    for (const account of known) scene.polling.add(account, null);
    // 200 first polls of 400 in what the schedule may use of 6,000 a minute: 18 minutes, beside what is due.
    await scene.time.run(40 * MINUTE_MS, 2);
    for (const { id } of known)
      expect(scene.polling.figures(id)?.polls.complete).toBeGreaterThan(0);
    const stormMs = scene.time.nowMs();
    // Half an hour of what the schedule leaves.
    const newcomers = Array.from({ length: 80 }, (_, number) => accountOf(2000 + number));
    for (const account of newcomers) scene.polling.add(account, null);
    await scene.time.run(45 * MINUTE_MS, 2);
    expect(scene.fatal).toEqual([]);
    const ids = new Map(
      [...known, ...others].map(({ commitment, id }) => [toHex(commitment), id] as const),
    );
    let counted = 0;
    for (const { accountCommitment, trigger, outcome, scheduledNs, startedNs } of scene.polls) {
      const id = ids.get(toHex(accountCommitment));
      const startedMs = Number(startedNs / 1_000_000n);
      if (id === undefined || startedMs < stormMs || trigger !== TRIGGER.schedule) continue;
      counted++;
      expect(outcome).toBe(OUTCOME.complete);
      const lateMs = startedMs - dueMs(Number(scheduledNs / 1_000_000n), INTERVAL_MS, id);
      expect(lateMs).toBeLessThan(INTERVAL_MS / 2);
    }
    expect(counted).toBeGreaterThanOrEqual(260 * 8);
    for (const { id } of newcomers) {
      expect(scene.polling.figures(id)?.polls.complete, id).toBeGreaterThan(0);
    }
    // But for what nobody knew the cost of, no call of a job waited while it held a connector.
    expect(scene.polling.counters['limiter_waits']).toBeLessThan(4);
  });

  it('of checks leaves the schedule its turns, and all of them are answered', async () => {
    const scene = pagedScene({ connectors: 2 });
    scene.connectors.script = async (line) => {
      const script = weightScript(scene);
      if (line.job.kind === 'poll') await script(line);
      else {
        await line.fetch({});
        line.done();
      }
    };
    for (let number = 0; number < 50; number++) scene.polling.add(accountOf(number), null);
    await scene.time.run(20 * MINUTE_MS, 2);
    const before = scene.polls.length;
    let answered = 0;
    const ask = async (number: number): Promise<void> => {
      await scene.polling.check(accountOf(5000 + number));
      answered++;
      if (scene.time.nowMs() < NOON_MS + 40 * MINUTE_MS) await ask(number);
    };
    const asking = Array.from({ length: 64 }, (_, number) => ask(number));
    await scene.time.run(25 * MINUTE_MS, 2);
    await Promise.all(asking);
    const scheduled = scene.polls
      .slice(before)
      .filter(({ trigger }) => trigger === TRIGGER.schedule);
    expect(scheduled.every(({ outcome }) => outcome === OUTCOME.complete)).toBe(true);
    expect(scheduled.length).toBeGreaterThanOrEqual(200);
    expect(answered).toBeGreaterThan(64);
  });
});

describe('a poll', () => {
  it('is not due twice where a timer comes a moment early', async () => {
    class EarlyTime extends VirtualTime {
      override after(ms: number, work: () => void): () => void {
        return super.after(ms > 1000 ? ms - 3 : ms, work);
      }
    }
    const scene = pagedScene({ time: new EarlyTime(NOON_MS) });
    for (let number = 0; number < 20; number++) scene.polling.add(labelled(number), null);
    await scene.time.run(HOUR_MS);
    expect(scene.polls.every(({ outcome }) => outcome === OUTCOME.complete)).toBe(true);
    const slots = scene.polls
      .filter(({ trigger }) => trigger === TRIGGER.schedule)
      .map(({ accountCommitment, scheduledNs }) => `${toHex(accountCommitment)} ${scheduledNs}`);
    expect(new Set(slots).size).toBe(slots.length);
    expect(slots.length).toBeGreaterThanOrEqual(20 * 11);
  });

  it('that is due while the one before runs begins when that is over', async () => {
    const scene = pagedScene();
    scene.connectors.script = async (line) => {
      await sleep(scene.time, 100_000, new AbortController().signal);
      line.done();
    };
    // 30 seconds before its time in the slot.
    const { id } = accountOf(1);
    await scene.time.runUntil(dueMs(NOON_MS + INTERVAL_MS, INTERVAL_MS, id) - 30_000);
    scene.polling.add(accountOf(1), null);
    await scene.time.run(4 * MINUTE_MS);
    const [registration, first] = scene.polls;
    expect(registration).toMatchObject({ trigger: TRIGGER.registration });
    expect(first).toMatchObject({ trigger: TRIGGER.schedule, outcome: OUTCOME.complete });
    expect(first?.startedNs).toBe(registration?.endedNs);
    expect(scene.polls).toHaveLength(2);
  });

  it('that is due while its retry waits goes with the schedule, before first polls', async () => {
    const scene = pagedScene({ connectors: 1 });
    scene.polling.add(accountOf(1), null);
    const due = dueMs(NOON_MS + INTERVAL_MS, INTERVAL_MS, accountOf(1).id);
    await scene.time.runUntil(due - 1);
    scene.connectors.script = (line) => {
      line.done({ outcome: 'failed', errorClass: 'network' });
    };
    await scene.time.run(1000);
    scene.connectors.script = async (line) => {
      await sleep(scene.time, 100_000, new AbortController().signal);
      line.done();
    };
    for (let number = 10; number < 20; number++) scene.polling.add(accountOf(number), null);
    await scene.time.run(INTERVAL_MS + 4 * MINUTE_MS);
    const own = scene.polls.filter(({ accountCommitment }) =>
      Buffer.from(accountCommitment).equals(Buffer.from(accountOf(1).commitment)),
    );
    const last = own.at(-1);
    expect(own.map(({ trigger }) => trigger)).not.toContain(TRIGGER.retry);
    expect(last).toMatchObject({ trigger: TRIGGER.schedule, outcome: OUTCOME.complete });
    expect(Number((last?.startedNs ?? 0n) / 1_000_000n) - due).toBeLessThan(INTERVAL_MS + 201_000);
  });

  it('is in the log with all its calls, and its sums are those of the venue', async () => {
    const scene = pagedScene();
    for (let trade = 0; trade < 45; trade++) {
      scene.paged.trade('account-1', NOON_MS - HOUR_MS + trade * 1000, {
        price: '60000.1',
        cost: null,
        amount: '0.00100000001',
      });
    }
    scene.polling.add(labelled(1), null);
    await scene.time.run(1000);
    expect(scene.polls).toHaveLength(1);
    const [poll] = scene.polls;
    expect(poll?.calls).toHaveLength(3);
    expect(poll?.calls[0]).toMatchObject({
      host: 'api.binance.com',
      tlsName: 'api.binance.com',
      spkiHash: SPKI,
      method: 'GET',
      path: '/api/v3/myTrades',
      status: 200,
      weight: '20',
      attempt: 1,
      class: 'ok',
    });
    expect(poll?.accountCommitment).toEqual(labelled(1).commitment);
    const figures = figuresOf(scene);
    expect(figures).toMatchObject({
      trades: 45,
      // 45 × 60000.1 × 0.00100000001
      volume: { USDT: '2700.004527000045' },
      fees: { BNB: '0.0045' },
      balances: { USDT: '1000.5' },
      positions: null,
      unrealized: null,
      matched: null,
      gaps: [],
      hosts: [{ host: 'api.binance.com', spki_sha256: Buffer.from(SPKI).toString('hex') }],
      polls: { scheduled: 1, complete: 1, partial: 0, failed: 0, missed: 0 },
    });
    expect(figures.hours).toHaveLength(168 + (figures.hours.length - 168));
    expect(figures.hours.reduce((sum, { trades }) => sum + trades, 0)).toBe(45);
  });

  it('counts nothing twice while the overlap brings everything again', async () => {
    const scene = pagedScene();
    for (let trade = 0; trade < 30; trade++) scene.paged.trade('account-1', NOON_MS - trade);
    scene.polling.add(labelled(1), null);
    await scene.time.run(55 * MINUTE_MS);
    expect(figuresOf(scene).trades).toBe(30);
    expect(scene.polling.counters['records_repeated']).toBeGreaterThan(100);
  });

  it('tells fills of our signals from others', async () => {
    const scene = pagedScene({ strategies: 1 });
    scene.output('ts0011223344556677');
    scene.paged.trade('account-1', NOON_MS, { clientOrderId: 'ts0011223344556677', cost: '10' });
    scene.paged.trade('account-1', NOON_MS, { clientOrderId: 'ts8888888888888888', cost: '20' });
    scene.paged.trade('account-1', NOON_MS, { clientOrderId: null, cost: '40' });
    scene.polling.add(labelled(1), null);
    await scene.time.run(1000);
    expect(figuresOf(scene)).toMatchObject({
      matched: { trades: 1, volume: { USDT: '10' } },
      unmatched: { trades: 2, volume: { USDT: '60' } },
    });
  });

  it('that does not tell balances leaves them unknown, not at zero or as they were', async () => {
    const scene = pagedScene();
    scene.polling.add(labelled(1), null);
    await scene.time.run(1000);
    expect(figuresOf(scene).balances).toEqual({ USDT: '1000.5' });
    scene.connectors.script = (line) => {
      line.done({ outcome: 'partial', errorClass: 'timeout' });
    };
    await scene.time.run(INTERVAL_MS);
    const { balances, polls, gaps } = figuresOf(scene);
    expect([balances, polls.partial > 0, gaps[0]?.reason]).toEqual([null, true, 'timeout']);
  });
});

describe('an outage of two hours', () => {
  it('leaves one gap, opens and closes the breaker, and counts each fill once', async () => {
    const scene = pagedScene();
    const outage = { fromMs: NOON_MS + HOUR_MS, toMs: NOON_MS + 3 * HOUR_MS };
    scene.paged.fault = () => {
      const nowMs = scene.time.nowMs();
      return nowMs >= outage.fromMs && nowMs < outage.toMs ? { status: 503, body: 'oops' } : null;
    };
    const accounts = [1, 2, 3];
    for (const number of accounts) scene.polling.add(labelled(number), null);
    // A trade every 40 seconds of each account, through all of it.
    let trades = 0;
    for (let atMs = NOON_MS; atMs < NOON_MS + 5 * HOUR_MS; atMs += 40_000) {
      await scene.time.runUntil(atMs, 3);
      for (const number of accounts) scene.paged.trade(`account-${number}`, atMs);
      trades++;
    }
    await scene.time.run(2 * INTERVAL_MS);
    expect(scene.fatal).toEqual([]);
    const { counters } = scene.polling;
    expect(counters['breaker_opened']).toBeGreaterThan(3);
    expect(counters['breaker_closed']).toBe(1);
    expect(counters['venues_open']).toBe(0);
    for (const number of accounts) {
      const figures = figuresOf(scene, number);
      expect(figures.trades).toBe(trades);
      expect(figures.volume).toEqual({ USDT: String(60 * trades) });
      expect(figures.gaps).toHaveLength(1);
      const [gap] = figures.gaps;
      expect(gap?.reason).toBe('unavailable');
      expect(Math.abs((gap?.from_ms ?? 0) - outage.fromMs)).toBeLessThan(2 * INTERVAL_MS);
      expect((gap?.to_ms ?? 0) - outage.toMs).toBeGreaterThanOrEqual(0);
      expect((gap?.to_ms ?? 0) - outage.toMs).toBeLessThan(3 * INTERVAL_MS);
      expect(figures.polls.missed).toBeGreaterThan(12);
      // What the venue told later is covered again.
      expect(figures.coverage.find(({ what }) => what === 'fills')).toMatchObject({
        complete: true,
      });
    }
    // Far fewer calls than polls that were due: the breaker kept them back.
    const during = scene.polls.filter(({ startedNs }) => {
      const atMs = Number(startedNs / 1_000_000n);
      return atMs >= outage.fromMs && atMs < outage.toMs;
    });
    const calls = during.reduce((sum, poll) => sum + poll.calls.length, 0);
    expect(calls).toBeLessThan(100);
    const reasons = new Set(during.map(({ refusal }) => refusal));
    expect(reasons).toEqual(new Set(['exchange_unavailable']));
  });

  it('seen through the connector alone (no answers at all) ends the same way', async () => {
    const scene = pagedScene();
    scene.paged.fault = () => (scene.time.nowMs() < NOON_MS + 2 * HOUR_MS ? 'network' : null);
    for (let trade = 0; trade < 100; trade++)
      scene.paged.trade('account-1', NOON_MS + trade * 70_000);
    scene.polling.add(labelled(1), null);
    await scene.time.run(3 * HOUR_MS);
    const figures = figuresOf(scene);
    expect([figures.trades, figures.gaps.length]).toEqual([100, 1]);
    expect(figures.gaps[0]?.reason).toBe('network');
  });
});

async function beforeRestart(): Promise<PollingScene & { paged: PagedVenue }> {
  const scene = pagedScene();
  for (let trade = 0; trade < 25; trade++) scene.paged.trade('account-1', NOON_MS + trade * 1000);
  scene.polling.add(labelled(1), null);
  await scene.time.run(16 * MINUTE_MS);
  return scene;
}

async function afterRestart(
  before: PollingScene & { paged: PagedVenue },
  state: Uint8Array | null,
  pauseMs: number,
): Promise<PollingScene> {
  const startMs = before.time.nowMs() + pauseMs;
  const scene = pagedScene({ time: new VirtualTime(startMs) });
  before.paged.attach(scene.venue);
  scene.polling.add(labelled(1), state);
  await scene.time.run(11 * MINUTE_MS);
  expect(scene.fatal).toEqual([]);
  return scene;
}

describe('a restart', () => {
  it('goes on from the state, without counting anything twice, and says what it missed', async () => {
    const before = await beforeRestart();
    const state = before.states.get(labelled(1).id) ?? null;
    expect(figuresOf(before).trades).toBe(25);
    for (let trade = 0; trade < 7; trade++) {
      before.paged.trade('account-1', before.time.nowMs() + trade * 1000);
    }
    const scene = await afterRestart(before, state, 30 * MINUTE_MS);
    const figures = figuresOf(scene);
    expect(figures.trades).toBe(32);
    expect(figures.observedSinceNs).toBe(figuresOf(before).observedSinceNs);
    const missed = scene.polls.filter(({ outcome }) => outcome === OUTCOME.missed);
    expect(missed).toHaveLength(1);
    expect(missed[0]).toMatchObject({ refusal: 'poll_missed' });
    expect(figures.polls.missed).toBeGreaterThanOrEqual(5);
    expect(figures.polls.missed).toBeLessThanOrEqual(6);
    expect(figures.gaps).toHaveLength(1);
    expect(figures.gaps[0]?.reason).toBe('not_running');
  });

  it('from an older state counts nothing twice either', async () => {
    const before = await beforeRestart();
    const old = before.states.get(labelled(1).id) ?? null;
    for (let trade = 0; trade < 5; trade++) before.paged.trade('account-1', before.time.nowMs());
    await before.time.run(10 * MINUTE_MS);
    expect(figuresOf(before).trades).toBe(30);
    const scene = await afterRestart(before, old, 1000);
    expect(figuresOf(scene).trades).toBe(30);
  });

  it('without the state is observed from then on, and no gap before it is hidden', async () => {
    const before = await beforeRestart();
    const restartMs = before.time.nowMs();
    expect(figuresOf(before).observedSinceNs).toBeLessThan(BigInt(restartMs) * 1_000_000n);
    const { observedSinceNs, periodStartNs } = figuresOf(await afterRestart(before, null, 1000));
    expect(observedSinceNs).toBeGreaterThanOrEqual(BigInt(restartMs) * 1_000_000n);
    // What the venue still shows is told as before.
    expect(periodStartNs).toBe(figuresOf(before).periodStartNs);
  });

  it('with the state of another account, or half of one, begins anew and counts it', async () => {
    const before = await beforeRestart();
    const state = before.states.get(labelled(1).id) ?? new Uint8Array(0);
    for (const bytes of [state.subarray(0, 100), new Uint8Array(0)]) {
      const scene = await afterRestart(before, bytes, 1000);
      expect(scene.polling.counters['states_refused']).toBe(1);
      expect(figuresOf(scene).trades).toBe(25);
    }
    const scene = pagedScene({ time: new VirtualTime(before.time.nowMs()) });
    scene.polling.add(accountOf(2), state);
    expect(scene.polling.counters['states_refused']).toBe(1);
  });
});

describe('connectors', () => {
  it(`end after ${MAX_JOBS_PER_CONNECTOR} jobs`, async () => {
    const scene = pagedScene({ connectors: 1 });
    for (let number = 0; number < MAX_JOBS_PER_CONNECTOR + 1; number++) {
      scene.polling.add(accountOf(number), null);
    }
    await scene.time.run(1000, 3);
    const { started } = scene.connectors;
    expect(started.map(({ jobs }) => jobs)).toEqual([MAX_JOBS_PER_CONNECTOR, 1]);
    expect(started.map(({ ended }) => ended)).toEqual([true, false]);
    expect(scene.audit.filter((event) => event === 'connector_recycled')).toHaveLength(1);
  });

  it('end after a quarter of an hour', async () => {
    const scene = pagedScene({ connectors: 1 });
    scene.polling.add(accountOf(1), null);
    await scene.time.run(CONNECTOR_MS - 1000);
    expect(scene.connectors.started.map(({ ended }) => ended)).toEqual([false]);
    await scene.time.run(2000);
    expect(scene.connectors.started[0]?.ended).toBe(true);
  });

  it('that do not end their job in time are ended, and nothing of it counts', async () => {
    const scene = pagedScene();
    scene.connectors.script = (line) => {
      line.records('fill', [fillOf(1)]);
    };
    scene.polling.add(accountOf(1), null);
    await scene.time.run(124_000);
    expect(scene.polls).toEqual([]);
    await scene.time.run(2000);
    expect(scene.polls[0]).toMatchObject({ outcome: OUTCOME.failed, refusal: 'poll_incomplete' });
    expect(scene.connectors.started[0]?.ended).toBe(true);
    expect(figuresOf(scene)).toMatchObject({ trades: 0, gaps: [{ reason: 'deadline' }] });
    // It is tried again.
    scene.connectors.script = pagedScript;
    await scene.time.run(MINUTE_MS);
    expect(scene.polls[1]).toMatchObject({ trigger: TRIGGER.retry, outcome: OUTCOME.complete });
  });

  it.each<[string, SceneOptions['script'], string]>([
    [
      'sends a frame that is none',
      (line) => line.raw(CONNECTOR_FRAME.done, new Uint8Array(3)),
      'poll_incomplete',
    ],
    [
      'sends a frame of the desk',
      (line) => line.raw(CONNECTOR_FRAME.job, new Uint8Array(3)),
      'poll_incomplete',
    ],
    ['ends', (line) => line.stream.destroy(), 'poll_incomplete'],
    ['calls for another job', (line) => void line.fetch({ job: 999 }), 'poll_incomplete'],
    ['is done with another job', (line) => line.done({ job: 999 }), 'poll_incomplete'],
    [
      'uses a call id again',
      async (line) => {
        await line.fetch({ call: 1 });
        void line.fetch({ call: 1 });
      },
      'poll_incomplete',
    ],
    [
      'asks for more at once than it may',
      (line) => {
        for (let call = 0; call < 9; call++) void line.fetch({});
      },
      'poll_incomplete',
    ],
    [
      'brings records of tomorrow',
      (line) => {
        line.records('fill', [fillOf(1, { timeMs: NOON_MS + 24 * HOUR_MS })]);
        line.done();
      },
      'exchange_answer_invalid',
    ],
    [
      'brings more currencies than there are',
      (line) => {
        for (let page = 0; page < 3; page++) {
          line.records(
            'fill',
            Array.from({ length: 100 }, (_, index) =>
              fillOf(page * 100 + index, { quote: `C${page * 100 + index}` }),
            ),
          );
        }
        line.done();
      },
      'exchange_answer_invalid',
    ],
  ])('one that %s is ended, and nothing of its job counts', async (_, script, refusal) => {
    const scene = pagedScene({ script });
    scene.venue.answer = () => new Promise(() => undefined);
    scene.polling.add(accountOf(1), null);
    if (refusal !== '') scene.venue.answer = () => ({});
    await scene.time.run(10_000);
    expect(scene.polls[0]).toMatchObject({ outcome: OUTCOME.failed, refusal });
    expect(scene.connectors.started[0]?.ended).toBe(true);
    expect(figuresOf(scene).trades).toBe(0);
    expect(scene.fatal).toEqual([]);
  });

  it.each([
    'http://api.binance.com/a',
    'https://api.bybit.com/a',
    'https://api.binance.com:8443/a',
    'https://user@api.binance.com/a',
    'https://API.binance.com/a',
    'https://api.binance.com.evil.example/a',
    'https://api.binance.com',
    'https://api.binance.com/a#b',
    'https://api.binance.com/a b',
    'https://api.binance.com\\@evil.example/a',
    'https://169.254.169.254/latest',
  ])('reach no %s', async (url) => {
    const classes: unknown[] = [];
    const scene = pagedScene();
    scene.connectors.script = async (line) => {
      const result = await line.fetch({ url });
      classes.push(isAnswer(result) ? result.status : result.errorClass);
      line.done({ outcome: 'failed', errorClass: 'host_not_allowed' });
    };
    scene.polling.add(accountOf(1), null);
    await scene.time.run(1000);
    expect(classes).toEqual(['host_not_allowed']);
    expect(scene.venue.requests).toEqual([]);
    expect(scene.polls[0]).toMatchObject({ refusal: 'host_not_measured', calls: [] });
  });

  it('leave no trace of credentials in leaves, states and counters', async () => {
    const scene = pagedScene();
    const clear = /(?:key|secret)-in-clear/u;
    const seen: string[] = [];
    scene.connectors.script = async (line) => {
      seen.push(Buffer.from(line.job.credentials.secret).toString());
      await pagedScript(line);
    };
    scene.polling.add(accountOf(1), null);
    await scene.time.run(11 * MINUTE_MS);
    expect(seen[0]).toMatch(clear);
    const out = [
      JSON.stringify(scene.polls, (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      ),
      ...[...scene.states.values()].map((state) => Buffer.from(state).toString('latin1')),
      JSON.stringify(scene.polling.counters),
    ];
    for (const text of out) expect(text).not.toMatch(clear);
    expect(
      Object.keys(scene.polling.counters).every((name) => /^[a-z][a-z0-9_]{0,31}$/u.test(name)),
    ).toBe(true);
  });
});

describe('an account', () => {
  it('that is removed is polled no more, and a poll that runs is ended', async () => {
    const scene = pagedScene();
    scene.venue.answer = () => new Promise(() => undefined);
    scene.polling.add(accountOf(1), null);
    await scene.time.run(1000);
    expect(scene.venue.requests).toHaveLength(1);
    scene.polling.remove(accountOf(1).id);
    await scene.time.run(HOUR_MS);
    expect(scene.connectors.started[0]?.ended).toBe(true);
    expect(scene.polls).toHaveLength(1);
    expect(scene.polling.figures(accountOf(1).id)).toBeNull();
    expect(scene.venue.requests).toHaveLength(1);
    expect(scene.states.size).toBe(0);
  });

  it('that is removed while it waits leaves the line', async () => {
    const scene = pagedScene({ connectors: 1 });
    scene.venue.answer = () => new Promise(() => undefined);
    for (const number of [1, 2, 3]) scene.polling.add(accountOf(number), null);
    await scene.time.run(1000);
    expect(scene.polling.counters['polls_waiting']).toBe(2);
    scene.polling.remove(accountOf(2).id);
    expect(scene.polling.counters['polls_waiting']).toBe(1);
  });

  it('is checked before it is added: what the venue says of its key', async () => {
    const scene = pagedScene();
    const permissions = {
      read: true,
      trade: false,
      withdraw: null,
      transfer: null,
      ipRestricted: true,
      subAccount: null,
      expiresMs: null,
      accountId: '123',
    };
    scene.connectors.script = async (line) => {
      expect(line.job).toMatchObject({ kind: 'check', priority: PRIORITY.check });
      const result = await line.fetch({});
      if (isAnswer(result)) line.meaning(result.call, 'ok');
      line.done({ permissions });
    };
    const checked = scene.polling.check(accountOf(1));
    await scene.time.run(1000);
    expect(await checked).toEqual({ ok: true, value: permissions });
    expect(scene.polls).toHaveLength(1);
    expect(scene.polls[0]).toMatchObject({
      trigger: TRIGGER.registration,
      outcome: OUTCOME.complete,
    });
    scene.connectors.script = (line) => {
      line.done({ outcome: 'failed', errorClass: 'authentication' });
    };
    const refused = scene.polling.check(accountOf(1));
    await scene.time.run(1000);
    expect(await refused).toMatchObject({
      ok: false,
      refusal: { code: 'exchange_refused', detail: { class: 'authentication' } },
    });
  });

  it('is not tried where the breaker is open', async () => {
    const scene = pagedScene();
    scene.paged.fault = () => ({ status: 418, headers: { 'retry-after': '600' } });
    scene.polling.add(accountOf(1), null);
    await scene.time.run(1000);
    const calls = scene.venue.requests.length;
    const refused = scene.polling.check(accountOf(2));
    await scene.time.run(1000);
    expect(await refused).toMatchObject({ refusal: { code: 'exchange_rate_limited' } });
    expect(scene.venue.requests.length).toBe(calls);
  });

  it('is polled whatever becomes of the test system, which has other hosts', async () => {
    const scene = pagedScene();
    scene.connectors.script = async (line) => {
      const host =
        line.job.settings.environment === 'live' ? 'api.binance.com' : 'testnet.binance.vision';
      await line.fetch({ url: `https://${host}/api/v3/account` });
      line.done();
    };
    scene.venue.answer = ({ host }) => ({ status: host === 'api.binance.com' ? 200 : 418 });
    scene.polling.add(accountOf(1), null);
    scene.polling.add(accountOf(2, { environment: 'sandbox' }), null);
    await scene.time.run(HOUR_MS);
    expect(figuresOf(scene, 2).polls.missed).toBeGreaterThan(0);
    expect(figuresOf(scene).polls).toMatchObject({ missed: 0, failed: 0 });
    expect(scene.polling.venues.of('binance').breaker.state).toBe('closed');
    expect(scene.polling.venues.of('binance', 'sandbox').breaker.counters.opened).not.toBe(0);
  });

  it('of a desk that closes has its last leaf when the desk is closed', async () => {
    const scene = pagedScene();
    scene.venue.answer = () => new Promise(() => undefined);
    scene.polling.add(accountOf(1), null);
    await scene.time.run(1000);
    await scene.polling.close();
    expect(scene.polls).toHaveLength(1);
    expect(scene.polls[0]).toMatchObject({ outcome: OUTCOME.failed, refusal: 'poll_incomplete' });
    expect(await scene.polling.check(accountOf(2))).toMatchObject({ ok: false });
  });

  it('of a desk that closes while its check waits or runs is refused', async () => {
    const scene = pagedScene({ connectors: 1 });
    scene.venue.answer = () => new Promise(() => undefined);
    const checks = [1, 2, 3].map((number) => scene.polling.check(accountOf(number)));
    await scene.time.run(1000);
    await scene.polling.close();
    for (const result of await Promise.all(checks)) expect(result).toMatchObject({ ok: false });
  });
});
