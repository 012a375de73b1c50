// The same market events as somebody would write them in JSON, for the baseline.

import type { MarketEvent } from '../wire/market/events.ts';
import { rowsOf } from '../wire/market/events.ts';
import type { JsonEvent } from './json-baseline.ts';

const NS_PER_MS = 1e6;

function decimals(price: number, quantity: number): { price: number; quantity: number } {
  return { price: price / 1e2, quantity: quantity / 1e5 };
}

/** One object for each row of ours. */
export function jsonRows(event: MarketEvent): readonly JsonEvent[] {
  const base = {
    instrument: event.instrument,
    exchange_time: Number(event.exchangeTimeNs ?? 0n) / NS_PER_MS,
    receive_time: Number(event.receiveTimeNs) / NS_PER_MS,
  };
  if (event.type === 'trade') {
    const { price, quantity, id } = event;
    const side = event.buyerTook ? 'bid' : 'ask';
    return [{ ...base, kind: 'trade', side, ...decimals(price, quantity), id }];
  }
  if (event.type === 'best') {
    const { updateId: id } = event;
    return [
      { ...base, kind: 'bbo', side: 'bid', ...decimals(event.bidPrice, event.bidQuantity), id },
      { ...base, kind: 'bbo', side: 'ask', ...decimals(event.askPrice, event.askQuantity), id },
    ];
  }
  return Array.from({ length: rowsOf(event) }, (_, level) => ({
    ...base,
    kind: 'level',
    side: level < event.bids ? 'bid' : 'ask',
    ...decimals(event.levels[2 * level] ?? 0, event.levels[2 * level + 1] ?? 0),
    id: event.lastId,
  }));
}

export function inBatches<T>(rows: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) =>
    rows.slice(index * size, (index + 1) * size),
  );
}
