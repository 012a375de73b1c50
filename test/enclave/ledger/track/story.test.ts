import { stderr } from 'node:process';
import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import type { PostgresStore } from '../../../../enclave/ledger/store/postgres-store.ts';
import { TrackQueries } from '../../../../enclave/ledger/track/track-queries.ts';
import { MetricsMaker } from '../../../../enclave/ledger/track/metrics-maker.ts';
import type { ReturnsAnswer } from '../../../../enclave/ledger/track-service-types.ts';
import { toHex } from '../../../../wire/bytes.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { checkChain } from '../../../../wire/track/chain.ts';
import type { SignedStatement } from '../../../../wire/track/evidence.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { randomPicks } from '../../../helpers/random.ts';
import { storeScene } from '../../../helpers/track-store.ts';
import {
  openRecord,
  openStory,
  parsedOf,
  playAll,
  playStep,
  signedOf,
  STORY_START_MS,
  STORY_STEPS,
} from '../../../helpers/track-story.ts';

const scene = await storeScene();
/** Places of a crash that every run tries. */
const SAMPLE = 24;

/**
 * After which statements the ledger dies: two dozen, spread over the story; `all`; `all:FROM` goes on with a sweep that was
 * ended; `N:SEED`, so many of them, others for another seed.
 */
function placesOf(wanted: string, count: number): readonly number[] {
  const all = Array.from({ length: count - 1 }, (_, at) => at + 1);
  const [, many = '', more = ''] = /^(all|[1-9]\d*)(?::(\d+))?$/u.exec(wanted) ?? [];
  if (many === 'all') return all.slice(Math.max(0, Number(more) - 1));
  if (many === '') return all.filter((last) => last % Math.ceil(count / SAMPLE) === 5);
  const pick = randomPicks(Number(more));
  for (let at = all.length - 1; at > 0; at--) {
    const other = pick(at + 1);
    [all[at], all[other]] = [all[other] ?? 0, all[at] ?? 0];
  }
  return all.slice(0, Number(many)).toSorted((a, b) => a - b);
}

const CALLER = { certificate: new Uint8Array(32) };
const never = new AbortController().signal;

function bytesOf(signed: readonly SignedStatement[]): readonly string[] {
  return signed.map(({ statement }) => toHex(statement));
}

async function plain(): Promise<readonly SignedStatement[]> {
  return signedOf(await playAll(new MemoryStore()));
}

