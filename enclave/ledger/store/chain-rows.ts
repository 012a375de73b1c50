// Rows of a chain in PostgreSQL, there and back. Each has a MAC over everything that makes it what it is, under a key of
// the vault: a later enclave, which has no key of the epochs before it, knows by it that an enclave of this log wrote
// the row. Columns with figures are for readers of the database, and are not read back.

import { equalBytes } from '../../../wire/bytes.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { SALT_BYTES } from '../../../wire/leaf.ts';
import { MAX_ORIGIN_CHARACTERS } from '../../../wire/limits.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import { HASH_BYTES, MAX_TRACK_STATEMENT_BYTES } from '../../../wire/track/head.ts';
import { trackRows } from '../../../wire/track/rows.ts';
import type { ChainPlace } from '../../../wire/track/statement.ts';
import {
  parseChainPlace,
  parseChainStatement,
  TRACK_SIGNATURE_BYTES,
} from '../../../wire/track/statement.ts';
import type { ChainRow } from './contract.ts';
import type { Sql, SqlValue } from './database.ts';
import { StoreError } from './database.ts';
import type { Row } from './row.ts';
import type { StoreKeys } from './store-keys.ts';

/** What `readChainRow` reads, in this order. */
export const CHAIN_COLUMNS =
  'c.counter, c.hash, c.statement, c.signature, c.origin, c.leaf_index, c.leaf_salt, c.position, c.mac';

function macOf(row: SignedStatement, counter: number, hash: Uint8Array): readonly CborValue[] {
  const { signature, origin, leafIndex, leafSalt, position } = row;
  return [counter, hash, signature, origin, leafIndex, leafSalt, position];
}

/** A row as it was written; of what the statement says only its place is read. */
export interface PlacedRow {
  readonly signed: SignedStatement;
  /** SHA-256 of the statement. */
  readonly hash: Uint8Array;
  readonly place: ChainPlace;
}

/** Rejects with `store_mac` unless an enclave with the keys wrote it for this account and counter. */
export function readChainRow(row: Row, keys: StoreKeys): PlacedRow {
  const counter = row.uint(0);
  const statement = row.bytes(2, 1, MAX_TRACK_STATEMENT_BYTES);
  const signed: SignedStatement = {
    statement,
    signature: row.bytes(3, TRACK_SIGNATURE_BYTES),
    origin: row.text(4, MAX_ORIGIN_CHARACTERS),
    leafIndex: row.uint(5),
    leafSalt: row.bytes(6, SALT_BYTES),
    position: row.uint(7),
  };
  const hash = nodeCrypto.sha256(statement);
  const place = parseChainPlace(statement);
  const isOurs =
    keys.hasMac('chain', macOf(signed, counter, hash), row.bytes(8, HASH_BYTES)) &&
    equalBytes(row.bytes(1, HASH_BYTES), hash);
  if (!isOurs || (place.ok && place.value.counter !== counter)) {
    throw new StoreError('store_mac', { table: 'chain', counter });
  }
  if (!place.ok) throw new StoreError(place.refusal.code, place.refusal.detail);
  return { signed, hash, place: place.value };
}

/** Everything that it says. */
export function openChainRow({ signed }: PlacedRow): ChainRow {
  const parsed = parseChainStatement(signed.statement);
  if (!parsed.ok) throw new StoreError(parsed.refusal.code, parsed.refusal.detail);
  return { ...signed, parsed: parsed.value };
}

function placeholders(count: number): string {
  return Array.from({ length: count }, (_, at) => `$${at + 1}`).join(', ');
}

async function insert(
  sql: Sql,
  table: string,
  columns: Readonly<Record<string, SqlValue>>,
): Promise<void> {
  const names = Object.keys(columns);
  // Table and columns are names of this file, never values.
  const text = `INSERT INTO trackseal.${table} (${names.join(', ')}) VALUES (${placeholders(names.length)})`;
  await sql.query(text, Object.values(columns));
}

/** The chain's row, that of its kind, and the correction where it is one. */
export async function insertChainRow(sql: Sql, keys: StoreKeys, row: ChainRow): Promise<void> {
  const hash = nodeCrypto.sha256(row.statement);
  const mac = keys.mac('chain', macOf(row, row.parsed.counter, hash));
  for (const { table, columns } of trackRows(row, row.parsed, hash)) {
    await insert(sql, table, table === 'chain' ? { ...columns, mac } : columns);
  }
}
