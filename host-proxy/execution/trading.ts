// What an operator's file says of trading: the paper broker and the firm's limits. A backtest with that file trades by the same.

import type { HostConfig } from '../config-file.ts';
import type { PaperOptions } from './paper-broker.ts';
import type { RiskLimits } from './risk.ts';

export interface TradingOptions {
  readonly paper: PaperOptions;
  readonly limits: RiskLimits;
}

type Written = HostConfig['execution'];

export function paperOf(paper: Written['paper']): PaperOptions {
  return {
    latencyMs: paper.latency_ms,
    takerFeePpm: paper.taker_fee_ppm,
    makerFeePpm: paper.maker_fee_ppm,
    slippageTicks: paper.slippage_ticks,
  };
}

export function tradingOf({ paper, limits }: Pick<Written, 'paper' | 'limits'>): TradingOptions {
  return {
    paper: paperOf(paper),
    limits: {
      maxOrderNotional: limits.max_order_notional,
      maxPositionNotional: limits.max_position_notional,
      maxOrders: limits.max_orders,
      orderWindowMs: limits.order_window_ms,
      priceBandPpm: limits.price_band_ppm,
      maxDailyLoss: limits.max_daily_loss,
    },
  };
}
