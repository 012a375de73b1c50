// The contract of the database, of a real PostgreSQL 15 from Debian's packages (scripts/pg). Where it cannot be had,
// one line says why.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Pool } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres } from '../../scripts/pg/postgres.ts';
import type { PostgresServer } from '../../scripts/pg/postgres.ts';
import { CommandFailed } from '../../scripts/vm/command.ts';
import { leaveOut } from '../helpers/left-out.ts';
import { databaseContract } from '../host-proxy/database/contract.ts';
import type { Role } from '../host-proxy/database/database-under-test.ts';
import { sharesContract } from '../host-proxy/database/shares.ts';
import { databaseCommandTests } from '../host-proxy/database/database-commands.ts';

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
const ROLE_PASSWORD = 'only for this test';
const clients: Client[] = [];

async function connect(role: Role, database = 'postgres'): Promise<Client> {
  if (server === null) throw new Error('no server');
  const { ca, host, password, port } = server;
  const client = new Client({
    host,
    port,
    user: role,
    password: role === 'postgres' ? password : ROLE_PASSWORD,
    database,
    ssl: { ca },
  });
  client.on('error', () => undefined);
  await client.connect();
  if (database === 'postgres') clients.push(client);
  return client;
}

describe.skipIf(server === null)('PostgreSQL 15', () => {
  beforeAll(async () => {
    const owner = await connect('postgres');
    // As an operator does who has no migration yet: the roles stay whose passwords he sets.
    for (const role of ['enclave_user', 'gateway_reader', 'host_worker']) {
      await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD '${ROLE_PASSWORD}'`);
    }
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()));
  });

  afterAll(async () => {
    await server?.stop();
  });

  it('speaks TLS only', async () => {
    const plain = new Client({
      host: '127.0.0.1',
      port: server?.port,
      user: 'postgres',
      password: 'x',
    });
    await expect(plain.connect()).rejects.toThrow(/no encryption/u);
  });

  databaseContract(() => ({ connect }));

  sharesContract(() => ({
    pool: (role) => {
      if (server === null) throw new Error('no server');
      const { ca, host, password, port } = server;
      const worker = { user: 'host_worker', password: ROLE_PASSWORD };
      const who = role === 'owner' ? { user: 'postgres', password } : worker;
      const pool = new Pool({ host, port, ...who, database: 'postgres', ssl: { ca }, max: 3 });
      pool.on('error', () => undefined);
      return pool;
    },
  }));

  describe('the commands', () => {
    const folder = mkdtempSync(join(tmpdir(), 'trackseal-pg-commands-'));

    afterAll(() => {
      rmSync(folder, { recursive: true });
    });

    databaseCommandTests(() => {
      if (server === null) throw new Error('no server');
      const [ca, password] = [join(folder, 'ca.pem'), join(folder, 'password')];
      writeFileSync(ca, server.ca);
      writeFileSync(password, `${server.password}\n`);
      const url = `postgres://postgres@127.0.0.1:${server.port}/commands`;
      return {
        folder,
        where: ['--url', url, '--ca', ca, '--password-file', password],
        asOwner: async (work) => {
          const client = await connect('postgres', 'commands');
          await work(client);
          await client.end();
        },
      };
    });

    beforeAll(async () => {
      const owner = await connect('postgres');
      await owner.query('CREATE DATABASE commands');
    });
  });
});
