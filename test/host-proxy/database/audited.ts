// Two accounts in a database, stored by the ledger's own store, with the log that holds their statements: for tests of the audit.

import { connect } from 'node:net';
import { Client } from 'pg';
import type { LedgerAccount } from '../../../enclave/ledger/protocol.ts';
import { Database } from '../../../enclave/ledger/store/database.ts';
import { PostgresStore, trackAccountOf } from '../../../enclave/ledger/store/postgres-store.ts';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../../host-proxy/database/migrations.ts';
import { toHex } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { ChainCheck } from '../../../wire/track/chain.ts';
import { HOUR_MS } from '../../../wire/track/head.ts';
import { parseChainStatement } from '../../../wire/track/statement.ts';
import { RECORD_ACCOUNT, RecordBuilder } from '../../helpers/track-record.ts';
import type { Placeless } from '../../helpers/track-record.ts';
import { LEDGER_ACCOUNT, STORAGE_KEYS, STORE_ORIGIN } from '../../helpers/track-store.ts';
import { FIGURES, gapAt, HOUR, hourAt, snapshotAt } from '../../vectors/track.ts';
import { threeHours } from '../../verifier/track/record-folder.ts';

export const FIRST: LedgerAccount = {
  ...LEDGER_ACCOUNT,
  commitment: RECORD_ACCOUNT.accountCommitment,
};
export const SECOND: LedgerAccount = {
  ...LEDGER_ACCOUNT,
  id: 'ff'.repeat(16),
  commitment: new Uint8Array(32).fill(0xb0),
};
export const FIRST_HEX: string = toHex(FIRST.commitment);
export const SECOND_HEX: string = toHex(SECOND.commitment);

export interface Records {
  /** Hour that was worked out backwards, snapshot, gap, correction of 1, hour; 6 was lost, which 7 says; hour. */
  readonly first: RecordBuilder;
  /** Three hours of the next epoch, with figures that verify. */
  readonly second: RecordBuilder;
}

export async function buildRecords(): Promise<Records> {
  const first = await RecordBuilder.create();
  const rebuilt = { figures: { ...FIGURES, startMs: HOUR, flows: [], rebuilt: true } };
  first.addLeaf([hourAt(HOUR, rebuilt), snapshotAt(HOUR + HOUR_MS, 1)]);
  first.add(gapAt(HOUR + HOUR_MS));
  const supersedes = { counter: 1, reason: 'late_data' };
  first.add({ ...hourAt(HOUR), supersedes } as Placeless);
  first.add(hourAt(HOUR + 2 * HOUR_MS));
  first.add({
    kind: 'revocation',
    lost: { from: 6, to: 6 },
    reason: 'store_lost',
    atMs: HOUR + 4 * HOUR_MS,
    counter: 7,
    previous: new Uint8Array(32).fill(6),
  });
  first.add(hourAt(HOUR + 3 * HOUR_MS));
  const { venue, environment } = RECORD_ACCOUNT;
  const second = await RecordBuilder.create({
    accountCommitment: SECOND.commitment,
    venue,
    environment,
  });
  await second.nextEpoch(2);
  second.addHours(threeHours());
  return { first, second };
}

export interface Reached {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly passwords: Readonly<Record<'postgres' | 'enclave_user' | 'gateway_reader', string>>;
}

export async function connectAs(
  { host, port, ca, passwords }: Reached,
  user: keyof Reached['passwords'],
): Promise<Client> {
  const own = { user, password: passwords[user], database: 'postgres' };
  const client = new Client({ host, port, ...own, ssl: { ca } });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Migrated, and with all rows of both, as enclave_user. */
export async function store(server: Reached, owner: Client, records: Records): Promise<void> {
  await owner.query('DROP SCHEMA IF EXISTS trackseal CASCADE');
  await migrate(owner, await readMigrations(MIGRATIONS_FOLDER));
  for (const role of ['enclave_user', 'gateway_reader'] as const) {
    await owner.query(`ALTER ROLE ${role} PASSWORD '${server.passwords[role]}'`);
  }
  const { host, port, ca, passwords } = server;
  const ledger = new PostgresStore({
    database: new Database({
      database: { host: 'localhost', port, name: 'postgres', user: 'enclave_user', roots: ca },
      password: passwords.enclave_user,
      open: () => connect(port, host),
    }),
    storageKeys: STORAGE_KEYS,
    origin: STORE_ORIGIN,
  });
  await add(ledger, FIRST, records.first);
  await add(ledger, SECOND, records.second);
  ledger.close();
}

async function add(
  ledger: PostgresStore,
  account: LedgerAccount,
  builder: RecordBuilder,
): Promise<void> {
  const poll = { poll: 1, leafIndex: 5, slotMs: HOUR, lastSyncMs: HOUR, outcome: 'complete' };
  const missed = [1, 2, 3].map((at) => {
    return { kind: 'missed' as const, fromMs: HOUR + at, toMs: HOUR + at + 1, reason: 'x' };
  });
  assertAccepted(await ledger.savePoll(account, { ...poll, reason: null }, missed, 0));
  const rows = builder.statements.map((signed) => ({
    ...signed,
    parsed: assertAccepted(parseChainStatement(signed.statement)),
  }));
  const chain = new ChainCheck(nodeCrypto, trackAccountOf(account));
  assertAccepted(await ledger.append(account, { chain, rows, statedRecords: 3, state: null }));
}
