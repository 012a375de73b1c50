// Only aggregates in any answer. The first test walks every field of every message that EnclaveService can answer, from the
// descriptors that it shows, and compares it with the list here: a field that somebody adds has to be added here, by somebody who
// says what it is. The second walks every value of real answers, down into the signed statements.

import descriptor from 'protobufjs/ext/descriptor/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '@grpc/grpc-js';
import { encodeCbor, parseCbor } from '../../../../wire/cbor.ts';
import type { CborValue } from '../../../../wire/cbor.ts';
import { isCanonicalDecimal } from '../../../../wire/decimal.ts';
import { FILE_DESCRIPTORS } from '../../../../wire/grpc/descriptors.ts';
import { MAX_TRACK_STATEMENT_BYTES } from '../../../../wire/track/head.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import type { GrpcScene } from '../../../helpers/grpc-scene.ts';
import { call, openGrpcScene } from '../../../helpers/grpc-scene.ts';

/** What each text may be: an amount or ratio over a period, a name that is closed, a place in log or time, or proof. */
type Kind = 'amount' | 'ratio' | 'count' | 'time' | 'name' | 'place' | 'proof' | 'state';

const EVIDENCE: Readonly<Record<string, Kind>> = {
  statement: 'proof',
  signature: 'proof',
  origin: 'place',
  leaf_index: 'place',
  position: 'place',
  leaf_salt: 'proof',
  account: 'place',
  counter: 'place',
};

const FIELDS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  'enclave.SyncJobResponse': {
    success: 'state',
    user_uid: 'name',
    exchange: 'name',
    synced: 'count',
    hourly_returns_generated: 'count',
    accounts: 'count',
  },
  'enclave.Snapshot': { balance: 'amount', equity: 'amount', timestamp: 'time', currency: 'name' },
  'enclave.Evidence': EVIDENCE,
  'enclave.Coverage': { polls: 'count', complete: 'state', gaps: 'name' },
  'enclave.HistoricalReturnsResponse': {
    success: 'state',
    next_page_token: 'place',
    freshness: 'state',
  },
  'enclave.Return': {
    period: 'time',
    net_return: 'amount',
    percentage_return: 'ratio',
    balance: 'amount',
    start: 'time',
    end: 'time',
    exchange: 'name',
    ratio: 'ratio',
    method: 'state',
    reason: 'name',
    currency: 'name',
    residual: 'amount',
    reconciliation: 'state',
    supersedes: 'place',
  },
  'enclave.AggregatedMetricsResponse': {
    total_balance: 'amount',
    total_equity: 'amount',
    total_realized_pnl: 'amount',
    total_unrealized_pnl: 'amount',
    total_fees: 'amount',
    total_trades: 'count',
    last_sync: 'time',
    currency: 'name',
    total_volume: 'amount',
    total_funding: 'amount',
    freshness: 'state',
  },
  'enclave.AccountMetrics': {
    exchange: 'name',
    balance: 'amount',
    equity: 'amount',
    realized_pnl: 'amount',
    unrealized_pnl: 'amount',
    fees: 'amount',
    funding: 'amount',
    volume: 'amount',
    trades: 'count',
    period_start: 'time',
    period_end: 'time',
    lot_method: 'state',
    residual: 'amount',
    currency: 'name',
    last_sync: 'time',
    gain: 'amount',
    lowest_capital: 'amount',
    mean_capital: 'amount',
    small_capital_share: 'ratio',
  },
  'enclave.Ratios': {
    cumulative_return: 'ratio',
    cumulative_return_bridged: 'ratio',
    volatility: 'ratio',
    sharpe: 'ratio',
    sortino: 'ratio',
    calmar: 'ratio',
    max_drawdown: 'ratio',
    drawdown_peak: 'time',
    drawdown_trough: 'time',
    drawdown_recovery: 'time',
    win_rate: 'ratio',
    profit_factor: 'ratio',
    xirr: 'ratio',
  },
  'enclave.Convention': { name: 'name', value: 'name' },
  'enclave.SnapshotTimeSeriesResponse': { next_page_token: 'place', freshness: 'state' },
  'enclave.DailySnapshot': {
    user_uid: 'name',
    exchange: 'name',
    timestamp: 'time',
    total_equity: 'amount',
    realized_balance: 'amount',
    unrealized_pnl: 'amount',
    deposits: 'amount',
    withdrawals: 'amount',
    currency: 'name',
    residual: 'amount',
    supersedes: 'place',
  },
  'enclave.MarketBreakdown': {},
  'enclave.MarketMetrics': {
    equity: 'amount',
    available_margin: 'amount',
    volume: 'amount',
    trades: 'count',
    trading_fees: 'amount',
    funding_fees: 'amount',
  },
  'enclave.HealthCheckResponse': {
    status: 'state',
    enclave: 'state',
    version: 'name',
    uptime: 'count',
    origin: 'place',
    stored: 'state',
  },
};

