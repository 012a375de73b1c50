// From ccxt's unified objects to records. ccxt was told to give numbers as texts; whatever is not a decimal all the
// same, has no id, no time or no market is refused here, record by record, and shows in the coverage.

import { createHash } from 'node:crypto';
import type { Exchange } from '../../node_modules/ccxt/js/src/base/Exchange.js';
import { utf8 } from '../../wire/bytes.ts';
import { addDecimals, assertDecimal, canonicalDecimal, formatDecimal } from '../../wire/decimal.ts';
import type { Balance, Fill, Flow, FlowStatus, MarketKind, Money } from './records.ts';
import { FLOW_STATUSES, MAX_TIME_MS } from './records.ts';
import type { Position } from './records.ts';
import type { Raw } from './raw.ts';
import { at, boolAt, decimalAt, rawOf, textAt, timeAt } from './raw.ts';

export function digestOf(raw: unknown): Uint8Array {
  return new Uint8Array(
    createHash('sha256')
      .update(utf8(JSON.stringify(raw) ?? ''))
      .digest(),
  );
}

const MAX_ID = 128;
const MAX_NAME = 64;

/** Null when it is too long to be one. */
function short(text: string | null, maximum: number): string | null {
  return text !== null && text.length <= maximum ? text : null;
}

export function nameAt(value: unknown, ...path: readonly string[]): string | null {
  return short(textAt(value, ...path), MAX_NAME);
}

export function idAt(value: unknown, ...path: readonly string[]): string | null {
  return short(textAt(value, ...path), MAX_ID);
}

export function withoutSign(decimal: string): string {
  return decimal.startsWith('-') ? decimal.slice(1) : decimal;
}

const KINDS: Readonly<Record<string, MarketKind>> = {
  spot: 'spot',
  margin: 'margin',
  swap: 'swap',
  future: 'future',
  option: 'option',
};

/** Of canonical decimals; null beyond 60 digits. */
export function sumOf(a: string, b: string): string | null {
  return canonicalDecimal(formatDecimal(addDecimals(assertDecimal(a), assertDecimal(b))));
}

export interface MarketFacts {
  readonly symbol: string;
  readonly kind: MarketKind;
  readonly base: string | null;
  readonly quote: string | null;
  readonly settle: string | null;
  readonly contractSize: string | null;
  readonly inverse: boolean | null;
}

/** Null for a market that the venue does not list any more, or never did. */
export function marketOf(exchange: Exchange, symbol: string | null): MarketFacts | null {
  if (symbol === null) return null;
  const market = at(exchange.markets, symbol);
  const kind = KINDS[textAt(market, 'type') ?? ''];
  if (kind === undefined) return null;
  const contract = kind !== 'spot' && kind !== 'margin';
  return {
    symbol,
    kind,
    base: nameAt(market, 'base'),
    quote: nameAt(market, 'quote'),
    settle: contract ? nameAt(market, 'settle') : null,
    contractSize: contract ? decimalAt(market, 'contractSize') : null,
    inverse: contract ? boolAt(market, 'inverse') : null,
  };
}

/** Of ccxt's symbol alone; what is no pair of spot is a contract of unknown size. */
function kindOfUnlisted(symbol: string): MarketKind {
  if (!symbol.includes(':')) return 'spot';
  if (/-[CP]$/u.test(symbol)) return 'option';
  return /-[0-9]{6}$/u.test(symbol) ? 'future' : 'swap';
}

function feesOf(trade: Raw): readonly Money[] | null {
  const listed: unknown = trade['fees'];
  const all = Array.isArray(listed) && listed.length > 0 ? listed : [trade['fee']];
  const fees: Money[] = [];
  for (const fee of all) {
    const amount = decimalAt(fee, 'cost');
    const currency = nameAt(fee, 'currency');
    if (amount === null || currency === null) return null;
    fees.push({ currency, amount });
  }
  return fees;
}

export interface FillExtras {
  readonly clientOrderId?: string | null;
  /** Where a spot market is traded with borrowed money. */
  readonly margin?: boolean;
  /** What the venue itself says was paid; ccxt would work one out, for inverse contracts by a division. */
  readonly cost?: string | null;
  /** For a venue that tells no fee: ccxt would take one from the price list. */
  readonly withoutFees?: boolean;
  readonly raw?: unknown;
}

/** Of a unified trade; null when it lacks what a fill has to have. */
export function fillOf(exchange: Exchange, unified: unknown, extras: FillExtras = {}): Fill | null {
  const trade = rawOf(unified);
  const symbol = nameAt(trade, 'symbol');
  const market = marketOf(exchange, symbol);
  const id = idAt(trade, 'id');
  const side = trade['side'];
  const price = decimalAt(trade, 'price');
  const amount = decimalAt(trade, 'amount');
  const timeMs = timeOf(trade);
  if (id === null || symbol === null || price === null || amount === null) return null;
  if (timeMs === null || (side !== 'buy' && side !== 'sell')) return null;
  const role = trade['takerOrMaker'];
  const [base = null, quote = null] = symbol.split(/[/:]/u);
  return {
    kind: 'fill',
    id,
    orderId: idAt(trade, 'order'),
    clientOrderId: short(extras.clientOrderId ?? null, MAX_ID),
    symbol,
    market: extras.margin === true ? 'margin' : (market?.kind ?? kindOfUnlisted(symbol)),
    base: market?.base ?? base,
    quote: market?.quote ?? quote,
    settle: market?.settle ?? null,
    side,
    price,
    amount: withoutSign(amount),
    contractSize: market?.contractSize ?? null,
    inverse: market?.inverse ?? null,
    cost: extras.cost ?? null,
    fees: extras.withoutFees === true ? null : feesOf(trade),
    timeMs,
    liquidity: role === 'maker' || role === 'taker' ? role : null,
    rawDigest: digestOf(extras.raw ?? trade['info']),
  };
}

