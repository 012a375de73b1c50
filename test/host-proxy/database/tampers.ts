// What a database without constraints can do to its rows, and what an audit says then: table by table, way by way.

import type { Client } from 'pg';
import type { Audit } from '../../../host-proxy/database/audit.ts';
import { TABLES } from '../../../host-proxy/database/backup.ts';
import { toHex } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { FIRST_HEX, SECOND_HEX } from './audited.ts';

const A = `account = decode('${FIRST_HEX}', 'hex')`;
const INTO_B = `account = decode('${SECOND_HEX}', 'hex')`;

export interface Tamper {
  readonly name: string;
  readonly sql: string;
  /** `code table counter column`, in any order; `B` before it for the second account. */
  readonly found: readonly string[];
}

function twice(table: string, counter: number): string {
  return `INSERT INTO trackseal.${table} SELECT * FROM trackseal.${table} WHERE ${A} AND counter = ${counter}`;
}

const SIDE: readonly Tamper[] = (
  [
    ['hourly_returns', 5, 'return_ratio = 0.5', 'return_ratio'],
    ['balance_snapshots', 2, 'equity = equity + 1', 'equity'],
    ['corrections', 4, "reason = 'other'", 'reason'],
  ] as const
).flatMap(([table, counter, change, column]) => {
  const where = `WHERE ${A} AND counter = ${counter}`;
  return [
    {
      name: `${table}: changes a row`,
      sql: `UPDATE trackseal.${table} SET ${change} ${where}`,
      found: [`column_differs ${table} ${counter} ${column}`],
    },
    {
      name: `${table}: drops a row`,
      sql: `DELETE FROM trackseal.${table} ${where}`,
      found: [`row_missing ${table} ${counter}`],
    },
    {
      name: `${table}: has a row twice`,
      sql: twice(table, counter),
      found: [`row_twice ${table} ${counter}`],
    },
    {
      name: `${table}: gives a row to another account`,
      sql: `UPDATE trackseal.${table} SET ${INTO_B} ${where}`,
      found: [`row_missing ${table} ${counter}`, `B row_extra ${table} ${counter}`],
    },
    {
      name: `${table}: shows a row at another place`,
      sql: `UPDATE trackseal.${table} SET counter = 100 ${where}`,
      found: [`row_missing ${table} ${counter}`, `row_extra ${table} 100`],
    },
  ];
});

/** Without its last statement, and without what is beside it. */
const TAIL = ['hourly_returns', 'chain']
  .map((table) => `DELETE FROM trackseal.${table} WHERE ${A} AND counter = 8`)
  .join('; ');

const UNPOLLED = [
  `DELETE FROM trackseal.sealed_fills WHERE ${A}`,
  `DELETE FROM trackseal.sync_status WHERE ${A}`,
  `UPDATE trackseal.chain_heads SET records = 0 WHERE ${A}`,
].join('; ');

function zeros(bytes: number): string {
  return `decode(repeat('00', ${bytes}), 'hex')`;
}

/** All but the first statement is gone, and another one, of which it has the bytes, says that they were lost. */
export function lostBy(statement: Uint8Array, origin: string): string {
  const [bytes, hash] = [statement, nodeCrypto.sha256(statement)].map(
    (value) => `decode('${toHex(value)}', 'hex')`,
  );
  const account = `decode('${FIRST_HEX}', 'hex')`;
  return [
    ...['chain', 'hourly_returns', 'balance_snapshots', 'corrections'].map(
      (table) => `DELETE FROM trackseal.${table} WHERE ${A} AND counter > 1`,
    ),
    `INSERT INTO trackseal.chain
      (account, counter, kind, previous, hash, statement, signature, origin, leaf_index, leaf_salt, position, mac)
      VALUES (${account}, 9, 'revocation', NULL, ${hash}, ${bytes}, ${zeros(64)}, '${origin}', 99, ${zeros(16)}, 0, ${zeros(32)})`,
    `INSERT INTO trackseal.corrections (account, counter, kind, superseded, reason)
      VALUES (${account}, 9, 'revocation', NULL, 'store_lost')`,
    `UPDATE trackseal.chain_heads SET counter = 9, hash = ${hash} WHERE ${A}`,
  ].join('; ');
}