describe('two days of an account', () => {
  it('become one chain: every hour, gaps too, two midnights, and corrections of what was late', async () => {
    const story = await playAll(new MemoryStore());
    expect(story.desk.fatal).toEqual([]);
    const signed = await signedOf(story);
    expect(
      checkChain(
        nodeCrypto,
        signed.map(({ statement }) => statement),
      ).ok,
    ).toBe(true);
    const statements = parsedOf(signed);
    const hours = statements.filter((one) => one.kind === 'hour');
    const first = hours.filter(({ supersedes }) => supersedes === null);
    // No hour is left out: the outage is three of them without a return.
    expect(first.map(({ figures }) => figures.startMs)).toEqual(
      first.map((_, at) => Date.UTC(2026, 10, 20, 20) + at * HOUR_MS),
    );
    expect(first.length).toBeGreaterThan(27);
    const gaps = first.filter(({ figures }) => figures.gaps.includes('exchange_unavailable'));
    expect(gaps.length).toBeGreaterThanOrEqual(3);
    expect(gaps.every(({ figures }) => !figures.complete)).toBe(true);
    // The deposit is a flow and no return.
    const flow = first.find(({ figures }) => (figures.inflow ?? 0n) > 0n && !figures.rebuilt);
    expect(formatFixed(flow?.figures.inflow ?? 0n)).toBe('10000');
    expect(Math.abs(Number(flow?.return.ratio))).toBeLessThan(0.01);
    const corrected = hours.filter(({ supersedes }) => supersedes !== null);
    const lateMs = STORY_START_MS + 22 * 1_800_000 - 120_000;
    const [told = [], late = []] = [true, false].map((isBefore) =>
      corrected.filter(({ figures }) => figures.startMs < lateMs - (lateMs % HOUR_MS) === isBefore),
    );
    // Hours for which nobody waited any longer are known when the venue has told of them after all; that it was away stays.
    const unwaited = first.filter(({ return: stated }) => stated.reason === 'incomplete');
    expect(unwaited).toHaveLength(2);
    for (const { figures } of unwaited) expect(figures.gaps).toContain('not_completed');
    expect(told.map(({ supersedes }) => supersedes?.counter)).toEqual(
      unwaited.map(({ counter }) => counter),
    );
    for (const { figures, return: stated } of told) {
      expect([stated.reason, figures.complete]).toEqual([null, false]);
      expect(figures.gaps).toContain('exchange_unavailable');
      expect(figures.gaps).not.toContain('not_completed');
    }
    // The late trade corrects the hours from its own on, and none before.
    expect(late.length).toBeGreaterThan(0);
    expect(late[0]?.figures.startMs).toBe(lateMs - (lateMs % HOUR_MS));
    expect(late[0]?.figures.trades).toBe(1);
    expect(late[0]?.basis.late).toBe(1);
    expect(corrected.every(({ supersedes }) => supersedes?.reason === 'late_data')).toBe(true);
    const snapshots = statements.filter(({ kind }) => kind === 'snapshot');
    expect(snapshots.map((one) => (one.kind === 'snapshot' ? one.atMs : 0))).toEqual([
      Date.UTC(2026, 10, 21),
      Date.UTC(2026, 10, 22),
    ]);
    expect(story.desk.audits.filter(({ event }) => event === 'correction')).toHaveLength(
      corrected.length,
    );
  });

  it('are the same signed bytes in PGlite', async () => {
    await scene.clear();
    const stored = await signedOf(await playAll(scene.store()));
    expect(stored.map((row) => toHex(row.signature))).toEqual(
      (await plain()).map((row) => toHex(row.signature)),
    );
    expect(bytesOf(stored)).toEqual(bytesOf(await plain()));
  }, 60_000);

  it('do not change by a bit when polls tell again what was told', async () => {
    const story = openStory(new MemoryStore());
    for (let step = 0; step < STORY_STEPS; step++) await playStep(story, step, 20);
    expect(story.desk.fatal).toEqual([]);
    expect(story.record.counters['records_repeated']).toBeGreaterThan(40);
    expect(bytesOf(await signedOf(story))).toEqual(bytesOf(await plain()));
  });

  it('survive a ledger that dies after any statement of the database', async () => {
    const wanted = bytesOf(await plain());
    // How many statements the whole story takes.
    await scene.clear();
    let count = 0;
    await playAll(
      scene.store({
        onStatement: () => {
          count++;
        },
      }),
    );
    const places = placesOf(process.env['TRACKSEAL_CRASHES'] ?? '', count);
    expect(places.length).toBeGreaterThan(0);
    for (const [at, last] of places.entries()) {
      if (places.length > SAMPLE && at % SAMPLE === 0) {
        stderr.write(`a crash after statement ${last} of ${count}: ${at} of ${places.length}\n`);
      }
      await scene.clear();
      let done = 0;
      let dead = false;
      const crash = (): void => {
        if (++done !== last) return;
        dead = true;
        scene.server.cut();
      };
      const store = (): PostgresStore => scene.store({ onStatement: crash });
      const story = openStory(store());
      for (let step = 0; step < STORY_STEPS; step++) {
        await playStep(story, step);
        if (!dead) continue;
        dead = false;
        // The process is gone; the next one has what is stored, and is told what was not taken.
        story.record.store.close();
        story.record = openRecord(story.desk, store());
        await story.record.idle();
      }
      expect(story.desk.fatal, `statement ${last}`).toEqual([]);
      expect(story.desk.untaken, `statement ${last}`).toEqual([]);
      const made = bytesOf(await signedOf(story));
      const other = made.findIndex((bytes, at) => bytes !== wanted[at]);
      expect([last, made.length, other]).toEqual([last, wanted.length, -1]);
    }
  }, 86_400_000);

  it('are answered over gRPC, page by page, each row with what was signed', async () => {
    const story = await playAll(new MemoryStore());
    const services = story.desk.services();
    const queries = new TrackQueries(
      services,
      story.record,
      new MetricsMaker(services, story.record.store),
    );
    const query = { userUid: toHex(story.desk.account.commitment), exchange: null };
    const starts: number[] = [];
    let pageToken: string | null = null;
    do {
      const page: ReturnsAnswer = assertAccepted(
        await queries.historicalReturns(
          CALLER,
          { ...query, range: null, pageSize: 7, pageToken },
          never,
        ),
      );
      starts.push(...page.returns.map(({ statement }) => statement.figures.startMs));
      pageToken = page.nextPage;
      expect(page.freshness).toBe('fresh');
    } while (pageToken !== null);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    expect(new Set(starts).size).toBe(starts.length);
    const metrics = assertAccepted(await queries.aggregatedMetrics(CALLER, query, never));
    expect(metrics.accounts).toHaveLength(1);
    expect(metrics.totals.trades).toBe(2);
    const snapshots = assertAccepted(
      await queries.snapshotTimeSeries(
        CALLER,
        { ...query, range: null, pageSize: 500, pageToken: null },
        never,
      ),
    );
    expect(snapshots.snapshots).toHaveLength(2);
    const sync = await queries.syncJob(CALLER, { ...query, type: 'full', range: null }, never);
    expect(sync).toMatchObject({ refusal: { code: 'snapshot_exists' } });
    const unknown = await queries.aggregatedMetrics(
      CALLER,
      { userUid: 'nobody', exchange: null },
      never,
    );
    expect(unknown).toMatchObject({ refusal: { code: 'account_unknown' } });
    const odd = await queries.historicalReturns(
      CALLER,
      { ...query, range: null, pageSize: 7, pageToken: 'x' },
      never,
    );
    expect(odd).toMatchObject({ refusal: { code: 'api_malformed' } });
  });

  it('are refused, and nothing more is stated, when the database lies at the next start', async () => {
    await scene.clear();
    const story = await playAll(scene.store(), 20);
    await scene.server.db.exec(
      'SET session_replication_role = replica; DELETE FROM trackseal.chain WHERE counter = 3',
    );
    const leaves = story.desk.leaves.length;
    story.record = openRecord(story.desk, scene.store());
    await playStep(story, 20);
    await playStep(story, 21);
    expect(story.record.track(story.desk.account.id)?.refusal).toMatchObject({
      code: 'chain_hole',
    });
    expect(story.desk.audits).toContainEqual({
      event: 'store_invalid',
      account: story.desk.account.id,
      code: 'chain_hole',
    });
    expect(story.desk.leaves.length).toBe(leaves);
    expect(story.desk.untaken).toEqual([]);
  }, 60_000);
});
