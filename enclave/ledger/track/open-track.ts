// Which store the track record has: the database of the configuration, or this process's memory where there is none, or
// where no key is there to keep anything under.

import type { LedgerServices } from '../services.ts';
import type { TrackStore } from '../store/contract.ts';
import { Database } from '../store/database.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { PostgresStore } from '../store/postgres-store.ts';
import { booksOf } from './books.ts';
import type { TrackRecordOptions } from './track-record.ts';
import { TrackRecord } from './track-record.ts';

export function openStore(services: LedgerServices): TrackStore {
  const { configuration, storageKeys, databasePassword, origin } = services;
  const { database } = configuration;
  if (database === undefined || storageKeys.size === 0) return new MemoryStore();
  const password =
    databasePassword === null ? null : Buffer.from(databasePassword).toString('utf8');
  const open = (): ReturnType<typeof services.openDatabase> => services.openDatabase();
  return new PostgresStore({
    database: new Database({ database, password, open }),
    storageKeys,
    origin,
  });
}

export function openTrackRecord(
  services: LedgerServices,
  options: Partial<TrackRecordOptions> = {},
): TrackRecord {
  const books = booksOf(services.storageKeys, (userHash) => services.referenceKey(userHash));
  return new TrackRecord(services, { store: openStore(services), books, ...options });
}
