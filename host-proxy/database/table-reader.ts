// A table of the track record row by row, all values as PostgreSQL's text, in the order of account and counter; within the
// caller's transaction. A database that repeats rows or has them out of order is read all the same.

import type { ClientBase } from 'pg';
import { columnsOf, TABLES } from './backup.ts';

export type TextRow = Readonly<Record<string, string | null>>;

/** All values as text. `values` go as parameters; table and columns are names of ours. */
export async function textRows(
  client: ClientBase,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly TextRow[]> {
  const types = { getTypeParser: () => (value: unknown) => value };
  return (await client.query<TextRow>({ text, values: [...values], types })).rows;
}

export class TableReader {
  readonly table: string;
  readonly #client: ClientBase;
  readonly #atOnce: number;
  #waiting: readonly TextRow[] = [];
  #next = 0;
  #isDone = false;

  private constructor(client: ClientBase, table: string, atOnce: number) {
    this.#client = client;
    this.table = table;
    this.#atOnce = atOnce;
  }

  /** Of a table with `account` and `counter`. */
  static async open(client: ClientBase, table: string): Promise<TableReader> {
    const atOnce = TABLES.find(({ name }) => name === table)?.atOnce ?? 1;
    const columns = await columnsOf(client, table);
    const texts = columns.map((column) => `${column}::text AS ${column}`).join(', ');
    await client.query(
      `DECLARE audit_${table} NO SCROLL CURSOR FOR
       SELECT ${texts} FROM trackseal.${table} t ORDER BY t.account, t.counter`,
    );
    return new TableReader(client, table, atOnce);
  }

  /** The next row, which stays; null behind the last. */
  async peek(): Promise<TextRow | null> {
    if (this.#next === this.#waiting.length && !this.#isDone) {
      const fetch = `FETCH ${this.#atOnce} FROM audit_${this.table}`;
      this.#waiting = await textRows(this.#client, fetch);
      this.#next = 0;
      this.#isDone = this.#waiting.length === 0;
    }
    return this.#waiting[this.#next] ?? null;
  }

  take(): void {
    this.#next++;
  }
}
