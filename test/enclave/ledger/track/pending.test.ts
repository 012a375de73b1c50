// Deposits and withdrawals that take their time: nothing of them is lost by a restart, none is waited for when it is over, and
// none that was booked is said not to be when the venue tells it again after the book has forgotten it.

import { describe, expect, it } from 'vitest';
import type { Flow } from '../../../../enclave/connector/records.ts';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { LATE_UNBOOKED } from '../../../../enclave/ledger/track/unbooked.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import type { ChainStatement } from '../../../../wire/track/statement.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import { storeScene } from '../../../helpers/track-store.ts';
import type { Story } from '../../../helpers/track-story.ts';
import {
  openRecord,
  openStory,
  parsedOf,
  playStep,
  signedOf,
  STORY_STEPS,
} from '../../../helpers/track-story.ts';

const scene = await storeScene();

/** An hour after the last one; `usd` is what the venue has then. */
async function tell(story: Story, flows: readonly Flow[], usd: number): Promise<void> {
  story.desk.nowMs += HOUR_MS;
  story.desk.poll({ records: [...flows, balanceOf('USD', String(usd)), balanceOf('BTC', '0.6')] });
  story.record.look();
  await story.record.idle();
}

async function wait(story: Story, days: number, usd: number): Promise<void> {
  for (let day = 0; day < days; day++) {
    story.desk.nowMs += DAY_MS - HOUR_MS;
    await tell(story, [], usd);
  }
}

async function played(story: Story): Promise<number> {
  for (let step = 0; step < STORY_STEPS; step++) await playStep(story, step);
  return story.desk.nowMs + HOUR_MS / 2;
}

/** From where on a ledger that starts now would have the account read anew. */
function resyncMs({ record, desk }: Story): number {
  record.track(desk.account.id)?.resync(desk.nowMs);
  return desk.resyncs.at(-1) ?? Infinity;
}

function hourOf(all: readonly ChainStatement[], timeMs: number): ChainStatement | undefined {
  const startMs = timeMs - (timeMs % HOUR_MS);
  return all.findLast((one) => one.kind === 'hour' && one.figures.startMs === startMs);
}

const USD = 73_997;

function withdrawal(atMs: number, more: Partial<Flow>): Flow {
  const facts = { type: 'withdrawal', direction: 'out', amount: '5' } as const;
  return { ...depositedAt('w', atMs, '5'), ...facts, ...more };
}

describe('a resync', () => {
  it.each([2, 18, 29])('begins before a deposit that is pending for %d days', async (days) => {
    const story = openStory(new MemoryStore());
    const atMs = await played(story);
    await tell(story, [{ ...depositedAt('d', atMs, '500'), status: 'pending' }], USD);
    await wait(story, days, USD);
    expect(resyncMs(story)).toBeLessThanOrEqual(atMs);
    // And the deposit counts when it is there.
    await tell(story, [{ ...depositedAt('d', atMs, '500'), status: 'ok' }], USD + 500);
    await wait(story, 1, USD + 500);
    const counted = parsedOf(await signedOf(story)).filter(
      (one) => one.kind === 'hour' && one.figures.startMs > atMs && one.figures.flows.length > 0,
    );
    expect(counted).toHaveLength(1);
    expect(story.desk.nowMs - resyncMs(story)).toBeLessThan(6 * DAY_MS);
  });

  it.each([1, 5])('waits for no withdrawal that was over after %d days', async (days) => {
    const story = openStory(new MemoryStore());
    const atMs = await played(story);
    await tell(story, [withdrawal(atMs, { status: 'pending' })], USD - 5);
    await wait(story, days, USD - 5);
    expect(resyncMs(story)).toBeLessThanOrEqual(atMs);
    await tell(story, [withdrawal(atMs, { status: 'ok' })], USD - 5);
    await wait(story, 8, USD - 5);
    expect(story.desk.nowMs - resyncMs(story)).toBeLessThan(6 * DAY_MS);
  });
});

const PENDING = { id: 'w', status: 'pending' } as const;
const DONE = { id: 'w', status: 'ok' } as const;
const NAMED = { ...DONE, networkId: 'bank' } as const;

describe.each(['in memory', 'in a database, over a restart'])('what was booked, %s', (where) => {
  async function toldAgain(
    told: readonly Partial<Flow>[],
    again: Partial<Flow>,
  ): Promise<{ readonly before: unknown; readonly after: unknown; readonly isSaid: boolean }> {
    await scene.clear();
    const isStored = where !== 'in memory';
    const story = openStory(isStored ? scene.store() : new MemoryStore());
    const atMs = await played(story);
    for (const more of told) await tell(story, [withdrawal(atMs, more)], USD - 5);
    // Its id is kept for fourteen days behind the three that can be reopened.
    await wait(story, 19, USD - 5);
    const before = hourOf(parsedOf(await signedOf(story)), atMs);
    if (isStored) {
      story.record.store.close();
      story.record = openRecord(story.desk, scene.store());
      await story.record.idle();
    }
    await tell(story, [withdrawal(atMs, again)], USD - 5);
    await tell(story, [], USD - 5);
    const all = parsedOf(await signedOf(story));
    expect(story.record.counters['records_settled']).toBeGreaterThan(0);
    expect(story.desk.fatal).toEqual([]);
    const isSaid = all.some(
      (one) => one.kind === 'hour' && one.figures.gaps.includes(LATE_UNBOOKED),
    );
    return { before, after: hourOf(all, atMs), isSaid };
  }

  it.each([
    ['as pending, then as done', [PENDING, DONE], DONE],
    [
      'as pending, then as done, with its transaction from the beginning',
      [{ ...PENDING, networkId: 'bank' }, NAMED],
      NAMED,
    ],
    ['as done, and has a transaction only now', [DONE], NAMED],
    ['as pending, and is done with a transaction only now', [PENDING, DONE], NAMED],
  ] as const)(
    'and told %s, keeps its hour',
    async (_, told, again) => {
      const { before, after, isSaid } = await toldAgain(told, again);
      expect(before).toMatchObject({ return: { reason: null } });
      expect([after, isSaid]).toEqual([before, false]);
    },
    120_000,
  );

  it('and failed when nobody remembers it, does not', async () => {
    const { after, isSaid } = await toldAgain([PENDING, DONE], { ...DONE, status: 'failed' });
    expect(after).toMatchObject({ return: { ratio: null }, supersedes: { reason: LATE_UNBOOKED } });
    expect(isSaid).toBe(true);
  }, 120_000);
});
