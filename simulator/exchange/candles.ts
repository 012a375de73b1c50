// Candles of the simulated exchange, made from its prices when somebody asks: open and close are the market's price at the
// first and last moment, high and low those of the moments in between that are looked at. The current one is there
// from its begin on. How each venue cuts, orders and writes them is the venue's.

import { divide, parseAmount } from './amount.ts';
import type { Amount } from './amount.ts';
import type { Market } from './markets.ts';
import type { Outage } from './prices.ts';
import type { Venue } from './world.ts';

export interface Candle {
  readonly openMs: number;
  readonly closeMs: number;
  readonly open: Amount;
  readonly high: Amount;
  readonly low: Amount;
  readonly close: Amount;
  /** In base, or contracts. */
  readonly volume: Amount;
}

export interface CandleQuestion {
  /** Candles that begin in it, both ends included. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
  readonly limit: number;
  /** Which are left out where there are more. */
  readonly shows: 'oldest' | 'newest';
}

const MINUTE_MS = 60_000;
const VOLUME = parseAmount('12.5');
const LOOKS = 4;

/** `1m`, `60min`, `ONE_HOUR`, `Min60`… to milliseconds; null for what no venue has. */
export function stepOf(name: string): number | null {
  const steps: Readonly<Record<string, number>> = { MINUTE: 1, HOUR: 60, DAY: 1440 };
  const word = /^ONE_(?<unit>MINUTE|HOUR|DAY)$/u.exec(name)?.groups?.['unit'];
  if (word !== undefined) return (steps[word] ?? 0) * MINUTE_MS;
  const found = /^(?:Min(?<minutes>\d+)|(?<count>\d+)(?<unit>m|min|Min|h|H|Hour|d|D)?)$/u.exec(
    name,
  );
  if (found === null) return null;
  const { minutes, count = '1', unit = 'm' } = found.groups ?? {};
  if (minutes !== undefined) return Number(minutes) * MINUTE_MS;
  const factor = /^h/iu.test(unit) ? 60 : /^d/iu.test(unit) ? 1440 : 1;
  return Number(count) * factor * MINUTE_MS;
}

function candleAt(venue: Venue, { symbol }: Market, openMs: number, stepMs: number): Candle {
  const endMs = Math.min(openMs + stepMs - 1, Math.max(venue.nowMs(), openMs));
  const looks = Array.from({ length: LOOKS + 1 }, (_, at) =>
    Math.floor(openMs + ((endMs - openMs) * at) / LOOKS),
  );
  const times = [...looks, ...venue.prices.changes(symbol, openMs, endMs)];
  const prices = times.map((atMs) => venue.prices.get(symbol, atMs) ?? 0n);
  const open = venue.prices.get(symbol, openMs) ?? 0n;
  return {
    openMs,
    closeMs: openMs + stepMs - 1,
    open,
    high: prices.reduce((most, price) => (price > most ? price : most), open),
    low: prices.reduce((least, price) => (price < least ? price : least), open),
    close: venue.prices.get(symbol, endMs) ?? 0n,
    volume: divide(VOLUME * BigInt(1 + ((openMs / MINUTE_MS) % 7)), parseAmount('7')),
  };
}

/** At the price of the last deal before. */
function quietCandle(
  venue: Venue,
  { symbol }: Market,
  { openMs, closeMs }: Candle,
  { fromMs }: Outage,
): Candle {
  const last = venue.prices.get(symbol, fromMs - 1) ?? 0n;
  return { openMs, closeMs, open: last, high: last, low: last, close: last, volume: 0n };
}

/** The oldest first; none that has not begun. */
export function candlesOf(
  venue: Venue,
  market: Market,
  { fromMs, toMs, stepMs, limit, shows }: CandleQuestion,
): readonly Candle[] {
  const firstMs = Math.ceil(Math.max(fromMs, 0) / stepMs) * stepMs;
  const lastMs = Math.floor(Math.min(toMs, venue.nowMs()) / stepMs) * stepMs;
  const count = Math.max(0, (lastMs - firstMs) / stepMs + 1);
  const shown = Math.min(count, limit);
  const startMs = shows === 'oldest' ? firstMs : lastMs - (shown - 1) * stepMs;
  const spanAt = (openMs: number): Outage | undefined =>
    venue.prices.outages.find((one) => openMs >= one.fromMs && openMs < one.toMs);
  return Array.from({ length: shown }, (_, at) => startMs + at * stepMs)
    .filter((openMs) => spanAt(openMs)?.isQuiet !== false)
    .map((openMs) => {
      const quiet = spanAt(openMs);
      const candle = candleAt(venue, market, openMs, stepMs);
      return quiet === undefined ? candle : quietCandle(venue, market, candle, quiet);
    });
}

/** A line of most venues: a moment, the four prices, and what else there is. */
export function rowOf(
  moment: unknown,
  { open, high, low, close }: Candle,
  write: (price: Amount) => string,
  rest: readonly unknown[],
): readonly unknown[] {
  return [moment, write(open), write(high), write(low), write(close), ...rest];
}
