// trackseal database migrate, backup, restore, status: what an operator does with the database of the track record.
// The enclave has no right to any of it, and trusts nothing that comes out of it.

import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import type { Client } from 'pg';
import type { HostIo } from '../explain.ts';
import { DiskFailure } from '../files.ts';
import { backUp, restore as restoreRows, TABLES } from '../database/backup.ts';
import type { BackupProblem } from '../database/backup.ts';
import {
  checkApplied,
  migrate as applyMigrations,
  MIGRATIONS_FOLDER,
  readApplied,
  readMigrations,
} from '../database/migrations.ts';
import type { MigrationProblem } from '../database/migrations.ts';
import { installShares } from '../database/shares.ts';
import { BackupFile } from './backup-file.ts';
import type { Answer, Options, ProgressLine } from './database-command.ts';
import { EXIT, runDatabase, WHERE } from './database-command.ts';

const MIGRATE_USAGE = `usage: trackseal database migrate (--config FILE | --url URL) [OPTIONS]

Brings the database to the schema of this release: tables, constraints, roles and what they may. Forward only;
asking again changes nothing. A migration that was edited after it was applied is refused.

  --shares               also what hosts need that share accounts (\`share\`): pg-boss and the role host_worker
${WHERE}
${EXIT}`;
const BACKUP_USAGE = `usage: trackseal database backup -o FILE (--config FILE | --url URL) [OPTIONS]

Writes all rows as of one moment, as text. What is sealed stays sealed. PGlite serves nobody else meanwhile.

  -o, --output FILE      must not be there
${WHERE}
${EXIT}`;
const RESTORE_USAGE = `usage: trackseal database restore FILE (--config FILE | --url URL) [OPTIONS]

Puts a backup into a database that is migrated to the same schema and empty. All or nothing. The enclave finds
what is missing since the backup, and says so.

${WHERE}
${EXIT}`;
const STATUS_USAGE = `usage: trackseal database status (--config FILE | --url URL) [OPTIONS]

Shows the server, which migrations are applied and which are not, and how many rows there are.

${WHERE}
${EXIT}`;

const PROBLEMS: Readonly<Record<MigrationProblem['code'] | BackupProblem, string>> = {
  server_too_old: 'PostgreSQL 15 or newer is needed',
  migration_edited: 'the file is not the one that was applied: take the release that applied it',
  migration_unknown: 'the database is newer than this program: take the newer release',
  not_migrated: 'run `trackseal database migrate` first',
  not_a_backup: 'the file was not written by `trackseal database backup`',
  damaged: 'the file is cut off or was changed; nothing was restored',
  other_migrations: 'the backup is of another schema: restore it with the release that wrote it',
  not_empty: 'there are rows already: restore into an empty database',
};

/** The largest sealed state, as hexadecimal digits. */
const MAX_LINE_CHARACTERS = 40_000_000;

export function runMigrate(args: readonly string[], io: HostIo): Promise<number> {
  return runDatabase(args, io, {
    usage: MIGRATE_USAGE,
    needs: null,
    perform: migrate,
    own: 'shares',
  });
}

export function runBackup(args: readonly string[], io: HostIo): Promise<number> {
  return runDatabase(args, io, { usage: BACKUP_USAGE, needs: 'output', perform: backup });
}

export function runRestore(args: readonly string[], io: HostIo): Promise<number> {
  return runDatabase(args, io, { usage: RESTORE_USAGE, needs: 'file', perform: restore });
}

export function runStatus(args: readonly string[], io: HostIo): Promise<number> {
  return runDatabase(args, io, { usage: STATUS_USAGE, needs: null, perform: status });
}

async function migrate(
  { shares }: Options,
  client: Client,
  progress: ProgressLine,
): Promise<Answer> {
  const migrations = await readMigrations(MIGRATIONS_FOLDER);
  const done = await applyMigrations(client, migrations, (name) => {
    progress.show(`applied ${name}`);
  });
  if (!done.ok) return refused(done.problem.code, done.problem);
  if (shares) await installShares(client);
  const { applied } = done;
  const version = migrations.length;
  const what = applied.length === 0 ? 'nothing to do' : `applied ${applied.join(', ')}`;
  return {
    code: 0,
    json: { migrated: true, applied, version, shares },
    lines: [
      `${what}: the schema is at version ${version}`,
      ...(shares ? ['  shares   ready for hosts that log in as host_worker'] : []),
    ],
  };
}

