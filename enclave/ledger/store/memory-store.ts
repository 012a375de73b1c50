// The track record where no database is configured, or where nothing may be kept: statements stay in the ledger's memory for
// as long as it runs, and in the log. Nothing is read back after a restart; a new ledger begins a chain of its own. What
// is held is bounded for all accounts together: the oldest statements of the account that has most go first, and all of one
// that is removed, so that nobody who registers much takes another's record away.

import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { ChainCheck } from '../../../wire/track/chain.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import type { LedgerAccount } from '../protocol.ts';
import type { Addition, LoadedAccount, StoredPoll, StoredRecord, TrackStore } from './contract.ts';
import { trackAccountOf } from './postgres-store.ts';
import type { StoredPlace, Word } from './stored-record.ts';
import { named, recordName, unstoredOf, wordOf } from './stored-record.ts';

/** A year of a hundred accounts, or a month of a thousand. */
export const MAX_MEMORY_BYTES: number = 512 * 1024 * 1024;

/** Names of records, shared by all accounts; the oldest of one that has more than its part go. */
export const MAX_MEMORY_NAMES = 1_000_000;

interface Kept {
  /** By counter, oldest first. */
  readonly rows: Map<number, SignedStatement>;
  /** Of the records that were saved, oldest first, with their numbers. */
  readonly names: Map<string, number>;
  /** What those of flows say. */
  readonly words: Map<string, Word>;
  bytes: number;
}

export class MemoryStore implements TrackStore {
  readonly persistent = false;
  readonly available = true;
  readonly counters: Record<string, number> = { statements_forgotten: 0 };
  readonly #accounts = new Map<string, Kept>();
  readonly #maxBytes: number;
  readonly #maxNames: number;
  #bytes = 0;

  constructor(maxBytes: number = MAX_MEMORY_BYTES, maxNames: number = MAX_MEMORY_NAMES) {
    this.#maxBytes = maxBytes;
    this.#maxNames = maxNames;
  }

  load(account: LedgerAccount): Promise<Result<LoadedAccount>> {
    const chain = new ChainCheck(nodeCrypto, trackAccountOf(account));
    const nothing = {
      recent: [],
      state: null,
      records: [],
      recordCount: 0,
      statedRecords: 0,
      sync: null,
    };
    return Promise.resolve(accept({ chain, ...nothing }));
  }

  savePoll(
    account: LedgerAccount,
    _poll: StoredPoll,
    records: readonly StoredRecord[],
    recordCount: number,
  ): Promise<Result<number>> {
    const { names, words } = this.#keptOf(account);
    let count = recordCount;
    for (const record of records) {
      const name = nameOf(record);
      if (names.has(name)) continue;
      names.set(name, ++count);
      if (record.kind === 'flow') words.set(name, wordOf(record));
    }
    const most = this.#maxNames / this.#accounts.size;
    // The book asks for flows again that it has by no more than their ids.
    for (const isKept of [isFlow, () => false]) {
      for (const name of names.keys()) {
        if (names.size <= most) break;
        if (isKept(name)) continue;
        names.delete(name);
        words.delete(name);
      }
    }
    return Promise.resolve(accept(count));
  }

  unstored<T extends StoredRecord>(
    account: LedgerAccount,
    records: readonly T[],
    areKept = false,
  ): Promise<Result<ReadonlyMap<T, boolean>>> {
    const { names, words } = this.#keptOf(account);
    const placeOf = (name: string): StoredPlace | undefined => {
      const at = names.get(name);
      return at === undefined ? undefined : { at, status: null, money: null, ...words.get(name) };
    };
    const told = records.map((record) => named(record, (name) => JSON.stringify(name)));
    return Promise.resolve(accept(unstoredOf(told, placeOf, areKept)));
  }

  append(account: LedgerAccount, { rows }: Addition): Promise<Result<null>> {
    const kept = this.#keptOf(account);
    for (const { parsed, ...signed } of rows) {
      const before = kept.rows.get(parsed.counter)?.statement.length ?? 0;
      kept.bytes += signed.statement.length - before;
      this.#bytes += signed.statement.length - before;
      kept.rows.set(parsed.counter, signed);
    }
    while (this.#bytes > this.#maxBytes) this.#forgetOldest();
    return Promise.resolve(accept(null));
  }

  rows(
    account: LedgerAccount,
    _chain: ChainCheck,
    counters: readonly number[],
  ): Promise<Result<readonly SignedStatement[]>> {
    const kept = this.#accounts.get(account.id)?.rows;
    const rows = counters.map((counter) => kept?.get(counter));
    const there = rows.filter((row) => row !== undefined);
    const counter = counters[rows.indexOf(undefined)] ?? null;
    return Promise.resolve(
      there.length === rows.length
        ? accept(there)
        : refuse('store_deleted', { table: 'memory', counter }),
    );
  }

  forget({ id }: LedgerAccount): void {
    this.#bytes -= this.#accounts.get(id)?.bytes ?? 0;
    this.#accounts.delete(id);
  }

  close(): void {
    this.#accounts.clear();
  }

  #keptOf({ id }: LedgerAccount): Kept {
    const none = { rows: new Map(), names: new Map(), words: new Map(), bytes: 0 };
    const kept: Kept = this.#accounts.get(id) ?? none;
    this.#accounts.set(id, kept);
    return kept;
  }

  #forgetOldest(): void {
    const [largest] = [...this.#accounts.values()].toSorted((a, b) => b.bytes - a.bytes);
    for (const [counter, { statement }] of largest?.rows ?? []) {
      largest?.rows.delete(counter);
      if (largest !== undefined) largest.bytes -= statement.length;
      this.#bytes -= statement.length;
      this.counters['statements_forgotten'] = (this.counters['statements_forgotten'] ?? 0) + 1;
      return;
    }
  }
}

function isFlow(name: string): boolean {
  return name.startsWith('["flow"');
}

function nameOf(record: StoredRecord): string {
  return JSON.stringify(recordName(record));
}
