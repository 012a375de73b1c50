// OKX's candles: texts, the newest first; `after` and `before` are exclusive, and the ordinary ones reach 1,440 bars back.

import { formatAmount } from '../../amount.ts';
import { candlesOf, rowOf, stepOf } from '../../candles.ts';
import { integerOf } from '../../call.ts';
import { okxRefusal } from './access.ts';
import type { Public } from './context.ts';

const RECENT = 1440;

function refuse(name: string): ReturnType<typeof okxRefusal> {
  return okxRefusal(400, '51000', `Parameter ${name} error`);
}

export function candles(context: Public, isMark: boolean, isHistory: boolean): readonly unknown[] {
  const { call, venue } = context;
  const id = call.parameters.get('instId');
  const market = [...venue.markets.values()].find((one) => one.id === id);
  const stepMs = stepOf(call.parameters.get('bar') ?? '1m');
  if (market === undefined) throw okxRefusal(400, '51001', "Instrument ID doesn't exist");
  if (stepMs === null) throw refuse('bar');
  const most = isMark ? 100 : 300;
  const recentMs = isHistory ? 0 : call.nowMs - RECENT * stepMs;
  const found = candlesOf(venue, market, {
    fromMs: Math.max((integerOf(call, 'before', refuse) ?? -1) + 1, recentMs),
    toMs: (integerOf(call, 'after', refuse) ?? call.nowMs + 1) - 1,
    stepMs,
    limit: Math.min(integerOf(call, 'limit', refuse) ?? 100, most),
    shows: 'newest',
  });
  return found.toReversed().map((candle) => {
    const traded = formatAmount(candle.volume);
    const confirmed = candle.closeMs < call.nowMs ? '1' : '0';
    const rest = isMark ? [confirmed] : [traded, traded, traded, confirmed];
    return rowOf(String(candle.openMs), candle, formatAmount, rest);
  });
}
