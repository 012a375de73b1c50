// A host that puts its database back to an earlier moment while no enclave runs: the next epoch knows how far the record was,
// by what the vault keeps for it, and refuses; with the newer rows back everything goes on as it was.

import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { describe, expect, it } from 'vitest';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../host-proxy/database/migrations.ts';
import { openDatabaseService } from '../../host-proxy/database/service.ts';
import { CONFIG, SILENT } from '../host-proxy/database/own-database.ts';
import type { TestHost } from './appliance.ts';
import { verifyLog } from './appliance.ts';
import { listLeaves } from './evidence.ts';
import { cleanUpAfterEach, temporaryFolder } from './processes.ts';
import type { CommandResult } from './processes.ts';
import { TraderStage } from './trader-stage.ts';

cleanUpAfterEach();

const PATIENCE_MS = 120_000;
const HOUR_MS = 3_600_000;
/** What a client hears until the ledger has read the account. */
const STARTING: ReadonlySet<unknown> = new Set(['not_ready', 'ledger_unavailable']);

/** As `trackseal database migrate` makes it. */
async function makeTables(folder: string): Promise<void> {
  const { front, ca, passwords } = await openDatabaseService({ ...CONFIG, folder }, SILENT);
  const who = { user: 'postgres', password: passwords.postgres, database: 'trackseal' };
  const pool = new Pool({ host: '127.0.0.1', port: front.port, ...who, ssl: { ca }, max: 1 });
  const client = await pool.connect();
  expect(await migrate(client, await readMigrations(MIGRATIONS_FOLDER))).toMatchObject({
    ok: true,
  });
  client.release();
  await pool.end();
  await front.close();
}

async function stop(host: TestHost): Promise<void> {
  host.process.signal('SIGTERM');
  expect((await host.finish()).end, host.process.stderr).toEqual({ code: 0, signal: null });
}

/** `session track`, until it says what is waited for. */
async function track(
  stage: TraderStage,
  file: string,
  what: (answer: CommandResult) => boolean,
): Promise<CommandResult> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await stage.session('track', '-o', file);
    if (what(answer)) return answer;
    if (performance.now() > untilMs) {
      throw new Error(`no such answer: ${answer.stdout}${answer.stderr}`);
    }
    await sleep(500);
  }
}

function statementsIn(file: string): readonly string[] {
  const { statements } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly statements: readonly { readonly statement: string }[];
  };
  return statements.map(({ statement }) => statement);
}

describe('a database that the host puts back', () => {
  it('is refused by the next epoch, and taken when the newer rows are there again', async () => {
    const stage = await TraderStage.open(true);
    const folder = stage.database?.host.folder ?? '';
    const [data, aside] = [join(folder, 'data'), temporaryFolder()];
    const [empty, newer, file] = [
      join(aside, 'empty'),
      join(aside, 'newer'),
      join(aside, 'record'),
    ];
    await makeTables(folder);
    cpSync(data, empty, { recursive: true });
    const put = (from: string): void => {
      rmSync(data, { recursive: true });
      cpSync(from, data, { recursive: true });
    };

    // Two days of history: their hours are stated at once.
    const { account } = stage.keys;
    const timeMs = Date.now() - 40 * HOUR_MS;
    await stage.exchange.control('deposit', { account, currency: 'USDT', amount: '500', timeMs });

    const first = await stage.startHost('none');
    const registration = stage.register('e2e-rollback');
    expect((await registration.closed).code, registration.stderr).toBe(0);
    await track(stage, file, ({ code }) => code === 0 && statementsIn(file).length > 24);
    await stop(first);
    const before = statementsIn(file);
    cpSync(data, newer, { recursive: true });

    put(empty);
    const second = await stage.startHost('none');
    const refused = await track(stage, file, ({ json }) => !STARTING.has(json['code']));
    expect([refused.code, refused.json['code']]).toEqual([1, 'store_rolled_back']);
    await stop(second);
    const events = (await listLeaves(stage.appliance, 2)).filter(
      ({ kind, payload }) => kind === 'audit' && payload['event'] === 'ledger',
    );
    expect(events.map(({ payload }) => payload['code'])).toEqual(['store_rolled_back']);

    put(newer);
    const third = await stage.startHost('none');
    const answer = await track(stage, file, ({ code }) => code === 0);
    expect(answer.code).toBe(0);
    const after = statementsIn(file);
    // The chain of before, and what came since; the last one before is its figures.
    const chain = before.slice(0, -1);
    expect(after.slice(0, chain.length)).toEqual(chain);
    await stop(third);
    expect((await verifyLog(stage.appliance, { epoch: 2 })).json['verdict']).toBe('verified');
  });
});
