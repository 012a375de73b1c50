import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const FULL_MS = Date.UTC(2026, 10, 20, 24);

describe('a poll from before midnight until after it', () => {
  // The deposit comes when it has begun; the balance was read before or behind it.
  it.each([
    [-5000, '1000'],
    [-5000, '1500'],
    [5000, '1000'],
    [5000, '1500'],
  ])(
    'with a deposit %i ms from midnight in it, and %s told, states no loss and no gap',
    async (at, total) => {
      const desk = new TrackDesk(FULL_MS - 2 * HOUR_MS - 10_000);
      const story = { desk, record: openRecord(desk, new MemoryStore()) };
      const deposit = depositedAt('d', FULL_MS + at, '500');
      for (const hour of [-2, -1, 0, 1, 2]) {
        const startedMs = FULL_MS + hour * HOUR_MS - 10_000;
        desk.nowMs = startedMs + 30_000;
        const told = hour < 0 ? '1000' : hour === 0 ? total : '1500';
        const records = [...(hour < 1 ? [] : [deposit]), balanceOf('USD', told)];
        desk.poll({ startedMs, endedMs: desk.nowMs, slotMs: startedMs, records });
        story.record.look();
        await story.record.idle();
      }
      const hours = parsedOf(await signedOf(story)).filter((one) => one.kind === 'hour');
      expect(hours.length).toBeGreaterThanOrEqual(3);
      // Each hour, and where the deposit was told behind it the one that says so.
      const known = new Map(hours.map((hour) => [hour.figures.startMs, hour]));
      for (const { figures, return: stated } of known.values()) {
        expect([figures.residual ?? 0n, stated.reason, stated.ratio]).toEqual([0n, null, '0']);
      }
      expect(desk.fatal).toEqual([]);
    },
  );
});
