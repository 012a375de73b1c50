// Alpaca's bars: coins for anybody, stocks for customers and in the hours of the market only, the oldest first, prices as
// numbers.

import { candlesOf, stepOf } from '../../candles.ts';
import type { Candle } from '../../candles.ts';
import { jsonNumber } from '../../raw-json.ts';
import { alpacaRefusal } from './context.ts';
import type { Public } from './context.ts';

const LIMIT = 10_000;
const HOUR_MS = 3_600_000;
/** 14:00 to 21:00 UTC on weekdays: New York's in winter, without holidays. */
const OPENS = 14;
const CLOSES = 21;

function isTraded({ openMs }: Candle): boolean {
  const at = new Date(openMs);
  const hour = at.getUTCHours();
  return at.getUTCDay() % 6 !== 0 && hour >= OPENS && hour < CLOSES;
}

function bar({ openMs, open, high, low, close, volume }: Candle): object {
  const [o, h, l, c, v] = [open, high, low, close, volume].map(jsonNumber);
  return { t: new Date(openMs).toISOString().replace('.000Z', 'Z'), o, h, l, c, v, n: 100, vw: c };
}

export function bars({ call, venue }: Public, type: 'spot' | 'stock'): object {
  const { parameters } = call;
  const stepMs = stepOf(parameters.get('timeframe') ?? '');
  const startMs = Date.parse(parameters.get('start') ?? '');
  const end = parameters.get('end');
  const endMs = end === null ? call.nowMs : Date.parse(end);
  const limit = Number(parameters.get('limit') ?? '1000');
  if (stepMs === null || stepMs > 24 * HOUR_MS)
    throw alpacaRefusal(400, 40_010_001, 'invalid timeframe');
  if (Number.isNaN(startMs) || Number.isNaN(endMs)) {
    throw alpacaRefusal(400, 40_010_001, 'invalid start or end');
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT) {
    throw alpacaRefusal(400, 40_010_001, 'invalid limit');
  }
  const found = (parameters.get('symbols') ?? '').split(',').flatMap((symbol) => {
    const market = [...venue.markets.values()].find(
      (one) => one.id === symbol && one.type === type,
    );
    if (market === undefined) return [];
    const span = { fromMs: startMs, toMs: endMs, stepMs, limit, shows: 'oldest' } as const;
    const candles = candlesOf(venue, market, span);
    return [[symbol, candles.filter((one) => type === 'spot' || isTraded(one)).map(bar)]];
  });
  return { bars: Object.fromEntries(found) as object, next_page_token: null };
}
