// MEXC's candles: spot as Binance's with eight columns, contracts as one list for each column, in seconds and numbers.

import { formatAmount, formatPlaces } from '../../amount.ts';
import { candlesOf, rowOf, stepOf } from '../../candles.ts';
import { integerOf } from '../../call.ts';
import type { Market } from '../../markets.ts';
import { jsonNumber } from '../../raw-json.ts';
import { contractRefusal, spotRefusal } from './access.ts';
import type { Public } from './context.ts';

const SPOT_LIMIT = 500;
const CONTRACT_LIMIT = 2000;
const SPOT_INTERVALS: ReadonlySet<string> = new Set(['1m', '5m', '15m', '30m', '60m', '4h', '1d']);

function eight(price: bigint): string {
  return formatPlaces(price, 8);
}

function spotInvalid(name: string): ReturnType<typeof spotRefusal> {
  return spotRefusal(400, -1121, `Invalid ${name}.`);
}

function contractInvalid(name: string): ReturnType<typeof contractRefusal> {
  return contractRefusal(600, `Parameter error: ${name}`);
}

export function spotKlines({ call, venue }: Public): readonly unknown[] {
  const market = venue.marketById('spot', call.parameters.get('symbol') ?? '');
  const interval = call.parameters.get('interval') ?? '';
  const stepMs = SPOT_INTERVALS.has(interval) ? stepOf(interval) : null;
  if (market === null) throw spotInvalid('symbol');
  if (stepMs === null) throw spotInvalid('interval');
  const startMs = integerOf(call, 'startTime', spotInvalid);
  const candles = candlesOf(venue, market, {
    fromMs: startMs ?? 0,
    toMs: integerOf(call, 'endTime', spotInvalid) ?? call.nowMs,
    stepMs,
    limit: Math.min(integerOf(call, 'limit', spotInvalid) ?? SPOT_LIMIT, SPOT_LIMIT),
    shows: startMs === null ? 'newest' : 'oldest',
  });
  return candles.map((candle) => {
    const traded = formatAmount(candle.volume);
    return rowOf(candle.openMs, candle, eight, [traded, candle.closeMs + 1, traded]);
  });
}

export function contractKlines({ call, venue }: Public, id: string): object {
  const market: Market | undefined = [...venue.markets.values()].find(
    (one) => one.settle !== null && one.id === id,
  );
  const interval = call.parameters.get('interval') ?? 'Min1';
  const stepMs = interval.startsWith('Min') ? stepOf(interval) : null;
  if (market === undefined) throw contractInvalid('symbol');
  if (stepMs === null) throw contractInvalid('interval');
  const start = integerOf(call, 'start', contractInvalid);
  const end = integerOf(call, 'end', contractInvalid);
  const candles = candlesOf(venue, market, {
    fromMs: (start ?? 0) * 1000,
    toMs: end === null ? call.nowMs : end * 1000,
    stepMs,
    limit: CONTRACT_LIMIT,
    shows: 'newest',
  });
  return {
    time: candles.map(({ openMs }) => openMs / 1000),
    open: candles.map(({ open }) => jsonNumber(open)),
    close: candles.map(({ close }) => jsonNumber(close)),
    high: candles.map(({ high }) => jsonNumber(high)),
    low: candles.map(({ low }) => jsonNumber(low)),
    vol: candles.map(({ volume }) => jsonNumber(volume)),
  };
}
