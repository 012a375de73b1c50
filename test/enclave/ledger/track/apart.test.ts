// After a restart hours are closed again that stay as they were stated. Where prices are others by then, the first hour that
// is stated behind them does not begin with what the one before it was stated to end with, and says so.

import { expect, it } from 'vitest';
import type { ConnectorRecord } from '../../../../enclave/connector/records.ts';
import { checkHour } from '../../../../verifier/track/recompute.ts';
import { isCostJump, isJump, VALUE_JUMP } from '../../../../wire/performance/hour-return.ts';
import { performanceOf } from '../../../../wire/performance/performance.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import type { HourStatement } from '../../../../wire/track/hour.ts';
import type { SnapshotStatement } from '../../../../wire/track/snapshot.ts';
import { KeptStore } from '../../../helpers/kept-store.ts';
import { balanceOf, boughtAt, depositedAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import type { Story } from '../../../helpers/track-story.ts';
import { openAt, openRecord, parsedOf, restart, signedOf } from '../../../helpers/track-story.ts';

const START_MS = Date.UTC(2026, 10, 20);
/** The state that a restart takes is of the first hour. */
const RESTART_HOUR = 30;
/** What is told of it later no balance says: it went as it came. */
const LATE_HOUR = 22;

async function poll(
  { desk, record }: Story,
  hour: number,
  told: readonly ConnectorRecord[] = [],
): Promise<void> {
  desk.nowMs = START_MS + hour * HOUR_MS + 60_000;
  desk.poll({ records: [...told, balanceOf('USD', '1000'), balanceOf('BTC', '1')] });
  record.look();
  await record.idle();
}

/** Of hours from one to before another. */
async function pollAll(story: Story, from: number, to: number): Promise<void> {
  for (let hour = from; hour < to; hour++) await poll(story, hour);
}

function passing(hour: number): readonly ConnectorRecord[] {
  const atMs = START_MS + (hour + 0.5) * HOUR_MS;
  const out = {
    ...depositedAt('out', atMs + 1, '5'),
    direction: 'out',
    type: 'withdrawal',
  } as const;
  return [depositedAt('in', atMs, '5'), out];
}

interface Stated {
  /** Hours by their numbers, one after the other. */
  readonly all: readonly number[];
  /** As they are at last. */
  readonly last: readonly HourStatement[];
  readonly days: readonly SnapshotStatement[];
}

async function statedIn(story: Story): Promise<Stated> {
  const stated = parsedOf(await signedOf(story));
  const hours = stated.filter((one) => one.kind === 'hour');
  const last: HourStatement[] = [];
  const all = hours.map((one) => (one.figures.startMs - START_MS) / HOUR_MS);
  for (const [at, one] of hours.entries()) last[all[at] ?? 0] = one;
  const days = new Map(
    stated.filter((one) => one.kind === 'snapshot').map((one) => [one.atMs, one]),
  );
  return { all, last, days: [...days.values()] };
}

/** Those that say that they do not begin where the one before them ended; no other one may be so. */
function apartIn(hours: readonly HourStatement[]): readonly number[] {
  return hours.flatMap((hour, at) => {
    expect(checkHour(hour)).toMatchObject({ ok: true });
    const before = hours[at - 1]?.figures;
    const says = hour.figures.gaps.includes(VALUE_JUMP);
    const goesOn = hour.figures.rebuilt || before?.rebuilt === false;
    expect(goesOn && isJump(before, hour.figures)).toBe(says);
    return says ? [at] : [];
  });
}

it('an hour that begins with what no stated hour ends with is a gap, until they meet', async () => {
  const story = openAt(START_MS);
  await pollAll(story, 0, RESTART_HOUR + 1);
  expect(apartIn((await statedIn(story)).last)).toEqual([]);

  story.desk.moreUsd = 7;
  await restart(story);
  await pollAll(story, RESTART_HOUR, RESTART_HOUR + 3);
  const { last: before, all } = await statedIn(story);
  expect(all).toEqual(before.map((_, at) => at));
  expect(apartIn(before)).toEqual([RESTART_HOUR]);
  const apart = before[RESTART_HOUR];
  // All of it is known but what it does not say.
  expect(apart?.figures).toMatchObject({ complete: true, status: 'reconciled' });
  expect(apart?.return).toEqual({ ratio: null, method: null, reason: VALUE_JUMP });
  expect(before[RESTART_HOUR + 1]?.return.ratio).not.toBeNull();

  // Hours from its own on are stated anew and meet; the one before it stays as it is stated.
  await poll(story, RESTART_HOUR + 3, passing(LATE_HOUR));
  const { last: after, all: stated } = await statedIn(story);
  expect(Math.min(...stated.slice(all.length))).toBe(LATE_HOUR);
  expect(apartIn(after)).toEqual([LATE_HOUR]);
  expect(after[LATE_HOUR]?.figures.flows).toHaveLength(2);
  expect(after[RESTART_HOUR]?.return.ratio).not.toBeNull();

  // Nothing is stated again because of the gap that is stated.
  await restart(story);
  await poll(story, RESTART_HOUR + 4, passing(LATE_HOUR));
  const { last: again, all: more } = await statedIn(story);
  expect(more.slice(stated.length)).toEqual([RESTART_HOUR + 3]);
  expect(apartIn(again)).toEqual([LATE_HOUR]);
});

it('a day says of its hours what they say, when they meet again as well', async () => {
  const story = openAt(START_MS);
  await pollAll(story, 0, RESTART_HOUR + 1);
  story.desk.moreUsd = 7;
  await restart(story);
  await pollAll(story, RESTART_HOUR, 50);
  await poll(story, 50, passing(LATE_HOUR));
  const { last, days } = await statedIn(story);
  expect(apartIn(last)).toEqual([LATE_HOUR]);
  expect(days).toHaveLength(2);
  for (const { atMs, gaps, basis } of days) {
    const own = last.filter(
      ({ figures: { startMs } }) => startMs >= atMs - DAY_MS && startMs < atMs,
    );
    expect(gaps.includes(VALUE_JUMP)).toBe(
      apartIn(last).some((hour) => own.includes(last[hour] as HourStatement)),
    );
    expect(basis.completeHours).toBe(own.filter(({ figures }) => figures.complete).length);
  }
});

it('a record goes on from no hour that was worked out backwards', async () => {
  const story = openAt(START_MS);
  await pollAll(story, 0, 2);
  story.desk.moreUsd = 7;
  await restart(story);
  await pollAll(story, 2, 7);
  const { last } = await statedIn(story);
  expect(last.map(({ figures }) => figures.rebuilt)).toEqual([
    true,
    ...last.slice(1).map(() => false),
  ]);
  expect(isJump(last[0]?.figures, last[1]?.figures ?? { startMs: 0, equityStart: null })).toBe(
    true,
  );
  expect(apartIn(last)).toEqual([]);
  expect(performanceOf(last.map(({ figures }) => figures)).linked.ratio).not.toBeNull();
});

it('what was worked out backwards stays when something is told of a later time', async () => {
  const story = openAt(START_MS);
  await pollAll(story, 0, 13);
  story.desk.moreUsd = 7;
  await restart(story);
  await poll(story, 13, passing(10));
  const { last } = await statedIn(story);
  expect(apartIn(last)).toEqual([10]);
  expect(last.flatMap(({ supersedes }, at) => (supersedes === null ? [] : [at]))).toEqual([10, 11]);
});

// What is late counts in the book that it was told to; the state of a day ago does not know of it.
it.each([
  [0, 10, 26, ['cost_jump']],
  [2, 20, 30, []],
  [30, 66, 78, []],
  [30, 96, 100, ['cost_jump']],
] as const)(
  'what was bought in hour %i and told in hour %i has its cost after a restart in hour %i, or its hour says so: %j',
  async (boughtHour, toldHour, restartHour, gaps) => {
    const store = new KeptStore();
    const desk = new TrackDesk(START_MS);
    const story: Story = { desk, record: openRecord(desk, store) };
    const boughtMs = START_MS + (boughtHour + 0.5) * HOUR_MS;
    const late = boughtAt('late', boughtMs, '1', '50000');
    for (let hour = 0; hour < restartHour + 3; hour++) {
      if (hour === restartHour) await restart(story);
      desk.nowMs = START_MS + hour * HOUR_MS + 60_000;
      const isHeld = desk.nowMs > boughtMs;
      const held = [
        balanceOf('USD', isHeld ? '49998.5' : '100000'),
        balanceOf('BTC', isHeld ? '1' : '0'),
      ];
      desk.poll({ records: [...(hour === toldHour ? [late] : []), ...held] });
      story.record.look();
      await story.record.idle();
    }
    const { last } = await statedIn(story);
    expect(last.flatMap(({ figures }) => figures.gaps)).toEqual(gaps);
    const jumps = last.filter(({ figures }, at) => isCostJump(last[at - 1]?.figures, figures));
    expect(jumps.map(({ figures }) => figures.gaps)).toEqual(gaps.length === 0 ? [] : [gaps]);
    // What it cost is in no return.
    for (const hour of jumps)
      expect([hour.return.reason, checkHour(hour).ok]).toEqual([null, true]);
  },
);
