// The track record of one account: what its polls bring goes into the store and the book, and hours that are over become
// statements, without a hole. An hour is closed by the first complete poll that began after it, or without one when its
// grace is over; what is told after that corrects exactly the hours that change. One thing at a time, in the order of its
// coming; a crash between any two steps loses nothing that was told to be taken.

import { setTimeout } from 'node:timers/promises';
import type { RefusalCode } from '../../../wire/codes.ts';
import type { Refusal, Result } from '../../../wire/result.ts';
import { accept } from '../../../wire/result.ts';
import type { ChainCheck } from '../../../wire/track/chain.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { DAY_MS, HOUR_MS } from '../../../wire/track/head.ts';
import type { MissingPrices } from '../../../wire/track/hour.ts';
import { MAX_MISSING_PRICES } from '../../../wire/track/hour.ts';
import type { Applied, Book, BookRecord, PriceQuestion, PriceRow } from '../book/contract.ts';
import { PriceTable } from '../book/price-table.ts';
import type { LedgerAccount, LedgerMissed, MissingPrice, PriceItem } from '../protocol.ts';
import { MAX_PRICE_ITEMS, MAX_SIGN_BYTES } from '../protocol.ts';
import type { LedgerServices, TakenPoll } from '../services.ts';
import type {
  ChainRow,
  LoadedAccount,
  StoredObservation,
  StoredPoll,
  StoredRecord,
  StoredState,
  TrackStore,
} from '../store/contract.ts';
import { trackAccountOf } from '../store/postgres-store.ts';
import type { DayHour } from './day-figures.ts';
import { dayFigures } from './day-figures.ts';
import { gapHour } from './gap-hour.ts';
import { CoverageLog, hourOf, KEPT_HOURS } from './hour-coverage.ts';
import type { Made } from './statements.ts';
import { boundedFigures, markOfDay, markOfHour, StatementMaker } from './statements.ts';
import { encodeTrackState, parseTrackState } from './track-state.ts';

/** Hours that one round closes, with prices asked for together. */
const MAX_ROUND_HOURS = 24;
const MAX_STATEMENT_BYTES_OF_ROUND: number = MAX_SIGN_BYTES - 64 * 1024;
/** What the venue showed before the registration is part of the record. */
const HISTORY_MS: number = 7 * DAY_MS;
const MAX_RETRY_MS = 60_000;
/** A new account is polled from its beginning anyway. */
const NEW_ACCOUNT_MS = 600_000;

/** Book.closeHour takes a table of prices; the class is passed in, so that a test can look at what was asked. */
export interface TrackBook extends Omit<Book, 'closeHour'> {
  closeHour(
    startMs: number,
    prices: PriceTable,
    coverage: Parameters<Book['closeHour']>[2],
  ): HourFigures;
}

export interface BookMaker {
  open(account: LedgerAccount): TrackBook;
  /** Null for bytes that it did not write. */
  parse(bytes: Uint8Array, account: LedgerAccount): TrackBook | null;
}

export interface AccountTrackOptions {
  readonly account: LedgerAccount;
  readonly services: LedgerServices;
  readonly store: TrackStore;
  readonly books: BookMaker;
  /** How long after its end an hour waits for a complete poll. */
  readonly graceMs: number;
  readonly counters: Record<string, number>;
  /** First wait before the store is asked again; doubles up to a minute. */
  readonly retryMs: number;
  /** Aborted when the ledger closes: waits end. */
  readonly closing: AbortSignal;
}

interface StatedHour extends DayHour {
  readonly mark: string;
}

interface Pending {
  readonly made: readonly Made[];
  readonly state: StoredState;
}

/** What can only be tried again: the record itself is sound. */
const TEMPORARY: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'database_unreachable',
  'database_refused',
  'database_answer_invalid',
  'tls_untrusted',
  'log_stalled',
  'log_full',
  'not_ready',
]);

export function isTemporary({ code }: Refusal): boolean {
  return TEMPORARY.has(code);
}

