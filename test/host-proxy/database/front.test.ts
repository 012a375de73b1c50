// Clients that are hostile, dead or slow, at PGlite's front: nobody gets more than its role, and the others go on.

import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DatabaseAuthority } from '../../../host-proxy/database/authority.ts';
import { DatabaseFront } from '../../../host-proxy/database/front.ts';
import type { FrontLimits } from '../../../host-proxy/database/front.ts';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../../host-proxy/database/migrations.ts';
import { openPasswords } from '../../../host-proxy/database/passwords.ts';
import type { Passwords } from '../../../host-proxy/database/passwords.ts';
import {
  encodeMessage,
  encodeQuery,
  GSS_REQUEST,
  SSL_REQUEST,
  SYNC,
} from '../../../host-proxy/database/protocol.ts';
import { childrenOf } from '../../e2e/processes.ts';
import { codeOf } from './database-under-test.ts';
import type { Role } from './database-under-test.ts';
import { SILENT } from './own-database.ts';
import { bind, execute, first, FLUSH, parse, RawClient, startup, stateOf } from './raw-client.ts';
import { accountRow, insert, syncRow } from './rows.ts';

const LIMITS: Partial<FrontLimits> = {
  maxConnections: 8,
  startupMs: 2000,
  maxBatchBytes: 200_000,
  maxResultBytes: 1_000_000,
  statementMs: 5000,
  idleTransactionMs: 1500,
  transactionMs: 6000,
};

let folder = '';
let front: DatabaseFront;
let authority: DatabaseAuthority;
let passwords: Passwords;
const open: { readonly end: () => unknown }[] = [];

async function listen(more: Partial<FrontLimits> = {}): Promise<DatabaseFront> {
  return DatabaseFront.listen({
    host: '127.0.0.1',
    port: 0,
    folder: join(folder, 'data'),
    identity: await authority.issue(['localhost', '127.0.0.1']),
    passwords,
    enclavePassword: true,
    logger: SILENT,
    limits: { ...LIMITS, ...more },
  });
}

async function connect(role: Role, changes: object = {}): Promise<Client> {
  const client = new Client({
    host: '127.0.0.1',
    port: front.port,
    user: role,
    password: passwords[role],
    database: 'trackseal',
    ssl: { ca: authority.pem },
    ...changes,
  });
  client.on('error', () => undefined);
  open.push(client);
  await client.connect();
  return client;
}

async function raw(role: Role): Promise<RawClient> {
  const client = await RawClient.login(front.port, authority.pem, role, passwords[role]);
  open.push(client.socket);
  return client;
}

/** The socket's end, and what came before it. */
async function answerTo(socket: Socket, ...bytes: readonly Buffer[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
  });
  const closed = once(socket, 'close');
  socket.write(Buffer.concat(bytes));
  await closed;
  return Buffer.concat(chunks);
}

/** A query of that many bytes with its head. */
function sized(bytes: number): Buffer {
  return encodeQuery('--'.padEnd(bytes - 6, 'x'));
}

async function works(): Promise<boolean> {
  const client = await connect('enclave_user');
  const found = await client.query('SELECT count(*)::int AS n FROM trackseal.accounts');
  return found.rowCount === 1;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-front-'));
  authority = await DatabaseAuthority.open(folder);
  passwords = await openPasswords(folder);
  front = await listen();
  const owner = await connect('postgres');
  await migrate(owner, await readMigrations(MIGRATIONS_FOLDER));
});

afterEach(async () => {
  for (const one of open.splice(0)) await one.end();
  // Whoever was sent away leaves its place a moment later.
  while (front.connections > 0) await new Promise((resolve) => setTimeout(resolve, 10));
});

afterAll(async () => {
  await front.close();
  await rm(folder, { recursive: true, force: true });
});

