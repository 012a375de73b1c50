// Market events for the benchmarks, parsed before the clock starts: the committed capture or its beginning, repeated
// with ids and times that go on, so that books stay in sequence.

import { join } from 'node:path';
import { BinanceParser } from '../wire/market/venues/binance.ts';
import { readCapture } from '../host-proxy/feed/capture.ts';
import type { MarketEvent } from '../wire/market/events.ts';
import type { Instrument } from '../wire/configuration.ts';

export const INSTRUMENT: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 5,
  sequence_rule: 'binance-spot',
};
const CAPTURE = join(import.meta.dirname, '../data/binance-2024-08/spot_ethusdt_20240808.gz');

/** What is played. */
export interface Tape {
  /** Events of the capture, from its first one; null for all of them. */
  readonly take: number | null;
  /** How often, one after the other. */
  readonly repeat: number;
}

export async function readEvents(take: number | null): Promise<readonly MarketEvent[]> {
  const events: MarketEvent[] = [];
  const parser = new BinanceParser([INSTRUMENT]);
  for await (const chunk of readCapture(CAPTURE, parser, { onMalformed: 'stop' })) {
    if (chunk.refusals.length > 0) throw new Error('the committed capture cannot be read');
    events.push(...chunk.events);
    if (take !== null && events.length >= take) break;
  }
  return take === null ? events : events.slice(0, take);
}

interface Shift {
  readonly updates: number;
  readonly trades: number;
  readonly timeNs: bigint;
}

function shiftOf(events: readonly MarketEvent[]): Shift {
  const depth = events.filter((event) => event.type === 'depth' && !event.snapshot);
  const trades = events.filter((event) => event.type === 'trade');
  const [first, last] = [depth.at(0), depth.at(-1)];
  const [firstEvent, lastEvent] = [events.at(0), events.at(-1)];
  if (first?.type !== 'depth' || last?.type !== 'depth' || !firstEvent || !lastEvent) {
    throw new Error('the capture has no depth updates');
  }
  const firstTrade = trades.at(0)?.id ?? 0;
  const lastTrade = trades.at(-1)?.id ?? 0;
  return {
    updates: last.lastId - first.firstId + 1,
    trades: lastTrade - firstTrade + 1,
    timeNs: lastEvent.receiveTimeNs - firstEvent.receiveTimeNs + 1n,
  };
}

function moved(event: MarketEvent, times: number, shift: Shift): MarketEvent {
  const receiveTimeNs = event.receiveTimeNs + shift.timeNs * BigInt(times);
  if (event.type === 'trade') {
    return { ...event, receiveTimeNs, id: event.id + shift.trades * times };
  }
  const updates = shift.updates * times;
  if (event.type === 'best') {
    return { ...event, receiveTimeNs, updateId: event.updateId + updates };
  }
  const { firstId, lastId } = event;
  return { ...event, receiveTimeNs, firstId: firstId + updates, lastId: lastId + updates };
}

/** The capture `times` times, one after the other. */
export function repeatEvents(
  events: readonly MarketEvent[],
  times: number,
): readonly MarketEvent[] {
  const shift = shiftOf(events);
  return Array.from({ length: times }, (_, turn) =>
    events.map((event) => moved(event, turn, shift)),
  ).flat();
}
