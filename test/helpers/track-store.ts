// A store of the track record over a PGlite of the test's, with keys that the test chooses.

import { afterAll } from 'vitest';
import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import type { LedgerAccount } from '../../enclave/ledger/protocol.ts';
import type { Addition, ChainRow, StoredPoll } from '../../enclave/ledger/store/contract.ts';
import type { DatabaseOptions } from '../../enclave/ledger/store/database.ts';
import { Database } from '../../enclave/ledger/store/database.ts';
import { PostgresStore, trackAccountOf } from '../../enclave/ledger/store/postgres-store.ts';
import { originOf } from '../../wire/header.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { ChainCheck } from '../../wire/track/chain.ts';
import { HOUR_MS } from '../../wire/track/head.ts';
import { parseChainStatement } from '../../wire/track/statement.ts';
import { assertAccepted } from '../../wire/result.ts';
import { ACCOUNT, Chain, HOUR, hourAt } from '../vectors/track.ts';
import { PgliteServer } from './pglite-server.ts';

export const STORE_ORIGIN: string = originOf('trackseal.example/vectors', 7);
export const STORAGE_KEYS: ReadonlyMap<number, Uint8Array> = new Map([
  [1, new Uint8Array(32).fill(1)],
]);
export const LEDGER_ACCOUNT: LedgerAccount = {
  id: '00112233445566778899aabbccddeeff',
  commitment: ACCOUNT.accountCommitment,
  userHash: new Uint8Array(32).fill(7),
  venue: 'kraken',
  label: 'main',
  accountType: 'spot',
  environment: 'live',
  createdMs: Date.UTC(2026, 10, 20, 20),
  head: null,
};

export const STORED_POLL: StoredPoll = {
  poll: 1,
  leafIndex: 5,
  slotMs: HOUR,
  lastSyncMs: HOUR + 1,
  outcome: 'complete',
  reason: null,
};

export interface StoreScene {
  /** As after the migrations. */
  clear(): Promise<void>;
  readonly server: PgliteServer;
  readonly certificate: string;
  /** A new connection with an empty memory, as after a restart. */
  store(options?: Partial<DatabaseOptions>, keys?: ReadonlyMap<number, Uint8Array>): PostgresStore;
  database(options?: Partial<DatabaseOptions>): Database;
}

/** For all tests of a file: to be opened outside of them. */
export async function storeScene(): Promise<StoreScene> {
  const { tls } = generateDeskKeys();
  const certificate = await createCertificate(tls, ['localhost'], Date.now());
  const privateKey = tls.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const server = await PgliteServer.open({ certificate, privateKey });
  const opened: Database[] = [];
  afterAll(async () => {
    for (const database of opened) database.close();
    await server.close();
  });
  const database = (options: Partial<DatabaseOptions> = {}): Database => {
    const made = new Database({
      database: {
        host: 'localhost',
        port: 5432,
        name: 'postgres',
        user: 'postgres',
        roots: certificate,
      },
      password: null,
      open: () => server.connect(),
      ...options,
    });
    opened.push(made);
    return made;
  };
  return {
    server,
    clear: async () => {
      for (const one of opened.splice(0)) one.close();
      server.cut();
      await server.db.exec(
        `SET session_replication_role = DEFAULT; TRUNCATE trackseal.accounts CASCADE`,
      );
    },
    certificate,
    database,
    store: (options, keys = STORAGE_KEYS) =>
      new PostgresStore({ database: database(options), storageKeys: keys, origin: STORE_ORIGIN }),
  };
}

/** Rows as the desk would have signed them, in one leaf. */
export function rowsOf(statements: readonly Uint8Array[], leafIndex = 97): readonly ChainRow[] {
  return statements.map((statement, position) => ({
    statement,
    signature: new Uint8Array(64).fill(position + 1),
    origin: STORE_ORIGIN,
    leafIndex,
    position,
    leafSalt: new Uint8Array(16).fill(3),
    parsed: assertAccepted(parseChainStatement(statement)),
  }));
}

/** The first of a chain, all in one leaf. */
export function additionOf(
  statements: readonly Uint8Array[],
  more: Partial<Addition> = {},
  account: LedgerAccount = LEDGER_ACCOUNT,
): Addition {
  const chain = new ChainCheck(nodeCrypto, trackAccountOf(account));
  return { chain, rows: rowsOf(statements), statedRecords: 0, state: null, ...more };
}

/** Statements of so many hours, in one chain. */
export function hoursOf(count: number): readonly Uint8Array[] {
  const chain = new Chain();
  for (let at = 0; at < count; at++) chain.link(hourAt(HOUR + at * HOUR_MS));
  return chain.statements;
}
