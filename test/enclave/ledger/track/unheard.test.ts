// A desk that is ahead of what its ledger has stored: polls that go on from others that no ledger took tell of no time as a
// whole, whenever they come, until the account has been read again. Interactive Brokers, whose query of the last day
// of business does not have the day any more on which money was paid out.

import { expect, it } from 'vitest';
import { formatFixed } from '../../../../wire/fixed.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import { poll, query, statement } from '../../../helpers/flex-query.ts';
import { MONDAY_MS } from '../../../helpers/flex-week.ts';
import { KeptStore } from '../../../helpers/kept-store.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { LEDGER_ACCOUNT } from '../../../helpers/track-store.ts';
import type { Story } from '../../../helpers/track-story.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const NEW_YORK_MS = 5 * HOUR_MS;

interface Scene extends Story {
  readonly store: KeptStore;
  /** From its end on there is less. */
  readonly paidOn: number;
}

function opened(paidOn: number): Scene {
  const desk = new TrackDesk(MONDAY_MS + 8 * HOUR_MS, { ...LEDGER_ACCOUNT, venue: 'ibkr' });
  const store = new KeptStore();
  return { desk, store, record: openRecord(desk, store), paidOn };
}

/** The last day of business that is over so many hours behind the begin of Monday. */
function answerAt(hours: number, paidOn: number): string {
  let day = Math.floor(hours / 24) - 1;
  while ([0, 6].includes(new Date(MONDAY_MS + day * DAY_MS).getUTCDay())) day--;
  const date = new Date(MONDAY_MS + day * DAY_MS - NEW_YORK_MS).toISOString().slice(0, 10);
  const name = date.replaceAll('-', '');
  const held = day >= paidOn ? 9300 : 10_000;
  const report = `<CashReportCurrency accountId="U1" currency="USD" endingCash="${held}" />`;
  const paid = `<CashTransaction accountId="U1" currency="USD" dateTime="${name};120000" amount="-700" type="Deposits/Withdrawals" transactionID="9" reportDate="${name}" description="OUT" />`;
  const sections = { report, cash: day === paidOn ? paid : '' };
  return query(statement('U1', sections, `fromDate="${name}" toDate="${name}"`));
}

/** Polls; gives how to tell the ledger. */
async function pollAt({ desk, paidOn }: Scene, hours: number): Promise<() => void> {
  desk.nowMs = MONDAY_MS + Math.round(hours * HOUR_MS);
  const { nowMs } = desk;
  const { cursors, fromMs, reads, sinceMs } = desk.state;
  const { done, records } = await poll([answerAt(hours, paidOn)], {
    cursors,
    fromMs,
    reads,
    nowMs,
  });
  desk.goesOn(done.cursors);
  return () => {
    desk.poll({ sinceMs, records, coverage: done.coverage, outcome: done.outcome });
  };
}

async function heardAt(scene: Scene, hours: number): Promise<void> {
  const tell = await pollAt(scene, hours);
  tell();
  scene.record.look();
  await scene.record.idle();
}

async function heard(
  scene: Scene,
  fromHours: number,
  toHours: number,
  stepHours: number,
): Promise<void> {
  for (let hours = fromHours; hours < toHours; hours += stepHours) await heardAt(scene, hours);
}

/** Of hours whose money is not explained: how much, and their gaps. */
async function unexplained(scene: Scene): Promise<readonly string[]> {
  const last = new Map<number, string>();
  for (const one of parsedOf(await signedOf(scene))) {
    if (one.kind !== 'hour') continue;
    const { startMs, residual, gaps } = one.figures;
    last.set(
      startMs,
      residual === null || residual === 0n ? '' : `${formatFixed(residual)} ${gaps.join()}`,
    );
  }
  expect(scene.desk.fatal).toEqual([]);
  return [...last.values()].filter((said) => said !== '');
}

