// The input area, read back at the offsets of docs/PROTOCOL.md 11.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatchView, StrategyContext } from '../../../enclave/strategy/sdk.ts';
import { AREA, InputArea } from '../../../enclave/strategy/wasm-area.ts';
import { ROOT } from './support.ts';

const ROWS = 1024;
const BYTES = 52_288;

interface Row {
  readonly instrument: number;
  readonly kind: number;
  readonly side: number;
  readonly flags: number;
  readonly exchangeNs: bigint;
  readonly receiveNs: bigint;
  readonly price: number;
  readonly quantity: number;
  readonly id: number;
}

const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, 1, 2 ** 32 - 1, 2 ** 32, -(2 ** 32), -(2 ** 32) - 1, 2 ** 31, -(2 ** 31)),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
);
const time = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
const rowOf: fc.Arbitrary<Row> = fc.record({
  instrument: fc.nat(0xffff),
  kind: fc.nat(255),
  side: fc.nat(255),
  flags: fc.nat(255),
  exchangeNs: time,
  receiveNs: time,
  price: integer,
  quantity: integer,
  id: integer,
});

function batchView(rows: readonly Row[], sequence: number): BatchView {
  const fill = <T extends { [index: number]: unknown }>(column: T, name: keyof Row): T => {
    for (const [at, row] of rows.entries()) Reflect.set(column, at, row[name]);
    return column;
  };
  return {
    stream: 3,
    sequence,
    length: rows.length,
    instrument: fill(new Uint16Array(ROWS), 'instrument'),
    kind: fill(new Uint8Array(ROWS), 'kind'),
    side: fill(new Uint8Array(ROWS), 'side'),
    flags: fill(new Uint8Array(ROWS), 'flags'),
    exchangeNs: fill(new BigInt64Array(ROWS), 'exchangeNs'),
    receiveNs: fill(new BigInt64Array(ROWS), 'receiveNs'),
    price: fill(new Float64Array(ROWS), 'price'),
    quantity: fill(new Float64Array(ROWS), 'quantity'),
    id: fill(new Float64Array(ROWS), 'id'),
  };
}

const INSTRUMENTS = [
  { id: 3, venue: 'v', symbol: 'A', market: 'spot', priceScale: 2, quantityScale: 8 },
  { id: 7, venue: 'v', symbol: 'B', market: 'spot', priceScale: 0, quantityScale: 12 },
];

function absent(): never {
  throw new Error('not asked for');
}

function contextOf(
  timeNs: bigint,
  positions: readonly number[],
): StrategyContext<unknown, unknown> {
  return {
    parameters: null,
    state: null,
    instruments: INSTRUMENTS,
    timeNs,
    timeMs: 0,
    reports: Array.from({ length: 5 }, absentReport),
    random: absent,
    book: absent,
    signal: absent,
    position: (id) => positions[INSTRUMENTS.findIndex((one) => one.id === id)] ?? 0,
  };
}

function absentReport() {
  const side = 1 as const;
  return { signal: 0, instrument: 3, side, status: 1, reason: null, filledQuantity: 0, fills: [] };
}

/** Documented offsets, written down once more. */
function readRow(view: DataView, at: number, row: number): Row {
  return {
    instrument: view.getUint16(at + 64 + 2 * row, true),
    kind: view.getUint8(at + 2112 + row),
    side: view.getUint8(at + 3136 + row),
    flags: view.getUint8(at + 4160 + row),
    exchangeNs: view.getBigInt64(at + 5184 + 8 * row, true),
    receiveNs: view.getBigInt64(at + 13_376 + 8 * row, true),
    price: Number(view.getBigInt64(at + 21_568 + 8 * row, true)),
    quantity: Number(view.getBigInt64(at + 29_760 + 8 * row, true)),
    id: Number(view.getBigInt64(at + 37_952 + 8 * row, true)),
  };
}

function readSlot(view: DataView, at: number, slot: number): readonly number[] {
  return Array.from({ length: 12 }, (_, field) =>
    Number(view.getBigInt64(at + 46_144 + 96 * slot + 8 * field, true)),
  );
}

function areaAt(address: number, length: number): () => InputArea {
  return () => new InputArea({ buffer: new ArrayBuffer(length) }, address, new Float64Array(512));
}

