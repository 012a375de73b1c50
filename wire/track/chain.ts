// The chain of one account's statements: is this list what the enclaves signed, all of it, once, and in its order? Signatures
// are checked elsewhere; with them, who has the list can still leave out, repeat, reorder or mix, and each of these is a
// closed code here. Pure, and in one pass: what is kept is one row for each hour and day. What has been cut off at the end
// cannot be seen from the list alone: whoever knows a head compares it.

import { equalBytes } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import { parseOrigin } from '../header.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { TrackAccount } from './head.ts';
import { DAY_MS, HOUR_MS } from './head.ts';
import type { ChainPlace } from './statement.ts';
import { parseChainPlace } from './statement.ts';

export interface ChainHead {
  /** 0 where there is no statement yet. */
  readonly counter: number;
  /** SHA-256 of the last statement. */
  readonly hash: Uint8Array | null;
}

type Period = 'hour' | 'snapshot';

/** Numbers in a row; 4 or 8 bytes each, so that ten years of hours are cheap. */
class Numbers {
  #values: Int32Array | Float64Array;
  length = 0;

  constructor(values: Int32Array | Float64Array) {
    this.#values = values;
  }

  at(index: number): number | null {
    return index >= 0 && index < this.length ? (this.#values[index] ?? null) : null;
  }

  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const grown = this.#values.length * 2;
      const isWide = this.#values instanceof Float64Array;
      const values = isWide ? new Float64Array(grown) : new Int32Array(grown);
      values.set(this.#values);
      this.#values = values;
    }
    this.#values[this.length++] = value;
  }
}

/** The hours, or the days, of a chain: they have no gap, so that a place says which one it is. */
class Periods {
  readonly stepMs: number;
  firstMs: number | null = null;
  /** The counter that holds. */
  readonly counters = new Numbers(new Int32Array(32));

  constructor(stepMs: number) {
    this.stepMs = stepMs;
  }

  get lastMs(): number | null {
    const { firstMs, counters, stepMs } = this;
    return firstMs === null ? null : firstMs + (counters.length - 1) * stepMs;
  }

  indexOf(atMs: number): number {
    return this.firstMs === null ? -1 : (atMs - this.firstMs) / this.stepMs;
  }

  counterOf(atMs: number): number | null {
    return this.counters.at(this.indexOf(atMs));
  }

  append(atMs: number, counter: number): void {
    this.firstMs ??= atMs;
    this.counters.push(counter);
  }

  clear(): void {
    this.firstMs = null;
    this.counters.length = 0;
  }
}

/** Of each hash as many bytes are kept: enough to tell one statement from another. */
const KEPT_HASH_BYTES = 16;
/** In place of a period: the statement is not here. */
const LOST = Infinity;

/** Takes the statements of one chain, one after the other, from its first. 32 bytes are kept of each. */
export class ChainCheck {
  readonly #crypto: Pick<WireCrypto, 'sha256'>;
  #account: TrackAccount | null;
  #hashes: Uint8Array = new Uint8Array(32 * KEPT_HASH_BYTES);
  #head: ChainHead = { counter: 0, hash: null };
  readonly #hours = new Periods(HOUR_MS);
  readonly #days = new Periods(DAY_MS);
  /** By counter - 1: an hour's start, a midnight as a negative number, NaN for a revocation, or LOST. */
  readonly #periods = new Numbers(new Float64Array(32));
  /** By counter - 1: what is superseded, the first that is taken back, or 0. */
  readonly #earlier = new Numbers(new Int32Array(32));
  readonly #epochs = new Map<string, number>();
  #ended = false;

  /** With `account` the first statement has to be about it already. */
  constructor(crypto: Pick<WireCrypto, 'sha256'>, account: TrackAccount | null = null) {
    this.#crypto = crypto;
    this.#account = account;
  }

  get head(): ChainHead {
    return this.#head;
  }

  /** Start of the first hour; null before it. */
  get firstHourMs(): number | null {
    return this.#hours.firstMs;
  }

  /** Start of the newest hour; null before the first. */
  get lastHourMs(): number | null {
    return this.#hours.lastMs;
  }

  /** Time of the first snapshot; null before it. */
  get firstSnapshotMs(): number | null {
    return this.#days.firstMs;
  }

