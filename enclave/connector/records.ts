// What connectors say about an account, the same for every venue. Amounts are canonical decimal texts
// (wire/decimal.ts), times milliseconds since 1970; what a venue does not tell is null and never 0. The
// desk takes a connector's records as hostile: ccxt may be wrong about what a venue wrote.

import type { CborValue } from '../../wire/cbor.ts';
import { isCanonicalDecimal } from '../../wire/decimal.ts';
import type { Fields } from '../../wire/fields.ts';

export const MARKET_KINDS = [
  'spot',
  'margin',
  'swap',
  'future',
  'option',
  'stock',
  'fx',
  'cash',
] as const;
export type MarketKind = (typeof MARKET_KINDS)[number];

export const FLOW_TYPES = [
  'deposit',
  'withdrawal',
  'transfer_in',
  'transfer_out',
  'conversion',
  'interest',
  'dividend',
  'fee',
  'rebate',
  'other',
] as const;
export type FlowType = (typeof FLOW_TYPES)[number];

export const FLOW_STATUSES = ['ok', 'pending', 'failed', 'canceled'] as const;
export type FlowStatus = (typeof FLOW_STATUSES)[number];

export interface Money {
  readonly currency: string;
  readonly amount: string;
}

export interface Fill {
  readonly kind: 'fill';
  /** The venue's own, unique within the venue, account and `symbol`. */
  readonly id: string;
  readonly orderId: string | null;
  readonly clientOrderId: string | null;
  readonly symbol: string;
  readonly market: MarketKind;
  readonly base: string | null;
  readonly quote: string | null;
  /** Currency of profit and loss; null for spot. */
  readonly settle: string | null;
  readonly side: 'buy' | 'sell';
  readonly price: string;
  /** Positive: in base for spot, in contracts for derivatives. */
  readonly amount: string;
  /** Of one contract, in base (linear) or quote (inverse); null for spot. */
  readonly contractSize: string | null;
  readonly inverse: boolean | null;
  /** What the venue says was paid or received, in quote (linear) or settle (inverse). */
  readonly cost: string | null;
  /** Negative: a rebate. Null: the venue does not tell; empty: it says there was none. */
  readonly fees: readonly Money[] | null;
  readonly timeMs: number;
  readonly liquidity: 'maker' | 'taker' | null;
  /** SHA-256 of the venue's own record, as JSON. */
  readonly rawDigest: Uint8Array;
}

export interface Balance {
  readonly kind: 'balance';
  /** Such as `spot`, `margin`, `unified`; the same asset in two wallets is two records. */
  readonly wallet: string;
  readonly currency: string;
  /** Negative when borrowed. */
  readonly total: string;
  readonly free: string | null;
}

export interface Position {
  readonly kind: 'position';
  readonly symbol: string;
  readonly market: MarketKind;
  readonly side: 'long' | 'short';
  readonly contracts: string;
  readonly contractSize: string | null;
  readonly entry: string | null;
  readonly mark: string | null;
  readonly unrealized: string | null;
  readonly settle: string | null;
  readonly marginMode: 'cross' | 'isolated' | null;
}

export interface Funding {
  readonly kind: 'funding';
  readonly id: string;
  readonly symbol: string | null;
  readonly currency: string;
  /** Positive: received. */
  readonly amount: string;
  readonly timeMs: number;
}

export interface Flow {
  readonly kind: 'flow';
  readonly id: string;
  readonly type: FlowType;
  readonly direction: 'in' | 'out';
  readonly currency: string;
  /** Positive. */
  readonly amount: string;
  readonly fee: Money | null;
  readonly timeMs: number;
  readonly status: FlowStatus;
  /** Transaction hash, or what else names it outside of the venue. */
  readonly networkId: string | null;
  /** Wallets or accounts of the venue; never an address. */
  readonly from: string | null;
  readonly to: string | null;
  /** Of an income or a cost: what it was for. */
  readonly market: MarketKind | null;
}

