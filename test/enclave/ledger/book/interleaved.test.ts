// Whatever comes between: hours that are closed, records that come late, restarts. In the end each hour has the figures of a
// book that was told everything before it closed the first one.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type { BookRecord, Observation } from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import { COVERED, observation, T0 } from './helpers.ts';
import type { Action } from './story.ts';
import { actions, play, PRICES, STORY_HOURS, Venue } from './story.ts';

const OPTIONS = { pricedIn: 'USDT' };
const table = PriceTable.of(PRICES);

/** A book with its hours, as the ledger's process runs it. */
class Run {
  readonly figures: Map<number, HourFigures> = new Map();
  #book = new AccountBook(OPTIONS);

  constructor() {
    this.#book.observe(observation(T0, new Venue().balances()));
  }

  observe(seen: Observation): void {
    if (this.#book.observe(seen) !== 'new') throw new Error('an observation that does not count');
  }

  tell(record: BookRecord): void {
    const applied = this.#book.apply(record);
    if (applied === 'new' || applied === 'repeated') return;
    if (applied !== 'late') throw new Error(applied);
    const hours = this.#book.reopen(record.timeMs - (record.timeMs % HOUR_MS)) ?? [];
    if (hours.length === 0) throw new Error('late, and nothing to close again');
    for (const startMs of hours) this.#closeAt(startMs);
  }

  close(): void {
    this.#closeAt(this.#book.nextHourMs ?? 0);
  }

  restart(): void {
    const back = AccountBook.parse(this.#book.encode(), OPTIONS);
    if (back === null) throw new Error('a state that cannot be read');
    this.#book = back;
  }

  #closeAt(startMs: number): void {
    this.figures.set(startMs, this.#book.closeHour(startMs, table, COVERED));
  }
}

/** The venue at the end of an hour, by its own books. */
function seenAt(list: readonly Action[], hour: number): Observation {
  const { venue } = play(list, (hour + 1) * 60);
  return observation(T0 + (hour + 1) * HOUR_MS - 1, venue.balances(), venue.positions());
}

describe('an account in the hands of a process', () => {
  it('has the same hours, whatever came when and however often it was started again', () => {
    const delays = fc.array(fc.integer({ min: 0, max: STORY_HOURS }), {
      minLength: 40,
      maxLength: 40,
    });
    const restarts = fc.array(fc.boolean(), { minLength: STORY_HOURS, maxLength: STORY_HOURS });
    fc.assert(
      fc.property(actions, delays, restarts, (list, late, again) => {
        // The hour of the opening cannot be reopened after a restart; docs/LEDGER.md says so.
        const later = list.map((action) => ({ ...action, minute: 60 + (action.minute % 180) }));
        const { records } = play(later);
        const hours = Array.from({ length: STORY_HOURS }, (_, hour) => hour);
        const [all, bit] = [new Run(), new Run()];
        for (const record of records) all.tell(record);
        for (const hour of hours) {
          all.observe(seenAt(later, hour));
          all.close();
        }
        for (const hour of hours) {
          // What happened in this hour or before, and is told now, `late` hours after it.
          for (const [at, record] of records.entries()) {
            const happened = Math.floor((record.timeMs - T0) / HOUR_MS);
            if (happened + (late[at] ?? 0) === hour) bit.tell(record);
          }
          bit.observe(seenAt(later, hour));
          bit.close();
          if (again[hour] === true) bit.restart();
        }
        for (const record of records.toReversed()) bit.tell(record);
        expect([...bit.figures].sort(([a], [b]) => a - b)).toEqual([...all.figures]);
      }),
      { numRuns: 150 },
    );
  });
});
