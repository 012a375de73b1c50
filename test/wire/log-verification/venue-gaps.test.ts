import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchBuilder } from '../../../wire/market/batch-builder.ts';
import type { Batch } from '../../../wire/batch.ts';
import { BOOK_SIDE, ROW, parseBatch } from '../../../wire/batch.ts';
import { EpochVerifier } from '../../../wire/log-verification/epoch-verifier.ts';
import { VenueGaps } from '../../../wire/log-verification/venue-gaps.ts';
import { SequenceTracker } from '../../../wire/market/sequence.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { Gap } from '../../../wire/payloads.ts';
import type { Result } from '../../../wire/result.ts';
import { assertAccepted } from '../../../wire/result.ts';
import {
  EpochBuilder,
  INPUT_STREAM,
  INSTRUMENT,
  sampleEpoch,
  testBatch,
  testTrust,
} from '../../helpers/epoch-builder.ts';

const INSTRUMENTS = [
  { id: 1, sequence_rule: 'binance-spot' },
  { id: 2, sequence_rule: 'binance-spot' },
] as const;

/** Trades with these ids. */
function trades(
  sequence: number,
  ids: readonly (readonly [instrument: number, id: number])[],
): Batch {
  const builder = new BatchBuilder(INPUT_STREAM);
  for (const [instrument, id] of ids) {
    builder.addRow({
      instrument,
      kind: ROW.trade,
      side: BOOK_SIDE.bid,
      exchangeTimeNs: null,
      receiveTimeNs: 1n,
      price: 100,
      quantity: 1,
      id,
    });
  }
  return assertAccepted(parseBatch(builder.encode(sequence, 1n)));
}

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

const GAP: Gap = { reason: 5, firstMissing: 11, count: 2, instrument: 1, code: null };
const LEAF = { stream: INPUT_STREAM, causes: [7] };

/** After batches that show that trades 11 and 12 of instrument 1 are missing. */
function withGapDue(): VenueGaps {
  const gaps = new VenueGaps(INSTRUMENTS);
  gaps.addBatch(6, trades(0, [[1, 10]]));
  gaps.addBatch(7, trades(1, [[1, 13]]));
  return gaps;
}

describe('gap leaves', () => {
  it('are the ones that the batch shows, once, right after it', () => {
    const gaps = withGapDue();
    expect(codeOf(gaps.addGap(LEAF, GAP))).toBe('accepted');
    expect(codeOf(gaps.addOther())).toBe('accepted');
    expect(codeOf(gaps.addGap(LEAF, GAP))).toBe('gap_mismatch');
  });

  it('cannot be left out', () => {
    expect(codeOf(withGapDue().addOther())).toBe('gap_mismatch');
    const declared: Gap = { ...GAP, reason: 1, instrument: null };
    expect(codeOf(withGapDue().addGap({ ...LEAF, causes: [] }, declared))).toBe('gap_mismatch');
  });

  it.each<[string, Partial<Gap>]>([
    ['another reason', { reason: 4 }],
    ['a later start', { firstMissing: 12 }],
    ['an earlier start', { firstMissing: 10 }],
    ['fewer', { count: 1 }],
    ['more', { count: 3 }],
    ['nobody knows how many', { count: null }],
    ['another instrument', { instrument: 2 }],
    ['a refusal', { code: 'batch_malformed' }],
  ])('cannot say %s', (_, change) => {
    expect(codeOf(withGapDue().addGap(LEAF, { ...GAP, ...change }))).toBe('gap_mismatch');
  });

  it('name the batch as their cause, in its stream; others have no cause', () => {
    for (const causes of [[], [6], [6, 7]]) {
      expect(codeOf(withGapDue().addGap({ ...LEAF, causes }, GAP))).toBe('cause_invalid');
    }
    expect(codeOf(withGapDue().addGap({ ...LEAF, stream: 2 }, GAP))).toBe('leaf_misplaced');
    const fresh = new VenueGaps(INSTRUMENTS);
    const skipped: Gap = { ...GAP, reason: 2, instrument: null };
    expect(codeOf(fresh.addGap({ ...LEAF, causes: [] }, skipped))).toBe('accepted');
    expect(codeOf(fresh.addGap(LEAF, skipped))).toBe('cause_invalid');
    expect(codeOf(fresh.addGap(LEAF, GAP))).toBe('gap_mismatch');
  });

  it('follow every batch as the tracker of the enclave finds them, and in no other order', () => {
    const ids = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 40 })),
      {
        maxLength: 6,
      },
    );
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 8 }), (batches) => {
        const tracker = new SequenceTracker(INSTRUMENTS);
        const log = new VenueGaps(INSTRUMENTS);
        for (const [index, rows] of batches.entries()) {
          const batch = trades(index, rows);
          const shown = tracker.apply(batch);
          log.addBatch(index, batch);
          const leaf = { stream: INPUT_STREAM, causes: [index] };
          for (const [at, gap] of shown.entries()) {
            expect(codeOf(log.addOther())).toBe('gap_mismatch');
            for (const later of shown.slice(at + 1)) {
              expect(codeOf(log.addGap(leaf, later))).toBe('gap_mismatch');
            }
            expect(codeOf(log.addGap(leaf, gap))).toBe('accepted');
          }
          expect(codeOf(log.addOther())).toBe('accepted');
        }
      }),
    );
  });
});

async function verdictOf(epoch: EpochBuilder): Promise<string> {
  epoch.commit();
  const verifier = new EpochVerifier(nodeCrypto, await testTrust());
  const parsed = assertAccepted(verifier.parse(epoch.leaves));
  const added = verifier.add(parsed, epoch.blobs);
  return added.ok ? codeOf(verifier.finish(epoch.checkpoint)) : codeOf(added);
}

describe('an epoch', () => {
  it('with a hidden or an invented gap is refused; one that ends in between is not', async () => {
    const epoch = await EpochBuilder.create();
    epoch.addInput(0);
    epoch.addGap({ reason: 1, firstMissing: 1, count: 2 });
    epoch.addBatch(testBatch(3, epoch.nowNs), true);
    expect(await verdictOf(epoch)).toBe('accepted');
    epoch.addInput(4);
    expect(await verdictOf(epoch)).toBe('gap_mismatch');
    const inventive = await EpochBuilder.create();
    const input = inventive.addInput(0);
    inventive.addGap({ reason: 4, firstMissing: 5, count: 1, instrument: INSTRUMENT }, [input]);
    expect(await verdictOf(inventive)).toBe('gap_mismatch');
    expect(await verdictOf(await sampleEpoch())).toBe('accepted');
  });
});
