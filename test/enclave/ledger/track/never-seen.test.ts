// An account whose polls all fail, for as long as that goes on: what is kept of them is what could still be stated of them.

import { expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { KEPT_HOURS } from '../../../../enclave/ledger/track/hour-coverage.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

it('polls that failed before an account was seen are let go of, but for the last days', async () => {
  const desk = new TrackDesk(Date.UTC(2026, 10, 10, 0, 10));
  const story = { desk, record: openRecord(desk, new MemoryStore()) };
  const fail = { records: [], outcome: 'failed', reason: 'permission', coverage: [] } as const;
  for (let hour = 0; hour < 7 * 24; hour++) {
    desk.poll(fail);
    story.record.look();
    await story.record.idle();
    desk.nowMs += HOUR_MS;
  }
  const deposit = depositedAt('d', desk.nowMs - 6 * DAY_MS, '1000');
  for (let hour = 0; hour < 2; hour++) {
    desk.poll({ records: [deposit, balanceOf('USD', '1000')] });
    story.record.look();
    await story.record.idle();
    desk.nowMs += HOUR_MS;
  }
  const hours = parsedOf(await signedOf(story)).flatMap((one) =>
    one.kind === 'hour' && one.figures.rebuilt ? [one.figures.gaps.join()] : [],
  );
  const failed = hours.filter((gaps) => gaps === 'permission');
  expect([hours[0], failed.length]).toEqual(['no_poll', KEPT_HOURS]);
  expect(hours.length).toBeGreaterThan(140);
});
