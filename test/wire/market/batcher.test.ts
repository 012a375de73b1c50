import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatcherOptions, EncodedBatch } from '../../../wire/market/batcher.ts';
import { Batcher } from '../../../wire/market/batcher.ts';
import type { MarketEvent } from '../../../wire/market/events.ts';
import { rowsOf } from '../../../wire/market/events.ts';
import type { Batch } from '../../../wire/batch.ts';
import { parseBatch } from '../../../wire/batch.ts';
import { assertAccepted } from '../../../wire/result.ts';

const MS = 1_000_000n;

function depth(levels: number, timeMs = 0, snapshot = false): MarketEvent {
  return {
    type: 'depth',
    instrument: 1,
    receiveTimeNs: BigInt(timeMs) * MS,
    exchangeTimeNs: 5n,
    snapshot,
    firstId: snapshot ? 9 : 7,
    lastId: 9,
    previousId: snapshot ? -1 : 6,
    levels: Array.from({ length: levels * 2 }, (_, index) => index),
    bids: Math.ceil(levels / 2),
  };
}

function trade(timeMs = 0): MarketEvent {
  return {
    type: 'trade',
    instrument: 1,
    receiveTimeNs: BigInt(timeMs) * MS,
    exchangeTimeNs: null,
    id: 3,
    price: 4,
    quantity: 5,
    buyerTook: false,
  };
}

function best(timeMs = 0): MarketEvent {
  return {
    type: 'best',
    instrument: 2,
    receiveTimeNs: BigInt(timeMs) * MS,
    exchangeTimeNs: null,
    updateId: 11,
    bidPrice: 1,
    bidQuantity: 2,
    askPrice: 3,
    askQuantity: 4,
  };
}

function batchesOf(events: readonly MarketEvent[], options: Partial<BatcherOptions> = {}): Batch[] {
  const encoded: EncodedBatch[] = [];
  const batcher = new Batcher({
    stream: 5,
    closeRows: 10,
    closeMs: 100,
    onBatch: (batch) => {
      encoded.push(batch);
    },
    ...options,
  });
  for (const event of events) batcher.add(event);
  batcher.flush();
  batcher.flush();
  return encoded.map((each, index) => {
    const batch = assertAccepted(parseBatch(each.bytes));
    expect([each.stream, each.sequence, each.timeNs, each.rows]).toEqual([
      5,
      index,
      batch.timeNs,
      batch.rows,
    ]);
    return batch;
  });
}

const rows = (batches: readonly Batch[]): number[] => batches.map((batch) => batch.rows);

