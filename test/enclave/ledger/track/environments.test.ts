// Accounts of one user at an exchange and at its test environment: what is played there adds up with nothing that is real.

import { expect, it } from 'vitest';
import { compareTotals, totalsOf } from '../../../../client/node/track-totals.ts';
import { metricsAnswer } from '../../../../enclave/ledger/grpc/answers.ts';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { MetricsMaker } from '../../../../enclave/ledger/track/metrics-maker.ts';
import { TrackQueries } from '../../../../enclave/ledger/track/track-queries.ts';
import { TrackRecord } from '../../../../enclave/ledger/track/track-record.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import { accept, assertAccepted } from '../../../../wire/result.ts';
import { encodeTrackStatement } from '../../../../wire/track/statement.ts';
import { balanceOf } from '../../../helpers/records.ts';
import { BOOKS, TrackDesk } from '../../../helpers/track-desk.ts';
import { LEDGER_ACCOUNT } from '../../../helpers/track-store.ts';
import { METRICS_STATEMENT } from '../../../vectors/track-messages.ts';
import { money } from '../../../wire/performance/golden.ts';

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

type TestAccount = typeof REAL | typeof PLAYED;
interface Told {
  readonly queries: TrackQueries;
  /** One poll of each account, and what follows of it. */
  readonly poll: () => Promise<void>;
  readonly close: () => Promise<void>;
}

async function tell(
  accounts: readonly TestAccount[],
  hours: number,
  Maker: typeof MetricsMaker = MetricsMaker,
): Promise<Told> {
  const desk = new TrackDesk(START_MS);
  const poll = (): void => {
    for (const account of accounts) {
      const total = account.environment === 'live' ? '100' : '1000000';
      desk.poll({ id: account.id, account, records: [balanceOf('USD', total)] });
    }
  };
  const services = {
    ...desk.services(),
    onAccount: (listener: (account: TestAccount) => void): void => {
      for (const account of accounts) listener(account);
    },
  };
  const store = new MemoryStore();
  const record = new TrackRecord(services, { store, books: BOOKS, tickMs: 1_000_000_000 });
  const told: Told = {
    queries: new TrackQueries(services, record, new Maker(services, store)),
    poll: async () => {
      poll();
      record.look();
      await record.idle();
    },
    close: () => record.close(),
  };
  for (let step = 0; step < 2 * hours; step++) {
    desk.nowMs = START_MS + step * 1_800_000;
    await told.poll();
  }
  return told;
}

const CALLER = { certificate: new Uint8Array(32) };
const EVERYTHING = { userUid: USER, exchange: null };

async function equityOf(
  accounts: readonly TestAccount[],
): Promise<readonly [string | null, number]> {
  const { queries, close } = await tell(accounts, 3);
  const { signal } = new AbortController();
  const answer = assertAccepted(await queries.aggregatedMetrics(CALLER, EVERYTHING, signal));
  await close();
  const { equity } = answer.totals;
  return [equity === null ? null : formatFixed(equity), answer.accounts.length];
}

async function latestOf(accounts: readonly TestAccount[]): Promise<string | null> {
  // Beyond midnight.
  const { queries, poll, close } = await tell(accounts, 5);
  const { signal } = new AbortController();
  const query = { ...EVERYTHING, type: 'incremental', range: null } as const;
  const asked = queries.syncJob(CALLER, query, signal);
  await poll();
  const { latestSnapshot } = assertAccepted(await asked);
  await close();
  const equity = latestSnapshot?.statement.equity ?? null;
  return equity === null ? null : formatFixed(equity);
}

it('are told one by one, and only what is real is added up', async () => {
  expect(await equityOf([REAL, PLAYED])).toEqual(['100', 2]);
  expect(await equityOf([REAL])).toEqual(['100', 1]);
  expect(await equityOf([PLAYED])).toEqual(['1000000', 1]);
});

it.each([
  ['an account', [REAL], '100'],
  ['an account of a test system', [PLAYED], '1000000'],
  ['both, whichever comes first', [PLAYED, REAL], '100'],
  ['both, in the other order', [REAL, PLAYED], '100'],
])('the latest snapshot of %s', async (_, accounts, equity) => {
  expect(await latestOf(accounts)).toBe(equity);
});

/** Figures of which each is another one, for every account. */
class GoldenMetrics extends MetricsMaker {
  override make(): ReturnType<MetricsMaker['make']> {
    const statement = encodeTrackStatement(METRICS_STATEMENT);
    const bytes = { statement, signature: new Uint8Array(64), leafSalt: new Uint8Array(16) };
    const signed = { ...bytes, origin: METRICS_STATEMENT.origin, leafIndex: 1, position: 0 };
    return Promise.resolve(accept({ statement: METRICS_STATEMENT, signed }));
  }
}

it('are added up each figure with its own, and a client comes to the same', async () => {
  const other = { ...REAL, id: '22'.repeat(16), commitment: new Uint8Array(32).fill(2) };
  const { queries, close } = await tell([REAL, other], 1, GoldenMetrics);
  const { signal } = new AbortController();
  const answer = assertAccepted(await queries.aggregatedMetrics(CALLER, EVERYTHING, signal));
  await close();
  expect(answer.totals).toEqual({
    balance: money('17408'),
    equity: money('16001'),
    realizedPnl: money('1403'),
    unrealizedPnl: money('-1407'),
    fees: money('1409'),
    funding: money('1411'),
    volume: money('1413'),
    trades: 1414,
  });
  const own = totalsOf(answer.accounts.map(({ statement }) => statement));
  expect(compareTotals(own, metricsAnswer(answer))).toMatchObject({ ok: true });
});
