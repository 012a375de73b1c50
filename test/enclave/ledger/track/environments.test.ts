// Accounts of one user at an exchange and at its test environment: what is played there adds up with nothing that is real.

import { expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { MetricsMaker } from '../../../../enclave/ledger/track/metrics-maker.ts';
import { TrackQueries } from '../../../../enclave/ledger/track/track-queries.ts';
import { TrackRecord } from '../../../../enclave/ledger/track/track-record.ts';
import { booksOf } from '../../../../enclave/ledger/track/books.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { LEDGER_ACCOUNT } from '../../../helpers/track-store.ts';

const START_MS = Date.UTC(2026, 10, 20, 20, 10);
const USER = 'trader';
const userHash = nodeCrypto.sha256(Buffer.from(USER));
const REAL = { ...LEDGER_ACCOUNT, userHash, createdMs: START_MS };
const PLAYED = {
  ...REAL,
  id: 'ff112233445566778899aabbccddeeff',
  commitment: new Uint8Array(32).fill(9),
  environment: 'sandbox',
} as const;

async function equityOf(
  accounts: readonly (typeof REAL | typeof PLAYED)[],
): Promise<readonly [string | null, number]> {
  const desk = new TrackDesk(START_MS);
  const services = {
    ...desk.services(),
    onAccount: (listener: (account: typeof REAL) => void): void => {
      for (const account of accounts) listener(account);
    },
  };
  const store = new MemoryStore();
  const books = booksOf(new Map([[1, new Uint8Array(32)]]), (user) => user);
  const record = new TrackRecord(services, { store, books, tickMs: 1_000_000_000 });
  for (let step = 0; step < 6; step++) {
    desk.nowMs = START_MS + step * 1_800_000;
    for (const account of accounts) {
      const total = account.environment === 'live' ? '100' : '1000000';
      const balance = {
        kind: 'balance',
        wallet: 'spot',
        currency: 'USD',
        total,
        free: null,
      } as const;
      desk.poll({ id: account.id, account, records: [balance] });
    }
    record.look();
    await record.idle();
  }
  const queries = new TrackQueries(services, record, new MetricsMaker(services, store));
  const caller = { certificate: new Uint8Array(32) };
  const query = { userUid: USER, exchange: null };
  const answer = assertAccepted(
    await queries.aggregatedMetrics(caller, query, new AbortController().signal),
  );
  await record.close();
  return [answer.totals.equity, answer.accounts.length];
}

it('are told one by one, and only what is real is added up', async () => {
  expect(await equityOf([REAL, PLAYED])).toEqual(['100', 2]);
  expect(await equityOf([REAL])).toEqual(['100', 1]);
  expect(await equityOf([PLAYED])).toEqual(['1000000', 1]);
});
