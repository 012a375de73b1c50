// Instruments, market data and a log for execution tests.

import type { Instrument } from '../../../wire/configuration.ts';
import type { Batch } from '../../../wire/batch.ts';
import { parseBatch } from '../../../wire/batch.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { KIND, LABEL, leafKey, sealLeaf, STREAM } from '../../../wire/leaf.ts';
import type { Release } from '../../../wire/messages.ts';
import type { Signal } from '../../../wire/payloads.ts';
import { encodeSignal, SIDE } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { inclusionProof, leafHash, MemoryTree } from '../../../wire/tlog/merkle.ts';
import type { MarketEvent } from '../../../wire/market/events.ts';
import { Batcher } from '../../../wire/market/batcher.ts';
import type { EncodedBatch } from '../../../wire/market/batcher.ts';
import type { InclusionAnswer, LogReader } from '../../../host-proxy/epoch-log.ts';

export const MS = 1_000_000n;
export const ORIGIN = 'trackseal.test/log/e0000000001';

/** Prices and quantities are whole numbers. */
export const PLAIN: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'TESTUSDT',
  market: 'spot',
  price_scale: 0,
  quantity_scale: 0,
  sequence_rule: 'none',
};

type Level = readonly [price: number, quantity: number];

/** A snapshot or an update of the book. */
export function depth(
  timeMs: number,
  bids: readonly Level[],
  asks: readonly Level[],
  snapshot = false,
): MarketEvent {
  return {
    type: 'depth',
    instrument: PLAIN.id,
    receiveTimeNs: BigInt(timeMs) * MS,
    exchangeTimeNs: null,
    snapshot,
    firstId: 0,
    lastId: 0,
    previousId: -1,
    levels: [...bids, ...asks].flat(),
    bids: bids.length,
  };
}

export const snapshot = (
  timeMs: number,
  bids: readonly Level[],
  asks: readonly Level[],
): MarketEvent => depth(timeMs, bids, asks, true);

export function trade(timeMs: number, price: number, quantity: number): MarketEvent {
  return {
    type: 'trade',
    instrument: PLAIN.id,
    receiveTimeNs: BigInt(timeMs) * MS,
    exchangeTimeNs: null,
    id: 0,
    price,
    quantity,
    buyerTook: true,
  };
}

/** Each list of events becomes one batch. */
export function encodedBatches(lists: readonly (readonly MarketEvent[])[]): EncodedBatch[] {
  const batches: EncodedBatch[] = [];
  const batcher = new Batcher({
    stream: 1,
    closeRows: 1024,
    closeMs: 1_000_000_000,
    onBatch: (batch) => {
      batches.push(batch);
    },
  });
  for (const events of lists) {
    for (const event of events) batcher.add(event);
    batcher.flush();
  }
  return batches;
}

export function batchOf(...events: readonly MarketEvent[]): Batch {
  const [batch] = encodedBatches([events]);
  return assertAccepted(parseBatch(batch?.bytes ?? new Uint8Array()));
}

/** A log in memory, as the host's durable one would answer. */
export class TestLog implements LogReader {
  readonly tree: MemoryTree = new MemoryTree(nodeCrypto);
  readonly leaves: Uint8Array[] = [];

  leaf(index: number): Uint8Array | null {
    return this.leaves[index] ?? null;
  }

  inclusion(index: number): InclusionAnswer | null {
    const { size } = this.tree;
    if (index >= size) return null;
    const proof = inclusionProof(nodeCrypto, this.tree, index, size);
    return { proof, size, root: this.tree.root() };
  }

  append(bytes: Uint8Array): number {
    this.tree.append(leafHash(nodeCrypto, bytes));
    return this.leaves.push(bytes) - 1;
  }

  /** Appends something that is no output, an input for example. */
  fill(): number {
    return this.append(Uint8Array.of(this.leaves.length));
  }

  /** Appends an output leaf and answers its RELEASE. */
  output(plaintext: Uint8Array, causes: readonly number[]): Release {
    const leafIndex = this.leaves.length;
    const salt = new Uint8Array(16).fill(leafIndex);
    const header = {
      kind: KIND.output,
      timeNs: 1n,
      stream: STREAM.firstStrategy,
      label: LABEL.strategy,
      sequence: leafIndex,
      causes,
    };
    const key = leafKey(nodeCrypto, new Uint8Array(32), ORIGIN, leafIndex);
    this.append(sealLeaf(nodeCrypto, header, salt, plaintext, key).bytes);
    return { leafIndex, salt, plaintext };
  }

  signal(signal: Signal): Release {
    return this.output(encodeSignal(signal), signal.causes);
  }
}

export function signalOf(changes: Partial<Signal> = {}): Signal {
  return {
    id: 0,
    instrument: PLAIN.id,
    side: SIDE.buy,
    quantity: 10,
    limit: 101,
    ttlMs: 1000,
    decisionNs: 0n,
    causes: [],
    ...changes,
  };
}
