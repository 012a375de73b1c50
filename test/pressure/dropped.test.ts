// A source that cannot wait: what is dropped is counted, declared exactly, and ends the books.

import { afterEach, describe, expect, it } from 'vitest';
import { parseBatch } from '../../wire/batch.ts';
import { KIND } from '../../wire/leaf.ts';
import { Market } from '../../wire/market/market.ts';
import { GAP, STATUS } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { INSTRUMENT } from '../helpers/epoch-header.ts';
import type { VerifiedLog } from './appliance.ts';
import { expectWhole, MemoryAppliance, signalEvery } from './appliance.ts';
import { Venue } from './venue.ts';

const MIB = 1024 * 1024;

/** Batch sequences that the log's inputs and declared gaps name, each exactly once. */
function expectAccounted(appliance: MemoryAppliance, log: VerifiedLog): void {
  const declared = log.gaps.filter(({ reason }) => reason === GAP.declared);
  expect(log.gaps.filter(({ reason }) => reason === GAP.skipped)).toEqual([]);
  const dropped = declared.flatMap(({ firstMissing, count }) =>
    Array.from({ length: count ?? 0 }, (_, at) => (firstMissing ?? 0) + at),
  );
  expect(dropped).toHaveLength(appliance.sender?.batchesDropped ?? 0);
  expect(declared).toHaveLength(appliance.sender?.gapsDeclared ?? 0);
  const lines = appliance.events('feed_dropped');
  expect(lines.map(({ first_missing, batches }) => [first_missing, batches])).toEqual(
    declared.map(({ firstMissing, count }) => [firstMissing, count]),
  );
  const taken = (appliance.strategy?.inputs ?? []).map(
    ({ batch }) => assertAccepted(parseBatch(batch)).sequence,
  );
  const all = [...dropped, ...taken].toSorted((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: appliance.produced }, (_, sequence) => sequence));
}

/** The book after each input, as a strategy has it: the venue's own, or none. Answers where there is one. */
function expectTrueBooks(appliance: MemoryAppliance): ReadonlyMap<number, boolean> {
  const market = new Market(appliance.configuration.instruments);
  const valid = new Map<number, boolean>();
  for (const { leafIndex, batch } of appliance.strategy?.inputs ?? []) {
    market.apply(assertAccepted(parseBatch(batch)));
    const book = market.of(INSTRUMENT)?.book;
    if (book === undefined) throw new Error('an instrument of the configuration');
    valid.set(leafIndex, book.valid);
    const levels = book.valid ? 10 : 0;
    const truth = Array.from({ length: levels }, (_, level) => [
      Venue.priceOf(2, level),
      Venue.quantityAt(book.lastUpdateId, level),
    ]);
    const seen = Array.from({ length: book.asks.levels }, (_, level) => [
      book.asks.price(level),
      book.asks.quantity(level),
    ]);
    expect(seen).toEqual(truth);
  }
  return valid;
}

/** Orders met the same market as the strategy: where it had no book, execution had none. */
function expectSameMarket(
  appliance: MemoryAppliance,
  log: VerifiedLog,
  valid: ReadonlyMap<number, boolean>,
): void {
  const rejected = new Map(
    appliance.reports
      .filter(({ status }) => status === STATUS.rejected || status === STATUS.accepted)
      .map(({ output, reason }) => [output, reason]),
  );
  const outputs = log.indexesOf(KIND.output);
  const expected = outputs.map((index) => {
    const cause = log.leaves[index]?.causes.at(-1) ?? -1;
    return [index, valid.get(cause) === true ? null : 'risk_no_market'];
  });
  expect(outputs.map((index) => [index, rejected.get(index)])).toEqual(expected);
}

describe('a feed that drops', () => {
  let appliance: MemoryAppliance;
  afterEach(() => {
    appliance.transport.holdAcks = false;
    appliance.stop();
  });

  const start = (rows: number): Promise<MemoryAppliance> => {
    const strategy = { limits: signalEvery(3) };
    const options = { whenFull: 'drop', snapshotEvery: 40, rows, strategy } as const;
    appliance = new MemoryAppliance(options);
    appliance.pace = () => new Promise((resolve) => setTimeout(resolve, 1));
    return appliance.start();
  };

  it('declares each hole exactly, in order, and goes on with true books after it', async () => {
    await start(600);
    for (let round = 1; round <= 2; round++) {
      const before = appliance.released.length;
      await appliance.until(() => appliance.released.length > before + 3);
      const dropped = appliance.sender?.batchesDropped ?? 0;
      appliance.transport.holdAcks = true;
      await appliance.until(() => (appliance.sender?.batchesDropped ?? 0) > dropped + 50);
      // The source has not waited: what it does not get rid of is dropped, not kept.
      const { feedQueue, brokerBytes, keptBytes } = appliance.waiting;
      expect(feedQueue).toBeLessThan(4 * MIB + 1);
      // The queue of 4 MiB, 1 MiB of credit, 16 MiB and a commit in flight, and the open commit.
      expect(brokerBytes).toBeLessThan(27 * MIB);
      expect(keptBytes).toBeLessThan(33 * MIB);
      expect(appliance.sender?.gapsDeclared).toBe(round - 1);
      appliance.transport.holdAcks = false;
      await appliance.until(() => appliance.sender?.gapsDeclared === round);
    }
    // A snapshot comes, and with it signals that are orders again.
    const fills = appliance.reports.length;
    await appliance.until(() =>
      appliance.reports.slice(fills).some(({ reason }) => reason === null),
    );
    appliance.stop();
    const [epoch, ...more] = (await appliance.end()).epochs;
    expect(more).toEqual([]);
    expect(epoch).toMatchObject({ epoch: 1, closed: true, code: null });
    const log = await appliance.verify();
    expectWhole(appliance, log);
    expectAccounted(appliance, log);
    const valid = expectTrueBooks(appliance);
    expect(new Set(valid.values())).toEqual(new Set([true, false]));
    expectSameMarket(appliance, log, valid);
    expect(epoch?.feed).toMatchObject({
      batchesDropped: appliance.sender?.batchesDropped,
      gapsDeclared: appliance.sender?.gapsDeclared,
    });
  });

  it('declares what is dropped last, when it is stopped in the middle of it', async () => {
    await start(600);
    await appliance.until(() => appliance.released.length > 3);
    appliance.transport.holdAcks = true;
    await appliance.until(() => (appliance.sender?.batchesDropped ?? 0) > 20);
    appliance.stop();
    await appliance.stuck();
    expect(appliance.enclaveEnd).toBeNull();
    appliance.transport.holdAcks = false;
    const [epoch] = (await appliance.end()).epochs;
    expect(epoch).toMatchObject({ closed: true, code: null });
    const log = await appliance.verify();
    expectWhole(appliance, log);
    expectAccounted(appliance, log);
    // No batch came after it.
    const last = log.gaps.findLast(({ reason }) => reason === GAP.declared);
    expect((last?.firstMissing ?? 0) + (last?.count ?? 0)).toBe(appliance.produced);
  });
});
