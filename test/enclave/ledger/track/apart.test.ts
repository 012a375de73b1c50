// After a restart hours are closed again that stay as they were stated. Where prices are others by then, the first hour that
// is stated behind them does not begin with what the one before it was stated to end with, and says so.

import { expect, it } from 'vitest';
import type { ConnectorRecord } from '../../../../enclave/connector/records.ts';
import { isJump, VALUE_JUMP } from '../../../../wire/performance/hour-return.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import type { HourStatement } from '../../../../wire/track/hour.ts';
import { checkHour } from '../../../../verifier/track/recompute.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { storeScene } from '../../../helpers/track-store.ts';
import type { Story } from '../../../helpers/track-story.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const START_MS = Date.UTC(2026, 10, 20);
/** The state that a restart takes is of the first hour. */
const RESTART_HOUR = 30;
/** What is told of it later no balance says: it went as it came. */
const LATE_HOUR = 22;

const scene = await storeScene();

async function poll(
  { desk, record }: Story,
  hour: number,
  told: ConnectorRecord[] = [],
): Promise<void> {
  desk.nowMs = START_MS + hour * HOUR_MS + 60_000;
  desk.poll({ records: [...told, balanceOf('USD', '1000'), balanceOf('BTC', '1')] });
  record.look();
  await record.idle();
}

/** What is stated of each hour, by its number: one after the other, and at last. */
async function statedIn(story: Story): Promise<{ all: number[]; last: HourStatement[] }> {
  const stated = parsedOf(await signedOf(story)).filter((one) => one.kind === 'hour');
  const last: HourStatement[] = [];
  const all = stated.map((one) => (one.figures.startMs - START_MS) / HOUR_MS);
  for (const [at, one] of stated.entries()) last[all[at] ?? 0] = one;
  return { all, last };
}

/** Those that say that they do not begin where the one before them ended; no other one may be so. */
function apartIn(hours: readonly HourStatement[]): readonly number[] {
  return hours.flatMap((hour, at) => {
    expect(checkHour(hour)).toMatchObject({ ok: true });
    const says = hour.figures.gaps.includes(VALUE_JUMP);
    expect(isJump(hours[at - 1]?.figures, hour.figures)).toBe(says);
    return says ? [at] : [];
  });
}

async function restarted({ desk, record }: Story): Promise<Story> {
  record.store.close();
  const story = { desk, record: openRecord(desk, scene.store()) };
  await story.record.idle();
  return story;
}

it('an hour that begins with what no stated hour ends with is a gap, until they meet', async () => {
  const desk = new TrackDesk(START_MS);
  let story: Story = { desk, record: openRecord(desk, scene.store()) };
  for (let hour = 0; hour <= RESTART_HOUR; hour++) await poll(story, hour);
  expect(apartIn((await statedIn(story)).last)).toEqual([]);

  desk.moreUsd = 7;
  story = await restarted(story);
  for (let hour = RESTART_HOUR; hour < RESTART_HOUR + 3; hour++) await poll(story, hour);
  const { last: before, all } = await statedIn(story);
  expect(all).toEqual(before.map((_, at) => at));
  expect(apartIn(before)).toEqual([RESTART_HOUR]);
  const apart = before[RESTART_HOUR];
  expect(apart?.figures).toMatchObject({ complete: false, status: 'reconciled' });
  expect(apart?.return).toEqual({ ratio: null, method: null, reason: VALUE_JUMP });
  expect(before[RESTART_HOUR + 1]?.return.ratio).not.toBeNull();

  // Hours from its own on are stated anew and meet; the one before it stays as it is stated.
  const lateMs = START_MS + LATE_HOUR * HOUR_MS + 1000;
  const came = depositedAt('in', lateMs, '5');
  const went = { ...depositedAt('out', lateMs + 1, '5'), direction: 'out' as const };
  await poll(story, RESTART_HOUR + 3, [came, { ...went, type: 'withdrawal' }]);
  const { last: after, all: stated } = await statedIn(story);
  expect(Math.min(...stated.slice(all.length))).toBe(LATE_HOUR);
  expect(apartIn(after)).toEqual([LATE_HOUR]);
  expect(after[LATE_HOUR]?.figures.flows).toHaveLength(2);
  expect(after[RESTART_HOUR]?.return.ratio).not.toBeNull();

  // Nothing is stated again because of the gap that is stated.
  story = await restarted(story);
  await poll(story, RESTART_HOUR + 4, [came]);
  const { last: again, all: more } = await statedIn(story);
  expect(more.slice(stated.length)).toEqual([RESTART_HOUR + 3]);
  expect(apartIn(again)).toEqual([LATE_HOUR]);
  expect(desk.fatal).toEqual([]);
});
