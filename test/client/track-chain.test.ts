// The chains of accounts out of rows of gRPC: what a file of them has, and what it lacks.

import 'reflect-metadata';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chainsOf } from '../../client/node/track-chain.ts';
import { checkRecord } from '../../verifier/track/check-record.ts';
import { readTrustOptions } from '../../verifier/policy-options.ts';
import { utf8 } from '../../wire/bytes.ts';
import { assertAccepted } from '../../wire/result.ts';
import { parseTrackEvidence } from '../../wire/track/evidence.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import type { Place } from '../vectors/track.ts';
import { hourStatement } from '../helpers/track-record.ts';
import { money } from '../wire/performance/golden.ts';
import { blindHour, hour, HOUR_MS, START_MS } from '../wire/performance/hours.ts';
import type { FakeTrack } from '../helpers/fake-track.ts';
import { TrackClients } from '../helpers/track-clients.ts';
import type { TrackScene } from '../helpers/track-scene.ts';

let clients: TrackClients;
let scene: TrackScene;

beforeAll(async () => {
  clients = await TrackClients.open();
  ({ scene } = clients);
});
afterAll(() => scene.close());
beforeEach(() => clients.begin());
afterEach(() => {
  clients.end();
});

const USER = { userId: 'trader-1' };

/** As an honest enclave states it: a day, its snapshot, and two hours. */
function dayAndMore(): readonly Place[] {
  const hours = Array.from({ length: 26 }, (_, at) => hourStatement(blindOr(at)));
  const atMs = START_MS + 24 * HOUR_MS;
  const values = { equity: money(1000), balance: money(1000), unrealised: 0n };
  const { byMarket } = hour(23);
  const flows = { deposits: 0n, withdrawals: 0n, byMarket, gaps: [] };
  const basis = { lastCounter: 24, hours: 24, completeHours: 24 };
  const kind = 'snapshot';
  return hours.toSpliced(24, 0, { kind, supersedes: null, atMs, ...values, ...flows, basis });
}

function blindOr(at: number): HourFigures {
  return at === 25 ? blindHour(at) : hour(at);
}

async function recordOf(file: string): Promise<ReturnType<typeof checkRecord>> {
  const evidence = assertAccepted(parseTrackEvidence(utf8(file)));
  expect(evidence.attestations).toHaveLength(1);
  const folder = await mkdtemp(join(tmpdir(), 'ts-evidence-'));
  await writeFile(join(folder, 'policy.json'), scene.policy);
  await writeFile(join(folder, 'root.pem'), scene.rootPem);
  const values = { policy: join(folder, 'policy.json'), 'unsafe-root': join(folder, 'root.pem') };
  const trust = assertAccepted(await readTrustOptions(values, {}));
  await rm(folder, { recursive: true });
  return checkRecord(evidence, trust, null);
}

function answerHonestly(more: readonly Place[] = []): FakeTrack {
  return clients.answer({ statements: [...dayAndMore(), ...more] });
}

describe('the chain of an account from its rows', () => {
  it('is whole without a correction, and `trackseal verify record` takes it', async () => {
    answerHonestly();
    const client = clients.open();
    const { rows, missing, verified } = await client.readChain(USER);
    expect([rows.length, missing, verified]).toEqual([27, 0, true]);
    const record = assertAccepted(await recordOf(await client.evidenceOf(rows)));
    expect([record.hours.length, record.snapshots.length]).toEqual([26, 1]);
  });

  it('has a hole at the first midnight without snapshots', async () => {
    answerHonestly();
    const client = clients.open();
    const { rows } = await client.calculateHistoricalReturns(USER);
    const file = await client.evidenceOf(rows);
    expect(await recordOf(file)).toMatchObject({ refusal: { code: 'chain_hole' } });
  });

  it('lacks what was corrected, and says so', async () => {
    const supersedes = { counter: 27, reason: 'late_data' };
    answerHonestly([hourStatement(hour(25), { supersedes })]);
    const client = clients.open();
    const { rows, missing } = await client.readChain(USER);
    expect([rows.length, missing]).toEqual([27, 1]);
    const file = await client.evidenceOf(rows);
    expect(await recordOf(file)).toMatchObject({ refusal: { code: 'chain_hole' } });
  });

  it('lacks a loss at its end, which only signed metrics show', async () => {
    const atMs = START_MS + 40 * HOUR_MS;
    const place = { counter: 31, previous: new Uint8Array(32).fill(6) };
    const lost = { from: 28, to: 30 };
    const other = answerHonestly([
      { kind: 'revocation', lost, reason: 'store_lost', atMs, ...place },
    ]);
    const client = clients.open();
    const { rows, missing } = await client.readChain(USER);
    // Of 31 counters: three that were lost, and what says so.
    expect([rows.length, missing]).toEqual([27, 4]);
    expect(rows.at(-1)?.counter).toBe(27);
    // A whole user for the hours, one account for its end.
    const users = other.asked.map(({ query }) => (query as { userUid: string }).userUid);
    expect(users).toContain(rows[0]?.account);
  });

  it('is whole when an hour is stated while it is read', async () => {
    const track = answerHonestly();
    const first = track.chain.statements.length;
    track.changeReturns = (rows) => {
      // Behind the hours of the first answer, before the metrics.
      if (track.chain.statements.length === first)
        track.chain.link({ ...hourStatement(hour(26)), origin: track.origin });
      return rows;
    };
    const { rows, missing } = await clients.open().readChain(USER);
    expect([rows.length, missing]).toEqual([28, 0]);
  });

  it('leaves out a snapshot of hours that were not there when they were asked for', () => {
    const [account, of] = ['a', (counter: number) => ({ account, counter })] as const;
    const returns = [1, 2, 3].map(of) as never;
    const found = (counters: readonly number[], end: number): unknown => {
      const ends = new Map([[account, end]]);
      const { rows, missing } = chainsOf(returns, counters.map(of) as never, ends);
      return [rows.map(({ counter }) => counter), missing];
    };
    expect(found([4], 3)).toEqual([[1, 2, 3, 4], 0]);
    expect(found([5], 3)).toEqual([[1, 2, 3], 0]);
    expect(found([5], 4)).toEqual([[1, 2, 3], 1]);
    // A day that is stated anew behind a loss.
    expect(found([6], 6)).toEqual([[1, 2, 3, 6], 2]);
  });
});
