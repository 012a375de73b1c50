// What a strategy is written against: types, the numbers of the protocol, and `defineStrategy`. A
// strategy is synchronous and sees nothing but its parameters, the batch and the context: no clock, no
// timers, no I/O, no Math.random. State starts empty in each epoch. So the same inputs give the same
// signals, byte for byte. Prices and quantities are integers, scaled as the instrument says.

/** Kinds of rows (docs/PROTOCOL.md 3). */
export const ROW = { trade: 1, level: 2, snapshotLevel: 3, best: 4 } as const;
/** Sides of a row or of a level. For a trade it is the side that took: bid for a buyer. */
export const BID = 1;
export const ASK = 2;
/** Sides of a signal. */
export const BUY = 1;
export const SELL = 2;
/** What became of an order. The last four are final. */
export const ORDER = {
  accepted: 1,
  partlyFilled: 2,
  filled: 3,
  cancelled: 4,
  expired: 5,
  rejected: 6,
} as const;

export interface InstrumentInfo {
  readonly id: number;
  readonly venue: string;
  readonly symbol: string;
  /** `spot`, `linear` or `inverse`. */
  readonly market: string;
  /** A price p means p × 10^-priceScale. */
  readonly priceScale: number;
  readonly quantityScale: number;
}

/**
 * The rows of the subscribed instruments, as columns; only the first `length` elements of each mean
 * anything, and the memory is reused: copy what must outlive the batch.
 */
export interface BatchView {
  readonly stream: number;
  readonly sequence: number;
  readonly length: number;
  readonly instrument: Uint16Array;
  readonly kind: Uint8Array;
  readonly side: Uint8Array;
  /** Bit 0: the exchange time is valid. */
  readonly flags: Uint8Array;
  readonly exchangeNs: BigInt64Array;
  readonly receiveNs: BigInt64Array;
  readonly price: Float64Array;
  readonly quantity: Float64Array;
  /** Trade id or update id, 0 where the venue gives none. */
  readonly id: Float64Array;
}

/** One instrument's market after the batch. Prices and quantities are 0 where there is none. */
export interface BookView {
  readonly instrument: InstrumentInfo;
  /** Of the depth: false before the first snapshot and after a gap, until the next snapshot. */
  readonly valid: boolean;
  /** The best prices: the venue's own best quote, or the depth where that is later. */
  readonly bidPrice: number;
  readonly bidQuantity: number;
  readonly askPrice: number;
  readonly askQuantity: number;
  readonly lastPrice: number;
  readonly lastQuantity: number;
  /** Trades since the start of the epoch. */
  readonly trades: number;
  /** The n-th best level of the depth, from 0; slower than the numbers above. */
  price(side: 1 | 2, level: number): number;
  quantity(side: 1 | 2, level: number): number;
  /**
   * The bar of `barsMs[interval]` that is `back` bars ago; 0 is the one that is not complete. Null where
   * there is none. At most 1,024 complete bars are kept.
   */
  bar(interval: number, back: number): BarView | null;
}

/** Trades of one interval of exchange time. Prices and quantities are scaled. */
export interface BarView {
  readonly startNs: bigint;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volume: bigint;
  /** Part of the volume where the buyer took. */
  readonly buyVolume: bigint;
  readonly trades: number;
}

export interface FillView {
  readonly price: number;
  readonly quantity: number;
  /** × 10^8 of the quote currency; negative for a rebate. */
  readonly fee: number;
  readonly timeNs: bigint;
}

/** A report of the execution, as logged. */
export interface ReportView {
  /** What `ctx.signal` answered. */
  readonly signal: number;
  readonly instrument: number;
  readonly side: 1 | 2;
  /** One of ORDER. */
  readonly status: number;
  /** Why it was rejected: a code of docs/PROTOCOL.md 13. */
  readonly reason: string | null;
  /** Total so far. */
  readonly filledQuantity: number;
  /** New with this report. */
  readonly fills: readonly FillView[];
}

export interface SignalRequest {
  readonly instrument: number;
  /** BUY or SELL. */
  readonly side: 1 | 2;
  /** Scaled integer, at least 1. */
  readonly quantity: number;
  /** Limit price, scaled integer, at least 1. */
  readonly limit: number;
  /** 1 to 86,400,000. */
  readonly ttlMs: number;
}

export interface StrategyContext<P, S> {
  readonly parameters: P;
  readonly state: S;
  /** The subscribed instruments, ascending by id. */
  readonly instruments: readonly InstrumentInfo[];
  /** The batch's time; never decreases within a stream. */
  readonly timeNs: bigint;
  readonly timeMs: number;
  /** Reports since the last batch, at most the latest 1,024. */
  readonly reports: readonly ReportView[];
  /** In [0, 1), from the logged seed. */
  random(): number;
  /** Throws for an instrument that is not subscribed. */
  book(instrument: number): BookView;
  /** Bought less sold, as the reports say; scaled. */
  position(instrument: number): number;
  /**
   * Asks for an order and answers the signal's id. At most 64 in one batch. A wrong value or one signal
   * too many ends the strategy, even if the exception is caught.
   */
  signal(request: SignalRequest): number;
}

/** A zod schema, or anything else with its `safeParse`. */
export interface ParameterSchema<P> {
  safeParse(value: unknown): { readonly success: boolean; readonly data?: P | undefined };
}

export interface InstrumentSelector {
  readonly venue: string;
  readonly symbol: string;
  readonly market: string;
}

export interface StrategyDefinition<P, S> {
  /** Refused parameters end the strategy before its first batch. */
  readonly parameters: ParameterSchema<P>;
  /** Instruments to receive, 1 to 64; each must be in the epoch's table. */
  readonly subscribe: (parameters: P) => readonly InstrumentSelector[];
  /** Intervals of the bars to keep, in ms; at most 4. */
  readonly barsMs?: readonly number[];
  /** The state at the start of an epoch. */
  readonly start: (parameters: P, instruments: readonly InstrumentInfo[]) => S;
  /** Called once for each batch, also for one without subscribed rows. Must return nothing. */
  readonly onBatch: (batch: BatchView, context: StrategyContext<P, S>) => void;
}

/** A strategy's default export; only the runner looks inside. */
export interface Strategy {
  readonly onBatch: unknown;
}

export function defineStrategy<P, S>(definition: StrategyDefinition<P, S>): Strategy {
  return Object.freeze({ ...definition });
}
