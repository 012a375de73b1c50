// What an answer of EnclaveService may hold: each field of each message, by what it is, and each value of it, down into the signed
// statements. One walk for answers of a record that tests made, and for the bytes of a ledger that is put together.

import descriptor from 'protobufjs/ext/descriptor/index.js';
import { parseCbor } from '../../wire/cbor.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { isCanonicalDecimal } from '../../wire/decimal.ts';
import { FILE_DESCRIPTORS } from '../../wire/grpc/descriptors.ts';
import { metricsFigures } from '../../wire/performance/metrics-figures.ts';
import { performanceOf } from '../../wire/performance/performance.ts';
import { MAX_TRACK_STATEMENT_BYTES } from '../../wire/track/head.ts';

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

export const FIELDS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
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
    rebuilt: 'state',
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
    realized_pnl: 'amount',
    unrealized_pnl: 'amount',
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

export interface FieldOf {
  readonly name: string;
  readonly type: string;
  readonly typeName: string;
}

export interface MessageOf {
  readonly name: string;
  readonly field: readonly FieldOf[];
  readonly nestedType: readonly MessageOf[];
}

export interface FileOf {
  readonly package: string;
  readonly messageType: readonly MessageOf[];
  readonly service: readonly { readonly method: readonly { readonly outputType: string }[] }[];
}

export const FILES: readonly FileOf[] = FILE_DESCRIPTORS.map(({ base64 }) => {
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

export const MESSAGES: ReadonlyMap<string, MessageOf> = new Map(
  FILES.flatMap((file) => named(`.${file.package}`, file.messageType)),
);

const WORD = /^[a-z0-9_/.:-]{0,64}$/u;
const NAMES = ['USD', 'tls', 'live', 'sandbox', 'fifo', 'average'];
/** Conventions are sentences, the same in every record: those of one in which nothing happened. */
const CLOSED = new Set([...NAMES, ...metricsFigures(performanceOf([])).conventions.values()]);
/** Host and path of where prices came from. */
const SOURCE = /^[a-z0-9.-]+(?:\/[A-Za-z0-9_.*-]+)*$/u;
const ORIGIN = /^[a-z0-9./-]+\/e[0-9]{10}$/u;
const DOMAIN = /^trackseal\/[a-z]+\/v1$/u;

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:00:00Z$/u;
/** Of an enumeration: the interface has all there are. */
const MEMBER = /^[A-Z_]{1,40}$/u;

function isAllowed(text: string): boolean {
  return (
    CLOSED.has(text) ||
    isCanonicalDecimal(text) ||
    [WORD, SOURCE, ORIGIN, DOMAIN].some((pattern) => pattern.test(text))
  );
}

function textsOf(value: CborValue): readonly string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return (value as readonly CborValue[]).flatMap(textsOf);
  if (value instanceof Map) return [...value].flat().flatMap((one) => textsOf(one as CborValue));
  return [];
}

/** Texts of a signed statement that may not leave the ledger. */
export function forbiddenTexts(statement: Uint8Array): readonly string[] {
  const parsed = parseCbor(statement, { maxBytes: MAX_TRACK_STATEMENT_BYTES });
  if (!parsed.ok) return [parsed.refusal.code];
  return textsOf(parsed.value).filter((text) => !isAllowed(text));
}

export interface Walked {
  /** Values that are no messages. */
  readonly leaves: number;
  /** Signed statements among them, walked to the end. */
  readonly statements: number;
  /** Path and what is wrong there. */
  readonly wrong: readonly string[];
}

function faultOf(kind: Kind, name: string, value: unknown): string | null {
  if (value instanceof Uint8Array) {
    if (kind !== 'proof' && kind !== 'place') return `bytes in a ${kind}`;
    const found = name === 'statement' ? forbiddenTexts(new Uint8Array(value)) : [];
    return found.length === 0 ? null : `says ${found.join(', ')}`;
  }
  if (kind === 'proof') return 'proof that is no bytes';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? null : 'no whole number';
  if (typeof value === 'boolean') return kind === 'state' ? null : `a boolean in a ${kind}`;
  if (typeof value !== 'string') return `a ${typeof value}`;
  if (kind === 'amount' || kind === 'ratio') return isCanonicalDecimal(value) ? null : value;
  if (kind === 'time') return INSTANT.test(value) ? null : value;
  return isAllowed(value) ? null : value;
}

/** `answer` is a plain object with the names of the .proto file, without what is absent. */
export function walkAnswer(name: string, answer: object, path: string = name): Walked {
  const message = MESSAGES.get(`.${name}`);
  let [leaves, statements] = [0, 0];
  const wrong: string[] = [];
  for (const [field, value] of Object.entries(answer) as [string, unknown][]) {
    const told = message?.field.find((one) => one.name === field);
    for (const one of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      const at = `${path}.${field}`;
      if (told?.type === 'TYPE_MESSAGE' && typeof one === 'object' && one !== null) {
        const inner = walkAnswer(told.typeName.slice(1), one, at);
        leaves += inner.leaves;
        statements += inner.statements;
        wrong.push(...inner.wrong);
        continue;
      }
      leaves++;
      if (field === 'statement') statements++;
      const kind = FIELDS[name]?.[field];
      if (kind === 'state' && told?.type === 'TYPE_ENUM' && MEMBER.test(String(one))) continue;
      const fault = kind === undefined ? 'is not in the list' : faultOf(kind, field, one);
      if (fault !== null) wrong.push(`${at}: ${fault}`);
    }
  }
  return { leaves, statements, wrong };
}