describe('before anything is said', () => {
  it('keys are for nobody else, and stay the same', async () => {
    for (const name of ['ca-key.pem', 'passwords.json']) {
      expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
    }
    expect((await DatabaseAuthority.open(folder)).pem).toBe(authority.pem);
    expect(await openPasswords(folder)).toEqual(passwords);
  });

  it('a client without TLS is told so, and nothing more', async () => {
    const hello = startup({ user: 'enclave_user', database: 'postgres' });
    const answer = await answerTo(await RawClient.plain(front.port), hello);
    expect(answer.toString('latin1')).toMatch(/FATAL.*C28000/su);
  });

  it('bytes that follow the request for TLS in the clear end the connection', async () => {
    const socket = await RawClient.plain(front.port);
    const answer = await answerTo(socket, first(SSL_REQUEST), startup({ user: 'postgres' }));
    expect(answer).toHaveLength(0);
  });

  it('who asks for GSS encryption gets no, and may ask for TLS then, once', async () => {
    const socket = await RawClient.plain(front.port);
    socket.write(first(GSS_REQUEST));
    const [no] = (await once(socket, 'data')) as readonly Buffer[];
    expect(String(no)).toBe('N');
    const again = await answerTo(socket, first(GSS_REQUEST));
    expect(again.toString()).toBe('N');
  });

  it('another authority than that of the folder is not believed', async () => {
    const other = await mkdtemp(join(tmpdir(), 'trackseal-ca-'));
    const { pem } = await DatabaseAuthority.open(other);
    await rm(other, { recursive: true });
    await expect(connect('enclave_user', { ssl: { ca: pem } })).rejects.toThrow(
      /signature|verify/u,
    );
    const name = { ca: authority.pem, servername: 'elsewhere.example' };
    await expect(connect('enclave_user', { ssl: name })).rejects.toThrow(/altnames/u);
  });

  it.each([
    ['length 7', Buffer.of(0, 0, 0, 7, 0, 3, 0, 0)],
    ['length 10,001', Buffer.of(0, 0, 0x27, 0x11, 0, 3, 0, 0)],
    ['length 4 GiB', Buffer.of(0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0)],
  ])('a first message of %s ends the connection, before and behind TLS', async (_, bytes) => {
    expect(await answerTo(await RawClient.plain(front.port), bytes)).toHaveLength(0);
    const secure = await RawClient.secure(front.port, authority.pem);
    secure.send(bytes);
    expect(await secure.lastWords()).toBe('08P01');
  });

  it('who says nothing is not waited for', async () => {
    const plain = await RawClient.plain(front.port);
    const secure = await RawClient.secure(front.port, authority.pem);
    const half = await RawClient.secure(front.port, authority.pem);
    half.send(startup({ user: 'postgres' }));
    await Promise.all([once(plain.resume(), 'close'), secure.lastWords(), half.lastWords()]);
    expect(await works()).toBe(true);
  });

  it('one connection more than the limit is sent away, and a place is free again', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => RawClient.plain(front.port)));
    open.push(...all);
    const { refused } = front.counters;
    const ninth = await RawClient.plain(front.port);
    await once(ninth.resume(), 'close');
    expect(front.connections).toBe(8);
    expect(front.counters).toMatchObject({ open: 8, refused: refused + 1 });
    all[0]?.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await works()).toBe(true);
  });
});

describe('who comes', () => {
  it.each([
    ['enclave_user', 'wrong'],
    ['enclave_user', ''],
    ['postgres', 'enclave_user'],
    ['nobody', 'enclave_user'],
    ['', 'postgres'],
    ['pg_read_all_data', 'postgres'],
  ])('as %j with the password of %j is not let in', async (user, of) => {
    const password = new Map<string, string>(Object.entries(passwords)).get(of) ?? of;
    const { admitted, refused } = front.counters;
    const client = await RawClient.secure(front.port, authority.pem);
    client.send(startup({ user, database: 'postgres' }));
    expect((await client.next())?.type).toBe('R');
    await client.authenticate(password);
    expect(await client.lastWords()).toBe('28P01');
    expect(front.counters).toMatchObject({ admitted, refused: refused + 1 });
  });

  it.each([
    ['another database', { database: 'template1' }, '3D000'],
    ['an encoding in which words look otherwise', { client_encoding: 'SJIS' }, '22023'],
    ['options', { options: '-c session_authorization=postgres' }, '0A000'],
    ['replication', { replication: 'true' }, '0A000'],
    ['a role', { role: 'postgres' }, '0A000'],
    ['an authorization', { session_authorization: 'postgres' }, '0A000'],
    ['a setting that ends its quotes', { application_name: "x'; SET ROLE postgres; '" }, '22023'],
  ])('with %s is refused', async (_, parameters, code) => {
    const client = await RawClient.secure(front.port, authority.pem);
    client.send(startup({ user: 'gateway_reader', ...parameters }));
    await client.next();
    await client.authenticate(passwords.gateway_reader);
    expect(await client.lastWords()).toBe(code);
  });

  it('without a password where the operator wants none, and only as the enclave', async () => {
    const config = { host: '127.0.0.1', port: 0, folder: join(folder, 'open'), passwords };
    const identity = await authority.issue(['localhost', '127.0.0.1']);
    const free = await DatabaseFront.listen({
      ...config,
      identity,
      enclavePassword: false,
      logger: SILENT,
    });
    const { port } = free;
    // No such role yet: it is told what to do.
    const enclave = await connect('enclave_user', { port, password: undefined });
    expect(await codeOf(enclave.query('SELECT 1'))).toBe('28000');
    const reader = connect('gateway_reader', { port, password: 'x' });
    expect(await codeOf(reader)).toBe('28P01');
    await free.close();
  });
});

