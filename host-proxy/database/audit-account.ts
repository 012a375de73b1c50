// One account of a database, row by row: its chain as it was signed, and every row of the other tables against the statement
// that it is of. The ledger serves the chain alone and checks it on load; the other tables are what readers of the database
// see, and only an audit looks at them. What differs is a finding, and the rest is looked at all the same.

import { parseHex, toHex } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { ChainCheck } from '../../wire/track/chain.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import type { TrackColumns, TrackRow, TrackTable } from '../../wire/track/rows.ts';
import { trackRows } from '../../wire/track/rows.ts';
import type { ChainStatement } from '../../wire/track/statement.ts';
import { parseChainStatement } from '../../wire/track/statement.ts';
import type { LogKeys } from './log-keys.ts';
import type { TableReader, TextRow } from './table-reader.ts';

/**
 * A row is not there, has no statement, is there again, or says something else than its statement; or what an earlier audit
 * had is lost, and nobody verified who says so.
 */
export type AuditCode =
  RefusalCode | 'row_missing' | 'row_extra' | 'row_twice' | 'column_differs' | 'loss_unverified';

export interface Finding {
  readonly code: AuditCode;
  /** Commitment, hex. */
  readonly account: string;
  readonly table: string;
  /** Null: of the account as a whole. */
  readonly counter: number | null;
  readonly column?: string;
}

export type Report = (finding: Omit<Finding, 'account'>) => void;

type SideTable = Exclude<TrackTable, 'chain'>;

export const SIDE_TABLES: readonly SideTable[] = [
  'hourly_returns',
  'balance_snapshots',
  'corrections',
];

export type TrackReaders = Readonly<Record<TrackTable, TableReader>>;

function textOf(value: TrackColumns[string] | undefined): string | null {
  if (value === null || value === undefined) return null;
  return value instanceof Uint8Array ? `\\x${toHex(value)}` : String(value);
}

function bytesOf(text: string | null | undefined): Uint8Array {
  return (text?.startsWith('\\x') === true ? parseHex(text.slice(2)) : null) ?? new Uint8Array();
}

function signedOf(row: TextRow): SignedStatement {
  return {
    statement: bytesOf(row['statement']),
    signature: bytesOf(row['signature']),
    origin: row['origin'] ?? '',
    leafIndex: Number(row['leaf_index']),
    position: Number(row['position']),
    leafSalt: bytesOf(row['leaf_salt']),
  };
}

/** Names of columns that are not what the statement says. */
function differences(row: TextRow, columns: TrackColumns): readonly string[] {
  const names = new Set([...Object.keys(row), ...Object.keys(columns)]);
  return [...names].filter((name) => {
    // A MAC is of the enclave.
    return name !== 'mac' && (row[name] ?? null) !== textOf(columns[name]);
  });
}

export class AccountAudit {
  readonly #account: string;
  readonly #readers: TrackReaders;
  readonly #keys: LogKeys | null;
  readonly #report: Report;
  readonly #onRow: () => void;
  readonly chain: ChainCheck;
  /** False: a statement was refused, and those behind it were not compared with it. */
  isWhole = true;
  statements = 0;
  verified = 0;
  unpublished = 0;
  /** Statements of the leaf that is being read. */
  #leaf: SignedStatement[] = [];
  #leafFrom = 0;
  #last: number | null = null;

  constructor(
    account: string,
    readers: TrackReaders,
    keys: LogKeys | null,
    report: Report,
    of: { readonly venue: string; readonly environment: 'live' | 'sandbox' } | null,
    onRow: () => void,
  ) {
    this.#account = account;
    this.#readers = readers;
    this.#keys = keys;
    this.#report = report;
    this.#onRow = onRow;
    const accountCommitment = bytesOf(account);
    this.chain = new ChainCheck(nodeCrypto, of === null ? null : { accountCommitment, ...of });
  }

  /** Places of the chain that a revocation says are lost. */
  get lost(): number {
    let lost = 0;
    for (let counter = 1; counter <= this.chain.head.counter; counter++) {
      if (this.chain.isLost(counter)) lost++;
    }
    return lost;
  }

  async run(): Promise<void> {
    const { chain } = this.#readers;
    for (;;) {
      const row = await this.#peek('chain');
      if (row === null) break;
      chain.take();
      this.#onRow();
      await this.#take(row);
    }
    this.#endLeaf();
    for (const table of SIDE_TABLES) await this.#extras(table, Infinity);
  }

