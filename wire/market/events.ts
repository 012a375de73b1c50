// What sources hand to the batcher: one market event, values scaled and checked.

interface EventHead {
  readonly instrument: number;
  readonly receiveTimeNs: bigint;
  /** Null where the venue gives none. */
  readonly exchangeTimeNs: bigint | null;
}

/** A depth update or a snapshot of a book. */
export interface DepthEvent extends EventHead {
  readonly type: 'depth';
  readonly snapshot: boolean;
  readonly firstId: number;
  readonly lastId: number;
  /** -1 where the venue gives none. */
  readonly previousId: number;
  /** Price, quantity, price, quantity, …: bids first. */
  readonly levels: readonly number[];
  /** Levels that are bids. */
  readonly bids: number;
}

export interface TradeEvent extends EventHead {
  readonly type: 'trade';
  readonly id: number;
  readonly price: number;
  readonly quantity: number;
  readonly buyerTook: boolean;
}

/** The venue's best bid and ask. */
export interface BestEvent extends EventHead {
  readonly type: 'best';
  readonly updateId: number;
  readonly bidPrice: number;
  readonly bidQuantity: number;
  readonly askPrice: number;
  readonly askQuantity: number;
}

export type MarketEvent = DepthEvent | TradeEvent | BestEvent;

/** Rows that an event becomes. */
export function rowsOf(event: MarketEvent): number {
  if (event.type === 'depth') return event.levels.length / 2;
  return event.type === 'best' ? 2 : 1;
}
