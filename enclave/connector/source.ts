// One thing that a venue can be asked for, and the walk over it: from where the last job came to, less an overlap,
// in windows no longer than the venue takes, page by page, each record once. What could not be had is a
// line of coverage with its reason; a source that fails does not take the others with it.

import { CallError, classOfThrown } from './call-error.ts';
import type { Coverage, CoverageReason, CoverageSubject } from './classes.ts';
import type { Cursors, SourceCursor } from './cursors.ts';
import { hashId } from './cursors.ts';
import type { ConnectorRecord } from './records.ts';
import { BudgetError } from './run.ts';

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Page {
  readonly records: readonly ConnectorRecord[];
  /** Records that the venue sent and that had to be left out, because they are malformed. */
  readonly malformed: number;
  /** For the next page of this span; null: it was the last. */
  readonly next: string | null;
  /** None of it was there before: the venue numbers it, and the source goes by the number. */
  readonly unique?: boolean;
  /** The venue shows no way to the rest of this page's moment. */
  readonly truncated?: boolean;
  /** How many records the span has, where the venue tells. */
  readonly total?: number;
}

/** Of now: balances, positions. */
export interface MomentSource {
  readonly type: 'moment';
  readonly what: CoverageSubject;
  readonly market: string;
  readonly read: () => Promise<Omit<Page, 'next'>>;
}

/** Of a time. */
export interface HistorySource {
  readonly type: 'history';
  readonly what: CoverageSubject;
  /** What else comes with it, and is covered as far. */
  readonly also?: readonly CoverageSubject[];
  readonly market: string;
  /** Of its cursor; unique within the account. */
  readonly key: string;
  /** The longest span of one question; null: any. */
  readonly windowMs: number | null;
  /** What the venue keeps; null: all. */
  readonly historyMs: number | null;
  /** Asked for again each time, for what the venue shows late. */
  readonly overlapMs: number;
  /** Some of it is dated by day alone: the first day counts whole. */
  readonly byDay?: boolean;
  /** Not more often than this; each time without it. */
  readonly everyMs?: number;
  readonly page: (span: Span, token: string | null, cursor: SourceCursor) => Promise<Page>;
}

/** What the venue cannot give: a line of coverage at each poll. */
export interface MissingSource {
  readonly type: 'missing';
  readonly what: CoverageSubject;
  readonly market: string;
  readonly reason: CoverageReason;
}

/** One answer with everything in it, walked by its adapter. */
export interface WholeSource {
  readonly type: 'whole';
  readonly walk: (walker: Walker) => Promise<CallError | null>;
}

export type Source = MomentSource | HistorySource | MissingSource | WholeSource;

export interface Walker {
  readonly cursors: Cursors;
  readonly fromMs: number;
  readonly nowMs: () => number;
  readonly emit: (records: readonly ConnectorRecord[]) => Promise<void>;
  readonly cover: (coverage: Coverage) => void;
}

const DAY_MS = 86_400_000;
/** A record that stays pending for longer is not waited for. */
const MAX_PENDING_MS: number = 30 * DAY_MS;
/** A venue that always says that there is more, without end. */
const MAX_PAGES = 10_000;
/**
 * A span with more than this is asked for in halves, as far as halves are longer than this. A venue that gives the newest
 * first would keep a busy account at its beginning for ever: what one job has no calls for, the next begins anew.
 */
const MAX_SPAN_RECORDS = 400;
const MIN_SPAN_MS = 3_600_000;

function timeOfRecord(record: ConnectorRecord): number {
  return 'timeMs' in record ? record.timeMs : 0;
}

function identityOf(record: ConnectorRecord): string {
  if (record.kind === 'fill') return hashId('fill', `${record.symbol}\0${record.id}`);
  if (record.kind === 'flow') {
    // Another status of the same flow is news; shares that come for others have one id with them.
    const { type, id, status, direction } = record;
    return hashId('flow', [type, id, status, direction].join('\0'));
  }
  return record.kind === 'funding' ? hashId('funding', `${record.symbol}\0${record.id}`) : '';
}

