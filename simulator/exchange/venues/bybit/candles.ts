// Bybit's klines: texts, the newest first; where a span has more than the limit, its newest are shown.

import { formatAmount } from '../../amount.ts';
import { candlesOf, rowOf, stepOf } from '../../candles.ts';
import { bybitRefusal } from './access.ts';
import { category, integer, marketIn } from './context.ts';
import type { Public } from './context.ts';

export function klines(context: Public, isMark: boolean): object {
  const { call, venue } = context;
  const market = marketIn(context, call.parameters.get('symbol') ?? '');
  const stepMs = stepOf(call.parameters.get('interval') ?? '');
  if (stepMs === null) throw bybitRefusal(call, 10_001, 'Invalid period!');
  const candles = candlesOf(venue, market, {
    fromMs: integer(context, 'start') ?? 0,
    toMs: integer(context, 'end') ?? call.nowMs,
    stepMs,
    limit: Math.min(integer(context, 'limit') ?? 200, 1000),
    shows: 'newest',
  });
  const list = candles.toReversed().map((candle) => {
    const traded = formatAmount(candle.volume);
    return rowOf(String(candle.openMs), candle, formatAmount, isMark ? [] : [traded, traded]);
  });
  return { symbol: market.id, category: category(context), list };
}
