import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { generateDeskKeys } from '../../../../enclave/desk/keys.ts';
import { createCertificate } from '../../../../enclave/desk/tls-certificate.ts';
import type { Database, Sql } from '../../../../enclave/ledger/store/database.ts';
import { StoreError } from '../../../../enclave/ledger/store/database.ts';
import type { Row } from '../../../../enclave/ledger/store/row.ts';
import type { Result } from '../../../../wire/result.ts';
import { storeScene } from '../../../helpers/track-store.ts';

const scene = await storeScene();
beforeEach(async () => {
  await scene.clear();
  scene.server.answer = (bytes) => bytes;
});

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

async function asks(
  database: Database,
  text: string,
  maxRows = 1,
  read: (row: Row) => unknown = () => null,
): Promise<string> {
  const work = async (sql: Sql): Promise<unknown[]> =>
    (await sql.query(text, [], maxRows)).map(read);
  return codeOf(await database.run(work));
}

describe('the client of the database', () => {
  it('runs statements in a transaction, with parameters, and connects again', async () => {
    const database = scene.database();
    const asked = await database.run(async (sql) => {
      await sql.query('CREATE TABLE numbers (n BIGINT)', []);
      await sql.query('INSERT INTO numbers VALUES ($1)', [7n]);
      return (await sql.query('SELECT n FROM numbers', [], 1))[0]?.uint(0);
    });
    expect(asked).toEqual({ ok: true, value: 7 });
    const undone = await database.run(async (sql) => {
      await sql.query('DELETE FROM numbers', []);
      throw new StoreError('store_mac');
    });
    expect(codeOf(undone)).toBe('store_mac');
    scene.server.cut();
    // The connection that is lost is noticed by the statement or before it.
    await asks(database, 'SELECT 1');
    expect(await asks(database, 'SELECT n FROM numbers', 1, (row) => row.uint(0))).toBe('accepted');
    await scene.server.db.exec('DROP TABLE numbers');
  });

  it('lets all others go before what has time, one transaction at a time', async () => {
    const database = scene.database();
    const order: string[] = [];
    let open = 0;
    const add = async (name: string, when?: 'later'): Promise<void> => {
      const done = await database.run(async (sql) => {
        open++;
        await sql.query('SELECT 1', [], 1);
        order.push(`${name} ${open}`);
        open--;
      }, when);
      expect(codeOf(done)).toBe('accepted');
    };
    const first = [add('load 1', 'later'), add('load 2', 'later'), add('load 3', 'later')];
    await first[0];
    await Promise.all([...first, add('read 1'), add('read 2')]);
    expect(order.map((one) => one.slice(0, -2))).toEqual([
      'load 1',
      'load 2',
      'read 1',
      'read 2',
      'load 3',
    ]);
    expect(order.every((one) => one.endsWith(' 1'))).toBe(true);
  });

  it('comes to what has time also while others never stop', async () => {
    const database = scene.database();
    const loads: number[] = [];
    let reads = 0;
    const asked = async (): Promise<void> => {
      for (; loads.length < 2 && reads < 200; reads++) await asks(database, 'SELECT 1');
    };
    // Of two, one always waits.
    const readers = [asked(), asked(), asked()];
    const waiting = [1, 2].map(() =>
      database.run(() => Promise.resolve(loads.push(reads)), 'later'),
    );
    await Promise.all([...readers, ...waiting]);
    expect(loads.length).toBe(2);
    expect(loads[0]).toBeGreaterThan(10);
    expect(loads[1]).toBeLessThan(60);
  });

  it.each<readonly [string, string, number, (row: Row) => unknown, string]>([
    ['what the server refuses', 'SELECT nonsense', 1, () => null, 'database_refused'],
    [
      'more rows than were asked for',
      'SELECT generate_series(1, 3)',
      2,
      () => null,
      'database_answer_invalid',
    ],
    ['a text for a number', "SELECT 'x'", 1, (row) => row.uint(0), 'database_answer_invalid'],
    [
      'a number beyond 2^53',
      'SELECT 9007199254740992',
      1,
      (row) => row.uint(0),
      'database_answer_invalid',
    ],
    ['a negative number', 'SELECT -1', 1, (row) => row.uint(0), 'database_answer_invalid'],
    ['half a byte', "SELECT '\\x012'", 1, (row) => row.bytes(0, 1, 9), 'database_answer_invalid'],
    ['no digit', "SELECT '\\x01g2'", 1, (row) => row.bytes(0, 2), 'database_answer_invalid'],
    ['digits alone', "SELECT '000102'", 1, (row) => row.bytes(0, 2), 'database_answer_invalid'],
    [
      'too many bytes',
      "SELECT '\\x0102'::bytea",
      1,
      (row) => row.bytes(0, 1),
      'database_answer_invalid',
    ],
    [
      'bytes that are none',
      "SELECT '\\\\xzz'",
      1,
      (row) => row.bytes(0, 1),
      'database_answer_invalid',
    ],
    [
      'a text that is too long',
      "SELECT 'abc'",
      1,
      (row) => row.text(0, 2),
      'database_answer_invalid',
    ],
    ['a column that is missing', 'SELECT 1', 1, (row) => row.uint(1), 'database_answer_invalid'],
    ['null', 'SELECT NULL', 1, (row) => row.uint(0), 'database_answer_invalid'],
  ])('refuses %s', async (_, text, maxRows, read, code) => {
    const database = scene.database();
    expect(await asks(database, text, maxRows, read)).toBe(code);
    expect(await asks(database, 'SELECT 1', 1, (row) => row.uint(0))).toBe('accepted');
  });

  it('takes names and types of columns from nobody', async () => {
    const database = scene.database();
    const text = `SELECT '{"a":1}'::json AS "__proto__"`;
    expect(await asks(database, text, 1, (row) => row.text(0, 100))).toBe('accepted');
  });

  it('ends a connection whose messages break the rules', async () => {
    const database = scene.database();
    expect(await asks(database, 'SELECT 1')).toBe('accepted');
    scene.server.answer = () => Buffer.from('G000000');
    expect(await asks(database, 'SELECT 1')).toBe('database_answer_invalid');
  });

  it('does not wait for ever', async () => {
    const database = scene.database({ timeoutMs: 50 });
    const silent = scene.database({ timeoutMs: 50, open: () => duplexPair()[0] });
    expect(await asks(silent, 'SELECT 1')).toBe('database_unreachable');
    expect(['accepted', 'database_unreachable']).toContain(
      await asks(database, 'SELECT pg_sleep(1)'),
    );
  });

  it('talks to nobody but a holder of a measured certificate, for the measured name', async () => {
    const other = await createCertificate(generateDeskKeys().tls, ['localhost'], Date.now());
    const database = { host: 'localhost', port: 5432, name: 'postgres', user: 'postgres' };
    const foreign = scene.database({ database: { ...database, roots: other } });
    expect(await asks(foreign, 'SELECT 1')).toBe('tls_untrusted');
    const roots = scene.certificate;
    const named = scene.database({ database: { ...database, roots, server_name: 'db.example' } });
    expect(await asks(named, 'SELECT 1')).toBe('tls_untrusted');
  });

  it.each([
    ['refuses TLS', 'N', 'database_answer_invalid'],
    ['says something behind its word in clear', 'SX', 'database_answer_invalid'],
    ['hangs up', '', 'database_unreachable'],
  ])('leaves a server that %s', async (_, said, code) => {
    const open = (): Duplex => {
      const [near, far] = duplexPair();
      far.on('error', () => undefined);
      far.once('data', () => {
        if (said === '') far.destroy();
        else far.write(said);
        if (said === '') near.destroy();
      });
      return near;
    };
    expect(await asks(scene.database({ open, timeoutMs: 2000 }), 'SELECT 1')).toBe(code);
  });

  it('is over when it is closed', async () => {
    const database = scene.database();
    expect(await asks(database, 'SELECT 1')).toBe('accepted');
    database.close();
    expect(await asks(database, 'SELECT 1')).toBe('database_unreachable');
  });
});
