// The track record of one account: what its polls bring goes into the store and the book, and hours that are over become
// statements, without a hole. An hour is closed by the first complete poll that began after it, or without one when its
// grace is over; what is told after that corrects exactly the hours that change. One thing at a time, in the order of its
// coming; a crash between any two steps loses nothing that was told to be taken.

import type { Refusal, Result } from '../../../wire/result.ts';
import { accept } from '../../../wire/result.ts';
import type { ChainCheck } from '../../../wire/track/chain.ts';
import { HOUR_MS } from '../../../wire/track/head.ts';
import { MAX_LOST_COUNTER } from '../../../wire/track/signing.ts';
import type { Applied, BookRecord } from '../book/contract.ts';
import { CLOCK_SLACK_MS } from '../book/observed.ts';
import type { LedgerAccount, LedgerMissed } from '../protocol.ts';
import type { TakenPoll } from '../services.ts';
import type { StoredPoll, StoredPollRecord, StoredRecord, StoredState } from '../store/contract.ts';
import { trackAccountOf } from '../store/postgres-store.ts';
import { CoverageLog, hourOf, KEPT_HOURS, momentOf } from './hour-coverage.ts';
import type { OpenedAccount } from './load-account.ts';
import { loadAccount } from './load-account.ts';
import { endOf, lossOf } from './loss.ts';
import type { AskedPrices } from './price-questions.ts';
import { askPrices } from './price-questions.ts';
import { Redo } from './redo.ts';
import { CORRECTED_HOURS, StatedHours } from './stated-hours.ts';
import type { AccountTrackOptions, Reached, TrackBook } from './account-parts.ts';
import { insist, isTemporary, missedOf, observedIn, resyncFromMs } from './account-parts.ts';
import { isBooked, syncOf } from './account-parts.ts';
import type { Pending } from './statements.ts';
import { addRows, signMade, StatementMaker } from './statements.ts';
import { MAX_HOURS, StateCandidate, stateOf } from './track-state.ts';
import type { Lacking } from './unbooked.ts';
import { LATE_UNBOOKED, readerOf, stateUnbooked, Unbooked } from './unbooked.ts';

/** Hours that one round closes, with prices asked for together. */
const MAX_ROUND_HOURS = 24;
/** A new account is polled from its beginning anyway. */
const NEW_ACCOUNT_MS = 600_000;

export class AccountTrack {
  readonly account: LedgerAccount;
  readonly #options: AccountTrackOptions;
  readonly #stated = new StatedHours();
  readonly #unbooked: Unbooked;
  #book: TrackBook;
  #coverage: CoverageLog;
  #chain: ChainCheck | null = null;
  #recordCount = 0;
  #statedRecords = 0;
  #sync: StoredPoll | null = null;
  #reached: Reached = { outcome: 'missed', startedMs: 0 };
  #closed = this.#reached;
  readonly #sums = { records: 0, hours: 0 };
  #resynced = { atMs: -HOUR_MS, sinceMs: 0 };
  #loadedMs = 0;
  #loadedCounter = 0;
  readonly #openedMs: number;
  readonly #redo = new Redo();
  readonly #states = new StateCandidate();
  #pending: Pending | null = null;
  /** Why nothing is stated any more. */
  #refusal: Refusal | null = null;

  constructor(options: AccountTrackOptions) {
    this.#options = options;
    this.account = options.account;
    this.#book = options.books.open(options.account);
    this.#unbooked = new Unbooked(options.account);
    this.#coverage = new CoverageLog(options.services.origin);
    this.#openedMs = options.services.nowMs();
  }

  /** Null before it is loaded, and while what was lost behind it is not said. */
  get chain(): ChainCheck | null {
    const counter = this.#chain?.head.counter ?? 0;
    return counter < (this.account.head?.counter ?? 0) ? null : this.#chain;
  }

  get refusal(): Refusal | null {
    return this.#refusal;
  }

  get sync(): StoredPoll | null {
    return this.#sync;
  }

  /** The poll after which the hours that were due have been stated. */
  get closed(): Reached {
    return this.#closed;
  }

