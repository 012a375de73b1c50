import { describe, expect, it } from 'vitest';
import type { SequenceRule } from '../../../wire/configuration.ts';
import { SequenceTracker } from '../../../wire/market/sequence.ts';
import type { Gap } from '../../../wire/payloads.ts';
import { encodeGap, GAP } from '../../../wire/payloads.ts';
import type { Trade } from './depth.ts';
import { batchOf, instrument } from './depth.ts';

function gapsOf(rule: SequenceRule, ...batches: (readonly Trade[])[]): Gap[] {
  const tracker = new SequenceTracker([instrument(1, rule), instrument(2, rule)]);
  return batches.flatMap((trades) => tracker.apply(batchOf([], trades)));
}

const trades = (...ids: number[]): Trade[] => ids.map((id) => ({ id }));

describe('trade ids', () => {
  it.each<[string, Trade[][], number[][]]>([
    ['no hole', [trades(5, 6), trades(7)], []],
    ['a hole between batches', [trades(5, 6), trades(9)], [[7, 2]]],
    ['holes in one batch are one record', [trades(5, 7, 8, 11)], [[6, 3]]],
    ['a trade that was there already', [trades(5, 6, 5, 6, 7)], []],
    ['an old trade does not set the count back', [trades(5, 6, 7, 5, 8)], []],
    ['no id', [trades(5, 0, 6)], []],
    ['instruments apart', [[{ id: 5 }, { id: 9, instrument: 2 }, { id: 6 }]], []],
  ])('%s', (_, batches, expected) => {
    const gaps = gapsOf('binance-spot', ...batches);
    expect(gaps.map(({ firstMissing, count }) => [firstMissing, count])).toEqual(expected);
    expect(gaps.every(({ reason, code }) => reason === GAP.tradeSequence && code === null)).toBe(
      true,
    );
  });

  it('are not numbered one by one under the rule none', () => {
    expect(gapsOf('none', trades(5, 9, 3))).toEqual([]);
  });

  it('at the end of the safe integers still make an encodable record', () => {
    const gaps = gapsOf('binance-spot', trades(1, Number.MAX_SAFE_INTEGER), trades(1, 2));
    expect(gaps).toHaveLength(1);
    for (const gap of gaps) encodeGap(gap);
  });
});

describe('sequence tracker', () => {
  it('passes over instruments that it does not have', () => {
    const tracker = new SequenceTracker([instrument(1, 'binance-spot')]);
    const batch = batchOf(
      [{ instrument: 3, snapshot: true, ids: [1, 1] }],
      [{ instrument: 3, id: 4 }],
    );
    expect(tracker.apply(batch)).toEqual([]);
    expect(tracker.bookValid(3)).toBe(false);
  });

  it('records one book gap per instrument and batch', () => {
    const tracker = new SequenceTracker([instrument(1, 'binance-spot')]);
    const round = [{ snapshot: true, ids: [10, 10] }, { ids: [20, 21] }] as const;
    const gaps = tracker.apply(batchOf([...round, ...round, ...round]));
    expect(gaps).toEqual([
      { reason: GAP.venueSequence, firstMissing: 11, count: 9, instrument: 1, code: null },
    ]);
  });
});
