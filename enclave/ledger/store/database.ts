// One connection to PostgreSQL, made again when it is gone. Statements have parameters and never values in their text; each
// runs in a transaction, has a deadline and an answer of bounded size. The server is not trusted: what it answers beyond the
// rules ends the connection, its words are not repeated anywhere, and callers judge what they read. Whether a commit
// whose answer was lost happened is not known: everything that is written can be written again.

import type { Duplex } from 'node:stream';
import { Client } from 'pg';
import type { ConfiguredDatabase } from '../../../wire/configuration.ts';
import type { RefusalCode } from '../../../wire/codes.ts';
import type { Refusal, Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import { openDatabaseTls } from './database-tls.ts';
import { DatabaseProtocolError, GuardedStream } from './guarded-stream.ts';
import { Row, RowError } from './row.ts';

export type SqlValue = string | number | bigint | boolean | Uint8Array | null;

/** Within one transaction. Rejects with a StoreError; the transaction is rolled back then. */
export interface Sql {
  /** At most `maxRows` are taken: one more is an answer beyond what was asked for. */
  query(text: string, values: readonly SqlValue[], maxRows?: number): Promise<readonly Row[]>;
}

/** Ends a transaction with this code. */
export class StoreError extends Error {
  readonly refusal: Refusal;
  constructor(code: RefusalCode, detail: Refusal['detail'] = {}) {
    super(code);
    this.name = 'StoreError';
    this.refusal = { code, detail };
  }
}

export interface DatabaseOptions {
  readonly database: ConfiguredDatabase;
  readonly password: string | null;
  /** A stream to the server, destroyed when it cannot be had. */
  readonly open: () => Duplex;
  /** Of one statement, and of opening a connection. Default 30 s. */
  readonly timeoutMs?: number;
  /** Called after each statement that the server has answered; tests cut the connection there. */
  readonly onStatement?: () => void;
}

const TIMEOUT_MS = 30_000;
/** SCRAM costs a hash for each: PostgreSQL's default is 4,096. */
const MAX_SCRAM_ITERATIONS = 100_000;
const OLDEST_VERSION = 150_000;
const SQLSTATE = /^[0-9A-Z]{5}$/u;
/** Every value stays the text that the server wrote. */
const AS_TEXT = {
  getTypeParser:
    () =>
    (text: unknown): unknown =>
      text,
};

/** Transactions that go before one that has time: whoever reads all the time keeps no account from being loaded. */
const MAX_PASSED = 16;

interface Connection {
  readonly client: Client;
  readonly stream: GuardedStream;
}

export class Database {
  readonly #options: DatabaseOptions;
  readonly #timeoutMs: number;
  #connection: Connection | null = null;
  #opening: Duplex | null = null;
  readonly #waiting: Readonly<Record<'next' | 'later', (() => Promise<void>)[]>> = {
    next: [],
    later: [],
  };
  #isRunning = false;
  #closed = false;
  readonly counters = { database_connections: 0, database_failures: 0, database_statements: 0 };

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /** The last connection is there and has not failed. */
  get connected(): boolean {
    return this.#connection !== null;
  }

  /**
   * Runs `work` in one transaction, behind those before it; `later`: when no other waits, or a number of them had their turn. Refuses `database_unreachable`, `database_refused`,
   * `database_answer_invalid`, `tls_untrusted`, and what a StoreError says.
   */
  run<T>(work: (sql: Sql) => Promise<T>, when: 'next' | 'later' = 'next'): Promise<Result<T>> {
    const { promise, resolve, reject } = Promise.withResolvers<Result<T>>();
    this.#waiting[when].push(() => this.#transaction(work).then(resolve, reject));
    if (!this.#isRunning) void this.#runWaiting();
    return promise;
  }

  /** Nothing runs after it; what is under way fails. */
  close(): void {
    this.#closed = true;
    this.#drop();
    this.#opening?.destroy();
  }

  async #runWaiting(): Promise<void> {
    this.#isRunning = true;
    const { next, later } = this.#waiting;
    for (let passed = 0; ;) {
      const isLate = passed >= MAX_PASSED && later.length > 0;
      const turn = isLate ? later.shift() : (next.shift() ?? later.shift());
      if (turn === undefined) break;
      passed = isLate || later.length === 0 ? 0 : passed + 1;
      await turn();
    }
    this.#isRunning = false;
  }

  async #transaction<T>(work: (sql: Sql) => Promise<T>): Promise<Result<T>> {
    const opened = await this.#open();
    if (!opened.ok) {
      this.counters.database_failures++;
      return opened;
    }
    const sql: Sql = {
      query: (text, values, maxRows) => this.#query(opened.value, text, values, maxRows),
    };
    try {
      await sql.query('BEGIN', []);
      const value = await work(sql);
      await sql.query('COMMIT', []);
      return accept(value);
    } catch (error) {
      const failed = error instanceof RowError ? storeErrorOf(error) : error;
      if (!(failed instanceof StoreError)) {
        this.#drop();
        throw error;
      }
      await this.#rollBack(sql, failed.refusal.code);
      return { ok: false, refusal: failed.refusal };
    }
  }

  /** A transaction that cannot be rolled back goes with its connection. */
  async #rollBack(sql: Sql, code: RefusalCode): Promise<void> {
    this.counters.database_failures++;
    if (code === 'database_unreachable' || code === 'database_answer_invalid') {
      this.#drop();
      return;
    }
    try {
      await sql.query('ROLLBACK', []);
    } catch {
      this.#drop();
    }
  }

  async #query(
    connection: Connection,
    text: string,
    values: readonly SqlValue[],
    maxRows = 0,
  ): Promise<readonly Row[]> {
    const { client, stream } = connection;
    if (this.#connection !== connection) throw new StoreError('database_unreachable');
    stream.renew();
    this.counters.database_statements++;
    const timer = setTimeout(() => stream.destroy(new Error('deadline')), this.#timeoutMs);
    try {
      const { rows } = await client.query({
        text,
        values: values.map(parameterOf),
        rowMode: 'array',
        types: AS_TEXT,
      });
      this.#options.onStatement?.();
      if (rows.length > maxRows) throw new StoreError('database_answer_invalid', { what: 'rows' });
      return rows.map((row) => new Row(row as readonly unknown[]));
    } catch (error) {
      throw error instanceof StoreError ? error : storeErrorOf(error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(): Promise<Result<Connection>> {
    if (this.#closed) return refuse('database_unreachable');
    if (this.#connection !== null) return accept(this.#connection);
    const { database, password } = this.#options;
    const raw = this.#options.open();
    this.#opening = raw;
    const secured = await openDatabaseTls(raw, {
      roots: database.roots,
      serverName: database.server_name ?? database.host,
      timeoutMs: this.#timeoutMs,
    });
    this.#opening = null;
    if (!secured.ok) return secured;
    const stream = new GuardedStream(secured.value);
    const client = new Client({
      user: database.user,
      database: database.name,
      host: database.host,
      port: database.port,
      // A function, so that nothing is looked for in files or in the environment.
      password: () => password ?? '',
      ssl: false,
      stream: () => stream,
      keepAlive: false,
      connectionTimeoutMillis: this.#timeoutMs,
      application_name: 'trackseal',
      client_encoding: 'UTF8',
      scramMaxIterations: MAX_SCRAM_ITERATIONS,
    } as ConstructorParameters<typeof Client>[0]);
    const connection = { client, stream };
    // Of a connection that is idle; one in use rejects its statement.
    client.on('error', () => {
      if (this.#connection === connection) this.#drop();
    });
    client.on('end', () => {
      if (this.#connection === connection) this.#drop();
    });
    return this.#begin(connection);
  }

  async #begin(connection: Connection): Promise<Result<Connection>> {
    try {
      await connection.client.connect();
      this.#connection = connection;
      this.counters.database_connections++;
      const [row] = await this.#query(
        connection,
        "SELECT current_setting('server_version_num')",
        [],
        1,
      );
      const version = row?.uint(0) ?? 0;
      if (version < OLDEST_VERSION) throw new StoreError('database_refused', { version });
      return accept(connection);
    } catch (error) {
      connection.stream.destroy();
      this.#drop();
      return { ok: false, refusal: storeErrorOf(error).refusal };
    }
  }

  #drop(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.stream.destroy();
  }
}

function parameterOf(value: SqlValue): unknown {
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return typeof value === 'bigint' ? String(value) : value;
}

/** Nothing of what the server wrote but its code of five letters. */
function storeErrorOf(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof DatabaseProtocolError) {
    return new StoreError('database_answer_invalid', { what: error.message });
  }
  if (error instanceof RowError) return new StoreError('database_answer_invalid', { what: 'row' });
  const code = error instanceof Error && 'severity' in error && 'code' in error ? error.code : null;
  if (typeof code === 'string' && SQLSTATE.test(code)) {
    return new StoreError('database_refused', { sqlstate: code });
  }
  return new StoreError('database_unreachable');
}
