// The way back to before an hour: a state from before some of the hours that can be closed again, and of the hours since
// what they were closed with. Those are run again, so that late data changes the figures of no hour before its own,
// whether prices of then can still be had or not.

import { HOUR_MS } from '../../../wire/track/figures.ts';
import type { BookState } from './book-state.ts';
import type { UsedPrices } from './hour-prices.ts';
import { HourPrices } from './hour-prices.ts';
import type { ToldHour } from './hour-run.ts';
import { runHour } from './hour-run.ts';
import { PriceTable } from './price-table.ts';

export interface Checkpoint {
  readonly hourMs: number;
  /** From before the hour. */
  readonly state: BookState;
}

/** All that the state after an hour rests on, beside the state before it. */
export interface ClosedHour {
  readonly told: ToldHour;
  readonly prices: UsedPrices;
}

/** After a restart: what it takes is stored with every state. */
export const RESTART_KEEP_HOURS = 24;
/** From one state to the next: a copy of one is larger than what an hour was closed with. */
export const STEP_HOURS = 6;
/** Prices and names of one hour. Of one with more nothing is kept but the state after it, to which later hours go back. */
export const MAX_USED = 2048;

/** The same for every run: what is left of it is the state. */
const NOT_STATED = {
  coverage: { polls: 0, complete: false, gaps: [] },
  rebuilt: false,
  opens: false,
};

export class Checkpoints {
  /** In the order of time, both: what is kept is later than what is there. */
  readonly #states = new Map<number, BookState>();
  readonly #hours = new Map<number, ClosedHour>();

  /** `state` may go on: a copy of it is kept, every few hours and behind each hour that cannot be run again. */
  keep(hourMs: number, state: BookState): void {
    const isOnWay = this.#hours.has(hourMs - HOUR_MS);
    if (isOnWay && hourMs % (STEP_HOURS * HOUR_MS) !== 0) return;
    this.#states.set(hourMs, state.copy());
  }

  /** What an hour was closed with whose state before it can be had from here. */
  keepHour(hourMs: number, hour: ClosedHour): void {
    const { rows, unlisted } = hour.prices;
    if (rows.length + unlisted.length <= MAX_USED) this.#hours.set(hourMs, hour);
  }

  restore({ hourMs, state }: Checkpoint): void {
    this.#states.set(hourMs, state);
  }

  /** From before `hourMs`, or an earlier hour where one on the way cannot be run again. Null: there is no way. */
  before(hourMs: number): Checkpoint | null {
    const last = this.#last(hourMs);
    if (last === null) return null;
    const state = last.state.copy();
    let startMs = last.hourMs;
    for (const { told, prices } of this.#hoursFrom(startMs)) {
      if (startMs >= hourMs) break;
      const table = PriceTable.of(prices.rows, prices.unlisted);
      runHour(state, new HourPrices(table, state), { startMs, ...told, ...NOT_STATED });
      startMs += HOUR_MS;
    }
    return { hourMs: startMs, state };
  }

  /** The same; where there is no way to it, of the first hour that there is one to. */
  base(hourMs: number): Checkpoint | null {
    const [first] = this.#states.keys();
    return first === undefined ? null : this.before(Math.max(first, hourMs));
  }

  dropFrom(hourMs: number): void {
    for (const kept of [this.#states, this.#hours]) {
      for (const at of kept.keys()) if (at >= hourMs) kept.delete(at);
    }
  }

  /** All that hours from `hourMs` on do not go back to; gives the hour of the first that is left. */
  dropBefore(hourMs: number): number {
    const firstMs = this.#last(hourMs)?.hourMs ?? hourMs;
    for (const kept of [this.#states, this.#hours]) {
      for (const at of kept.keys()) {
        if (at >= firstMs) break;
        kept.delete(at);
      }
    }
    return firstMs;
  }

  /** The latest that is not after `hourMs`. */
  #last(hourMs: number): Checkpoint | null {
    let found: Checkpoint | null = null;
    for (const [at, state] of this.#states) if (at <= hourMs) found = { hourMs: at, state };
    return found;
  }

  /** One after the other, until one is not kept. */
  *#hoursFrom(hourMs: number): Iterable<ClosedHour> {
    for (let at = hourMs; ; at += HOUR_MS) {
      const hour = this.#hours.get(at);
      if (hour === undefined) return;
      yield hour;
    }
  }
}
