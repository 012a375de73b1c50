// Two hosts that share accounts: the enclave of one runs at a time, and the other's takes over.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'pg';
import { describe, expect, it } from 'vitest';
import type { Appliance } from '../../scripts/appliance.ts';
import { openDatabaseService } from '../../host-proxy/database/service.ts';
import { installShares } from '../../host-proxy/database/shares.ts';
import { CONFIG, SILENT } from '../host-proxy/database/own-database.ts';
import { enclaveCommand, newAppliance, newPlace, TestHost, verifyLog } from './appliance.ts';
import { cleanUpAfterEach, closeAfterwards, temporaryFolder } from './processes.ts';

cleanUpAfterEach();

async function openShares(folder: string): Promise<{ pool: Pool; share: object }> {
  const service = await openDatabaseService({ ...CONFIG, folder }, SILENT);
  const { ca, front, passwords } = service;
  const [caFile, passwordFile] = [join(folder, 'ca.pem'), join(folder, 'password')];
  writeFileSync(passwordFile, passwords.postgres);
  const address = { host: '127.0.0.1', port: front.port };
  const who = { user: 'postgres', password: passwords.postgres, database: 'trackseal' };
  const pool = new Pool({ ...address, ...who, ssl: { ca }, max: 2 });
  closeAfterwards(async () => {
    await pool.end();
    await front.close();
  });
  await installShares(pool);
  const url = `postgres://postgres@127.0.0.1:${front.port}/trackseal`;
  const files = { ca: caFile, password_file: passwordFile };
  return { pool, share: { name: 'both', url, ...files, lease_ms: 20_000 } };
}

describe('two hosts that share accounts', () => {
  it('run one enclave at a time: one waits, takes over from a dead one, and ends when it is told so', async () => {
    const { pool, share } = await openShares(join(temporaryFolder(), 'database'));
    const begin = async (appliance: Appliance): Promise<TestHost> => {
      const place = await newPlace();
      const command = enclaveCommand(appliance, place);
      const enclave = { command, restart: false, close_ms: 5000 };
      return TestHost.start(appliance, place, { speed: 5, more: { enclave, share } });
    };
    const first = await begin(await newAppliance(join(temporaryFolder(), 'first')));
    const appliance = await newAppliance(join(temporaryFolder(), 'second'));
    await first.waitForEvent('enclave_ready');

    // Asked to stop while it waits: nothing was begun.
    const impatient = await begin(appliance);
    await impatient.waitForEvent('share_wanted');
    impatient.process.signal('SIGTERM');
    expect(await impatient.process.closed).toEqual({ code: 0, signal: null });
    expect(impatient.events('enclave_started')).toEqual([]);

    const second = await begin(appliance);
    await second.waitForEvent('share_wanted');
    expect(second.events('share_taken')).toEqual([]);
    first.process.signal('SIGKILL');
    await second.waitForEvent('share_taken');
    await second.waitForEvent('enclave_ready');

    // Somebody else has it: the enclave closes its log, and the host says why it ended.
    await pool.query("DELETE FROM pgboss.job WHERE name = 'share/both'");
    expect(await second.process.closed).toEqual({ code: 1, signal: null });
    expect(second.process.stderr).toContain('the lease of this share was lost');
    expect((await verifyLog(appliance)).json).toMatchObject({ verdict: 'verified', end: 'clean' });
  });
});
