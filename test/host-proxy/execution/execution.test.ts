import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { ExecutionOptions } from '../../../host-proxy/execution/execution.ts';
import { Execution } from '../../../host-proxy/execution/execution.ts';
import type { OpenedJournal } from '../../../host-proxy/execution/journal.ts';
import { Journal, openJournal } from '../../../host-proxy/execution/journal.ts';
import type { JournalRecord } from '../../../host-proxy/execution/journal-record.ts';
import { decodeRecords } from '../../../host-proxy/execution/journal-record.ts';
import { JournalState } from '../../../host-proxy/execution/journal-state.ts';
import { KillSwitch } from '../../../host-proxy/execution/kill-switch.ts';
import type { Files } from '../../../host-proxy/files.ts';
import type { EncodedBatch } from '../../../wire/market/batcher.ts';
import type { MarketEvent } from '../../../wire/market/events.ts';
import type { Release } from '../../../wire/messages.ts';
import { originOf } from '../../../wire/header.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { Report, Signal } from '../../../wire/payloads.ts';
import { parseReport, SIDE, STATUS } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';
import {
  depth,
  encodedBatches,
  MS,
  ORIGIN,
  PLAIN,
  signalOf,
  snapshot,
  TestLog,
  trade,
} from './support.ts';

const UNIT = 100_000_000n;
const NAMES = Object.entries(STATUS).map(([name, status]) => [status, name] as const);
const STATUS_NAME = new Map<number, string>(NAMES);

const directory = mkdtempSync(join(tmpdir(), 'trackseal-execution-'));
const killPath = join(directory, 'kill');
afterAll(() => {
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  rmSync(killPath, { force: true });
});

