// What the commands for the database of the track record have in common: which database, options, the answer as text or
// JSON, and failures as a person reads them. The enclave has no right to any of it, and trusts nothing that comes out of it.

import { readFileSync } from 'node:fs';
import { DatabaseError } from 'pg';
import type { Client } from 'pg';
import type { Progress } from '../database/backup.ts';
import { TargetUnavailable } from '../database/target-unavailable.ts';
import { openOwnDatabase, openServer } from '../database/target.ts';
import type { OpenTarget } from '../database/target.ts';
import type { HostIo } from '../explain.ts';
import { failureOf, readConfig } from '../explain.ts';
import { printable } from '../printable.ts';
import { parseHostArgs } from './host-command.ts';

export const WHERE: string = `  --config FILE          the host's configuration: the database that it brings along (\`database\`)
  --url URL              a PostgreSQL server, as the database's owner: postgres://user@host:5432/name
  --ca FILE              with --url: the certificate authority of the server (PEM); else those that Node trusts
  --password-file FILE   with --url: its password; else PGPASSWORD
  --json                 the answer as JSON on stdout
`;
export const EXIT: string = 'Exit codes: 0 done, 1 refused, 2 could not.\n';

const BAR_WIDTH = 32;
const BAR_INTERVAL_MS = 100;

export interface Options {
  readonly config: string | null;
  readonly url: string | null;
  readonly ca: string | null;
  readonly passwordFile: string | null;
  readonly output: string | null;
  readonly file: string | null;
  /** For `migrate`: what hosts that share accounts need. */
  readonly shares: boolean;
  /** For `audit`: a folder of a log, and an earlier audit. */
  readonly log: string | null;
  readonly since: string | null;
  readonly json: boolean;
}

export interface Answer {
  readonly code: 0 | 1 | 2;
  readonly json: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
}

export type Perform = (options: Options, client: Client, progress: ProgressLine) => Promise<Answer>;

export interface DatabaseCommand {
  readonly usage: string;
  readonly needs: 'output' | 'file' | null;
  readonly perform: Perform;
  readonly own?: 'shares' | 'audit';
}

export async function runDatabase(
  args: readonly string[],
  io: HostIo,
  { usage, needs, perform, own }: DatabaseCommand,
): Promise<number> {
  if (args.includes('--help')) {
    io.stdout(usage);
    return 0;
  }
  const options = readOptions(args);
  const isUsable =
    options !== null &&
    (options.config === null) !== (options.url === null) &&
    (!options.shares || own === 'shares') &&
    ((options.log === null && options.since === null) || own === 'audit') &&
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
    else (code === 0 ? io.stdout : io.stderr)(`${lines.map(printable).join('\n')}\n`);
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
  const failure = failureOf(error);
  if (failure !== null) return `${failure.code}: ${Object.values(failure.detail).join(' ')}`;
  if (error instanceof TargetUnavailable) return `the database cannot be reached: ${error.message}`;
  if (error instanceof DatabaseError) {
    return printable(`the database refused (${error.code ?? '?'}): ${error.message}`);
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

/** One line that is rewritten on a terminal; nothing where there is none. */
export class ProgressLine {
  readonly #io: HostIo;
  #isShown = false;
  #shownMs = -Infinity;

  constructor(io: HostIo) {
    this.#io = io;
  }

  rows(verb: string, { table, rows }: Progress, totals: ReadonlyMap<string, number> | null): void {
    const total = totals?.get(table);
    this.show(`${verb} ${table}  ${rows}${total === undefined ? '' : ` of ${total}`} rows`);
  }

  /** Ten times a second at most. */
  bar(verb: string, done: number, total: number): void {
    const nowMs = performance.now();
    if (nowMs - this.#shownMs < BAR_INTERVAL_MS) return;
    this.#shownMs = nowMs;
    const filled =
      total === 0 ? BAR_WIDTH : Math.min(BAR_WIDTH, Math.round((done / total) * BAR_WIDTH));
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    this.show(`${verb} ${bar} ${done} of ${total} rows`);
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
      log: { type: 'string' },
      since: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  if (parsed === null || parsed.positionals.length > 1) return null;
  const { config, url, ca, output, shares, log, since, json } = parsed.values;
  return {
    config: config ?? null,
    url: url ?? null,
    ca: ca ?? null,
    passwordFile: parsed.values['password-file'] ?? null,
    output: output ?? null,
    file: parsed.positionals[0] ?? null,
    shares,
    log: log ?? null,
    since: since ?? null,
    json,
  };
}
