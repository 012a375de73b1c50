import type { Client, ClientReadableStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { refuse } from '../../../../wire/result.ts';
import type { RefusalCode } from '../../../../wire/codes.ts';
import { REFUSAL_CODES } from '../../../../wire/codes.ts';
import { HOUR } from '../../../vectors/track.ts';
import type { GrpcScene } from '../../../helpers/grpc-scene.ts';
import { call, CERTIFICATE, failureOf, openGrpcScene } from '../../../helpers/grpc-scene.ts';

let scene: GrpcScene;
let client: Client;
let health: Client;

beforeAll(async () => {
  scene = await openGrpcScene();
  client = scene.client('enclave.proto', 'enclave.EnclaveService');
  health = scene.client('grpc/health/v1/health.proto', 'grpc.health.v1.Health');
});

afterAll(() => scene.close());

beforeEach(() => {
  scene.track.refusal = null;
  scene.track.healthy = true;
  scene.track.wait = () => Promise.resolve();
  scene.track.asked.length = 0;
});

const USER = { user_uid: 'user_2abc' };

describe('EnclaveService, asked by a client made from the .proto', () => {
  it('CalculateHistoricalReturns: rows with their statements, a gap without a ratio', async () => {
    const answer = await call(client, 'CalculateHistoricalReturns', {
      ...USER,
      exchange: 'kraken',
      start_date: HOUR,
      end_date: HOUR + 86_400_000,
    });
    expect(answer).toMatchObject({ success: true, freshness: 'FRESH' });
    const returns = answer['returns'] as readonly Record<string, unknown>[];
    expect(returns).toHaveLength(4);
    expect(returns[0]).toMatchObject({
      period: '2026-11-20T23:00:00Z',
      percentage_return: '0.0480769230769231',
      ratio: '0.000480769230769231',
      method: 'TIME_WEIGHTED',
      balance: '26012.5',
      currency: 'USD',
      residual: '0',
      reconciliation: 'RECONCILED',
      coverage: { polls: 12, complete: true },
    });
    expect(returns[2]).not.toHaveProperty('ratio');
    expect(returns[2]).not.toHaveProperty('balance');
    expect(returns[2]).toMatchObject({ reason: 'no_valuation' });
    expect(returns[2]).not.toHaveProperty('method');
    const { evidence } = returns[0] as { evidence: Record<string, unknown> };
    expect(evidence['statement']).toEqual(Buffer.from(scene.track.chain.statements[0] ?? []));
    expect(evidence).toMatchObject({ leaf_index: 97, counter: 1, origin: scene.track.origin });
    expect(scene.track.asked).toEqual([
      {
        what: 'historicalReturns',
        caller: Buffer.from(CERTIFICATE).toString('hex'),
        query: {
          userUid: USER.user_uid,
          exchange: 'kraken',
          range: { startMs: HOUR, endMs: HOUR + 86_400_000 },
          pageSize: 168,
          pageToken: null,
        },
      },
    ]);
  });

  it('pages', async () => {
    const first = await call(client, 'CalculateHistoricalReturns', { ...USER, page_size: 3 });
    expect(first['returns']).toHaveLength(3);
    const page_token = first['next_page_token'];
    const rest = await call(client, 'CalculateHistoricalReturns', {
      ...USER,
      page_size: 3,
      page_token,
    });
    expect(rest['returns']).toHaveLength(1);
    expect(rest['next_page_token'] ?? '').toBe('');
  });

  it('GetAggregatedMetrics, GetSnapshotTimeSeries, ProcessSyncJob, HealthCheck', async () => {
    const metrics = await call(client, 'GetAggregatedMetrics', USER);
    expect(metrics).toMatchObject({
      total_equity: '26012.5',
      total_realized_pnl: '20',
      total_fees: '2.5',
      total_trades: 3,
      total_funding: '-0.000000000000000001',
    });
    const [account] = metrics['accounts'] as readonly Record<string, unknown>[];
    expect(account?.['ratios']).toMatchObject({ max_drawdown: '0.01', drawdown_peak: HOUR });
    expect(account?.['ratios']).not.toHaveProperty('sharpe');
    const series = await call(client, 'GetSnapshotTimeSeries', USER);
    const [snapshot] = series['snapshots'] as readonly Record<string, unknown>[];
    expect(snapshot).toMatchObject({
      user_uid: USER.user_uid,
      total_equity: '26012.5',
      deposits: '1000',
      breakdown: {
        spot: { volume: '51000', trades: 3, realized_pnl: '20', unrealized_pnl: '-3' },
      },
    });
    const sync = await call(client, 'ProcessSyncJob', { ...USER, type: 'FULL' });
    expect(sync).toMatchObject({ success: true, synced: 12, accounts: 1, user_uid: USER.user_uid });
    expect(scene.track.asked.at(-1)?.query).toMatchObject({ type: 'full', range: null });
    const state = await call(client, 'HealthCheck', {});
    expect(state).toMatchObject({ enclave: true, uptime: '61.5', stored: true });
  });

  it('one certificate is one caller on every connection, another another', async () => {
    scene.certificate = new Uint8Array(32).fill(9);
    const other = scene.client('enclave.proto', 'enclave.EnclaveService');
    await call(other, 'GetAggregatedMetrics', USER);
    scene.certificate = CERTIFICATE;
    expect(scene.track.asked.at(-1)?.caller).toBe('09'.repeat(32));
  });
});

describe('refusals', () => {
  const cases: readonly (readonly [RefusalCode, number])[] = [
    ['account_unknown', 5],
    ['snapshot_exists', 9],
    ['rate_limited', 8],
    ['no_figures', 9],
    ['log_stalled', 14],
    ['not_ready', 14],
    ['venue_unknown', 5],
    ['store_deleted', 15],
  ];

  it.each(cases)('%s is status %i with the code in google.rpc.ErrorInfo', async (code, status) => {
    scene.track.refusal = refuse(code, { secret: 'of nobody’s business' });
    const failure = await failureOf(call(client, 'GetAggregatedMetrics', USER));
    expect(failure).toEqual({
      status,
      message: REFUSAL_CODES[code],
      code,
      reason: code.toUpperCase(),
      field: undefined,
    });
  });

  it('a bug is `internal` for the client, without its text, and ends the ledger', async () => {
    scene.track.wait = () => Promise.reject(new Error('/home/secret path'));
    const failure = await failureOf(call(client, 'GetAggregatedMetrics', USER));
    expect(failure).toMatchObject({
      status: 13,
      code: 'internal',
      message: REFUSAL_CODES.internal,
    });
    expect(scene.fatal).toEqual(['internal']);
    scene.fatal.length = 0;
  });

  it('a text that is no amount never goes out', async () => {
    scene.track.changeReturn = ({ statement, signed }) => {
      return { statement: { ...statement, return: { ...statement.return, ratio: '1e5' } }, signed };
    };
    const failure = await failureOf(call(client, 'CalculateHistoricalReturns', USER));
    expect(failure.code).toBe('internal');
    expect(scene.fatal).toEqual(['internal']);
    scene.fatal.length = 0;
    scene.track.changeReturn = (row) => row;
  });

  it('an answer of more than 4 MiB is refused, not sent', async () => {
    const gaps = Array<string>(500).fill('g'.repeat(9000));
    scene.track.changeReturn = ({ statement, signed }) => {
      return { statement: { ...statement, figures: { ...statement.figures, gaps } }, signed };
    };
    const failure = await failureOf(call(client, 'CalculateHistoricalReturns', USER));
    expect(failure).toMatchObject({ status: 8, code: 'api_too_large' });
    scene.track.changeReturn = (row) => row;
  });
});

describe('bounds of every field', () => {
  const day = 86_400_000;
  const five = (5 * 365 + 2) * day;
  const wrong: readonly (readonly [string, object, string])[] = [
    ['no user', { user_uid: '' }, 'user_uid'],
    ['a user of 101 characters', { user_uid: 'u'.repeat(101) }, 'user_uid'],
    ['a user of 101 bytes', { user_uid: `${'u'.repeat(99)}é` }, 'user_uid'],
    ['a user with a line break', { user_uid: 'a\nb' }, 'user_uid'],
    ['a user with a null', { user_uid: 'a\0b' }, 'user_uid'],
    ['a user with a mark of direction', { user_uid: 'a\u202eb' }, 'user_uid'],
    ['an exchange in capitals', { exchange: 'Kraken' }, 'exchange'],
    ['an exchange of 51 characters', { exchange: 'k'.repeat(51) }, 'exchange'],
    ['an exchange with a path', { exchange: '../x' }, 'exchange'],
    ['a start without end', { start_date: 1 }, 'end_date'],
    ['an end without start', { end_date: 1 }, 'start_date'],
    ['a negative start', { start_date: -1, end_date: 5 }, 'start_date'],
    ['an end that is the start', { start_date: 5, end_date: 5 }, 'end_date'],
    ['more than five years', { start_date: 1, end_date: five + 2 }, 'end_date'],
    [
      'a time beyond the year 9999',
      { start_date: 253_402_300_800_001, end_date: 253_402_300_900_000 },
      'start_date',
    ],
    ['a page of 501', { page_size: 501 }, 'page_size'],
    ['a page of -1', { page_size: -1 }, 'page_size'],
    ['a token of 257 characters', { page_token: 't'.repeat(257) }, 'page_token'],
    ['a token with spaces', { page_token: 'a b' }, 'page_token'],
  ];

  it.each(wrong)('%s', async (_, fields, field) => {
    for (const method of ['CalculateHistoricalReturns', 'GetSnapshotTimeSeries']) {
      const failure = await failureOf(call(client, method, { ...USER, ...fields }));
      expect(failure).toMatchObject({ status: 3, code: 'call_malformed', field });
    }
    expect(scene.track.asked).toEqual([]);
  });

  const right: readonly (readonly [string, object])[] = [
    ['a user of 100 bytes', { user_uid: 'u'.repeat(100) }],
    ['a user as registration takes it', { user_uid: 'trader é 1' }],
    ['an exchange of 50', { exchange: 'k'.repeat(50) }],
    ['five years', { start_date: 1, end_date: five + 1 }],
    ['a page of 500', { page_size: 500 }],
    ['a token of 256', { page_token: '1'.repeat(256) }],
  ];

  it.each(right)('%s is taken', async (_, fields) => {
    await call(client, 'GetSnapshotTimeSeries', { ...USER, ...fields });
    expect(scene.track.asked).toHaveLength(1);
  });

  it('a type of sync that there is not', async () => {
    const failure = await failureOf(call(client, 'ProcessSyncJob', { ...USER, type: 3 }));
    expect(failure).toMatchObject({ status: 3, code: 'call_malformed', field: 'type' });
  });
});

function withDeadline(ms: number): Promise<unknown> {
  const unary = Reflect.get(client, 'GetAggregatedMetrics') as (...options: unknown[]) => unknown;
  return new Promise((resolve, reject) => {
    unary.call(client, USER, { deadline: Date.now() + ms }, (error: unknown, answer: unknown) => {
      if (error === null) resolve(answer);
      else reject(error instanceof Error ? error : new Error('no error'));
    });
  });
}

describe('deadlines', () => {
  it('work is aborted when the client’s deadline is over', async () => {
    const aborted = Promise.withResolvers<null>();
    scene.track.wait = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          aborted.resolve(null);
          resolve();
        });
      });
    const failure = await failureOf(withDeadline(200));
    expect(failure.status).toBe(4);
    await aborted.promise;
    expect(scene.fatal).toEqual([]);
  });

  it('work is aborted when the client has gone', async () => {
    const started = Promise.withResolvers<null>();
    const aborted = Promise.withResolvers<null>();
    scene.track.wait = (signal) => {
      started.resolve(null);
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          aborted.resolve(null);
          resolve();
        });
      });
    };
    const unary = Reflect.get(client, 'GetAggregatedMetrics') as (...options: unknown[]) => {
      cancel(): void;
    };
    const gone = unary.call(client, USER, () => undefined);
    await started.promise;
    gone.cancel();
    await aborted.promise;
    expect(scene.fatal).toEqual([]);
  });
});