const LOST = ['-700 history_limit'];
const TUESDAY = 1;
const WEDNESDAY = 2;

it.each([0, 1, 3])(
  'an enclave that starts, and polls %i times before its ledger has read what is stored',
  async (polls) => {
    const scene = opened(TUESDAY);
    await heard(scene, 8, 48, 3);
    // The database is away for as long as Tuesday is told, and the desk keeps all of it.
    for (let hours = 48; hours < 72; hours += 2) await pollAt(scene, hours);
    await scene.record.close();
    scene.desk.services();
    for (let at = 0; at < polls; at++) {
      const tell = await pollAt(scene, 72 + at / 12);
      tell();
    }
    scene.record = openRecord(scene.desk, scene.store);
    await scene.record.idle();
    await heard(scene, 72.5, 80, 0.5);
    await heard(scene, 80, 200, 3);
    expect(await unexplained(scene)).toEqual(LOST);
  },
);

/** The ledger's store is away for two days, and polls come to it that it cannot take. */
async function overflown(): Promise<{ readonly scene: Scene; readonly back: () => void }> {
  const scene = opened(WEDNESDAY);
  await heard(scene, 8, 57, 3);
  const { store } = scene;
  const save = store.savePoll.bind(store);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  store.savePoll = async (...told) => {
    await promise;
    return save(...told);
  };
  for (let hours = 57; hours < 98; hours += 0.5) {
    const tell = await pollAt(scene, hours);
    tell();
  }
  return {
    scene,
    back: () => {
      resolve(undefined);
    },
  };
}

it('a ledger that could not take polls, with one under way when it asks for them', async () => {
  const { scene, back } = await overflown();
  const tell = await pollAt(scene, 98.5);
  back();
  await scene.record.idle();
  expect(scene.record.counters['polls_not_taken']).toBeGreaterThan(0);
  tell();
  await scene.record.idle();
  await heard(scene, 98.6, 100, 0.2);
  await heard(scene, 100, 220, 3);
  expect(await unexplained(scene)).toEqual(LOST);
});

it('a ledger that could not take polls, asked for them in vain, and starts anew', async () => {
  const { scene, back } = await overflown();
  back();
  await scene.record.idle();
  // The desk has read the account within the hour, and the enclave ends before it does again.
  for (const hours of [98.1, 98.3, 98.5]) {
    scene.desk.state.again = null;
    await heardAt(scene, hours);
  }
  scene.desk.state.again = null;
  scene.desk.untaken.splice(0);
  scene.record = openRecord(scene.desk, scene.store);
  await scene.record.idle();
  expect(scene.desk.state.reads).toBe('anew');
  await heard(scene, 99, 220, 3);
  expect(await unexplained(scene)).toEqual(LOST);
});

it('a poll that goes on from one that nobody heard is no sync', async () => {
  const scene = opened(TUESDAY);
  await heard(scene, 8, 20, 3);
  const track = scene.record.track(scene.desk.account.id);
  const before = track?.sync;
  expect(before).toMatchObject({ outcome: 'complete' });
  await pollAt(scene, 20);
  scene.desk.state.again = null;
  await heardAt(scene, 21);
  const expected = { outcome: 'partial', lastSyncMs: before?.lastSyncMs };
  expect(track?.sync).toMatchObject(expected);
  expect(track?.closed.outcome).toBe('partial');
  await heardAt(scene, 22);
  expect(track?.sync).toMatchObject({ outcome: 'complete' });
});

it('a ledger of a new account that lacks its first poll asks for it', async () => {
  const scene = opened(TUESDAY);
  await pollAt(scene, 8);
  const { length } = scene.desk.resyncs;
  await heardAt(scene, 8.1);
  expect(scene.desk.resyncs.length).toBeGreaterThan(length);
  expect(scene.desk.state.reads).toBe('anew');
  await heard(scene, 8.2, 60, 3);
  expect(await unexplained(scene)).toEqual([]);
});
