// A withdrawal that has no transaction yet when its hour is stated: without the correction it would be a flow to nowhere for ever, and a
// transfer between two accounts of one user a loss of one and a deposit of the other.

import { expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import { openStory, parsedOf, signedOf, STORY_START_MS } from '../../../helpers/track-story.ts';

const STEP_MS = 1_800_000;

it('is stated anew with its name when the venue tells it, once', async () => {
  const story = openStory(new MemoryStore());
  const { desk } = story;
  const sentMs = STORY_START_MS + 4 * STEP_MS - 60_000;
  const withdrawal = {
    ...depositedAt('w', sentMs, '1000'),
    type: 'withdrawal',
    direction: 'out',
  } as const;
  const sent = { ...withdrawal, status: 'ok', networkId: 'ab'.repeat(32) } as const;
  for (let step = 0; step < 16; step++) {
    desk.nowMs = STORY_START_MS + step * STEP_MS;
    const total = step < 4 ? '10000' : '9000';
    const usd = balanceOf('USD', total);
    if (step < 4) desk.poll({ records: [usd] });
    else if (step < 10) desk.poll({ records: [{ ...withdrawal, status: 'pending' }, usd] });
    else desk.poll({ records: [sent, usd] });
    story.record.look();
    await story.record.idle();
  }
  const hours = parsedOf(await signedOf(story)).filter((one) => one.kind === 'hour');
  const withFlow = hours.filter(({ figures }) => figures.flows.length > 0);
  expect(
    withFlow.map(({ figures: { flows, residual }, supersedes }) => ({
      named: flows.map(({ reference }) => reference?.length ?? null),
      supersedes: supersedes?.reason ?? null,
      residual,
    })),
  ).toEqual([
    { named: [null], supersedes: null, residual: 0n },
    { named: [16], supersedes: 'late_data', residual: 0n },
  ]);
  await story.record.close();
});
