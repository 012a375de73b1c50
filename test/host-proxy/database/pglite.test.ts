// The contract of the database, of PGlite behind our own front.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { openDatabaseService } from '../../../host-proxy/database/service.ts';
import type { DatabaseService } from '../../../host-proxy/database/service.ts';
import { databaseContract } from './contract.ts';
import type { Role } from './database-under-test.ts';
import { CONFIG, SILENT } from './own-database.ts';

let folder = '';
let service: DatabaseService | null = null;
const clients: Client[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-db-'));
  service = await openDatabaseService({ ...CONFIG, folder }, SILENT);
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});

afterAll(async () => {
  await service?.front.close();
  await rm(folder, { recursive: true, force: true });
});

databaseContract(() => ({
  connect: async (role: Role): Promise<Client> => {
    if (service === null) throw new Error('not open');
    const { front, ca, passwords } = service;
    const client = new Client({
      host: '127.0.0.1',
      port: front.port,
      user: role,
      password: passwords[role],
      database: 'postgres',
      ssl: { ca },
    });
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  },
}));
