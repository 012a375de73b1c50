// Scenarios of a strategy's author: events in, signals expected. Prices and quantities are decimal text, times
// are milliseconds since the event before. scenario-file.ts reads them; docs/STRATEGIES.md has an example of
// each step.

import type { RefusalCode } from '../../wire/codes.ts';

/** Price and quantity. */
export type Level = readonly [string, string];

interface MarketStep {
  /** Since the event before, ms. */
  readonly after: number;
  /** Symbol or id; undefined where the table has only one. */
  readonly instrument?: string | number | undefined;
}

export interface BestStep extends MarketStep {
  readonly kind: 'best';
  readonly best: { readonly bid: Level; readonly ask: Level };
}
export interface TradeStep extends MarketStep {
  readonly kind: 'trade';
  /** `side` is who took. */
  readonly trade: {
    readonly side: 'buy' | 'sell';
    readonly price: string;
    readonly quantity: string;
  };
}
export interface SnapshotStep extends MarketStep {
  readonly kind: 'snapshot';
  readonly snapshot: { readonly bids: readonly Level[]; readonly asks: readonly Level[] };
}
export interface UpdateStep extends MarketStep {
  readonly kind: 'update';
  readonly update: { readonly bids: readonly Level[]; readonly asks: readonly Level[] };
}
/** The venue's numbers go on and the event never comes. */
export interface LoseStep extends MarketStep {
  readonly kind: 'lose';
  readonly lose: 'update' | 'trade';
}
export type EventStep = BestStep | TradeStep | SnapshotStep | UpdateStep | LoseStep;

export interface ReportStep {
  readonly kind: 'report';
  readonly report: {
    readonly signal: number;
    readonly status: 'accepted' | 'partlyFilled' | 'filled' | 'cancelled' | 'expired' | 'rejected';
    readonly reason: RefusalCode | null;
    readonly fills: readonly {
      readonly price: string;
      readonly quantity: string;
      readonly fee: string;
    }[];
  };
}

/** A field that is missing is not compared. */
export interface ExpectedSignal {
  readonly instrument?: string | number | undefined;
  readonly side: 'buy' | 'sell';
  readonly quantity?: string | undefined;
  readonly limit?: string | undefined;
  readonly ttl_ms?: number | undefined;
}
/** Closes the batch; exactly these signals came since the last one. */
export interface ExpectStep {
  readonly kind: 'expect';
  readonly expect: readonly ExpectedSignal[];
}

export interface RepeatStep {
  readonly kind: 'repeat';
  readonly repeat: number;
  /** Added to all prices in it, once more each time. */
  readonly drift: string;
  readonly steps: readonly Step[];
}

export type Step = EventStep | ReportStep | ExpectStep | RepeatStep;

export interface PaperModel {
  readonly latency_ms: number;
  readonly taker_fee_ppm: number;
  readonly maker_fee_ppm: number;
  readonly slippage_ticks: number;
}

export interface Scenario {
  readonly name: string;
  /** Replace some of the strategy's. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Hex. */
  readonly seed: string;
  readonly batch: { readonly rows: number; readonly ms: number };
  /** The paper broker trades; null: only `report` steps tell. */
  readonly paper: PaperModel | null;
  readonly time_budget_ms: number;
  readonly steps: readonly Step[];
  /** The code that it must end with; null: it must not end. */
  readonly ends: RefusalCode | null;
}

export interface ScenarioFile {
  /** To be checked; undefined: a table beside the strategy. */
  readonly instruments: unknown;
  /** Undefined: parameters.json beside the strategy. */
  readonly parameters: Readonly<Record<string, unknown>> | undefined;
  readonly scenarios: readonly Scenario[];
}