describe('the input area', () => {
  it('has every value at its documented place, and nothing around it is touched', () => {
    fc.assert(
      fc.property(
        fc.array(rowOf, { maxLength: 40 }),
        fc.maxSafeInteger().map((value) => Math.abs(value)),
        time,
        fc.array(integer, { minLength: 18, maxLength: 18 }),
        fc.constantFrom(0, 8, 4096),
        (rows, sequence, timeNs, numbers, address) => {
          const memory = { buffer: new ArrayBuffer(address + BYTES + 16) };
          const bytes = new Uint8Array(memory.buffer);
          bytes.fill(0xa5);
          const tops = new Float64Array(64 * 8);
          tops.set(numbers.slice(0, 16));
          const area = new InputArea(memory, address, tops);
          area.writeBatch(batchView(rows, sequence), contextOf(timeNs, numbers.slice(16)));
          const view = new DataView(memory.buffer);
          expect(view.getInt32(address, true)).toBe(3);
          expect(view.getInt32(address + 4, true)).toBe(rows.length);
          expect(view.getBigInt64(address + 8, true)).toBe(BigInt(sequence));
          expect(view.getBigInt64(address + 16, true)).toBe(timeNs);
          expect(view.getInt32(address + 24, true)).toBe(2);
          expect(view.getInt32(address + 28, true)).toBe(5);
          expect(rows.map((_, row) => readRow(view, address, row))).toEqual(rows);
          expect(readSlot(view, address, 0)).toEqual([
            3,
            2,
            8,
            numbers[16],
            ...numbers.slice(0, 8),
          ]);
          expect(readSlot(view, address, 1)).toEqual([
            7,
            0,
            12,
            numbers[17],
            ...numbers.slice(8, 16),
          ]);
          expect(bytes.subarray(0, address).every((byte) => byte === 0xa5)).toBe(true);
          expect(bytes.subarray(address + BYTES).every((byte) => byte === 0xa5)).toBe(true);
          // A slot that is not subscribed, and a row that is not there.
          expect(bytes[address + 46_144 + 2 * 96]).toBe(0xa5);
          expect(bytes[address + 21_568 + 8 * rows.length]).toBe(0xa5);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('holds 1,024 rows', () => {
    const [row] = fc.sample(rowOf, 1);
    const rows = Array.from({ length: ROWS }, (_, id) => ({ ...row, id }) as Row);
    const memory = { buffer: new ArrayBuffer(BYTES) };
    new InputArea(memory, 0, new Float64Array(512)).writeBatch(
      batchView(rows, 1),
      contextOf(1n, []),
    );
    const view = new DataView(memory.buffer);
    expect(rows.map((_, at) => readRow(view, 0, at))).toEqual(rows);
  });

  it('is refused where it is not aligned or does not fit', () => {
    expect(areaAt(0, BYTES)).not.toThrow();
    expect(areaAt(0, BYTES - 1)).toThrow(RangeError);
    expect(areaAt(8, BYTES + 8)).not.toThrow();
    expect(areaAt(8, BYTES + 7)).toThrow(RangeError);
    for (const address of [1, 2, 4, 7, 12]) expect(areaAt(address, 2 * BYTES)).toThrow(RangeError);
    expect(areaAt(2 ** 32 - 8, BYTES)).toThrow(RangeError);
  });

  it('moves along when the memory has another buffer', () => {
    const memory = { buffer: new ArrayBuffer(BYTES) };
    const area = new InputArea(memory, 0, new Float64Array(512));
    memory.buffer = memory.buffer.transfer(2 * BYTES);
    area.writeBatch(batchView([], 9), contextOf(0n, []));
    expect(new DataView(memory.buffer).getBigInt64(8, true)).toBe(9n);
  });

  it('is as docs/PROTOCOL.md says', async () => {
    const text = await readFile(join(ROOT, 'docs/PROTOCOL.md'), 'utf8');
    const chapter = text.slice(text.indexOf('The input area, little endian'));
    const table = chapter.slice(
      chapter.indexOf('| offset'),
      chapter.indexOf('\n\nThe runner writes'),
    );
    const offsets = [...table.matchAll(/^\| (\d+) /gmu)].map(([, offset]) => Number(offset));
    expect(offsets).toEqual(Object.values(AREA));
  });
});
