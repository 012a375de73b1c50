// What is on its way when an account is connected, or is told of an hour that is stated, and ledgers that start before it is
// there: it counts when it comes, once, and nothing is stated anew because somebody waits for it.

import { expect, it } from 'vitest';
import type { Flow } from '../../../../enclave/connector/records.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import type { HourStatement } from '../../../../wire/track/hour.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import type { Story } from '../../../helpers/track-story.ts';
import { openAt, parsedOf, restart, signedOf } from '../../../helpers/track-story.ts';

const START_MS = Date.UTC(2026, 10, 20);
const CAME_HOUR = 37;
const DEPOSIT: Flow = depositedAt('d', START_MS - 25.5 * HOUR_MS, '300');
const ON_WAY: Flow = { ...DEPOSIT, status: 'pending' };

async function poll(story: Story, hour: number, flows: readonly Flow[], usd = 1000): Promise<void> {
  story.desk.nowMs = START_MS + hour * HOUR_MS + 60_000;
  story.desk.poll({ records: [...flows, balanceOf('USD', String(usd)), balanceOf('BTC', '1')] });
  story.record.look();
  await story.record.idle();
}

async function hoursOf(story: Story): Promise<readonly HourStatement[]> {
  return parsedOf(await signedOf(story)).filter((one) => one.kind === 'hour');
}

/** What the hours from one on say at last. */
async function movedIn(story: Story, fromHour: number): Promise<readonly (readonly string[])[]> {
  const last = new Map((await hoursOf(story)).map((one) => [one.figures.startMs, one]));
  return [...last.values()].flatMap(({ figures, return: made }) => {
    if (figures.startMs < START_MS + fromHour * HOUR_MS) return [];
    const { inflow, outflow, residual, equityEnd } = figures;
    const money = [inflow, outflow, residual, equityEnd].map((one) =>
      one === null ? 'unknown' : formatFixed(one),
    );
    return [[...money, made.ratio ?? made.reason ?? '', figures.gaps.join()]];
  });
}

/** `toldHour`: when it is told that it is on its way; then the ledgers start, and at last something else is told late. */
async function play(toldHour: number, restarts: readonly number[]): Promise<Story> {
  const story = openAt(START_MS);
  for (let hour = 0; hour <= 56; hour++) {
    if (restarts.includes(hour)) await restart(story);
    const lateMs = START_MS + 33.5 * HOUR_MS;
    const out = {
      ...depositedAt('out', lateMs + 1, '5'),
      direction: 'out',
      type: 'withdrawal',
    } as const;
    const flows = [
      ...(hour === toldHour ? [ON_WAY] : []),
      ...(hour === CAME_HOUR ? [DEPOSIT] : []),
      ...(hour === 53 ? [depositedAt('in', lateMs, '5'), out] : []),
    ];
    await poll(story, hour, flows, hour < CAME_HOUR ? 1000 : 1300);
  }
  return story;
}

it.each([
  [0, [30]],
  [0, [52]],
  [0, [26, 36, 52]],
  [1, [30]],
  [1, [52]],
  [3, [30, 52]],
] as const)(
  'a deposit told in hour %i as on its way comes once, with starts in %j',
  async (told, restarts) => {
    const whole = await movedIn(await play(told, []), 32);
    expect(whole.filter(([inflow]) => inflow === '300')).toHaveLength(1);
    expect(await movedIn(await play(told, restarts), 32)).toEqual(whole);
  },
);

it.each([
  [2, [26, 52, 78]],
  [4, [26, 40, 60, 78]],
  [10, [30, 31, 55, 80]],
  [28, [30, 31, 55, 80]],
] as const)(
  'one in hours that were worked out backwards, told in hour %i, is known over starts in %j',
  async (told, restarts) => {
    const deposit = depositedAt('d', START_MS - 9.5 * HOUR_MS, '300');
    const history = [1, 5, 9, 10, 11, 15].map((hour) =>
      depositedAt(`first${hour}`, START_MS - (20.25 - hour) * HOUR_MS, '10'),
    );
    const story = openAt(START_MS);
    for (let hour = 0; hour <= 86; hour++) {
      if ((restarts as readonly number[]).includes(hour)) await restart(story);
      const flows = [
        ...(hour === 0 ? history : []),
        ...(hour === told ? [{ ...deposit, status: 'pending' as const }] : []),
        ...(hour === 82 ? [deposit] : []),
      ];
      await poll(story, hour, flows, hour < 82 ? 1000 : 1300);
    }
    const moved = (await movedIn(story, 79)).filter(([inflow]) => inflow !== '0');
    expect(
      moved.map(([inflow, , residual, , made]) => [inflow, residual, made?.includes('_')]),
    ).toEqual([['300', '0', false]]);
    for (const [, , residual] of await movedIn(story, 1)) expect(residual).toBe('0');
  },
);

it.each([4, 26])(
  'the fee of a withdrawal from before the first poll changes no hour after a start in hour %i',
  async (hours) => {
    const facts = {
      ...depositedAt('w', START_MS - 2.5 * HOUR_MS, '300'),
      direction: 'out',
    } as const;
    const withdrawal: Flow = { ...facts, type: 'withdrawal', status: 'pending' };
    const story = openAt(START_MS);
    const first = depositedAt('first', START_MS - 5.5 * HOUR_MS, '10');
    for (let hour = 0; hour <= hours; hour++)
      await poll(story, hour, hour === 0 ? [first, withdrawal] : []);
    await restart(story);
    const fee = { currency: 'USD', amount: '50' };
    const through = { ...withdrawal, status: 'ok', fee, networkId: 'one' } as const;
    await poll(story, hours + 1, [through]);
    await poll(story, hours + 2, [through]);
    for (let hour = hours + 3; hour <= hours + 5; hour++) await poll(story, hour, []);
    const moved = await movedIn(story, -6);
    const residuals = moved.map(([, , residual]) => residual);
    expect(residuals.filter((residual) => residual !== '0' && residual !== 'unknown')).toEqual([]);
    // Where the hour cannot be worked out again it says that it lacks something, once.
    const lacking = moved
      .map(([, , , , , gaps]) => gaps)
      .filter((gaps) => gaps?.includes('not_booked') === true);
    expect(lacking).toHaveLength(hours === 4 ? 0 : 1);
    const late = moved.filter(([, , , , , gaps]) => gaps?.includes('late_unbooked') === true);
    expect(late).toHaveLength(lacking.length);
  },
);

it('what is on its way has nothing stated anew, whatever prices say after a start', async () => {
  const story = openAt(START_MS);
  for (let hour = 0; hour <= 60; hour++) await poll(story, hour, []);
  const before = parsedOf(await signedOf(story)).length;
  const told: Flow = { ...depositedAt('p', START_MS + 45.5 * HOUR_MS, '5'), status: 'pending' };
  await poll(story, 60.5, [told]);
  story.desk.moreUsd = 7;
  await restart(story);
  story.record.look();
  await story.record.idle();
  expect(parsedOf(await signedOf(story))).toHaveLength(before);
});
