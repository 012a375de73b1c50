// A store of one account that outlives its ledger, without a database: what is asked of restarts a hundred times over days of
// statements takes seconds with it. It is only told what is so; what a database that lies is caught with is asked of the real one.

import type { LedgerAccount } from '../../enclave/ledger/protocol.ts';
import type {
  Addition,
  ChainRow,
  LoadedAccount,
  StoredPoll,
  StoredRecord,
  StoredState,
  TrackStore,
} from '../../enclave/ledger/store/contract.ts';
import { RECENT_STATEMENTS } from '../../enclave/ledger/store/contract.ts';
import { MemoryStore } from '../../enclave/ledger/store/memory-store.ts';
import { trackAccountOf } from '../../enclave/ledger/store/postgres-store.ts';
import { recordName } from '../../enclave/ledger/store/stored-record.ts';
import { addRows } from '../../enclave/ledger/track/statements.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import { ChainCheck } from '../../wire/track/chain.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';

export class KeptStore implements TrackStore {
  readonly persistent = true;
  readonly available = true;
  readonly counters: Readonly<Record<string, number>> = {};
  readonly #memory = new MemoryStore();
  readonly #rows: ChainRow[] = [];
  readonly #records = new Map<string, StoredRecord>();
  #state: StoredState | null = null;
  #statedRecords = 0;
  #sync: StoredPoll | null = null;

  load(account: LedgerAccount, withAll = false): Promise<Result<LoadedAccount>> {
    const chain = new ChainCheck(nodeCrypto, trackAccountOf(account));
    addRows(chain, this.#rows);
    const loaded = {
      chain,
      recent: this.#rows.slice(-RECENT_STATEMENTS),
      state: withAll ? null : this.#state,
      records: [...this.#records.values()].slice(withAll ? 0 : (this.#state?.records ?? 0)),
      recordCount: this.#records.size,
      statedRecords: this.#statedRecords,
      sync: this.#sync,
    };
    return Promise.resolve(accept(loaded));
  }

  async savePoll(
    account: LedgerAccount,
    poll: StoredPoll,
    records: readonly StoredRecord[],
    recordCount: number,
  ): Promise<Result<number>> {
    this.#sync = poll;
    for (const record of records) {
      const name = JSON.stringify(recordName(record));
      if (!this.#records.has(name)) this.#records.set(name, record);
    }
    await this.#memory.savePoll(account, poll, records, recordCount);
    return accept(this.#records.size);
  }

  unstored<T extends StoredRecord>(
    account: LedgerAccount,
    records: readonly T[],
    areKept = false,
  ): Promise<Result<ReadonlyMap<T, boolean>>> {
    return this.#memory.unstored(account, records, areKept);
  }

  append(account: LedgerAccount, addition: Addition): Promise<Result<null>> {
    const { rows, statedRecords, state } = addition;
    this.#rows.push(...rows);
    this.#statedRecords = statedRecords;
    if (state !== null) this.#state = state;
    return this.#memory.append(account, addition);
  }

  rows(
    account: LedgerAccount,
    chain: ChainCheck,
    counters: readonly number[],
  ): Promise<Result<readonly SignedStatement[]>> {
    return this.#memory.rows(account, chain, counters);
  }

  forget(account: LedgerAccount): void {
    this.#memory.forget(account);
  }

  /** Its ledger ends; the next one finds what is here. */
  close(): void {}
}