export class AccountTrack {
  readonly account: LedgerAccount;
  readonly #options: AccountTrackOptions;
  readonly #stated = new Map<number, StatedHour>();
  readonly #dayMarks = new Map<number, string>();
  #book: TrackBook;
  #coverage: CoverageLog;
  #chain: ChainCheck | null = null;
  #recordCount = 0;
  #sync: StoredPoll | null = null;
  #loadedMs = 0;
  #loadedCounter = 0;
  readonly #openedMs: number;
  /** From which hour on records came that change what was stated. */
  #lateFromMs: number | null = null;
  #pending: Pending | null = null;
  /** Why nothing is stated any more. */
  #refusal: Refusal | null = null;

  constructor(options: AccountTrackOptions) {
    this.#options = options;
    this.account = options.account;
    this.#book = options.books.open(options.account);
    this.#coverage = new CoverageLog(options.services.origin);
    this.#openedMs = options.services.nowMs();
  }

  /** Null before it is loaded. */
  get chain(): ChainCheck | null {
    return this.#chain;
  }

  get refusal(): Refusal | null {
    return this.#refusal;
  }

  get sync(): StoredPoll | null {
    return this.#sync;
  }

  /** This process has made every statement of the chain, and nothing of it came out of a database. */
  get fresh(): boolean {
    const { store, account } = this.#options;
    const isOwn = this.#loadedCounter === 0;
    return isOwn && (!store.persistent || account.createdMs >= this.#openedMs);
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Reads what is stored, and asks the desk for what may be missing behind it. */
  async load(): Promise<Result<null>> {
    const { account, services, store } = this.#options;
    const loaded = await this.#insist(() => store.load(account));
    if (!loaded.ok) return loaded;
    this.#restore(loaded.value);
    const nowMs = services.nowMs();
    this.#loadedMs = nowMs;
    const sinceMs = this.#sync?.lastSyncMs ?? account.createdMs - HISTORY_MS;
    if (this.#sync !== null || nowMs - account.createdMs > NEW_ACCOUNT_MS) {
      services.resync(account.id, Math.max(0, sinceMs));
    }
    return accept(null);
  }

  #restore({ chain, recent, state, records, recordCount, sync }: LoadedAccount): void {
    const { account, books, services } = this.#options;
    const parsed = state === null ? null : parseTrackState(state.bytes);
    const book =
      parsed === null || parsed.book.length === 0 ? null : books.parse(parsed.book, account);
    this.#book = book ?? books.open(account);
    this.#coverage = new CoverageLog(services.origin, parsed?.lastCompleteMs, parsed?.hours);
    this.#chain = chain;
    this.#loadedCounter = chain.head.counter;
    this.#recordCount = recordCount;
    this.#sync = sync;
    for (const { parsed: statement } of recent) this.#remember(statement);
    for (const record of records) this.#replay(record);
    // What was late before the crash is late again.
    this.#lateFromMs = null;
  }

  #replay(record: StoredRecord): void {
    if (record.kind === 'observation') this.#book.observe(record);
    else this.#apply(record);
  }

  /** Takes a poll: stored, and in the book, when it resolves. */
  async takePoll(poll: TakenPoll): Promise<Result<null>> {
    const { account, services, store } = this.#options;
    if (this.#refusal === null) {
      const records = poll.outcome === 'failed' ? [] : this.#book_(poll);
      this.#coverage.addPoll(poll);
      const sync: StoredPoll = {
        poll: poll.poll,
        leafIndex: poll.leafIndex,
        slotMs: poll.slotMs,
        lastSyncMs: poll.outcome === 'complete' ? poll.startedMs : (this.#sync?.lastSyncMs ?? 0),
        outcome: poll.outcome,
        reason: poll.reason,
      };
      const saved = await this.#insist(() =>
        store.savePoll(account, sync, records, this.#recordCount),
      );
      if (!saved.ok) return saved;
      this.#recordCount = saved.value;
      this.#sync = sync;
    }
    services.takePoll(account.id, poll.poll, store.persistent && this.#refusal === null);
    return accept(null);
  }

  takeMissed(missed: LedgerMissed): void {
    this.#coverage.addMissed(missed);
  }

  /** What of a poll is new and has to be kept. */
  #book_(poll: TakenPoll): readonly StoredRecord[] {
    const kept: StoredRecord[] = [];
    for (const record of poll.records) {
      if (record.kind === 'balance' || record.kind === 'position' || record.kind === 'price')
        continue;
      const applied = this.#apply(record);
      if (applied === 'too_precise') this.#coverage.addReason(hourOf(record.timeMs), 'too_precise');
      else if (applied !== 'repeated') kept.push(record);
    }
    const observation = observationOf(poll);
    if (observation === null) return kept;
    return this.#book.observe(observation) === 'new' ? [...kept, observation] : kept;
  }

  #apply(record: BookRecord): Applied {
    const applied = this.#book.apply(record);
    const name = `records_${applied}`;
    this.#options.counters[name] = (this.#options.counters[name] ?? 0) + 1;
    if (applied !== 'late') return applied;
    const startMs = hourOf(record.timeMs);
    this.#lateFromMs = Math.min(this.#lateFromMs ?? startMs, startMs);
    this.#coverage.addLate(startMs);
    return applied;
  }

