// `fresh` is said only by the process that has made every statement itself: what came out of a database may be behind, and an
// account that a ledger finds without rows may have had some.

import { beforeEach, expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import type { TrackStore } from '../../../../enclave/ledger/store/contract.ts';
import type { LedgerAccount, LedgerAsk } from '../../../../enclave/ledger/protocol.ts';
import { MetricsMaker } from '../../../../enclave/ledger/track/metrics-maker.ts';
import { answerQuestions } from '../../../../enclave/ledger/track/questions.ts';
import { encodeTrackAsk, parseTrackPage } from '../../../../enclave/ledger/track-page.ts';
import { TrackQueries } from '../../../../enclave/ledger/track/track-queries.ts';
import { TrackRecord } from '../../../../enclave/ledger/track/track-record.ts';
import type { LedgerServices } from '../../../../enclave/ledger/services.ts';
import { toHex } from '../../../../wire/bytes.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import type { Result } from '../../../../wire/result.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { balanceOf } from '../../../helpers/records.ts';
import { BOOKS, TrackDesk } from '../../../helpers/track-desk.ts';
import { LEDGER_ACCOUNT, storeScene } from '../../../helpers/track-store.ts';

const START_MS = Date.UTC(2026, 10, 20, 20, 10);
const STEP_MS = 1_800_000;
const USER = 'trader';
const ACCOUNT = { ...LEDGER_ACCOUNT, userHash: nodeCrypto.sha256(Buffer.from(USER)) };

const scene = await storeScene();
beforeEach(() => scene.clear());

interface Ledger {
  readonly record: TrackRecord;
  readonly services: LedgerServices;
  readonly accounts: readonly LedgerAccount[];
}

/** A ledger of the desk's account, and of `more`. */
function start(desk: TrackDesk, store: TrackStore, ...more: readonly LedgerAccount[]): Ledger {
  const services = desk.services();
  const accounts = [desk.account, ...more];
  const record = new TrackRecord(
    {
      ...services,
      onAccount: (listener) => {
        services.onAccount(listener);
        for (const account of more) listener(account);
      },
    },
    { store, books: BOOKS, tickMs: 1_000_000_000 },
  );
  return { record, services, accounts };
}

/** Two hours and more. */
async function play(desk: TrackDesk, { record, accounts }: Ledger): Promise<void> {
  for (let step = 0; step < 6; step++) {
    desk.nowMs += STEP_MS;
    for (const account of accounts)
      desk.poll({ id: account.id, account, records: [balanceOf('USD', '1000')] });
    record.look();
    await record.idle();
  }
}

async function pageOf({ services, record }: Ledger, account: LedgerAccount): Promise<unknown> {
  let answer: ((ask: LedgerAsk) => Promise<Result<Uint8Array>>) | null = null;
  const metrics = new MetricsMaker(services, record.store);
  const asked: LedgerServices = {
    ...services,
    onAsk: (given) => {
      answer = given;
    },
  };
  answerQuestions(asked, record, metrics);
  const told = answer as ((ask: LedgerAsk) => Promise<Result<Uint8Array>>) | null;
  const ask = { id: 1, operation: 'track', account: account.id, arguments: encodeTrackAsk(0) };
  const page = await told?.(ask);
  return page === undefined ? null : parseTrackPage(assertAccepted(page))?.freshness;
}

/** The word of each call of gRPC, once. */
async function wordsOf(ledger: Ledger, userUid: string): Promise<readonly string[]> {
  const { services, record } = ledger;
  const queries = new TrackQueries(services, record, new MetricsMaker(services, record.store));
  const { signal } = new AbortController();
  const caller = { certificate: new Uint8Array(32) };
  const query = { userUid, exchange: null };
  const range = { ...query, range: null, pageSize: 5, pageToken: null };
  const answers = [
    assertAccepted(await queries.historicalReturns(caller, range, signal)),
    assertAccepted(await queries.snapshotTimeSeries(caller, range, signal)),
    assertAccepted(await queries.aggregatedMetrics(caller, query, signal)),
  ];
  return [...new Set(answers.map(({ freshness }) => freshness))];
}

async function freshnessOf(ledger: Ledger, account: LedgerAccount): Promise<unknown> {
  const page = await pageOf(ledger, account);
  expect(await wordsOf(ledger, toHex(account.commitment))).toEqual([page]);
  return page;
}

/** A desk with an account of this moment, and a ledger that starts so much later. */
async function played(store: TrackStore, laterMs: number): Promise<[TrackDesk, Ledger]> {
  const desk = new TrackDesk(START_MS, ACCOUNT);
  desk.nowMs += laterMs;
  const ledger = start(desk, store);
  await play(desk, ledger);
  return [desk, ledger];
}

it.each([
  [0, 'fresh'],
  [1, 'consistent'],
] as const)(
  'an account without rows that began %d ms before its ledger is %s',
  async (laterMs, word) => {
    const [desk, ledger] = await played(scene.store(), laterMs);
    expect(await freshnessOf(ledger, desk.account)).toBe(word);
    await ledger.record.close();
  },
);

it('without a database there is nothing that can be behind', async () => {
  const [desk, ledger] = await played(new MemoryStore(), 1);
  expect(await freshnessOf(ledger, desk.account)).toBe('fresh');
  await ledger.record.close();
});

it('what came out of a database stays consistent, and the weakest account has the word', async () => {
  const [desk, before] = await played(scene.store(), 0);
  await before.record.close();
  const createdMs = desk.nowMs;
  const own = {
    ...ACCOUNT,
    id: 'ff'.repeat(16),
    commitment: new Uint8Array(32).fill(9),
    createdMs,
  };
  const ledger = start(desk, scene.store(), own);
  await play(desk, ledger);
  expect(await freshnessOf(ledger, desk.account)).toBe('consistent');
  expect(await freshnessOf(ledger, own)).toBe('fresh');
  expect(await wordsOf(ledger, USER)).toEqual(['consistent']);
  await ledger.record.close();
});

it('an emptied database with the vault put back to fit it is consistent, however whole it looks', async () => {
  const [desk, before] = await played(scene.store(), 0);
  await before.record.close();
  await scene.clear();
  desk.head = null;
  const ledger = start(desk, scene.store());
  await play(desk, ledger);
  expect(ledger.record.track(desk.account.id)?.refusal).toBeNull();
  expect(await freshnessOf(ledger, desk.account)).toBe('consistent');
  await ledger.record.close();
});

it('what came out of a database is consistent for a clock that was put back, too', async () => {
  const [desk, before] = await played(scene.store(), 0);
  await before.record.close();
  desk.nowMs = START_MS;
  const ledger = start(desk, scene.store());
  await play(desk, ledger);
  expect(await freshnessOf(ledger, desk.account)).toBe('consistent');
  await ledger.record.close();
});
