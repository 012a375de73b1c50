// Batches of any shape, valid or not, for tests: each key of the protocol can be overridden.

import { Encoder } from 'cbor-x';
import type { Batch } from '../../wire/batch.ts';
import { BatchBuilder } from '../../wire/market/batch-builder.ts';

const encoder = new Encoder({ useRecords: false, mapsAsObjects: false, tagUint8Array: true });

export const TIME_NS = 1_723_161_254_206_652_067n;

/**
 * Six rows: a snapshot of two levels, an update of two, a trade and a best bid. Instruments 1 and 2.
 */
export function fields(): Map<number, unknown> {
  return new Map<number, unknown>([
    [1, 1],
    [2, 7],
    [3, 41],
    [4, TIME_NS],
    [5, 6],
    [6, Uint16Array.of(1, 1, 1, 1, 2, 1)],
    [7, Uint8Array.of(3, 3, 2, 2, 1, 4)],
    [8, Uint8Array.of(1, 2, 1, 2, 2, 1)],
    [9, Uint8Array.of(0, 0, 1, 1, 1, 0)],
    [10, BigInt64Array.of(0n, 0n, 1_723_161_255_208_000_000n, 5n, 6n, 0n)],
    [11, BigInt64Array.of(TIME_NS - 2n, TIME_NS - 2n, TIME_NS - 1n, TIME_NS, TIME_NS, TIME_NS)],
    [12, BigInt64Array.of(6_183_763n, 6_183_764n, 6_183_763n, 6_183_765n, 268_380n, -5n)],
    [13, BigInt64Array.of(378_826_000n, 1n, 0n, 9_007_199_254_740_991n, 2_000_000n, 1n)],
    [14, BigInt64Array.of(50_093_239_218n, 50_093_239_218n, 0n, 0n, 1_520_538_925n, 1n)],
    [15, Uint16Array.of(1, 1, 2)],
    [16, Uint16Array.of(0, 2, 5)],
    [17, Uint16Array.of(2, 2, 0)],
    [18, Uint8Array.of(7, 6, 6)],
    [19, BigInt64Array.of(50_093_239_218n, 50_093_239_219n, 10n)],
    [20, BigInt64Array.of(50_093_239_218n, 50_093_239_222n, 10n)],
    [21, BigInt64Array.of(-1n, -1n, 9n)],
  ]);
}

export function forge(overrides: Readonly<Record<number, unknown>> = {}): Uint8Array {
  const all = fields();
  for (const [key, value] of Object.entries(overrides)) {
    if (value === undefined) all.delete(Number(key));
    else all.set(Number(key), value);
  }
  return new Uint8Array(encoder.encode(all));
}

const at = (column: ArrayLike<number>, index: number): number => column[index] ?? Number.NaN;

/** Encodes decoded columns again, as the host would have. */
export function encodeAgain(batch: Batch): Uint8Array {
  const builder = new BatchBuilder(batch.stream);
  for (let row = 0; row < batch.rows; row++) {
    const valid = at(batch.flags, row) === 1;
    builder.addRow({
      instrument: at(batch.instrument, row),
      kind: at(batch.kind, row),
      side: at(batch.side, row),
      exchangeTimeNs: valid ? (batch.exchangeTimeNs[row] ?? 0n) : null,
      receiveTimeNs: batch.receiveTimeNs[row] ?? 0n,
      price: at(batch.price, row),
      quantity: at(batch.quantity, row),
      id: at(batch.id, row),
    });
  }
  for (let group = 0; group < batch.groups; group++) {
    builder.addGroup({
      instrument: at(batch.groupInstrument, group),
      firstRow: at(batch.groupFirstRow, group),
      rows: at(batch.groupRows, group),
      flags: at(batch.groupFlags, group),
      firstId: at(batch.groupFirstId, group),
      lastId: at(batch.groupLastId, group),
      previousId: at(batch.groupPreviousId, group),
    });
  }
  return builder.encode(batch.sequence, batch.timeNs);
}

/** Columns as plain lists, 64-bit values as text: for vectors in JSON. */
export function toPlain(batch: Batch): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(batch).map(([name, value]: [string, unknown]) => {
      if (typeof value === 'bigint') return [name, value.toString()];
      if (value instanceof BigInt64Array) return [name, Array.from(value, String)];
      if (typeof value === 'number') return [name, value];
      return [name, Array.from(value as ArrayLike<number>)];
    }),
  );
}
