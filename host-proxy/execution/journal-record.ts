// What the execution journal holds, as JSON lines. The journal is the host's own and checksummed (spool):
// a record that can be read was written by us.

import { parseUtf8, utf8 } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { OrderStatus, Side } from '../../wire/payloads.ts';

/** 64-bit times and amounts are decimal text. */
export interface DecisionRecord {
  readonly type: 'decision';
  readonly origin: string;
  readonly leaf: number;
  readonly id: string;
  readonly instrument: number;
  readonly side: Side;
  readonly quantity: number;
  readonly limit: number;
  /** Null when the order was accepted. */
  readonly refused: RefusalCode | null;
}

/** An output that was released when the host ended, before anything was decided on it. */
export interface MissedRecord {
  readonly type: 'missed';
  readonly origin: string;
  readonly leaf: number;
  readonly id: string;
}

export interface FillRecord {
  readonly type: 'fill';
  readonly id: string;
  readonly number: number;
  readonly price: number;
  readonly quantity: number;
  readonly fee: number;
  readonly time: string;
}

export interface EndRecord {
  readonly type: 'end';
  readonly id: string;
  readonly status: OrderStatus;
  readonly time: string;
}

/** All reports about the order are in an enclave's log. */
export interface ToldRecord {
  readonly type: 'told';
  readonly id: string;
}

export interface DayRecord {
  readonly type: 'day';
  readonly day: string;
  readonly equity: string;
}

export interface PositionRecord {
  readonly instrument: number;
  readonly price_scale: number;
  readonly quantity_scale: number;
  readonly quantity: string;
  readonly cost: string;
  readonly realised: string;
  readonly fees: string;
  readonly cash: string;
  readonly volume: string;
}

/** An output whose end no log is known to have. */
export interface UntoldRecord {
  readonly decision: DecisionRecord | MissedRecord;
  readonly fills: readonly FillRecord[];
  readonly end: EndRecord | null;
}

/** The first record of a journal: all that the ones before it came to. */
export interface StateRecord {
  readonly type: 'state';
  readonly positions: readonly PositionRecord[];
  readonly untold: readonly UntoldRecord[];
  readonly day: DayRecord | null;
  /** Of the last fill or end. */
  readonly time: string;
  /** Of the decision on the highest leaf of the latest epoch. */
  readonly last: { readonly origin: string; readonly leaf: number } | null;
  /** The latest epoch that was reconciled after a crash. */
  readonly reconciled: string | null;
}

export type JournalRecord =
  DecisionRecord | MissedRecord | FillRecord | EndRecord | ToldRecord | DayRecord | StateRecord;

export function encodeRecords(records: readonly JournalRecord[]): Uint8Array {
  return utf8(records.map((record) => JSON.stringify(record)).join('\n'));
}

/** Throws for anything that `encodeRecords` has not made. */
export function decodeRecords(bytes: Uint8Array): readonly JournalRecord[] {
  const text = parseUtf8(bytes);
  if (text === null) throw new Error('a journal record that is no text');
  return text.split('\n').map((line) => JSON.parse(line) as JournalRecord);
}
