// Deposits and withdrawals that turn out otherwise when the hours that they are in are settled: no hour keeps a return that
// lacks one, none loses it for what was told before, and no restart makes a difference.

import { describe, expect, it } from 'vitest';
import { LATE_UNBOOKED } from '../../../../enclave/ledger/track/unbooked.ts';
import { NOT_BOOKED } from '../../../../wire/performance/hour-return.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import type { Hour, Scene, Told } from '../../../helpers/flow-scene.ts';
import { CANCELED, FAILED, NAMED, OK, PENDING, USD } from '../../../helpers/flow-scene.ts';
import { hoursOf, opened, restart, tell, wait } from '../../../helpers/flow-scene.ts';
import { randomPicks } from '../../../helpers/random.ts';
import { testSeed } from '../../../helpers/seed.ts';

async function hourAt(scene: Scene, timeMs: number): Promise<Hour | undefined> {
  return (await hoursOf(scene)).get(timeMs - (timeMs % HOUR_MS));
}

async function withGap(scene: Scene, gap: string): Promise<readonly number[]> {
  const hours = [...(await hoursOf(scene)).values()];
  return hours
    .filter(({ figures }) => figures.gaps.includes(gap))
    .map((one) => one.figures.startMs);
}

describe('a flow that failed and is through after all', () => {
  it.each([
    ['in', [FAILED], 5],
    ['in', [CANCELED], 5],
    ['in', [PENDING, FAILED], 5],
    ['in', [PENDING, FAILED], 20],
    ['out', [FAILED], 5],
    ['out', [PENDING, CANCELED], 5],
  ] as const)('%s, %j and %d days: its hour loses its return', async (direction, first, days) => {
    const scene = await opened(direction);
    for (const told of first) await tell(scene, told);
    await wait(scene, days);
    const usd = direction === 'in' ? USD + 5 : USD - 5;
    await tell(scene, OK, usd);
    const toldMs = scene.story.desk.nowMs;
    for (const told of [OK, null]) await tell(scene, told, usd);
    expect(await hourAt(scene, scene.atMs)).toMatchObject({
      return: { ratio: null },
      supersedes: { reason: LATE_UNBOOKED },
    });
    // Once, however often it is told.
    expect(await withGap(scene, LATE_UNBOOKED)).toEqual([toldMs - (toldMs % HOUR_MS)]);
  });

  it.each([[false], [true]])(
    'at a time of which nothing is stated yet: that hour has none either, with a restart: %s',
    async (isRestarted) => {
      const scene = await opened('out');
      for (const told of [PENDING, FAILED]) await tell(scene, told);
      await wait(scene, 5);
      // When it is told, the hour before it is stated, and the record is one of those that this rests on.
      const doneMs = scene.story.desk.nowMs + HOUR_MS - 60_000;
      await tell(scene, { ...OK, timeMs: doneMs }, USD - 5);
      expect(await hourAt(scene, doneMs)).toBe(undefined);
      if (isRestarted) await restart(scene);
      for (const told of [null, null]) await tell(scene, told, USD - 5);
      expect(await withGap(scene, NOT_BOOKED)).toEqual([doneMs - (doneMs % HOUR_MS)]);
    },
  );

  it('at a time that is settled, though it failed later: the hour that lacks it has none', async () => {
    const scene = await opened('in');
    await wait(scene, 5);
    const failedMs = scene.story.desk.nowMs + HOUR_MS - 60_000;
    await tell(scene, { ...FAILED, timeMs: failedMs });
    for (const told of [OK, null]) await tell(scene, told, USD + 5);
    expect(await withGap(scene, NOT_BOOKED)).toEqual([scene.atMs - (scene.atMs % HOUR_MS)]);
  });
});

async function came(): Promise<Scene & { readonly cameMs: number }> {
  const scene = await opened();
  await tell(scene, PENDING);
  await wait(scene, 4);
  await tell(scene, NAMED, USD + 5);
  await tell(scene, null, USD + 5);
  const counted = [...(await hoursOf(scene)).values()].filter(
    ({ figures }) => figures.startMs > scene.atMs && figures.flows.length > 0,
  );
  expect(counted).toHaveLength(1);
  return { ...scene, cameMs: counted[0]?.figures.startMs ?? 0 };
}

