// Two days of one account, always the same: a trade, a deposit, an outage, a trade that is told late, and midnights. What a
// ledger made of it is compared between stores, and between runs that crash and runs that do not.

import { expect } from 'vitest';
import type { ConnectorRecord } from '../../enclave/connector/records.ts';
import type { TrackStore } from '../../enclave/ledger/store/contract.ts';
import { TrackRecord } from '../../enclave/ledger/track/track-record.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import type { ChainStatement } from '../../wire/track/statement.ts';
import { parseChainStatement } from '../../wire/track/statement.ts';
import { assertAccepted } from '../../wire/result.ts';
import { KeptStore } from './kept-store.ts';
import { balanceOf, boughtAt, depositedAt } from './records.ts';
import { BOOKS, TrackDesk } from './track-desk.ts';

const MINUTE_MS = 60_000;

export const STORY_START_MS: number = Date.UTC(2026, 10, 20, 20, 10);
const POLL_MS: number = 30 * MINUTE_MS;

/** What is told at each step; a step is half an hour. */
function recordsAt(step: number): readonly ConnectorRecord[] | null {
  const atMs = STORY_START_MS + step * POLL_MS;
  // An outage of three hours.
  if (step >= 12 && step < 18) return null;
  const records: ConnectorRecord[] = [];
  let usd = 100_000;
  let btc = 0;
  if (step >= 4) {
    usd -= 30_001.5;
    btc += 0.5;
    if (step === 4) records.push(boughtAt('a', atMs - 60_000, '0.5', '60000'));
  }
  if (step >= 8) {
    usd += 10_000;
    if (step === 8) records.push(depositedAt('d', atMs - 60_000, '10000'));
  }
  // Happened in step 22 and is told three hours later; the balances knew it.
  if (step >= 22) {
    usd -= 6001.5;
    btc += 0.1;
    if (step === 28) {
      const happenedMs = STORY_START_MS + 22 * POLL_MS - 120_000;
      records.push(boughtAt('late', happenedMs, '0.1', '60000'));
    }
  }
  return [...records, balanceOf('USD', String(usd)), balanceOf('BTC', String(btc))];
}

export const STORY_STEPS = 60;

export interface Story {
  readonly desk: TrackDesk;
  record: TrackRecord;
}

export function openStory(store: TrackStore): Story {
  const desk = new TrackDesk(STORY_START_MS);
  return { desk, record: openRecord(desk, store) };
}

export function openRecord(desk: TrackDesk, store: TrackStore): TrackRecord {
  return new TrackRecord(desk.services(), {
    store,
    books: BOOKS,
    // Nothing happens but what the story does.
    tickMs: 1_000_000_000,
    retryMs: 1,
    graceMs: 30 * MINUTE_MS,
  });
}

/** A new account of a desk with that time, with a store that outlives its ledgers. */
export function openAt(startMs: number): Story {
  const desk = new TrackDesk(startMs);
  return { desk, record: openRecord(desk, new KeptStore()) };
}

/** The next ledger, over what the one before it has stored. */
export async function restart(story: Story): Promise<void> {
  story.record = openRecord(story.desk, story.record.store);
  await story.record.idle();
  expect(story.desk.fatal).toEqual([]);
}

/**
 * Plays one step, and waits until the ledger has done all that it wants to. With `overlap` the poll tells again what those
 * before it told.
 */
export async function playStep(story: Story, step: number, overlap = 0): Promise<void> {
  const { desk } = story;
  desk.nowMs = STORY_START_MS + step * POLL_MS;
  const records = recordsAt(step);
  if (records === null) desk.missed(desk.nowMs, desk.nowMs + POLL_MS, 'exchange_unavailable');
  else {
    const before = Array.from({ length: Math.min(overlap, step) }, (_, at) =>
      recordsAt(step - 1 - at),
    );
    const again = before.flatMap((told) => told ?? []).filter(({ kind }) => kind !== 'balance');
    desk.poll({ records: [...records, ...again] });
  }
  story.record.look();
  await story.record.idle();
}

export async function playAll(store: TrackStore, steps: number = STORY_STEPS): Promise<Story> {
  const story = openStory(store);
  for (let step = 0; step < steps; step++) await playStep(story, step);
  return story;
}

export async function signedOf({ record, desk }: Story): Promise<readonly SignedStatement[]> {
  const track = record.track(desk.account.id);
  const chain = track?.chain ?? null;
  if (track === null || chain === null) throw new Error('no track');
  const all = Array.from({ length: chain.head.counter }, (_, at) => at + 1);
  const counters = all.filter((counter) => !chain.isLost(counter));
  return assertAccepted(await record.store.rows(track.account, chain, counters));
}

export function parsedOf(signed: readonly SignedStatement[]): readonly ChainStatement[] {
  return signed.map(({ statement }) => assertAccepted(parseChainStatement(statement)));
}
