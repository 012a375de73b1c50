// The book of one account. Records go into a timeline; closing an hour runs its events over the state and gives figures;
// copies of the state from before some hours, and what the others were closed with, are the way back for what is told late. The first complete
// observation opens it, and as long as the hours since then are kept, late history opens it anew.

import type { HourFigures } from '../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../wire/track/figures.ts';
import type { BookState } from './book-state.ts';
import { Checkpoints, RESTART_KEEP_HOURS } from './checkpoints.ts';
import type {
  Applied,
  Book,
  BookOptions,
  BookRecord,
  HourCoverage,
  Observation,
  PriceQuestion,
} from './contract.ts';
import type { BookEvent, Movement } from './event.ts';
import { eventOf, isCounted, moneyOf } from './event.ts';
import { HourPrices } from './hour-prices.ts';
import type { ToldHour } from './hour-run.ts';
import { runHour } from './hour-run.ts';
import { questionsOf } from './needs.ts';
import type { Observed } from './observed.ts';
import { observedOf } from './observed.ts';
import { openingOf } from './opening.ts';
import type { PriceTable } from './price-table.ts';
import type { SavedBook } from './state-codec.ts';
import { encodeBook, parseBook } from './state-codec.ts';
import { hourOf, Timeline } from './timeline.ts';

export const DEFAULT_KEEP_HOURS = 72;
/** How far before its first observation a book goes back; a venue may tell of years. */
export const MAX_HISTORY_MS: number = 7 * 24 * HOUR_MS;

const NO_EVENTS: readonly BookEvent[] = [];

export class AccountBook implements Book {
  readonly #options: BookOptions;
  readonly #timeline = new Timeline();
  readonly #checkpoints = new Checkpoints();
  #state: BookState | null = null;
  #opening: Observed | null = null;
  /** Hours that begin before it were worked out backwards. */
  #openedAtMs: number | null = null;
  #nextHourMs: number | null = null;
  #floorMs: number | null = null;

  constructor(options: BookOptions) {
    this.#options = options;
  }

  get nextHourMs(): number | null {
    return this.#nextHourMs;
  }

  get floorMs(): number | null {
    return this.#floorMs;
  }

  get pendingFromMs(): number {
    return this.#timeline.pendingFromMs;
  }

