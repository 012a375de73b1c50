// A small market: a book around 100.00, quotes that come and go, and trades through the levels at which
// orders rest, so that orders fill at once, fill later, fill in part, expire, and stay open.

import type { EncodedBatch } from '../../wire/market/batcher.ts';
import { Batcher } from '../../wire/market/batcher.ts';
import type { MarketEvent } from '../../wire/market/events.ts';
import { INSTRUMENT, STREAM_A } from '../helpers/enclave-host.ts';

const START_NS = 1_700_000_000_000_000_000n;
/** Between two batches. */
const STEP_NS = 300_000_000n;

function depth(at: bigint, id: number, snapshot: boolean): MarketEvent {
  const shift = id % 3;
  return {
    type: 'depth',
    instrument: INSTRUMENT,
    receiveTimeNs: at,
    exchangeTimeNs: null,
    snapshot,
    firstId: id,
    lastId: id,
    previousId: -1,
    // Bids, then asks: price and quantity.
    levels: [9990 - shift, 700, 9980, 4000, 10_000 + shift, 700, 10_020, 4000],
    bids: 2,
  };
}

function trade(at: bigint, id: number): MarketEvent {
  return {
    type: 'trade',
    instrument: INSTRUMENT,
    receiveTimeNs: at + 1n,
    exchangeTimeNs: null,
    id,
    price: id % 4 === 0 ? 9950 : 9995,
    quantity: 600,
    buyerTook: id % 2 === 0,
  };
}

/** Prices of the signals that answer a batch: some take, some rest, most batches have none. */
export function limitsOf(sequence: number): readonly number[] {
  return [[], [10_010], [9960, 9000], [], [10_001]][sequence % 5] ?? [];
}

/** The first `count` batches of an epoch. */
export function marketBatches(count: number): readonly EncodedBatch[] {
  const batches: EncodedBatch[] = [];
  const batcher = new Batcher({
    stream: STREAM_A,
    closeRows: 1024,
    closeMs: 1_000_000_000,
    onBatch: (batch) => {
      batches.push(batch);
    },
  });
  for (let sequence = 0; sequence < count; sequence++) {
    const at = START_NS + BigInt(sequence) * STEP_NS;
    batcher.add(depth(at, sequence + 1, sequence === 0));
    batcher.add(trade(at, sequence + 1));
    batcher.flush();
  }
  return batches;
}
