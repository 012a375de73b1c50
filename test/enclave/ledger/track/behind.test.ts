// A ledger that polls come to faster than they can be stored: of what it has stored nothing is missing, so that whoever asks
// what it has heard of need only look at the last.

import { expect, it } from 'vitest';
import { MAX_QUEUED_POLLS } from '../../../../enclave/ledger/track/track-record.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { KeptStore } from '../../../helpers/kept-store.ts';
import { balanceOf, boughtAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { openRecord } from '../../../helpers/track-story.ts';

const START_MS = Date.UTC(2026, 10, 20, 20);

it('takes no poll behind one that it could not take, until it has asked for all of them again', async () => {
  const desk = new TrackDesk(START_MS);
  const store = new KeptStore();
  const record = openRecord(desk, store);
  await record.idle();
  const tell = (at: number): void => {
    desk.nowMs = START_MS + at * HOUR_MS;
    desk.goesOn(new Uint8Array(1));
    desk.poll({ records: [boughtAt(String(at), desk.nowMs, '1', '1'), balanceOf('USD', '1')] });
  };
  const { length } = desk.resyncs;
  const save = store.savePoll.bind(store);
  let saved = 0;
  store.savePoll = (...told) => {
    saved++;
    // There is room for one more.
    if (saved === 3) tell(MAX_QUEUED_POLLS + 2);
    return save(...told);
  };
  for (let at = 0; at < MAX_QUEUED_POLLS + 2; at++) tell(at);
  await record.idle();
  expect(record.counters['polls_not_taken']).toBe(3);
  expect(desk.untaken).toHaveLength(3);
  expect(desk.resyncs.slice(length)).toHaveLength(1);
  expect(desk.state.reads).toBe('anew');
  tell(MAX_QUEUED_POLLS + 3);
  await record.idle();
  expect(desk.untaken).toHaveLength(3);
  await record.close();
});
