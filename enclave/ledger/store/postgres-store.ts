// The track record in PostgreSQL. The database keeps rows and is trusted with nothing else: what it gives back is checked
// whole when an account is loaded, and row by row when rows are served, against what was loaded. Each of its ways to lie
// has a code. What it cannot be caught at from its rows alone: all of an account as it was at an earlier time.

import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import { ChainCheck } from '../../../wire/track/chain.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import type { TrackAccount } from '../../../wire/track/head.ts';
import type { LedgerAccount } from '../protocol.ts';
import {
  checkAccount,
  insertAccount,
  isSameHead,
  readHead,
  readState,
  readSync,
  writeHead,
  writeState,
  writeSync,
} from './account-rows.ts';
import type { PlacedRow } from './chain-rows.ts';
import { CHAIN_COLUMNS, insertChainRow, openChainRow, readChainRow } from './chain-rows.ts';
import type {
  Addition,
  ChainRow,
  LoadedAccount,
  StoredPoll,
  StoredRecord,
  TrackStore,
} from './contract.ts';
import { RECENT_STATEMENTS } from './contract.ts';
import type { Database, Sql } from './database.ts';
import { StoreError } from './database.ts';
import { readRecords, readUnstored, writeRecords } from './sealed-records.ts';
import { StoreKeys } from './store-keys.ts';

/** A statement of 64 KiB is 128 KiB of hexadecimal text. */
const PAGE_ROWS = 200;
const UNIQUE_VIOLATION = '23505';

export interface PostgresStoreOptions {
  readonly database: Pick<Database, 'run' | 'counters' | 'close'>;
  /** By version; one at least. */
  readonly storageKeys: ReadonlyMap<number, Uint8Array>;
  readonly origin: string;
}

export function trackAccountOf({ commitment, venue, environment }: LedgerAccount): TrackAccount {
  return { accountCommitment: commitment, venue, environment };
}

export class PostgresStore implements TrackStore {
  readonly persistent = true;
  readonly #database: PostgresStoreOptions['database'];
  readonly #storageKeys: ReadonlyMap<number, Uint8Array>;
  readonly #origin: string;
  readonly #keys = new Map<string, StoreKeys>();
  #available = true;
  #statesTooLarge = 0;

  constructor({ database, storageKeys, origin }: PostgresStoreOptions) {
    this.#database = database;
    this.#storageKeys = storageKeys;
    this.#origin = origin;
  }

  get available(): boolean {
    return this.#available;
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#database.counters, states_too_large: this.#statesTooLarge };
  }

  close(): void {
    this.#database.close();
  }