const ESCAPES = [
  'SET SESSION AUTHORIZATION postgres',
  'set session authorization default; select 1',
  'SET LOCAL SESSION AUTHORIZATION postgres',
  "SET session_authorization = 'postgres'",
  'SET SESSION/* */AUTHORIZATION postgres',
  'SET "session_authorization" TO postgres',
  `SET U&"session\\005fauthorization" = postgres`,
  `SET u&"session!005fauthorization" UESCAPE '!' = postgres`,
  'RESET session_authorization',
  "SELECT set_config('session_' || 'author' || 'ization', 'postgres', false)",
  "UPDATE pg_settings SET setting = 'postgres' WHERE name LIKE 'session_auth%'",
  "DO $$ BEGIN EXECUTE 'SET SESSION ' || 'AUTH' || 'ORIZATION postgres'; END $$",
  "CREATE FUNCTION pg_temp.f() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
  'SET ROLE postgres',
  'ALTER ROLE gateway_reader SUPERUSER',
  "ALTER SYSTEM SET work_mem = '1GB'",
  "SELECT pg_read_file('PG_VERSION')",
  'COPY trackseal.hourly_returns FROM STDIN',
  "COPY (SELECT 1) TO PROGRAM 'true'",
  'SELECT pg_sleep(1000)',
  'SELECT pg_terminate_backend(pg_backend_pid())',
  'SELECT pg_cancel_backend(1)',
  "LOAD 'plpgsql'",
  'DROP EXTENSION plpgsql',
];

describe('a client that wants to be somebody else', () => {
  it.each(ESCAPES)('is refused: %s', async (statement) => {
    const client = await connect('gateway_reader');
    expect(['42501', '0A000']).toContain(await codeOf(client.query(statement)));
    expect(['42501', '0A000']).toContain(
      await codeOf(client.query({ text: statement, name: 'p' })),
    );
    await client.query('BEGIN');
    expect(await codeOf(client.query(statement))).not.toBe(null);
    await client.query('ROLLBACK');
    const who = await client.query('SELECT session_user::text AS s, current_user::text AS c');
    expect(who.rows).toEqual([{ s: 'gateway_reader', c: 'gateway_reader' }]);
  });

  it.each(['DISCARD ALL', 'RESET ALL', 'RESET ROLE', 'SET ROLE NONE', 'DEALLOCATE ALL'])(
    'gains nothing by %s, in the same turn',
    async (statement) => {
      const client = await raw('gateway_reader');
      client.send(encodeQuery(statement), encodeQuery('SELECT session_user::text'));
      const first = await client.until('Z');
      expect(first.map(({ type }) => type)).not.toContain('E');
      const row = (await client.until('Z')).find(({ type }) => type === 'D');
      expect(row?.bytes.toString()).toContain('gateway_reader');
    },
  );

  it.each(['DISCARD ALL', 'discard/* */all', 'RESET ALL', 'SET ROLE NONE', 'DEALLOCATE ALL'])(
    'gains nothing by %s, in the same batch',
    async (statement) => {
      for (const between of [[], [FLUSH]]) {
        const client = await raw('gateway_reader');
        client.send(parse('', statement), bind(''), execute(), ...between);
        const asked = parse('', 'SELECT session_user::text, current_user::text');
        client.send(asked, bind(''), execute(), SYNC);
        const answers = await client.until('Z');
        const rows = answers.filter(({ type }) => type === 'D').map(({ bytes }) => String(bytes));
        expect(rows.join()).toContain('gateway_reader');
        expect(rows.join()).not.toContain('postgres');
      }
    },
  );

  it('gains nothing by a query that runs text, nor by parameters', async () => {
    const client = await connect('gateway_reader');
    const text = 'SET SESSION AUTHORIZATION postgres';
    const xml = client.query("SELECT query_to_xml($1, true, true, '')", [text]);
    expect(await codeOf(xml)).toBe('0A000');
    const set = client.query('SELECT set_config($1, $2, false)', [
      'session_authorization',
      'postgres',
    ]);
    expect(await codeOf(set)).toBe('42501');
    const update = 'UPDATE pg_settings SET setting = $1 WHERE name = $2';
    expect(await codeOf(client.query(update, ['postgres', 'session_authorization']))).toBe('42501');
    const who = await client.query('SELECT session_user::text AS s');
    expect(who.rows).toEqual([{ s: 'gateway_reader' }]);
  });

  it('leaves no setting, lock or cursor to the next, nor to itself', async () => {
    const [a, b] = [await connect('enclave_user'), await connect('gateway_reader')];
    await a.query("SET work_mem = '123MB'");
    await a.query('SELECT pg_advisory_lock(7)');
    await a.query('SET search_path = trackseal');
    for (const client of [a, b]) {
      expect((await client.query('SHOW work_mem')).rows).toEqual([{ work_mem: '16MB' }]);
      expect((await client.query('SHOW search_path')).rows).toEqual([{ search_path: 'public' }]);
      const locked = await client.query('SELECT pg_try_advisory_lock(7) AS locked');
      expect(locked.rows).toEqual([{ locked: true }]);
    }
    expect(
      (await b.query('SELECT count(*)::int AS n FROM pg_locks WHERE locktype = $1', ['advisory']))
        .rows,
    ).toEqual([{ n: 0 }]);
  });

  it('may keep 256 prepared statements, and not one more', async () => {
    const client = await connect('gateway_reader');
    const prepare = (number: number): Promise<unknown> =>
      client.query({ name: `s${number}`, text: `SELECT ${number} AS v` });
    for (let number = 0; number < 256; number++) await prepare(number);
    expect(await codeOf(prepare(256))).toBe('53000');
    expect(await prepare(7)).toMatchObject({ rows: [{ v: 7 }] });
  });
});

