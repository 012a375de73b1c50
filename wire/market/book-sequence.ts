// Which depth events a book may apply (docs/PROTOCOL.md 12), without the book: the log's gap records
// and every order book decide with this one state machine, so they agree about when there is a book.
// Trusts nothing: what does not fit ends the book, and what is kept is bounded in events and rows.

import { GROUP_FLAG } from '../batch.ts';
import type { SequenceRule } from '../configuration.ts';

/** Events kept while there is no snapshot; the oldest go first. */
export const MAX_HELD_EVENTS = 1000;
/** Rows in those events: about 65 a piece, and 1 MiB for their levels. */
export const MAX_HELD_ROWS = 65_536;
/** Rows of one event or snapshot over all of its parts: Binance's largest has 2 × 5,000 levels. */
export const MAX_EVENT_ROWS = 16_384;

/**
 * What to do with the rows of a group: `part` keep them until the event is complete; `drop` them and the
 * parts before; with the complete event: `apply` it, `skip` it, `hold` it for the next snapshot, or
 * `reset` the book to it, a snapshot, and then ask `nextHeld()`.
 */
export type BookStep = 'part' | 'drop' | 'apply' | 'skip' | 'hold' | 'reset';

export interface SequenceGap {
  /** The update id that was expected. */
  readonly firstMissing: number;
  /** Ids that are missing, where the venue's ids say so. */
  readonly count: number | null;
}

interface DepthEvent {
  readonly snapshot: boolean;
  readonly firstId: number;
  readonly lastId: number;
  readonly previousId: number;
  rows: number;
}

/** `lastId` + 1, kept a safe integer so that a hostile id cannot break an encoder. */
export function idAfter(lastId: number): number {
  return Math.min(lastId + 1, Number.MAX_SAFE_INTEGER);
}

export class BookSequence {
  readonly #rule: SequenceRule;
  readonly #held: DepthEvent[] = [];
  #heldRows = 0;
  #open: DepthEvent | null = null;
  #valid = false;
  /** Between a snapshot and the first update after it. */
  #fresh = false;
  #lastId = 0;
  #gap: SequenceGap | null = null;

  constructor(rule: SequenceRule) {
    this.#rule = rule;
  }

  /** True from a snapshot that could be used to the next violation. */
  get valid(): boolean {
    return this.#valid;
  }

  /** Update id that the book stands at; 0 before the first snapshot. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Events that are held; a caller that keeps their rows drops its oldest beyond this number. */
  get heldEvents(): number {
    return this.#held.length;
  }

  /** The violation that ended the book since the last call, if one did. */
  takeGap(): SequenceGap | null {
    const gap = this.#gap;
    this.#gap = null;
    return gap;
  }

