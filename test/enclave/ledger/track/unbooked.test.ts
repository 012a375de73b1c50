import { describe, expect, it } from 'vitest';
import type { BookRecord } from '../../../../enclave/ledger/book/contract.ts';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { HISTORY_MS } from '../../../../enclave/ledger/track/account-parts.ts';
import { hourOf } from '../../../../enclave/ledger/track/hour-coverage.ts';
import { LATE_UNBOOKED, Unbooked } from '../../../../enclave/ledger/track/unbooked.ts';
import { isObserved, NOT_BOOKED } from '../../../../wire/performance/hour-return.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import { checkChain } from '../../../../wire/track/chain.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import type { ChainStatement } from '../../../../wire/track/statement.ts';
import { boughtAt } from '../../../helpers/records.ts';
import { storeScene } from '../../../helpers/track-store.ts';
import type { Story } from '../../../helpers/track-story.ts';
import {
  openRecord,
  openStory,
  parsedOf,
  playStep,
  signedOf,
  STORY_START_MS,
} from '../../../helpers/track-story.ts';

const scene = await storeScene();
const CREATED_MS = STORY_START_MS;
/** Hours can be opened again for three days; this is five, in half hours. */
const STEPS = 240;
const EARLY_MS = STORY_START_MS + 14 * HOUR_MS;
const EARLY_HOUR_MS = EARLY_MS - (EARLY_MS % HOUR_MS);
const LATER_HOUR_MS = EARLY_HOUR_MS + 3 * HOUR_MS;

function at(timeMs: number, id: string): BookRecord {
  return boughtAt(id, timeMs, '1', '60000');
}

/** An hour after the last one. */
async function tell(
  story: Story,
  ...records: readonly [id: string, atMs: number][]
): Promise<void> {
  story.desk.nowMs += HOUR_MS;
  story.desk.poll({ records: records.map(([id, atMs]) => boughtAt(id, atMs, '0.001', '60000')) });
  story.record.look();
  await story.record.idle();
}

async function statements(story: Story): Promise<readonly ChainStatement[]> {
  const signed = await signedOf(story);
  const bytes = signed.map(({ statement }) => statement);
  expect(checkChain(nodeCrypto, bytes).ok).toBe(true);
  return parsedOf(signed);
}

function restated(all: readonly ChainStatement[]): readonly ChainStatement[] {
  return all.filter((one) => 'supersedes' in one && one.supersedes?.reason === LATE_UNBOOKED);
}

