// One row of the instrument table. Apart from configuration.ts, so that a strategy process can read its
// START without the schema library.

export const MARKETS = ['spot', 'linear', 'inverse'] as const;
export type Market = (typeof MARKETS)[number];
export const SEQUENCE_RULES = ['binance-spot', 'binance-futures', 'bybit', 'okx', 'none'] as const;
export type SequenceRule = (typeof SEQUENCE_RULES)[number];

export interface Instrument {
  readonly id: number;
  readonly venue: string;
  readonly symbol: string;
  readonly market: Market;
  /** Prices are integers × 10^-price_scale. */
  readonly price_scale: number;
  readonly quantity_scale: number;
  readonly sequence_rule: SequenceRule;
}
