import { duplexPair } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Venue } from '../../../enclave/connector/classes.ts';
import { ConnectorPool } from '../../../enclave/desk/connector-pool.ts';
import { JobQueue, TURNS } from '../../../enclave/desk/job-queue.ts';
import type { LimitedCall } from '../../../enclave/desk/limiter.ts';
import { Limiter } from '../../../enclave/desk/limiter.ts';
import { PRIORITY } from '../../../enclave/desk/poll-entry.ts';
import { sleep } from '../../helpers/sleep.ts';
import { needOf, noteCost, VenueTable } from '../../../enclave/desk/venue-table.ts';
import { settle, VirtualTime } from '../../helpers/virtual-time.ts';

const START_MS = 1_760_000_000_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const NEVER = new AbortController().signal;
const CALL = {
  binance: { host: 'api.binance.com', path: '/api/v3/myTrades', weight: 20 },
  bybit: { host: 'api.bybit.com', path: '/v5/execution/list', weight: 1 },
  kraken: { host: 'api.kraken.com', path: '/0/private/Ledgers', weight: 6 },
  coinbase: { host: 'api.coinbase.com', path: '/api/v3/brokerage/accounts', weight: 1 },
} as const;
type Known = keyof typeof CALL;

interface Started {
  readonly name: string;
  readonly atMs: number;
  /** Names of what was in the line when it began. */
  readonly left: readonly string[];
}

/** The line with its real limiter and pool, and jobs that make calls one after the other. */
class Desk {
  readonly time = new VirtualTime(START_MS);
  readonly limiter = new Limiter(this.time);
  readonly venues = new VenueTable(() => 0.5);
  readonly pool: ConnectorPool;
  readonly queue: JobQueue;
  readonly started: Started[] = [];
  readonly ended: string[] = [];
  readonly #line = new Set<string>();

  constructor(size: number) {
    this.pool = new ConnectorPool({
      time: this.time,
      size,
      spawn: () => Promise.resolve(duplexPair()[0]),
      runAsync: (work) => work(),
      onRecycled: () => undefined,
    });
    this.queue = new JobQueue({
      time: this.time,
      pool: this.pool,
      limiter: this.limiter,
      venues: this.venues,
      track: (work) => {
        void work();
      },
    });
  }