describe('batcher', () => {
  it('writes rows of all kinds', () => {
    const [batch] = batchesOf([depth(2), trade(1), best(2)]);
    expect(batch).toMatchObject({
      stream: 5,
      sequence: 0,
      timeNs: 2n * MS,
      rows: 5,
      instrument: Uint16Array.of(1, 1, 1, 2, 2),
      kind: Uint8Array.of(2, 2, 1, 4, 4),
      side: Uint8Array.of(1, 2, 2, 1, 2),
      flags: Uint8Array.of(1, 1, 0, 0, 0),
      exchangeTimeNs: BigInt64Array.of(5n, 5n, 0n, 0n, 0n),
      receiveTimeNs: BigInt64Array.of(0n, 0n, MS, 2n * MS, 2n * MS),
      price: Float64Array.of(0, 2, 4, 1, 3),
      quantity: Float64Array.of(1, 3, 5, 2, 4),
      id: Float64Array.of(9, 9, 3, 11, 11),
      groupInstrument: Uint16Array.of(1),
      groupFirstRow: Uint16Array.of(0),
      groupRows: Uint16Array.of(2),
      groupFlags: Uint8Array.of(6),
      groupFirstId: Float64Array.of(7),
      groupLastId: Float64Array.of(9),
      groupPreviousId: Float64Array.of(6),
    });
  });

  it.each([
    [9, [9]],
    [10, [10]],
    [11, [10, 1]],
  ])('closes at 10 rows: %i trades', (count, expected) => {
    expect(rows(batchesOf(Array.from({ length: count }, () => trade())))).toEqual(expected);
  });

  it('closes with the event that reaches the number, without tearing it apart', () => {
    expect(rows(batchesOf([depth(9), depth(30), trade()]))).toEqual([39, 1]);
  });

  it.each([
    [99, [2]],
    [100, [1, 1]],
    [101, [1, 1]],
  ])('closes before an event that comes %i ms after the first', (timeMs, expected) => {
    expect(rows(batchesOf([trade(0), trade(timeMs)]))).toEqual(expected);
  });

  it('measures from the first event of the batch, not of the one before', () => {
    expect(rows(batchesOf([trade(0), trade(100), trade(199), trade(200)]))).toEqual([1, 2, 1]);
  });

  it.each([
    [1023, [1023], [7]],
    [1024, [1024], [7]],
    [1025, [1024, 1], [3, 5]],
    [2048, [1024, 1024], [3, 5]],
    [2049, [1024, 1024, 1], [3, 1, 5]],
  ])('splits a snapshot of %i rows', (levels, expected, flags) => {
    const batches = batchesOf([depth(levels, 0, true)], { closeRows: 1024 });
    expect(rows(batches)).toEqual(expected);
    expect(batches.map((batch) => batch.groupFlags[0])).toEqual(flags);
    const prices = batches.flatMap((batch) => [...batch.price]);
    expect(prices).toEqual(Array.from({ length: levels }, (_, index) => index * 2));
    const bids = batches
      .flatMap((batch) => Array.from(batch.side))
      .filter((side) => side === 1).length;
    expect(bids).toBe(Math.ceil(levels / 2));
  });

  it('begins a large event in a batch of its own', () => {
    expect(rows(batchesOf([trade(), depth(1500)], { closeRows: 1024 }))).toEqual([1, 1024, 476]);
  });

  it('keeps updates of no rows, at most 1,024 in a batch', () => {
    const batches = batchesOf(Array.from({ length: 1025 }, () => depth(0)));
    expect(batches.map((batch) => [batch.rows, batch.groups])).toEqual([
      [0, 1024],
      [0, 1],
    ]);
  });

  it('never lets the batch time go back, with a local clock that does', () => {
    const batches = batchesOf([trade(500), trade(300), trade(310), trade(900)], {
      closeRows: 2,
      closeMs: 1000,
    });
    expect(batches.map((batch) => batch.timeNs / MS)).toEqual([500n, 900n]);
    expect(batches.map((batch) => [...batch.receiveTimeNs].map((time) => time / MS))).toEqual([
      [500n, 300n],
      [310n, 900n],
    ]);
  });

  it('loses nothing and keeps the order, whatever comes', () => {
    const event = fc.oneof(
      fc
        .tuple(fc.nat(1200), fc.nat(50), fc.boolean())
        .map(([levels, time, snapshot]) => depth(levels, time, snapshot)),
      fc.nat(300).map(trade),
      fc.nat(300).map(best),
    );
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 20 }),
        fc.integer({ min: 1, max: 1024 }),
        (events, closeRows) => {
          const batches = batchesOf(events, { closeRows });
          const total = events.reduce((sum, each) => sum + rowsOf(each), 0);
          expect(rows(batches).reduce((sum, each) => sum + each, 0)).toBe(total);
          const groups = events.filter(({ type }) => type === 'depth').length;
          const last = batches
            .flatMap((batch) => Array.from(batch.groupFlags))
            .filter((flags) => flags >= 4);
          expect(last).toHaveLength(groups);
        },
      ),
    );
  });

  it.each([0, 1025, 1.5])('throws for %d rows', (closeRows) => {
    expect(() => batchesOf([], { closeRows })).toThrow(RangeError);
  });
});