  load(account: LedgerAccount, withAll = false): Promise<Result<LoadedAccount>> {
    const keys = this.#keysOf(account);
    const id = account.commitment;
    // A thousand of them are not in the way of accounts that are loaded.
    return this.#run(async (sql) => {
      // One moment for all rows: what another writer adds meanwhile is no contradiction.
      await sql.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY', []);
      const sync = await readSync(sql, keys, id);
      const head = await readHead(sql, keys, id);
      await checkAccount(sql, keys, id, sync !== null || head !== null);
      const { chain, recent } = await readChain(sql, keys, account);
      const { counter, hash } = chain.head;
      if (!isSameHead(head, counter, hash)) {
        const stored = head?.counter ?? 0;
        const code = counter < stored ? 'store_deleted' : 'store_rolled_back';
        throw new StoreError(counter === stored ? 'chain_fork' : code, { counter, head: stored });
      }
      const stored = await readState(sql, keys, id);
      const recordCount = sync?.records ?? 0;
      const known = Math.max(head?.records ?? 0, stored?.records ?? 0);
      if (recordCount < known) throw new StoreError('store_rolled_back', { table: 'sync_status' });
      const state = withAll ? null : stored;
      const records = await readRecords(sql, keys, id, state?.records ?? 0, recordCount);
      const statedRecords = head?.records ?? 0;
      return {
        chain,
        recent,
        state,
        records,
        recordCount,
        statedRecords,
        sync: sync?.poll ?? null,
      };
    }, 'later');
  }

  savePoll(
    account: LedgerAccount,
    poll: StoredPoll,
    records: readonly StoredRecord[],
    recordCount: number,
  ): Promise<Result<number>> {
    const keys = this.#keysOf(account);
    const id = account.commitment;
    return this.#run(async (sql) => {
      await insertAccount(sql, keys, account);
      const count = await writeRecords(sql, keys, id, poll.poll, records, recordCount);
      await writeSync(sql, keys, id, { poll, records: count }, this.#origin);
      return count;
    });
  }

  unstored<T extends StoredRecord>(
    account: LedgerAccount,
    records: readonly T[],
    areKept = false,
  ): Promise<Result<ReadonlyMap<T, boolean>>> {
    if (records.length === 0) return Promise.resolve(accept(new Map()));
    const keys = this.#keysOf(account);
    return this.#run((sql) => readUnstored(sql, keys, account.commitment, records, areKept));
  }

  append(account: LedgerAccount, addition: Addition): Promise<Result<null>> {
    const keys = this.#keysOf(account);
    const id = account.commitment;
    return this.#run(async (sql) => {
      await insertAccount(sql, keys, account);
      const { chain, rows, statedRecords, state } = addition;
      const last = rows.at(-1);
      // Where there are no rows, nothing else keeps it from being written over another writer's.
      const head = await readHead(sql, keys, id, ' FOR UPDATE');
      const isWritten =
        last !== undefined &&
        isSameHead(head, last.parsed.counter, nodeCrypto.sha256(last.statement));
      // The answer to an earlier commit of the same rows was lost.
      if (isWritten) return null;
      if (!isSameHead(head, chain.head.counter, chain.head.hash)) {
        const isBehind = (head?.counter ?? 0) < chain.head.counter;
        throw new StoreError(isBehind ? 'store_rolled_back' : 'chain_fork', {
          counter: chain.head.counter,
          head: head?.counter ?? 0,
        });
      }
      for (const row of rows) await insertChainRow(sql, keys, row);
      const { counter } = last?.parsed ?? chain.head;
      const hash = last === undefined ? chain.head.hash : nodeCrypto.sha256(last.statement);
      if (hash !== null) {
        await writeHead(sql, keys, id, { counter, hash, records: statedRecords }, this.#origin);
      }
      if (state !== null && !(await writeState(sql, keys, id, state))) this.#statesTooLarge++;
      return null;
    }).then(forkOf);
  }

  rows(
    account: LedgerAccount,
    chain: ChainCheck,
    counters: readonly number[],
  ): Promise<Result<readonly SignedStatement[]>> {
    const keys = this.#keysOf(account);
    return this.#run(async (sql) => {
      const found = new Map<number, SignedStatement>();
      for (let at = 0; at < counters.length; at += PAGE_ROWS) {
        const asked = counters.slice(at, at + PAGE_ROWS);
        const rows = await sql.query(
          `SELECT ${CHAIN_COLUMNS} FROM trackseal.chain c
           WHERE c.account = $1 AND c.counter IN (${asked.map((_, index) => `$${index + 2}`).join(', ')})`,
          [account.commitment, ...asked],
          asked.length,
        );
        for (const row of rows) {
          const { signed, place } = readChainRow(row, keys);
          const { counter } = place;
          if (!chain.has(counter, signed.statement))
            throw new StoreError('chain_fork', { counter });
          found.set(counter, signed);
        }
      }
      return counters.map((counter) => {
        const row = found.get(counter);
        if (row === undefined) throw new StoreError('store_deleted', { table: 'chain', counter });
        return row;
      });
    });
  }

  forget({ id }: LedgerAccount): void {
    this.#keys.delete(id);
  }

  #keysOf({ id, commitment }: LedgerAccount): StoreKeys {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    const keys = new StoreKeys(this.#storageKeys, commitment);
    this.#keys.set(id, keys);
    return keys;
  }

  async #run<T>(
    work: (sql: Sql) => Promise<T>,
    when: 'next' | 'later' = 'next',
  ): Promise<Result<T>> {
    const done = await this.#database.run(work, when);
    this.#available = done.ok || !done.refusal.code.startsWith('database_');
    return done;
  }
}

/** Two writers at one place: PostgreSQL lets one of them. */
function forkOf<T>(result: Result<T>): Result<T> {
  if (result.ok || result.refusal.detail['sqlstate'] !== UNIQUE_VIOLATION) return result;
  return refuse('chain_fork', { what: 'another writer' });
}

/** All statements, page by page. */
async function readChain(
  sql: Sql,
  keys: StoreKeys,
  account: LedgerAccount,
): Promise<{ readonly chain: ChainCheck; readonly recent: readonly ChainRow[] }> {
  const chain = new ChainCheck(nodeCrypto, trackAccountOf(account));
  let recent: PlacedRow[] = [];
  for (;;) {
    const after = chain.head.counter;
    const rows = await sql.query(
      `SELECT ${CHAIN_COLUMNS} FROM trackseal.chain c WHERE c.account = $1 AND c.counter > $2
       ORDER BY c.counter LIMIT ${PAGE_ROWS}`,
      [account.commitment, after],
      PAGE_ROWS,
    );
    if (rows.length === 0) return { chain, recent: recent.map(openChainRow) };
    for (const row of rows) {
      const read = readChainRow(row, keys);
      const added = chain.add(read.signed.statement, read.place, read.hash);
      if (!added.ok) throw new StoreError(added.refusal.code, added.refusal.detail);
      recent.push(read);
    }
    recent = recent.slice(-RECENT_STATEMENTS);
  }
}
