// Every field of every message that EnclaveService answers, against messages that were written out by hand, over the bytes that
// are sent; what a client compares is made by the same code, so that a field left out or another's would be seen here only.

import { describe, expect, it } from 'vitest';
import {
  healthAnswer,
  metricsAnswer,
  returnsAnswer,
  snapshotsAnswer,
  syncAnswer,
} from '../../../../enclave/ledger/grpc/answers.ts';
import type { SignedRow } from '../../../../enclave/ledger/track-service-types.ts';
import type * as Wire from '../../../../wire/grpc/messages.ts';
import type { MessageSchema } from '../../../../wire/grpc/protobuf.ts';
import { decodeMessage, encodeMessage } from '../../../../wire/grpc/protobuf.ts';
import { enclaveService } from '../../../../wire/grpc/services.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import type { HourStatement } from '../../../../wire/track/hour.ts';
import type { SnapshotStatement } from '../../../../wire/track/snapshot.ts';
import type { TrackStatement } from '../../../../wire/track/statement.ts';
import { encodeTrackStatement, parseTrackStatement } from '../../../../wire/track/statement.ts';
import { gapFigures, ORIGIN } from '../../../vectors/track.ts';
import {
  ACCOUNT_METRICS,
  DAILY_SNAPSHOT,
  HOUR_STATEMENT,
  METRICS_STATEMENT,
  RETURN,
  SNAPSHOT_STATEMENT,
} from '../../../vectors/track-messages.ts';
import { money } from '../../../wire/performance/golden.ts';

const { methods } = enclaveService;
const QUERY = { userUid: 'trader-1', exchange: 'bybit' };
const SYNC = { ...QUERY, type: 'full', range: null } as const;

function row<Statement extends TrackStatement>(statement: Statement): SignedRow<Statement> {
  const signed = {
    statement: encodeTrackStatement(statement),
    signature: new Uint8Array(64).fill(0x51),
    origin: ORIGIN,
    leafIndex: 97,
    position: 13,
    leafSalt: new Uint8Array(16).fill(0x5a),
  };
  return { statement, signed };
}

function evidence(statement: TrackStatement, counter: number | null): Wire.Evidence {
  return {
    statement: encodeTrackStatement(statement),
    signature: new Uint8Array(64).fill(0x51),
    origin: 'trackseal.example/vectors/e0000000007',
    leafIndex: 97,
    position: 13,
    leafSalt: new Uint8Array(16).fill(0x5a),
    account: new Uint8Array(32).fill(0xac),
    counter,
  };
}

function sent<Message extends object>(schema: MessageSchema<Message>, message: Message): Message {
  return assertAccepted(decodeMessage(schema, encodeMessage(schema, message), 100_000));
}

const HEALTH = { healthy: true, version: '9', uptimeMs: 61_500, stored: true, origin: ORIGIN };

const ANSWERS: Readonly<
  Record<keyof typeof methods, readonly [schema: MessageSchema, answered: object, expected: object]>
