// Hours from before the first poll are worked out backwards from what it found. What is told of that time later changes all
// that was there before it: those hours are stated anew from the first one on.

import { expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const OPENED_MS = Date.UTC(2026, 10, 20, 10);
const [FIRST_HOUR, LATE_HOUR, TOLD_HOUR, LAST_HOUR] = [-6, -3, 3, 5];

it('a deposit from before the first poll that is told late changes what was there before it', async () => {
  const desk = new TrackDesk(OPENED_MS);
  const story = { desk, record: openRecord(desk, new MemoryStore()) };
  const within = (hour: number): number => OPENED_MS + (hour + 0.5) * HOUR_MS;
  for (let hour = 0; hour <= LAST_HOUR; hour++) {
    desk.nowMs = OPENED_MS + hour * HOUR_MS + 60_000;
    const told = [
      ...(hour === 0 ? [depositedAt('first', within(FIRST_HOUR), '10')] : []),
      ...(hour === TOLD_HOUR ? [depositedAt('late', within(LATE_HOUR), '300')] : []),
    ];
    desk.poll({ records: [...told, balanceOf('USD', '1000')] });
    story.record.look();
    await story.record.idle();
  }

  const all = parsedOf(await signedOf(story)).filter((one) => one.kind === 'hour');
  const last = new Map(all.map((one) => [(one.figures.startMs - OPENED_MS) / HOUR_MS, one]));
  expect([...last.keys()]).toEqual([-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4]);
  const values = [...last.values()].map(({ figures: { equityStart, equityEnd, gaps } }) => {
    expect(gaps).not.toContain('value_jump');
    return [equityStart, equityEnd].map((value) => value === null || formatFixed(value));
  });
  const [before, behind] = ['700', '1000'];
  expect(values).toEqual([
    ['690', before],
    ...Array.from({ length: LATE_HOUR - FIRST_HOUR - 1 }, () => [before, before]),
    [before, behind],
    ...Array.from({ length: LAST_HOUR - LATE_HOUR - 1 }, () => [behind, behind]),
  ]);
  // Those from its own on are as they were.
  const corrected = all.filter(({ supersedes }) => supersedes !== null);
  const hours = corrected.map(({ figures }) => (figures.startMs - OPENED_MS) / HOUR_MS);
  expect(hours).toEqual([-6, -5, -4, -3]);
  expect(desk.fatal).toEqual([]);
});
