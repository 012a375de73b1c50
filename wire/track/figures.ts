// What an hour of an account came to: the aggregates that may leave the ledger, and nothing that names an instrument, an
// order or a fill. All money is in US dollars. Null is "not known" and never zero; `gaps` then says why.
//
//   equityEnd − equityStart = realised + unrealisedChange + funding − fees + income + inflow − outflow + residual
//
// holds to the last digit wherever none of its terms is null; a residual that is null stands for nothing here. The same with
// realisedAverage and the change of what is not realised by average cost: their sum does not depend on the lot method.
// What a market made is the change of its equity − outlay + income + funding − fees; spot has what is left of the account's.

import type { Fixed } from '../fixed.ts';

export const HOUR_MS = 3_600_000;

/** What figures are broken down by. `spot` has margin, foreign exchange and all cash in it. */
export const FIGURE_MARKETS = ['spot', 'swap', 'future', 'option', 'stock'] as const;
export type FigureMarket = (typeof FIGURE_MARKETS)[number];

export const HOUR_STATUSES = ['reconciled', 'beyond', 'unknown'] as const;
export type HourStatus = (typeof HOUR_STATUSES)[number];

/** Money or shares that came from or went to outside of the account. */
export interface HourFlow {
  readonly atMs: number;
  /** Positive: came in. Null: what came has no price. */
  readonly amount: Fixed | null;
  /** Value of the whole account just before it; null where a price was missing, and then no true time-weighted return. */
  readonly equityBefore: Fixed | null;
  /**
   * 16 bytes; what moved between two accounts of one user has the same one in both, and nobody without a key can tell of
   * which transaction. Null: the venue names nothing that the other side would know.
   */
  readonly reference: Uint8Array | null;
}

export interface MarketFigures {
  readonly market: FigureMarket;
  readonly trades: number;
  readonly volume: Fixed | null;
  readonly fees: Fixed | null;
  /** Positive: received. */
  readonly funding: Fixed | null;
  /** First in, first out. */
  readonly realised: Fixed | null;
  /** At the end of the hour: cash and coins (spot), value (stock, option), what is not realised (swap, future). */
  readonly equity: Fixed | null;
  /**
   * What was paid for things of this market less what was received for them: securities at the price of the deal, and what
   * contracts realised, with the other sign. Of `spot` what all others together got from it, so that all add up to zero.
   */
  readonly outlay: Fixed | null;
  /** Interest, dividends and rebates of it, less what of them was paid. */
  readonly income: Fixed | null;
  /**
   * At the end of the hour, what no sale has realised: of stock and option `equity` less what it cost, of contracts all of
   * it; of spot what is left of the account's, with currencies and coins.
   */
  readonly unrealised: Fixed | null;
}

export interface PriceSource {
  /** Host and endpoint; a part of it that may name what is held is `*`. */
  readonly source: string;
  /** How many of its rows were used. */
  readonly rows: number;
  /** The oldest of them, when it was used. */
  readonly oldestAgeMs: number;
}

export interface HourFigures {
  /** Whole hour since 1970, UTC. */
  readonly startMs: number;
  readonly equityStart: Fixed | null;
  readonly equityEnd: Fixed | null;
  /** Of `equityEnd`, what no sale has realised; the rest of it is the realised balance. */
  readonly unrealisedEnd: Fixed | null;
  /** Not negative, both. */
  readonly inflow: Fixed | null;
  readonly outflow: Fixed | null;
  /** In the order of time. */
  readonly flows: readonly HourFlow[];
  /** First in, first out; gains of currencies that were spent are in it. */
  readonly realised: Fixed | null;
  readonly realisedAverage: Fixed | null;
  readonly unrealisedChange: Fixed | null;
  /** Positive: received. */
  readonly funding: Fixed | null;
  /** Positive: paid. */
  readonly fees: Fixed | null;
  /** Interest, dividends and rebates, less what of them was paid. */
  readonly income: Fixed | null;
  /** What the venue's balances and positions differ from the ledger; null where they were not all told in the hour. */
  readonly residual: Fixed | null;
  /** Up to which the differences, added up without signs, count as reconciled. */
  readonly tolerance: Fixed;
  readonly status: HourStatus;
  /** Fills. */
  readonly trades: number;
  readonly volume: Fixed | null;
  /** In the order of FIGURE_MARKETS, those that have something. */
  readonly byMarket: readonly MarketFigures[];
  /** By source, sorted. */
  readonly prices: readonly PriceSource[];
  /** HMAC-SHA256 over the prices that were used, with sources and times; under a key, because prices tell what is held. */
  readonly pricesDigest: Uint8Array;
  readonly polls: number;
  /** Every poll that was due told everything. */
  readonly complete: boolean;
  /** Closed codes, sorted, without repetition; empty only if nothing is missing. */
  readonly gaps: readonly string[];
  /** Worked out backwards from the first complete observation, which came later. */
  readonly rebuilt: boolean;
}