export function cursorOf({ cursors, fromMs }: Walker, key: string, byDay = false): SourceCursor {
  const known = cursors.sources.get(key);
  const { doneToMs, pendingFromMs } = known ?? { doneToMs: fromMs, pendingFromMs: null };
  const startMs = Math.min(fromMs, doneToMs, pendingFromMs ?? fromMs);
  // What was before the job's start is not asked for, and not taken, but for what is waited for.
  const idsFromMs = byDay ? startMs - (startMs % DAY_MS) : startMs;
  if (known !== undefined) {
    known.idsFromMs = Math.max(known.idsFromMs, idsFromMs);
    return known;
  }
  const fresh: SourceCursor = {
    doneToMs: fromMs,
    mark: null,
    ids: new Map(),
    idsFromMs,
    pendingFromMs: null,
  };
  cursors.sources.set(key, fresh);
  return fresh;
}

export function reasonOf(error: CallError | BudgetError): CoverageReason {
  return error instanceof CallError ? error.errorClass : 'budget';
}

/** What a source threw; of a parser that met something that it does not know, `bad_response`. */
export function failureOf(error: unknown): CallError | BudgetError {
  if (error instanceof CallError || error instanceof BudgetError) return error;
  return new CallError(classOfThrown(error, 200));
}

export async function walkMoment(source: MomentSource, walker: Walker): Promise<CallError | null> {
  const { what, market } = source;
  const span = { fromMs: walker.nowMs(), toMs: walker.nowMs() };
  try {
    const { records, malformed } = await source.read();
    // A wallet with a line missing is not the wallet.
    const complete = malformed === 0;
    if (complete) await walker.emit(records);
    walker.cover({ what, market, ...span, complete, reason: complete ? null : 'record_malformed' });
    return null;
  } catch (error) {
    const failure = failureOf(error);
    walker.cover({ what, market, ...span, complete: false, reason: reasonOf(failure) });
    return failure instanceof CallError ? failure : null;
  }
}

interface Progress {
  malformed: number;
  truncated: boolean;
}

async function walkSpan(
  source: HistorySource,
  span: Span,
  cursor: SourceCursor,
  walker: Walker,
  progress: Progress,
): Promise<'done' | 'halve'> {
  let token: string | null = null;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const page: Page = await source.page(span, token, cursor);
    const isLong = span.toMs - span.fromMs > MIN_SPAN_MS;
    if (pages === 0 && isLong && (page.total ?? 0) > MAX_SPAN_RECORDS) return 'halve';
    progress.malformed += page.malformed;
    progress.truncated ||= page.truncated === true;
    const fresh = page.unique === true ? page.records : freshOf(page.records, cursor);
    for (const record of page.records) notePending(record, cursor);
    await walker.emit(fresh);
    if (page.next === null) return 'done';
    if (page.next === token) throw new CallError('bad_response');
    token = page.next;
  }
  throw new CallError('bad_response');
}

/** Those not seen before; remembers them. */
export function freshOf(
  records: readonly ConnectorRecord[],
  cursor: SourceCursor,
  fromMs: number = cursor.idsFromMs,
): readonly ConnectorRecord[] {
  return records.filter((record) => {
    const identity = identityOf(record);
    if (cursor.ids.has(identity) || timeOfRecord(record) < fromMs) return false;
    cursor.ids.set(identity, timeOfRecord(record));
    return true;
  });
}

function notePending(record: ConnectorRecord, cursor: SourceCursor): void {
  // A page may go back further than it was asked to.
  const isOnWay = record.kind === 'flow' && record.status === 'pending';
  if (!isOnWay || record.timeMs < cursor.idsFromMs) return;
  cursor.pendingFromMs = earlierOf(cursor.pendingFromMs, record.timeMs);
}

