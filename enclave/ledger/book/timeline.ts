// What has been told of an account and is not settled: events by hour, each once whatever order they come in, and the
// last complete observation of each hour. Ids of settled hours are kept for a while, because venues tell them again.

import { HOUR_MS } from '../../../wire/track/figures.ts';
import type { BookEvent } from './event.ts';
import { compareEvents, isCounted } from './event.ts';
import type { Observed } from './observed.ts';

/** Hours whose ids are remembered after they were settled, and how many ids in all. */
export const MAX_SEEN_HOURS: number = 14 * 24;
export const MAX_SEEN = 200_000;
/**
 * What is pending is asked for by connectors for 30 days, and a resync has to begin before it: its ids stay for longer than
 * others, unless there are more than so many, which no account has.
 */
export const MAX_PENDING_HOURS: number = 30 * 24;
export const MAX_PENDING = 1000;

export function hourOf(atMs: number): number {
  return atMs - (atMs % HOUR_MS);
}

export class Timeline {
  readonly #hours = new Map<number, BookEvent[]>();
  readonly #observed = new Map<number, Observed>();
  /** The event of a key, or the hour that it was in when that was settled. */
  readonly #seen = new Map<string, BookEvent | number>();
  /** Keys of settled hours. */
  readonly #settled = new Map<number, string[]>();
  /** Of those, what was not final. */
  readonly #pending = new Set<string>();
  /** No hour before it has anything that is not settled, or anything at all. */
  #fromMs = Infinity;
  #keptMs = Infinity;

  /** The hour in which a key was told; null: never, or too long ago. */
  hourOfKey(key: string): number | null {
    const known = this.#seen.get(key);
    if (known === undefined) return null;
    return typeof known === 'number' ? known : hourOf(known.atMs);
  }

  /** Of a key that is not settled. */
  find(key: string): BookEvent | null {
    const known = this.#seen.get(key);
    return known === undefined || typeof known === 'number' ? null : known;
  }

