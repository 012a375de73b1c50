// What the track record is kept in, and what is read back: rows in PostgreSQL, or, where no database is configured, the
// ledger's memory for as long as it runs. Whatever is read back has been checked: chain, MACs, seals, counts.

import type { Balance, Funding, Fill, Flow, Position } from '../../connector/records.ts';
import type { Result } from '../../../wire/result.ts';
import type { ChainCheck } from '../../../wire/track/chain.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import type { HourPoll } from '../../../wire/track/hour.ts';
import type { ChainStatement } from '../../../wire/track/statement.ts';
import type { LedgerAccount } from '../protocol.ts';

export interface LostSpan {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: string;
}

/** That a poll was, how it went, and what it observed. */
export interface StoredPollRecord {
  readonly kind: 'poll';
  readonly poll: HourPoll;
  readonly endedMs: number;
  /** Why it did not tell everything. */
  readonly reasons: readonly string[];
  /** Hours of records that could not be counted. */
  readonly tooPrecise: readonly number[];
  /** Since when it told everything; null where it did not. */
  readonly toldFromMs: number | null;
  /** Until when: its begin, or as far as the venue tells by then. Null as above. */
  readonly toldToMs: number | null;
  /** It goes on from polls that are stored; otherwise it told everything of no time. */
  readonly follows: boolean;
  /** Times of which nobody will know everything: the venue has let go of it, or a record had no form. */
  readonly lost: readonly LostSpan[];
  /** Everything that the venue told of the moment; null where that was not all. */
  readonly observed: {
    readonly balances: readonly Balance[];
    readonly positions: readonly Position[];
  } | null;
}

/** A time in which nobody polled. */
export interface StoredMissed {
  readonly kind: 'missed';
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: string;
}

/** What a record is made of, in the order in which it was taken. */
export type StoredRecord = Fill | Funding | Flow | StoredPollRecord | StoredMissed;

/** How far an account has come. */
export interface StoredPoll {
  readonly poll: number;
  readonly leafIndex: number | null;
  readonly slotMs: number;
  readonly lastSyncMs: number;
  readonly outcome: string;
  readonly reason: string | null;
}

/** The state of a book with what else the hours after it need. */
export interface StoredState {
  /** Records that are in it. */
  readonly records: number;
  readonly bytes: Uint8Array;
}

/** A signed statement, and what it says. */
export interface ChainRow extends SignedStatement {
  readonly parsed: ChainStatement;
}

export interface LoadedAccount {
  readonly chain: ChainCheck;
  /** The newest statements, in the order of their counters. */
  readonly recent: readonly ChainRow[];
  readonly state: StoredState | null;
  /** Those behind the state, oldest first. */
  readonly records: readonly StoredRecord[];
  /** All of the account. */
  readonly recordCount: number;
  /** Those that the statements of the chain rest on. */
  readonly statedRecords: number;
  readonly sync: StoredPoll | null;
}

/** What one transaction adds to a chain. */
export interface Addition {
  /** Before it. */
  readonly chain: ChainCheck;
  readonly rows: readonly ChainRow[];
  /** Records that statements rest on then. */
  readonly statedRecords: number;
  /** Null: the one that is stored stays. */
  readonly state: StoredState | null;
}

/** How many statements `recent` has at most: what can be corrected, with its days. */
export const RECENT_STATEMENTS = 400;

export interface TrackStore {
  /** False: a restart forgets everything. */
  readonly persistent: boolean;
  /** Whether the last thing that was asked of it succeeded. */
  readonly available: boolean;
  readonly counters: Readonly<Record<string, number>>;
  /**
   * Reads and checks all of an account. Refuses the codes of a chain and `store_mac`, `store_deleted`,
   * `store_rolled_back`: the rows are not what was stored; and those of a database that cannot be used now.
   * `withAll`: all records, and no state.
   */
  load(account: LedgerAccount, withAll?: boolean): Promise<Result<LoadedAccount>>;
  /**
   * One poll, in one transaction; a record that is there already is left as it is. Gives how many records there are then.
   * `recordCount`: before it.
   */
  savePoll(
    account: LedgerAccount,
    poll: StoredPoll,
    records: readonly StoredRecord[],
    recordCount: number,
  ): Promise<Result<number>>;
  /**
   * Those that are not stored: what a venue tells again after the book has forgotten it is stored. Each with whether what
   * was said of it before moved something. `areKept`: they are stored themselves, and those that were not before are asked
   * for.
   */
  unstored<T extends StoredRecord>(
    account: LedgerAccount,
    records: readonly T[],
    areKept?: boolean,
  ): Promise<Result<ReadonlyMap<T, boolean>>>;
  /**
   * In one transaction; without rows, how many records the chain rests on. Refuses `chain_fork` where another writer was
   * faster.
   */
  append(account: LedgerAccount, addition: Addition): Promise<Result<null>>;
  /** The statements with these counters (at most 1,000), in their order; each is checked against `chain`. */
  rows(
    account: LedgerAccount,
    chain: ChainCheck,
    counters: readonly number[],
  ): Promise<Result<readonly SignedStatement[]>>;
  /** Of an account that is not polled here any more: what is held in memory of it goes, what is stored stays. */
  forget(account: LedgerAccount): void;
  close(): void;
}
