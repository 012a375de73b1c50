// Flows of which a venue tells again shortly before their own hour is settled, or days after it, in other words or under
// another date, and ledgers that end around it: a restart takes no return for what is booked, and nothing vanishes without
// a gap.

import { describe, expect, it } from 'vitest';
import type { Flow } from '../../../../enclave/connector/records.ts';
import { hourOf } from '../../../../enclave/ledger/track/hour-coverage.ts';
import { LATE_UNBOOKED } from '../../../../enclave/ledger/track/unbooked.ts';
import { FIXED_ONE } from '../../../../wire/fixed.ts';
import { NOT_BOOKED } from '../../../../wire/performance/hour-return.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import type { Scene, Told } from '../../../helpers/flow-scene.ts';
import { CANCELED, FAILED, NAMED, OK, PENDING, USD } from '../../../helpers/flow-scene.ts';
import { hoursOf, opened, poll, restart, tell, wait } from '../../../helpers/flow-scene.ts';
import { randomPicks } from '../../../helpers/random.ts';
import { depositedAt } from '../../../helpers/records.ts';
import { testSeed } from '../../../helpers/seed.ts';

const ROUNDS = 4;

/** A restart right before something is told, while it is stated, when it is, before that is begun, or hours later. */
type When = 'never' | 'before' | 'behind' | 'stated' | 'crash' | 'later';
const WHEN: readonly When[] = ['never', 'before', 'behind', 'stated', 'crash', 'later'];

interface Step {
  readonly told: Told;
  /** Since the last one. */
  readonly hours: number;
  readonly restart: When;
  /** What the venue dates it from now on: null, as before. */
  readonly datedHoursAgo: number | null;
}

interface Plan {
  readonly direction: Flow['direction'];
  readonly steps: readonly Step[];
}

function usdOf(direction: Flow['direction'], { status }: Told): number {
  const isThere = status === 'ok' || (status === 'pending' && direction === 'out');
  return !isThere ? USD : direction === 'in' ? USD + 5 : USD - 5;
}

async function pass(scene: Scene, hours: number, usd: number): Promise<void> {
  await wait(scene, Math.floor(hours / 24), usd);
  for (let hour = 0; hour < hours % 24; hour++) await tell(scene, null, usd);
}

/** Within the hour after the last poll, so that no statement rests on it before the next one. */
async function tellStep(scene: Scene, told: Told, usd: number, when: When): Promise<void> {
  const { desk, record } = scene.story;
  if (when === 'before') await restart(scene);
  desk.nowMs -= (11 * HOUR_MS) / 12;
  desk.ready = when !== 'crash';
  await tell(scene, told, usd);
  desk.ready = true;
  record.look();
  if (when === 'crash' || when === 'behind') await restart(scene);
  await record.idle();
  if (when === 'stated') await restart(scene);
  desk.nowMs -= HOUR_MS / 12;
  await pass(scene, 2, usd);
  if (when === 'later') await restart(scene);
}

async function playPlan({ direction, steps }: Plan, restarts: boolean): Promise<Scene> {
  const scene = await opened(direction);
  const { desk } = scene.story;
  let usd = USD;
  let timeMs = scene.atMs;
  for (const { told, hours, restart: when, datedHoursAgo } of steps) {
    await pass(scene, hours + 1, usd);
    usd = usdOf(direction, told);
    if (datedHoursAgo !== null) timeMs = Math.max(scene.atMs, desk.nowMs - datedHoursAgo * HOUR_MS);
    await tellStep(scene, { ...told, timeMs }, usd, restarts ? when : 'never');
  }
  await pass(scene, 2, usd);
  return scene;
}

/** What is signed, but for the names of transactions: a ledger that ends before it has stated one may be too late for it. */
async function signedIn(scene: Scene): Promise<readonly unknown[]> {
  return [...(await hoursOf(scene)).values()].map(({ figures, return: made }) => {
    const { startMs, gaps, residual, inflow, outflow, equityEnd } = figures;
    return { startMs, gaps, residual, inflow, outflow, equityEnd, made };
  });
}

async function gapsOf(scene: Scene): Promise<ReadonlySet<string>> {
  const hours = [...(await hoursOf(scene)).values()];
  return new Set(hours.flatMap(({ figures }) => figures.gaps));
}

/** The hours that have a gap. */
async function lackingIn(scene: Scene, gap: string): Promise<readonly number[]> {
  const hours = [...(await hoursOf(scene)).values()];
  return hours
    .filter(({ figures }) => figures.gaps.includes(gap))
    .map(({ figures }) => figures.startMs);
}