describe('a deposit that came days after the venue had dated it', () => {
  it.each([
    ['', { ...NAMED, status: 'canceled' }],
    [', without its transaction', CANCELED],
    [', with another', { status: 'failed', networkId: 'two' }],
  ] as const)(
    'and is taken back takes the return from the hour in which it came%s',
    async (_, back) => {
      const scene = await came();
      await wait(scene, 5, USD + 5);
      const before = await hourAt(scene, scene.atMs);
      await tell(scene, back);
      await tell(scene, back);
      expect(await withGap(scene, NOT_BOOKED)).toEqual([scene.cameMs]);
      expect(await hourAt(scene, scene.atMs)).toEqual(before);
      expect(await withGap(scene, LATE_UNBOOKED)).toHaveLength(1);
    },
  );

  it('and is taken back in time counts nowhere', async () => {
    const scene = await came();
    await wait(scene, 1, USD + 5);
    await tell(scene, { ...NAMED, status: 'canceled' });
    await tell(scene, null);
    const hour = await hourAt(scene, scene.cameMs);
    expect([hour?.figures.flows, hour?.figures.inflow]).toEqual([[], 0n]);
    expect(scene.story.record.counters['hours_not_reopened']).toBe(0);
  });

  it('while nobody could ask counts in the hour after the last poll', async () => {
    const scene = await opened();
    await tell(scene, PENDING);
    await wait(scene, 4);
    const { desk, record } = scene.story;
    const lastMs = desk.nowMs;
    desk.nowMs += 5 * HOUR_MS;
    desk.missed(lastMs, desk.nowMs, 'exchange_unavailable');
    record.look();
    await record.idle();
    await tell(scene, OK, USD + 5);
    await tell(scene, null, USD + 5);
    expect((await hourAt(scene, lastMs))?.figures.flows).toHaveLength(1);
    expect(record.counters['hours_not_reopened']).toBe(0);
  });
});

describe('a restart', () => {
  it.each([
    ['in', [PENDING], 5, FAILED, [false, true]],
    ['in', [PENDING, FAILED], 5, FAILED, [true, true]],
    ['out', [PENDING, OK], 19, OK, [true, true]],
    ['out', [PENDING, OK], 5, NAMED, [false, true]],
    ['in', [PENDING, OK], 5, NAMED, [false, false]],
    ['in', [PENDING, NAMED], 5, OK, [false, true]],
  ] as const)(
    'takes no return for what was told before: %s %j, %d days, %j',
    async (direction, first, days, again, [before, behind]) => {
      const isThrough = first.some((told) => told !== FAILED && told !== PENDING);
      const usd = isThrough && direction === 'in' ? USD + 5 : direction === 'in' ? USD : USD - 5;
      const scene = await opened(direction);
      for (const told of first)
        await tell(scene, told, told === PENDING && direction === 'in' ? USD : usd);
      await wait(scene, days, usd);
      const hour = await hourAt(scene, scene.atMs);
      if (before) await restart(scene);
      // Within the hour after the last one, so that no statement rests on it when the ledger ends.
      scene.story.desk.nowMs -= (11 * HOUR_MS) / 12;
      await tell(scene, again, usd);
      if (behind) await restart(scene);
      for (const told of [null, null]) await tell(scene, told, usd);
      expect(hour).toMatchObject({ return: { reason: null } });
      expect(await hourAt(scene, scene.atMs)).toEqual(hour);
      expect(await withGap(scene, LATE_UNBOOKED)).toEqual([]);
    },
  );
});

/** What a venue says of three flows: under way, then how each ended, again and again, and now and then nothing for days. */
interface Step {
  readonly told: Told;
  readonly days: number;
  /** Right before it is told, and right behind. */
  readonly restarts: readonly [boolean, boolean];
}

function planOf(pick: (bound: number) => number): readonly Step[] {
  const flows = [0, 1, 2].map((at) => {
    const isIn = pick(2) === 0;
    const kind: Told = isIn
      ? { type: 'deposit', direction: 'in' }
      : { type: 'withdrawal', direction: 'out' };
    return { told: { ...kind, id: `f${at}` }, ended: [OK, NAMED, FAILED, CANCELED][pick(4)] };
  });
  const restartsOf = (): Step['restarts'] => [pick(3) === 0, pick(3) === 0];
  const begun = flows.map(({ told }) => ({
    told: { ...told, ...PENDING },
    days: 0,
    restarts: restartsOf(),
  }));
  const ended = Array.from({ length: 6 }, () => {
    const { told, ended: end } = flows[pick(3)] ?? {};
    return { told: { ...told, ...end }, days: [0, 0, 4, 5][pick(4)] ?? 0, restarts: restartsOf() };
  });
  return [...begun, ...ended];
}

async function playPlan(plan: readonly Step[], restarts: boolean): Promise<Scene> {
  const scene = await opened();
  const { desk } = scene.story;
  for (const {
    told,
    days,
    restarts: [before, behind],
  } of plan) {
    await wait(scene, days);
    await tell(scene, null);
    if (restarts && before) await restart(scene);
    desk.nowMs -= (11 * HOUR_MS) / 12;
    await tell(scene, told);
    if (restarts && behind) await restart(scene);
    desk.nowMs -= HOUR_MS / 12;
    await tell(scene, null);
  }
  await tell(scene, null);
  return scene;
}

it('restarts change nothing of what is said of flows', async () => {
  const seed = testSeed();
  const pick = randomPicks(seed);
  for (let round = 0; round < 4; round++) {
    const plan = planOf(pick);
    const said: unknown[] = [];
    for (const restarts of [false, true]) {
      const scene = await playPlan(plan, restarts);
      const hours = [...(await hoursOf(scene)).values()];
      said.push(hours.map(({ figures, return: made }) => ({ figures, made })));
    }
    expect(said[1], `seed ${seed}: ${JSON.stringify(plan)}`).toEqual(said[0]);
  }
}, 60_000);
