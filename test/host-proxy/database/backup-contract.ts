// What a backup is, whichever the database is: every row, byte for byte, and refused when it is not whole.

import type { Client } from 'pg';
import { DatabaseError } from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { restore, TABLES } from '../../../host-proxy/database/backup.ts';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../../host-proxy/database/migrations.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import {
  linesOf,
  migrateAll,
  migratedOwner,
  migrationOf,
  saveText,
} from './database-under-test.ts';
import { ACCOUNT, fill } from './rows.ts';

/** Rows only, without the migrations in the head. */
function rowsOf(text: string): readonly string[] {
  return text.trimEnd().split('\n').slice(1, -1);
}

export function backupContract(open: () => DatabaseUnderTest): void {
  describe('a backup', () => {
    let owner: Client;

    beforeEach(async () => {
      owner = await migratedOwner(open());
    });

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
      await migrateAll(owner);
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
      const migrations = await readMigrations(MIGRATIONS_FOLDER);
      await migrate(owner, [...migrations, migrationOf(migrations.length + 1, 'SELECT 1')]);
      const other = { ok: false, problem: 'other_migrations' };
      expect(await restore(owner, linesOf(text))).toEqual(other);
    });
  });
}
