// Kraken's OHLC: the last 720 candles of a pair and no older one, in seconds; `since` leaves out what is not after it.

import { formatPlaces } from '../../amount.ts';
import { candlesOf, rowOf, stepOf } from '../../candles.ts';
import { krakenAltName } from '../../markets.ts';
import { krakenRefusal } from './access.ts';
import type { Public } from './context.ts';

const RECENT = 720;

function eight(value: bigint): string {
  return formatPlaces(value, 8);
}

export function ohlc({ call, venue }: Public): object {
  const name = call.parameters.get('pair') ?? '';
  const market = [...venue.markets.values()].find(
    ({ id, base, quote }) => id === name || krakenAltName(base, quote) === name,
  );
  if (market === undefined) throw krakenRefusal('EQuery:Unknown asset pair');
  const stepMs = stepOf(call.parameters.get('interval') ?? '1');
  const since = Number(call.parameters.get('since') ?? '-1');
  if (stepMs === null || !Number.isSafeInteger(since)) {
    throw krakenRefusal('EGeneral:Invalid arguments');
  }
  const candles = candlesOf(venue, market, {
    fromMs: 0,
    toMs: call.nowMs,
    stepMs,
    limit: RECENT,
    shows: 'newest',
  });
  const rows = candles
    .filter(({ openMs }) => openMs / 1000 > since)
    .map((candle) => {
      const rest = [eight(candle.close), eight(candle.volume), 100];
      return rowOf(candle.openMs / 1000, candle, eight, rest);
    });
  return { [market.id]: rows, last: (candles.at(-2)?.openMs ?? 0) / 1000 };
}