  /** As if the last polls of the venue had made so many calls. */
  learn(venue: Known, calls: number, priorities: readonly number[] = [PRIORITY.schedule]): void {
    const made = Array.from({ length: calls }, () => this.#call(venue, 'other', 0));
    for (const priority of priorities) {
      noteCost(this.venues.of(venue), priority, this.limiter.costOf(made));
    }
  }

  add(
    name: string,
    venue: Known,
    priority: number,
    calls: number,
    tookMs = 50,
    account = name,
  ): () => void {
    this.#line.add(name);
    const of = { id: account, venue: venue as Venue, environment: 'live' } as const;
    const leave = this.queue.add(of, priority, async () => {
      this.#line.delete(name);
      this.started.push({ name, atMs: this.time.nowMs(), left: [...this.#line] });
      const made: LimitedCall[] = [];
      await this.pool.use(async () => {
        for (let count = 0; count < calls; count++) {
          const call = this.#call(venue, account, priority);
          const waitMs = await this.limiter.acquire(call, HOUR_MS, NEVER);
          if (waitMs !== 0) throw new Error(`sent away for ${waitMs} ms`);
          made.push(call);
        }
        await sleep(this.time, tookMs, NEVER);
      });
      noteCost(this.venues.of(venue), priority, this.limiter.costOf(made));
      this.ended.push(name);
    });
    return () => {
      this.#line.delete(name);
      leave();
    };
  }

  get order(): readonly string[] {
    return this.started.map(({ name }) => name);
  }

  #call(venue: Known, account: string, priority: number): LimitedCall {
    return { ...CALL[venue], account, priority };
  }
}

describe('the line for connectors', () => {
  it('keeps a job back while its venue has no room for it, and no connector waits for a limit', async () => {
    const desk = new Desk(4);
    desk.learn('binance', 10);
    // 200 each: 22 have room in a minute.
    for (let job = 0; job < 60; job++) desk.add(`b${job}`, 'binance', PRIORITY.schedule, 10);
    desk.add('kraken', 'kraken', PRIORITY.schedule, 3);
    await desk.time.run(2000, 2);
    expect(desk.ended).toContain('kraken');
    expect(desk.ended.length).toBeGreaterThanOrEqual(19);
    expect(desk.ended.length).toBeLessThan(24);
    expect(desk.queue.length).toBe(61 - desk.ended.length);
    await desk.time.run(5 * MINUTE_MS, 2);
    expect(desk.ended).toHaveLength(61);
    expect(desk.limiter.counters.limiter_waits).toBe(0);
    expect(desk.queue.length).toBe(0);
    // One for each connector's age.
    expect(desk.time.timers).toBeLessThanOrEqual(4);
  });

  it('keeps room for the dear ones that have begun, however cheap the others are', async () => {
    const desk = new Desk(4);
    desk.learn('binance', 40, [PRIORITY.first]);
    desk.learn('binance', 2);
    for (let job = 0; job < 8; job++) desk.add(`first ${job}`, 'binance', PRIORITY.first, 40);
    await desk.time.run(MINUTE_MS / 2, 2);
    for (let job = 0; job < 200; job++) desk.add(`known ${job}`, 'binance', PRIORITY.schedule, 2);
    await desk.time.run(10 * MINUTE_MS, 2);
    expect(desk.ended).toHaveLength(208);
    expect(desk.limiter.counters.limiter_waits).toBe(0);
  });

  it('keeps a job back for a count of its own account, and only that', async () => {
    const desk = new Desk(2);
    desk.learn('kraken', 5, [PRIORITY.schedule, PRIORITY.first]);
    // 30 each of 42 that an account may use in 45 seconds.
    desk.add('first', 'kraken', PRIORITY.first, 5, 50, 'a');
    await desk.time.run(1000);
    desk.add('second', 'kraken', PRIORITY.schedule, 5, 50, 'a');
    desk.add('other', 'kraken', PRIORITY.schedule, 5, 50, 'b');
    await desk.time.run(1000);
    expect(desk.ended).toEqual(['first', 'other']);
    await desk.time.run(50_000);
    expect(desk.ended).toEqual(['first', 'other', 'second']);
    expect(desk.limiter.counters.limiter_waits).toBe(0);
  });

  it('never waits for more than half of a share, whatever a job is said to cost', async () => {
    const desk = new Desk(2);
    desk.learn('binance', 100_000);
    // Others behind the address use something at any time, though not half of it.
    const call = { ...CALL.binance, account: 'x', priority: 0 };
    desk.limiter.learn(call, new Map([['x-mbx-used-weight-1m', '1000']]));
    desk.add('one', 'binance', PRIORITY.schedule, 3);
    for (let half = 0; half < 6; half++) {
      await desk.time.run(MINUTE_MS / 2);
      desk.limiter.learn(call, new Map([['x-mbx-used-weight-1m', '2000']]));
    }
    expect(desk.ended).toEqual(['one']);
  });

  it('remembers what a dear job cost for some of the cheap ones after it', () => {
    const entry = new VenueTable(() => 0.5).of('binance');
    const costOf = (): number => needOf(entry, PRIORITY.schedule).get('weight|host') ?? 0;
    noteCost(entry, PRIORITY.schedule, new Map([['weight|host', 100]]));
    noteCost(entry, PRIORITY.schedule, new Map([['weight|host', 60]]));
    expect(costOf()).toBe(90);
    for (let job = 0; job < 5; job++)
      noteCost(entry, PRIORITY.schedule, new Map([['weight|host', 60]]));
    expect(costOf()).toBe(60);
    noteCost(entry, PRIORITY.schedule, new Map([['weight|host', 61]]));
    expect(costOf()).toBe(61);
    // Of other priorities nothing is known, and what no job does any more is forgotten.
    expect(needOf(entry, PRIORITY.first).size).toBe(0);
    for (let job = 0; job < 100; job++)
      noteCost(entry, PRIORITY.schedule, new Map([['other|host', 1]]));
    expect([...needOf(entry, PRIORITY.schedule).keys()]).toEqual(['other|host']);
  });

  it('starts the more urgent first, then as they came', async () => {
    const desk = new Desk(1);
    desk.add('running', 'coinbase', PRIORITY.schedule, 1);
    const kinds = ['retry', 'first', 'check', 'schedule', 'snapshot'] as const;
    for (const turn of [1, 2]) {
      for (const kind of kinds) desk.add(`${kind} ${turn}`, 'bybit', PRIORITY[kind], 1);
    }
    await desk.time.run(2000);
    const urgent = kinds.toReversed().flatMap((kind) => [`${kind} 1`, `${kind} 2`]);
    expect(urgent.length).toBeLessThan(TURNS);
    expect(desk.order).toEqual(['running', ...urgent]);
  });

  it('gives one turn of so many to what has waited longest of the less urgent, and one only', async () => {
    const desk = new Desk(2);
    let urgent = 0;
    // There is always a more urgent one, for hours.
    const more = (): void => {
      desk.add(`u${urgent++}`, 'bybit', PRIORITY.schedule, 1, 100);
    };
    for (let at = 0; at < 4; at++) more();
    const late = ['retry', 'first', 'check', 'first too'];
    desk.add('retry', 'bybit', PRIORITY.retry, 1, 100);
    for (const name of late.slice(1)) desk.add(name, 'bybit', PRIORITY.first, 1, 100);
    for (let tenth = 0; tenth < TURNS * 60; tenth++) {
      while (desk.queue.length < 40) more();
      await desk.time.run(100, 2);
    }
    expect(late.map((name) => desk.order.indexOf(name) + 1)).toEqual(
      late.map((_, index) => (index + 1) * TURNS),
    );
  });

  it('leaves half of the connectors to other venues, and one where none of them waits yet', async () => {
    const desk = new Desk(4);
    for (let job = 0; job < 10; job++)
      desk.add(`slow ${job}`, 'bybit', PRIORITY.schedule, 1, HOUR_MS);
    await settle();
    expect(desk.order).toHaveLength(3);
    desk.add('other', 'coinbase', PRIORITY.retry, 1);
    await desk.time.run(1000);
    expect(desk.ended).toEqual(['other']);
    const mixed = new Desk(4);
    mixed.add('held', 'coinbase', PRIORITY.snapshot, 1, HOUR_MS);
    mixed.add('held too', 'coinbase', PRIORITY.snapshot, 1, HOUR_MS);
    mixed.add('waits', 'coinbase', PRIORITY.snapshot, 1, HOUR_MS);
    for (let job = 0; job < 3; job++) mixed.add(`b${job}`, 'bybit', PRIORITY.retry, 1, HOUR_MS);
    await settle();
    expect(mixed.order).toEqual(['held', 'held too', 'waits', 'b0']);
  });

  it('forgets what is taken back, and starts nothing when it is closed', async () => {
    const desk = new Desk(1);
    desk.add('running', 'bybit', PRIORITY.schedule, 1);
    const leave = desk.add('taken back', 'bybit', PRIORITY.schedule, 1);
    desk.add('next', 'bybit', PRIORITY.schedule, 1);
    leave();
    await desk.time.run(1000);
    expect(desk.order).toEqual(['running', 'next']);
    // Twice, or when it has begun: nothing.
    leave();
    desk.add('running again', 'bybit', PRIORITY.schedule, 1, 1000);
    desk.add('too late', 'bybit', PRIORITY.schedule, 1);
    desk.queue.close();
    await desk.time.run(MINUTE_MS);
    expect(desk.order).toEqual(['running', 'next', 'running again']);
  });

  it('starts every job, none before its time, and no call of one waits once costs are known', async () => {
    const job = fc.record({
      gapMs: fc.nat(4000),
      venue: fc.constantFrom<Known>('binance', 'bybit', 'kraken', 'coinbase'),
      // Those of one share: a snapshot may use what a retry that has begun counted on.
      kind: fc.constantFrom('schedule', 'check', 'first'),
      tookMs: fc.integer({ min: 1, max: 5000 }),
    });
    // What a job of the venue costs, in calls; of Binance up to a fifth of its minute.
    const costs = fc.record({
      binance: fc.integer({ min: 1, max: 40 }),
      bybit: fc.integer({ min: 1, max: 9 }),
      kraken: fc.integer({ min: 1, max: 6 }),
      coinbase: fc.integer({ min: 1, max: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(job, { minLength: 20, maxLength: 120 }),
        costs,
        fc.integer({ min: 1, max: 4 }),
        async (jobs, calls, size) => {
          const desk = new Desk(size);
          for (const venue of Object.keys(CALL) as Known[])
            desk.learn(venue, calls[venue], [PRIORITY.schedule, PRIORITY.check, PRIORITY.first]);
          for (const [index, { gapMs, venue, kind, tookMs }] of jobs.entries()) {
            await desk.time.run(gapMs, 1);
            desk.add(String(index), venue, PRIORITY[kind], calls[venue], tookMs);
          }
          await desk.time.run(HOUR_MS, 1);
          expect(desk.ended).toHaveLength(jobs.length);
          expect(desk.limiter.counters.limiter_waits).toBe(0);
          // Of its venue nothing more urgent is left waiting by a start, but in a turn.
          const jobOf = (name: string): (typeof jobs)[number] | undefined => jobs[Number(name)];
          const turns = new Map<Known, number>();
          const overtakers = desk.started.filter(({ name, left }) => {
            const own = jobOf(name);
            if (own === undefined) return true;
            const { venue, kind } = own;
            const turn = (turns.get(venue) ?? 0) + 1;
            turns.set(venue, turn);
            const isMoreUrgent = (other: (typeof jobs)[number] | undefined): boolean =>
              other?.venue === venue && PRIORITY[other.kind] < PRIORITY[kind];
            return turn % TURNS !== 0 && left.map(jobOf).some(isMoreUrgent);
          });
          expect(overtakers).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });
});