export const PRICE_KINDS = ['spot', 'mark'] as const;
export type PriceKind = (typeof PRICE_KINDS)[number];

/** What somebody else paid last before a moment: the closing price of a candle, or a statement's own. */
export interface Price {
  readonly kind: 'price';
  readonly of: PriceKind;
  readonly symbol: string;
  /** A candle's end; the end of the day of a statement. */
  readonly atMs: number;
  /** In the quote currency. */
  readonly price: string;
  /** Host and endpoint. */
  readonly source: string;
  /** Length of the candle; 0 for a statement. */
  readonly stepMs: number;
  /** End of the last candle in which there was a deal, or earlier. */
  readonly tradedMs: number;
}

export type ConnectorRecord = Fill | Balance | Position | Funding | Flow | Price;

export const RECORD_KINDS = ['fill', 'balance', 'position', 'funding', 'flow', 'price'] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

const MAX_ID = 128;
const MAX_NAME = 64;
const MAX_DECIMAL = 62;
const MAX_FEES = 8;
/** Year 9999. */
export const MAX_TIME_MS = 253_402_300_799_999;

function moneyOf({ currency, amount }: Money): CborValue {
  return mapOf([currency, amount]);
}

/** Field numbers from 1 on, in the order of the list. */
export function mapOf(values: readonly CborValue[]): CborValue {
  return new Map(values.map((value, at) => [at + 1, value] as const));
}

export function recordToCbor(record: ConnectorRecord): CborValue {
  if (record.kind === 'fill')
    return mapOf([
      record.id,
      record.orderId,
      record.clientOrderId,
      record.symbol,
      record.market,
      record.base,
      record.quote,
      record.settle,
      record.side,
      record.price,
      record.amount,
      record.contractSize,
      record.inverse,
      record.cost,
      record.fees === null ? null : record.fees.map(moneyOf),
      record.timeMs,
      record.liquidity,
      record.rawDigest,
    ]);
  if (record.kind === 'balance')
    return mapOf([record.wallet, record.currency, record.total, record.free]);
  if (record.kind === 'position')
    return mapOf([
      record.symbol,
      record.market,
      record.side,
      record.contracts,
      record.contractSize,
      record.entry,
      record.mark,
      record.unrealized,
      record.settle,
      record.marginMode,
    ]);
  if (record.kind === 'funding')
    return mapOf([record.id, record.symbol, record.currency, record.amount, record.timeMs]);
  if (record.kind === 'price') {
    const { of, symbol, atMs, price, source, stepMs, tradedMs } = record;
    return mapOf([of, symbol, atMs, price, source, stepMs, tradedMs]);
  }
  return mapOf([
    record.id,
    record.type,
    record.direction,
    record.currency,
    record.amount,
    record.fee === null ? null : moneyOf(record.fee),
    record.timeMs,
    record.status,
    record.networkId,
    record.from,
    record.to,
    record.market,
  ]);
}

export function oneOf<T extends string>(fields: Fields, field: number, names: readonly T[]): T {
  const value = fields.take(field);
  return names.find((name) => name === value) ?? fields.refuse(field);
}

export function oneOfOrNull<T extends string>(
  fields: Fields,
  field: number,
  names: readonly T[],
): T | null {
  return fields.take(field) === null ? null : oneOf(fields, field, names);
}

function decimal(fields: Fields, field: number): string {
  const text = fields.text(field, MAX_DECIMAL);
  return isCanonicalDecimal(text) ? text : fields.refuse(field);
}

function decimalOrNull(fields: Fields, field: number): string | null {
  return fields.take(field) === null ? null : decimal(fields, field);
}

/** Not negative. */
function amount(fields: Fields, field: number): string {
  const text = decimal(fields, field);
  return text.startsWith('-') ? fields.refuse(field) : text;
}

function time(fields: Fields, field: number): number {
  return fields.uint(field, MAX_TIME_MS);
}

