// Hours from before the first poll are worked out backwards from what it found. What is told of that time later changes all
// that was there before it: those hours are stated anew from the first one on, as long as they can be worked out again.

import { expect, it } from 'vitest';
import type { Coverage } from '../../../../enclave/connector/classes.ts';
import type { ConnectorRecord } from '../../../../enclave/connector/records.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import type { HourStatement } from '../../../../wire/track/hour.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import type { Story } from '../../../helpers/track-story.ts';
import { openAt, parsedOf, restart, signedOf } from '../../../helpers/track-story.ts';

const OPENED_MS = Date.UTC(2026, 10, 20, 10);
const [FIRST_HOUR, LATE_HOUR] = [-6, -3];

/** Behind the begin of the hour. */
function within(hour: number): number {
  return OPENED_MS + (hour + 0.5) * HOUR_MS;
}

/** `historyHours`: how far back the venue tells of everything. */
async function poll(
  { desk, record }: Story,
  hour: number,
  told: readonly ConnectorRecord[] = [],
  historyHours = 0,
): Promise<void> {
  desk.nowMs = OPENED_MS + hour * HOUR_MS + 60_000;
  const { nowMs: toMs } = desk;
  const span = { market: 'all', toMs, complete: true, reason: null } as const;
  const coverage: Coverage[] = [{ ...span, what: 'balances', fromMs: toMs }];
  if (historyHours > 0)
    coverage.push({ ...span, what: 'deposits', fromMs: OPENED_MS - historyHours * HOUR_MS });
  desk.poll({ records: [...told, balanceOf('USD', '1000')], coverage });
  record.look();
  await record.idle();
  expect(desk.fatal).toEqual([]);
}

async function pollAll(story: Story, from: number, to: number): Promise<void> {
  for (let hour = from; hour < to; hour++) await poll(story, hour);
}

interface Stated {
  readonly all: readonly HourStatement[];
  /** At last, by the number of the hour. */
  readonly last: ReadonlyMap<number, HourStatement>;
  readonly corrected: readonly number[];
}

function numberOf({ figures }: HourStatement): number {
  return (figures.startMs - OPENED_MS) / HOUR_MS;
}

async function statedIn(story: Story): Promise<Stated> {
  const all = parsedOf(await signedOf(story)).filter((one) => one.kind === 'hour');
  const last = new Map(all.map((one) => [numberOf(one), one]));
  const corrected = all.filter(({ supersedes }) => supersedes !== null).map(numberOf);
  return { all, last, corrected };
}

function valuesOf(stated: Stated): readonly (readonly (string | null)[])[] {
  return [...stated.last.values()].map(({ figures: { equityStart, equityEnd, gaps } }) => {
    expect(gaps).not.toContain('value_jump');
    return [equityStart, equityEnd].map((value) => (value === null ? null : formatFixed(value)));
  });
}

function times<T>(count: number, value: T): readonly T[] {
  return Array.from({ length: count }, () => value);
}

it('a deposit from before the first poll that is told late changes what was there before it', async () => {
  const story = openAt(OPENED_MS);
  await poll(story, 0, [depositedAt('first', within(FIRST_HOUR), '10')]);
  await pollAll(story, 1, 3);
  await poll(story, 3, [depositedAt('late', within(LATE_HOUR), '300')]);
  await pollAll(story, 4, 6);
  const stated = await statedIn(story);
  expect([...stated.last.keys()]).toEqual([-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4]);
  expect(valuesOf(stated)).toEqual([
    ['690', '700'],
    ...times(2, ['700', '700']),
    ['700', '1000'],
    ...times(7, ['1000', '1000']),
  ]);
  // Those behind its own are as they were.
  expect(stated.corrected).toEqual([-6, -5, -4, -3]);
});

it('after a restart that has let go of what the first poll found, it is in no figure, and its hour says so', async () => {
  const story = openAt(OPENED_MS);
  await poll(story, 0, [depositedAt('first', within(FIRST_HOUR), '10')]);
  await pollAll(story, 1, 27);
  await restart(story);
  await poll(story, 27, [depositedAt('late', within(LATE_HOUR), '300')]);
  await pollAll(story, 28, 30);
  const stated = await statedIn(story);
  expect(valuesOf(stated)).toEqual([['990', '1000'], ...times(34, ['1000', '1000'])]);
  expect(stated.corrected).toEqual([LATE_HOUR]);
  expect(stated.last.get(LATE_HOUR)?.figures.gaps).toContain('not_booked');
  const residuals = stated.all.map(({ figures }) => figures.residual ?? 0n);
  expect(residuals).toEqual(times(residuals.length, 0n));
});

it('a withdrawal from before the first poll that failed is in no hour, the first one among them', async () => {
  const story = openAt(OPENED_MS);
  const withdrawal = depositedAt('w', within(FIRST_HOUR), '300');
  const asked = { ...withdrawal, direction: 'out', type: 'withdrawal', status: 'pending' } as const;
  await poll(story, 0, [asked]);
  await pollAll(story, 1, 3);
  await poll(story, 3, [{ ...asked, status: 'failed' }]);
  await pollAll(story, 4, 6);
  const stated = await statedIn(story);
  expect(valuesOf(stated)).toEqual(times(11, ['1000', '1000']));
  for (const { figures } of stated.last.values()) expect(figures.outflow).toBe(0n);
});

it('hours of a week before keep their polls and gaps when they are stated anew', async () => {
  const story = openAt(OPENED_MS);
  const fine = depositedAt('fine', within(-120), '0.1234567890123456789');
  await poll(story, 0, [depositedAt('first', within(-150), '10'), fine], 168);
  for (const hour of [1, 2]) await poll(story, hour, [], 168);
  const sayOf = async (): Promise<readonly unknown[]> => {
    const { last } = await statedIn(story);
    return [-121, -120].map((hour) => {
      const { figures, basis, return: made } = last.get(hour) ?? {};
      return [figures?.polls, figures?.complete, figures?.gaps, basis?.polls.length, made?.reason];
    });
  };
  const before = await sayOf();
  expect(before).toEqual([
    [1, true, [], 1, null],
    [1, false, ['too_precise'], 1, 'incomplete'],
  ]);
  await poll(story, 3, [depositedAt('late', within(-50), '300')], 168);
  await poll(story, 4, [], 168);
  expect((await statedIn(story)).corrected).toContain(-120);
  expect(await sayOf()).toEqual(before);
});
