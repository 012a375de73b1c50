import { expect, it } from 'vitest';
import { tradingOf } from '../../../host-proxy/execution/trading.ts';

it('each name of an operator’s file is what it says', () => {
  const paper = { latency_ms: 1, taker_fee_ppm: 2, maker_fee_ppm: 3, slippage_ticks: 4 };
  const limits = {
    max_order_notional: 5n,
    max_position_notional: 6n,
    max_orders: 7,
    order_window_ms: 8,
    price_band_ppm: 9,
    max_daily_loss: 10n,
  };
  expect(tradingOf({ paper, limits })).toEqual({
    paper: { latencyMs: 1, takerFeePpm: 2, makerFeePpm: 3, slippageTicks: 4 },
    limits: {
      maxOrderNotional: 5n,
      maxPositionNotional: 6n,
      maxOrders: 7,
      orderWindowMs: 8,
      priceBandPpm: 9,
      maxDailyLoss: 10n,
    },
  });
});
