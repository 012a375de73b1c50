// A record as the book counts with it: signed whole numbers and what they are of. Reading one is the only place where
// texts become money; what does not fit is refused there (null) and counted by nobody.

import type { Fill, Flow, FlowStatus, FlowType, Funding, Money } from '../../connector/records.ts';
import type { Fixed } from '../../../wire/fixed.ts';
import { absolute, multiplyFixed, multiplyThree, toFixed } from '../../../wire/fixed.ts';
import type { FigureMarket } from '../../../wire/track/figures.ts';
import type { BookRecord } from './contract.ts';
import type { Instrument } from './instrument.ts';
import { currenciesOf, figureMarketOf, instrumentOf, worthOf } from './instrument.ts';

export interface Amount {
  readonly currency: string;
  readonly amount: Fixed;
}

interface Common {
  /** Unique in the account. */
  readonly key: string;
  readonly atMs: number;
  /** What it was read from. */
  readonly record: BookRecord;
}

/** Two things that changed hands: coins, currencies, shares. */
export interface Trade extends Common {
  readonly kind: 'trade';
  readonly market: FigureMarket;
  /** A coin, or the symbol of a security. */
  readonly asset: string;
  /** Positive: bought. */
  readonly amount: Fixed;
  readonly currency: string;
  /** In `currency`; positive: paid. */
  readonly cost: Fixed;
  readonly fees: readonly Amount[];
  readonly instrument: Instrument | null;
}

/** A contract: nothing is paid but fees and what is realised. */
export interface ContractTrade extends Common {
  readonly kind: 'contract';
  readonly instrument: Instrument;
  /** Positive: bought. */
  readonly contracts: Fixed;
  readonly price: Fixed;
  /** Notional in what it settles in, with the sign of Lots.add. */
  readonly cost: Fixed;
  readonly fees: readonly Amount[];
}

export interface FundingPaid extends Common {
  readonly kind: 'funding';
  readonly currency: string;
  /** Positive: received. */
  readonly amount: Fixed;
  readonly market: FigureMarket;
}

export interface Movement extends Common {
  readonly kind: 'flow';
  readonly type: FlowType;
  readonly currency: string;
  /** Positive: came in. */
  readonly amount: Fixed;
  readonly fee: Amount | null;
  readonly status: FlowStatus;
  readonly networkId: string | null;
  readonly from: string | null;
  readonly to: string | null;
  /** What an income or a cost was for. */
  readonly market: FigureMarket;
}

export type BookEvent = Trade | ContractTrade | FundingPaid | Movement;

function feesOf(fees: readonly Money[] | null): readonly Amount[] | null {
  const read: Amount[] = [];
  for (const { currency, amount } of fees ?? []) {
    const fixed = toFixed(amount);
    if (fixed === null) return null;
    read.push({ currency, amount: fixed });
  }
  return read;
}

/** Of margin trades that a venue shows as positions (Kraken) instead of balances. */
function isContract(fill: Fill, marginPositions: boolean): boolean {
  if (fill.market === 'margin') return marginPositions;
  return fill.market === 'swap' || fill.market === 'future';
}