/** What figures have of the flow: what came in, less what went out. */
async function bookedIn(scene: Scene): Promise<bigint> {
  const hours = [...(await hoursOf(scene)).values()];
  return hours
    .filter(({ figures }) => figures.startMs > scene.atMs - HOUR_MS)
    .reduce((sum, { figures }) => sum + (figures.inflow ?? 0n) - (figures.outflow ?? 0n), 0n);
}

describe('a flow that is booked', () => {
  it.each(
    [66, 67, 69, 71].flatMap((hours) => [
      ['out', PENDING, hours, null] as const,
      ['out', PENDING, hours, 0] as const,
      ['out', OK, hours, 6] as const,
      ['in', OK, hours, null] as const,
      ['in', OK, hours, 0] as const,
    ]),
  )(
    'and has a transaction later keeps its return over a restart: %s %j, %i hours, dated %s hours ago',
    async (direction, told, hours, datedHoursAgo) => {
      const planOf = (when: When): Plan => ({
        direction,
        steps: [
          { told, hours: 0, restart: 'never', datedHoursAgo: null },
          { told: NAMED, hours, restart: when, datedHoursAgo },
        ],
      });
      const without = await signedIn(await playPlan(planOf('never'), false));
      for (const when of WHEN)
        expect(await signedIn(await playPlan(planOf(when), true)), when).toEqual(without);
    },
  );

  it.each(
    [0, 1, 23, 30].flatMap((hours) => [
      [{ amount: '4' }, { amount: '4', fee: { currency: 'USD', amount: '1' } }, hours] as const,
      [{ amount: '5' }, { amount: '4', fee: { currency: 'USD', amount: '1' } }, hours] as const,
      [{ amount: '4' }, { amount: '5' }, hours] as const,
    ]),
  )(
    'out, told as %j on its way, is %j from its begin, %i hours later',
    async (first, last, hours) => {
      const planOf = (when: When, before: Told): Plan => ({
        direction: 'out',
        steps: [
          { told: { ...PENDING, ...before }, hours: 0, restart: 'never', datedHoursAgo: null },
          { told: { ...OK, ...last }, hours, restart: when, datedHoursAgo: null },
          // A venue may say both of it, in turn.
          {
            told: { ...NAMED, ...PENDING, ...before },
            hours: 0,
            restart: 'never',
            datedHoursAgo: null,
          },
        ],
      });
      const atOnce = await signedIn(await playPlan(planOf('never', last), false));
      for (const when of WHEN)
        expect(await signedIn(await playPlan(planOf(when, first), true)), when).toEqual(atOnce);
    },
  );

  it.each(
    ([null, 10, 30] as const).flatMap((datedHoursAgo) => [
      ['out', { fee: { currency: 'USD', amount: '1' } }, datedHoursAgo, true] as const,
      ['out', { amount: '6' }, datedHoursAgo, true] as const,
      ['out', { fee: { currency: 'USD', amount: '0.00' } }, datedHoursAgo, false] as const,
      ['out', { amount: '5.0' }, datedHoursAgo, false] as const,
      ['in', { fee: { currency: 'USD', amount: '1' } }, datedHoursAgo, true] as const,
      ['in', { amount: '5.0' }, datedHoursAgo, false] as const,
    ]),
  )(
    '%s, is told days later, and moved %j, dated %s hours ago: its own hour lacks it, once: %s',
    async (direction, last, datedHoursAgo, lacks) => {
      const [first, again] = direction === 'out' ? [PENDING, OK] : [OK, NAMED];
      const usd = usdOf(direction, OK);
      for (const restarts of [false, true]) {
        const scene = await opened(direction);
        const { desk } = scene.story;
        await tell(scene, first, usd);
        await pass(scene, 100, usd);
        if (restarts) await restart(scene);
        const timeMs = datedHoursAgo === null ? scene.atMs : desk.nowMs - datedHoursAgo * HOUR_MS;
        for (const told of [last, last, null])
          await tell(scene, { ...again, ...told, timeMs }, usd);
        expect(await lackingIn(scene, NOT_BOOKED)).toEqual(lacks ? [hourOf(scene.atMs)] : []);
        expect(await lackingIn(scene, LATE_UNBOOKED)).toHaveLength(lacks ? 1 : 0);
      }
    },
  );

  it.each(
    [60, 66, 67, 68, 69, 70, 71].flatMap((hours) =>
      [null, 0, 10].map((datedHoursAgo) => [hours, datedHoursAgo] as const),
    ),
  )(
    'out, and is through with more %i hours later, dated %s hours ago, is in its hour, or that says so',
    async (hours, datedHoursAgo) => {
      const booked = new Set<When>();
      for (const when of WHEN) {
        const scene = await playPlan(
          {
            direction: 'out',
            steps: [
              { told: PENDING, hours: 0, restart: 'never', datedHoursAgo: null },
              { told: { ...OK, amount: '6' }, hours, restart: when, datedHoursAgo },
            ],
          },
          true,
        );
        const own = (await hoursOf(scene)).get(hourOf(scene.atMs));
        const isBooked = own?.figures.outflow === 6n * FIXED_ONE;
        expect([when, await lackingIn(scene, NOT_BOOKED)]).toEqual([
          when,
          isBooked ? [] : [hourOf(scene.atMs)],
        ]);
        if (isBooked) booked.add(when);
      }
      // What is stated stays so.
      const areStated = (['never', 'stated', 'later'] as const).map((when) => booked.has(when));
      expect(new Set(areStated)).toEqual(new Set([hours < 70]));
    },
  );

  it.each([30, 80])(
    'out, told as on its way behind that it is through, keeps its return %i hours later',
    async (hours) => {
      for (const restarts of [false, true]) {
        const scene = await opened('out');
        const usd = USD - 5;
        await tell(scene, { ...PENDING, amount: '4' }, usd);
        await tell(scene, OK, usd);
        await tell(scene, { ...NAMED, ...PENDING, amount: '4' }, usd);
        await pass(scene, hours, usd);
        if (restarts) await restart(scene);
        for (const told of [NAMED, null]) await tell(scene, told, usd);
        expect(await lackingIn(scene, NOT_BOOKED)).toEqual([]);
        expect(await bookedIn(scene)).toBe(-5n * FIXED_ONE);
      }
    },
  );

  it.each([['in'], ['out']] as const)(
    '%s, and was told days late keeps it when the next ledger cannot go back that far',
    async (direction) => {
      const usd = usdOf(direction, OK);
      const said: unknown[] = [];
      for (const isRestarted of [false, true]) {
        const scene = await opened(direction);
        await pass(scene, 60, usd);
        await tell(scene, OK, usd);
        await pass(scene, 20, usd);
        if (isRestarted) await restart(scene);
        await pass(scene, 2, usd);
        said.push(await signedIn(scene));
      }
      expect(said[1]).toEqual(said[0]);
    },
  );

  it('keeps it, too, when another corrects the hour in which the venue had dated it', async () => {
    const said: unknown[] = [];
    for (const isRestarted of [false, true]) {
      const scene = await opened('out');
      const { desk } = scene.story;
      await tell(scene, PENDING, USD - 5);
      await pass(scene, 67, USD - 5);
      await tell(scene, { ...NAMED, timeMs: desk.nowMs - 5 * HOUR_MS }, USD - 5);
      await pass(scene, 2, USD - 5);
      if (isRestarted) await restart(scene);
      await pass(scene, 1, USD - 5);
      desk.nowMs += HOUR_MS;
      const other = depositedAt('other', desk.nowMs - 11 * HOUR_MS, '1');
      await poll(scene.story, [other], USD - 4);
      await pass(scene, 3, USD - 4);
      said.push(await signedIn(scene));
    }
    expect(said[1]).toEqual(said[0]);
  });
});

