// Records that came too late for the book: stored, in no figure, and said once in the hour of the poll that told them (what
// is stored already was booked, or has been said: the book forgets its ids, the store does not). The
// hour that they belong to is stated anew, however old it is: the same figures, and that they lack something. Those from
// before the record began are none of them: a venue's history is longer than ours.

import { NOT_BOOKED } from '../../../wire/performance/hour-return.ts';
import type { Result } from '../../../wire/result.ts';
import { accept } from '../../../wire/result.ts';
import type { ChainCheck } from '../../../wire/track/chain.ts';
import { DAY_MS, HOUR_MS } from '../../../wire/track/head.ts';
import type { ChainStatement } from '../../../wire/track/statement.ts';
import { parseChainStatement } from '../../../wire/track/statement.ts';
import type { Book, BookRecord } from '../book/contract.ts';
import type { LedgerAccount } from '../protocol.ts';
import type { TrackStore } from '../store/contract.ts';
import { HISTORY_MS } from './account-parts.ts';
import { gapsWith } from './gap-hour.ts';
import { hourOf } from './hour-coverage.ts';
import type { Round, StatedHours } from './stated-hours.ts';
import { lastCounterOf } from './stated-hours.ts';

/** The gap's code, and why the hour of the record is stated anew. */
export const LATE_UNBOOKED = 'late_unbooked';
/** Stated anew at once, each with its day. */
const MAX_HOURS = 12;

/** What is done about a record that the book does not take, and that nothing had before. */
export type Lacking = (hasMoved: boolean) => void;

/** The statement of this counter; null: it is not held any more. */
export type ReadStatement = (counter: number) => Promise<Result<ChainStatement | null>>;

export class Unbooked {
  readonly #sinceMs: number;
  readonly #hours = new Set<number>();

  constructor({ createdMs }: Pick<LedgerAccount, 'createdMs'>) {
    this.#sinceMs = createdMs - HISTORY_MS;
  }

  /** The hours of records that no figure has; of each whether what was said of it before has moved something. */
  hoursOf(found: ReadonlyMap<BookRecord, boolean>, book: Pick<Book, 'timeOf'>): readonly number[] {
    const times = [...found].map(([record, hasMoved]) => book.timeOf(record, hasMoved));
    return times.filter((atMs) => atMs >= this.#sinceMs).map(hourOf);
  }

  /** As the book has it now, before what follows of the same flow. */
  hoursBy(
    record: BookRecord,
    book: Pick<Book, 'timeOf'>,
  ): (hasMoved: boolean) => readonly number[] {
    const unmoved = this.hoursOf(new Map([[record, false]]), book);
    const moved = this.hoursOf(new Map([[record, true]]), book);
    return (hasMoved) => (hasMoved ? moved : unmoved);
  }

  /** Hours that were stated, and have a record that no figure can have. */
  add(hours: readonly number[]): void {
    for (const startMs of hours) this.#hours.add(startMs);
  }

  /** Hours of such records, each once; they are not given again. */
  take(): readonly number[] {
    const hours = [...this.#hours].slice(0, MAX_HOURS);
    for (const startMs of hours) this.#hours.delete(startMs);
    return hours;
  }
}

/** Reads as long as it takes, as `insist` does; what memory has forgotten is not held any more. */
export function readerOf(
  store: TrackStore,
  account: LedgerAccount,
  chain: ChainCheck,
  insist: <T>(work: () => Promise<Result<T>>) => Promise<Result<T>>,
): ReadStatement {
  return async (counter) => {
    if (counter === 0) return accept(null);
    const rows = (): ReturnType<TrackStore['rows']> => store.rows(account, chain, [counter]);
    const read = store.persistent ? await insist(rows) : await rows();
    if (!read.ok) return store.persistent ? read : accept(null);
    const [row] = read.value;
    return row === undefined ? accept(null) : parseChainStatement(row.statement);
  };
}

/** States hours anew, once each whatever else is told of them, and their midnights. Refuses what `read` does. */
export async function stateUnbooked(
  { chain, maker, coverage }: Pick<Round, 'chain' | 'maker' | 'coverage'>,
  stated: StatedHours,
  hours: readonly number[],
  read: ReadStatement,
): Promise<Result<null>> {
  /** Of each midnight, how many hours are not complete any more. */
  const days = new Map<number, number>();
  const reason = LATE_UNBOOKED;
  for (const startMs of hours) {
    const before = await read(chain.effective('hour', startMs) ?? 0);
    if (!before.ok) return before;
    // One that is not stated yet: a venue gives what failed days ago the time at which it is through.
    coverage.addUnbooked(startMs);
    if (before.value?.kind !== 'hour' || before.value.figures.gaps.includes(NOT_BOOKED)) continue;
    const { figures, basis, counter } = before.value;
    const { missingPrices, ...rest } = basis;
    const gaps = gapsWith(figures.gaps, NOT_BOOKED);
    const lacking = { ...figures, complete: false, gaps };
    const late = { ...rest, late: basis.late + 1 };
    stated.remember(maker.hour(lacking, late, missingPrices, { counter, reason }));
    const dayMs = Math.ceil((startMs + HOUR_MS) / DAY_MS) * DAY_MS;
    days.set(dayMs, (days.get(dayMs) ?? 0) + (figures.complete ? 1 : 0));
  }
  for (const [atMs, lost] of days) {
    const before = await read(chain.effective('snapshot', atMs) ?? 0);
    if (!before.ok) return before;
    if (before.value?.kind !== 'snapshot') continue;
    const { basis, counter, gaps, ...figures } = before.value;
    const completeHours = basis.completeHours - Math.min(lost, basis.completeHours);
    const day = { ...figures, hours: basis.hours, completeHours, gaps: gapsWith(gaps, NOT_BOOKED) };
    const last = lastCounterOf(chain, maker, atMs);
    stated.remember(maker.snapshot(atMs, day, last, { counter, reason }));
  }
  return accept(null);
}
