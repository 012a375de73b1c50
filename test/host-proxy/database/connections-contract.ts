// What connections do to each other, whichever the database is: PGlite has one engine for all of them.

import type { Client } from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { codeOf, migratedOwner } from './database-under-test.ts';
import { accountRow, fill, insert } from './rows.ts';

/** By a prepared statement of one name, whatever it says. */
async function askSame(client: Client, text: string): Promise<unknown> {
  return (await client.query({ name: 'same', text, values: ['x'] })).rows[0];
}

export function connectionsContract(open: () => DatabaseUnderTest): void {
  describe('connections', () => {
    let owner: Client;

    beforeEach(async () => {
      owner = await migratedOwner(open());
    });

    it('see nothing of a transaction before it is committed', async () => {
      const [a, b] = [await open().connect('enclave_user'), await open().connect('enclave_user')];
      await a.query('BEGIN');
      await insert(a, 'accounts', accountRow());
      let isCommitted = false;
      const seen = b.query('SELECT FROM trackseal.accounts').then(({ rowCount }) => {
        // PGlite has one engine: there the other waits, and sees what was committed.
        return { rowCount, isCommitted };
      });
      await a.query('SELECT 1');
      isCommitted = true;
      await a.query('COMMIT');
      const nothing = { rowCount: 0 };
      const all = { rowCount: 1, isCommitted: true };
      const { rowCount } = await seen;
      expect(await seen).toMatchObject(rowCount === 0 ? nothing : all);
    });

    it('that end in a transaction leave nothing', async () => {
      const dying = await open().connect('enclave_user');
      await dying.query('BEGIN');
      await insert(dying, 'accounts', accountRow());
      await dying.end();
      const found = await owner.query('SELECT FROM trackseal.accounts');
      expect(found.rowCount).toBe(0);
    });

    it('have prepared statements of their own, under the same names', async () => {
      const [a, b] = [await open().connect('enclave_user'), await open().connect('gateway_reader')];
      for (let round = 0; round < 3; round++) {
        expect(await askSame(a, "SELECT $1::text || 'a' AS v")).toEqual({ v: 'xa' });
        expect(await askSame(b, "SELECT $1::text || 'b' AS v")).toEqual({ v: 'xb' });
      }
      const others = await b.query('SELECT statement FROM pg_prepared_statements');
      expect(others.rows.filter(({ statement }) => String(statement).includes("'a'"))).toEqual([]);
    });

    it('are told of an error, and go on', async () => {
      const client = await open().connect('enclave_user');
      expect(await codeOf(client.query('SELECT 1 / $1::int', [0]))).toBe('22012');
      expect(await codeOf(client.query('SELEC'))).toBe('42601');
      await client.query('BEGIN');
      expect(await codeOf(client.query('SELECT 1 / 0'))).toBe('22012');
      expect(await codeOf(client.query('SELECT 1'))).toBe('25P02');
      await client.query('ROLLBACK');
      expect((await client.query('SELECT $1::int AS v', [7])).rows).toEqual([{ v: 7 }]);
    });

    it('count up together without losing one', async () => {
      await fill(owner);
      const clients = await Promise.all(
        Array.from({ length: 4 }, () => open().connect('enclave_user')),
      );
      await Promise.all(
        clients.map(async (client) => {
          for (let round = 0; round < 10; round++) {
            await client.query('BEGIN');
            const found = await client.query<{ poll: string }>(
              'SELECT poll FROM trackseal.sync_status FOR UPDATE',
            );
            const poll = Number(found.rows[0]?.poll) + 1;
            await client.query('UPDATE trackseal.sync_status SET poll = $1', [poll]);
            await client.query('COMMIT');
          }
        }),
      );
      const found = await owner.query('SELECT poll FROM trackseal.sync_status');
      expect(found.rows).toEqual([{ poll: '41' }]);
    });
  });
}