  /** In the place of the one of the same key. */
  replace(event: BookEvent): void {
    const known = this.find(event.key);
    const events = known === null ? [] : (this.#hours.get(hourOf(known.atMs)) ?? []);
    if (known !== null) events.splice(events.indexOf(known), 1);
    this.put(event);
  }

  /** Of a key that is new. */
  put(event: BookEvent): void {
    const hour = hourOf(event.atMs);
    const events = this.#hours.get(hour);
    if (events === undefined) this.#hours.set(hour, [event]);
    else events.push(event);
    this.#note(hour);
    this.#seen.set(event.key, event);
    this.#pending.delete(event.key);
  }

  /** It belongs to the hour in which it was over. */
  observe(observed: Observed): void {
    const hour = hourOf(observed.atMs);
    const known = this.#observed.get(hour);
    if (known === undefined || known.atMs <= observed.atMs) this.#observed.set(hour, observed);
    this.#note(hour);
  }

  observed(hourMs: number): Observed | null {
    return this.#observed.get(hourMs) ?? null;
  }

  get lastObserved(): Observed | null {
    const lastMs = Math.max(...this.#observed.keys());
    return this.#observed.get(lastMs) ?? null;
  }

  /** Sorted, those that count. */
  events(hourMs: number): readonly BookEvent[] {
    const counted: BookEvent[] = [];
    for (const event of this.#hours.get(hourMs) ?? []) if (isCounted(event)) counted.push(event);
    return counted.sort(compareEvents);
  }

  /** Everything that is kept from an hour on, counted or not; sorted. */
  all(fromMs: number): readonly BookEvent[] {
    const all: BookEvent[] = [];
    for (const [hour, events] of this.#hours) {
      if (hour >= fromMs) for (const event of events) all.push(event);
    }
    return all.sort(compareEvents);
  }

  observations(fromMs: number): readonly Observed[] {
    const kept = [...this.#observed].filter(([hour]) => hour >= fromMs);
    return kept.sort(([a], [b]) => a - b).map(([, observed]) => observed);
  }

  /** The first hour, not before `fromMs`, that has an event that counts. */
  firstHourMs(fromMs: number): number | null {
    let first: number | null = null;
    for (const [hour, events] of this.#hours) {
      if (hour < fromMs || (first !== null && hour >= first)) continue;
      if (events.some(isCounted)) first = hour;
    }
    return first;
  }

  /**
   * Of everything before `floorMs` the ids are known for a while, and no more; what is not before `keepMs` stays for hours
   * that are closed again on the way to later ones.
   */
  settle(floorMs: number, keepMs: number = floorMs): void {
    // Mostly it is the one hour.
    if (floorMs - this.#fromMs === HOUR_MS) this.#settleHour(this.#fromMs);
    else for (const hour of this.#hours.keys()) if (hour < floorMs) this.#settleHour(hour);
    this.#fromMs = Math.max(this.#fromMs, floorMs);
    if (keepMs > this.#keptMs) this.#dropBefore(keepMs);
    for (const [hour, keys] of this.#settled) {
      const isOld = hour < floorMs - MAX_SEEN_HOURS * HOUR_MS;
      if (!isOld && this.#seen.size <= MAX_SEEN) break;
      const isOver = hour < floorMs - MAX_PENDING_HOURS * HOUR_MS;
      const isWaitedFor = !isOver && this.#pending.size <= MAX_PENDING;
      const kept: string[] = [];
      for (const key of keys) {
        if (isWaitedFor && this.#pending.has(key)) kept.push(key);
        else this.#forget(key, hour);
      }
      if (kept.length === 0) this.#settled.delete(hour);
      else this.#settled.set(hour, kept);
    }
  }

  #note(hour: number): void {
    if (hour < this.#fromMs) this.#fromMs = hour;
    if (hour < this.#keptMs) this.#keptMs = hour;
  }

  #dropBefore(keepMs: number): void {
    for (const kept of [this.#hours, this.#observed]) {
      for (const hour of kept.keys()) if (hour < keepMs) kept.delete(hour);
    }
    this.#keptMs = keepMs;
  }

  #settleHour(hour: number): void {
    const events = this.#hours.get(hour);
    if (events === undefined) return;
    const keys = this.#settled.get(hour) ?? [];
    for (const event of events) {
      const { key } = event;
      // It is settled already, or came after all in a later hour.
      if (this.#seen.get(key) !== event) continue;
      keys.push(key);
      this.#seen.set(key, hour);
      if (event.kind === 'flow' && event.status === 'pending') this.#pending.add(key);
    }
    this.#settled.set(hour, keys);
  }

  /** A deposit that came since is of a later hour, and known for as long as that. */
  #forget(key: string, hour: number): void {
    if (this.#seen.get(key) !== hour) return;
    this.#seen.delete(key);
    this.#pending.delete(key);
  }

  /** Of a key that is new, in an hour that is settled: it may come. False: of so long ago keys are not known any more. */
  expect({ key, atMs }: BookEvent): boolean {
    const hour = hourOf(atMs);
    if (hour < this.#fromMs - MAX_SEEN_HOURS * HOUR_MS) return false;
    this.#seen.set(key, hour);
    this.#pending.add(key);
    const settled = [...this.#settled, [hour, [...(this.#settled.get(hour) ?? []), key]] as const];
    this.#settled.clear();
    for (const [one, keys] of settled.toSorted(([a], [b]) => a - b))
      this.#settled.set(one, [...keys]);
    return true;
  }

  /** Whether a settled key was told as pending, and may turn out otherwise. */
  isPending(key: string): boolean {
    return this.#pending.has(key);
  }

  /** Of settled keys these alone. */
  waitFor(keys: readonly string[]): void {
    this.#pending.clear();
    for (const key of keys) this.#pending.add(key);
  }

  /** A settled key was told as final: nobody waits for it any more. */
  finish(key: string): void {
    this.#pending.delete(key);
  }

  /** The oldest flow that was told as pending, settled or not; Infinity: none. */
  get pendingFromMs(): number {
    let firstMs = Infinity;
    for (const key of this.#pending) firstMs = Math.min(firstMs, this.hourOfKey(key) ?? Infinity);
    for (const { atMs } of this.pendingEvents(0, Infinity)) firstMs = Math.min(firstMs, atMs);
    return firstMs;
  }

  /** Flows of a span that were told as pending and are not settled. */
  pendingEvents(fromMs: number, toMs: number): readonly BookEvent[] {
    const pending: BookEvent[] = [];
    for (const [hour, events] of this.#hours) {
      if (hour < fromMs || hour >= toMs) continue;
      for (const event of events) {
        const isPending = event.kind === 'flow' && event.status === 'pending';
        if (isPending && this.find(event.key) === event) pending.push(event);
      }
    }
    return pending;
  }

  get pendingKeys(): readonly string[] {
    return [...this.#pending].sort();
  }

  /** For the state: ids of settled hours, oldest first. */
  get settledKeys(): readonly (readonly [number, readonly string[]])[] {
    return [...this.#settled].sort(([a], [b]) => a - b);
  }

  restore(
    settled: readonly (readonly [number, readonly string[]])[],
    pending: readonly string[],
  ): void {
    for (const [hourMs, keys] of settled) {
      this.#settled.set(hourMs, [...keys]);
      for (const key of keys) this.#seen.set(key, hourMs);
    }
    for (const key of pending) this.#pending.add(key);
  }
}
