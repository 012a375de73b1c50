// Two hosts with one trader's account and a lease in a real PostgreSQL 15: the account is in one enclave at a time, also when
// its holder was suspended, wakes up when another one has taken over, and thinks that nothing has happened.

import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { installShares } from '../../host-proxy/database/shares.ts';
import { startPostgres } from '../../scripts/pg/postgres.ts';
import type { PostgresServer } from '../../scripts/pg/postgres.ts';
import { CommandFailed } from '../../scripts/vm/command.ts';
import { leaveOut } from '../helpers/left-out.ts';
import { newPlace, stateOf, verifyLog } from '../e2e/appliance.ts';
import type { HostOptions, TestHost } from '../e2e/appliance.ts';
import { cleanUpAfterEach, isRunning, temporaryFolder, waitFor } from '../e2e/processes.ts';
import { Relay, TraderStage } from '../e2e/trader-stage.ts';

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
const LEASE_MS = 20_000;
const PASSWORD = 'only for this test';
const WAIT_MS = 120_000;

/** `share` of a host's file: as host_worker, over TLS. */
async function openShare(): Promise<object> {
  if (server === null) throw new Error('no server');
  const { host, port, ca, password, user } = server;
  const pool = new Pool({ host, port, user, password, database: 'postgres', ssl: { ca }, max: 1 });
  await installShares(pool);
  await pool.query(`ALTER ROLE host_worker PASSWORD '${PASSWORD}'`);
  await pool.end();
  const folder = temporaryFolder();
  const [caFile, passwordFile] = [join(folder, 'ca.pem'), join(folder, 'password')];
  writeFileSync(caFile, ca);
  writeFileSync(passwordFile, PASSWORD);
  const url = `postgres://host_worker@${host}:${port}/postgres`;
  return { name: 'both', url, ca: caFile, password_file: passwordFile, lease_ms: LEASE_MS };
}

interface OneOf {
  readonly host: TestHost;
  /** TCP to the exchange of this host's enclave. */
  readonly egress: Relay;
}

class Stage {
  readonly trader: TraderStage;
  readonly #share: object;

  private constructor(trader: TraderStage, share: object) {
    this.trader = trader;
    this.#share = share;
  }

  static async open(): Promise<Stage> {
    return new Stage(await TraderStage.open(), await openShare());
  }

  /** A host of its own sockets and its own way to the exchange; the folders are those of the appliance, or given. */
  async begin(folders: Pick<HostOptions, 'state' | 'log'> = {}): Promise<OneOf> {
    const [place, egress] = [await newPlace(), await Relay.open()];
    egress.target = this.trader.exchange.port;
    const options = { ...folders, more: { share: this.#share }, closeMs: 5000 };
    const host = this.trader.beginHost('none', { place, egress, options });
    return { host, egress };
  }

  /** Until its enclave has the account and asks the exchange for it. */
  async polls({ host, egress }: OneOf): Promise<void> {
    await host.waitForEvent('enclave_ready');
    const before = egress.bytes.length;
    await waitFor('a poll', () => egress.bytes.length > before, WAIT_MS);
  }

  async register({ host }: OneOf): Promise<void> {
    await host.waitForEvent('enclave_ready');
    const { port } = await host.waitForEvent('ingress_listening');
    this.trader.ingress.target = Number(port);
    const registration = this.trader.register('shared-account');
    if ((await registration.closed).code !== 0) throw new Error(registration.stderr);
  }
}

cleanUpAfterEach();

describe.skipIf(server === null)('two hosts of one account', () => {
  afterAll(async () => {
    await server?.stop();
  });

  it('hand it over: the second begins when the enclave of the first is gone', async () => {
    const stage = await Stage.open();
    const first = await stage.begin();
    await stage.register(first);
    await stage.polls(first);
    const second = await stage.begin();
    await second.host.waitForEvent('share_wanted');
    const pid = await first.host.enclavePid();
    expect(isRunning(pid)).toBe(true);
    expect(second.egress.connections).toBe(0);

    first.host.process.signal('SIGTERM');
    await second.host.waitForEvent('enclave_started');
    expect(isRunning(pid)).toBe(false);
    expect((await first.host.finish()).end).toEqual({ code: 0, signal: null });
    const asked = first.egress.connections;
    await stage.polls(second);
    expect(first.egress.connections).toBe(asked);
    second.host.process.signal('SIGTERM');
    expect((await second.host.finish()).end).toEqual({ code: 0, signal: null });
    for (const epoch of [1, 2]) {
      const { json } = await verifyLog(stage.trader.appliance, { epoch });
      expect(json).toMatchObject({ verdict: 'verified', end: 'clean' });
    }
  }, 300_000);

  it('take over from one that is suspended, which reaches nobody when it wakes up', async () => {
    const stage = await Stage.open();
    const { appliance } = stage.trader;
    const late = await stage.begin();
    await stage.register(late);
    await stage.polls(late);
    late.host.process.signal('SIGSTOP');
    // On the same folders nobody can follow a process that is still there: refused, and the lease is given back.
    const twice = await stage.begin();
    expect((await twice.host.finish()).end).toEqual({ code: 2, signal: null });
    expect(twice.host.events('share_taken')).toHaveLength(1);
    expect(twice.host.process.stderr).toContain('folder_in_use');
    expect(twice.host.events('enclave_started')).toEqual([]);

    // Another machine with a copy of the disk.
    const copy = temporaryFolder();
    const folders = { state: join(copy, 'state'), log: join(copy, 'log') };
    cpSync(stateOf(appliance), folders.state, { recursive: true });
    cpSync(appliance.logDirectory, folders.log, { recursive: true });
    const next = await stage.begin(folders);
    await stage.polls(next);

    const asked = late.egress.connections;
    late.host.process.signal('SIGCONT');
    expect((await late.host.finish()).end).toEqual({ code: 1, signal: null });
    expect(late.host.process.stderr).toContain('the lease of this share was lost');
    expect(late.host.events('share_over')).toHaveLength(1);
    expect(late.egress.connections, 'of the one that woke up').toBe(asked);
    // Its log has an end; whoever has seen it finds that the other one goes on from an earlier place.
    expect((await verifyLog(appliance, { epoch: 1 })).json).toMatchObject({
      verdict: 'verified',
      end: 'clean',
    });

    // The other one has noticed nothing.
    await stage.polls(next);
    expect(next.host.events('share_lost')).toEqual([]);
    next.host.process.signal('SIGTERM');
    expect((await next.host.finish()).end).toEqual({ code: 0, signal: null });
  }, 300_000);
});
