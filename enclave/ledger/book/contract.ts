// What the ledger's book of one account takes and gives. Pure: no clock, no files, no network; the same records and prices
// give the same figures, whatever order records of one hour come in. Records were parsed already; that they are true is
// the venue's word, and what does not fit to its balances is published as the residual.

import type { KeyObject } from 'node:crypto';
import type { Balance, Fill, Flow, Funding, Position } from '../../connector/records.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import type { PriceTable } from './price-table.ts';

/** What changes an account; balances and positions are observed and change nothing by themselves. */
export type BookRecord = Fill | Funding | Flow;

/**
 * `new`: in an hour that is open. `uncounted`: new, and in no figure as it is (a deposit on its
 * way). `repeated`: known, nothing changes. `late`: in an hour that was closed; reopen() it, and close it and those after
 * it again. `settled`: before the first hour that can be reopened; only a new book from all stored records can count it.
 * `too_precise`: an amount has more than 18 digits after the point, or is beyond 10^30.
 */
export type Applied = 'new' | 'uncounted' | 'repeated' | 'late' | 'settled' | 'too_precise';

/** Everything that the venue tells of a moment; only of polls in which all balances and positions were told. */
export interface Observation {
  /** Begin and end of the asking: each figure is of some moment between them. */
  readonly fromMs: number;
  readonly atMs: number;
  readonly balances: readonly Balance[];
  readonly positions: readonly Position[];
}

export interface PriceRow {
  /** `spot`: of a pair BASE/QUOTE. `mark`: of a contract, a share or an option, in what it settles in. */
  readonly kind: 'spot' | 'mark';
  /** As ccxt writes it, such as BTC/USDT or BTC/USDT:USDT; a share as its record's symbol. */
  readonly symbol: string;
  /** From when it was the price: of a bar its end, with its closing price. */
  readonly atMs: number;
  /** Canonical decimal, positive. */
  readonly price: string;
  /** Host and endpoint. */
  readonly source: string;
  /** When it was dealt: of a bar without deals the end of the last one with some. */
  readonly tradedMs: number;
}

export interface PriceQuestion {
  readonly kind: 'spot' | 'mark';
  readonly symbol: string;
  /** Rows with fromMs ≤ atMs ≤ toMs are wanted. */
  readonly fromMs: number;
  readonly toMs: number;
  /** 60,000 or 3,600,000. */
  readonly stepMs: number;
}

export interface HourCoverage {
  readonly polls: number;
  readonly complete: boolean;
  /** Closed codes of what is missing of the hour. */
  readonly gaps: readonly string[];
}

export interface BookOptions {
  /** What the venue prices coins in that the account has never traded: USDT at Binance, USD at Kraken. */
  readonly pricedIn: string;
  /** The venue shows margin trades as positions instead of balances (Kraken). */
  readonly marginPositions?: boolean;
  /** Under which digests of prices are made: which prices were used would tell what is held. Empty if there is none. */
  readonly digestKey?: KeyObject;
  /** What a flow is named by in the statements of all accounts of its user (reference.ts); absent: none has a name. */
  readonly referenceOf?: (networkId: string) => Uint8Array;
  /** How many closed hours can be reopened (default 72). */
  readonly keepHours?: number;
}

/** Signatures of AccountBook (account-book.ts). */
export interface Book {
  /** The hour that is closed next; null before the first complete observation. */
  readonly nextHourMs: number | null;
  /** The earliest hour that reopen() takes. */
  readonly floorMs: number | null;
  /** The oldest flow that was told as pending and may come; Infinity: none. */
  readonly pendingFromMs: number;
  apply(record: BookRecord): Applied;
  /**
   * When the book has it: a deposit when it came. Of a flow that is settled, the hour that it is in, when it is taken back
   * or `hasMoved`.
   */
  timeOf(record: BookRecord, hasMoved?: boolean): number;
  /** The first one opens the book; what was applied before it is history, which it rebuilds backwards. */
  observe(observation: Observation): Applied;
  /** What closing the hours that begin from `fromMs` on and before `toMs` needs. */
  needs(fromMs: number, toMs: number): readonly PriceQuestion[];
  /** Throws a RangeError unless `startMs` is nextHourMs, which is a bug. */
  closeHour(startMs: number, prices: PriceTable, coverage: HourCoverage): HourFigures;
  /**
   * Back to before `startMs`, or the hour before it where a poll may have told of both; gives the hours that have to be
   * closed again, in order. After a restart, and where the opening changes, they begin earlier.
   * Null: before floorMs.
   */
  reopen(startMs: number): readonly number[] | null;
  /** What a restart needs; after it the last 24 hours can be reopened. AccountBook.parse(bytes, options) is its inverse. */
  encode(): Uint8Array;
}
