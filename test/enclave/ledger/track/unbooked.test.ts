import { describe, expect, it } from 'vitest';
import type { BookRecord } from '../../../../enclave/ledger/book/contract.ts';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { HISTORY_MS } from '../../../../enclave/ledger/track/account-parts.ts';
import { LATE_UNBOOKED, Unbooked } from '../../../../enclave/ledger/track/unbooked.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { boughtAt } from '../../../helpers/track-desk.ts';
import {
  openStory,
  parsedOf,
  playStep,
  signedOf,
  STORY_START_MS,
} from '../../../helpers/track-story.ts';

const CREATED_MS = STORY_START_MS;

function at(timeMs: number, id: string): BookRecord {
  return boughtAt(id, timeMs, '1', '60000');
}

describe('a record that came too late for the book', () => {
  it('is said once, and only when the record had begun', () => {
    const unbooked = new Unbooked({ createdMs: CREATED_MS });
    expect(unbooked.has(at(CREATED_MS - HISTORY_MS - 1, 'old'), 'settled')).toBe(false);
    expect(unbooked.has(at(CREATED_MS - HISTORY_MS, 'first'), 'settled')).toBe(true);
    expect(unbooked.has(at(CREATED_MS - HISTORY_MS, 'first'), 'settled')).toBe(false);
    for (const applied of ['new', 'repeated', 'late', 'too_precise'] as const) {
      expect(unbooked.has(at(CREATED_MS, applied), applied)).toBe(false);
    }
  });

  it('is a gap of the hour in which it was told, and of no other', async () => {
    const story = openStory(new MemoryStore());
    // Hours can be opened again for three days; this is five, in half hours.
    for (let step = 0; step < 240; step++) await playStep(story, step);
    const early = boughtAt('very-late', STORY_START_MS + 2 * HOUR_MS, '0.001', '60000');
    const toldMs = story.desk.nowMs + HOUR_MS;
    for (const nowMs of [toldMs, toldMs + HOUR_MS, toldMs + 2 * HOUR_MS]) {
      story.desk.nowMs = nowMs;
      story.desk.poll({ records: [early] });
      story.record.look();
      await story.record.idle();
    }
    expect(story.desk.fatal).toEqual([]);
    expect(story.record.counters['records_settled']).toBeGreaterThan(0);
    const hours = parsedOf(await signedOf(story)).filter((one) => one.kind === 'hour');
    const saying = hours.filter(({ figures }) => figures.gaps.includes(LATE_UNBOOKED));
    expect(saying.map(({ figures }) => figures.startMs)).toEqual([toldMs - (toldMs % HOUR_MS)]);
    expect(saying[0]?.figures.complete).toBe(false);
  }, 120_000);
});
