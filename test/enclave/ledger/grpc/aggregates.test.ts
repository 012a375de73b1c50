// Only aggregates in any answer. The first test walks every field of every message that EnclaveService can answer, from the
// descriptors that it shows, and compares it with the list of test/helpers/aggregate-walk.ts: a field that somebody adds has to be added there, by somebody who
// says what it is. The second walks every value of real answers, down into the signed statements.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '@grpc/grpc-js';
import { encodeCbor } from '../../../../wire/cbor.ts';
import type { MessageOf } from '../../../helpers/aggregate-walk.ts';
import {
  FIELDS,
  FILES,
  forbiddenTexts,
  MESSAGES,
  walkAnswer,
} from '../../../helpers/aggregate-walk.ts';
import type { GrpcScene } from '../../../helpers/grpc-scene.ts';
import { call, openGrpcScene } from '../../../helpers/grpc-scene.ts';

/** Names that a field with a trade in it would have. */
const TRADE =
  /(?:^|_)(?:price|quantity|qty|amount|size|side|symbol|instrument|pair|asset|base|quote|order|fill|trade|trade_id|execution|client_order_id|leverage|position_size|entry|api_key|secret|passphrase)(?:$|_)/u;

/** Every message that an answer can hold. */
function answered(): ReadonlyMap<string, MessageOf> {
  const found = new Map<string, MessageOf>();
  const walk = (name: string): void => {
    const message = MESSAGES.get(name);
    if (message === undefined) throw new Error(`no message ${name}`);
    if (found.has(name.slice(1))) return;
    found.set(name.slice(1), message);
    for (const field of message.field) if (field.type === 'TYPE_MESSAGE') walk(field.typeName);
  };
  const services = FILES.find((file) => file.package === 'enclave')?.service ?? [];
  for (const { outputType } of services.flatMap(({ method }) => method)) walk(outputType);
  return found;
}

describe('every field of every message of an answer', () => {
  const types = answered();

  it('is in the list, and the list has nothing else', () => {
    const there = Object.fromEntries(
      [...types].map(([name, type]) => {
        const values = type.field.filter((field) => field.type !== 'TYPE_MESSAGE');
        return [name, values.map((field) => field.name).toSorted()];
      }),
    );
    const listed = Object.fromEntries(
      Object.entries(FIELDS).map(([name, fields]) => [name, Object.keys(fields).toSorted()]),
    );
    expect(there).toEqual(listed);
  });

  it('has no name of a trade, and is no floating-point number', () => {
    const fields = [...types.values()].flatMap((type) => type.field);
    expect(fields.length).toBeGreaterThan(100);
    expect(fields.filter(({ name }) => TRADE.test(name)).map(({ name }) => name)).toEqual([]);
    expect(fields.filter(({ type }) => /DOUBLE|FLOAT|FIXED/u.test(type))).toEqual([]);
    expect(fields.filter(({ typeName }) => typeName.endsWith('.Any'))).toEqual([]);
  });

  it('would be found: a price among them fails', () => {
    expect(
      ['price', 'avg_price', 'fill', 'order_id', 'symbol', 'base_quantity'].map((name) =>
        TRADE.test(name),
      ),
    ).toEqual(Array<boolean>(6).fill(true));
    expect(
      ['trades', 'total_trades', 'trading_fees', 'balance'].some((name) => TRADE.test(name)),
    ).toBe(false);
  });
});

describe('every value of answers', () => {
  let scene: GrpcScene;
  let client: Client;

  beforeAll(async () => {
    scene = await openGrpcScene(30);
    client = scene.client('enclave.proto', 'enclave.EnclaveService');
  });

  afterAll(() => scene.close());

  it.each([
    ['CalculateHistoricalReturns', 'HistoricalReturnsResponse'],
    ['GetAggregatedMetrics', 'AggregatedMetricsResponse'],
    ['GetSnapshotTimeSeries', 'SnapshotTimeSeriesResponse'],
    ['ProcessSyncJob', 'SyncJobResponse'],
    ['HealthCheck', 'HealthCheckResponse'],
  ])('%s', async (method, response) => {
    const answer = await call(client, method, method === 'HealthCheck' ? {} : { user_uid: 'u' });
    const { leaves, wrong } = walkAnswer(`enclave.${response}`, answer);
    expect(leaves).toBeGreaterThan(3);
    expect(wrong).toEqual([]);
  });

  it('a symbol in a statement would be found', () => {
    const planted = encodeCbor(new Map([[1, ['BTC/USDT', 'order 7', 'kraken']]]));
    expect(forbiddenTexts(planted)).toEqual(['BTC/USDT', 'order 7']);
    const evidence = { statement: Buffer.from(planted), account: Buffer.alloc(32) };
    const returns = [{ exchange: 'BTC/USDT', net_return: 'NaN', price: '1', evidence }];
    const { wrong, statements } = walkAnswer('enclave.HistoricalReturnsResponse', { returns });
    expect(statements).toBe(1);
    expect(wrong).toEqual([
      'enclave.HistoricalReturnsResponse.returns.exchange: BTC/USDT',
      'enclave.HistoricalReturnsResponse.returns.net_return: NaN',
      'enclave.HistoricalReturnsResponse.returns.price: is not in the list',
      'enclave.HistoricalReturnsResponse.returns.evidence.statement: says BTC/USDT, order 7',
    ]);
  });
});