describe('a flow that had turned back', () => {
  it.each(
    [66, 68, 75].flatMap((hours) => [
      ['in', FAILED, OK, hours] as const,
      ['in', CANCELED, OK, hours] as const,
      ['out', FAILED, PENDING, hours] as const,
    ]),
  )(
    '%s %j, and is %j, told first %i hours later, says the same over a restart',
    async (direction, first, last, hours) => {
      const planOf = (when: When): Plan => ({
        direction,
        steps: [
          { told: first, hours, restart: 'never', datedHoursAgo: null },
          { told: last, hours: 0, restart: when, datedHoursAgo: 0 },
        ],
      });
      const without = await signedIn(await playPlan(planOf('never'), false));
      for (const when of ['stated', 'later'] as const)
        expect(await signedIn(await playPlan(planOf(when), true)), when).toEqual(without);
    },
  );

  it.each([
    ['in', [FAILED, OK], { ...FAILED, networkId: 'two' }],
    ['in', [OK, CANCELED], NAMED],
    ['in', [PENDING, OK, CANCELED], NAMED],
    ['out', [OK, FAILED], NAMED],
    ['out', [PENDING, FAILED], NAMED],
  ] as const)(
    '%s %j, and is another way days later takes the return from its hour, once: %j',
    async (direction, first, again) => {
      const scene = await opened(direction);
      for (const told of first) await tell(scene, told, usdOf(direction, told));
      await wait(scene, 5, usdOf(direction, first[first.length - 1] ?? PENDING));
      for (const told of [again, again, null, null])
        await tell(scene, told, usdOf(direction, again));
      const hours = [...(await hoursOf(scene)).values()];
      const lacking = (gap: string): number =>
        hours.filter(({ figures }) => figures.gaps.includes(gap)).length;
      expect([lacking(NOT_BOOKED), lacking(LATE_UNBOOKED)]).toEqual([1, 1]);
    },
  );

  it.each([
    ['in', [FAILED, OK], NAMED],
    ['in', [FAILED, NAMED], OK],
    ['in', [OK, CANCELED], FAILED],
    ['out', [FAILED, OK], NAMED],
    ['out', [PENDING, FAILED], CANCELED],
  ] as const)(
    '%s %j, and is the same days later in another word keeps it: %j',
    async (direction, first, again) => {
      const scene = await opened(direction);
      for (const told of first) await tell(scene, told, usdOf(direction, told));
      await wait(scene, 5, usdOf(direction, again));
      for (const told of [again, null]) await tell(scene, told, usdOf(direction, again));
      const gaps = await gapsOf(scene);
      expect([gaps.has(NOT_BOOKED), gaps.has(LATE_UNBOOKED)]).toEqual([false, false]);
    },
  );
});

