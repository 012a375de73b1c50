// A ledger of another version, which cannot read the state that the one before it stored: the book is made again from all
// records, and what was stated stays.

import { expect, it } from 'vitest';
import type { Fill } from '../../../../enclave/connector/records.ts';
import type { LedgerAccount } from '../../../../enclave/ledger/protocol.ts';
import type { LoadedAccount } from '../../../../enclave/ledger/store/contract.ts';
import { MAX_HOURS, parseTrackState } from '../../../../enclave/ledger/track/track-state.ts';
import type { Result } from '../../../../wire/result.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { KeptStore } from '../../../helpers/kept-store.ts';
import { balanceOf, boughtAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const START_MS = Date.UTC(2026, 10, 20, 20, 10);
const HOURS = 144;

class OldStore extends KeptStore {
  isOld = false;
  readonly states: Uint8Array[] = [];

  override append(...args: Parameters<KeptStore['append']>): ReturnType<KeptStore['append']> {
    const { state } = args[1];
    if (state !== null) this.states.push(state.bytes);
    return super.append(...args);
  }

  override async load(account: LedgerAccount, withAll = false): Promise<Result<LoadedAccount>> {
    const loaded = assertAccepted(await super.load(account, withAll));
    const { state } = loaded;
    if (!this.isOld || state === null) return { ok: true, value: loaded };
    return { ok: true, value: { ...loaded, state: { ...state, bytes: new Uint8Array([0]) } } };
  }
}

it('states nothing anew, and goes on as if it had read it', async () => {
  const desk = new TrackDesk(START_MS);
  const store = new OldStore();
  let story = { desk, record: openRecord(desk, store) };
  const fills: Fill[] = [];
  const step = async (hour: number): Promise<void> => {
    desk.nowMs = START_MS + hour * HOUR_MS;
    if (hour % 10 === 5) fills.push(boughtAt(`f${hour}`, desk.nowMs - 600_000, '0.1', '60000'));
    const usd = 100_000 - 6001.5 * fills.length;
    const btc = (fills.length / 10).toFixed(1);
    // The venue tells the last days again, as a start has it do.
    const told = fills.filter(({ timeMs }) => timeMs >= desk.nowMs - 120 * HOUR_MS);
    desk.poll({ records: [...told, balanceOf('USD', String(usd)), balanceOf('BTC', btc)] });
    story.record.look();
    await story.record.idle();
  };
  for (let hour = 0; hour < HOURS; hour++) await step(hour);
  const before = parsedOf(await signedOf(story));

  store.isOld = true;
  expect(assertAccepted(await store.load(desk.account)).records.length).toBeLessThan(60);
  story = { desk, record: openRecord(desk, store) };
  await story.record.idle();
  expect(story.record.counters['states_unread']).toBe(1);
  for (let hour = HOURS; hour < HOURS + 6; hour++) await step(hour);
  const after = parsedOf(await signedOf(story));
  const hours = after.filter((one) => one.kind === 'hour');
  const more = after.slice(before.length).filter((one) => one.kind === 'hour');
  expect(more).toHaveLength(6);
  let [known] = hours.slice(-7);
  for (const one of more) {
    const { unrealisedEnd, unrealisedChange } = one.figures;
    expect(one).toMatchObject({ supersedes: null, figures: { complete: true, rebuilt: false } });
    expect([one.figures.residual, one.return.reason]).toEqual([0n, null]);
    // What is held has cost what it had cost.
    expect((unrealisedEnd ?? 0n) - (unrealisedChange ?? 0n)).toBe(known?.figures.unrealisedEnd);
    known = one;
  }
  expect(desk.fatal).toEqual([]);
});

it('stores no state on its way that does not read either', async () => {
  const desk = new TrackDesk(START_MS);
  const store = new OldStore();
  let record = openRecord(desk, store);
  for (let hour = 0; hour < MAX_HOURS + 60; hour++) {
    desk.nowMs = START_MS + hour * HOUR_MS;
    desk.poll({ records: [balanceOf('USD', '1000')] });
    await record.idle();
  }
  store.isOld = true;
  store.states.length = 0;
  record = openRecord(desk, store);
  record.look();
  await record.idle();
  expect(record.counters['states_unread']).toBe(1);
  expect(store.states.length).toBeGreaterThan(30);
  for (const bytes of store.states) expect(parseTrackState(bytes)).not.toBeNull();
}, 60_000);
