// The whole database of a track record as of one moment: each account's chain and all rows beside it (audit-account.ts), its
// end, its counts, and, with an earlier audit, whether it goes on from there. Changes nothing. What it cannot see: MACs and
// sealed rows, of which the enclave has the keys, and, without an earlier audit, that all of an account is older.

import type { ClientBase } from 'pg';
import { z } from 'zod';
import { parseHex, toHex } from '../../wire/bytes.ts';
import type { ChainCheck, ChainHead } from '../../wire/track/chain.ts';
import { AccountAudit, SIDE_TABLES } from './audit-account.ts';
import type { Finding, Report, TrackReaders } from './audit-account.ts';
import { TABLES } from './backup.ts';
import type { LogKeys } from './log-keys.ts';
import { MIGRATIONS_FOLDER, readApplied, readMigrations } from './migrations.ts';
import type { TextRow } from './table-reader.ts';
import { TableReader, textRows } from './table-reader.ts';

/** More are counted and not listed. */
export const MAX_FINDINGS = 1000;

/** Where a chain ends; a later audit takes it as `--since`. */
export interface AuditedAccount {
  /** Commitment, hex. */
  readonly account: string;
  readonly counter: number;
  /** SHA-256 of the last statement, hex; null without one. */
  readonly hash: string | null;
  readonly statements: number;
  /** Signed, and not here: a revocation behind them says so. */
  readonly lost: number;
  /** That are sealed, as the last poll says. */
  readonly records: number;
}

export interface Audit {
  readonly accounts: readonly AuditedAccount[];
  readonly rows: number;
  /** Null: no log was given. */
  readonly signatures: {
    readonly verified: number;
    /** Statements whose leaves are behind the end of the folder. */
    readonly unpublished: number;
    readonly origins: readonly string[];
  } | null;
  readonly findings: readonly Finding[];
  readonly findings_total: number;
}

export interface AuditOptions {
  readonly keys: LogKeys | null;
  readonly since: readonly AuditedAccount[];
  readonly onProgress: (done: number) => void;
}

const sinceSchema = z.object({
  // From one that found something nothing good goes on.
  audited: z.literal(true),
  accounts: z.array(
    z.strictObject({
      account: z.string().regex(/^[0-9a-f]{64}$/u),
      counter: z.int().min(0),
      hash: z
        .string()
        .regex(/^[0-9a-f]{64}$/u)
        .nullable(),
      statements: z.int().min(0),
      lost: z.int().min(0),
      // Those of before had no number of them.
      records: z.int().min(0).default(0),
    }),
  ),
});

/** Of what `trackseal database audit --json` has written when it found nothing; null for anything else. */
export function parseAudit(text: string): readonly AuditedAccount[] | null {
  try {
    const parsed = sinceSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data.accounts : null;
  } catch {
    return null;
  }
}

/** As the owner of the database. Null where something is not migrated. Rejects with the server's error. */
export async function auditDatabase(
  client: ClientBase,
  { keys, since, onProgress }: AuditOptions,
): Promise<Audit | null> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    await client.query("SET LOCAL bytea_output = 'hex'");
    // Columns that the schema does not have yet would differ in every row.
    const { length } = await readMigrations(MIGRATIONS_FOLDER);
    if ((await readApplied(client)).length < length) return null;
    const findings: Finding[] = [];
    let total = 0;
    let rows = 0;
    const find = (finding: Finding): void => {
      if (total++ < MAX_FINDINGS) findings.push(finding);
    };
    const readers = await openReaders(client);
    const accounts: AuditedAccount[] = [];
    const signed = { verified: 0, unpublished: 0 };
    for (const account of await accountsOf(client)) {
      const report: Report = (finding) => {
        find({ account: nameOf(account), ...finding });
      };
      const own = await smallRows(client, account, report);
      const of = subjectOf(own.accounts, report);
      const audit = new AccountAudit(account, readers, keys, report, of, () => {
        onProgress(++rows);
      });
      await audit.run();
      const head = audit.chain.head;
      if (audit.isWhole) checkEnd(head, own.chain_heads, report);
      await checkCounts(client, account, own, report);
      checkPolled(audit.chain, own.sync_status, report);
      const records = recordsOf(own.sync_status);
      const known = since.find((one) => `\\x${one.account}` === account);
      if (known !== undefined && audit.isWhole) {
        checkSince(audit.chain, { known, records, isSigned: keys !== null }, report);
      }
      signed.verified += audit.verified;
      signed.unpublished += audit.unpublished;
      const hash = head.hash === null ? null : toHex(head.hash);
      const { statements, lost } = audit;
      const name = nameOf(account);
      accounts.push({ account: name, counter: head.counter, hash, statements, lost, records });
    }
    for (const { account } of since) {
      if (accounts.some((one) => one.account === account)) continue;
      find({ code: 'store_deleted', account, table: 'chain', counter: null });
    }
    await findLeft(readers, find);
    const signatures = keys === null ? null : { ...signed, origins: keys.origins };
    return { accounts, rows, signatures, findings, findings_total: total };
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/** Hex of what the database calls an account; nothing else of what it says reaches a terminal. */
function nameOf(account: string): string {
  return /^\\x[0-9a-f]{0,128}$/u.test(account) ? account.slice(2) : '?';
}

async function openReaders(client: ClientBase): Promise<TrackReaders> {
  return {
    chain: await TableReader.open(client, 'chain'),
    hourly_returns: await TableReader.open(client, 'hourly_returns'),
    balance_snapshots: await TableReader.open(client, 'balance_snapshots'),
    corrections: await TableReader.open(client, 'corrections'),
  };
}

