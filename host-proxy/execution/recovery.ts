// What a restarted execution knows from its journal: positions and their cost, the equity at the start of
// the day, the last output that was decided on, and orders that were open when the process ended.

import type { Account } from './account.ts';
import type { JournalRecord } from './journal.ts';
import { Order } from './order.ts';
import type { DayStart } from './risk.ts';

export interface OpenAtRestart {
  readonly order: Order;
  readonly origin: string;
  /** The last time in the journal. */
  readonly timeNs: bigint;
}

export interface Restored {
  /** Highest leaf of this origin with a decision; -1 without one. */
  readonly lastLeaf: number;
  readonly dayStart: DayStart | null;
  readonly open: readonly OpenAtRestart[];
}

/** Fills of the journal go into `account`. Fills of instruments that are no longer there are an error. */
export function restoreJournal(
  records: readonly JournalRecord[],
  origin: string,
  account: Account,
): Restored {
  const open = new Map<string, { order: Order; origin: string }>();
  let lastLeaf = -1;
  let dayStart: DayStart | null = null;
  let lastNs = 0n;
  for (const record of records) {
    switch (record.type) {
      case 'decision': {
        if (record.origin === origin) lastLeaf = Math.max(lastLeaf, record.leaf);
        if (record.refused !== null) break;
        const { id, leaf, instrument, side, quantity } = record;
        const head = { output: leaf, clientOrderId: id, instrument, side, quantity };
        open.set(id, { order: new Order(head, 'paper'), origin: record.origin });
        break;
      }
      case 'fill': {
        const order = open.get(record.id)?.order;
        if (order === undefined) throw new Error('the journal has a fill without its order');
        const { instrument, side } = order.head;
        const { price, quantity, fee } = record;
        account.of(instrument).addFill({ instrument, side, price, quantity, fee });
        order.restoreFill(quantity);
        lastNs = BigInt(record.time);
        break;
      }
      case 'end':
        open.delete(record.id);
        lastNs = BigInt(record.time);
        break;
      case 'day':
        dayStart = { day: BigInt(record.day), equity: BigInt(record.equity) };
        break;
    }
  }
  const timeNs = lastNs;
  return {
    lastLeaf,
    dayStart,
    open: Array.from(open.values(), (each) => ({ ...each, timeNs })),
  };
}
