// The rows of which an account has one: who it is, how far it has come, where its chain ends, the state of its book. Each
// has a MAC or a seal; a row that is older than another one says so by its counts.

import { equalBytes } from '../../../wire/bytes.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { MAX_ORIGIN_CHARACTERS } from '../../../wire/limits.ts';
import { HASH_BYTES } from '../../../wire/track/head.ts';
import type { LedgerAccount } from '../protocol.ts';
import type { StoredPoll, StoredState } from './contract.ts';
import type { Sql } from './database.ts';
import { StoreError } from './database.ts';
import { NONCE_BYTES } from './store-keys.ts';
import type { StoreKeys } from './store-keys.ts';

/** In its hexadecimal form within one message of the database. */
export const MAX_STATE_BYTES: number = 8 * 1024 * 1024;
const BOOK = 'book';

export interface StoredHead {
  readonly counter: number;
  readonly hash: Uint8Array;
  /** Records of the account when it was written. */
  readonly records: number;
}

export interface StoredSync {
  readonly poll: StoredPoll;
  readonly records: number;
}

function checkMac(
  keys: StoreKeys,
  table: string,
  row: readonly CborValue[],
  mac: Uint8Array,
): void {
  if (!keys.hasMac(table, row, mac)) throw new StoreError('store_mac', { table });
}

function accountMac(account: LedgerAccount): readonly CborValue[] {
  const { userHash, venue, label, accountType, environment, createdMs } = account;
  return [userHash, venue, label, accountType, environment, createdMs];
}

/** The row is for those who look at the database, and has to be what was written all the same. */
export async function checkAccount(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  isStored: boolean,
): Promise<void> {
  const [row] = await sql.query(
    `SELECT user_hash, venue, label, account_type, environment, created_ms, mac
     FROM trackseal.accounts WHERE account = $1`,
    [account],
    1,
  );
  if (row === undefined) {
    if (isStored) throw new StoreError('store_deleted', { table: 'accounts' });
    return;
  }
  const names = [row.text(1, 50), row.text(2, 400), row.text(3, 64), row.text(4, 64)];
  const values = [row.bytes(0, HASH_BYTES), ...names, row.uint(5)];
  checkMac(keys, 'accounts', values, row.bytes(6, HASH_BYTES));
}

/** What the desk says of an account now is what counts: a row that is there stays. */
export async function insertAccount(
  sql: Sql,
  keys: StoreKeys,
  account: LedgerAccount,
): Promise<void> {
  await sql.query(
    `INSERT INTO trackseal.accounts (account, user_hash, venue, label, account_type, environment, created_ms, mac)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account) DO NOTHING`,
    [
      account.commitment,
      account.userHash,
      account.venue,
      account.label,
      account.accountType,
      account.environment,
      account.createdMs,
      keys.mac('accounts', accountMac(account)),
    ],
  );
}

function syncMac(sync: StoredSync, origin: string): readonly CborValue[] {
  const { poll, leafIndex, slotMs, lastSyncMs, outcome, reason } = sync.poll;
  return [poll, leafIndex, slotMs, lastSyncMs, outcome, reason, sync.records, origin];
}

export async function readSync(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
): Promise<StoredSync | null> {
  const [row] = await sql.query(
    `SELECT poll, leaf_index, slot_ms, last_sync_ms, outcome, reason, records, origin, mac
     FROM trackseal.sync_status WHERE account = $1`,
    [account],
    1,
  );
  if (row === undefined) return null;
  const sync: StoredSync = {
    poll: {
      poll: row.uint(0),
      leafIndex: row.uintOrNull(1),
      slotMs: row.uint(2),
      lastSyncMs: row.uint(3),
      outcome: row.text(4, 64),
      reason: row.isNull(5) ? null : row.text(5, 64),
    },
    records: row.uint(6),
  };
  const origin = row.text(7, MAX_ORIGIN_CHARACTERS);
  checkMac(keys, 'sync_status', syncMac(sync, origin), row.bytes(8, HASH_BYTES));
  return sync;
}

