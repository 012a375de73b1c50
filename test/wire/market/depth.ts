// Batches from short descriptions, and a venue whose true book is known at every update id.

import type { Batch } from '../../../wire/batch.ts';
import { GROUP_FLAG, parseBatch, ROW } from '../../../wire/batch.ts';
import type { Instrument, SequenceRule } from '../../../wire/configuration.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { BatchBuilder } from '../../../wire/market/batch-builder.ts';

/** [side, price, quantity] */
export type Level = readonly [1 | 2, number, number];

export interface Depth {
  readonly instrument?: number;
  readonly snapshot?: boolean;
  /** U, u, pu; a snapshot has its id twice. */
  readonly ids: readonly [number, number, number?];
  readonly levels?: readonly Level[];
  /** GROUP_FLAG.first, last, both (the default) or 0. */
  readonly part?: number;
}

export interface Trade {
  readonly instrument?: number;
  readonly id: number;
  readonly price?: number;
  readonly quantity?: number;
  readonly side?: 1 | 2;
  readonly timeNs?: bigint;
}

export const WHOLE: number = GROUP_FLAG.first | GROUP_FLAG.last;

export function instrument(id: number, rule: SequenceRule): Instrument {
  return {
    id,
    venue: 'binance',
    symbol: `TEST${id.toString()}`,
    market: 'spot',
    price_scale: 2,
    quantity_scale: 4,
    sequence_rule: rule,
  };
}

/** One batch of depth groups, then trades. */
export function batchOf(
  depths: readonly Depth[],
  trades: readonly Trade[] = [],
  { stream = 1, sequence = 0 }: { readonly stream?: number; readonly sequence?: number } = {},
): Batch {
  const builder = new BatchBuilder(stream);
  for (const depth of depths) {
    const snapshot = depth.snapshot === true;
    const id = depth.instrument ?? 1;
    const [firstId, lastId, previousId = -1] = depth.ids;
    const levels = depth.levels ?? [];
    builder.addGroup({
      instrument: id,
      firstRow: builder.rows,
      rows: levels.length,
      flags: (depth.part ?? WHOLE) | (snapshot ? GROUP_FLAG.snapshot : 0),
      firstId,
      lastId,
      previousId,
    });
    for (const [side, price, quantity] of levels) {
      builder.addRow({
        instrument: id,
        kind: snapshot ? ROW.snapshotLevel : ROW.level,
        side,
        exchangeTimeNs: null,
        receiveTimeNs: 1n,
        price,
        quantity,
        id: lastId,
      });
    }
  }
  for (const trade of trades) {
    builder.addRow({
      instrument: trade.instrument ?? 1,
      kind: ROW.trade,
      side: trade.side ?? 1,
      exchangeTimeNs: trade.timeNs ?? null,
      receiveTimeNs: 1n,
      price: trade.price ?? 100,
      quantity: trade.quantity ?? 1,
      id: trade.id,
    });
  }
  return assertAccepted(parseBatch(builder.encode(sequence, 1n)));
}

/** Update id k sets one level; the true book at k is the sum of the changes up to k. */
export class Venue {
  readonly #changes: Level[] = [];

  add(level: Level): void {
    this.#changes.push(level);
  }

  get lastId(): number {
    return this.#changes.length;
  }

  /** Levels with a quantity at update id `id`, as `side price` to quantity. */
  book(id: number): Map<string, number> {
    const book = new Map<string, number>();
    for (const [side, price, quantity] of this.#changes.slice(0, id)) {
      const key = `${side.toString()} ${price.toString()}`;
      if (quantity === 0) book.delete(key);
      else book.set(key, quantity);
    }
    return book;
  }

  snapshot(id: number): Depth {
    const levels = [...this.book(id)].map(([key, quantity]): Level => {
      const [side, price] = key.split(' ').map(Number);
      return [side === 1 ? 1 : 2, price ?? 0, quantity];
    });
    return { snapshot: true, ids: [id, id], levels };
  }

  update(firstId: number, lastId: number): Depth {
    return {
      ids: [firstId, lastId, firstId - 1],
      levels: this.#changes.slice(firstId - 1, lastId),
    };
  }
}
