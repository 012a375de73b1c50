// The audit of a database on a real PostgreSQL: what the ledger stored there, and one lie about each table.

import { afterAll, describe, expect, it } from 'vitest';
import { auditDatabase } from '../../host-proxy/database/audit.ts';
import { startPostgres } from '../../scripts/pg/postgres.ts';
import type { PostgresServer } from '../../scripts/pg/postgres.ts';
import { CommandFailed } from '../../scripts/vm/command.ts';
import { buildRecords, connectAs, store } from '../host-proxy/database/audited.ts';
import { foundBy, loosen, putBack, tamper, TAMPERS } from '../host-proxy/database/tampers.ts';

async function start(): Promise<PostgresServer | null> {
  try {
    return await startPostgres();
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    console.log(`test/pg: PostgreSQL left out: ${error.message}`);
    return null;
  }
}

const server = await start();
const PASSWORD = 'only for this test';

describe.skipIf(server === null)('an audit on PostgreSQL 15', () => {
  afterAll(async () => {
    await server?.stop();
  });

  it('finds nothing in what was stored, and each lie about a table', async () => {
    if (server === null) throw new Error('no server');
    const { host, port, ca, password } = server;
    const passwords = { postgres: password, enclave_user: PASSWORD, gateway_reader: PASSWORD };
    const reached = { host, port, ca, passwords };
    const owner = await connectAs(reached, 'postgres');
    await store(reached, owner, await buildRecords());
    const audit = async (): Promise<readonly string[]> =>
      foundBy(await auditDatabase(owner, { keys: null, since: [], onProgress: () => undefined }));
    expect(await audit()).toEqual([]);
    await loosen(owner);
    const tables = new Set(TAMPERS.map(({ name }) => name.slice(0, name.indexOf(':'))));
    expect(tables.size).toBe(9);
    for (const table of tables) {
      const one = TAMPERS.find(({ name }) => name.startsWith(`${table}:`));
      await tamper(owner, one?.sql ?? '');
      expect([one?.name, await audit()]).toEqual([one?.name, one?.found.toSorted()]);
      await putBack(owner);
      expect(await audit()).toEqual([]);
    }
    await owner.end();
  }, 120_000);
});