  /** Time of the newest snapshot; null before the first. */
  get lastSnapshotMs(): number | null {
    return this.#days.lastMs;
  }

  /** The chain was revoked: nothing follows. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether these bytes are the statement at this place. */
  has(counter: number, bytes: Uint8Array): boolean {
    return (
      counter >= 1 &&
      counter <= this.#head.counter &&
      this.#isKept(counter, this.#crypto.sha256(bytes))
    );
  }

  /** It was signed, and is not in the list: a revocation behind it says so. */
  isLost(counter: number): boolean {
    return this.#periods.at(counter - 1) === LOST;
  }

  /** Whether a statement with this hash may be at this place: of one that is lost nobody can tell. */
  agrees(counter: number, hash: Uint8Array): boolean {
    return this.isLost(counter) || (counter <= this.#head.counter && this.#isKept(counter, hash));
  }

  /** The counter that holds for an hour or a day now; null where there is none, or it was taken back. */
  effective(kind: Period, atMs: number): number | null {
    return this.#of(kind).counterOf(atMs);
  }

  /** Whether an hour or a day of this chain holds: it was not superseded, and not taken back. */
  holds(statement: ChainPlace): boolean {
    const { kind, counter } = statement;
    if (kind === 'revocation') return false;
    const atMs = kind === 'hour' ? statement.figures.startMs : statement.atMs;
    return this.effective(kind, atMs) === counter;
  }

  #of(kind: Period): Periods {
    return kind === 'hour' ? this.#hours : this.#days;
  }