/** As if two of three polls had never been. */
export const FEWER_RECORDS: string = [
  `DELETE FROM trackseal.sealed_fills WHERE ${A} AND counter > 1`,
  `UPDATE trackseal.sync_status SET records = 1 WHERE ${A}`,
  `UPDATE trackseal.chain_heads SET records = 1 WHERE ${A}`,
].join('; ');

export const TAMPERS: readonly Tamper[] = [
  ...SIDE,
  {
    name: 'hourly_returns: an hour that was worked out backwards is shown as one that was seen',
    sql: `UPDATE trackseal.hourly_returns SET rebuilt = false WHERE ${A} AND rebuilt`,
    found: ['column_differs hourly_returns 1 rebuilt'],
  },
  {
    name: 'hourly_returns: does not say whether an hour was seen',
    sql: `UPDATE trackseal.hourly_returns SET rebuilt = NULL WHERE ${A} AND counter = 5`,
    found: ['column_differs hourly_returns 5 rebuilt'],
  },
  {
    name: 'hourly_returns: the end is cut off',
    sql: `DELETE FROM trackseal.hourly_returns WHERE ${A} AND counter > 4`,
    found: ['row_missing hourly_returns 5', 'row_missing hourly_returns 8'],
  },
  {
    name: 'hourly_returns: another statement in place of one',
    sql: `UPDATE trackseal.hourly_returns h SET (statement, signature, leaf_index, leaf_salt) =
      (SELECT statement, signature, leaf_index, leaf_salt FROM trackseal.hourly_returns o WHERE o.${A} AND o.counter = 8)
      WHERE ${A} AND counter = 5`,
    found: ['statement', 'signature', 'leaf_index', 'leaf_salt'].map(
      (column) => `column_differs hourly_returns 5 ${column}`,
    ),
  },
  {
    name: 'chain: drops a statement in the middle',
    sql: `DELETE FROM trackseal.chain WHERE ${A} AND counter = 3`,
    found: ['row_extra hourly_returns 3', 'chain_hole chain 4'],
  },
  {
    name: 'chain: has a statement twice',
    sql: twice('chain', 3),
    found: ['chain_duplicate chain 3'],
  },
  {
    name: 'chain: shows a statement at another place',
    sql: `UPDATE trackseal.chain SET counter = 9 WHERE ${A} AND counter = 3`,
    found: [
      'row_extra hourly_returns 3',
      'chain_hole chain 4',
      'column_differs chain 9 counter',
      'row_missing hourly_returns 9',
    ],
  },
  {
    name: 'chain: splices the statements of another account in',
    sql: ['chain', 'hourly_returns']
      .flatMap((table) => [
        `DELETE FROM trackseal.${table} WHERE ${A}`,
        `UPDATE trackseal.${table} SET ${A} WHERE ${INTO_B}`,
      ])
      .join('; '),
    found: [
      ...[1, 2, 3].flatMap((counter) => [
        `column_differs chain ${counter} account`,
        `column_differs hourly_returns ${counter} account`,
      ]),
      'chain_splice chain 1',
      'row_extra balance_snapshots 2',
      'row_extra corrections 4',
      'row_extra corrections 7',
      'B store_deleted chain_heads 0',
    ],
  },
  {
    name: 'chain: is rolled back, and its end says more',
    sql: TAIL,
    found: ['store_deleted chain_heads 7'],
  },
  {
    name: 'chain_heads: is rolled back',
    sql: `UPDATE trackseal.chain_heads SET counter = 5 WHERE ${A}`,
    found: ['store_rolled_back chain_heads 8'],
  },
  {
    name: 'chain_heads: names another statement',
    sql: `UPDATE trackseal.chain_heads SET hash = decode(repeat('00', 32), 'hex') WHERE ${A}`,
    found: ['chain_fork chain_heads 8'],
  },
  {
    name: 'accounts: says another venue',
    sql: `UPDATE trackseal.accounts SET venue = 'okx' WHERE ${A}`,
    found: ['chain_splice chain 1'],
  },
  {
    name: 'accounts: says an environment that there is not, and another venue',
    sql: `UPDATE trackseal.accounts SET environment = 'demo', venue = 'okx' WHERE ${A}`,
    found: ['column_differs accounts environment'],
  },
  {
    name: 'accounts: drops a row',
    sql: `DELETE FROM trackseal.accounts WHERE ${A}`,
    found: ['row_missing accounts'],
  },
  {
    name: 'sealed_fills: drops a record',
    sql: `DELETE FROM trackseal.sealed_fills WHERE ${A} AND counter = 2`,
    found: ['store_deleted sealed_fills'],
  },
  {
    name: 'sealed_fills: has a record twice',
    sql: twice('sealed_fills', 2),
    found: ['row_twice sealed_fills'],
  },
  {
    name: 'sync_status: is rolled back',
    sql: `UPDATE trackseal.sync_status SET records = 2 WHERE ${A}`,
    found: ['row_extra sealed_fills', 'store_rolled_back sync_status'],
  },
  {
    name: 'sync_status and sealed_fills: all is gone, and the end of the chain rests on nothing',
    sql: UNPOLLED,
    found: ['row_missing sync_status'],
  },
];

