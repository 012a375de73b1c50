// Binance's klines: twelve columns, the oldest first, by startTime, endTime and limit; marks have no volume.

import { candlesOf, rowOf, stepOf } from '../../candles.ts';
import type { Market } from '../../markets.ts';
import { eight, integer, limitOf, mandatory, marketOf } from './context.ts';
import type { Public } from './context.ts';
import { binanceRefusal } from './refusals.ts';

export function klines(
  context: Public,
  segment: Market['segment'],
  isMark: boolean = false,
): readonly unknown[] {
  const market = marketOf(context, segment, mandatory(context, 'symbol'));
  const stepMs = stepOf(mandatory(context, 'interval'));
  if (stepMs === null) throw binanceRefusal(400, -1120, 'Invalid interval.');
  const startMs = integer(context, 'startTime');
  const candles = candlesOf(context.venue, market, {
    fromMs: startMs ?? 0,
    toMs: integer(context, 'endTime') ?? context.call.nowMs,
    stepMs,
    limit: limitOf(context, 'limit', 500, segment === 'spot' ? 1000 : 1500),
    shows: startMs === null ? 'newest' : 'oldest',
  });
  return candles.map((candle) => {
    const { openMs, closeMs, volume } = candle;
    const traded = isMark ? '0' : eight(volume);
    return rowOf(openMs, candle, eight, [traded, closeMs, traded, 1000, traded, traded, '0']);
  });
}
