// What must hold of migrations, whichever the database is: from every released version, with all that its rows say, and
// only forward. A migration that changes rows has its line in FORWARD, so that content is compared and not counted.

import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  copyFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { restore, TABLES } from '../../../host-proxy/database/backup.ts';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readApplied,
  readMigrations,
} from '../../../host-proxy/database/migrations.ts';
import type { Migration } from '../../../host-proxy/database/migrations.ts';
import { hourStatement } from '../../helpers/track-record.ts';
import { Chain, FIGURES, gapFigures } from '../../vectors/track.ts';
import { HOUR_MS, START_MS } from '../../wire/performance/hours.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { accountRow, chainRow, hourRow, insert } from './rows.ts';
import { codeOf, linesOf, migrationOf, saveText } from './database-under-test.ts';

/** Of each released version: a backup that it wrote. */
const FIXTURES = join(import.meta.dirname, '../../fixtures/database');
const RELEASED = readdirSync(FIXTURES).filter((name) => /^\d{4}\.jsonl$/u.test(name));

type Row = Readonly<Record<string, string | null>>;
type Content = Readonly<Record<string, readonly Row[]>>;
/** What a migration makes of the rows of a table. */
type Forward = (table: string, rows: readonly Row[]) => readonly Row[];

/** By number, from 2 on. */
const FORWARD: ReadonlyMap<number, Forward> = new Map([
  // The statements of the fixtures are none, and say nothing.
  [2, (table, rows) => (table === 'hourly_returns' ? rows.map(unsaid) : rows)],
]);

function unsaid(row: Row): Row {
  return { ...row, rebuilt: null };
}

/** What a release could do to rows: another name, a value that is worked out, a column less, an order that changes nothing. */
const NEXT_SQL = `
ALTER TABLE trackseal.accounts RENAME COLUMN label TO name;
ALTER TABLE trackseal.sync_status ADD COLUMN ended_ms trackseal.milliseconds;
UPDATE trackseal.sync_status SET ended_ms = slot_ms + 3600000;
ALTER TABLE trackseal.sync_status ALTER COLUMN ended_ms SET NOT NULL;
ALTER TABLE trackseal.corrections DROP COLUMN reason;
CREATE INDEX chain_origin ON trackseal.chain (origin);
`;

function next(table: string, rows: readonly Row[]): readonly Row[] {
  return rows.map((row) => {
    if (table === 'accounts') {
      const { label = null, ...rest } = row;
      return { ...rest, name: label };
    }
    if (table === 'sync_status') {
      return { ...row, ended_ms: String(Number(row['slot_ms']) + 3_600_000) };
    }
    if (table !== 'corrections') return row;
    const { reason: _, ...rest } = row;
    return rest;
  });
}

/** What a backup says, by table and name of column. */
function contentOf(text: string): Content {
  const content: Record<string, Row[]> = {};
  let table = '';
  let columns: readonly string[] = [];
  for (const line of text.trimEnd().split('\n').slice(1, -1)) {
    const value: unknown = JSON.parse(line);
    if (Array.isArray(value)) {
      const values = value as readonly (string | null)[];
      const row = Object.fromEntries(columns.map((name, at) => [name, values[at] ?? null]));
      content[table]?.push(row);
      continue;
    }
    ({ table, columns } = value as { table: string; columns: readonly string[] });
    content[table] = [];
  }
  return content;
}

function forwarded(content: Content, forward: Forward): Content {
  return Object.fromEntries(
    Object.entries(content).map(([table, rows]) => [table, forward(table, rows)]),
  );
}

