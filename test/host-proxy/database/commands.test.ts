import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMigrate, runStatus } from '../../../host-proxy/commands/database.ts';
import type { DatabaseConfig } from '../../../host-proxy/config-database.ts';
import { openDatabaseService } from '../../../host-proxy/database/service.ts';
import type { DatabaseService } from '../../../host-proxy/database/service.ts';
import { parseServerUrl } from '../../../host-proxy/database/target.ts';
import { freePort } from '../../../scripts/s3/ceph.ts';
import { GOOD } from '../host-config.ts';
import { call, databaseCommandTests } from './database-commands.ts';
import { CONFIG, SILENT } from './own-database.ts';

const folder = mkdtempSync(join(tmpdir(), 'trackseal-db-'));
const file = join(folder, 'host.json');

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function configure(database: unknown): readonly string[] {
  writeFileSync(file, JSON.stringify({ ...GOOD, database }));
  return ['--config', file];
}

describe('the commands, with the database of a running host', () => {
  let service: DatabaseService;
  let listen: DatabaseConfig['listen'];

  beforeAll(async () => {
    listen = { host: '127.0.0.1', port: await freePort() };
    const config = { ...CONFIG, listen, folder: join(folder, 'database') };
    service = await openDatabaseService(config, SILENT);
  });

  afterAll(async () => {
    await service.front.close();
  });

  databaseCommandTests(() => ({
    folder,
    where: configure({ kind: 'pglite', folder: 'database', listen }),
    asOwner: async (work) => {
      const { ca, passwords } = service;
      const client = new Client({
        ...listen,
        user: 'postgres',
        password: passwords.postgres,
        database: 'postgres',
        ssl: { ca },
      });
      await client.connect();
      await work(client);
      await client.end();
    },
  }));
});

describe('the commands', () => {
  it('go through the host while it runs, and without it when it does not', async () => {
    const listen = { host: '127.0.0.1', port: await freePort() };
    const config: DatabaseConfig = { ...CONFIG, listen, folder: join(folder, 'running') };
    const where = configure({ kind: 'pglite', folder: 'running', listen });
    const service = await openDatabaseService(config, SILENT);
    expect(await call(runMigrate, where)).toMatchObject({ code: 0, json: { migrated: true } });
    const { ca, front, passwords, target } = service;
    expect(target).toEqual({ host: 'database.internal', port: 5432, address: listen });
    // What the enclave does: TLS to the name in its configuration.
    const client = new Client({
      ...listen,
      user: 'enclave_user',
      password: passwords.enclave_user,
      database: 'postgres',
      ssl: { ca, servername: 'database.internal' },
    });
    await client.connect();
    expect((await client.query('SELECT FROM trackseal.accounts')).rowCount).toBe(0);
    await client.end();
    const elsewhere = configure({ kind: 'pglite', folder: 'running' });
    const lost = await call(runStatus, elsewhere);
    expect(lost.code).toBe(2);
    expect(lost.stderr).toContain('database.listen.port');
    await front.close();
    expect(await call(runStatus, elsewhere)).toMatchObject({ code: 0, json: { pending: [] } });
  });

  it('say what is missing', async () => {
    const none = await call(runStatus, configure(null));
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('--url')]);
    const nobody = await call(runStatus, ['--url', 'postgres://u@127.0.0.1:1/d']);
    expect([nobody.code, nobody.stderr]).toEqual([2, expect.stringContaining('cannot be reached')]);
    const both = await call(runStatus, [...configure(null), '--url', 'postgres://u@h/d']);
    expect(both.code).toBe(2);
  });
});

describe('the address of a server', () => {
  it('is read', () => {
    expect(parseServerUrl('postgres://owner@db.example:6432/track%20record')).toEqual({
      host: 'db.example',
      port: 6432,
      user: 'owner',
      database: 'track record',
    });
    expect(parseServerUrl('postgresql://owner@[::1]/d')).toMatchObject({ host: '::1', port: 5432 });
  });

  it.each([
    'http://u@h/d',
    'postgres://h/d',
    'postgres://u@h',
    'postgres://u@h/',
    'postgres://u@h/a/b',
    'postgres://u:secret@h/d',
    'postgres://u@h/d?sslmode=disable',
    'nothing',
  ])('is refused: %s', (text) => {
    expect(parseServerUrl(text)).toBe(null);
  });
});