  /** Records of the venue that this process has stored, and hours that it has stated. */
  get sums(): { readonly records: number; readonly hours: number } {
    return { ...this.#sums };
  }

  /** This process has made every statement of the chain, and nothing of it came out of a database. */
  get fresh(): boolean {
    const { store, account } = this.#options;
    const isOwn = this.#loadedCounter === 0;
    return isOwn && (!store.persistent || account.createdMs >= this.#openedMs);
  }

  /** Reads what is stored, and asks the desk for what may be missing behind it. */
  async load(): Promise<Result<null>> {
    const { account, services, store } = this.#options;
    const opened = await loadAccount(this.#options, (work) => this.#insist(work));
    if (!opened.ok) return opened;
    const { chain, statedRecords } = opened.value.loaded;
    const lost = lossOf(chain, this.#options);
    if (!lost.ok) return this.#invalid(lost.refusal);
    const settled = this.#restore(opened.value);
    if (lost.value.length > 0) this.#pending = { made: lost.value, statedRecords, state: null };
    // What a book that went back further has booked, or a statement has said, was known by another word before.
    const lacking = await this.#insist(() => store.unstored(account, [...settled.keys()], true));
    if (!lacking.ok) return lacking;
    for (const [record, hasMoved] of lacking.value) settled.get(record)?.(hasMoved);
    this.#tellHead(chain);
    const nowMs = services.nowMs();
    this.#loadedMs = nowMs;
    if (this.#sync !== null || nowMs - account.createdMs > NEW_ACCOUNT_MS) this.resync(nowMs);
    return accept(null);
  }

  /**
   * Has it read anew from `fromMs` on, and from before all that cursors would have asked for again. The desk does it once
   * an hour. `isByHand`: not where it was asked for within the hour; false where that began later.
   */
  resync(fromMs: number, isByHand = false): boolean {
    const { account, services } = this.#options;
    const syncMs = Math.min(this.#sync?.lastSyncMs ?? 0, this.#coverage.lastCompleteMs);
    const sinceMs = resyncFromMs(account, fromMs, syncMs, this.#book.pendingFromMs);
    const atMs = services.nowMs();
    if (isByHand && atMs < this.#resynced.atMs + HOUR_MS) return sinceMs >= this.#resynced.sinceMs;
    this.#resynced = { atMs, sinceMs };
    services.resync({ id: account.id, fromMs: sinceMs, heardMs: this.#coverage.heardMs });
    return true;
  }

  /** Gives the records that its book does not take, and what is to be done of each that the one before had not either. */
  #restore({ loaded, state, book }: OpenedAccount): ReadonlyMap<BookRecord, Lacking> {
    const { chain, records, recordCount, statedRecords } = loaded;
    this.#book = book;
    this.#coverage = CoverageLog.of(this.#options.services.origin, state);
    this.#chain = chain;
    this.#loadedCounter = chain.head.counter;
    this.#recordCount = recordCount;
    this.#statedRecords = statedRecords;
    this.#sync = loaded.sync;
    for (const { parsed: one } of loaded.recent) if (chain.holds(one)) this.#stated.remember(one);
    const settled = new Map<BookRecord, Lacking>();
    records.forEach((record, at) => {
      // What came behind the last statement and belongs before it is late still.
      const isUnstated = recordCount - records.length + at + 1 > statedRecords;
      if (record.kind === 'missed') this.#coverage.addMissed(record);
      else if (record.kind === 'poll') this.#takeRecordOfPoll(record, isUnstated);
      else if (this.#apply(record, isUnstated) === 'settled') {
        const hoursOf = this.#unbooked.hoursBy(record, this.#book);
        settled.set(record, (hasMoved) => {
          const hours = hoursOf(hasMoved);
          for (const startMs of hours) this.#coverage.addUnbooked(startMs);
          if (isUnstated) this.#unbooked.add(hours);
        });
      }
    });
    return settled;
  }

  #takeRecordOfPoll(record: StoredPollRecord, isUnstated: boolean): void {
    const { observed, tooPrecise } = record;
    const lastMs = this.#chain?.lastHourMs ?? -1;
    const toldMs = hourOf(this.#coverage.addPoll(record) ?? Infinity);
    if (isUnstated) this.#unbooked.add(tooPrecise.filter((startMs) => startMs <= lastMs));
    // Hours that nobody waited for any longer, and that are told of after all.
    if (isUnstated && toldMs <= lastMs) this.#redo.all(toldMs);
    if (observed !== null) this.#book.observe({ ...momentOf(record), ...observed });
  }

  /** Takes a poll: stored, and in the book, when it resolves. */
  async takePoll(poll: TakenPoll): Promise<Result<null>> {
    const { account, services, store } = this.#options;
    if (this.#refusal === null) {
      const records = await this.#bookPoll(poll);
      if (!records.ok) return records;
      const told = this.#coverage.asHeard(poll);
      this.#reached = { outcome: told.outcome, startedMs: poll.startedMs };
      const saved = await this.#save(syncOf(told, this.#sync), records.value);
      if (!saved.ok) return saved;
    }
    services.takePoll(account.id, poll.poll, store.persistent && this.#refusal === null);
    return accept(null);
  }

  /** A time in which nobody polled is kept as well: it says why hours have no figures. */
  async takeMissed({ fromMs, toMs, reason }: LedgerMissed): Promise<Result<null>> {
    if (this.#refusal !== null) return accept(null);
    const record: StoredRecord = { kind: 'missed', fromMs, toMs, reason };
    this.#coverage.addMissed(record);
    this.#reached = { outcome: 'missed', startedMs: toMs };
    return this.#save(missedOf(record, this.#sync), [record]);
  }

  async #save(sync: StoredPoll, records: readonly StoredRecord[]): Promise<Result<null>> {
    const { account, store } = this.#options;
    const saved = await this.#insist(() =>
      store.savePoll(account, sync, records, this.#recordCount),
    );
    if (!saved.ok) return saved;
    // One of them is the poll itself, unless it was stored before.
    this.#sums.records += Math.max(0, saved.value - this.#recordCount - 1);
    this.#recordCount = saved.value;
    this.#sync = sync;
    return accept(null);
  }

  /** What of a poll is new and has to be kept; the poll itself is. */
  async #bookPoll(poll: TakenPoll): Promise<Result<readonly StoredRecord[]>> {
    const { account, store } = this.#options;
    const kept: StoredRecord[] = [];
    const settled: BookRecord[] = [];
    const tooPrecise = new Set<number>();
    for (const record of poll.outcome === 'failed' ? [] : poll.records) {
      if (!isBooked(record)) continue;
      const applied = this.#apply(record, true);
      if (applied === 'too_precise') tooPrecise.add(hourOf(record.timeMs));
      else if (applied === 'settled') settled.push(record);
      else if (applied !== 'repeated') kept.push(record);
    }
    const unstored = await this.#insist(() => store.unstored(account, settled));
    if (!unstored.ok) return unstored;
    kept.push(...unstored.value.keys());
    const hours = this.#unbooked.hoursOf(unstored.value, this.#book);
    this.#unbooked.add(hours);
    const findings = new Set(hours.length > 0 ? [LATE_UNBOOKED] : []);
    const told = this.#coverage.recordOf(poll, { tooPrecise, findings }, observedIn(poll));
    if (!told.follows) this.resync(poll.startedMs);
    this.#takeRecordOfPoll(told, true);
    return accept([...kept, told]);
  }

  /** `isUnstated`: no statement rests on it yet. */
  #apply(record: BookRecord, isUnstated: boolean): Applied {
    const applied = this.#book.apply(record);
    this.#count(`records_${applied}`);
    if (applied !== 'new' && applied !== 'late') return applied;
    const atMs = this.#book.timeOf(record);
    const startMs = hourOf(atMs);
    if (applied === 'late') this.#redo.reopen(startMs);
    const isLate = applied === 'late' || startMs <= (this.#chain?.lastHourMs ?? -1);
    if (isUnstated && isLate) {
      // What was told of the end of an hour may have had it, too.
      this.#redo.correct(hourOf(atMs - CLOCK_SLACK_MS));
      this.#coverage.addLate(startMs);
    }
    return applied;
  }

  /** Closes what is due, signs and stores it. Resolves when nothing is left to do now. */
  async close(): Promise<Result<null>> {
    while (this.#refusal === null && this.#chain !== null && this.#options.services.isReady()) {
      if (this.#pending === null) {
        const made = await this.#makeRound(this.#chain);
        if (!made) break;
      }
      const flushed = await this.#flush(this.#chain);
      if (!flushed.ok) return flushed;
    }
    // Where nothing can be signed, hours that are due are not stated.
    if (this.#options.services.isReady()) this.#closed = this.#reached;
    return accept(null);
  }

  /** False: nothing is due. */
  async #makeRound(chain: ChainCheck): Promise<boolean> {
    if (chain.ended) return false;
    const unbooked = await this.#makeUnbooked(chain);
    if (!unbooked.ok || unbooked.value) return unbooked.ok;
    if (this.#redo.reopenMs !== null) {
      // Beyond what can be reopened the record stays as it was stated; a counter says so.
      if (this.#book.reopen(this.#redo.reopenMs) === null) this.#count('hours_not_reopened');
      this.#redo.reopenMs = null;
    }
    const { account, services, graceMs } = this.#options;
    const fromMs = this.#book.nextHourMs;
    if (fromMs === null) {
      this.#coverage.forget(services.nowMs() - KEPT_HOURS * HOUR_MS);
      return false;
    }
    const toMs = this.#coverage.dueUntil(fromMs, {
      nowMs: services.nowMs(),
      waitsFromMs: this.#loadedMs,
      graceMs,
      maxHours: MAX_ROUND_HOURS,
    });
    if (toMs === fromMs) return false;
    const maker = new StatementMaker(trackAccountOf(account), services.origin, chain.head);
    const round = { chain, maker, coverage: this.#coverage, correctMs: this.#redo.correctMs };
    const ask = (): Promise<AskedPrices> =>
      askPrices(services, account, this.#book.needs(fromMs, toMs));
    let corrected = await this.#stated.stateRound(round, this.#book, { fromMs, toMs }, ask);
    while (corrected-- > 0) this.#noteCorrection();
    const nextMs = this.#book.nextHourMs ?? toMs;
    const keptMs = nextMs - KEPT_HOURS * HOUR_MS;
    this.#coverage.forget(Math.min(keptMs, this.#book.floorMs ?? keptMs));
    this.#stated.forget(nextMs - CORRECTED_HOURS * HOUR_MS);
    if (nextMs > (chain.lastHourMs ?? 0)) this.#redo.correctMs = null;
    // What is late is stated when all of its hours are: until then a restart begins with it again.
    const isStated = this.#redo.correctMs === null;
    const statedRecords = isStated ? this.#recordCount : this.#statedRecords;
    const makeState = (): StoredState => stateOf(this.#book, this.#coverage, statedRecords);
    const isKept = isStated && this.#coverage.size <= MAX_HOURS;
    const state = isKept ? this.#states.next(nextMs, makeState) : null;
    this.#pending = { made: maker.made, statedRecords, state };
    return true;
  }

  /** Hours with records that came too late for the book, before all others: false for none. */
  async #makeUnbooked(chain: ChainCheck): Promise<Result<boolean>> {
    const { account, services, store } = this.#options;
    const read = readerOf(store, account, chain, (rows) => this.#insist(rows));
    for (let hours = this.#unbooked.take(); hours.length > 0; hours = this.#unbooked.take()) {
      const maker = new StatementMaker(trackAccountOf(account), services.origin, chain.head);
      const round = { chain, maker, coverage: this.#coverage };
      const stated = await stateUnbooked(round, this.#stated, hours, read);
      if (!stated.ok) return stated;
      const { made } = maker;
      if (made.length === 0) continue;
      for (const { parsed } of made) if (parsed.kind === 'hour') this.#noteCorrection();
      // Other records may be stated by none yet.
      this.#pending = { made, statedRecords: this.#statedRecords, state: null };
      return accept(true);
    }
    return accept(false);
  }

  /** Signs and stores what was made; it stays as it is until both have happened. */
  async #flush(chain: ChainCheck): Promise<Result<null>> {
    const pending = this.#pending;
    if (pending === null) return accept(null);
    const { account, services, store, counters } = this.#options;
    const signed = await signMade(services, pending.made);
    if (!signed.ok) return signed;
    const rows = signed.value;
    const { state, statedRecords } = pending;
    if (rows.length > 0 || state !== null || statedRecords > this.#statedRecords) {
      const addition = { chain, rows, statedRecords, state };
      const stored = await this.#insist(() => store.append(account, addition));
      if (!stored.ok) return stored;
    }
    addRows(chain, rows);
    for (const { parsed } of rows) if (parsed.kind === 'hour') this.#sums.hours++;
    counters['statements'] = (counters['statements'] ?? 0) + rows.length;
    this.#pending = null;
    this.#statedRecords = statedRecords;
    if (rows.length > 0) this.#tellHead(chain);
    return accept(null);
  }

  /** The account was removed: nothing follows in its chain. */
  async end(): Promise<void> {
    const chain = this.#chain;
    if (this.#refusal !== null || chain === null) return;
    // What was lost is said before; hours are not signed any more.
    await this.#flush(chain);
    if (chain.ended || chain.head.counter === 0) return;
    const made = endOf(chain, this.#options);
    this.#pending = { made, statedRecords: this.#recordCount, state: null };
    await this.#flush(chain);
  }

  #tellHead({ head: { counter, hash } }: ChainCheck): void {
    // The desk would end a ledger that says more, for all accounts.
    if (hash !== null && counter <= MAX_LOST_COUNTER)
      this.#options.services.stated(this.account.id, { counter, hash });
  }

  async #insist<T>(work: () => Promise<Result<T>>): Promise<Result<T>> {
    const done = await insist(work, this.#options);
    return done.ok || isTemporary(done.refusal) ? done : this.#invalid(done.refusal);
  }

  /** The store is not what was stored: nothing is stated or served of this account any more. */
  #invalid(refusal: Refusal): Result<never> {
    if (this.#refusal === null) {
      const { code } = refusal;
      this.#options.services.audit({ event: 'store_invalid', account: this.account.id, code });
      this.#count('accounts_refused');
    }
    this.#refusal = refusal;
    return { ok: false, refusal };
  }

  #noteCorrection(): void {
    this.#count('corrections');
    this.#options.services.audit({ event: 'correction', account: this.account.id, code: null });
  }

  #count(name: string): void {
    this.#options.counters[name] = (this.#options.counters[name] ?? 0) + 1;
  }
}