> = {
  processSyncJob: [
    methods.processSyncJob.response,
    syncAnswer(
      {
        accounts: 81,
        synced: 82,
        hourlyReturnsGenerated: 83,
        latestSnapshot: row(SNAPSHOT_STATEMENT),
      },
      SYNC,
    ),
    {
      success: true,
      userUid: 'trader-1',
      exchange: 'bybit',
      synced: 82,
      hourlyReturnsGenerated: 83,
      latestSnapshot: {
        balance: '5100.5',
        equity: '5000.5',
        timestamp: 1_795_305_600_000,
        currency: 'USD',
        evidence: evidence(SNAPSHOT_STATEMENT, 52),
      },
      accounts: 81,
    },
  ],
  calculateHistoricalReturns: [
    methods.calculateHistoricalReturns.response,
    returnsAnswer({ returns: [row(HOUR_STATEMENT)], nextPage: '7.ab', freshness: 'fresh' }),
    {
      success: true,
      returns: [{ ...RETURN, evidence: evidence(HOUR_STATEMENT, 41) }],
      nextPageToken: '7.ab',
      freshness: 1,
    },
  ],
  getAggregatedMetrics: [
    methods.getAggregatedMetrics.response,
    metricsAnswer({
      totals: {
        balance: money('91.5'),
        equity: money('92.5'),
        realizedPnl: money('93.5'),
        unrealizedPnl: money('94.5'),
        fees: money('95.5'),
        funding: money('96.5'),
        volume: money('97.5'),
        trades: 98,
      },
      lastSyncMs: 1_795_305_600_001,
      accounts: [{ ...row(METRICS_STATEMENT), lastSyncMs: 1_795_305_600_002 }],
      freshness: 'fresh',
    }),
    {
      totalBalance: '91.5',
      totalEquity: '92.5',
      totalRealizedPnl: '93.5',
      totalUnrealizedPnl: '94.5',
      totalFees: '95.5',
      totalTrades: 98,
      lastSync: 1_795_305_600_001,
      currency: 'USD',
      totalVolume: '97.5',
      totalFunding: '96.5',
      accounts: [
        {
          ...ACCOUNT_METRICS,
          lastSync: 1_795_305_600_002,
          evidence: evidence(METRICS_STATEMENT, null),
        },
      ],
      freshness: 1,
    },
  ],
  getSnapshotTimeSeries: [
    methods.getSnapshotTimeSeries.response,
    snapshotsAnswer(
      { snapshots: [row(SNAPSHOT_STATEMENT)], nextPage: '8.cd', freshness: 'fresh' },
      QUERY,
    ),
    {
      snapshots: [
        { userUid: 'trader-1', ...DAILY_SNAPSHOT, evidence: evidence(SNAPSHOT_STATEMENT, 52) },
      ],
      nextPageToken: '8.cd',
      freshness: 1,
    },
  ],
  healthCheck: [
    methods.healthCheck.response,
    healthAnswer(HEALTH),
    {
      status: 0,
      enclave: true,
      version: '9',
      uptime: '61.5',
      origin: 'trackseal.example/vectors/e0000000007',
      stored: true,
    },
  ],
};

/** Path to value of all that is not the default or absent; bytes are what they are. */
function valuesOf(schema: MessageSchema, message: object, path = ''): readonly [string, unknown][] {
  return schema.fields.flatMap(({ name, type, label }): readonly [string, unknown][] => {
    const value: unknown = Reflect.get(message, name);
    const items = label === 'repeated' ? (value as readonly unknown[]) : [value];
    return items.flatMap((item, at): readonly [string, unknown][] => {
      const own = label === 'repeated' && at > 0 ? `${path}${name}.${String(at)}` : path + name;
      if (typeof type !== 'function') return [[own, item]];
      return item === null ? [[own, null]] : valuesOf(type(), item as object, `${own}.`);
    });
  });
}

/** No statement has them. */
const NEVER = /\.(?:availableMargin|cfd|forex|commodities)$|^snapshots\.residual$/u;
/** Enumerations that are 0, and what metrics are not: a part of a chain. */
const EMPTY = new Set(['accounts.lotMethod', 'accounts.evidence.counter', 'status']);
/** A day's own are those of all of its markets. */
const SAME = /^snapshots\.breakdown\.global\.(?:equity|unrealizedPnl)$/u;

describe.each(Object.entries(ANSWERS))('%s', (_, [schema, answered, expected]) => {
  it('answers, field by field, what was written out by hand', () => {
    expect(sent(schema, answered)).toStrictEqual(expected);
  });

  it('has in each field what is in no other of them', () => {
    const seen = new Map<unknown, string>();
    for (const [path, value] of valuesOf(schema, expected)) {
      const isEmpty = value === null || value === '' || value === 0 || value === false;
      expect([path, isEmpty]).toEqual([path, NEVER.test(path) || EMPTY.has(path)]);
      if (isEmpty || value === true || SAME.test(path)) continue;
      // Texts that all have, and enumerations, which have few.
      if (value === 'USD' || (typeof value === 'number' && value < 3)) continue;
      expect([path, seen.get(value)]).toEqual([path, undefined]);
      seen.set(value, path);
    }
  });
});

it('statements with these values are such as are read', () => {
  for (const statement of [HOUR_STATEMENT, SNAPSHOT_STATEMENT, METRICS_STATEMENT]) {
    const parsed = assertAccepted(parseTrackStatement(encodeTrackStatement(statement)));
    expect(parsed).toStrictEqual(statement);
  }
});

function returnOf(statement: HourStatement): Wire.Return | undefined {
  return returnsAnswer({ returns: [row(statement)], nextPage: null, freshness: 'consistent' })
    .returns[0];
}

function dayOf(more: Partial<SnapshotStatement>): Wire.DailySnapshot | undefined {
  const snapshots = [row({ ...SNAPSHOT_STATEMENT, ...more })];
  return snapshotsAnswer({ snapshots, nextPage: null, freshness: 'consistent' }, QUERY)
    .snapshots[0];
}

