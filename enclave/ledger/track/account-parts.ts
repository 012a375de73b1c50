// What the track record of an account is made with, and what its polls tell of a moment.

import { setTimeout } from 'node:timers/promises';
import type { RefusalCode } from '../../../wire/codes.ts';
import type { Refusal, Result } from '../../../wire/result.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { DAY_MS } from '../../../wire/track/head.ts';
import type { ConnectorRecord } from '../../connector/records.ts';
import type { Book, BookRecord } from '../book/contract.ts';
import type { PriceTable } from '../book/price-table.ts';
import type { LedgerAccount } from '../protocol.ts';
import { LATE_MS } from '../protocol.ts';
import type { LedgerServices, TakenPoll } from '../services.ts';
import type { StoredMissed, StoredPoll, StoredPollRecord, TrackStore } from '../store/contract.ts';

/** What the venue showed before the registration is part of the record. */
export const HISTORY_MS: number = 7 * DAY_MS;

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

const MAX_RETRY_MS = 60_000;

/** Again and again until it is done, refused for good, or the ledger closes. */
export async function insist<T>(
  work: () => Promise<Result<T>>,
  { closing, retryMs }: Pick<AccountTrackOptions, 'closing' | 'retryMs'>,
): Promise<Result<T>> {
  for (let waitMs = retryMs; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
    const done = await work();
    if (done.ok || !isTemporary(done.refusal) || closing.aborted) return done;
    await setTimeout(waitMs, undefined, { signal: closing }).catch(() => undefined);
  }
}

/** The last poll, or time in which nobody polled. */
export interface Reached {
  readonly outcome: string;
  /** When it began; of such a time, when it was over. */
  readonly startedMs: number;
}

/** How far the account is with it. */
export function syncOf(told: TakenPoll, before: StoredPoll | null): StoredPoll {
  const { poll, leafIndex, slotMs, startedMs, outcome, reason } = told;
  const lastSyncMs = outcome === 'complete' ? startedMs : (before?.lastSyncMs ?? 0);
  return { poll, leafIndex, slotMs, lastSyncMs, outcome, reason };
}

/** How far it is with a time in which nobody polled. */
export function missedOf({ fromMs, reason }: StoredMissed, before: StoredPoll | null): StoredPoll {
  const none = { poll: 0, leafIndex: null, lastSyncMs: 0 };
  return { ...none, ...before, slotMs: fromMs, outcome: 'missed', reason };
}

/** From where on a poll without cursors misses nothing: what was not told yet, and what was told as pending. */
export function resyncFromMs(
  { createdMs }: Pick<LedgerAccount, 'createdMs'>,
  ...moments: readonly number[]
): number {
  return Math.max(0, createdMs - HISTORY_MS, Math.min(...moments) - LATE_MS);
}

/** What is observed changes nothing by itself. */
export function isBooked(record: ConnectorRecord): record is BookRecord {
  return record.kind === 'fill' || record.kind === 'funding' || record.kind === 'flow';
}

/** Only of a poll in which all balances and positions were told, of its own time or, where a venue tells later, of an earlier one. */
export function observedIn(poll: TakenPoll): StoredPollRecord['observed'] {
  if (poll.outcome === 'failed') return null;
  const told = poll.coverage.filter(({ what }) => what === 'balances' || what === 'positions');
  const isWhole = told.every(
    ({ complete, reason }) => complete || reason === 'venue_lacks' || reason === 'delayed',
  );
  if (!isWhole || !told.some(({ what, complete }) => what === 'balances' && complete)) return null;
  const { records } = poll;
  return {
    balances: records.filter((record) => record.kind === 'balance'),
    positions: records.filter((record) => record.kind === 'position'),
  };
}