function earlierOf(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

export async function walkHistory(
  source: HistorySource,
  walker: Walker,
): Promise<CallError | null> {
  const { overlapMs, historyMs, windowMs } = source;
  const cursor = cursorOf(walker, source.key, source.byDay);
  const toMs = walker.nowMs();
  const coveredFromMs = cursor.doneToMs;
  const { everyMs } = source;
  // Once in each hour, not an hour after the last time: the first poll behind an hour tells all of it.
  const isSoon = everyMs !== undefined && coveredFromMs >= toMs - (toMs % everyMs);
  if (isSoon && coveredFromMs > walker.fromMs) return null;
  const oldestMs = historyMs === null ? 0 : toMs - historyMs;
  const { pendingFromMs } = cursor;
  const overlapFromMs = coveredFromMs - overlapMs;
  const againMs =
    pendingFromMs === null
      ? overlapFromMs
      : Math.min(overlapFromMs, Math.max(pendingFromMs, toMs - MAX_PENDING_MS));
  let fromMs = Math.max(againMs, cursor.idsFromMs, oldestMs);
  const lost = oldestMs > coveredFromMs;
  if (lost) {
    cover(source, walker, { fromMs: coveredFromMs, toMs: oldestMs }, 'history_limit');
  }
  const startMs = Math.min(lost ? oldestMs : coveredFromMs, toMs);
  const progress: Progress = { malformed: 0, truncated: false };
  cursor.pendingFromMs = null;
  let failure: CallError | BudgetError | null = null;
  let widthMs = windowMs ?? Math.max(toMs - fromMs, 0);
  try {
    do {
      const endMs = Math.min(fromMs + widthMs, toMs);
      const span = { fromMs, toMs: endMs };
      if ((await walkSpan(source, span, cursor, walker, progress)) === 'halve') {
        widthMs = Math.ceil((endMs - fromMs) / 2);
        continue;
      }
      cursor.doneToMs = Math.max(cursor.doneToMs, endMs);
      forget(cursor, overlapMs);
      fromMs = endMs;
    } while (fromMs < toMs);
  } catch (error) {
    failure = failureOf(error);
    // What was not asked for any more is waited for all the same.
    const waitedMs = pendingFromMs === null ? null : Math.max(pendingFromMs, fromMs);
    cursor.pendingFromMs = earlierOf(waitedMs, cursor.pendingFromMs);
  }
  coverHistory(source, walker, { startMs, toMs }, cursor, progress, failure);
  return failure instanceof CallError ? failure : null;
}

/** Ids older than what the next job asks for again. */
function forget(cursor: SourceCursor, overlapMs: number): void {
  const keepFromMs = Math.min(cursor.doneToMs - overlapMs, cursor.pendingFromMs ?? cursor.doneToMs);
  for (const [id, timeMs] of cursor.ids) if (timeMs < keepFromMs) cursor.ids.delete(id);
}

function cover(
  { what, also = [], market }: HistorySource,
  walker: Walker,
  span: Span,
  reason: CoverageReason | null,
): void {
  for (const subject of [what, ...also]) {
    walker.cover({ what: subject, market, ...span, complete: reason === null, reason });
  }
}

function coverHistory(
  source: HistorySource,
  walker: Walker,
  { startMs, toMs }: { readonly startMs: number; readonly toMs: number },
  cursor: SourceCursor,
  { malformed, truncated }: Progress,
  failure: CallError | BudgetError | null,
): void {
  const doneMs = Math.max(cursor.doneToMs, startMs);
  let reason: CoverageReason | null = null;
  if (malformed > 0) reason = 'record_malformed';
  // What a venue has let go of nobody can look for.
  if (truncated) reason = 'history_limit';
  // What pages lost before one failed: their records are taken, and by number the next poll begins behind them.
  const endMs = failure === null || reason !== null ? toMs : doneMs;
  if (failure === null || endMs > startMs) {
    cover(source, walker, { fromMs: startMs, toMs: endMs }, reason);
  }
  if (failure === null) return;
  cover(source, walker, { fromMs: doneMs, toMs }, reasonOf(failure));
}