/** Names that a field with a trade in it would have. */
const TRADE =
  /(?:^|_)(?:price|quantity|qty|amount|size|side|symbol|instrument|pair|asset|base|quote|order|fill|trade|trade_id|execution|client_order_id|leverage|position_size|entry|api_key|secret|passphrase)(?:$|_)/u;

interface FieldOf {
  readonly name: string;
  readonly type: string;
  readonly typeName: string;
}

interface MessageOf {
  readonly name: string;
  readonly field: readonly FieldOf[];
  readonly nestedType: readonly MessageOf[];
}

interface FileOf {
  readonly package: string;
  readonly messageType: readonly MessageOf[];
  readonly service: readonly { readonly method: readonly { readonly outputType: string }[] }[];
}

const FILES: readonly FileOf[] = FILE_DESCRIPTORS.map(({ base64 }) => {
  const type = descriptor.FileDescriptorProto;
  const message = type.decode(Buffer.from(base64, 'base64'));
  const plain: unknown = type.toObject(message, { enums: String, defaults: true, arrays: true });
  return plain as FileOf;
});

function named(prefix: string, messages: readonly MessageOf[]): readonly [string, MessageOf][] {
  return messages.flatMap((message): readonly [string, MessageOf][] => {
    const name = `${prefix}.${message.name}`;
    return [[name, message], ...named(name, message.nestedType)];
  });
}

const MESSAGES = new Map(FILES.flatMap((file) => named(`.${file.package}`, file.messageType)));

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

function textsOf(value: CborValue): readonly string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return (value as readonly CborValue[]).flatMap(textsOf);
  if (value instanceof Map) return [...value].flat().flatMap((one) => textsOf(one as CborValue));
  return [];
}

/** Path and value of every leaf. */
function leaves(value: unknown, path = ''): readonly (readonly [string, unknown])[] {
  if (Buffer.isBuffer(value) || typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([name, one]) =>
    leaves(one, /^[0-9]+$/u.test(name) ? path : `${path}.${name}`),
  );
}

describe('every value of answers', () => {
  let scene: GrpcScene;
  let client: Client;

  beforeAll(async () => {
    scene = await openGrpcScene(30);
    client = scene.client('enclave.proto', 'enclave.EnclaveService');
  });

  afterAll(() => scene.close());

  const WORD = /^[a-z0-9_/.:-]{0,64}$/u;
  const CLOSED = new Set(['USD', 'tls', 'live', 'sandbox', 'fifo', 'average']);
  /** Host and path of where prices came from. */
  const SOURCE = /^[a-z0-9.-]+(?:\/[A-Za-z0-9_.-]+)*$/u;
  const ORIGIN = /^[a-z0-9./-]+\/e[0-9]{10}$/u;
  const DOMAIN = /^trackseal\/[a-z]+\/v1$/u;

  function isAllowed(text: string): boolean {
    return (
      CLOSED.has(text) ||
      isCanonicalDecimal(text) ||
      [WORD, SOURCE, ORIGIN, DOMAIN].some((pattern) => pattern.test(text))
    );
  }

  it.each([
    'CalculateHistoricalReturns',
    'GetAggregatedMetrics',
    'GetSnapshotTimeSeries',
    'ProcessSyncJob',
    'HealthCheck',
  ])('%s', async (method) => {
    const answer = await call(client, method, method === 'HealthCheck' ? {} : { user_uid: 'u' });
    const found = leaves(answer);
    expect(found.length).toBeGreaterThan(3);
    const kinds = new Map(Object.values(FIELDS).flatMap((fields) => Object.entries(fields)));
    for (const [path, value] of found) {
      const kind = kinds.get(path.split('.').at(-1) ?? '');
      expect(kind, path).toBeDefined();
      const isAmount = kind === 'amount' || kind === 'ratio';
      expect(isAmount ? isCanonicalDecimal(String(value)) : true, path).toBe(true);
    }
    for (const [path, bytes] of found) {
      if (!path.endsWith('.statement') || !Buffer.isBuffer(bytes)) continue;
      const limits = { maxBytes: MAX_TRACK_STATEMENT_BYTES };
      const statement = assertAccepted(parseCbor(new Uint8Array(bytes), limits));
      expect(textsOf(statement).filter((text) => !isAllowed(text))).toEqual([]);
    }
  });

  it('a symbol in a statement would be found', () => {
    const planted = assertAccepted(
      parseCbor(encodeCbor(new Map([[1, ['BTC/USDT', 'order 7', 'kraken']]])), { maxBytes: 100 }),
    );
    expect(textsOf(planted).filter((text) => !isAllowed(text))).toEqual(['BTC/USDT', 'order 7']);
  });
});
