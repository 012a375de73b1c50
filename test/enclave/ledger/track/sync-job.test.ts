// A sync that was asked for, against the record itself: it counts what it says, and is no success where the venue has not
// told everything, or where nothing was read anew.

import { describe, expect, it } from 'vitest';
import type { TakenPoll } from '../../../../enclave/ledger/services.ts';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import type { SyncAnswer, SyncQuery } from '../../../../enclave/ledger/track-service-types.ts';
import { MetricsMaker } from '../../../../enclave/ledger/track/metrics-maker.ts';
import { TrackQueries } from '../../../../enclave/ledger/track/track-queries.ts';
import { TrackRecord } from '../../../../enclave/ledger/track/track-record.ts';
import { toHex } from '../../../../wire/bytes.ts';
import type { Result } from '../../../../wire/result.ts';
import { refuse } from '../../../../wire/result.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { balanceOf, boughtAt } from '../../../helpers/records.ts';
import { BOOKS, TrackDesk } from '../../../helpers/track-desk.ts';
import { parsedOf, signedOf } from '../../../helpers/track-story.ts';

const START_MS = Date.UTC(2026, 10, 20, 20, 10);

/** What a poll takes. */
const POLL_MS = 2000;
/** Longer than a sync lets pass until it looks again. */
const LOOKED_MS = 600;

/** Rows are stored when `gate` lets them, unless it refuses. */
class SlowStore extends MemoryStore {
  gate: Promise<void> = Promise.resolve();
  /** In place of what it would do. */
  refusal: Result<never> | null = null;

  override async append(
    ...given: Parameters<MemoryStore['append']>
  ): ReturnType<MemoryStore['append']> {
    await this.gate;
    return this.refusal ?? super.append(...given);
  }
}

class Scene {
  readonly store = new SlowStore();
  readonly desk = new TrackDesk(START_MS);
  readonly record: TrackRecord;
  readonly #queries: TrackQueries;

  constructor() {
    const services = this.desk.services();
    const { store } = this;
    this.record = new TrackRecord(services, { store, books: BOOKS, tickMs: 1_000_000_000 });
    this.#queries = new TrackQueries(services, this.record, new MetricsMaker(services, store));
  }

  async poll(fills: readonly string[], more: Partial<TakenPoll> = {}): Promise<void> {
    const bought = fills.map((id) => boughtAt(id, this.desk.nowMs - 60_000, '0.001', '60000'));
    this.desk.poll({ records: [...bought, balanceOf('USD', '1000')], ...more });
    await this.look();
    this.desk.nowMs += POLL_MS;
  }

  async missed(fromMs: number, toMs: number): Promise<void> {
    this.desk.missed(fromMs, toMs, 'exchange_unavailable');
    await this.look();
  }

  async look(): Promise<void> {
    this.record.look();
    await this.record.idle();
  }

  /** Polls of so many hours. */
  async hours(count: number): Promise<void> {
    for (let at = 0; at < count; at++) {
      this.desk.nowMs += HOUR_MS;
      await this.poll([]);
    }
  }

  ask(more: Partial<SyncQuery> = {}, signal?: AbortSignal): Promise<Result<SyncAnswer>> {
    const query = { userUid: toHex(this.desk.account.commitment), exchange: null, range: null };
    return this.#queries.syncJob(
      { certificate: new Uint8Array(32) },
      { ...query, type: 'incremental', ...more },
      signal ?? new AbortController().signal,
    );
  }

  async hourStatements(): Promise<number> {
    return parsedOf(await signedOf(this)).filter(({ kind }) => kind === 'hour').length;
  }
}

/** Whether it is answered, when it has had the time for it. */
async function isAnswered(asked: Promise<unknown>): Promise<boolean> {
  const wait = new Promise<boolean>((resolve) => setTimeout(resolve, LOOKED_MS, false));
  return Promise.race([asked.then(() => true), wait]);
}

async function opened(hours: number): Promise<Scene> {
  const scene = new Scene();
  await scene.poll([]);
  await scene.hours(hours);
  return scene;
}

it.each([
  ['nothing happened', 1, [], 0],
  ['two trades, one of them told twice', 1, ['a', 'b', 'a'], 2],
  // With its snapshot, which is no hour.
  ['a day ends', 3, ['a'], 1],
] as const)('counts records and hours, where %s', async (_, hours, fills, synced) => {
  const scene = await opened(hours);
  const before = await scene.hourStatements();
  scene.desk.nowMs += HOUR_MS;
  const asked = scene.ask();
  await scene.poll(fills);
  const value = { accounts: 1, synced, hourlyReturnsGenerated: 1 };
  expect(await asked).toMatchObject({ ok: true, value });
  expect((await scene.hourStatements()) - before).toBe(1);
  await scene.record.close();
});

it.each([
  ['failed', 'poll_incomplete'],
  ['partial', 'poll_incomplete'],
  ['missed', 'poll_missed'],
] as const)('is refused where the poll was %s', async (outcome, code) => {
  const scene = await opened(1);
  const asked = scene.ask();
  if (outcome === 'missed') await scene.missed(scene.desk.nowMs, scene.desk.nowMs + 300_000);
  else await scene.poll([], { outcome, reason: 'exchange_unavailable' });
  expect(await asked).toMatchObject({ ok: false, refusal: { code } });
  await scene.record.close();
});