async function backup(
  { output }: Options,
  client: Client,
  progress: ProgressLine,
): Promise<Answer> {
  const path = output ?? '';
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere) {
    const lines = [`${path} is there already: nothing was written`];
    return { code: 1, json: { saved: false, code: 'file_exists' }, lines };
  }
  try {
    return await backupTo(path, client, progress);
  } catch (error) {
    if (!(error instanceof DiskFailure)) throw error;
    const { systemCode, operation } = error;
    return {
      code: 2,
      json: { saved: false, code: 'disk_failed', file: path, operation, error: systemCode },
      lines: [
        `nothing was saved: ${path} cannot be written (${operation}, ${systemCode})`,
        '  next  check the disk, its free space and the path',
      ],
    };
  }
}

async function backupTo(path: string, client: Client, progress: ProgressLine): Promise<Answer> {
  const file = await BackupFile.open(path);
  try {
    const totals = await countRows(client);
    const saved = await backUp(
      client,
      (text) => file.write(text),
      (at) => {
        progress.rows('saving', at, totals);
      },
    );
    if (!saved.ok) return refused(saved.problem, {});
    await file.keep();
    const { rows, sha256 } = saved;
    return {
      code: 0,
      json: { saved: true, file: path, rows, sha256 },
      lines: [`${rows} rows in ${path}`, `  sha256  ${sha256}`],
    };
  } finally {
    await file.close();
  }
}

async function restore({ file }: Options, client: Client, progress: ProgressLine): Promise<Answer> {
  const path = file ?? '';
  const restored = await restoreRows(client, linesOf(path), (at) => {
    progress.rows('restoring', at, null);
  });
  if (!restored.ok) return refused(restored.problem, {});
  const { rows, sha256 } = restored;
  return {
    code: 0,
    json: { restored: true, rows, sha256 },
    lines: [`${rows} rows restored from ${path}`, `  sha256  ${sha256}`],
  };
}

/** Not by node:readline, which takes other characters for ends of lines as well. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(path, 'utf8')) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_CHARACTERS) break;
    yield* lines;
  }
  if (rest !== '') yield rest;
}

async function status(_: Options, client: Client): Promise<Answer> {
  const migrations = await readMigrations(MIGRATIONS_FOLDER);
  const applied = await readApplied(client);
  const problem = checkApplied(migrations, applied);
  const server = await client.query<{ server_version: string }>('SHOW server_version');
  const pending = migrations.slice(applied.length).map(({ name }) => name);
  const rows = applied.length === 0 ? {} : Object.fromEntries(await countRows(client));
  const json = {
    server: server.rows[0]?.server_version ?? '',
    applied: applied.map(({ name }) => name),
    pending,
    problem,
    rows,
  };
  const isReady = problem === null && pending.length === 0;
  const lines = [
    `PostgreSQL ${json.server}`,
    `  applied  ${json.applied.join(', ') || 'nothing'}`,
    ...(pending.length === 0 ? [] : [`  pending  ${pending.join(', ')}`]),
    ...(problem === null ? [] : [`  problem  ${problem.code}: ${PROBLEMS[problem.code]}`]),
    ...(isReady || problem !== null ? [] : ['  next     trackseal database migrate']),
    ...Object.entries(rows).map(([name, count]) => `  ${name.padEnd(18)} ${count} rows`),
  ];
  return { code: problem === null ? 0 : 1, json, lines };
}

export async function countRows(client: Client): Promise<ReadonlyMap<string, number>> {
  const totals = new Map<string, number>();
  if ((await readApplied(client)).length === 0) return totals;
  for (const { name } of TABLES) {
    const found = await client.query<{ rows: string }>(
      `SELECT count(*)::text AS rows FROM trackseal.${name}`,
    );
    totals.set(name, Number(found.rows[0]?.rows ?? 0));
  }
  return totals;
}

export function refused(
  code: MigrationProblem['code'] | BackupProblem,
  detail: Readonly<Record<string, unknown>>,
): Answer {
  const facts = Object.entries({ ...detail, code: undefined }).flatMap(([name, value]) =>
    value === undefined ? [] : [`  ${name}  ${String(value)}`],
  );
  return {
    code: 1,
    json: { ...detail, refused: true, code },
    lines: [`refused: ${code}`, ...facts, `  next  ${PROBLEMS[code]}`],
  };
}