  /** Of this account. */
  async #peek(table: TrackTable): Promise<TextRow | null> {
    const row = await this.#readers[table].peek();
    return row?.['account'] === this.#account ? row : null;
  }

  async #take(row: TextRow): Promise<void> {
    const counter = Number(row['counter']);
    const isAgain = this.#last !== null && counter <= this.#last;
    this.statements++;
    const signed = signedOf(row);
    const parsed = parseChainStatement(signed.statement);
    if (!parsed.ok) {
      this.#report({ code: parsed.refusal.code, table: 'chain', counter, column: 'statement' });
    }
    const hash = nodeCrypto.sha256(signed.statement);
    const rows = parsed.ok ? trackRows(signed, parsed.value, hash) : [];
    if (parsed.ok) {
      // What the row says beside the statement, the other tables say, too; the statement names one of it.
      const origin = { origin: parsed.value.origin };
      this.#compare('chain', row, { ...rows[0]?.columns, ...origin });
      this.#link(signed, parsed.value, hash);
    }
    this.#sign(signed, counter);
    if (isAgain) return;
    this.#last = counter;
    for (const table of SIDE_TABLES) {
      await this.#extras(table, counter);
      await this.#side(table, counter, rows, parsed.ok);
    }
  }

  #link(signed: SignedStatement, parsed: ChainStatement, hash: Uint8Array): void {
    const { counter } = parsed;
    if (!this.isWhole) return;
    const added = this.chain.add(signed.statement, parsed, hash);
    if (added.ok) return;
    this.#report({ code: added.refusal.code, table: 'chain', counter });
    // What is at a place that is taken takes nothing away; behind everything else all would be refused.
    this.isWhole = counter <= this.chain.head.counter;
  }

  #sign(signed: SignedStatement, counter: number): void {
    if (this.#keys === null) return;
    const code = this.#keys.refusalOf(signed);
    if (code === null) this.verified++;
    else this.#report({ code, table: 'chain', counter, column: 'signature' });
    const [first] = this.#leaf;
    const isNext = first?.origin === signed.origin && first.leafIndex === signed.leafIndex;
    if (!isNext) this.#endLeaf();
    // A place that is there again was said already, and so was an epoch that nobody knows.
    if (code !== 'record_unattested' && counter !== this.#last) this.#leaf.push(signed);
    if (this.#leaf.length === 1) this.#leafFrom = counter;
  }

  #endLeaf(): void {
    const group = this.#leaf;
    const [first] = group;
    this.#leaf = [];
    if (first === undefined || this.#keys === null) return;
    const verdict = this.#keys.leafOf(first.origin, first.leafIndex, group);
    if (verdict === 'unpublished') this.unpublished += group.length;
    if (verdict !== 'record_unlogged') return;
    this.#report({ code: verdict, table: 'chain', counter: this.#leafFrom, column: 'leaf_index' });
  }

  /** The row of a table for a statement, if it has one there. */
  async #side(
    table: SideTable,
    counter: number,
    rows: readonly TrackRow[],
    isKnown: boolean,
  ): Promise<void> {
    const expected = rows.find((one) => one.table === table);
    const kind = rows[0]?.columns['kind'] ?? null;
    let found = 0;
    for (;;) {
      const row = await this.#peek(table);
      if (row === null || Number(row['counter']) !== counter) break;
      this.#readers[table].take();
      this.#onRow();
      if (found++ > 0) this.#report({ code: 'row_twice', table, counter });
      // Of a statement that cannot be read nothing is known.
      else if (expected === undefined && isKnown)
        this.#report({ code: 'row_extra', table, counter });
      if (expected !== undefined) this.#compare(table, row, { kind, ...expected.columns });
    }
    if (found === 0 && expected !== undefined) {
      this.#report({ code: 'row_missing', table, counter });
    }
  }

  /** Rows before a counter that no statement has. */
  async #extras(table: SideTable, before: number): Promise<void> {
    for (;;) {
      const row = await this.#peek(table);
      const counter = Number(row?.['counter']);
      if (row === null || counter >= before) return;
      this.#readers[table].take();
      this.#onRow();
      this.#report({ code: 'row_extra', table, counter });
    }
  }

  #compare(table: TrackTable, row: TextRow, columns: TrackColumns): void {
    const counter = Number(row['counter']);
    for (const column of differences(row, columns)) {
      this.#report({ code: 'column_differs', table, counter, column });
    }
  }
}
