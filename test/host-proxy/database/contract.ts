// What must hold of the database, whichever it is: asked of PGlite behind our front (`make test`) and of a real
// PostgreSQL (`make test-pg`), by the same client.

import type { Client } from 'pg';
import { DatabaseError } from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { restore, TABLES } from '../../../host-proxy/database/backup.ts';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../../host-proxy/database/migrations.ts';
import type { Migration } from '../../../host-proxy/database/migrations.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { codeOf, linesOf, migrationOf, saveText } from './database-under-test.ts';
import { migrationContract } from './migration-contract.ts';
import {
  ACCOUNT,
  accountRow,
  bytes,
  chainRow,
  DAY_MS,
  fill,
  hourRow,
  insert,
  sealedRow,
  snapshotRow,
} from './rows.ts';
import type { Row } from './rows.ts';

/** Rows only, without the migrations in the head. */
function rowsOf(text: string): readonly string[] {
  return text.trimEnd().split('\n').slice(1, -1);
}

/** By a prepared statement of one name, whatever it says. */
async function askSame(client: Client, text: string): Promise<unknown> {
  return (await client.query({ name: 'same', text, values: ['x'] })).rows[0];
}

export function databaseContract(open: () => DatabaseUnderTest): void {
  migrationContract(open);

  let owner: Client;
  let migrations: readonly Migration[];

  beforeEach(async () => {
    migrations = await readMigrations(MIGRATIONS_FOLDER);
    owner = await open().connect('postgres');
    await owner.query('DROP SCHEMA IF EXISTS trackseal CASCADE');
    await owner.query('DROP SCHEMA IF EXISTS other CASCADE');
  });

  async function migrated(): Promise<void> {
    expect((await migrate(owner, migrations)).ok).toBe(true);
  }

  describe('roles', () => {
    beforeEach(migrated);

    it('own nothing, belong to nothing, and may make nothing', async () => {
      const roles = await owner.query(
        `SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolinherit
         FROM pg_roles WHERE rolname IN ('enclave_user', 'gateway_reader') ORDER BY rolname`,
      );
      const no = {
        rolsuper: false,
        rolcreaterole: false,
        rolcreatedb: false,
        rolreplication: false,
        rolbypassrls: false,
        rolinherit: false,
      };
      expect(roles.rows).toEqual([
        { rolname: 'enclave_user', ...no },
        { rolname: 'gateway_reader', ...no },
      ]);
      const owned = await owner.query(
        `SELECT d.classid::regclass::text, d.objid FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
         WHERE d.deptype = 'o' AND r.rolname IN ('enclave_user', 'gateway_reader')`,
      );
      expect(owned.rows).toEqual([]);
      const members = await owner.query(
        `SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
         WHERE r.rolname IN ('enclave_user', 'gateway_reader')`,
      );
      expect(members.rows).toEqual([]);
    });

    it('gateway_reader may do exactly this, enclave_user exactly that', async () => {
      const found = await owner.query<{ grantee: string; what: string; may: string }>(
        `SELECT coalesce(r.rolname, 'PUBLIC') AS grantee, o.what, string_agg(a.privilege_type, ' '
           ORDER BY a.privilege_type) AS may
         FROM (
           SELECT 'table ' || c.relname AS what, c.relacl AS acl FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname IN ('trackseal', 'public') AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
           UNION ALL SELECT 'column ' || c.relname || '.' || t.attname, t.attacl FROM pg_attribute t
             JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname IN ('trackseal', 'public') AND t.attacl IS NOT NULL
           UNION ALL SELECT 'function ' || p.proname, coalesce(p.proacl, acldefault('f', p.proowner))
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname IN ('trackseal', 'public')
           UNION ALL SELECT 'type ' || t.typname, coalesce(t.typacl, acldefault('T', t.typowner))
             FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
             WHERE n.nspname IN ('trackseal', 'public') AND t.typtype = 'd'
           UNION ALL SELECT 'schema ' || nspname, coalesce(nspacl, acldefault('n', nspowner))
             FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
           UNION ALL SELECT 'database', coalesce(datacl, acldefault('d', datdba))
             FROM pg_database WHERE datname = current_database()
           UNION ALL SELECT 'default ' || defaclobjtype::text, defaclacl FROM pg_default_acl
         ) o, aclexplode(o.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
         WHERE r.rolname IS NULL OR r.rolname IN ('enclave_user', 'gateway_reader')
         GROUP BY 1, 2 ORDER BY 1, 2`,
      );
      const may = (grantee: string): Readonly<Record<string, string>> =>
        Object.fromEntries(
          found.rows.filter((one) => one.grantee === grantee).map((one) => [one.what, one.may]),
        );
      expect(may('PUBLIC')).toEqual({});
      expect(may('gateway_reader')).toEqual({
        database: 'CONNECT',
        'schema trackseal': 'USAGE',
        'table hourly_returns': 'SELECT',
        'table balance_snapshots': 'SELECT',
      });
      expect(may('enclave_user')).toEqual({
        database: 'CONNECT',
        'schema trackseal': 'USAGE',
        'table accounts': 'INSERT SELECT',
        'table sealed_fills': 'INSERT SELECT',
        'table chain': 'INSERT SELECT',
        'table chain_heads': 'INSERT SELECT UPDATE',
        'table hourly_returns': 'INSERT SELECT',
        'table balance_snapshots': 'INSERT SELECT',
        'table corrections': 'INSERT SELECT',
        'table sync_status': 'INSERT SELECT UPDATE',
        'table sealed_states': 'INSERT SELECT UPDATE',
        'table migrations': 'SELECT',
      });
    });

    it('gateway_reader reads two tables and is refused everything else', async () => {
      await fill(owner);
      const reader = await open().connect('gateway_reader');
      const tables = await owner.query<{ name: string; column: string }>(
        `SELECT c.relname AS name, (SELECT attname FROM pg_attribute
           WHERE attrelid = c.oid AND attnum = 1) AS column
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'trackseal' AND c.relkind = 'r' ORDER BY 1`,
      );
      const readable: string[] = [];
      for (const { name, column } of tables.rows) {
        const code = await codeOf(reader.query(`SELECT * FROM trackseal.${name}`));
        expect([null, '42501']).toContain(code);
        if (code === null) readable.push(name);
        for (const statement of [
          `INSERT INTO trackseal.${name} SELECT * FROM trackseal.${name}`,
          `UPDATE trackseal.${name} SET ${column} = ${column}`,
          `DELETE FROM trackseal.${name}`,
          `TRUNCATE trackseal.${name}`,
          `SELECT * FROM trackseal.${name} FOR UPDATE`,
          `DROP TABLE trackseal.${name}`,
          `ALTER TABLE trackseal.${name} ADD COLUMN more INT`,
        ]) {
          expect([statement, await codeOf(reader.query(statement))]).toEqual([statement, '42501']);
        }
      }
      expect(readable).toEqual(['balance_snapshots', 'hourly_returns']);
      for (const statement of [
        'CREATE TABLE trackseal.mine (a INT)',
        'CREATE TABLE public.mine (a INT)',
        'CREATE TEMP TABLE mine (a INT)',
        'CREATE SCHEMA mine',
        'CREATE ROLE mine',
        'CREATE FUNCTION trackseal.mine() RETURNS INT LANGUAGE sql RETURN 1',
        'SET ROLE enclave_user',
        'SET ROLE postgres',
        'ALTER ROLE gateway_reader SUPERUSER',
        'GRANT enclave_user TO gateway_reader',
        'SELECT lo_create(0)',
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_read_file('PG_VERSION')",
        "COPY trackseal.hourly_returns TO '/tmp/x'",
        "COPY trackseal.hourly_returns TO PROGRAM 'true'",
        'SELECT * FROM pg_catalog.pg_authid',
      ]) {
        expect([statement, await codeOf(reader.query(statement))]).toEqual([statement, '42501']);
      }
    });

    it('enclave_user adds rows of every kind, and neither deletes nor changes what is signed', async () => {
      const enclave = await open().connect('enclave_user');
      await fill(enclave);
      for (const statement of [
        ...TABLES.map(({ name }) => `DELETE FROM trackseal.${name}`),
        ...TABLES.map(({ name }) => `TRUNCATE trackseal.${name}`),
        'UPDATE trackseal.chain SET position = position',
        'UPDATE trackseal.hourly_returns SET position = position',
        'UPDATE trackseal.balance_snapshots SET position = position',
        'UPDATE trackseal.corrections SET reason = reason',
        'UPDATE trackseal.sealed_fills SET poll = poll',
        'UPDATE trackseal.accounts SET user_hash = user_hash',
        'UPDATE trackseal.accounts SET label = label',
        "INSERT INTO trackseal.migrations VALUES (9, 'x', 'x')",
        'CREATE TABLE trackseal.mine (a INT)',
        'CREATE TEMP TABLE mine (a INT)',
        'ALTER TABLE trackseal.chain DISABLE TRIGGER ALL',
        'SET ROLE gateway_reader',
        'SET ROLE postgres',
      ]) {
        expect([statement, await codeOf(enclave.query(statement))]).toEqual([statement, '42501']);
      }
      await enclave.query('UPDATE trackseal.sync_status SET poll = poll + 1');
      await enclave.query('UPDATE trackseal.chain_heads SET records = records + 1');
    });

    it('get nothing from what a later owner makes without thinking', async () => {
      await owner.query('CREATE SCHEMA other');
      await owner.query('CREATE TABLE trackseal.later (a INT)');
      await owner.query('CREATE TABLE other.later (a INT)');
      await owner.query('CREATE FUNCTION trackseal.later() RETURNS INT LANGUAGE sql RETURN 1');
      for (const role of ['enclave_user', 'gateway_reader'] as const) {
        const client = await open().connect(role);
        for (const statement of [
          'SELECT * FROM trackseal.later',
          'SELECT * FROM other.later',
          'SELECT trackseal.later()',
        ]) {
          expect([statement, await codeOf(client.query(statement))]).toEqual([statement, '42501']);
        }
      }
    });
  });

  describe('constraints', () => {
    beforeEach(migrated);

    const accounts: readonly (readonly [string, Row, string])[] = [
      ['a commitment of 31 bytes', { account: bytes(31, 1) }, '23514'],
      ['a commitment of 33 bytes', { account: bytes(33, 1) }, '23514'],
      ['no MAC', { mac: null }, '23502'],
      ['a venue in capitals', { venue: 'Binance' }, '23514'],
      ['a venue of 51 characters', { venue: 'a'.repeat(51) }, '23514'],
    ];
    it.each(accounts)('of an account: %s', async (_, changes, code) => {
      expect(await codeOf(insert(owner, 'accounts', accountRow(changes)))).toBe(code);
      await insert(owner, 'accounts', accountRow({ venue: 'a'.repeat(50) }));
      expect(await codeOf(insert(owner, 'accounts', accountRow()))).toBe('23505');
    });

    const hours: readonly (readonly [string, Row, string])[] = [
      ['an amount that is none', { equity_end: 'NaN' }, '23514'],
      ['an amount without end', { realised: 'Infinity' }, '23514'],
      ['an amount without end, below', { realised: '-Infinity' }, '23514'],
      ['an hour that does not start on the hour', { start_ms: DAY_MS + 1 }, '23514'],
      ['a return without its method', { return_method: null }, '23514'],
      ['a method without a return', { return_ratio: null, return_reason: 'x' }, '23514'],
      ['a gap without a reason', { return_ratio: null, return_method: null }, '23514'],
      ['a statement of nothing', { statement: Buffer.alloc(0) }, '23514'],
      ['a signature of 63 bytes', { signature: bytes(63, 1) }, '23514'],
      ['a signature of 65 bytes', { signature: bytes(65, 1) }, '23514'],
      ['a correction of itself', { supersedes: 2 }, '23514'],
      ['a correction of what is later', { supersedes: 3 }, '23514'],
      ['a correction of another hour', { supersedes: 1 }, '23503'],
      ['a place in the chain that is not there', { counter: 3 }, '23503'],
      ['a place in the chain that is a snapshot', { counter: 4 }, '23503'],
      ['an hour that was told already', { start_ms: hourRow(1)['start_ms'] }, '23505'],
      ['a negative inflow', { inflow: '-1' }, '23514'],
      ['an unknown status', { status: 'fine' }, '23514'],
    ];
    it.each(hours)('of an hour: %s', async (_, changes, code) => {
      await insert(owner, 'accounts', accountRow());
      await insert(owner, 'chain', chainRow(1));
      await insert(owner, 'chain', chainRow(2));
      await insert(owner, 'chain', chainRow(3));
      await owner.query('DELETE FROM trackseal.chain WHERE counter = 3');
      await insert(owner, 'chain', chainRow(4, { kind: 'snapshot', previous: bytes(32, 2) }));
      await insert(owner, 'hourly_returns', hourRow(1));
      expect(await codeOf(insert(owner, 'hourly_returns', hourRow(2, changes)))).toBe(code);
      await insert(owner, 'hourly_returns', hourRow(2));
    });

    it('of the chain: no second statement at one place, no fork, no loose end', async () => {
      await insert(owner, 'accounts', accountRow());
      expect(await codeOf(insert(owner, 'chain', chainRow(2)))).toBe('23503');
      await insert(owner, 'chain', chainRow(1));
      const other = { hash: bytes(32, 99), position: 99 };
      expect(await codeOf(insert(owner, 'chain', chainRow(1, other)))).toBe('23505');
      expect(await codeOf(insert(owner, 'chain', chainRow(2, { previous: null })))).toBe('23514');
      expect(await codeOf(insert(owner, 'chain', chainRow(2, { hash: bytes(32, 1) })))).toBe(
        '23505',
      );
      // The same signature cannot stand for two rows.
      expect(await codeOf(insert(owner, 'chain', chainRow(2, { position: 1 })))).toBe('23505');
      await insert(owner, 'chain', chainRow(2));
    });

    it('of corrections: each hour has one successor', async () => {
      await fill(owner);
      await insert(owner, 'chain', chainRow(6));
      const again = hourRow(6, { supersedes: 1, start_ms: hourRow(1)['start_ms'] });
      expect(await codeOf(insert(owner, 'hourly_returns', again))).toBe('23505');
      await insert(owner, 'hourly_returns', { ...again, supersedes: 3 });
    });

    it('of snapshots: at midnight', async () => {
      await fill(owner);
      await insert(owner, 'chain', chainRow(6, { kind: 'snapshot' }));
      const noon = snapshotRow(6, { at_ms: 20_000 * DAY_MS + DAY_MS / 2 });
      expect(await codeOf(insert(owner, 'balance_snapshots', noon))).toBe('23514');
      expect(await codeOf(insert(owner, 'balance_snapshots', snapshotRow(6)))).toBe('23505');
      await insert(owner, 'balance_snapshots', { ...noon, at_ms: 20_002 * DAY_MS });
    });

    it('of sealed records: one key once, said twice or not', async () => {
      const enclave = await open().connect('enclave_user');
      await insert(enclave, 'accounts', accountRow());
      const add = async (row: Row): Promise<number | null> => {
        const columns = Object.keys(row);
        const places = columns.map((_, at) => `$${at + 1}`).join(', ');
        const into = `INSERT INTO trackseal.sealed_fills (${columns.join(', ')}) VALUES (${places})`;
        const text = `${into} ON CONFLICT (account, record_key) DO NOTHING`;
        return (await enclave.query(text, Object.values(row))).rowCount;
      };
      expect(await add(sealedRow(1))).toBe(1);
      expect(await add(sealedRow(1, { counter: 2 }))).toBe(0);
      expect(await codeOf(add(sealedRow(2, { counter: 1 })))).toBe('23505');
      expect(await codeOf(add(sealedRow(2, { sealed: bytes(15, 1) })))).toBe('23514');
      expect(await codeOf(add(sealedRow(2, { sealed: bytes(1_048_577, 1) })))).toBe('23514');
      expect(await add(sealedRow(2, { sealed: bytes(1_048_576, 1) }))).toBe(1);
      expect(await codeOf(add(sealedRow(3, { nonce: bytes(13, 1) })))).toBe('23514');
    });

    it('keep amounts exactly as they were said', async () => {
      await fill(owner);
      const found = await owner.query(
        'SELECT return_ratio, realised, volume FROM trackseal.hourly_returns WHERE counter = 1',
      );
      expect(found.rows).toEqual([
        {
          return_ratio: '0.012300000000000000',
          realised: '-0.000000000000000001',
          volume: '123456789012345678901234567890.5',
        },
      ]);
    });
  });

  describe('connections', () => {
    beforeEach(migrated);

    it('see nothing of a transaction before it is committed', async () => {
      const [a, b] = [await open().connect('enclave_user'), await open().connect('enclave_user')];
      await a.query('BEGIN');
      await insert(a, 'accounts', accountRow());
      let isCommitted = false;
      const seen = b.query('SELECT FROM trackseal.accounts').then(({ rowCount }) => {
        // PGlite has one engine: there the other waits, and sees what was committed.
        return { rowCount, isCommitted };
      });
      await a.query('SELECT 1');
      isCommitted = true;
      await a.query('COMMIT');
      const nothing = { rowCount: 0 };
      const all = { rowCount: 1, isCommitted: true };
      const { rowCount } = await seen;
      expect(await seen).toMatchObject(rowCount === 0 ? nothing : all);
    });

    it('that end in a transaction leave nothing', async () => {
      const dying = await open().connect('enclave_user');
      await dying.query('BEGIN');
      await insert(dying, 'accounts', accountRow());
      await dying.end();
      const found = await owner.query('SELECT FROM trackseal.accounts');
      expect(found.rowCount).toBe(0);
    });

    it('have prepared statements of their own, under the same names', async () => {
      const [a, b] = [await open().connect('enclave_user'), await open().connect('gateway_reader')];
      for (let round = 0; round < 3; round++) {
        expect(await askSame(a, "SELECT $1::text || 'a' AS v")).toEqual({ v: 'xa' });
        expect(await askSame(b, "SELECT $1::text || 'b' AS v")).toEqual({ v: 'xb' });
      }
      const others = await b.query('SELECT statement FROM pg_prepared_statements');
      expect(others.rows.filter(({ statement }) => String(statement).includes("'a'"))).toEqual([]);
    });

    it('are told of an error, and go on', async () => {
      const client = await open().connect('enclave_user');
      expect(await codeOf(client.query('SELECT 1 / $1::int', [0]))).toBe('22012');
      expect(await codeOf(client.query('SELEC'))).toBe('42601');
      await client.query('BEGIN');
      expect(await codeOf(client.query('SELECT 1 / 0'))).toBe('22012');
      expect(await codeOf(client.query('SELECT 1'))).toBe('25P02');
      await client.query('ROLLBACK');
      expect((await client.query('SELECT $1::int AS v', [7])).rows).toEqual([{ v: 7 }]);
    });

    it('count up together without losing one', async () => {
      await fill(owner);
      const clients = await Promise.all(
        Array.from({ length: 4 }, () => open().connect('enclave_user')),
      );
      await Promise.all(
        clients.map(async (client) => {
          for (let round = 0; round < 10; round++) {
            await client.query('BEGIN');
            const found = await client.query<{ poll: string }>(
              'SELECT poll FROM trackseal.sync_status FOR UPDATE',
            );
            const poll = Number(found.rows[0]?.poll) + 1;
            await client.query('UPDATE trackseal.sync_status SET poll = $1', [poll]);
            await client.query('COMMIT');
          }
        }),
      );
      const found = await owner.query('SELECT poll FROM trackseal.sync_status');
      expect(found.rows).toEqual([{ poll: '41' }]);
    });
  });

  describe('a backup', () => {
    beforeEach(migrated);

    it('is of every table, and comes back byte for byte', async () => {
      const tables = await owner.query<{ name: string }>(
        `SELECT relname AS name FROM pg_class WHERE relnamespace = 'trackseal'::regnamespace
         AND relkind = 'r' AND relname <> 'migrations' ORDER BY 1`,
      );
      expect(tables.rows.map(({ name }) => name)).toEqual(
        TABLES.map(({ name }) => name).toSorted(),
      );
      await fill(owner);
      const text = await saveText(owner);
      for (const { name } of TABLES) expect(text).toContain(`{"table":"${name}"`);
      await owner.query('DROP SCHEMA trackseal CASCADE');
      await migrated();
      const restored = await restore(owner, linesOf(text));
      expect(restored).toMatchObject({ ok: true, rows: rowsOf(text).length - TABLES.length });
      expect(await saveText(owner)).toBe(text);
      expect(
        (await owner.query('SELECT FROM trackseal.accounts WHERE account = $1', [ACCOUNT]))
          .rowCount,
      ).toBe(1);
    });

    it('that lacks a line, has one twice, or another byte, is refused and changes nothing', async () => {
      await fill(owner);
      const text = await saveText(owner);
      const lines = text.trimEnd().split('\n');
      await owner.query(`TRUNCATE ${TABLES.map(({ name }) => `trackseal.${name}`).join(', ')}`);
      const damaged = [
        ...lines.map((_, at) => lines.toSpliced(at, 1)),
        ...lines.map((line, at) => lines.toSpliced(at, 0, line)),
        lines.map((line) => line.replace('binance', 'binanca')),
        lines.slice(0, -1),
        [...lines, '[]'],
        ['nothing'],
        [],
      ];
      for (const [at, some] of damaged.entries()) {
        const done = restore(owner, linesOf(some.join('\n'))).catch((error: unknown) => {
          // A row twice, or without the one that it refers to.
          if (error instanceof DatabaseError) return { ok: false as const, problem: error.code };
          throw error;
        });
        expect([at, (await done).ok]).toEqual([at, false]);
      }
      expect(rowsOf(await saveText(owner))).toHaveLength(TABLES.length);
      expect((await restore(owner, linesOf(text))).ok).toBe(true);
    });

    it('is refused where rows are, and where another schema is', async () => {
      await fill(owner);
      const text = await saveText(owner);
      expect(await restore(owner, linesOf(text))).toEqual({ ok: false, problem: 'not_empty' });
      await owner.query('DROP SCHEMA trackseal CASCADE');
      expect(await restore(owner, linesOf(text))).toEqual({ ok: false, problem: 'not_migrated' });
      await migrate(owner, [...migrations, migrationOf(migrations.length + 1, 'SELECT 1')]);
      const other = { ok: false, problem: 'other_migrations' };
      expect(await restore(owner, linesOf(text))).toEqual(other);
    });
  });
}
