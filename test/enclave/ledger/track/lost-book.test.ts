// A ledger that cannot read the book that the one before it stored, and cannot make it again, after days in which nobody could
// ask: the record goes on with the next poll, and the hours up to it are stated as not booked, without a hole.

import { expect, it } from 'vitest';
import type { LedgerAccount } from '../../../../enclave/ledger/protocol.ts';
import type { LoadedAccount } from '../../../../enclave/ledger/store/contract.ts';
import { NOT_BOOKED } from '../../../../wire/performance/hour-return.ts';
import type { Result } from '../../../../wire/result.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import { KeptStore } from '../../../helpers/kept-store.ts';
import { balanceOf } from '../../../helpers/records.ts';
import {
  openRecord,
  openStory,
  parsedOf,
  playStep,
  signedOf,
} from '../../../helpers/track-story.ts';

const OUTAGE_HOURS = 80;
const DOWN_HOURS = 30;

/** Its states are of a layout that nobody knows any more, and polls told more balances than are kept. */
class OldStore extends KeptStore {
  override async load(account: LedgerAccount, withAll = false): Promise<Result<LoadedAccount>> {
    const loaded = assertAccepted(await super.load(account, withAll));
    const { state } = loaded;
    const old = state === null ? null : { ...state, bytes: new Uint8Array([0]) };
    const records = loaded.records.map((one) =>
      one.kind === 'poll' ? { ...one, observed: null } : one,
    );
    return { ok: true, value: { ...loaded, records, state: old } };
  }
}

it('states the hours that no book has, and their midnight, before those of the new one', async () => {
  const store = new OldStore();
  const story = openStory(store);
  const { desk } = story;
  for (let step = 0; step < 4; step++) await playStep(story, step);
  for (let hour = 0; hour < OUTAGE_HOURS; hour++) {
    desk.missed(desk.nowMs, desk.nowMs + HOUR_MS, 'exchange_unavailable');
    desk.nowMs += HOUR_MS;
    story.record.look();
    await story.record.idle();
  }
  const lastMs = story.record.track(desk.account.id)?.chain?.lastHourMs ?? 0;

  desk.nowMs += DOWN_HOURS * HOUR_MS;
  story.record = openRecord(desk, store);
  await story.record.idle();
  expect(assertAccepted(await store.load(desk.account)).state).not.toBe(null);
  const polledMs = desk.nowMs - (desk.nowMs % HOUR_MS);
  for (let hour = 0; hour < 3; hour++) {
    desk.poll({ records: [balanceOf('USD', '100000')] });
    await story.record.idle();
    desk.nowMs += HOUR_MS;
  }
  expect(desk.fatal).toEqual([]);

  const all = parsedOf(await signedOf(story));
  const later = all.flatMap((one) =>
    one.kind === 'hour' && one.figures.startMs > lastMs ? [one.figures] : [],
  );
  const { length } = later;
  expect(later.map(({ startMs }) => startMs)).toEqual(
    Array.from({ length }, (_, at) => lastMs + (at + 1) * HOUR_MS),
  );
  const missing = later.filter(({ gaps }) => gaps.includes(NOT_BOOKED));
  expect(missing.map(({ startMs }) => startMs)).toEqual(
    later.map(({ startMs }) => startMs).filter((startMs) => startMs < polledMs),
  );
  expect(missing.length).toBeGreaterThan(DOWN_HOURS - 2);
  expect(missing.every(({ equityEnd, complete }) => equityEnd === null && !complete)).toBe(true);
  expect(later.at(-1)?.equityEnd).not.toBe(null);
  const midnights = all.flatMap((one) => (one.kind === 'snapshot' ? [one.atMs] : []));
  expect(midnights).toContain(polledMs - (polledMs % DAY_MS));
});