  #isKept(counter: number, hash: Uint8Array): boolean {
    const at = (counter - 1) * KEPT_HASH_BYTES;
    const kept = this.#hashes.subarray(at, at + KEPT_HASH_BYTES);
    return equalBytes(kept, hash.subarray(0, KEPT_HASH_BYTES));
  }

  #keep(hash: Uint8Array | null): void {
    const at = this.#head.counter * KEPT_HASH_BYTES;
    if (at === this.#hashes.length) {
      const grown = new Uint8Array(at * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    if (hash !== null) this.#hashes.set(hash.subarray(0, KEPT_HASH_BYTES), at);
    this.#head = { counter: this.#head.counter + 1, hash };
  }

  /**
   * Refuses `chain_splice`, `chain_duplicate`, `chain_fork`, `chain_hole`, `chain_previous`, `chain_ended`,
   * `chain_order`, `chain_supersedes`; nothing is taken of what is refused. `hash`: SHA-256 of `bytes`.
   */
  add(
    bytes: Uint8Array,
    statement: ChainPlace,
    hash: Uint8Array = this.#crypto.sha256(bytes),
  ): Result<null> {
    const { counter } = statement;
    const placed = this.#checkPlace(hash, statement);
    if (!placed.ok) return placed;
    if (this.#ended) return refuse('chain_ended', { counter });
    const ordered = this.#checkOrigin(statement);
    if (!ordered.ok) return ordered;
    const taken = statement.kind === 'revocation' ? accept(0) : this.#superseded(statement);
    if (!taken.ok) return taken;
    if (statement.kind === 'revocation') this.#revoke(statement);
    const parsed = parseOrigin(statement.origin);
    if (parsed !== null) this.#epochs.set(parsed.logId, parsed.epoch);
    this.#account ??= accountOf(statement);
    this.#periods.push(periodKey(statement));
    this.#earlier.push(statement.kind === 'revocation' ? (statement.lost?.from ?? 0) : taken.value);
    this.#keep(hash);
    this.#hold(counter);
    return accept(null);
  }

  #checkPlace(hash: Uint8Array, statement: ChainPlace): Result<null> {
    const { counter, previous } = statement;
    const last = this.#head.counter;
    if (this.#account !== null && !isSameAccount(this.#account, statement)) {
      return refuse('chain_splice', { counter });
    }
    if (counter <= last) {
      return refuse(this.#isKept(counter, hash) ? 'chain_duplicate' : 'chain_fork', { counter });
    }
    if (counter > last + 1) {
      const isLost =
        statement.kind === 'revocation' && (statement.lost?.from ?? counter) <= last + 1;
      return isLost ? accept(null) : refuse('chain_hole', { expected: last + 1, actual: counter });
    }
    const before = this.#head.hash;
    const follows =
      before === null || previous === null ? before === previous : equalBytes(before, previous);
    return follows ? accept(null) : refuse('chain_previous', { counter });
  }

  /** Epochs of one log never go back. */
  #checkOrigin({ origin, counter }: ChainPlace): Result<null> {
    const parsed = parseOrigin(origin);
    if (parsed === null) return refuse('chain_order', { counter, what: 'origin' });
    const { logId, epoch } = parsed;
    if (epoch < (this.#epochs.get(logId) ?? 0)) {
      return refuse('chain_order', { counter, what: 'epoch' });
    }
    return accept(null);
  }

  /** The counter that this one supersedes, or 0. */
  #superseded(statement: Exclude<ChainPlace, { kind: 'revocation' }>): Result<number> {
    const { kind, counter, supersedes } = statement;
    const atMs = kind === 'hour' ? statement.figures.startMs : statement.atMs;
    if (supersedes === null) {
      return this.#follows(kind, atMs) ? accept(0) : refuse('chain_order', { counter, what: kind });
    }
    return this.#of(kind).counterOf(atMs) === supersedes.counter
      ? accept(supersedes.counter)
      : refuse('chain_supersedes', { counter, supersedes: supersedes.counter });
  }

  /** Hours are never left out, and a day's snapshot comes when all its hours are there, and before the next. */
  #follows(kind: Period, atMs: number): boolean {
    const lastHourMs = this.#hours.lastMs;
    if (kind === 'hour') return lastHourMs === null || atMs === lastHourMs + HOUR_MS;
    if (lastHourMs === null || lastHourMs + HOUR_MS < atMs) return false;
    const lastDayMs = this.#days.lastMs;
    return lastDayMs === null || atMs === lastDayMs + DAY_MS;
  }

  #revoke({ counter, lost }: Extract<ChainPlace, { kind: 'revocation' }>): void {
    if (lost === null) {
      this.#ended = true;
      return;
    }
    const last = this.#head.counter;
    while (this.#head.counter < counter - 1) {
      this.#periods.push(LOST);
      this.#earlier.push(0);
      this.#keep(null);
    }
    if (lost.from <= last) this.#goBack(lost.from - 1);
  }

  /** What holds is what held behind the statement `until`: what was lost by then does not count. */
  #goBack(until: number): void {
    this.#hours.clear();
    this.#days.clear();
    const counters: number[] = [];
    for (let counter = until; counter > 0; counter--) {
      const from = this.#earlier.at(counter - 1) ?? 0;
      if (Number.isNaN(this.#periods.at(counter - 1) ?? 0)) counter = Math.min(counter, from);
      else counters.push(counter);
    }
    for (const counter of counters.toReversed()) this.#hold(counter);
  }

  #hold(counter: number): void {
    const period = this.#periods.at(counter - 1) ?? LOST;
    if (Number.isNaN(period) || period === LOST) return;
    const periods = this.#of(period < 0 ? 'snapshot' : 'hour');
    const atMs = Math.abs(period);
    if (this.#earlier.at(counter - 1) === 0) periods.append(atMs, counter);
    else periods.counters.set(periods.indexOf(atMs), counter);
  }
}

function periodKey(statement: ChainPlace): number {
  if (statement.kind === 'revocation') return Number.NaN;
  return statement.kind === 'hour' ? statement.figures.startMs : -statement.atMs;
}

function accountOf({ accountCommitment, venue, environment }: TrackAccount): TrackAccount {
  return { accountCommitment: Uint8Array.from(accountCommitment), venue, environment };
}

function isSameAccount(a: TrackAccount, b: TrackAccount): boolean {
  return (
    a.venue === b.venue &&
    a.environment === b.environment &&
    equalBytes(a.accountCommitment, b.accountCommitment)
  );
}

/**
 * The whole list, from the first statement of an account. Refuses what `ChainCheck.add` refuses, and what
 * `parseChainPlace` does.
 */
export function checkChain(
  crypto: Pick<WireCrypto, 'sha256'>,
  statements: readonly Uint8Array[],
  account: TrackAccount | null = null,
): Result<ChainCheck> {
  const chain = new ChainCheck(crypto, account);
  for (const bytes of statements) {
    const parsed = parseChainPlace(bytes);
    if (!parsed.ok) return parsed;
    const added = chain.add(bytes, parsed.value);
    if (!added.ok) return added;
  }
  return accept(chain);
}
