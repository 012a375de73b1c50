// Between the runner and the realm of a strategy: what each may ask of the other. Only primitives cross,
// and memory that both see.

import type { BarView } from './sdk.ts';

/** Numbers per slot in `tops`. */
export const BOOK_FIELDS = 8;

/** Functions of the runner; they take and answer primitives only, and never throw. */
export interface RealmHost {
  random(): number;
  /** A level of the book of subscribed instrument number `slot`; 0 where there is none. */
  levelPrice(slot: number, side: number, level: number): number;
  levelQuantity(slot: number, side: number, level: number): number;
  /** A field of a bar; 0 where there is none. */
  bar(slot: number, interval: number, back: number, field: keyof BarView): number | bigint;
  readonly maxRows: number;
  readonly maxOutputs: number;
  readonly maxTtlMs: number;
  readonly maxSubscribed: number;
  readonly maxBars: number;
  /** BOOK_FIELDS: this text does not see the constant. */
  readonly bookFields: number;
  readonly maxReports: number;
  readonly maxOpenSignals: number;
}

/** Where the runner puts rows and books, and finds signals. The memory is shared by both contexts. */
export interface RealmColumns {
  readonly instrument: Uint16Array;
  readonly kind: Uint8Array;
  readonly side: Uint8Array;
  readonly flags: Uint8Array;
  readonly exchangeNs: BigInt64Array;
  readonly receiveNs: BigInt64Array;
  readonly price: Float64Array;
  readonly quantity: Float64Array;
  readonly id: Float64Array;
  /** Per slot: valid, bid price and quantity, ask price and quantity, last price and quantity, trades. */
  readonly tops: Float64Array;
  /** Per signal: instrument, side, quantity, limit, ttl. */
  readonly signals: Float64Array;
}

/** What a call into the strategy came to. */
export type RealmVerdict =
  | 'ok'
  | 'strategy_malformed'
  | 'strategy_parameters'
  | 'instrument_unknown'
  | 'strategy_crashed'
  | 'strategy_output_malformed'
  | 'strategy_output_limit';

export interface Realm {
  readonly columns: RealmColumns;
  instrument(
    id: number,
    venue: string,
    symbol: string,
    market: string,
    priceScale: number,
    quantityScale: number,
  ): void;
  /** `definition` is the completion value of the bundle. */
  load(definition: unknown, parametersJson: string): RealmVerdict;
  /** Instrument of a slot, or -1 beyond the last; ascending. */
  subscribed(slot: number): number;
  /** Interval of the bars of a number in ms, or -1 beyond the last. */
  barInterval(number: number): number;
  /** A report for a signal, its fills after it. */
  report(signal: number, status: number, reason: string | null, filledQuantity: number): void;
  fill(price: number, quantity: number, fee: number, timeNs: bigint): void;
  batch(stream: number, sequence: number, timeNs: bigint, length: number): RealmVerdict;
  /** Number of signals of the last batch; the first has the id `firstSignal()`. */
  signalCount(): number;
  firstSignal(): number;
}

/** A realm for one bundle. */
export interface StrategyRealm {
  readonly realm: Realm;
  /** Evaluates the bundle and answers what `Realm.load` takes; throws what it throws. */
  readonly evaluate: () => unknown;
}