describe('messages', () => {
  it.each(['F', 'd', 'c', 'f', 'p', 'z', '\0', '\u{80}'])(
    'of type %j end the connection',
    async (type) => {
      const client = await raw('enclave_user');
      client.send(encodeMessage(type, Buffer.alloc(8)));
      expect(await client.lastWords()).toBe('08P01');
      expect(await works()).toBe(true);
    },
  );

  it.each([
    ['3', Buffer.of(0x51, 0, 0, 0, 3)],
    ['2 GiB', Buffer.of(0x51, 0x7f, 0xff, 0xff, 0xff)],
    ['4 GiB', Buffer.of(0x51, 0xff, 0xff, 0xff, 0xff)],
  ])('with the length %s are not waited for', async (_, bytes) => {
    const client = await raw('enclave_user');
    client.send(bytes);
    expect(await client.lastWords()).toBe('54000');
  });

  it('as large as the limit are taken, and one byte more is not', async () => {
    const taken = await raw('enclave_user');
    taken.send(sized(200_000));
    expect((await taken.until('Z')).map(({ type }) => type)).toEqual(['I', 'Z']);
    const refused = await raw('enclave_user');
    refused.send(sized(200_001));
    expect(await refused.lastWords()).toBe('54000');
    const pieces = await raw('enclave_user');
    for (let piece = 0; piece < 5; piece++) pieces.send(parse('', `--${'x'.repeat(50_000)}`));
    expect(await pieces.lastWords()).toBe('54000');
  });

  it('that are no statement end in an error, not in the engine', async () => {
    const client = await raw('enclave_user');
    client.send(encodeMessage('B', Buffer.from('x\0y\0\u{ff}')), SYNC);
    expect((await client.until('Z')).map(({ type }) => type)).toEqual(['E', 'Z']);
    client.send(encodeMessage('D', Buffer.from('Q')), encodeMessage('C', Buffer.alloc(0)), SYNC);
    expect((await client.until('Z')).map(({ type }) => type)).toEqual(['E', 'Z']);
    client.send(encodeMessage('Q', Buffer.from('no end')));
    expect(await client.lastWords()).toBe('08P01');
    expect(await works()).toBe(true);
  });

  it('come byte by byte as well', async () => {
    const client = await raw('enclave_user');
    for (const byte of Buffer.concat([parse('', 'SELECT 1'), bind(''), execute(), SYNC])) {
      client.socket.write(Buffer.of(byte));
    }
    const types = (await client.until('Z')).map(({ type }) => type);
    expect(types).toEqual(['1', '2', 'D', 'C', 'Z']);
  });

  it('many at once are answered in order', async () => {
    const client = await raw('enclave_user');
    for (let number = 0; number < 50; number++) client.send(encodeQuery(`SELECT ${number}`));
    for (let number = 0; number < 50; number++) {
      const row = (await client.until('Z')).find(({ type }) => type === 'D');
      expect(row?.bytes.toString()).toMatch(new RegExp(`\\D${number}$`, 'u'));
    }
  });

  it('after one that was refused are left out up to the next Sync', async () => {
    const client = await raw('gateway_reader');
    client.send(parse('', 'COPY x FROM STDIN'), bind(''), execute(), SYNC, encodeQuery('SELECT 1'));
    const [error, ready] = await client.until('Z');
    expect([error?.type, ready?.type]).toEqual(['E', 'Z']);
    expect(error === undefined ? '' : stateOf(error)).toBe('42501');
    expect((await client.until('Z')).map(({ type }) => type)).toEqual(['T', 'D', 'C', 'Z']);
  });
});

