// The ledger's store as enclave_user, on a real PostgreSQL and on PGlite behind the host's front: the same signed bytes,
// the same rows, and what one has written is read and believed from a restored backup in the other.

import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredMissed } from '../../enclave/ledger/store/contract.ts';
import type { Sql } from '../../enclave/ledger/store/database.ts';
import { Database } from '../../enclave/ledger/store/database.ts';
import type { PostgresStoreOptions } from '../../enclave/ledger/store/postgres-store.ts';
import { PostgresStore } from '../../enclave/ledger/store/postgres-store.ts';
import { backUp, restore } from '../../host-proxy/database/backup.ts';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../host-proxy/database/migrations.ts';
import { openDatabaseService } from '../../host-proxy/database/service.ts';
import { startPostgres } from '../../scripts/pg/postgres.ts';
import { CommandFailed } from '../../scripts/vm/command.ts';
import { leaveOut } from '../helpers/left-out.ts';
import { assertAccepted } from '../../wire/result.ts';
import {
  additionOf,
  LEDGER_ACCOUNT,
  STORAGE_KEYS,
  STORED_POLL,
  STORE_ORIGIN,
} from '../helpers/track-store.ts';
import { CONFIG, SILENT } from '../host-proxy/database/own-database.ts';
import { HOUR, vectorChain } from '../vectors/track.ts';

interface Server {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly owner: string;
  readonly enclave: string;
  readonly stop: () => Promise<void>;
}

const ENCLAVE_PASSWORD = 'only for this test';

async function openReal(): Promise<Server | null> {
  try {
    const { ca, host, password, port, stop } = await startPostgres();
    return { host, port, ca, owner: password, enclave: ENCLAVE_PASSWORD, stop };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    leaveOut(`test/pg: PostgreSQL left out: ${error.message}`);
    return null;
  }
}

async function openPglite(folder: string): Promise<Server> {
  const { ca, front, passwords } = await openDatabaseService({ ...CONFIG, folder }, SILENT);
  const { enclave_user: enclave, postgres: owner } = passwords;
  return { host: '127.0.0.1', port: front.port, ca, owner, enclave, stop: () => front.close() };
}