function eventOfFill(fill: Fill, marginPositions: boolean): BookEvent | null {
  const amount = toFixed(fill.amount);
  const price = toFixed(fill.price);
  const fees = feesOf(fill.fees);
  const told = fill.cost === null ? null : toFixed(fill.cost);
  if (amount === null || price === null || fees === null) return null;
  if (fill.cost !== null && told === null) return null;
  const signed = fill.side === 'buy' ? amount : -amount;
  const key = `fill ${fill.symbol} ${fill.id}`;
  const atMs = fill.timeMs;
  if (isContract(fill, marginPositions)) {
    const instrument = instrumentOf(fill);
    // At a price of zero an inverse contract has no worth.
    const isPriced = instrument.style !== 'opaque' && price > 0n;
    const cost = isPriced ? worthOf(instrument, signed, price) : 0n;
    return {
      kind: 'contract',
      key,
      atMs,
      record: fill,
      fees,
      instrument,
      contracts: signed,
      price,
      cost,
    };
  }
  const isSecurity = fill.market === 'stock' || fill.market === 'option';
  const instrument = isSecurity ? instrumentOf(fill) : null;
  const paid =
    told ??
    (instrument === null
      ? multiplyFixed(amount, price)
      : multiplyThree(amount, price, instrument.size));
  return {
    kind: 'trade',
    key,
    atMs,
    record: fill,
    fees,
    market: figureMarketOf(fill.market),
    asset: instrument?.symbol ?? fill.base ?? currenciesOf(fill.symbol)[0],
    amount: signed,
    currency: instrument?.settle ?? fill.quote ?? currenciesOf(fill.symbol)[1],
    // Prices may be negative (dated spreads); what was told is told without a sign.
    cost: signed < 0n ? -absolute(paid) : paid,
    instrument,
  };
}

function eventOfFunding(funding: Funding): FundingPaid | null {
  const amount = toFixed(funding.amount);
  const { id, symbol, currency, timeMs } = funding;
  const key = `funding ${symbol ?? ''} ${id}`;
  if (amount === null) return null;
  return { kind: 'funding', key, atMs: timeMs, record: funding, currency, amount, market: 'swap' };
}

function eventOfFlow(flow: Flow): Movement | null {
  const amount = toFixed(flow.amount);
  const fees = feesOf(flow.fee === null ? [] : [flow.fee]);
  if (amount === null || fees === null) return null;
  return {
    kind: 'flow',
    key: `flow ${flow.type} ${flow.direction} ${flow.id}`,
    atMs: flow.timeMs,
    record: flow,
    type: flow.type,
    currency: flow.currency,
    amount: flow.direction === 'in' ? amount : -amount,
    fee: fees[0] ?? null,
    status: flow.status,
    networkId: flow.networkId,
    from: flow.from?.toLowerCase() ?? null,
    to: flow.to?.toLowerCase() ?? null,
    market: figureMarketOf(flow.market ?? 'cash'),
  };
}

/** Null for an amount that a Fixed cannot hold exactly. */
export function eventOf(record: BookRecord, marginPositions: boolean): BookEvent | null {
  if (record.kind === 'fill') return eventOfFill(record, marginPositions);
  return record.kind === 'funding' ? eventOfFunding(record) : eventOfFlow(record);
}

/**
 * Whether it counts: a deposit from when it is there, a withdrawal from when it is asked for, because the venue takes it
 * off the balance then; what failed never was.
 */
export function isCounted(event: BookEvent): boolean {
  if (event.kind !== 'flow' || event.status === 'ok') return true;
  return event.status === 'pending' && event.amount < 0n;
}

/** What is moved and what that costs; a fee of zero is none. */
export function moneyOf({ currency, amount, fee }: Movement): string {
  const costs = fee === null || fee.amount === 0n ? [] : [fee.amount, fee.currency];
  return [amount, currency, ...costs].join(' ');
}

/** Of what happens in one millisecond: what comes in before what it may pay for, what goes out last. */
function rankOf(event: BookEvent): number {
  if (event.kind === 'trade' || event.kind === 'contract') return 1;
  if (event.kind === 'funding') return 2;
  // Nothing comes between legs of a conversion, and shares that take the place of others.
  if (event.type === 'conversion' || event.type === 'other') return 1;
  return event.amount > 0n ? 0 : 3;
}

/** By time; then by keys, shorter first, which is the order of numbers that a venue counts. */
export function compareEvents(a: BookEvent, b: BookEvent): number {
  if (a.atMs !== b.atMs) return a.atMs - b.atMs;
  const rank = rankOf(a) - rankOf(b);
  if (rank !== 0) return rank;
  if (a.key.length !== b.key.length) return a.key.length - b.key.length;
  return a.key < b.key ? -1 : 1;
}