export async function writeSync(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  sync: StoredSync,
  origin: string,
): Promise<void> {
  const { poll, leafIndex, slotMs, lastSyncMs, outcome, reason } = sync.poll;
  await sql.query(
    `INSERT INTO trackseal.sync_status
       (account, poll, leaf_index, slot_ms, last_sync_ms, outcome, reason, records, origin, mac)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (account) DO UPDATE SET poll = excluded.poll, leaf_index = excluded.leaf_index,
       slot_ms = excluded.slot_ms, last_sync_ms = excluded.last_sync_ms, outcome = excluded.outcome,
       reason = excluded.reason, records = excluded.records, origin = excluded.origin, mac = excluded.mac`,
    [
      account,
      poll,
      leafIndex,
      slotMs,
      lastSyncMs,
      outcome,
      reason,
      sync.records,
      origin,
      keys.mac('sync_status', syncMac(sync, origin)),
    ],
  );
}

export async function readHead(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  lock: '' | ' FOR UPDATE' = '',
): Promise<StoredHead | null> {
  const [row] = await sql.query(
    `SELECT counter, hash, records, origin, mac FROM trackseal.chain_heads WHERE account = $1${lock}`,
    [account],
    1,
  );
  if (row === undefined) return null;
  const head = { counter: row.uint(0), hash: row.bytes(1, HASH_BYTES), records: row.uint(2) };
  const values = [head.counter, head.hash, head.records, row.text(3, MAX_ORIGIN_CHARACTERS)];
  checkMac(keys, 'chain_heads', values, row.bytes(4, HASH_BYTES));
  return head;
}

export async function writeHead(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  head: StoredHead,
  origin: string,
): Promise<void> {
  const { counter, hash, records } = head;
  const mac = keys.mac('chain_heads', [counter, hash, records, origin]);
  await sql.query(
    `INSERT INTO trackseal.chain_heads (account, counter, hash, records, origin, mac)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (account) DO UPDATE SET counter = excluded.counter, hash = excluded.hash,
       records = excluded.records, origin = excluded.origin, mac = excluded.mac`,
    [account, counter, hash, records, origin, mac],
  );
}

export function isSameHead(
  a: StoredHead | null,
  counter: number,
  hash: Uint8Array | null,
): boolean {
  if (a === null || hash === null) return a === null && counter === 0;
  return a.counter === counter && equalBytes(a.hash, hash);
}

/** A state that does not open is refused; an older one of ours opens, and is caught up from the records. */
export async function readState(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
): Promise<StoredState | null> {
  const [row] = await sql.query(
    `SELECT counter, key_version, nonce, sealed FROM trackseal.sealed_states
     WHERE account = $1 AND purpose = $2`,
    [account, BOOK],
    1,
  );
  if (row === undefined) return null;
  const records = row.uint(0);
  const sealed = {
    version: row.uint(1),
    nonce: row.bytes(2, NONCE_BYTES),
    sealed: row.bytes(3, 16, MAX_STATE_BYTES + 16),
  };
  const bytes = keys.open('sealed_states', sealed, [BOOK, records]);
  if (bytes === null) throw new StoreError('store_mac', { table: 'sealed_states' });
  return { records, bytes };
}

/** False: it is too large, and not written; the one before it stays, and the records behind it. */
export async function writeState(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  { records, bytes }: StoredState,
): Promise<boolean> {
  if (bytes.length > MAX_STATE_BYTES) return false;
  const { version, nonce, sealed } = keys.seal('sealed_states', bytes, [BOOK, records]);
  await sql.query(
    `INSERT INTO trackseal.sealed_states (account, purpose, counter, key_version, nonce, sealed)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (account, purpose) DO UPDATE SET counter = excluded.counter,
       key_version = excluded.key_version, nonce = excluded.nonce, sealed = excluded.sealed`,
    [account, BOOK, records, version, nonce, sealed],
  );
  return true;
}