async function asOwner<T>(server: Server, work: (client: Client) => Promise<T>): Promise<T> {
  const { ca, host, owner: password, port } = server;
  const who = { user: 'postgres', password, database: 'postgres' };
  const client = new Client({ host, port, ...who, ssl: { ca } });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function empty(server: Server): Promise<void> {
  const migrations = await readMigrations(MIGRATIONS_FOLDER);
  await asOwner(server, async (client) => {
    await client.query('DROP SCHEMA IF EXISTS trackseal CASCADE');
    await migrate(client, migrations);
    await client.query(`ALTER ROLE enclave_user PASSWORD '${ENCLAVE_PASSWORD}'`);
  });
}

/** `before`: is waited for before each statement is sent. */
function storeOf(
  { ca, enclave, host, port }: Server,
  before: (text: string) => Promise<void> = () => Promise.resolve(),
): PostgresStore {
  const database = new Database({
    database: { host: 'localhost', port, name: 'postgres', user: 'enclave_user', roots: ca },
    password: enclave,
    open: () => connect(port, host),
  });
  const sqlOf = (sql: Sql): Sql => ({
    query: async (text, values, maxRows) => {
      await before(text);
      return sql.query(text, values, maxRows);
    },
  });
  const waiting: PostgresStoreOptions['database'] = {
    counters: database.counters,
    close: () => {
      database.close();
    },
    run: (work, when) => database.run((sql) => work(sqlOf(sql)), when),
  };
  return new PostgresStore({ database: waiting, storageKeys: STORAGE_KEYS, origin: STORE_ORIGIN });
}

function missedAt(at: number): StoredMissed {
  return { kind: 'missed', fromMs: HOUR + at, toMs: HOUR + at + 1, reason: 'exchange_network' };
}

/** Three records and the six statements of the vectors, as the ledger adds them. */
async function fill(server: Server): Promise<void> {
  const store = storeOf(server);
  const records = [1, 2, 3].map(missedAt);
  assertAccepted(await store.savePoll(LEDGER_ACCOUNT, STORED_POLL, records, 0));
  const state = { records: 2, bytes: Uint8Array.of(1, 2, 3) };
  const addition = additionOf(vectorChain().statements, { statedRecords: 3, state });
  assertAccepted(await store.append(LEDGER_ACCOUNT, addition));
  store.close();
}

/** All that the store says after a restart, and every signed byte. */
async function told(server: Server): Promise<unknown> {
  const store = storeOf(server);
  const loaded = assertAccepted(await store.load(LEDGER_ACCOUNT));
  const counters = Array.from({ length: loaded.chain.head.counter }, (_, at) => at + 1);
  const rows = assertAccepted(await store.rows(LEDGER_ACCOUNT, loaded.chain, counters));
  store.close();
  const { recordCount, records, state, sync } = loaded;
  return { head: loaded.chain.head, recordCount, records, state, sync, rows };
}

async function saved(server: Server): Promise<readonly string[]> {
  const lines: string[] = [];
  await asOwner(server, (client) =>
    backUp(client, (text) => {
      lines.push(text.trimEnd());
      return Promise.resolve();
    }),
  );
  return lines;
}

/** But what is random in a seal. */
function openRows(lines: readonly string[]): readonly string[] {
  const sealed = new Set(['sealed_fills', 'sealed_states']);
  let table = '';
  return lines.slice(0, -1).filter((line) => {
    table = /^\{"table":"(\w+)"/u.exec(line)?.[1] ?? table;
    return !sealed.has(table);
  });
}

async function* eachOf(lines: readonly string[]): AsyncGenerator<string> {
  for (const line of lines) yield Promise.resolve(line);
}

const real = await openReal();

describe.skipIf(real === null)('the store of the ledger on PostgreSQL and on PGlite', () => {
  const servers: Server[] = real === null ? [] : [real];
  let folder = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trackseal-both-'));
    servers.push(await openPglite(folder));
    for (const server of servers) {
      await empty(server);
      await fill(server);
    }
  });

  afterAll(async () => {
    for (const server of servers) await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('serves identical signed bytes, and all else that it keeps', async () => {
    const answers: unknown[] = [];
    for (const server of servers) answers.push(await told(server));
    expect(answers).toHaveLength(2);
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({ recordCount: 3, head: { counter: 6 } });
  });

  it('keeps identical rows', async () => {
    const both: (readonly string[])[] = [];
    for (const server of servers) both.push(openRows(await saved(server)));
    expect(both[0]?.length).toBeGreaterThan(15);
    expect(both[1]).toEqual(both[0]);
  });

  it('writes no head over that of another writer who is about to end', async () => {
    const [server] = servers;
    if (server === undefined) throw new RangeError('there is no server');
    await empty(server);
    const all = additionOf(vectorChain().statements, { statedRecords: 3 });
    const [first, another, reader] = [storeOf(server), storeOf(server), storeOf(server)];
    assertAccepted(await first.savePoll(LEDGER_ACCOUNT, STORED_POLL, [1, 2, 3].map(missedAt), 0));
    assertAccepted(await first.append(LEDGER_ACCOUNT, { ...all, rows: all.rows.slice(0, 5) }));
    const { chain } = assertAccepted(await reader.load(LEDGER_ACCOUNT));
    const written = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const one = storeOf(server, async (text) => {
      if (!text.includes('INSERT INTO trackseal.sealed_states')) return;
      written.resolve();
      await asked.promise;
    });
    const state = { records: 2, bytes: Uint8Array.of(1) };
    const ofOne = one.append(LEDGER_ACCOUNT, {
      chain,
      rows: all.rows.slice(5),
      statedRecords: 3,
      state,
    });
    await written.promise;
    const ofAnother = another.append(LEDGER_ACCOUNT, {
      chain,
      rows: [],
      statedRecords: 3,
      state: null,
    });
    // Longer than it takes to get there, where nothing holds it.
    await sleep(500);
    asked.resolve();
    expect(await ofOne).toMatchObject({ ok: true });
    expect(await ofAnother).toMatchObject({ ok: false, refusal: { code: 'chain_fork' } });
    const loaded = assertAccepted(await reader.load(LEDGER_ACCOUNT));
    expect(loaded.chain.head.counter).toBe(6);
    for (const store of [first, another, reader, one]) store.close();
    await empty(server);
    await fill(server);
  });

  it('believes what the other one has written, from its backup', async () => {
    const backups: (readonly string[])[] = [];
    for (const server of servers) backups.push(await saved(server));
    const before: unknown[] = [];
    for (const server of servers) before.push(await told(server));
    for (const [at, server] of servers.entries()) {
      await empty(server);
      const lines = backups[1 - at] ?? [];
      expect(await asOwner(server, (client) => restore(client, eachOf(lines)))).toMatchObject({
        ok: true,
      });
      expect(await told(server)).toEqual(before[1 - at]);
      expect(await saved(server)).toEqual(lines);
    }
  });
});