const HOURS: readonly number[] = [
  0, 0, 1, 5, 23, 25, 47, 49, 60, 65, 66, 67, 68, 69, 70, 71, 72, 73, 97, 120, 144,
];

function pickOf<T>(pick: (bound: number) => number, of: readonly T[]): T {
  const one = of[pick(of.length)];
  if (one === undefined) throw new RangeError('none to pick');
  return one;
}

/** Nothing but final words follow the first one. */
function planOf(pick: (bound: number) => number, wordsOf: (at: number) => readonly Told[]): Plan {
  const direction = pickOf(pick, ['in', 'out'] as const);
  const steps = Array.from({ length: 2 + pick(3) }, (_, at) => ({
    told: pickOf(pick, wordsOf(at)),
    hours: at < 2 ? 0 : pickOf(pick, HOURS),
    restart: at < 2 ? 'never' : pickOf(pick, WHEN),
    datedHoursAgo: pickOf(pick, [null, null, 0, 4]),
  }));
  return { direction, steps };
}

const THERE: readonly Told[] = [OK, NAMED];
const GONE: readonly Told[] = [FAILED, CANCELED];

/** Stores have a name once: a flow that turned back and is told in the very same words as before is taken for told. */
function isToldAgain({ direction, steps }: Plan): boolean {
  const told = steps.map((step) => ({ told: step.told, usd: usdOf(direction, step.told) }));
  return told.some((one, at) => {
    const before = told.findIndex((other) => other.told === one.told);
    return told.slice(before, at).some(({ usd }) => usd !== one.usd);
  });
}

describe('whatever a venue tells, and whenever', () => {
  it('restarts change nothing where it moves no money', async () => {
    const seed = testSeed();
    const pick = randomPicks(seed);
    for (let round = 0; round < ROUNDS; round++) {
      const ended = pickOf(pick, [THERE, GONE]);
      const begun = [PENDING, ...(ended === THERE ? GONE : THERE)];
      const plan = planOf(pick, (at) => (at === 0 ? begun : ended));
      const without = await signedIn(await playPlan(plan, false));
      const why = `seed ${seed}: ${JSON.stringify(plan)}`;
      expect(await signedIn(await playPlan(plan, true)), why).toEqual(without);
    }
  }, 60_000);

  it('figures have it, or say that they lack it', async () => {
    const seed = testSeed();
    const pick = randomPicks(seed);
    for (let round = 0; round < ROUNDS; round++) {
      const plan = planOf(pick, (at) => [...THERE, ...GONE, ...(at === 0 ? [PENDING] : [])]);
      if (isToldAgain(plan)) continue;
      for (const restarts of [false, true]) {
        const scene = await playPlan(plan, restarts);
        const { told } = plan.steps.at(-1) ?? { told: PENDING };
        const moved = BigInt(usdOf(plan.direction, told) - USD) * 10n ** 18n;
        const isSaid = (await gapsOf(scene)).has(NOT_BOOKED);
        const why = `seed ${seed}: ${JSON.stringify(plan)}`;
        expect(isSaid || (await bookedIn(scene)) === moved, why).toBe(true);
      }
    }
  }, 60_000);
});