/** A macrotask: all that can go on without the disk has gone on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A journal in memory; `records` is what is durable. */
class MemoryJournal {
  readonly records: JournalRecord[] = [];
  readonly journal = new Journal({
    append: (bytes) => {
      this.records.push(...decodeRecords(bytes));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
}

/** What records come to, for the execution that goes on from them. */
function stateOf(records: readonly JournalRecord[]): JournalState {
  const state = new JournalState([PLAIN]);
  for (const record of records) state.add(record);
  return state;
}

async function openOnDisk(files: Files): Promise<OpenedJournal> {
  const directory = '/state/execution';
  return assertAccepted(await openJournal({ files, directory, instruments: [PLAIN], keep: false }));
}

const NEXT = originOf('trackseal.test/log', 2);

const LIMITS: ExecutionOptions['limits'] = {
  maxOrderNotional: 1_000_000n * UNIT,
  maxPositionNotional: 1_000_000n * UNIT,
  maxOrders: 1000,
  orderWindowMs: 1000,
  priceBandPpm: 1_000_000,
  maxDailyLoss: 1_000_000n * UNIT,
};

const BOOK = snapshot(1000, [[99, 50]], [[101, 50]]);

/** The enclave's side, by hand: one log, inputs as leaves, and signals caused by them. */
class Floor {
  readonly log = new TestLog();
  readonly memory = new MemoryJournal();
  readonly reports: Report[] = [];
  readonly refusals: string[] = [];
  readonly execution: Execution;
  readonly batches: EncodedBatch[];
  /** Leaf of each batch. */
  readonly leaves: number[] = [];

  /** `dropped`: sequences that the feed sender dropped; they are neither logged nor held. */
  constructor(
    lists: readonly (readonly MarketEvent[])[],
    options: Partial<ExecutionOptions> = {},
    dropped: readonly number[] = [],
  ) {
    this.batches = encodedBatches(lists);
    this.execution = new Execution({
      crypto: nodeCrypto,
      log: this.log,
      origin: ORIGIN,
      instruments: [PLAIN],
      paper: { latencyMs: 0, takerFeePpm: 1000, makerFeePpm: 0, slippageTicks: 0 },
      limits: LIMITS,
      killSwitch: new KillSwitch(killPath),
      journal: this.memory.journal,
      state: new JournalState([PLAIN]),
      onReport: (payload, report) => {
        const parsed = assertAccepted(parseReport(payload));
        if (!isDeepStrictEqual(parsed, report)) throw new Error('a report of another payload');
        this.reports.push(report);
      },
      onRefusal: ({ code }) => {
        this.refusals.push(code);
      },
      ...options,
    });
    for (const batch of this.batches) {
      this.leaves.push(this.log.fill());
      if (!dropped.includes(batch.sequence)) this.execution.holdBatch(batch);
    }
  }

  /** A signal that this batch caused, decided at its time. */
  signal(batch: number, changes: Partial<Signal> = {}): Release {
    const decisionNs = this.batches[batch]?.timeNs ?? 0n;
    return this.log.signal(signalOf({ decisionNs, causes: [this.leaves[batch] ?? 0], ...changes }));
  }

  progress(batch: number): Promise<void> {
    const { stream, sequence } = this.batches[batch] ?? { stream: 1, sequence: batch };
    const leafIndex = this.leaves[batch] ?? 0;
    return this.execution.progress({ stream, sequence, leafIndex, acknowledgedSize: 0 });
  }

  /** Reports so far, as lines. */
  take(): string[] {
    return this.reports.splice(0).map(describeReport);
  }
}

function describeReport(report: Report): string {
  const fills = report.fills.map(
    ({ number, price, quantity }) =>
      ` #${number.toString()} ${price.toString()}x${quantity.toString()}`,
  );
  const reason = report.reason === null ? '' : ` ${report.reason}`;
  const status = STATUS_NAME.get(report.status) ?? '?';
  return `${report.output.toString()} ${status}${reason} ${report.filledQuantity.toString()}${fills.join('')}`;
}

describe('execution', () => {
  it('turns a signal into an order, fills and reports', async () => {
    const floor = new Floor([
      [BOOK],
      [
        depth(
          1010,
          [],
          [
            [101, 3],
            [102, 4],
          ],
        ),
      ],
    ]);
    floor.execution.release(floor.signal(0, { quantity: 52, limit: 101 }));
    await floor.progress(0);
    expect(floor.reports[1]).toMatchObject({
      clientOrderId: expect.stringMatching(/^ts[0-9a-f]{16}$/u) as unknown,
      environment: 'paper',
      timeNs: 1000n * MS,
      fills: [{ number: 0, price: 101, quantity: 50, fee: 505_000_000, timeNs: 1000n * MS }],
    });
    expect(floor.take()).toEqual(['2 accepted 0', '2 partlyFilled 50 #0 101x50']);
    await floor.progress(1);
    expect(floor.take()).toEqual(['2 filled 52 #1 101x2']);
    expect(floor.execution.summary()).toMatchObject({
      batches: 2,
      released: 1,
      accepted: 1,
      fills: 2,
      filled: 1,
      open: 0,
      realised: '0.00000000',
      // 52 bought at 101, the middle is (99 + 101) / 2; 0.1 % of 5,252 and nothing for the rest.
      unrealised: '-52.00000000',
      fees: '5.05000000',
      profit: '-57.05000000',
      positions: [{ symbol: 'TESTUSDT', quantity: '52', averagePrice: '101' }],
    });
  });

  it('plays a batch only when the enclave is done with it', async () => {
    const floor = new Floor([
      [BOOK],
      [
        depth(
          1010,
          [],
          [
            [101, 0],
            [100, 9],
          ],
        ),
      ],
    ]);
    floor.execution.release(floor.signal(0, { limit: 101, quantity: 1 }));
    await floor.progress(0);
    expect(floor.take()).toEqual(['2 accepted 0', '2 filled 1 #0 101x1']);
  });

  it('plays batches that the enclave refused together with the next', async () => {
    const floor = new Floor([[BOOK], [depth(1010, [], [[100, 9]])], [trade(1020, 100, 1)]]);
    await floor.progress(2);
    expect(floor.execution.summary().batches).toBe(3);
  });

  it('sends more than 64 fills in several reports', async () => {
    const asks = Array.from({ length: 130 }, (_, index): [number, number] => [101 + index, 1]);
    const limits = { ...LIMITS, priceBandPpm: 10_000_000 };
    const floor = new Floor([[snapshot(0, [[99, 1]], asks)]], { limits });
    floor.execution.release(floor.signal(0, { quantity: 130, limit: 1000 }));
    await floor.progress(0);
    expect(
      floor.reports.map(({ fills, filledQuantity, status }) => [
        fills.length,
        filledQuantity,
        status,
      ]),
    ).toEqual([
      [0, 0, STATUS.accepted],
      [64, 64, STATUS.partlyFilled],
      [64, 128, STATUS.partlyFilled],
      [2, 130, STATUS.filled],
    ]);
    expect(floor.reports.flatMap(({ fills }) => fills.map((fill) => fill.number))).toEqual(
      Array.from({ length: 130 }, (_, index) => index),
    );
  });

  it('reports an order that expires', async () => {
    const floor = new Floor([[BOOK], [trade(3000, 101, 1)]]);
    floor.execution.release(floor.signal(0, { limit: 100, ttlMs: 5 }));
    await floor.progress(0);
    await floor.progress(1);
    expect(floor.reports.at(-1)?.timeNs).toBe(1005n * MS);
    expect(floor.take()).toEqual(['2 accepted 0', '2 expired 0']);
  });

  it.each<[string, Partial<Signal>, Partial<ExecutionOptions['limits']>]>([
    ['instrument_unknown', { instrument: 9 }, {}],
    ['signal_expired', { decisionNs: 0n, ttlMs: 1000 }, {}],
    ['risk_order_notional', {}, { maxOrderNotional: 1009n * UNIT }],
    ['risk_position_notional', {}, { maxPositionNotional: 1009n * UNIT }],
    ['risk_order_rate', {}, { maxOrders: 0 }],
    ['risk_price_band', {}, { priceBandPpm: 9999 }],
    ['risk_daily_loss', {}, { maxDailyLoss: 0n }],
  ])('rejects with %s', async (code, signal, limits) => {
    const floor = new Floor([[BOOK]], { limits: { ...LIMITS, ...limits } });
    floor.execution.release(floor.signal(0, { quantity: 10, limit: 101, ...signal }));
    await floor.progress(0);
    expect(floor.take()).toEqual([`1 rejected ${code} 0`]);
    expect(floor.execution.summary().rejected).toEqual({ [code]: 1 });
  });

  it.each([
    [1001, ['1 accepted 0', '1 filled 1 #0 101x1']],
    [1000, ['1 rejected signal_expired 0']],
  ])('a signal with %i ms to live, 1,000 ms after its decision', async (ttlMs, expected) => {
    const floor = new Floor([[BOOK]]);
    floor.execution.release(floor.signal(0, { decisionNs: 0n, ttlMs, quantity: 1 }));
    await floor.progress(0);
    expect(floor.take()).toEqual(expected);
  });

  it('rejects while there is no book', async () => {
    const floor = new Floor([[trade(1000, 100, 1)]]);
    floor.execution.release(floor.signal(0));
    await floor.progress(0);
    expect(floor.take()).toEqual(['1 rejected risk_no_market 0']);
  });

  it('rejects from a dropped batch to the next snapshot: its market may be another', async () => {
    const lists = [[BOOK], [trade(1010, 101, 1)], [trade(1020, 101, 1)], [{ ...BOOK }]];
    const floor = new Floor(lists, {}, [1]);
    for (const batch of [0, 2, 3]) {
      floor.execution.release(floor.signal(batch, { limit: 90 }));
      await floor.progress(batch);
    }
    expect(floor.take().filter((line) => !line.includes('cancelled'))).toEqual([
      '4 accepted 0',
      '5 rejected risk_no_market 0',
      '6 accepted 0',
    ]);
  });

  it('counts orders of the same moment, accepted or open, for the position limit', async () => {
    const limits = { ...LIMITS, maxPositionNotional: 2020n * UNIT };
    const floor = new Floor([[BOOK]], { limits });
    for (let id = 0; id < 3; id++) floor.execution.release(floor.signal(0, { id, limit: 101 }));
    await floor.progress(0);
    expect(floor.execution.summary()).toMatchObject({
      accepted: 2,
      rejected: { risk_position_notional: 1 },
    });
  });
});

describe('execution, releases', () => {
  it('executes no release that fails the check, and reports nothing about it', async () => {
    const floor = new Floor([[BOOK]]);
    const release = floor.signal(0);
    floor.execution.release({ ...release, leafIndex: 99 });
    floor.execution.release({ ...release, salt: new Uint8Array(16) });
    await floor.progress(0);
    expect(floor.refusals).toEqual(['signal_not_logged', 'leaf_digest_mismatch']);
    expect(floor.reports).toEqual([]);
    // What was refused may still come properly.
    floor.execution.release(release);
    await floor.progress(0);
    expect(floor.execution.summary()).toMatchObject({
      accepted: 1,
      refused: { signal_not_logged: 1 },
    });
  });

  it('executes nothing twice', async () => {
    const floor = new Floor([[BOOK]]);
    const release = floor.signal(0);
    floor.execution.release(release);
    floor.execution.release(release);
    await floor.progress(0);
    floor.execution.release(release);
    await floor.progress(0);
    expect(floor.refusals).toEqual(['signal_repeated', 'signal_repeated']);
    expect(floor.execution.summary().accepted).toBe(1);
  });

  it('has the decision on the disk before the order goes out', async () => {
    const memory = new MemoryJournal();
    const durable: unknown[] = [];
    const floor = new Floor([[BOOK]], {
      journal: memory.journal,
      onReport: (_, { status }) => {
        const types = new Set(memory.records.map(({ type }) => type));
        durable.push([STATUS_NAME.get(status), types.has('decision'), types.has('fill')]);
      },
    });
    floor.execution.release(floor.signal(0));
    await floor.progress(0);
    expect(durable).toEqual([
      ['accepted', true, true],
      ['filled', true, true],
    ]);
  });

  it('stops for good when the journal cannot be written', async () => {
    const broken = new Journal({
      append: () => Promise.reject(new Error('EIO')),
      close: () => Promise.resolve(),
    });
    const floor = new Floor([[BOOK], [trade(1010, 101, 1)]], { journal: broken });
    floor.execution.release(floor.signal(0));
    await expect(floor.progress(0)).rejects.toThrow('EIO');
    await expect(floor.progress(1)).rejects.toThrow('EIO');
    await expect(floor.execution.kill()).rejects.toThrow('EIO');
    await expect(floor.execution.close()).rejects.toThrow('EIO');
    expect(floor.reports).toEqual([]);
    // What the first step did in memory is seen by nobody, and nothing is done after it.
    expect(floor.execution.summary()).toMatchObject({ batches: 1, cancelled: 0 });
  });

  it('shares one sync between the batches that come while another sync runs', async () => {
    const syncs: (() => void)[] = [];
    const records: JournalRecord[] = [];
    const journal = new Journal({
      append: async (bytes) => {
        await new Promise<void>((resolve) => {
          syncs.push(resolve);
        });
        records.push(...decodeRecords(bytes));
      },
      close: () => Promise.resolve(),
    });
    const lists = Array.from({ length: 10 }, (_, at) => [at === 0 ? BOOK : trade(1000 + at, 1, 1)]);
    const durable: number[] = [];
    const floor = new Floor(lists, {
      journal,
      onReport: () => {
        durable.push(records.length);
      },
    });
    const play = (batch: number): Promise<void> => {
      floor.execution.release(floor.signal(batch, { id: batch, quantity: 1 }));
      return floor.progress(batch);
    };
    const first = play(0);
    await turn();
    const rest = Promise.all(lists.slice(1).map((_, at) => play(at + 1)));
    await turn();
    expect(syncs).toHaveLength(1);
    expect(durable).toEqual([]);
    syncs.shift()?.();
    await first;
    await turn();
    expect(syncs).toHaveLength(1);
    expect(durable).toEqual([4, 4]);
    syncs.shift()?.();
    await rest;
    // Ten orders with a decision, a fill and an end each, and the day; two reports each.
    expect(durable).toHaveLength(20);
    expect(durable.at(-1)).toBe(31);
    expect(syncs).toEqual([]);
  });
});

describe('execution, kill switch', () => {
  it('cancels open orders and rejects signals once the file is there, and stays on', async () => {
    const floor = new Floor([[BOOK], [trade(1010, 101, 1)], [trade(1020, 101, 1)]]);
    floor.execution.release(floor.signal(0, { limit: 100 }));
    await floor.progress(0);
    writeFileSync(killPath, '');
    floor.execution.release(floor.signal(1));
    await floor.progress(1);
    rmSync(killPath);
    floor.execution.release(floor.signal(2));
    await floor.progress(2);
    expect(floor.take()).toEqual([
      '3 accepted 0',
      '3 cancelled 0',
      '4 rejected risk_kill_switch 0',
      '5 rejected risk_kill_switch 0',
    ]);
  });

  it('cancels at once by a call', async () => {
    const floor = new Floor([[BOOK]]);
    floor.execution.release(floor.signal(0, { limit: 100 }));
    await floor.progress(0);
    await floor.execution.kill();
    expect(floor.take()).toEqual(['1 accepted 0', '1 cancelled 0']);
    expect(existsSync(killPath)).toBe(false);
  });
});

describe('execution, end and restart', () => {
  it('cancels open orders and rejects waiting signals at the end', async () => {
    const floor = new Floor([[BOOK], [trade(1010, 101, 1)]]);
    floor.execution.release(floor.signal(0, { limit: 100 }));
    floor.execution.release(floor.signal(1));
    await floor.progress(0);
    await floor.execution.close();
    expect(floor.take()).toEqual(['2 accepted 0', '2 cancelled 0', '3 rejected stream_closed 0']);
  });

  it('knows after a restart what was held and open, and tells the next epoch how it ended', async () => {
    const files = new MemoryFiles();
    const first = new Floor([[BOOK]], await openOnDisk(files));
    const release = first.signal(0, { quantity: 52, limit: 101 });
    first.execution.release(release);
    await first.progress(0);
    expect(first.take()).toEqual(['1 accepted 0', '1 partlyFilled 50 #0 101x50']);
    const before = first.execution.summary();

    // The power is gone; another process finds the journal.
    const disk = files.afterCrash('nothing');
    const second = new Floor([[BOOK], [trade(1010, 101, 1)]], {
      ...(await openOnDisk(disk)),
      origin: NEXT,
    });
    await second.execution.start();
    expect(second.reports.map(({ epoch }) => epoch)).toEqual([1, 1]);
    // All of it once more: nobody knows what the first epoch has logged of it.
    expect(second.take()).toEqual(['1 partlyFilled 50 #0 101x50', '1 cancelled 50']);
    const { positions, reconciled } = second.execution.summary();
    expect(reconciled).toBe(1);
    // Without a book nobody knows what it is worth.
    expect(positions).toEqual([{ ...before.positions[0], unrealised: null }]);
    second.execution.logged([null]);

    // Only one of the two reports was logged: it is told again, but ended only once.
    const third = new Floor([], {
      ...(await openOnDisk(disk.afterCrash('nothing'))),
      origin: originOf('trackseal.test/log', 3),
    });
    await third.execution.start();
    expect(third.reports.map(({ epoch }) => epoch)).toEqual([1, 1]);
    expect(third.execution.summary()).toMatchObject({ reconciled: 0, accepted: 0 });

    second.execution.logged([null]);
    await second.execution.finish();
    const fourth = new Floor([], { ...(await openOnDisk(disk)), origin: 'other' });
    await fourth.execution.start();
    expect(fourth.reports).toEqual([]);
  });

  it('tells the next epoch only of what the log does not have', async () => {
    const floor = new Floor([[BOOK]]);
    for (const limit of [101, 100, 102]) {
      floor.execution.release(floor.signal(0, { limit, quantity: 1 }));
    }
    await floor.progress(0);
    const limits = ['1 accepted 0', '2 accepted 0', '3 accepted 0', '1 filled 1 #0 101x1'];
    expect(floor.take()).toEqual([...limits, '3 filled 1 #0 101x1']);
    floor.execution.logged([1, 2, 3, 1]);
    await floor.execution.close();
    expect(floor.take()).toEqual(['2 cancelled 0']);
    await floor.execution.finish();
    const next = new Floor([], { state: stateOf(floor.memory.records), origin: NEXT });
    await next.execution.start();
    expect(next.take()).toEqual(['2 cancelled 0', '3 filled 1 #0 101x1']);
    expect(next.execution.summary().reconciled).toBe(0);
  });

  it('tells of signals that it had rejected, and of those that were never decided on', async () => {
    const floor = new Floor([[BOOK]]);
    floor.execution.release(floor.signal(0, { ttlMs: 1, decisionNs: 0n }));
    await floor.progress(0);
    const missed = { type: 'missed', origin: ORIGIN, leaf: 9, id: 'ts09' } as const;
    const next = new Floor([], {
      state: stateOf([...floor.memory.records, missed]),
      origin: NEXT,
    });
    await next.execution.start();
    expect(next.take()).toEqual(['1 rejected signal_expired 0', '9 rejected stream_closed 0']);
    expect(next.execution.summary()).toMatchObject({ reconciled: 0, accepted: 0, rejected: {} });
  });

  it('tells nobody of outputs of another log', async () => {
    const floor = new Floor([[BOOK]]);
    floor.execution.release(floor.signal(0, { limit: 100 }));
    await floor.progress(0);
    for (const origin of ['trackseal.test/other/e0000000002', ORIGIN]) {
      const next = new Floor([], { state: stateOf(floor.memory.records), origin });
      await next.execution.start();
      expect(next.reports).toEqual([]);
      expect(next.memory.records).toMatchObject([
        { type: 'end', status: STATUS.cancelled },
        { type: 'told' },
      ]);
    }
  });

  it('remembers the day that it lost in', async () => {
    const limits = { ...LIMITS, maxDailyLoss: 100n * UNIT };
    const floor = new Floor([[BOOK], [snapshot(1010, [[9, 50]], [[11, 50]])]], { limits });
    floor.execution.release(floor.signal(0, { quantity: 5 }));
    await floor.progress(0);
    await floor.progress(1);
    const restarted = new Floor([[snapshot(2000, [[9, 50]], [[11, 50]])]], {
      limits,
      state: stateOf(floor.memory.records),
      origin: 'other',
    });
    restarted.execution.release(restarted.signal(0, { limit: 11 }));
    await restarted.progress(0);
    expect(restarted.take()).toEqual(['1 rejected risk_daily_loss 0']);
  });
});

describe('execution, determinism', () => {
  const price = fc.integer({ min: 95, max: 105 });
  const event = fc.oneof(
    fc
      .tuple(price, fc.integer({ min: 1, max: 20 }))
      .map(([p, q]) => ({ ask: [p, q] as [number, number] })),
    fc
      .tuple(price, fc.integer({ min: 1, max: 20 }))
      .map(([p, q]) => ({ bid: [p, q] as [number, number] })),
    fc
      .tuple(price, fc.integer({ min: 1, max: 9 }))
      .map(([p, q]) => ({ trade: [p, q] as [number, number] })),
  );
  const step = fc.record({
    wait: fc.nat(10),
    events: fc.array(event, { minLength: 1, maxLength: 3 }),
    signals: fc.array(
      fc.record({
        side: fc.constantFrom(SIDE.buy, SIDE.sell),
        quantity: fc.integer({ min: 1, max: 30 }),
        limit: price,
        ttlMs: fc.integer({ min: 1, max: 40 }),
      }),
      { maxLength: 2 },
    ),
  });

  it('reports the same however early signals and market data arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(3), { minLength: 12, maxLength: 12 }),
        async (steps, early) => {
          let now = 1000;
          const lists: MarketEvent[][] = [[BOOK]];
          for (const { wait, events } of steps) {
            now += wait;
            lists.push(
              events.map((each) => {
                if ('trade' in each) return trade(now, ...each.trade);
                return 'ask' in each ? depth(now, [], [each.ask]) : depth(now, [each.bid], []);
              }),
            );
          }
          // `ahead`: how many batches later a PROGRESS comes than the signals of its batch.
          const run = async (aheadOf: (index: number) => number): Promise<unknown> => {
            const paper = { latencyMs: 3, takerFeePpm: 7, makerFeePpm: 3, slippageTicks: 1 };
            const floor = new Floor(lists, { paper });
            const releases = steps.map(({ signals }, index) =>
              signals.map((signal, id) => floor.signal(index + 1, { id, ...signal })),
            );
            let released = 0;
            for (let batch = 0; batch < lists.length; batch++) {
              for (; released < steps.length && released < batch + aheadOf(batch); released++) {
                for (const release of releases[released] ?? []) floor.execution.release(release);
              }
              await floor.progress(batch);
            }
            await floor.execution.close();
            return [floor.take(), floor.execution.summary(), floor.memory.records];
          };
          const expected = await run(() => 0);
          expect(await run((index) => early[index % early.length] ?? 0)).toEqual(expected);
          expect(await run(() => 100)).toEqual(expected);
        },
      ),
      { numRuns: 100 },
    );
  });
});