describe('a poll or a time without one is not what was asked for when it', () => {
  const unavailable = { outcome: 'failed', reason: 'exchange_unavailable' } as const;

  it.each([
    ['was whole', {}],
    ['failed', unavailable],
  ])('began before the question, told after it: %s', async (_, outcome) => {
    const scene = await opened(1);
    const { nowMs } = scene.desk;
    const asked = scene.ask();
    await scene.poll(['a'], { startedMs: nowMs - 20_000, endedMs: nowMs + 1, ...outcome });
    expect(await isAnswered(asked)).toBe(false);
    await scene.poll(['b'], { startedMs: nowMs, endedMs: nowMs + 1, ...outcome });
    expect(await isAnswered(asked)).toBe(false);
    await scene.poll(['c'], { startedMs: nowMs + 1, endedMs: nowMs + 2 });
    const synced = outcome === unavailable ? 1 : 3;
    expect(await asked).toMatchObject({ ok: true, value: { synced } });
    await scene.record.close();
  });

  it('was over before the question, told after it', async () => {
    const scene = await opened(1);
    const { nowMs } = scene.desk;
    const asked = scene.ask();
    await scene.missed(nowMs - 300_000, nowMs - 20_000);
    expect(await isAnswered(asked)).toBe(false);
    await scene.missed(nowMs - 300_000, nowMs);
    expect(await isAnswered(asked)).toBe(false);
    await scene.poll([]);
    expect(await asked).toMatchObject({ ok: true });
    const again = scene.ask();
    await scene.missed(nowMs - 300_000, scene.desk.nowMs + 1);
    expect(await again).toMatchObject({ refusal: { code: 'poll_missed' } });
    await scene.record.close();
  });

  it('was the last one before the question, and failed', async () => {
    const scene = await opened(1);
    await scene.poll([], unavailable);
    const first = scene.ask();
    expect(await isAnswered(first)).toBe(false);
    await scene.poll([]);
    expect(await first).toMatchObject({ ok: true });
    await scene.missed(scene.desk.nowMs - 300_000, scene.desk.nowMs);
    const second = scene.ask();
    expect(await isAnswered(second)).toBe(false);
    await scene.poll([]);
    expect(await second).toMatchObject({ ok: true });
    await scene.record.close();
  });
});

it('ends with its call', async () => {
  const scene = await opened(1);
  const ended = new AbortController();
  const asked = scene.ask({}, ended.signal);
  ended.abort();
  expect(await asked).toMatchObject({ refusal: { code: 'call_deadline' } });
  await scene.record.close();
});

it('waits until the hours behind the poll are stated', async () => {
  const scene = await opened(1);
  scene.desk.nowMs += HOUR_MS;
  const gate = Promise.withResolvers<undefined>();
  scene.store.gate = gate.promise;
  const asked = scene.ask();
  const polled = scene.poll([]);
  expect(await isAnswered(asked)).toBe(false);
  expect(scene.record.track(scene.desk.account.id)?.sync?.slotMs).toBe(scene.desk.nowMs);
  gate.resolve(undefined);
  await polled;
  expect(await asked).toMatchObject({ ok: true, value: { hourlyReturnsGenerated: 1 } });
  await scene.record.close();
});

it('waits while nothing can be signed: hours that are due are not stated then', async () => {
  const scene = await opened(1);
  const before = await scene.hourStatements();
  scene.desk.nowMs += HOUR_MS;
  scene.desk.ready = false;
  const asked = scene.ask();
  await scene.poll(['a']);
  expect(await isAnswered(asked)).toBe(false);
  scene.desk.ready = true;
  await scene.look();
  const value = { synced: 1, hourlyReturnsGenerated: 1 };
  expect(await asked).toMatchObject({ ok: true, value });
  expect((await scene.hourStatements()) - before).toBe(1);
  await scene.record.close();
});

it('is refused where the store turns out to be another while it waits', async () => {
  const scene = await opened(1);
  scene.desk.nowMs += HOUR_MS;
  scene.store.refusal = refuse('store_mac');
  const asked = scene.ask();
  await scene.poll([]);
  expect(await asked).toEqual(refuse('store_mac'));
  await scene.record.close();
});

it('reads until now, and says so of another end', async () => {
  const scene = await opened(1);
  const hourMs = scene.desk.nowMs - (scene.desk.nowMs % HOUR_MS);
  const startMs = hourMs - HOUR_MS;
  const refused = await scene.ask({ range: { startMs, endMs: hourMs - 1 } });
  expect(refused).toMatchObject({
    refusal: { code: 'api_malformed', detail: { field: 'end_date' } },
  });
  const asked = scene.ask({ range: { startMs, endMs: hourMs } });
  await scene.poll([]);
  expect(await asked).toMatchObject({ ok: true });
  await scene.record.close();
});

it('is refused where it asks for more than was read anew within the hour', async () => {
  const scene = await opened(1);
  scene.record.track(scene.desk.account.id)?.resync(scene.desk.nowMs);
  const resyncs = scene.desk.resyncs.length;
  scene.desk.nowMs += HOUR_MS - POLL_MS - 1;
  // What was read anew an hour ago goes on by its cursors.
  const asked = scene.ask({ range: { startMs: scene.desk.nowMs, endMs: scene.desk.nowMs + 1 } });
  await scene.poll(['a']);
  expect(await asked).toMatchObject({ ok: true, value: { synced: 1 } });
  expect(scene.desk.resyncs.length).toBe(resyncs);
  expect(await scene.ask({ type: 'full' })).toMatchObject({ refusal: { code: 'rate_limited' } });
  scene.desk.nowMs += 1;
  const full = scene.ask({ type: 'full' });
  await scene.poll([]);
  expect(await full).toMatchObject({ ok: true });
  expect(scene.desk.resyncs.length).toBe(resyncs + 1);
  await scene.record.close();
});
