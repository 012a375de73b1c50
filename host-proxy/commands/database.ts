// trackseal database migrate, backup, restore, status: what an operator does with the database of the track record.
// The enclave has no right to any of it, and trusts nothing that comes out of it.

import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { access, rename, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { DatabaseError } from 'pg';
import type { Client } from 'pg';
import type { HostIo } from '../explain.ts';
import { readConfig } from '../explain.ts';
import { backUp, restore as restoreRows, TABLES } from '../database/backup.ts';
import type { BackupProblem, Progress } from '../database/backup.ts';
import {
  checkApplied,
  migrate as applyMigrations,
  MIGRATIONS_FOLDER,
  readApplied,
  readMigrations,
} from '../database/migrations.ts';
import type { MigrationProblem } from '../database/migrations.ts';
import { installShares } from '../database/shares.ts';
import { TargetUnavailable } from '../database/target-unavailable.ts';
import { openOwnDatabase, openServer } from '../database/target.ts';
import type { OpenTarget } from '../database/target.ts';
import { parseHostArgs } from './host-command.ts';

const WHERE = `  --config FILE          the host's configuration: the database that it brings along (\`database\`)
  --url URL              a PostgreSQL server, as the database's owner: postgres://user@host:5432/name
  --ca FILE              with --url: the certificate authority of the server (PEM); else those that Node trusts
  --password-file FILE   with --url: its password; else PGPASSWORD
  --json                 the answer as JSON on stdout
`;
const EXIT = 'Exit codes: 0 done, 1 refused, 2 could not.\n';

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

interface Options {
  readonly config: string | null;
  readonly url: string | null;
  readonly ca: string | null;
  readonly passwordFile: string | null;
  readonly output: string | null;
  readonly file: string | null;
  /** For `migrate`: what hosts that share accounts need. */
  readonly shares: boolean;
  readonly json: boolean;
}

interface Answer {
  readonly code: 0 | 1;
  readonly json: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
}

type Perform = (options: Options, client: Client, progress: ProgressLine) => Promise<Answer>;

export function runMigrate(args: readonly string[], io: HostIo): Promise<number> {
  return runDatabase(args, io, {
    usage: MIGRATE_USAGE,
    needs: null,
    perform: migrate,
    hasShares: true,
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

interface DatabaseCommand {
  readonly usage: string;
  readonly needs: 'output' | 'file' | null;
  readonly perform: Perform;
  readonly hasShares?: boolean;
}

async function runDatabase(
  args: readonly string[],
  io: HostIo,
  { usage, needs, perform, hasShares = false }: DatabaseCommand,
): Promise<number> {
  if (args.includes('--help')) {
    io.stdout(usage);
    return 0;
  }
  const options = readOptions(args);
  const isUsable =
    options !== null &&
    (options.config === null) !== (options.url === null) &&
    (!options.shares || hasShares) &&
    (options.output !== null) === (needs === 'output') &&
    (options.file !== null) === (needs === 'file');
  if (!isUsable) {
    io.stderr(usage);
    return 2;
  }
  const progress = new ProgressLine(io);
  let target: OpenTarget | null = null;
  try {
    target = await openTarget(options, io);
    if (target === null) return 2;
    const { code, json, lines } = await perform(options, target.client, progress);
    progress.end();
    if (options.json) io.stdout(`${JSON.stringify(json)}\n`);
    else (code === 0 ? io.stdout : io.stderr)(`${lines.join('\n')}\n`);
    return code;
  } catch (error) {
    progress.end();
    const words = wordsOf(error);
    if (words === null) throw error;
    io.stderr(`${words}\n`);
    return 2;
  } finally {
    await target?.close();
  }
}

/** Of what can go wrong without a bug of ours; null for the rest. */
function wordsOf(error: unknown): string | null {
  if (error instanceof TargetUnavailable) return `the database cannot be reached: ${error.message}`;
  if (error instanceof DatabaseError) {
    return `the database refused (${error.code ?? '?'}): ${error.message}`;
  }
  if (error instanceof Error && 'syscall' in error) return error.message;
  // What node-postgres says of a connection that ended.
  return error instanceof Error && error.message.startsWith('Connection terminated')
    ? error.message
    : null;
}

async function openTarget(options: Options, io: HostIo): Promise<OpenTarget | null> {
  const { config: file, url, ca, passwordFile } = options;
  if (url !== null) {
    const password = passwordFile === null ? null : readFileSync(passwordFile, 'utf8').trim();
    return openServer({ url, ca, password: password ?? process.env['PGPASSWORD'] ?? null });
  }
  const config = readConfig(file ?? '', io);
  if (config === null) return null;
  if (config.database === null) {
    io.stderr('this host brings no database along (`database` in its configuration)\n');
    io.stderr('  next  for a PostgreSQL server use --url\n');
    return null;
  }
  return openOwnDatabase(config.database);
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
  const part = `${path}.part`;
  const file = createWriteStream(part, { mode: 0o600, flush: true });
  try {
    await once(file, 'open');
    const totals = await countRows(client);
    const saved = await backUp(
      client,
      async (text) => {
        if (!file.write(text)) await once(file, 'drain');
      },
      (at) => {
        progress.rows('saving', at, totals);
      },
    );
    file.end();
    await once(file, 'close');
    if (!saved.ok) return refused(saved.problem, {});
    await rename(part, path);
    const { rows, sha256 } = saved;
    return {
      code: 0,
      json: { saved: true, file: path, rows, sha256 },
      lines: [`${rows} rows in ${path}`, `  sha256  ${sha256}`],
    };
  } finally {
    file.destroy();
    await rm(part, { force: true });
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

async function countRows(client: Client): Promise<ReadonlyMap<string, number>> {
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

function refused(
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

/** One line that is rewritten on a terminal; nothing where there is none. */
class ProgressLine {
  readonly #io: HostIo;
  #isShown = false;

  constructor(io: HostIo) {
    this.#io = io;
  }

  rows(verb: string, { table, rows }: Progress, totals: ReadonlyMap<string, number> | null): void {
    const total = totals?.get(table);
    this.show(`${verb} ${table}  ${rows}${total === undefined ? '' : ` of ${total}`} rows`);
  }

  show(text: string): void {
    if (!this.#io.isTerminal) return;
    this.#isShown = true;
    this.#io.stderr(`\r\u001B[2K${text}`);
  }

  end(): void {
    if (this.#isShown) this.#io.stderr('\r\u001B[2K');
    this.#isShown = false;
  }
}

function readOptions(args: readonly string[]): Options | null {
  const parsed = parseHostArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      url: { type: 'string' },
      ca: { type: 'string' },
      'password-file': { type: 'string' },
      output: { type: 'string', short: 'o' },
      shares: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  if (parsed === null || parsed.positionals.length > 1) return null;
  const { config, url, ca, output, shares, json } = parsed.values;
  return {
    config: config ?? null,
    url: url ?? null,
    ca: ca ?? null,
    passwordFile: parsed.values['password-file'] ?? null,
    output: output ?? null,
    file: parsed.positionals[0] ?? null,
    shares,
    json,
  };
}