function money(fields: Fields): Money {
  return { currency: fields.text(1, MAX_NAME), amount: decimal(fields, 2) };
}

function readFill(fields: Fields): Fill {
  return {
    kind: 'fill',
    id: fields.text(1, MAX_ID),
    orderId: fields.textOrNull(2, MAX_ID),
    clientOrderId: fields.textOrNull(3, MAX_ID),
    symbol: fields.text(4, MAX_NAME),
    market: oneOf(fields, 5, MARKET_KINDS),
    base: fields.textOrNull(6, MAX_NAME),
    quote: fields.textOrNull(7, MAX_NAME),
    settle: fields.textOrNull(8, MAX_NAME),
    side: oneOf(fields, 9, ['buy', 'sell']),
    price: decimal(fields, 10),
    amount: amount(fields, 11),
    contractSize: fields.take(12) === null ? null : amount(fields, 12),
    inverse: fields.take(13) === null ? null : fields.bool(13),
    cost: decimalOrNull(fields, 14),
    fees: fields.take(15) === null ? null : fields.maps(15, MAX_FEES, money),
    timeMs: time(fields, 16),
    liquidity: oneOfOrNull(fields, 17, ['maker', 'taker']),
    rawDigest: fields.bytes(18, 32),
  };
}

function readBalance(fields: Fields): Balance {
  return {
    kind: 'balance',
    wallet: fields.text(1, MAX_NAME),
    currency: fields.text(2, MAX_NAME),
    total: decimal(fields, 3),
    free: decimalOrNull(fields, 4),
  };
}

function readPosition(fields: Fields): Position {
  return {
    kind: 'position',
    symbol: fields.text(1, MAX_NAME),
    market: oneOf(fields, 2, MARKET_KINDS),
    side: oneOf(fields, 3, ['long', 'short']),
    contracts: amount(fields, 4),
    contractSize: decimalOrNull(fields, 5),
    entry: decimalOrNull(fields, 6),
    mark: decimalOrNull(fields, 7),
    unrealized: decimalOrNull(fields, 8),
    settle: fields.textOrNull(9, MAX_NAME),
    marginMode: oneOfOrNull(fields, 10, ['cross', 'isolated']),
  };
}

function readFunding(fields: Fields): Funding {
  return {
    kind: 'funding',
    id: fields.text(1, MAX_ID),
    symbol: fields.textOrNull(2, MAX_NAME),
    currency: fields.text(3, MAX_NAME),
    amount: decimal(fields, 4),
    timeMs: time(fields, 5),
  };
}

function readFlow(fields: Fields): Flow {
  return {
    kind: 'flow',
    id: fields.text(1, MAX_ID),
    type: oneOf(fields, 2, FLOW_TYPES),
    direction: oneOf(fields, 3, ['in', 'out']),
    currency: fields.text(4, MAX_NAME),
    amount: amount(fields, 5),
    fee: fields.mapOrNull(6, money),
    timeMs: time(fields, 7),
    status: oneOf(fields, 8, FLOW_STATUSES),
    networkId: fields.textOrNull(9, MAX_ID),
    from: fields.textOrNull(10, MAX_NAME),
    to: fields.textOrNull(11, MAX_NAME),
    market: oneOfOrNull(fields, 12, MARKET_KINDS),
  };
}

function readPrice(fields: Fields): Price {
  return {
    kind: 'price',
    of: oneOf(fields, 1, PRICE_KINDS),
    symbol: fields.text(2, MAX_NAME),
    atMs: time(fields, 3),
    price: amount(fields, 4),
    source: fields.text(5, MAX_ID),
    stepMs: fields.uint(6),
    tradedMs: fields.uint(7, time(fields, 3)),
  };
}

/** How a record of each kind is read from its map. */
export const READ_RECORD: Readonly<Record<RecordKind, (fields: Fields) => ConnectorRecord>> = {
  fill: readFill,
  balance: readBalance,
  position: readPosition,
  funding: readFunding,
  flow: readFlow,
  price: readPrice,
};
