// The whole path from polls to signed rows on the host's own database: the same signed bytes as in memory, and so as on a
// real PostgreSQL (test/pg/track.test.ts).

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../../host-proxy/database/migrations.ts';
import { openDatabaseService } from '../../../host-proxy/database/service.ts';
import { signedTwice } from '../../helpers/signed-by-stores.ts';
import { CONFIG, SILENT } from './own-database.ts';

it('a track record in PGlite is signed with the bytes that memory has, as enclave_user', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-db-'));
  const service = await openDatabaseService({ ...CONFIG, folder }, SILENT);
  const { front, ca, passwords } = service;
  const { port } = front;
  const database = 'postgres';
  const owner = new Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: passwords.postgres,
    database,
    ssl: { ca },
  });
  await owner.connect();
  const migrated = await migrate(owner, await readMigrations(MIGRATIONS_FOLDER));
  await owner.end();
  const { enclave_user: password } = passwords;
  const signed = await signedTwice({ port, name: CONFIG.name, database, ca, password });
  await front.close();
  await rm(folder, { recursive: true, force: true });
  expect(migrated.ok).toBe(true);
  expect(signed.inMemory.length).toBeGreaterThan(30);
  expect(signed.stored).toEqual(signed.inMemory);
  expect(signed.loaded).toEqual(signed.inMemory);
}, 120_000);