export function migrationContract(open: () => DatabaseUnderTest): void {
  let owner: Client;
  let migrations: readonly Migration[];

  beforeEach(async () => {
    migrations = await readMigrations(MIGRATIONS_FOLDER);
    owner = await open().connect('postgres');
    await owner.query('DROP SCHEMA IF EXISTS trackseal CASCADE');
  });

  async function migrated(): Promise<void> {
    expect((await migrate(owner, migrations)).ok).toBe(true);
  }

  /** As the release that wrote it had it. */
  async function restored(file: string): Promise<string> {
    const text = readFileSync(join(FIXTURES, file), 'utf8');
    const released = migrations.slice(0, Number(file.slice(0, 4)));
    expect((await migrate(owner, released)).ok).toBe(true);
    // `other_migrations`: a migration of a release was edited. Undo that and write a new one.
    expect(await restore(owner, linesOf(text))).toMatchObject({ ok: true });
    return text;
  }

  describe('migrations', () => {
    it('are applied once, in order, with their digests', async () => {
      const all = migrations.map(({ name }) => name);
      expect(await migrate(owner, migrations)).toEqual({ ok: true, applied: all });
      expect(await migrate(owner, migrations)).toEqual({ ok: true, applied: [] });
      const digests = migrations.map(({ number, name, digest }) => ({ number, name, digest }));
      expect(await readApplied(owner)).toEqual(digests);
    });

    it('are refused when one was edited after it was applied, by one byte', async () => {
      await migrated();
      const edited = migrations.map((one) => migrationOf(one.number, `${one.sql} `));
      expect(await migrate(owner, edited)).toMatchObject({
        ok: false,
        problem: { code: 'migration_edited' },
      });
    });

    it('are refused by a release that is older than the database', async () => {
      const more = [...migrations, migrationOf(migrations.length + 1, 'SELECT 1')];
      expect((await migrate(owner, more)).ok).toBe(true);
      expect(await migrate(owner, migrations)).toMatchObject({
        ok: false,
        problem: { code: 'migration_unknown', name: more.at(-1)?.name },
      });
    });

    it('leave nothing of one that fails, and go on when it is mended', async () => {
      const next = migrations.length + 1;
      const bad = migrationOf(next, 'CREATE TABLE trackseal.half (a INT); SELECT 1 / 0');
      expect(await codeOf(migrate(owner, [...migrations, bad]))).toBe('22012');
      const left = await owner.query("SELECT to_regclass('trackseal.half') AS half");
      expect(left.rows).toEqual([{ half: null }]);
      const good = migrationOf(next, 'CREATE TABLE trackseal.half (a INT)');
      const applied = [good.name];
      expect(await migrate(owner, [...migrations, good])).toEqual({ ok: true, applied });
    });

    it('asked for by two at once, are applied by one of them', async () => {
      const other = await open().connect('postgres');
      const both = await Promise.all([migrate(owner, migrations), migrate(other, migrations)]);
      const applied = both.flatMap((one) => (one.ok ? one.applied : ['refused']));
      expect(applied.toSorted()).toEqual(migrations.map(({ name }) => name));
    });

    it('in a list with a hole, are refused before the one behind it', async () => {
      await migrated();
      const far = migrationOf(migrations.length + 2, 'SELECT 1');
      await expect(migrate(owner, [...migrations, far])).rejects.toThrow('misplaced');
      expect(await readApplied(owner)).toHaveLength(migrations.length);
    });

    it.each(RELEASED)(
      'lead from the released version %s to this one, with all that rows say',
      async (file) => {
        const text = await restored(file);
        await migrated();
        let expected = contentOf(text);
        for (const { number } of migrations.slice(Number(file.slice(0, 4)))) {
          const forward = FORWARD.get(number);
          if (forward === undefined) throw new Error(`FORWARD has nothing of migration ${number}`);
          expected = forwarded(expected, forward);
        }
        expect(contentOf(await saveText(owner))).toEqual(expected);
      },
    );
  });

  it('0002 reads out of stored statements which hours were worked out backwards', async () => {
    expect((await migrate(owner, migrations.slice(0, 1))).ok).toBe(true);
    const chain = new Chain();
    const said = [true, false, true, false, true].map((rebuilt, at) => {
      const startMs = START_MS + at * HOUR_MS;
      const known = { ...FIGURES, startMs, flows: [], rebuilt };
      // Nothing known, no flows, flows: whatever stands before the field.
      const figures = [{ ...gapFigures(startMs), rebuilt }, known, { ...known, gaps: ['x'] }][
        at % 3
      ];
      return { rebuilt, statement: chain.link(hourStatement(figures ?? known)) };
    });
    await insert(owner, 'accounts', accountRow());
    const rows = [...said, { rebuilt: null, statement: new Uint8Array([0x18, 0x19, 0xf4]) }];
    for (const [at, { statement }] of rows.entries()) {
      await insert(owner, 'chain', chainRow(at + 1, { statement }));
      const { rebuilt: _, ...row } = hourRow(at + 1, { statement });
      await insert(owner, 'hourly_returns', row);
    }
    await migrated();
    const found = await owner.query<{ rebuilt: boolean | null }>(
      'SELECT rebuilt FROM trackseal.hourly_returns ORDER BY counter',
    );
    expect(found.rows.map(({ rebuilt }) => rebuilt)).toEqual(rows.map(({ rebuilt }) => rebuilt));
  });

  describe('a migration of the release after this one', () => {
    let folder = '';
    let later: readonly Migration[];

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'trackseal-migrations-'));
      for (const file of readdirSync(MIGRATIONS_FOLDER)) {
        copyFileSync(join(MIGRATIONS_FOLDER, file), join(folder, file));
      }
      const number = readdirSync(folder).length + 1;
      writeFileSync(join(folder, `${String(number).padStart(4, '0')}-next.sql`), NEXT_SQL);
      later = await readMigrations(folder);
    });

    afterEach(() => {
      rmSync(folder, { recursive: true });
    });

    const newest = RELEASED.at(-1) ?? '';

    it('takes what the last one stored, and changes what it says and nothing else', async () => {
      const before = contentOf(await restored(newest));
      // A table without a row would show nothing.
      expect(TABLES.filter(({ name }) => (before[name]?.length ?? 0) === 0)).toEqual([]);
      const [added] = later.slice(-1);
      expect(await migrate(owner, later)).toEqual({ ok: true, applied: [added?.name] });
      const text = await saveText(owner);
      expect(contentOf(text)).toEqual(forwarded(before, next));
      // Its own backups come back, byte for byte.
      await owner.query('DROP SCHEMA trackseal CASCADE');
      expect((await migrate(owner, later)).ok).toBe(true);
      expect((await restore(owner, linesOf(text))).ok).toBe(true);
      expect(await saveText(owner)).toBe(text);
    });

    it('takes an older backup by the way of the release that wrote it, and by no other', async () => {
      const old = readFileSync(join(FIXTURES, newest), 'utf8');
      expect((await migrate(owner, later)).ok).toBe(true);
      const empty = await saveText(owner);
      const problem = 'other_migrations';
      expect(await restore(owner, linesOf(old))).toEqual({ ok: false, problem });
      expect(await saveText(owner)).toBe(empty);
      await owner.query('DROP SCHEMA trackseal CASCADE');
      await restored(newest);
      expect((await migrate(owner, later)).ok).toBe(true);
      expect(contentOf(await saveText(owner))).toEqual(forwarded(contentOf(old), next));
    });

    it('that fails half way leaves every row as it was', async () => {
      const before = await restored(newest);
      const bad = migrationOf(later.length, `${NEXT_SQL}; SELECT 1 / 0`);
      expect(await codeOf(migrate(owner, [...migrations, bad]))).toBe('22012');
      expect(await saveText(owner)).toBe(before);
    });

    it('is not taken back, and none is left out', async () => {
      await restored(newest);
      expect((await migrate(owner, later)).ok).toBe(true);
      const text = await saveText(owner);
      expect(await migrate(owner, migrations)).toMatchObject({
        ok: false,
        problem: { code: 'migration_unknown', name: later.at(-1)?.name },
      });
      // A database that lacks one of the middle was not made by these files.
      const more = [...later, migrationOf(later.length + 1, 'SELECT 1')];
      expect((await migrate(owner, more)).ok).toBe(true);
      await owner.query('DELETE FROM trackseal.migrations WHERE number = $1', [later.length]);
      expect(await migrate(owner, more)).toMatchObject({
        ok: false,
        problem: { code: 'migration_unknown', name: more.at(-1)?.name },
      });
      expect(contentOf(await saveText(owner))).toEqual(contentOf(text));
      rmSync(join(folder, `${migrations.at(-1)?.name ?? ''}.sql`));
      await expect(readMigrations(folder)).rejects.toThrow('misplaced');
    });
  });
}