/** All of the first account as it was before its last statement. */
export const OLDER: string = `${TAIL}; UPDATE trackseal.chain_heads
  SET (counter, hash) = (SELECT counter, hash FROM trackseal.chain WHERE ${A} AND counter = 7) WHERE ${A}`;

/** As a server that checks nothing. */
export async function tamper(owner: Client, sql: string): Promise<void> {
  await owner.query(`BEGIN; SET LOCAL session_replication_role = replica; ${sql}; COMMIT`);
}

async function runAll(owner: Client, text: string): Promise<void> {
  const found = await owner.query<{ command: string }>(text);
  for (const { command } of found.rows) await owner.query(command);
}

/** A hostile server has no constraints and no keys; what is there is kept aside. */
export async function loosen(owner: Client): Promise<void> {
  await runAll(
    owner,
    `SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', conrelid::regclass, conname) AS command
     FROM pg_constraint WHERE connamespace = 'trackseal'::regnamespace AND conrelid <> 0 AND contype <> 'n'`,
  );
  await runAll(
    owner,
    `SELECT format('DROP INDEX %s', indexrelid::regclass) AS command FROM pg_index i
     JOIN pg_class c ON c.oid = i.indrelid
     WHERE c.relnamespace = 'trackseal'::regnamespace AND indisunique`,
  );
  await runAll(
    owner,
    `SELECT format('ALTER DOMAIN %s DROP CONSTRAINT %I', contypid::regtype, conname) AS command
     FROM pg_constraint WHERE connamespace = 'trackseal'::regnamespace AND contypid <> 0`,
  );
  await owner.query('DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept');
  for (const { name } of TABLES) {
    await owner.query(`CREATE TABLE kept.${name} AS TABLE trackseal.${name}`);
  }
}

/** All rows as they were at `loosen`. */
export async function putBack(owner: Client): Promise<void> {
  const all = TABLES.map(
    ({ name }) =>
      `DELETE FROM trackseal.${name}; INSERT INTO trackseal.${name} SELECT * FROM kept.${name}`,
  );
  await owner.query(`BEGIN; ${all.join('; ')}; COMMIT`);
}

/** As `Tamper.found` has them, sorted. */
export function foundBy(audit: Audit | null): readonly string[] {
  return (audit?.findings ?? [])
    .map(({ code, account, table, counter, column }) =>
      [account === SECOND_HEX ? 'B' : null, code, table, counter, column]
        .filter((part) => part !== null && part !== undefined)
        .join(' '),
    )
    .toSorted();
}
