// The rules of venues whose snapshots come in the stream.

import { describe, expect, it } from 'vitest';
import type { SequenceRule } from '../../../wire/instrument.ts';
import { Market } from '../../../wire/market/market.ts';
import { SequenceTracker } from '../../../wire/market/sequence.ts';
import { GAP } from '../../../wire/payloads.ts';
import type { Depth } from './depth.ts';
import { batchOf, instrument } from './depth.ts';

/** After each step: [id the book stands at, or null without one; gaps, as first missing id and count]. */
function follow(
  rule: SequenceRule,
  steps: readonly Depth[],
): readonly (readonly [number | null, readonly (readonly [number | null, number | null])[]])[] {
  const market = new Market([instrument(1, rule)]);
  const tracker = new SequenceTracker([instrument(1, rule)]);
  return steps.map((step, sequence) => {
    const batch = batchOf([{ levels: [[1, 100 + sequence, 5]], ...step }], [], { sequence });
    const gaps = tracker
      .apply(batch)
      .map(({ firstMissing, count }) => [firstMissing, count] as const);
    market.apply(batch);
    const book = market.of(1)?.book;
    expect(book?.valid).toBe(tracker.bookValid(1));
    return [book?.valid === true ? book.lastUpdateId : null, gaps];
  });
}

const snapshot = (id: number): Depth => ({ snapshot: true, ids: [id, id] });
const update = (id: number, previousId = -1): Depth => ({ ids: [id, id, previousId] });

describe('rule bybit', () => {
  it('wants each id to follow, and begins again with a snapshot', () => {
    const steps = [
      update(6),
      snapshot(7),
      update(8),
      update(10),
      update(11),
      snapshot(20),
      update(21),
    ];
    expect(follow('bybit', steps)).toEqual([
      [null, []],
      [7, []],
      [8, []],
      [null, [[9, 1]]],
      [null, []],
      [20, []],
      [21, []],
    ]);
  });

  it('takes a snapshot whose id is smaller: the venue counts anew', () => {
    expect(follow('bybit', [snapshot(700), update(701), snapshot(1), update(2)]).at(-1)).toEqual([
      2,
      [],
    ]);
  });

  it.each([
    ['repeated', 8],
    ['older', 3],
  ])('has no book after an id that is %s', (_, id) => {
    expect(follow('bybit', [snapshot(7), update(8), update(id)]).at(-1)).toEqual([
      null,
      [[9, null]],
    ]);
  });

  it('does not apply what came before the snapshot to it', () => {
    const market = new Market([instrument(1, 'bybit')]);
    const early: Depth = { ...update(7), levels: [[1, 999, 5]] };
    market.apply(batchOf([early, { ...snapshot(6), levels: [[1, 100, 5]] }]));
    expect(market.of(1)?.book).toMatchObject({ bestBid: 100, lastUpdateId: 6 });
  });
});

describe('rule okx', () => {
  it('wants each update to name the one before', () => {
    const steps = [
      snapshot(7),
      update(9, 7),
      update(9, 9),
      update(15, 9),
      update(20, 16),
      snapshot(30),
    ];
    expect(follow('okx', steps)).toEqual([
      [7, []],
      [9, []],
      // Nothing has changed.
      [9, []],
      [15, []],
      [null, [[16, null]]],
      [30, []],
    ]);
  });

  it('takes ids that go back when they name the one before', () => {
    expect(follow('okx', [snapshot(70), update(3, 70), update(4, 3)]).at(-1)).toEqual([4, []]);
  });
});

describe('trades of these venues', () => {
  it.each<SequenceRule>(['bybit', 'okx', 'none'])('are not counted under %s', (rule) => {
    const tracker = new SequenceTracker([instrument(1, rule)]);
    const gaps = tracker.apply(batchOf([], [{ id: 5 }, { id: 9 }, { id: 9 }]));
    expect(gaps.filter(({ reason }) => reason === GAP.tradeSequence)).toEqual([]);
    const market = new Market([instrument(1, rule)]);
    market.apply(batchOf([], [{ id: 5 }, { id: 9 }, { id: 9 }]));
    expect(market.of(1)?.trades).toBe(3);
  });
});