function timeOf(unified: Raw): number | null {
  const timeMs = timeAt(unified, 'timestamp');
  return timeMs !== null && timeMs > 0 && timeMs <= MAX_TIME_MS ? timeMs : null;
}

function statusOf(status: unknown): FlowStatus {
  if (status === undefined || status === null) return 'ok';
  return FLOW_STATUSES.find((name) => name === status) ?? 'pending';
}

/** Of a unified deposit or withdrawal. Without an id of its own the network's and the time name it. */
export function transactionOf(unified: unknown, type: 'deposit' | 'withdrawal'): Flow | null {
  const currency = nameAt(unified, 'currency');
  const amount = decimalAt(unified, 'amount');
  const timeMs = timeOf(rawOf(unified));
  const networkId = idAt(unified, 'txid');
  if (currency === null || amount === null || timeMs === null) return null;
  const id = idAt(unified, 'id') ?? networkId ?? `${currency}-${amount}-${timeMs}`;
  return {
    kind: 'flow',
    id,
    type,
    direction: type === 'deposit' ? 'in' : 'out',
    currency,
    amount: withoutSign(amount),
    fee: feeOf(at(unified, 'fee')),
    timeMs,
    status: statusOf(at(unified, 'status')),
    networkId,
    from: null,
    to: null,
    market: null,
  };
}

function feeOf(fee: unknown): Money | null {
  const amount = decimalAt(fee, 'cost');
  const currency = nameAt(fee, 'currency');
  return amount === null || currency === null ? null : { currency, amount };
}

export interface FlowFacts {
  readonly id: string | null | undefined;
  readonly type: Flow['type'];
  readonly currency: string | null | undefined;
  /** Its sign says in or out. */
  readonly amount: string | null;
  readonly timeMs: number | null;
  readonly fee?: Money | null;
  readonly status?: FlowStatus;
  readonly networkId?: string | null;
  readonly from?: string | null;
  readonly to?: string | null;
  readonly market?: Flow['market'];
}

/** Of a line of a statement; a transfer out is named one. Null when something is missing. */
export function flowOf(facts: FlowFacts): Flow | null {
  const { id, type, currency, amount, timeMs } = facts;
  if (!id || !currency || amount === null || timeMs === null) return null;
  const direction = amount.startsWith('-') ? 'out' : 'in';
  return {
    kind: 'flow',
    id,
    type: type === 'transfer_in' && direction === 'out' ? 'transfer_out' : type,
    direction,
    currency,
    amount: withoutSign(amount),
    fee: facts.fee ?? null,
    timeMs,
    status: facts.status ?? 'ok',
    networkId: facts.networkId ?? null,
    from: facts.from ?? null,
    to: facts.to ?? null,
    market: facts.market ?? null,
  };
}

export function negated(decimal: string | null): string | null {
  if (decimal === null || decimal === '0') return decimal;
  return decimal.startsWith('-') ? decimal.slice(1) : `-${decimal}`;
}

/** Of a unified transfer; `ours` says whether a wallet is part of this account. */
export function transferOf(unified: unknown, ours: (wallet: string) => boolean): Flow | null {
  const currency = nameAt(unified, 'currency');
  const amount = decimalAt(unified, 'amount');
  const timeMs = timeOf(rawOf(unified));
  const id = idAt(unified, 'id');
  if (currency === null || amount === null || timeMs === null || id === null) return null;
  const from = nameAt(unified, 'fromAccount');
  const to = nameAt(unified, 'toAccount');
  const incoming = to !== null && ours(to);
  return {
    kind: 'flow',
    id,
    type: incoming ? 'transfer_in' : 'transfer_out',
    direction: incoming ? 'in' : 'out',
    currency,
    amount: withoutSign(amount),
    fee: null,
    timeMs,
    status: statusOf(at(unified, 'status')),
    networkId: null,
    from,
    to,
    market: null,
  };
}

/** Of a unified position; null for one without contracts, which is none. */
export function positionOf(
  exchange: Exchange,
  unified: unknown,
  kind?: MarketKind,
): Position | null | 'malformed' {
  const position = rawOf(unified);
  const contracts = decimalAt(position, 'contracts');
  if (contracts === '0') return null;
  const symbol = nameAt(position, 'symbol');
  const market = marketOf(exchange, symbol);
  const side = position['side'];
  if (contracts === null || symbol === null || (side !== 'long' && side !== 'short')) {
    return 'malformed';
  }
  const mode = position['marginMode'];
  return {
    kind: 'position',
    symbol,
    market: kind ?? market?.kind ?? 'swap',
    side,
    contracts: withoutSign(contracts),
    contractSize: market?.contractSize ?? decimalAt(position, 'contractSize'),
    entry: decimalAt(position, 'entryPrice'),
    mark: decimalAt(position, 'markPrice'),
    unrealized: decimalAt(position, 'unrealizedPnl'),
    settle: market?.settle ?? null,
    marginMode: mode === 'cross' || mode === 'isolated' ? mode : null,
  };
}

/** A wallet's line; null for an amount that is missing, and for nothing. */
export function balanceOf(
  wallet: string,
  currency: string | null,
  total: string | null,
  free: string | null,
): Balance | null | 'malformed' {
  if (currency === null || total === null) return 'malformed';
  if (total === '0' && (free === null || free === '0')) return null;
  return { kind: 'balance', wallet, currency, total, free };
}