  apply(record: BookRecord): Applied {
    const event = eventOf(record, this.#options.marginPositions ?? false);
    if (event === null) return 'too_precise';
    const toldHour = this.#timeline.hourOfKey(event.key);
    if (toldHour !== null) return this.#again(event);
    if (!this.#isOpen(event.atMs)) {
      const isOnWay = event.kind === 'flow' && event.status === 'pending' && !isCounted(event);
      return isOnWay && this.#timeline.expect(event) ? 'uncounted' : 'settled';
    }
    this.#timeline.put(event);
    return isCounted(event) ? this.#placed(event.atMs) : 'uncounted';
  }

  timeOf(record: BookRecord, hasMoved = false): number {
    const event = record.kind === 'flow' ? eventOf(record, false) : null;
    if (event === null) return record.timeMs;
    const known = this.#timeline.find(event.key);
    const atMs = known !== null && isCounted(event) && !isCounted(known) ? null : known?.atMs;
    const hour = isCounted(event) && !hasMoved ? null : this.#timeline.hourOfKey(event.key);
    return atMs ?? hour ?? record.timeMs;
  }

  observe(observation: Observation): Applied {
    const observed = observedOf(observation, this.#options.marginPositions ?? false);
    if (observed === null) return 'too_precise';
    const hour = hourOf(observed.atMs);
    const isUnclear = this.#state === null && this.#opening !== null && this.#isBusy(this.#opening);
    if ((this.#opening === null && this.#nextHourMs === null) || isUnclear) {
      this.#opening = observed;
      this.#openedAtMs = observed.atMs;
      this.#nextHourMs = this.#firstHourMs(observed);
      this.#floorMs = this.#nextHourMs;
    }
    if (this.#state !== null && hour < (this.#nextHourMs ?? 0)) return 'settled';
    this.#timeline.observe(observed);
    return 'new';
  }

  needs(fromMs: number, toMs: number): readonly PriceQuestion[] {
    const opening = this.#state === null ? this.#opening : null;
    const observed = this.#timeline.observations(fromMs).filter(({ atMs }) => atMs < toMs);
    const events = this.#timeline.all(fromMs).filter(({ atMs }) => atMs < toMs);
    return questionsOf({
      fromMs,
      toMs,
      pricedIn: this.#options.pricedIn,
      state: this.#state,
      observed: opening === null ? observed : [opening, ...observed],
      events: events.filter(isCounted),
    });
  }

  closeHour(startMs: number, table: PriceTable, coverage: HourCoverage): HourFigures {
    if (startMs !== this.#nextHourMs) throw new RangeError('hours are closed in their order');
    const opens = this.#state === null;
    const state = this.#state ?? this.#open(startMs);
    if (!opens) this.#checkpoints.keep(startMs, state);
    this.#state = state;
    const { referenceOf, digestKey } = this.#options;
    const told = this.#toldOf(startMs);
    const prices = new HourPrices(table, state, digestKey);
    const figures = runHour(state, prices, {
      startMs,
      ...told,
      coverage,
      rebuilt: startMs < (this.#openedAtMs ?? 0),
      opens,
      ...(referenceOf === undefined ? {} : { referenceOf }),
    });
    if (!opens) this.#checkpoints.keepHour(startMs, { told, prices: prices.used() });
    this.#nextHourMs = startMs + HOUR_MS;
    this.#settle(this.#nextHourMs - (this.#options.keepHours ?? DEFAULT_KEEP_HOURS) * HOUR_MS);
    return figures;
  }

  reopen(atMs: number): readonly number[] | null {
    const until = this.#nextHourMs;
    const hourMs = hourOf(atMs);
    if (until === null || !this.#isOpenAt(hourMs)) return null;
    const beforeMs = hourMs - HOUR_MS;
    const isSeen = this.#isSeenBefore(hourMs) && this.#isOpenAt(beforeMs);
    const startMs = isSeen ? beforeMs : hourMs;
    let from = startMs;
    if (this.#opening !== null && startMs <= hourOf(this.#opening.fromMs)) {
      // What was held before it follows from other records now.
      from = Math.min(this.#firstHourMs(this.#opening), this.#floorMs ?? Infinity);
      this.#state = null;
      this.#floorMs = from;
      this.#checkpoints.dropFrom(0);
    } else {
      if (startMs >= until) return [];
      const before = this.#checkpoints.before(startMs);
      if (before === null) return null;
      from = before.hourMs;
      this.#state = before.state;
    }
    this.#checkpoints.dropFrom(from);
    this.#nextHourMs = from;
    return Array.from(
      { length: Math.max(0, until - from) / HOUR_MS },
      (_, at) => from + at * HOUR_MS,
    );
  }

  encode(): Uint8Array {
    const nextHourMs = this.#nextHourMs;
    const baseMs = Math.max(this.#floorMs ?? 0, this.#restartFloorMs(nextHourMs ?? 0));
    const base = this.#state === null ? null : this.#checkpoints.base(baseMs);
    const fromMs = this.#state === null ? 0 : (base?.hourMs ?? nextHourMs ?? 0);
    const open = this.#timeline.all(fromMs);
    const kept = this.#timeline.all(0).filter((event) => {
      // What came after all is known by its later hour.
      return event.atMs < fromMs && this.#timeline.find(event.key) === event;
    });
    // Of what a restart settles: with what is settled already, all that is waited for.
    const settledMs = base === null ? fromMs : Math.max(fromMs, baseMs);
    const pending = this.#timeline.pendingEvents(0, settledMs);
    // Of hours that are open these are what may come into them.
    const openKeys = new Set(open.map(({ key }) => key));
    const byHour = new Map<number, string[]>();
    for (const [hour, keys] of this.#timeline.settledKeys) {
      const own = keys.filter((key) => hour < fromMs || !openKeys.has(key));
      if (own.length > 0) byHour.set(hour, own);
    }
    for (const { key, atMs } of kept) {
      const hour = hourOf(atMs);
      byHour.set(hour, [...(byHour.get(hour) ?? []), key]);
    }
    return encodeBook({
      nextHourMs,
      openedAtMs: this.#openedAtMs,
      opening: this.#state === null ? (this.#opening?.observation ?? null) : null,
      records: open.map(({ record }) => record),
      observations: this.#timeline.observations(fromMs).map(({ observation }) => observation),
      settled: [...byHour].sort(([a], [b]) => a - b),
      pending: [...this.#timeline.pendingKeys, ...pending.map(({ key }) => key)].sort(),
      state: this.#state,
      base,
    });
  }

  /** Null for bytes that no encode() of this version gave. */
  static parse(bytes: Uint8Array, options: BookOptions): AccountBook | null {
    const saved = parseBook(bytes);
    const book = new AccountBook(options);
    return saved !== null && book.#restore(saved) ? book : null;
  }

  #restore(saved: SavedBook): boolean {
    const margin = this.#options.marginPositions ?? false;
    this.#timeline.restore(saved.settled, saved.pending);
    for (const record of saved.records) {
      const event = eventOf(record, margin);
      if (event === null) return false;
      this.#timeline.put(event);
    }
    for (const observation of saved.observations) {
      const observed = observedOf(observation, margin);
      if (observed === null) return false;
      this.#timeline.observe(observed);
    }
    this.#opening = saved.opening === null ? null : observedOf(saved.opening, margin);
    if (saved.opening !== null && this.#opening === null) return false;
    // Without a state the book is not open yet, or opens again with the next hour.
    if (saved.state === null && (saved.nextHourMs === null) !== (saved.opening === null))
      return false;
    this.#state = saved.state;
    this.#openedAtMs = saved.openedAtMs;
    this.#nextHourMs = saved.nextHourMs;
    this.#floorMs = saved.nextHourMs;
    if (saved.base !== null) {
      const baseMs = saved.base.hourMs;
      this.#floorMs = Math.max(baseMs, this.#restartFloorMs(saved.nextHourMs ?? 0));
      this.#checkpoints.restore(saved.base);
      this.#timeline.settle(this.#floorMs, baseMs);
      this.#timeline.waitFor(saved.pending);
    }
    return true;
  }

  /** A day back, or as far as hours are kept. */
  #restartFloorMs(nextHourMs: number): number {
    const keepHours = this.#options.keepHours ?? DEFAULT_KEEP_HOURS;
    return nextHourMs - Math.min(RESTART_KEEP_HOURS, keepHours) * HOUR_MS;
  }

  /** A record whose key is known: only the status of a flow, or a name for its transaction, can change anything. */
  #again(event: BookEvent): Applied {
    const { key } = event;
    const known = this.#timeline.find(key);
    if (event.kind !== 'flow') return 'repeated';
    if (known === null) {
      if (event.status === 'pending') return 'repeated';
      const isIn = event.amount > 0n && isCounted(event);
      if (isIn && this.#timeline.isPending(key)) return this.#came(event);
      this.#timeline.finish(key);
      // It comes too late for the hours that are kept: whether it counted in them, what is stored says.
      return 'settled';
    }
    if (known.kind !== 'flow') return 'repeated';
    // A withdrawal has no transaction before it is sent.
    const isNamed = known.networkId === null && event.networkId !== null;
    if (known.status === event.status && !isNamed) return 'repeated';
    const [before, after] = [isCounted(known), isCounted(event)];
    if (before === after) {
      // What is through stays as it was told then; on its way it may have been told without what it costs.
      const told = known.status === 'ok' && event.status !== 'ok' ? known : event;
      const { atMs } = known;
      const networkId = known.networkId ?? event.networkId;
      const isOther = after && (isNamed || moneyOf(known) !== moneyOf(told));
      if (isOther && !this.#isOpen(atMs)) {
        // What was worked out from it, or is settled, stays; nobody waits for it any more.
        const { status } = told;
        const record = { ...known.record, status, networkId };
        this.#timeline.replace({ ...known, status, networkId, record });
        return moneyOf(known) === moneyOf(told) ? 'repeated' : 'settled';
      }
      const record = { ...told.record, timeMs: atMs, networkId };
      this.#timeline.replace({ ...told, atMs, networkId, record });
      return isOther ? this.#placed(atMs) : 'repeated';
    }
    if (known.status === 'pending' && after) return this.#came(event);
    const atMs = before ? known.atMs : event.atMs;
    if (!this.#isOpen(atMs)) return 'settled';
    this.#timeline.replace({ ...event, atMs, record: { ...event.record, timeMs: atMs } });
    return this.#placed(atMs);
  }

  /** A deposit that was on its way came after the last poll that did not have it, whatever time the venue gives it. */
  #came(event: Movement): Applied {
    const atMs = Math.max(event.atMs, (this.#timeline.lastObserved?.atMs ?? 0) + 1);
    if (!this.#isOpenAt(hourOf(atMs))) return 'settled';
    this.#timeline.replace({ ...event, atMs, record: { ...event.record, timeMs: atMs } });
    return this.#placed(atMs);
  }

  #toldOf(startMs: number): ToldHour {
    const nextMs = startMs + HOUR_MS;
    const observed = this.#timeline.observed(startMs);
    const endsMs = observed?.endsMs ?? 0;
    return {
      events: this.#timeline.events(startMs),
      observed,
      next: this.#timeline.observed(nextMs),
      ahead: endsMs < nextMs ? NO_EVENTS : this.#eventsUntil(nextMs, endsMs),
    };
  }

  #eventsUntil(hourMs: number, endsMs: number): readonly BookEvent[] {
    return this.#timeline.events(hourMs).filter(({ atMs }) => atMs <= endsMs);
  }

  /** Whether what happens then can still count. What was there before an opening that is let go of cannot be worked out again. */
  #isOpen(atMs: number): boolean {
    const isBefore = this.#opening === null && atMs <= (this.#openedAtMs ?? 0);
    return !isBefore && this.#isOpenAt(hourOf(atMs));
  }

  /** Whether an hour is not settled. */
  #isOpenAt(hourMs: number): boolean {
    if (this.#floorMs === null || hourMs >= this.#floorMs) return true;
    return this.#opening !== null && hourMs >= historyOf(this.#opening);
  }

  #placed(atMs: number): Applied {
    const nextHourMs = this.#nextHourMs;
    if (nextHourMs === null) return 'new';
    if (this.#state === null && this.#opening !== null) {
      this.#nextHourMs = Math.min(nextHourMs, this.#firstHourMs(this.#opening));
      this.#floorMs = this.#nextHourMs;
      return 'new';
    }
    const isHistory = this.#opening !== null && atMs <= this.#opening.fromMs;
    const isClosed = hourOf(atMs) < nextHourMs;
    const isSeen = hourOf(atMs) === nextHourMs && this.#isSeenBefore(atMs);
    return isHistory || isClosed || isSeen ? 'late' : 'new';
  }

  /** What the hour before has been compared with may have had in it already what happened at this time. */
  #isSeenBefore(atMs: number): boolean {
    return (this.#timeline.observed(hourOf(atMs) - HOUR_MS)?.endsMs ?? 0) >= atMs;
  }

  /** Something happened while the venue was asked: what was there before is not certain. */
  #isBusy({ beginsMs, endsMs }: Observed): boolean {
    const events = this.#timeline.all(hourOf(beginsMs)).filter(isCounted);
    return events.some(({ atMs }) => atMs >= beginsMs && atMs <= endsMs);
  }

  #firstHourMs(opening: Observed): number {
    const own = hourOf(opening.fromMs);
    return Math.min(own, this.#timeline.firstHourMs(historyOf(opening)) ?? own);
  }

  #open(startMs: number): BookState {
    const opening = this.#opening;
    if (opening === null) throw new RangeError('a book without an opening has no hours');
    const events = this.#timeline.all(startMs).filter(isCounted);
    return openingOf(
      opening,
      events.filter(({ atMs }) => atMs <= opening.fromMs),
    );
  }

  #settle(floorMs: number): void {
    // The way back to the opening is kept with all of its hours.
    if (this.#opening !== null && floorMs <= hourOf(this.#opening.fromMs)) return;
    if (floorMs <= (this.#floorMs ?? 0)) return;
    this.#opening = null;
    this.#floorMs = floorMs;
    this.#timeline.settle(floorMs, this.#checkpoints.dropBefore(floorMs));
  }
}

function historyOf({ fromMs }: Observed): number {
  return hourOf(fromMs) - MAX_HISTORY_MS;
}