  /** Closes what is due, signs and stores it. Resolves when nothing is left to do now. */
  async close(): Promise<Result<null>> {
    while (this.#refusal === null && this.#chain !== null) {
      if (this.#pending === null) {
        const made = await this.#makeRound(this.#chain);
        if (!made) return accept(null);
      }
      const flushed = await this.#flush(this.#chain);
      if (!flushed.ok) return flushed;
    }
    return accept(null);
  }

  /** False: nothing is due. */
  async #makeRound(chain: ChainCheck): Promise<boolean> {
    if (chain.ended || !this.#options.services.isReady()) return false;
    const late = this.#lateFromMs;
    if (late !== null) {
      // Beyond what can be reopened the record stays as it was stated; counters say so.
      if (this.#book.reopen(late) === null) this.#options.counters['hours_not_reopened'] = 1;
      this.#lateFromMs = null;
    }
    const fromMs = this.#book.nextHourMs;
    if (fromMs === null) return false;
    const toMs = this.#dueUntil(fromMs);
    if (toMs === fromMs) return false;
    const { table, missing } = await this.#prices(fromMs, toMs);
    const { account, services } = this.#options;
    const maker = new StatementMaker(trackAccountOf(account), services.origin, chain.head);
    const days = new Set<number>();
    this.#stateMissing(chain, maker, fromMs, days);
    let bytes = 0;
    for (
      let startMs = fromMs;
      startMs < toMs && bytes < MAX_STATEMENT_BYTES_OF_ROUND;
      startMs += HOUR_MS
    ) {
      const coverage = this.#coverage.coverage(startMs);
      const figures = boundedFigures(this.#book.closeHour(startMs, table, coverage));
      this.#stateHour(chain, maker, figures, missing, days);
      bytes = maker.made.reduce((sum, made) => sum + made.bytes.length, 0);
    }
    for (const atMs of [...days].toSorted((a, b) => a - b)) this.#stateDay(chain, maker, atMs);
    this.#forget();
    this.#pending = { made: maker.made, state: this.#state() };
    return true;
  }

  /** End of the last hour that can be closed now. */
  #dueUntil(fromMs: number): number {
    const { services, graceMs } = this.#options;
    const nowMs = services.nowMs();
    let toMs = fromMs;
    while (toMs - fromMs < MAX_ROUND_HOURS * HOUR_MS) {
      const endMs = toMs + HOUR_MS;
      const isTold = this.#coverage.lastCompleteMs >= endMs;
      const isOver = nowMs >= Math.max(endMs, this.#loadedMs) + graceMs;
      if (endMs > nowMs || (!isTold && !isOver)) break;
      toMs = endMs;
    }
    return toMs;
  }

  /** Hours between the last that was stated and the first that the book has: it was lost, or opened anew. */
  #stateMissing(chain: ChainCheck, maker: StatementMaker, fromMs: number, days: Set<number>): void {
    const { lastHourMs } = chain;
    if (lastHourMs === null) return;
    for (let startMs = lastHourMs + HOUR_MS; startMs < fromMs; startMs += HOUR_MS) {
      const { polls, gaps } = this.#coverage.coverage(startMs);
      const figures = gapHour(startMs, polls, [...new Set([...gaps, 'not_booked'])]);
      this.#stateHour(chain, maker, figures, [], days);
    }
  }

  #stateHour(
    chain: ChainCheck,
    maker: StatementMaker,
    figures: HourFigures,
    missing: readonly MissingPrices[],
    days: Set<number>,
  ): void {
    const { startMs } = figures;
    const mark = markOfHour(figures);
    const endMs = startMs + HOUR_MS;
    const dayMs = Math.ceil(endMs / DAY_MS) * DAY_MS;
    const isStated = chain.lastHourMs !== null && startMs <= chain.lastHourMs;
    if (isStated) {
      const known = this.#stated.get(startMs);
      const counter = chain.effective('hour', startMs);
      if (known === undefined || known.mark === mark || counter === null) return;
      this.#make(maker, figures, missing, mark, { counter, reason: 'late_data' });
      this.#options.counters['corrections'] = (this.#options.counters['corrections'] ?? 0) + 1;
      this.#options.services.audit({ event: 'correction', account: this.account.id, code: null });
      if (dayMs <= (chain.lastSnapshotMs ?? 0)) days.add(dayMs);
    } else {
      this.#make(maker, figures, missing, mark, null);
      if (endMs === dayMs) days.add(dayMs);
    }
  }

