// Kraken Futures' charts: candles of trades, marks or the index, the oldest first, from and to in seconds.

import { formatPlaces } from '../../amount.ts';
import { candlesOf, stepOf } from '../../candles.ts';
import { integerOf } from '../../call.ts';
import { futuresRefusal } from './access.ts';
import type { Public } from './context.ts';

const LIMIT = 2000;
const PATH = /^\/api\/charts\/v1\/(?:spot|mark|trade)\/(?<id>[A-Z_0-9]+)\/(?<interval>\w+)$/u;

/** Null for another path. */
export function chart({ call, venue }: Public): object | null {
  const groups = PATH.exec(call.path)?.groups;
  if (groups === undefined) return null;
  const refuse = (name: string): ReturnType<typeof futuresRefusal> =>
    futuresRefusal(call, `invalidArgument: ${name}`);
  const market = [...venue.markets.values()].find(({ id }) => id === groups['id']);
  const stepMs = stepOf(groups['interval'] ?? '');
  if (market === undefined) throw refuse('symbol');
  if (stepMs === null) throw refuse('interval');
  const from = integerOf(call, 'from', refuse);
  const to = integerOf(call, 'to', refuse);
  const span = { fromMs: (from ?? 0) * 1000, toMs: to === null ? call.nowMs : to * 1000 };
  const shows = from === null ? 'newest' : 'oldest';
  const candles = candlesOf(venue, market, { ...span, stepMs, limit: LIMIT, shows });
  const rows = candles.map(({ openMs, open, high, low, close }) => ({
    time: openMs,
    open: formatPlaces(open, 11),
    high: formatPlaces(high, 11),
    low: formatPlaces(low, 11),
    close: formatPlaces(close, 11),
    volume: 0,
  }));
  return { candles: rows, more_candles: candles.length === LIMIT };
}
