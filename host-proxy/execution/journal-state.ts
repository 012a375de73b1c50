// What the records of a journal come to: positions and their cost, the equity at the start of the day, and
// every output whose end is not known to be in a log, open orders among them. It is what a restarted
// execution begins with, and what a new journal begins with, so that the old one is not needed any more.

import type { Instrument } from '../../wire/configuration.ts';
import { Account } from './account.ts';
import type {
  DecisionRecord,
  EndRecord,
  FillRecord,
  MissedRecord,
  JournalRecord,
  PositionRecord,
  StateRecord,
} from './journal-record.ts';
import type { DayStart } from './risk.ts';

export interface UntoldOutput {
  readonly decision: DecisionRecord | MissedRecord;
  readonly fills: FillRecord[];
  /** Null while the order is open. */
  end: EndRecord | null;
}

/** The records need an instrument that the configuration does not have, or has with other scales. */
export class InstrumentMissing extends Error {
  readonly instrument: number;

  constructor(instrument: number) {
    super(`instrument ${instrument}`);
    this.instrument = instrument;
  }
}

export class JournalState {
  readonly account: Account;
  /** By client order id. */
  readonly untold: Map<string, UntoldOutput> = new Map<string, UntoldOutput>();
  dayStart: DayStart | null = null;
  /** Of the last fill or end; 0 before the first. */
  lastNs = 0n;
  reconciled: string | null = null;
  #last: StateRecord['last'] = null;

  constructor(instruments: readonly Instrument[]) {
    this.account = new Account(instruments);
  }

  /** Highest leaf of this origin with a decision; -1 without one. */
  lastLeafOf(origin: string): number {
    return this.#last?.origin === origin ? this.#last.leaf : -1;
  }

  /** Throws InstrumentMissing. */
  add(record: JournalRecord): void {
    switch (record.type) {
      case 'state':
        this.#restore(record);
        break;
      case 'decision':
      case 'missed':
        this.#decide(record);
        break;
      case 'fill':
        this.#fill(record);
        break;
      case 'end':
        this.#orderOf(record.id).end = record;
        this.lastNs = BigInt(record.time);
        break;
      case 'told':
        this.untold.delete(record.id);
        break;
      case 'day':
        this.dayStart = { day: BigInt(record.day), equity: BigInt(record.equity) };
        break;
    }
  }

  toRecord(): StateRecord {
    const { dayStart } = this;
    return {
      type: 'state',
      positions: this.account.positions.map((position) => ({
        instrument: position.instrument.id,
        price_scale: position.instrument.price_scale,
        quantity_scale: position.instrument.quantity_scale,
        quantity: `${position.quantity}`,
        cost: `${position.cost}`,
        realised: `${position.realised}`,
        fees: `${position.fees}`,
        cash: `${position.cash}`,
        volume: `${position.volume}`,
      })),
      untold: [...this.untold.values()],
      day: dayStart && { type: 'day', day: `${dayStart.day}`, equity: `${dayStart.equity}` },
      time: `${this.lastNs}`,
      last: this.#last,
      reconciled: this.reconciled,
    };
  }

  #restore({ positions, untold, day, time, last, reconciled }: StateRecord): void {
    for (const position of positions) this.#restorePosition(position);
    for (const { decision, fills, end } of untold) {
      this.untold.set(decision.id, { decision, fills: [...fills], end });
    }
    if (day !== null) this.add(day);
    this.lastNs = BigInt(time);
    this.#last = last;
    this.reconciled = reconciled;
  }

  #restorePosition(record: PositionRecord): void {
    const amounts = {
      quantity: BigInt(record.quantity),
      cost: BigInt(record.cost),
      realised: BigInt(record.realised),
      fees: BigInt(record.fees),
      cash: BigInt(record.cash),
      volume: BigInt(record.volume),
    };
    // An instrument that was never traded may go.
    if (amounts.volume === 0n) return;
    const position = this.account.find(record.instrument);
    const same =
      position?.instrument.price_scale === record.price_scale &&
      position.instrument.quantity_scale === record.quantity_scale;
    if (position === null || !same) throw new InstrumentMissing(record.instrument);
    Object.assign(position, amounts);
  }

  #decide(record: DecisionRecord | MissedRecord): void {
    const { origin, leaf, id } = record;
    this.#last = { origin, leaf: Math.max(this.lastLeafOf(origin), leaf) };
    this.untold.set(id, { decision: record, fills: [], end: null });
  }

  #fill(record: FillRecord): void {
    const order = this.#orderOf(record.id);
    if (order.decision.type === 'missed') throw new Error('a fill of an output without an order');
    const { instrument, side } = order.decision;
    const position = this.account.find(instrument);
    if (position === null) throw new InstrumentMissing(instrument);
    const { price, quantity, fee } = record;
    position.addFill({ instrument, side, price, quantity, fee });
    order.fills.push(record);
    this.lastNs = BigInt(record.time);
  }

  #orderOf(id: string): UntoldOutput {
    const order = this.untold.get(id);
    if (order === undefined) throw new Error('the journal has a record without its order');
    return order;
  }
}