/** Of which any table has a row, as PostgreSQL writes them. */
async function accountsOf(client: ClientBase): Promise<readonly string[]> {
  const selects = TABLES.map(({ name }) => `SELECT account FROM trackseal.${name}`);
  const found = await textRows(
    client,
    `SELECT a.account::text AS account FROM (${selects.join(' UNION ')}) a ORDER BY a.account`,
  );
  return found.map(({ account }) => account ?? '');
}

interface SmallRows {
  readonly accounts: TextRow | null;
  readonly chain_heads: TextRow | null;
  readonly sync_status: TextRow | null;
}

/** Of the tables that have one row of an account. */
async function smallRows(client: ClientBase, account: string, report: Report): Promise<SmallRows> {
  const one = async (table: keyof SmallRows, columns: string): Promise<TextRow | null> => {
    const text = `SELECT ${columns} FROM trackseal.${table} t WHERE t.account = $1`;
    const found = await textRows(client, text, [Buffer.from(account.slice(2), 'hex')]);
    if (found.length > 1) report({ code: 'row_twice', table, counter: null });
    return found[0] ?? null;
  };
  const accounts = await one('accounts', 't.venue, t.environment');
  if (accounts === null) report({ code: 'row_missing', table: 'accounts', counter: null });
  return {
    accounts,
    chain_heads: await one('chain_heads', 't.counter, t.hash, t.records'),
    sync_status: await one('sync_status', 't.records'),
  };
}

/** Null: the first statement says what the account is. */
function subjectOf(
  row: TextRow | null,
  report: Report,
): { readonly venue: string; readonly environment: 'live' | 'sandbox' } | null {
  const environment = row?.['environment'];
  const venue = row?.['venue'] ?? '';
  if (environment === 'live' || environment === 'sandbox') return { venue, environment };
  // No statement has another one.
  const place = { table: 'accounts', counter: null, column: 'environment' };
  if (row !== null) report({ code: 'column_differs', ...place });
  return null;
}

/** The end that the ledger's last write says. */
function checkEnd({ counter, hash }: ChainHead, row: TextRow | null, report: Report): void {
  const stored = Number(row?.['counter'] ?? 0);
  const place = { table: 'chain_heads', counter };
  if (counter < stored) report({ code: 'store_deleted', ...place });
  else if (counter > stored) report({ code: 'store_rolled_back', ...place });
  else if (hash !== null && row?.['hash'] !== `\\x${toHex(hash)}`) {
    report({ code: 'chain_fork', ...place });
  }
}

function recordsOf(sync: TextRow | null): number {
  return Number(sync?.['records'] ?? 0);
}

/** Hours rest on polls, which are stored before them; that all was lost is said without one. */
function checkPolled({ lastHourMs }: ChainCheck, sync: TextRow | null, report: Report): void {
  if (lastHourMs === null || sync !== null) return;
  report({ code: 'row_missing', table: 'sync_status', counter: null });
}

/** Sealed records have counters without a hole, and the statements rest on no more than there are. */
async function checkCounts(
  client: ClientBase,
  account: string,
  { chain_heads: head, sync_status: sync }: SmallRows,
  report: Report,
): Promise<void> {
  const [found] = await textRows(
    client,
    `SELECT count(*) AS count, count(DISTINCT counter) AS counters, coalesce(max(counter), 0) AS last
     FROM trackseal.sealed_fills WHERE account = $1`,
    [Buffer.from(account.slice(2), 'hex')],
  );
  const [count, counters, last] = ['count', 'counters', 'last'].map((name) =>
    Number(found?.[name]),
  );
  const stored = recordsOf(sync);
  const table = 'sealed_fills';
  if (count !== counters) report({ code: 'row_twice', table, counter: null });
  if ((counters ?? 0) < stored) report({ code: 'store_deleted', table, counter: null });
  else if (counters !== stored || last !== stored) {
    report({ code: 'row_extra', table, counter: null });
  }
  if (stored < Number(head?.['records'] ?? 0)) {
    report({ code: 'store_rolled_back', table: 'sync_status', counter: null });
  }
}

interface SinceThen {
  readonly known: AuditedAccount;
  readonly records: number;
  /** Signatures were verified: who has none can make up a revocation, and with it a loss. */
  readonly isSigned: boolean;
}

/** Goes on from where it was. */
function checkSince(
  chain: ChainCheck,
  { known, records, isSigned }: SinceThen,
  report: Report,
): void {
  const { counter } = known;
  const place = { table: 'chain', counter };
  const isFewer = records < known.records;
  // With statements that were lost, records behind them were.
  const isExcused = isLostFrom(chain, counter);
  if (isFewer && !isExcused) {
    report({ code: 'store_rolled_back', table: 'sealed_fills', counter: null });
  }
  if (counter === 0) return;
  const hash = parseHex(known.hash ?? '') ?? new Uint8Array();
  if (chain.head.counter < counter) report({ code: 'store_rolled_back', ...place });
  else if (!chain.agrees(counter, hash)) report({ code: 'chain_fork', ...place });
  else if (!isSigned && (chain.isLost(counter) || (isFewer && isExcused))) {
    report({ code: 'loss_unverified', ...place });
  }
}

/** Whether a statement at this place or behind it was lost. */
function isLostFrom(chain: ChainCheck, counter: number): boolean {
  for (let at = Math.max(1, counter); at <= chain.head.counter; at++) {
    if (chain.isLost(at)) return true;
  }
  return false;
}

/** Rows that came out of their order: of accounts that were looked at already. */
async function findLeft(readers: TrackReaders, find: (finding: Finding) => void): Promise<void> {
  for (const table of ['chain', ...SIDE_TABLES] as const) {
    for (;;) {
      const row = await readers[table].peek();
      if (row === null) break;
      readers[table].take();
      const account = nameOf(row['account'] ?? '');
      find({ code: 'row_extra', account, table, counter: Number(row['counter']) });
    }
  }
}
