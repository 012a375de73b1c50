// Records of an account, sealed one by one. A row opens only for its account, its name and its counter: moved, copied or
// exchanged it does not. Counters have no hole, so that a row which is gone is missed.

import type { CborValue } from '../../../wire/cbor.ts';
import { equalBytes, toHex } from '../../../wire/bytes.ts';
import { HASH_BYTES } from '../../../wire/track/head.ts';
import type { StoredRecord } from './contract.ts';
import type { Sql } from './database.ts';
import { StoreError } from './database.ts';
import type { Row } from './row.ts';
import type { StoreKeys } from './store-keys.ts';
import { NONCE_BYTES } from './store-keys.ts';
import type { StoredPlace } from './stored-record.ts';
import {
  encodeStoredRecord,
  MAX_STORED_RECORD_BYTES,
  named,
  parseStoredRecord,
  recordName,
  unstoredOf,
  wordOf,
} from './stored-record.ts';

/** Of one statement, so that one answer stays within its limit. */
const PAGE_ROWS = 500;
const PAGE_BYTES = 4 * 1024 * 1024;
const COLUMNS = 'counter, record_key, key_version, nonce, sealed';

function boundTo(recordKey: Uint8Array, counter: number): readonly CborValue[] {
  return [recordKey, counter];
}

function readRecord(
  row: Row,
  keys: StoreKeys,
): { counter: number; recordKey: Uint8Array; record: StoredRecord } {
  const counter = row.uint(0);
  const recordKey = row.bytes(1, HASH_BYTES);
  const sealed = {
    version: row.uint(2),
    nonce: row.bytes(3, NONCE_BYTES),
    sealed: row.bytes(4, 16, MAX_STORED_RECORD_BYTES + 16),
  };
  const plaintext = keys.open('sealed_fills', sealed, boundTo(recordKey, counter));
  const record = plaintext === null ? null : parseStoredRecord(plaintext);
  if (record === null || !equalBytes(keys.recordKey(recordName(record)), recordKey)) {
    throw new StoreError('store_mac', { table: 'sealed_fills', counter });
  }
  return { counter, recordKey, record };
}

/**
 * Those with a counter above `after`, up to `until`: rejects with `store_deleted`, `store_rolled_back` where there are fewer or
 * more of them, `chain_duplicate` where one comes again.
 */
export async function readRecords(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  after: number,
  until: number,
): Promise<readonly StoredRecord[]> {
  const records: StoredRecord[] = [];
  for (let last = after; ;) {
    const rows = await sql.query(
      `SELECT ${COLUMNS} FROM trackseal.sealed_fills WHERE account = $1 AND counter > $2
       ORDER BY counter LIMIT 100`,
      [account, last],
      100,
    );
    for (const row of rows) {
      const { counter, record } = readRecord(row, keys);
      if (counter <= last)
        throw new StoreError('chain_duplicate', { table: 'sealed_fills', counter });
      if (counter > last + 1)
        throw new StoreError('store_deleted', { table: 'sealed_fills', counter: last + 1 });
      if (counter > until)
        throw new StoreError('store_rolled_back', { table: 'sync_status', counter });
      records.push(record);
      last = counter;
    }
    if (rows.length === 0) {
      if (last < until)
        throw new StoreError('store_deleted', { table: 'sealed_fills', counter: last + 1 });
      return records;
    }
  }
}

interface Prepared {
  readonly recordKey: Uint8Array;
  readonly plaintext: Uint8Array;
}

/** Once each. */
function prepare(keys: StoreKeys, records: readonly StoredRecord[]): readonly Prepared[] {
  const prepared = new Map<string, Prepared>();
  for (const record of records) {
    const plaintext = encodeStoredRecord(record);
    const recordKey = keys.recordKey(recordName(record));
    prepared.set(toHex(recordKey), { recordKey, plaintext });
  }
  return [...prepared.values()];
}

/** Counters, and what was moved, of what is there already, by keys in hex. A server that says so of a record that it has not is caught: it cannot seal. */
async function readKnown(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  recordKeys: readonly Uint8Array[],
): Promise<ReadonlyMap<string, StoredPlace>> {
  const known = new Map<string, StoredPlace>();
  for (let at = 0; at < recordKeys.length; at += PAGE_ROWS) {
    const asked = recordKeys.slice(at, at + PAGE_ROWS);
    const rows = await sql.query(
      `SELECT ${COLUMNS} FROM trackseal.sealed_fills
       WHERE account = $1 AND record_key IN (${asked.map((_, index) => `$${index + 2}`).join(', ')})`,
      [account, ...asked],
      asked.length,
    );
    for (const row of rows) {
      const { recordKey, counter, record } = readRecord(row, keys);
      known.set(toHex(recordKey), { at: counter, ...wordOf(record) });
    }
  }
  return known;
}

export async function readUnstored<T extends StoredRecord>(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  records: readonly T[],
  areKept: boolean,
): Promise<ReadonlyMap<T, boolean>> {
  const told = records.map((record) => named(record, (name) => keys.recordKey(name)));
  const asked = told.flatMap(({ own, others }) => [own, ...others]);
  const known = await readKnown(sql, keys, account, asked);
  return unstoredOf(told, (key) => known.get(toHex(key)), areKept);
}

/** Gives how many records the account has then. */
export async function writeRecords(
  sql: Sql,
  keys: StoreKeys,
  account: Uint8Array,
  poll: number,
  records: readonly StoredRecord[],
  recordCount: number,
): Promise<number> {
  const prepared = prepare(keys, records);
  if (prepared.length === 0) return recordCount;
  const known = await readKnown(
    sql,
    keys,
    account,
    prepared.map(({ recordKey }) => recordKey),
  );
  // Beyond it where the answer to a commit was lost.
  let counter = Math.max(recordCount, ...[...known.values()].map(({ at }) => at));
  let page: Uint8Array[] = [];
  let rows: (Uint8Array | number)[][] = [];
  const flush = async (): Promise<void> => {
    if (rows.length > 0) await insertPage(sql, account, poll, rows);
    page = [];
    rows = [];
  };
  for (const { recordKey, plaintext } of prepared) {
    if (known.has(toHex(recordKey))) continue;
    counter++;
    const { version, nonce, sealed } = keys.seal(
      'sealed_fills',
      plaintext,
      boundTo(recordKey, counter),
    );
    rows.push([recordKey, counter, version, nonce, sealed]);
    page.push(sealed);
    const bytes = page.reduce((sum, { length }) => sum + length, 0);
    if (rows.length === PAGE_ROWS || bytes > PAGE_BYTES) await flush();
  }
  await flush();
  return counter;
}

async function insertPage(
  sql: Sql,
  account: Uint8Array,
  poll: number,
  rows: readonly (readonly (Uint8Array | number)[])[],
): Promise<void> {
  const places = rows.map(
    (row, at) =>
      `($1, $2, ${row.map((_, column) => `$${at * row.length + column + 3}`).join(', ')})`,
  );
  await sql.query(
    `INSERT INTO trackseal.sealed_fills (account, poll, record_key, counter, key_version, nonce, sealed)
     VALUES ${places.join(', ')} ON CONFLICT (account, record_key) DO NOTHING`,
    [account, poll, ...rows.flat()],
  );
}
