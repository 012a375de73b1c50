// A backup as text: one JSON value a line, values as PostgreSQL writes them, so that PGlite and PostgreSQL give and
// take the same bytes. Not trusted when it comes back: its own digest finds damage, and the enclave checks each
// row against MACs and signatures as it does with any other.
//
//   {"format": "trackseal database 1", "migrations": [[number, name, digest], ...]}
//   {"table": NAME, "columns": [NAME, ...]}     then a row a line: ["text" or null, ...]
//   {"rows": N, "sha256": HEX of all bytes before this line}

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { ClientBase, QueryArrayConfig } from 'pg';
import { z } from 'zod';
import { readApplied } from './migrations.ts';
import type { AppliedMigration } from './migrations.ts';

/**
 * In the order in which they refer to each other, with the order of their rows and how many are read at once: the
 * largest rows of a table, as hexadecimal digits, stay below the 64 MiB that PGlite's front hands out.
 */
export const TABLES: readonly {
  readonly name: string;
  readonly order: string;
  readonly atOnce: number;
}[] = [
  { name: 'accounts', order: 'account', atOnce: 500 },
  { name: 'sealed_fills', order: 'account, counter', atOnce: 25 },
  { name: 'chain', order: 'account, counter', atOnce: 50 },
  { name: 'chain_heads', order: 'account', atOnce: 500 },
  { name: 'hourly_returns', order: 'account, counter', atOnce: 50 },
  { name: 'balance_snapshots', order: 'account, counter', atOnce: 50 },
  { name: 'corrections', order: 'account, counter', atOnce: 500 },
  { name: 'sync_status', order: 'account', atOnce: 500 },
  { name: 'sealed_states', order: 'account, purpose', atOnce: 1 },
];

const FORMAT = 'trackseal database 1';
const MAX_INSERT_CHARS = 4_000_000;
const MAX_PARAMETERS = 10_000;
const NAME = /^[a-z_]{1,63}$/u;

export type BackupProblem =
  'not_migrated' | 'not_a_backup' | 'damaged' | 'other_migrations' | 'not_empty';

export type Saved =
  | { readonly ok: true; readonly rows: number; readonly sha256: string }
  | { readonly ok: false; readonly problem: BackupProblem };

export interface Progress {
  readonly table: string;
  readonly rows: number;
}

const headSchema = z.strictObject({
  format: z.literal(FORMAT),
  migrations: z.array(z.tuple([z.int(), z.string(), z.string()])),
});
const tableSchema = z.strictObject({
  table: z.enum(TABLES.map(({ name }) => name)),
  columns: z.array(z.string().regex(NAME)).min(1).max(64),
});
const rowSchema = z.array(z.string().nullable()).min(1).max(64);
const endSchema = z.strictObject({ rows: z.int().min(0), sha256: z.string() });

type Row = readonly (string | null)[];

function rawQuery(text: string): QueryArrayConfig {
  return { text, rowMode: 'array', types: { getTypeParser: () => (value: unknown) => value } };
}

export async function columnsOf(client: ClientBase, table: string): Promise<readonly string[]> {
  const found = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_catalog.pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [`trackseal.${table}`],
  );
  return found.rows.map(({ name }) => name);
}