describe('what is not known', () => {
  it('is absent, and no zero, in an hour without figures', () => {
    const { startMs } = HOUR_STATEMENT.figures;
    const statement: HourStatement = {
      ...HOUR_STATEMENT,
      supersedes: null,
      figures: gapFigures(startMs),
      return: { ratio: null, method: null, reason: 'no_valuation' },
    };
    expect(returnOf(statement)).toStrictEqual({
      ...RETURN,
      netReturn: null,
      percentageReturn: null,
      balance: null,
      ratio: null,
      method: 0,
      reason: 'no_valuation',
      residual: null,
      reconciliation: 0,
      coverage: { polls: 0, complete: false, gaps: ['exchange_unavailable'] },
      supersedes: null,
      rebuilt: false,
      evidence: evidence(statement, 41),
    });
  });

  it('makes the change of an hour unknown, whichever part of it', () => {
    for (const name of ['equityStart', 'equityEnd', 'inflow', 'outflow']) {
      const figures = { ...HOUR_STATEMENT.figures, [name]: null };
      expect(returnOf({ ...HOUR_STATEMENT, figures })?.netReturn).toBeNull();
    }
  });

  it('makes the sum over markets unknown, and no other', () => {
    const [spot, swap, ...more] = SNAPSHOT_STATEMENT.byMarket;
    if (spot === undefined || swap === undefined) throw new Error('no markets');
    const byMarket = [spot, { ...swap, realised: null, unrealised: null }, ...more];
    const { breakdown = null } = dayOf({ byMarket }) ?? {};
    expect(breakdown?.swap).toMatchObject({ realizedPnl: null, unrealizedPnl: null, volume: '20' });
    expect(breakdown?.global).toMatchObject({
      realizedPnl: null,
      unrealizedPnl: '-100',
      volume: '54321',
      tradingFees: '0.12345',
      fundingFees: '-19876',
    });
    expect(dayOf({ byMarket: [spot] })?.breakdown).toMatchObject({ swap: null, futures: null });
  });
});

it.each([
  ['twr', 1],
  ['modified_dietz', 2],
] as const)('a return by %s is of method %i', (method, number) => {
  const statement = { ...HOUR_STATEMENT, return: { ratio: '0.5', method, reason: null } };
  expect(returnOf(statement)).toMatchObject({ method: number, percentageReturn: '50', reason: '' });
});

it.each([
  ['reconciled', 1],
  ['beyond', 2],
  ['unknown', 0],
] as const)('books that are %s are %i', (status, number) => {
  const figures = { ...HOUR_STATEMENT.figures, status };
  expect(returnOf({ ...HOUR_STATEMENT, figures })?.reconciliation).toBe(number);
});

it('a day is complete with 24 complete hours', () => {
  const basis = { lastCounter: 50, hours: 24, completeHours: 23 };
  expect(dayOf({ basis })?.coverage).toMatchObject({ polls: 24, complete: false });
});

it('a ratio or a figure that is no canonical decimal is a bug', () => {
  const statement = { ...HOUR_STATEMENT.return, ratio: '1e5' };
  expect(() => returnOf({ ...HOUR_STATEMENT, return: statement })).toThrow(RangeError);
  const figures = new Map([...METRICS_STATEMENT.figures, ['gain', 'BTC/USDT'] as const]);
  const account = { ...row({ ...METRICS_STATEMENT, figures }), lastSyncMs: null };
  const totals = {
    balance: null,
    equity: null,
    realizedPnl: null,
    unrealizedPnl: null,
    fees: null,
    funding: null,
    volume: null,
    trades: 0,
  };
  const answer = { totals, lastSyncMs: null, freshness: 'consistent' } as const;
  expect(() => metricsAnswer({ ...answer, accounts: [account] })).toThrow(RangeError);
  expect(metricsAnswer({ ...answer, accounts: [] })).toMatchObject({
    totalFees: null,
    lastSync: 0,
  });
});

it('a process that is not healthy says so, and nothing of a sync that has no snapshot', () => {
  expect(healthAnswer({ ...HEALTH, healthy: false, stored: false })).toMatchObject({
    status: 1,
    stored: false,
  });
  const none = { accounts: 1, synced: 0, hourlyReturnsGenerated: 0, latestSnapshot: null };
  const answered = syncAnswer(none, { ...SYNC, exchange: null });
  expect(answered).toMatchObject({ latestSnapshot: null, exchange: '' });
});
