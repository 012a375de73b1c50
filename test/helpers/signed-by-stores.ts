// The story of test/helpers/track-story.ts, told to a real server as the enclave talks to it: TLS under its authority, the
// password by SCRAM, and no rights but those of enclave_user.

import { connect } from 'node:net';
import { Database } from '../../enclave/ledger/store/database.ts';
import { MemoryStore } from '../../enclave/ledger/store/memory-store.ts';
import { PostgresStore } from '../../enclave/ledger/store/postgres-store.ts';
import { assertAccepted } from '../../wire/result.ts';
import { toHex } from '../../wire/bytes.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import { STORAGE_KEYS, STORE_ORIGIN } from './track-store.ts';
import { openRecord, playAll, signedOf } from './track-story.ts';

export interface RealServer {
  readonly port: number;
  /** In its certificate. */
  readonly name: string;
  readonly database: string;
  readonly ca: string;
  /** Of enclave_user. */
  readonly password: string;
}

function storeOn({ port, name, database, ca, password }: RealServer): PostgresStore {
  const configured = { host: name, port, name: database, user: 'enclave_user', roots: ca };
  return new PostgresStore({
    database: new Database({
      database: configured,
      password,
      open: () => connect(port, '127.0.0.1'),
    }),
    storageKeys: STORAGE_KEYS,
    origin: STORE_ORIGIN,
  });
}

export interface SignedTwice {
  /** Statement and signature, hex. */
  readonly inMemory: readonly string[];
  readonly stored: readonly string[];
  /** What a new ledger has read from the server and checked. */
  readonly loaded: readonly string[];
}

function rows(signed: readonly SignedStatement[]): readonly string[] {
  return signed.map(({ statement, signature }) => `${toHex(statement)} ${toHex(signature)}`);
}

export async function signedTwice(server: RealServer): Promise<SignedTwice> {
  const inMemory = rows(await signedOf(await playAll(new MemoryStore())));
  const story = await playAll(storeOn(server));
  const stored = rows(await signedOf(story));
  story.record.store.close();
  const store = storeOn(server);
  assertAccepted(await store.load(story.desk.account));
  const record = openRecord(story.desk, store);
  await record.idle();
  const loaded = rows(await signedOf({ ...story, record }));
  store.close();
  return { inMemory, stored, loaded };
}