/** All as of one moment. `write` takes whole lines. Rejects with the server's error, or that of `write`. */
export async function backUp(
  client: ClientBase,
  write: (text: string) => Promise<void>,
  onProgress: (progress: Progress) => void = () => undefined,
): Promise<Saved> {
  const hash = createHash('sha256');
  const say = async (value: unknown): Promise<void> => {
    const line = `${JSON.stringify(value)}\n`;
    hash.update(line);
    await write(line);
  };
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    await client.query("SET LOCAL bytea_output = 'hex'");
    const applied = await readApplied(client);
    if (applied.length === 0) return { ok: false, problem: 'not_migrated' };
    await say({ format: FORMAT, migrations: tuplesOf(applied) });
    let rows = 0;
    for (const table of TABLES) {
      const columns = await columnsOf(client, table.name);
      await say({ table: table.name, columns });
      rows += await readTable(client, table, columns, say, onProgress);
    }
    const sha256 = hash.digest('hex');
    await write(`${JSON.stringify({ rows, sha256 })}\n`);
    return { ok: true, rows, sha256 };
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

async function readTable(
  client: ClientBase,
  { name, order, atOnce }: (typeof TABLES)[number],
  columns: readonly string[],
  say: (row: Row) => Promise<void>,
  onProgress: (progress: Progress) => void,
): Promise<number> {
  const texts = columns.map((column) => `${column}::text`).join(', ');
  const select = `SELECT ${texts} FROM trackseal.${name} ORDER BY ${order}`;
  await client.query(`DECLARE backup NO SCROLL CURSOR FOR ${select}`);
  let rows = 0;
  for (;;) {
    const found = await client.query<(string | null)[]>(rawQuery(`FETCH ${atOnce} FROM backup`));
    if (found.rows.length === 0) break;
    for (const row of found.rows) await say(row);
    rows += found.rows.length;
    onProgress({ table: name, rows });
  }
  await client.query('CLOSE backup');
  return rows;
}

/**
 * Into a database with the same migrations and without rows; all or nothing. Rejects with the server's error, which is
 * also what says that a row breaks a constraint.
 */
export async function restore(
  client: ClientBase,
  lines: AsyncIterable<string>,
  onProgress: (progress: Progress) => void = () => undefined,
): Promise<Saved> {
  await client.query('BEGIN');
  try {
    const restoring = new Restore(client, onProgress);
    for await (const line of lines) {
      const problem = await restoring.take(line);
      if (problem !== null) return { ok: false, problem };
    }
    const done = restoring.done;
    if (done === null) return { ok: false, problem: 'damaged' };
    await client.query('COMMIT');
    return { ok: true, ...done };
  } finally {
    // Nothing after COMMIT, but a warning.
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

class Restore {
  readonly #client: ClientBase;
  readonly #onProgress: (progress: Progress) => void;
  readonly #hash: Hash = createHash('sha256');
  #hasHead = false;
  #table: z.infer<typeof tableSchema> | null = null;
  #tables = 0;
  #pending: Row[] = [];
  #pendingChars = 0;
  #rows = 0;
  #rowsOfTable = 0;
  done: { readonly rows: number; readonly sha256: string } | null = null;

  constructor(client: ClientBase, onProgress: (progress: Progress) => void) {
    this.#client = client;
    this.#onProgress = onProgress;
  }

  async take(line: string): Promise<BackupProblem | null> {
    const value = parseJson(line);
    if (value === undefined || this.done !== null)
      return this.#hasHead ? 'damaged' : 'not_a_backup';
    const end = endSchema.safeParse(value);
    if (end.success) return this.#end(end.data);
    this.#hash.update(`${line}\n`);
    if (!this.#hasHead) return this.#head(value);
    const row = rowSchema.safeParse(value);
    if (row.success) return this.#row(row.data, line.length);
    const table = tableSchema.safeParse(value);
    return table.success ? this.#begin(table.data) : 'damaged';
  }

  async #head(value: unknown): Promise<BackupProblem | null> {
    const head = headSchema.safeParse(value);
    if (!head.success) return 'not_a_backup';
    this.#hasHead = true;
    const applied = await readApplied(this.#client);
    if (applied.length === 0) return 'not_migrated';
    if (JSON.stringify(tuplesOf(applied)) !== JSON.stringify(head.data.migrations)) {
      return 'other_migrations';
    }
    for (const { name } of TABLES) {
      await this.#client.query(`LOCK TABLE trackseal.${name} IN ACCESS EXCLUSIVE MODE`);
      const found = await this.#client.query(`SELECT FROM trackseal.${name} LIMIT 1`);
      if (found.rowCount !== 0) return 'not_empty';
    }
    return null;
  }

  async #begin(table: z.infer<typeof tableSchema>): Promise<BackupProblem | null> {
    await this.#flush();
    // All of them, in order, with the columns that there are.
    if (table.table !== TABLES[this.#tables++]?.name) return 'damaged';
    const columns = await columnsOf(this.#client, table.table);
    if (JSON.stringify(columns) !== JSON.stringify(table.columns)) return 'damaged';
    this.#table = table;
    this.#rowsOfTable = 0;
    return null;
  }

  async #row(row: Row, chars: number): Promise<BackupProblem | null> {
    if (row.length !== this.#table?.columns.length) return 'damaged';
    this.#pending.push(row);
    this.#pendingChars += chars;
    const parameters = (this.#pending.length + 1) * row.length;
    if (parameters > MAX_PARAMETERS || this.#pendingChars > MAX_INSERT_CHARS) await this.#flush();
    return null;
  }

  async #flush(): Promise<void> {
    const table = this.#table;
    if (table === null || this.#pending.length === 0) return;
    let number = 0;
    const places = this.#pending.map((row) => `(${row.map(() => `$${++number}`).join(', ')})`);
    const into = `trackseal.${table.table} (${table.columns.join(', ')})`;
    await this.#client.query(
      `INSERT INTO ${into} VALUES ${places.join(', ')}`,
      this.#pending.flat(),
    );
    this.#rows += this.#pending.length;
    this.#rowsOfTable += this.#pending.length;
    this.#pending = [];
    this.#pendingChars = 0;
    this.#onProgress({ table: table.table, rows: this.#rowsOfTable });
  }

  async #end({ rows, sha256 }: z.infer<typeof endSchema>): Promise<BackupProblem | null> {
    await this.#flush();
    const isWhole = this.#tables === TABLES.length && rows === this.#rows;
    if (!isWhole || sha256 !== this.#hash.digest('hex')) return 'damaged';
    this.done = { rows, sha256 };
    return null;
  }
}

function tuplesOf(applied: readonly AppliedMigration[]): readonly [number, string, string][] {
  return applied.map(({ number, name, digest }) => [number, name, digest]);
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
