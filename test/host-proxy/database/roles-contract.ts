// What roles may do, whichever the database is: a reader sees two tables, the enclave adds and takes nothing back.

import type { Client } from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { TABLES } from '../../../host-proxy/database/backup.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { codeOf, migratedOwner } from './database-under-test.ts';
import { fill } from './rows.ts';

export function rolesContract(open: () => DatabaseUnderTest): void {
  describe('roles', () => {
    let owner: Client;

    beforeEach(async () => {
      owner = await migratedOwner(open());
    });

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
}