describe('the engine', () => {
  it('is free again when a client dies in a transaction, or in the middle of a batch', async () => {
    for (const half of [[encodeQuery('BEGIN')], [parse('', 'SELECT 1'), bind(''), FLUSH]]) {
      const dying = await raw('enclave_user');
      dying.send(...half);
      await dying.next();
      const waiting = works();
      dying.socket.destroy();
      expect(await waiting).toBe(true);
    }
  });

  it('is not held by who says BEGIN and then nothing', async () => {
    const idle = await raw('enclave_user');
    idle.send(encodeQuery('BEGIN'));
    await idle.until('Z');
    expect(await works()).toBe(true);
    expect(await idle.lastWords()).toBe('25P03');
  });

  it('is not held by who says a little in a transaction for ever', async () => {
    const slow = await connect('enclave_user');
    await slow.query('BEGIN');
    const goOn = async (): Promise<string | null> => {
      for (;;) {
        const code = await codeOf(slow.query('SELECT 1'));
        if (code !== null) return code;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    };
    const [code, done] = await Promise.all([goOn(), works()]);
    expect([code, done]).toEqual(['25P04', true]);
  });

  it('is not held by who does not read', async () => {
    const deaf = await raw('enclave_user');
    deaf.socket.pause();
    for (let times = 0; times < 40; times++) deaf.send(encodeQuery("SELECT repeat('x', 900000)"));
    expect(await works()).toBe(true);
  });

  it('hands out no result that is too large, and goes on', async () => {
    const client = await raw('enclave_user');
    client.send(encodeQuery("SELECT repeat('x', 900000)"));
    await client.until('Z');
    client.send(encodeQuery("SELECT repeat('x', 1100000)"));
    expect(await client.lastWords()).toBe('54000');
    expect(await works()).toBe(true);
  });

  it('is started again when a statement does not end, and has what was committed', async () => {
    const { admitted, engineLost } = front.counters;
    const writer = await connect('enclave_user');
    await insert(writer, 'accounts', accountRow());
    await insert(writer, 'sync_status', syncRow());
    const other = await connect('enclave_user');
    const endless = await raw('enclave_user');
    endless.send(encodeQuery('BEGIN; UPDATE trackseal.sync_status SET outcome = $$lost$$'));
    await endless.until('Z');
    endless.send(encodeQuery('SELECT count(*) FROM generate_series(1, 1000000000000)'));
    expect(await endless.lastWords()).toMatch(/^(57P02)?$/u);
    await expect(other.query('SELECT 1')).rejects.toThrow(/terminated|57P02|not queryable|again/u);
    const reader = await connect('enclave_user');
    const found = await reader.query('SELECT outcome FROM trackseal.sync_status');
    expect(found.rows).toEqual([{ outcome: 'complete' }]);
    expect(front.counters.engineLost).toBe(engineLost + 1);
    expect(front.counters.admitted).toBeGreaterThanOrEqual(admitted + 4);
  });

  it('killed between two statements has what was committed, each time', async () => {
    const before = new Set(childrenOf(process.pid));
    expect(before.size).toBeGreaterThan(0);
    for (let round = 0; round < 5; round++) {
      const client = await connect('enclave_user');
      await client.query('UPDATE trackseal.sync_status SET outcome = $1', [`round ${round}`]);
      await client.query('BEGIN');
      await client.query("UPDATE trackseal.sync_status SET outcome = 'lost'");
      for (const pid of childrenOf(process.pid)) process.kill(pid, 'SIGKILL');
      await expect(client.query('COMMIT')).rejects.toThrow(/terminated|again|queryable/u);
      const reader = await connect('enclave_user');
      const found = await reader.query('SELECT outcome FROM trackseal.sync_status');
      expect(found.rows).toEqual([{ outcome: `round ${round}` }]);
    }
  });
});
