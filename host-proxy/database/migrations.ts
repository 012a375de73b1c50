// Forward-only migrations: numbered files, each applied once in a transaction of its own, with the digest of its bytes.
// A file that was edited after it was applied, a hole and a database that is newer than this program are refused
// before anything is changed. Run by the operator, never by the enclave, which has no right to.

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientBase } from 'pg';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, hex. */
  readonly digest: string;
}

export interface AppliedMigration {
  readonly number: number;
  readonly name: string;
  readonly digest: string;
}

export type MigrationProblem =
  | { readonly code: 'server_too_old'; readonly version: string }
  /** The file is not what was applied. */
  | { readonly code: 'migration_edited'; readonly name: string }
  /** Applied by a later release. */
  | { readonly code: 'migration_unknown'; readonly name: string };

export type Migrated =
  | { readonly ok: true; readonly applied: readonly string[] }
  | { readonly ok: false; readonly problem: MigrationProblem };

const MIN_VERSION = 150_000;
const FILE = /^(\d{4})-([a-z0-9-]{1,60})\.sql$/u;
/** Of our own; two that migrate at once wait for each other. */
const LOCK = 7_267_100;
export const MIGRATIONS_FOLDER: string = join(import.meta.dirname, 'migrations');

const OWN_TABLE = `
CREATE SCHEMA IF NOT EXISTS trackseal;
CREATE TABLE IF NOT EXISTS trackseal.migrations (
  number INTEGER PRIMARY KEY CHECK (number >= 1),
  name TEXT NOT NULL UNIQUE,
  digest TEXT NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)`;

/** In order. Throws for a folder that has a hole or another file: a bug of the release. */
export async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const migrations: Migration[] = [];
  for (const file of (await readdir(folder)).toSorted()) {
    const [, digits = '', name = ''] = FILE.exec(file) ?? [];
    const number = Number(digits);
    if (name === '' || number !== migrations.length + 1) throw new Error(`${file}: misplaced`);
    const bytes = await readFile(join(folder, file));
    const digest = createHash('sha256').update(bytes).digest('hex');
    migrations.push({ number, name: `${digits}-${name}`, sql: bytes.toString('utf8'), digest });
  }
  return migrations;
}

/** What was applied; empty where nothing was. */
export async function readApplied(client: ClientBase): Promise<readonly AppliedMigration[]> {
  const found = await client.query<{ found: boolean }>(
    "SELECT to_regclass('trackseal.migrations') IS NOT NULL AS found",
  );
  if (found.rows[0]?.found !== true) return [];
  const applied = await client.query<AppliedMigration>(
    'SELECT number, name, digest FROM trackseal.migrations ORDER BY number',
  );
  return applied.rows;
}

/** Whether what was applied is a beginning of what there is. */
export function checkApplied(
  migrations: readonly Migration[],
  applied: readonly AppliedMigration[],
): MigrationProblem | null {
  for (const [at, { name, number, digest }] of applied.entries()) {
    const file = migrations[at];
    if (file === undefined || number !== file.number) return { code: 'migration_unknown', name };
    if (digest !== file.digest) return { code: 'migration_edited', name };
  }
  return null;
}

async function checkVersion(client: ClientBase): Promise<MigrationProblem | null> {
  const shown = await client.query<{ version: string }>(
    "SELECT current_setting('server_version_num') AS version",
  );
  const version = shown.rows[0]?.version ?? '0';
  return Number(version) < MIN_VERSION ? { code: 'server_too_old', version } : null;
}

/**
 * As the owner of the database. Rejects with the server's error, and for a list with a hole, a bug of the release; what
 * was applied before stays.
 */
export async function migrate(
  client: ClientBase,
  migrations: readonly Migration[],
  onApplied: (name: string) => void = () => undefined,
): Promise<Migrated> {
  const old = await checkVersion(client);
  if (old !== null) return { ok: false, problem: old };
  const applied: string[] = [];
  for (;;) {
    const step = await applyNext(client, migrations);
    if (step === null) return { ok: true, applied };
    if (typeof step !== 'string') return { ok: false, problem: step };
    applied.push(step);
    onApplied(step);
  }
}

/** The name of what was applied; null when there is nothing left. */
async function applyNext(
  client: ClientBase,
  migrations: readonly Migration[],
): Promise<string | MigrationProblem | null> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    const applied = await readApplied(client);
    const problem = checkApplied(migrations, applied);
    const next = problem === null ? migrations[applied.length] : undefined;
    if (next === undefined) {
      await client.query('ROLLBACK');
      return problem;
    }
    if (next.number !== applied.length + 1) throw new Error(`${next.name}: misplaced`);
    await client.query(OWN_TABLE);
    // No name of the file is looked up where somebody else could have put something.
    await client.query('SET LOCAL search_path = pg_catalog, pg_temp');
    await client.query(next.sql);
    await client.query(
      'INSERT INTO trackseal.migrations (number, name, digest) VALUES ($1, $2, $3)',
      [next.number, next.name, next.digest],
    );
    await client.query('COMMIT');
    return next.name;
  } catch (error) {
    // A server that is gone has rolled back by itself.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