describe('a record that came too late for the book', () => {
  it('is said only when the record had begun', () => {
    const unbooked = new Unbooked({ createdMs: CREATED_MS });
    const book = { timeOf: ({ timeMs }: BookRecord) => timeMs };
    const first = at(CREATED_MS - HISTORY_MS, 'first');
    const told = [at(CREATED_MS - HISTORY_MS - 1, 'old'), first, at(CREATED_MS + 1, 'last')];
    const hours = unbooked.hoursOf(new Map(told.map((record) => [record, false])), book);
    expect(hours).toEqual([hourOf(CREATED_MS - HISTORY_MS), hourOf(CREATED_MS + 1)]);
    unbooked.add([...hours, ...hours]);
    expect([unbooked.take(), unbooked.take()]).toEqual([hours, []]);
  });

  it.each(['in memory', 'in a database, over a restart'])(
    'takes the return from its own hour, once whatever else is told of it, %s',
    async (where) => {
      await scene.clear();
      const isStored = where !== 'in memory';
      const story = openStory(isStored ? scene.store() : new MemoryStore());
      for (let step = 0; step < STEPS; step++) await playStep(story, step);
      const before = await statements(story);
      expect(restated(before)).toEqual([]);
      const toldMs = story.desk.nowMs + HOUR_MS;
      await tell(story, ['a1', EARLY_MS], ['a2', EARLY_MS + 1000], ['b', LATER_HOUR_MS]);
      const after = await statements(story);
      const found = restated(after);
      // Each hour, and the midnight behind them once; the next hours go on behind.
      expect(found.map(({ kind }) => kind)).toEqual(['hour', 'hour', 'snapshot']);
      for (const one of found) {
        if (one.kind !== 'hour') continue;
        const old = before[(one.supersedes?.counter ?? 0) - 1];
        if (old?.kind !== 'hour') throw new Error('it supersedes something else');
        const { complete, gaps, ...figures } = one.figures;
        expect({ ...figures, complete: true, gaps: [] }).toEqual({
          ...old.figures,
          complete: true,
          gaps: [],
        });
        expect([complete, gaps.includes(NOT_BOOKED), isObserved(one.figures)]).toEqual([
          false,
          true,
          false,
        ]);
        expect([old.return.ratio === null, one.return]).toEqual([
          false,
          { ratio: null, method: null, reason: 'incomplete' },
        ]);
        expect(one.basis.late).toBe(old.basis.late + 1);
      }
      const starts = found.map((one) => (one.kind === 'hour' ? one.figures.startMs : null));
      expect(starts.slice(0, 2)).toEqual([EARLY_HOUR_MS, LATER_HOUR_MS]);
      const day = found.at(-1);
      const was = before[(day?.kind === 'snapshot' ? (day.supersedes?.counter ?? 0) : 0) - 1];
      if (day?.kind !== 'snapshot' || was?.kind !== 'snapshot') throw new Error('no midnight');
      expect([day.atMs % DAY_MS, day.equity]).toEqual([0, was.equity]);
      expect(was.basis.completeHours - day.basis.completeHours).toBe(2);
      expect(day.gaps).toContain(NOT_BOOKED);

      if (isStored) {
        story.record.store.close();
        story.record = openRecord(story.desk, scene.store());
        await story.record.idle();
      }
      await tell(story, ['a1', EARLY_MS], ['b', LATER_HOUR_MS], ['c', EARLY_MS + 2000]);
      await tell(story, ['c', EARLY_MS + 2000]);
      expect(restated(await statements(story))).toEqual(found);
      expect(story.desk.fatal).toEqual([]);
      const hours = (await statements(story)).filter((one) => one.kind === 'hour');
      const saying = hours.find(({ figures }) => figures.gaps.includes(LATE_UNBOOKED));
      const toldHourMs = toldMs - (toldMs % HOUR_MS);
      // Of the record that came first; the one behind it is another finding of another hour.
      expect(saying?.figures.startMs).toBe(toldHourMs);
      expect(saying?.figures.complete).toBe(false);
    },
    240_000,
  );

  it.each(['in memory', 'in a database, over a restart'])(
    'is not one that was booked, when it is told again and the book has forgotten it, %s',
    async (where) => {
      await scene.clear();
      const isStored = where !== 'in memory';
      const story = openStory(isStored ? scene.store() : new MemoryStore());
      for (let step = 0; step < 60; step++) await playStep(story, step);
      // Its ids are kept for fourteen days behind the three that can be reopened.
      for (let days = 0; days < 19; days++) {
        story.desk.nowMs += DAY_MS - HOUR_MS;
        await tell(story);
      }
      if (isStored) {
        story.record.store.close();
        story.record = openRecord(story.desk, scene.store());
        await story.record.idle();
      }
      const booked: [id: string, atMs: number] = ['a', STORY_START_MS + 2 * HOUR_MS - 60_000];
      await tell(story, booked);
      const { records_settled: settled } = story.record.counters;
      expect(settled).toBeGreaterThan(0);
      await tell(story, booked);
      expect(restated(await statements(story))).toEqual([]);
      const hours = (await statements(story)).filter((one) => one.kind === 'hour');
      expect(hours.some(({ figures }) => figures.gaps.includes(LATE_UNBOOKED))).toBe(false);
      // Another one of the same time is.
      await tell(story, booked, ['other', booked[1]]);
      expect(restated(await statements(story)).map(({ kind }) => kind)).toEqual([
        'hour',
        'snapshot',
      ]);
      expect(story.desk.fatal).toEqual([]);
    },
    240_000,
  );

  it('is the same where it came in time, and no figure can have it', async () => {
    const story = openStory(new MemoryStore());
    for (let step = 0; step < 40; step++) await playStep(story, step);
    const fine = boughtAt('fine', EARLY_MS, '0.0000000000000000001', '60000');
    story.desk.poll({ records: [fine] });
    story.record.look();
    await story.record.idle();
    const [hour] = restated(await statements(story));
    if (hour?.kind !== 'hour') throw new Error('no hour');
    const { startMs, gaps, complete } = hour.figures;
    expect([startMs, gaps.includes(NOT_BOOKED), complete]).toEqual([EARLY_HOUR_MS, true, false]);
    expect(hour.return.ratio).toBe(null);
  });

  it('is not lost by a ledger that dies before the correction is stored', async () => {
    await scene.clear();
    const story = openStory(scene.store());
    for (let step = 0; step < STEPS; step++) await playStep(story, step);
    const before = await statements(story);
    story.desk.ready = false;
    await tell(story, ['lost', EARLY_MS]);
    expect((await statements(story)).length).toBe(before.length);
    story.record.store.close();
    story.desk.ready = true;
    story.record = openRecord(story.desk, scene.store());
    story.record.look();
    await story.record.idle();
    expect(restated(await statements(story)).map(({ kind }) => kind)).toEqual(['hour', 'snapshot']);
  }, 240_000);
});
