// Bitget's candles: texts, the oldest first; recent ones by start and end (which is exclusive), older ones before an end. Marks of futures are
// a type of line, or a path of their own for older ones.

import { formatAmount } from '../../amount.ts';
import { candlesOf, rowOf, stepOf } from '../../candles.ts';
import { integerOf } from '../../call.ts';
import type { Market } from '../../markets.ts';
import { bitgetRefusal } from './access.ts';
import type { Public } from './context.ts';

const TYPES: ReadonlySet<string> = new Set(['MARKET', 'MARK', 'INDEX']);

export function candles(
  context: Public,
  markets: readonly Market[],
  isHistory: boolean,
): readonly unknown[] {
  const { call, venue } = context;
  const refuse = (name: string): ReturnType<typeof bitgetRefusal> =>
    bitgetRefusal(call, 400, '40017', `Parameter verification failed ${name}`);
  const market = markets.find(({ id }) => id === call.parameters.get('symbol'));
  const stepMs = stepOf(call.parameters.get('granularity') ?? '');
  if (market === undefined) throw refuse('symbol');
  if (stepMs === null) throw refuse('granularity');
  if (!TYPES.has(call.parameters.get('kLineType') ?? 'MARKET')) throw refuse('kLineType');
  const endMs = integerOf(call, 'endTime', refuse);
  if (isHistory && endMs === null) throw refuse('endTime');
  const found = candlesOf(venue, market, {
    fromMs: integerOf(call, 'startTime', refuse) ?? 0,
    toMs: (endMs ?? call.nowMs + 1) - 1,
    stepMs,
    limit: Math.min(integerOf(call, 'limit', refuse) ?? 100, isHistory ? 200 : 1000),
    shows: 'newest',
  });
  return found.map((candle) => {
    const traded = formatAmount(candle.volume);
    return rowOf(String(candle.openMs), candle, formatAmount, [traded, traded]);
  });
}