  #make(
    maker: StatementMaker,
    figures: HourFigures,
    missing: readonly MissingPrices[],
    mark: string,
    supersedes: { readonly counter: number; readonly reason: string } | null,
  ): void {
    const { startMs } = figures;
    const basis = { polls: this.#coverage.polls(startMs), late: this.#coverage.late(startMs) };
    maker.hour(figures, basis, missing, supersedes);
    this.#stated.set(startMs, { ...dayHourOf(figures), mark });
  }

  /** The snapshot of a midnight, or its correction where one of its hours was corrected. */
  #stateDay(chain: ChainCheck, maker: StatementMaker, atMs: number): void {
    const day = dayFigures(this.#stated, atMs);
    if (day === null) return;
    const mark = markOfDay(day);
    const isCorrection = atMs <= (chain.lastSnapshotMs ?? 0);
    const counter = isCorrection ? chain.effective('snapshot', atMs) : null;
    if (isCorrection && (counter === null || this.#dayMarks.get(atMs) === mark)) return;
    const supersedes = counter === null ? null : { counter, reason: 'late_data' };
    maker.snapshot(atMs, day, this.#lastCounterOf(chain, maker, atMs), supersedes);
    this.#dayMarks.set(atMs, mark);
  }

  #lastCounterOf(chain: ChainCheck, maker: StatementMaker, atMs: number): number {
    const made = maker.made.findLast(
      ({ parsed }) => parsed.kind === 'hour' && parsed.figures.startMs === atMs - HOUR_MS,
    );
    return made?.parsed.counter ?? chain.effective('hour', atMs - HOUR_MS) ?? maker.counter;
  }

  async #prices(
    fromMs: number,
    toMs: number,
  ): Promise<{ readonly table: PriceTable; readonly missing: readonly MissingPrices[] }> {
    const { services, account } = this.#options;
    const { venue, environment } = account;
    const questions = this.#book.needs(fromMs, toMs);
    const rows: PriceRow[] = [];
    const missing: MissingPrice[] = [];
    for (let at = 0; at < questions.length; at += MAX_PRICE_ITEMS) {
      const items = questions.slice(at, at + MAX_PRICE_ITEMS).map(itemOf);
      const answer = await services.needPrices({ venue, environment, items });
      rows.push(...answer.rows);
      missing.push(...answer.missing);
    }
    const table = PriceTable.of(rows);
    for (const { symbol, reason } of missing) {
      const [base = symbol] = symbol.split('/');
      if (reason === 'venue_lacks' && !symbol.includes(':')) table.declareUnlisted(base);
    }
    return { table, missing: countMissing(questions, missing) };
  }

  /** Signs and stores what was made; it stays as it is until both have happened. */
  async #flush(chain: ChainCheck): Promise<Result<null>> {
    const pending = this.#pending;
    if (pending === null) return accept(null);
    const { account, services, store, counters } = this.#options;
    const rows: ChainRow[] = [];
    if (pending.made.length > 0) {
      const signed = await services.sign(pending.made.map(({ bytes }) => bytes));
      if (!signed.ok) return signed;
      const { leafIndex, leafSalt, signatures } = signed.value;
      pending.made.forEach(({ bytes, parsed }, position) => {
        const signature = signatures[position];
        if (signature === undefined) return;
        const { origin } = services;
        rows.push({ statement: bytes, signature, origin, leafIndex, leafSalt, position, parsed });
      });
    }
    const { state } = pending;
    const addition = { chain, rows, recordCount: this.#recordCount, state };
    const stored = await this.#insist(() => store.append(account, addition));
    if (!stored.ok) return stored;
    for (const { statement, parsed } of rows) {
      const added = chain.add(statement, parsed);
      // We made it: what we refuse ourselves is a bug.
      if (!added.ok) throw new Error(`own chain refused: ${added.refusal.code}`);
    }
    counters['statements'] = (counters['statements'] ?? 0) + rows.length;
    this.#pending = null;
    return accept(null);
  }

  /** Until it is stored, can never be, or the ledger closes: everything that is written can be written again. */
  async #insist<T>(work: () => Promise<Result<T>>): Promise<Result<T>> {
    const { closing, retryMs } = this.#options;
    for (let waitMs = retryMs; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
      const done = await work();
      if (done.ok) return done;
      if (!isTemporary(done.refusal)) return this.#invalid(done.refusal);
      if (closing.aborted) return done;
      await setTimeout(waitMs, undefined, { signal: closing }).catch(() => undefined);
    }
  }

  /** The store is not what was stored: nothing is stated or served of this account any more. */
  #invalid(refusal: Refusal): Result<never> {
    if (this.#refusal === null) {
      const { code } = refusal;
      this.#options.services.audit({ event: 'store_invalid', account: this.account.id, code });
      this.#options.counters['accounts_refused'] =
        (this.#options.counters['accounts_refused'] ?? 0) + 1;
    }
    this.#refusal = refusal;
    return { ok: false, refusal };
  }

  #state(): StoredState {
    const { lastCompleteMs } = this.#coverage;
    const book = this.#book.encode();
    const bytes = encodeTrackState({ book, lastCompleteMs, hours: this.#coverage.hours() });
    return { records: this.#recordCount, bytes };
  }

  #remember(statement: ChainRow['parsed']): void {
    if (statement.kind === 'hour') {
      const { figures } = statement;
      this.#stated.set(figures.startMs, { ...dayHourOf(figures), mark: markOfHour(figures) });
    } else if (statement.kind === 'snapshot') {
      this.#dayMarks.set(statement.atMs, markOfDay(statement));
    }
  }

  #forget(): void {
    const beforeMs = (this.#book.nextHourMs ?? 0) - KEPT_HOURS * HOUR_MS;
    this.#coverage.forget(beforeMs);
    for (const startMs of this.#stated.keys()) if (startMs < beforeMs) this.#stated.delete(startMs);
    for (const atMs of this.#dayMarks.keys()) if (atMs < beforeMs) this.#dayMarks.delete(atMs);
  }
}

function dayHourOf(figures: HourFigures): DayHour {
  const { startMs, equityEnd, unrealisedEnd, inflow, outflow, byMarket, complete, gaps } = figures;
  return { startMs, equityEnd, unrealisedEnd, inflow, outflow, byMarket, complete, gaps };
}

/** Only of a poll in which all balances and positions were told. */
function observationOf(poll: TakenPoll): StoredObservation | null {
  if (poll.outcome === 'failed') return null;
  const told = poll.coverage.filter(({ what }) => what === 'balances' || what === 'positions');
  const isWhole = told.every(({ complete, reason }) => complete || reason === 'venue_lacks');
  if (!isWhole || !told.some(({ what, complete }) => what === 'balances' && complete)) return null;
  const { records, startedMs: fromMs, endedMs: atMs } = poll;
  const balances = records.filter((record) => record.kind === 'balance');
  const positions = records.filter((record) => record.kind === 'position');
  return { kind: 'observation', fromMs, atMs, balances, positions };
}

function itemOf({ stepMs, ...question }: PriceQuestion): PriceItem {
  return { ...question, stepMs: stepMs < HOUR_MS ? 60_000 : HOUR_MS };
}

/** By kind and reason: symbols stay here. */
function countMissing(
  questions: readonly PriceQuestion[],
  missing: readonly MissingPrice[],
): readonly MissingPrices[] {
  const counts = new Map<string, MissingPrices>();
  for (const { symbol, reason } of missing) {
    const kind = questions.find((question) => question.symbol === symbol)?.kind ?? 'spot';
    const key = `${kind} ${reason}`;
    counts.set(key, { kind, reason, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()].slice(0, MAX_MISSING_PRICES);
}
