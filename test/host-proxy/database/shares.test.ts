import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { openDatabaseService } from '../../../host-proxy/database/service.ts';
import type { DatabaseService } from '../../../host-proxy/database/service.ts';
import { CONFIG, SILENT } from './own-database.ts';
import { sharesContract } from './shares.ts';

let folder = '';
let service: DatabaseService;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-shares-'));
  service = await openDatabaseService({ ...CONFIG, folder }, SILENT);
});

afterAll(async () => {
  await service.front.close();
  await rm(folder, { recursive: true, force: true });
});

sharesContract(() => ({
  // The front knows no role of hosts: this database is one host's own.
  pool: () => {
    const pool = new Pool({
      host: '127.0.0.1',
      port: service.front.port,
      user: 'postgres',
      password: service.passwords.postgres,
      database: 'trackseal',
      ssl: { ca: service.ca },
      max: 3,
    });
    pool.on('error', () => undefined);
    return pool;
  },
}));