describe('grpc.health.v1', () => {
  it('Check: of the server and of each service, and of none', async () => {
    expect(await call(health, 'Check', {})).toEqual({ status: 'SERVING' });
    scene.track.healthy = false;
    const service = 'enclave.EnclaveService';
    expect(await call(health, 'Check', { service })).toEqual({ status: 'NOT_SERVING' });
    const failure = await failureOf(call(health, 'Check', { service: 'nothing' }));
    expect(failure).toMatchObject({ status: 5, code: 'not_found' });
  });

  it('Watch: at once, and when it changes', async () => {
    const watch = Reflect.get(health, 'Watch') as (request: object) => ClientReadableStream<{
      status: string;
    }>;
    const stream = watch.call(health, { service: '' });
    stream.on('error', () => undefined);
    const seen = stream[Symbol.asyncIterator]();
    expect((await seen.next()).value).toEqual({ status: 'SERVING' });
    scene.track.healthy = false;
    expect((await seen.next()).value).toEqual({ status: 'NOT_SERVING' });
    stream.cancel();
    const unknown = watch.call(health, { service: 'nothing' });
    unknown.on('error', () => undefined);
    const [first] = [await unknown[Symbol.asyncIterator]().next()];
    expect(first.value).toEqual({ status: 'SERVICE_UNKNOWN' });
    unknown.cancel();
  });
});
