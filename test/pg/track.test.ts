// The whole path from polls to signed rows on a real PostgreSQL 15: the same signed bytes as in memory, and so as on PGlite.

import { Client } from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../host-proxy/database/migrations.ts';
import { startPostgres } from '../../scripts/pg/postgres.ts';
import type { PostgresServer } from '../../scripts/pg/postgres.ts';
import { CommandFailed } from '../../scripts/vm/command.ts';
import { leaveOut } from '../helpers/left-out.ts';
import { signedTwice } from '../helpers/signed-by-stores.ts';

async function start(): Promise<PostgresServer | null> {
  try {
    return await startPostgres();
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    leaveOut(`test/pg: PostgreSQL left out: ${error.message}`);
    return null;
  }
}

const server = await start();
const PASSWORD = 'only for this test';

describe.skipIf(server === null)('a track record in PostgreSQL 15', () => {
  afterAll(async () => {
    await server?.stop();
  });

  it('is signed with the bytes that memory has, as enclave_user', async () => {
    if (server === null) throw new Error('no server');
    const { host, port, ca, password } = server;
    const owner = new Client({
      host,
      port,
      user: 'postgres',
      password,
      database: 'postgres',
      ssl: { ca },
    });
    await owner.connect();
    await owner.query(`CREATE ROLE enclave_user LOGIN PASSWORD '${PASSWORD}'`);
    const migrated = await migrate(owner, await readMigrations(MIGRATIONS_FOLDER));
    expect(migrated.ok).toBe(true);
    const signed = await signedTwice({
      port,
      name: 'localhost',
      database: 'postgres',
      ca,
      password: PASSWORD,
    });
    await owner.end();
    expect(signed.inMemory.length).toBeGreaterThan(30);
    expect(signed.stored).toEqual(signed.inMemory);
    expect(signed.loaded).toEqual(signed.inMemory);
  }, 120_000);
});