  /** Snapshots come in the stream, in order with the updates. */
  get #inStream(): boolean {
    return this.#rule === 'bybit' || this.#rule === 'okx';
  }

  /** Data is missing: there is no book until the next snapshot. Whoever knows of it has logged it. */
  interrupt(): void {
    this.#valid = false;
    this.#open = null;
    while (this.#held.length > 0) this.#dropOldest();
  }

  /** Takes the head of one group; flags are of GROUP_FLAG. */
  group(
    flags: number,
    firstId: number,
    lastId: number,
    previousId: number,
    rows: number,
  ): BookStep {
    const snapshot = (flags & GROUP_FLAG.snapshot) !== 0;
    if ((flags & GROUP_FLAG.first) !== 0) {
      if (this.#open !== null) this.#end(this.#open.firstId, null);
      this.#open = { snapshot, firstId, lastId, previousId, rows };
    } else if (!this.#continueOpen(snapshot, firstId, lastId, previousId, rows)) {
      this.#open = null;
      this.#end(firstId, null);
      return 'drop';
    }
    if ((flags & GROUP_FLAG.last) === 0) return 'part';
    const event = this.#open;
    this.#open = null;
    if (event === null) throw new Error('a group was opened above');
    return event.snapshot ? this.#snapshot(event) : this.#update(event);
  }

  /**
   * After `reset`: what to do with the oldest event that is held, until null. `apply` and `skip` take it
   * out; an event that does not fit stays, and ends the book.
   */
  nextHeld(): 'apply' | 'skip' | null {
    const event = this.#held[0];
    if (!this.#valid || event === undefined) return null;
    const step = this.#decide(event);
    if (step === 'gap') return null;
    this.#dropOldest();
    return step;
  }

  #continueOpen(
    snapshot: boolean,
    firstId: number,
    lastId: number,
    previousId: number,
    rows: number,
  ): boolean {
    const open = this.#open;
    if (open === null) return false;
    open.rows += rows;
    return (
      open.snapshot === snapshot &&
      open.firstId === firstId &&
      open.lastId === lastId &&
      open.previousId === previousId &&
      open.rows <= MAX_EVENT_ROWS
    );
  }

  #snapshot(event: DepthEvent): BookStep {
    // An older snapshot would take back updates that are applied, and that do not come again. One that comes
    // in the stream itself is never older: a smaller id says that the venue counts anew.
    if (this.#valid && !this.#inStream && event.lastId < this.#lastId) return 'skip';
    this.#valid = true;
    this.#fresh = true;
    this.#lastId = event.lastId;
    return 'reset';
  }

  #update(event: DepthEvent): BookStep {
    if (this.#valid) {
      const step = this.#decide(event);
      if (step !== 'gap') return step;
    }
    // Without ids there is no telling which updates a later snapshot contains; one in the stream has all.
    if (this.#rule === 'none' || this.#inStream) return 'skip';
    this.#held.push(event);
    this.#heldRows += event.rows;
    while (this.#held.length > MAX_HELD_EVENTS || this.#heldRows > MAX_HELD_ROWS) {
      this.#dropOldest();
    }
    return 'hold';
  }

  #dropOldest(): void {
    this.#heldRows -= this.#held.shift()?.rows ?? 0;
  }

  #decide(event: DepthEvent): 'apply' | 'skip' | 'gap' {
    const last = this.#lastId;
    switch (this.#rule) {
      case 'binance-spot':
        if (this.#fresh && event.lastId <= last) return 'skip';
        if (this.#fresh ? event.firstId <= last + 1 : event.firstId === last + 1) break;
        this.#end(idAfter(last), event.firstId > last + 1 ? event.firstId - last - 1 : null);
        return 'gap';
      case 'binance-futures':
        if (this.#fresh && event.lastId < last) return 'skip';
        if (event.previousId === last || (this.#fresh && event.firstId <= last)) break;
        this.#end(idAfter(last), null);
        return 'gap';
      case 'bybit':
        if (event.firstId === last + 1) break;
        this.#end(idAfter(last), event.firstId > last + 1 ? event.firstId - last - 1 : null);
        return 'gap';
      case 'okx':
        // Ids may repeat (nothing has changed) or go back (maintenance), but each names the one before.
        if (event.previousId === last) break;
        this.#end(idAfter(last), null);
        return 'gap';
      case 'none':
        break;
    }
    this.#fresh = false;
    this.#lastId = event.lastId;
    return 'apply';
  }

  #end(firstMissing: number, count: number | null): void {
    if (!this.#valid) return;
    this.#valid = false;
    this.#gap = { firstMissing, count };
  }
}

/**
 * Trade ids of a venue that numbers its trades one by one. Without a rule, or without an id, every trade
 * counts.
 */
export class TradeSequence {
  readonly #numbered: boolean;
  #lastId = 0;

  constructor(rule: SequenceRule) {
    this.#numbered = rule === 'binance-spot' || rule === 'binance-futures';
  }

  /** The id of the last trade that counted; 0 before the first. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Ids that are missing before this trade; -1 for a trade that was there already. */
  next(id: number): number {
    if (!this.#numbered || id === 0) return 0;
    const last = this.#lastId;
    if (id <= last) return -1;
    this.#lastId = id;
    return last === 0 ? 0 : id - last - 1;
  }
}
