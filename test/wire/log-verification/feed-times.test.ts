import { describe, expect, it } from 'vitest';
import { BatchBuilder } from '../../../wire/market/batch-builder.ts';
import { BOOK_SIDE, ROW, parseBatch } from '../../../wire/batch.ts';
import type { Batch } from '../../../wire/batch.ts';
import { FeedTimes } from '../../../wire/log-verification/feed-times.ts';
import { assertAccepted } from '../../../wire/result.ts';

const MS = 1_000_000n;
const BOOT_NS = 1_000n * MS;

function batch(timeNs: bigint, ...instruments: readonly number[]): Batch {
  const builder = new BatchBuilder(1);
  for (const instrument of instruments) {
    builder.addRow({
      instrument,
      kind: ROW.trade,
      side: BOOK_SIDE.ask,
      exchangeTimeNs: null,
      receiveTimeNs: timeNs,
      price: 1,
      quantity: 1,
      id: 0,
    });
  }
  return assertAccepted(parseBatch(builder.encode(0, timeNs)));
}

describe('times of the feed', () => {
  it('are the longest silence of each instrument, from the boot to the last leaf', () => {
    const times = new FeedTimes([1, 2, 3, 4], BOOT_NS);
    times.addBatch(1_010n * MS, batch(0n, 1, 2, 1, 1));
    times.addBatch(1_050n * MS, batch(0n, 1));
    times.addBatch(1_050n * MS, batch(0n, 3));
    times.addBatch(1_060n * MS, batch(0n, 2, 9));
    const { instruments } = times.facts(1_090n * MS);
    const text = Array.from(instruments, ([id, { rows, longestSilenceMs }]) => [
      id,
      rows,
      longestSilenceMs,
    ]);
    expect(text).toEqual([
      [1, 4, 40],
      [2, 2, 50],
      [3, 1, 50],
      [4, 0, 90],
    ]);
  });

  it('are how far batch times lie behind the leaves, or ahead of them', () => {
    const times = new FeedTimes([1], BOOT_NS);
    expect(times.facts(BOOT_NS).lagMs).toBeNull();
    times.addBatch(1_010n * MS, batch(1_007n * MS, 1));
    expect(times.facts(BOOT_NS).lagMs).toEqual({ smallest: 3, largest: 3 });
    times.addBatch(1_020n * MS, batch(1_025n * MS, 1));
    times.addBatch(1_030n * MS, batch(1_025n * MS));
    expect(times.facts(BOOT_NS).lagMs).toEqual({ smallest: -5, largest: 5 });
  });

  it('count an update that changes nothing as a sign of life', () => {
    const builder = new BatchBuilder(1);
    builder.addGroup({
      instrument: 1,
      firstRow: 0,
      rows: 0,
      flags: 6,
      firstId: 5,
      lastId: 5,
      previousId: -1,
    });
    const empty = assertAccepted(parseBatch(builder.encode(0, 1n)));
    const times = new FeedTimes([1], BOOT_NS);
    times.addBatch(1_040n * MS, empty);
    expect(times.facts(1_050n * MS).instruments.get(1)).toEqual({ rows: 0, longestSilenceMs: 40 });
  });
});
