// Coinbase's candles of a product: the newest first, seconds and prices as texts, at most 350 of them.

import { formatAmount } from '../../amount.ts';
import { candlesOf, stepOf } from '../../candles.ts';
import { coinbaseRefusal } from './access.ts';
import type { Public } from './context.ts';

const LIMIT = 350;

export function candles({ call, venue }: Public, id: string): object {
  const market = [...venue.markets.values()].find((one) => one.id === id);
  if (market === undefined)
    throw coinbaseRefusal(call, 404, 'NOT_FOUND', 'valid product_id is required');
  const stepMs = stepOf(call.parameters.get('granularity') ?? '');
  const [start, end] = ['start', 'end'].map((name) => Number(call.parameters.get(name) ?? 'none'));
  const isSpan = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (stepMs === null || !isSpan || start === undefined || end === undefined) {
    throw coinbaseRefusal(call, 400, 'INVALID_ARGUMENT', 'start, end and granularity are required');
  }
  if ((end - start) * 1000 > LIMIT * stepMs) {
    throw coinbaseRefusal(
      call,
      400,
      'INVALID_ARGUMENT',
      'number of candles requested should be less than 350',
    );
  }
  const span = { fromMs: start * 1000, toMs: end * 1000, stepMs };
  const found = candlesOf(venue, market, { ...span, limit: LIMIT, shows: 'newest' });
  // None of a time without deals.
  const dealt = found.filter(({ volume }) => volume > 0n);
  return {
    candles: dealt.toReversed().map(({ openMs, open, high, low, close, volume }) => ({
      start: String(openMs / 1000),
      low: formatAmount(low),
      high: formatAmount(high),
      open: formatAmount(open),
      close: formatAmount(close),
      volume: formatAmount(volume),
    })),
  };
}
