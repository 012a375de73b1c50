// The track record where no database is configured, or where nothing may be kept: statements stay in the ledger's memory for
// as long as it runs, and in the log. Nothing is read back after a restart; a new ledger begins a chain of its own. What
// is held is bounded for all accounts together: the oldest statements of the account that grows go first.

import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { ChainCheck } from '../../../wire/track/chain.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import type { LedgerAccount } from '../protocol.ts';
import type { Addition, LoadedAccount, StoredPoll, StoredRecord, TrackStore } from './contract.ts';
import { trackAccountOf } from './postgres-store.ts';

/** A year of a hundred accounts, or a month of a thousand. */
export const MAX_MEMORY_BYTES: number = 512 * 1024 * 1024;

export class MemoryStore implements TrackStore {
  readonly persistent = false;
  readonly available = true;
  readonly counters: Record<string, number> = { statements_forgotten: 0 };
  /** By account and counter, oldest first. */
  readonly #rows = new Map<string, Map<number, SignedStatement>>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number = MAX_MEMORY_BYTES) {
    this.#maxBytes = maxBytes;
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
    _account: LedgerAccount,
    _poll: StoredPoll,
    records: readonly StoredRecord[],
    recordCount: number,
  ): Promise<Result<number>> {
    return Promise.resolve(accept(recordCount + records.length));
  }

  append(account: LedgerAccount, { rows }: Addition): Promise<Result<null>> {
    const kept = this.#rows.get(account.id) ?? new Map<number, SignedStatement>();
    this.#rows.set(account.id, kept);
    for (const { parsed, ...signed } of rows) {
      kept.set(parsed.counter, signed);
      this.#bytes += signed.statement.length;
    }
    for (const [counter, { statement }] of kept) {
      if (this.#bytes <= this.#maxBytes) break;
      kept.delete(counter);
      this.#bytes -= statement.length;
      this.counters['statements_forgotten'] = (this.counters['statements_forgotten'] ?? 0) + 1;
    }
    return Promise.resolve(accept(null));
  }

  rows(
    account: LedgerAccount,
    _chain: ChainCheck,
    counters: readonly number[],
  ): Promise<Result<readonly SignedStatement[]>> {
    const kept = this.#rows.get(account.id);
    const rows = counters.map((counter) => kept?.get(counter));
    const there = rows.filter((row) => row !== undefined);
    const counter = counters[rows.indexOf(undefined)] ?? null;
    return Promise.resolve(
      there.length === rows.length
        ? accept(there)
        : refuse('store_deleted', { table: 'memory', counter }),
    );
  }

  close(): void {
    this.#rows.clear();
  }
}
