// The input area of a WebAssembly strategy (docs/PROTOCOL.md 11): where the runner writes each batch into the
// module's memory. The module chose the address once; nothing is ever read back from there, so that whatever
// it does to the area is its own affair, until the next batch overwrites it. Little endian.
//
//   0 i32 stream | 4 i32 rows | 8 i64 sequence | 16 i64 time | 24 i32 slots | 28 i32 reports
//   columns of 1,024 elements at the offsets below | 64 slots of 96 bytes, each of twelve i64:
//   instrument | price scale | quantity scale | position | the eight numbers of `tops`

import { MAX_BATCH_ROWS } from '../../wire/limits.ts';
import { BOOK_FIELDS } from './realm-types.ts';
import type { BatchView, StrategyContext } from './sdk.ts';

/** Bytes from the start of the area. */
export const AREA = {
  stream: 0,
  rows: 4,
  sequence: 8,
  time: 16,
  slotCount: 24,
  reportCount: 28,
  instrument: 64,
  kind: 2112,
  side: 3136,
  flags: 4160,
  exchangeTime: 5184,
  receiveTime: 13_376,
  price: 21_568,
  quantity: 29_760,
  id: 37_952,
  slots: 46_144,
  end: 52_288,
} as const;
const SLOT_NUMBERS = 12;
const FIRST_TOP = 4;
const TWO_32 = 0x1_0000_0000;

/** Safe integers as 64-bit ones, two words each. */
function writeIntegers(to: Int32Array, from: Float64Array, count: number): void {
  for (let index = 0; index < count; index++) {
    const value = from[index] ?? 0;
    // The low word is taken modulo 2^32.
    to[2 * index] = value;
    to[2 * index + 1] = Math.floor(value / TWO_32);
  }
}

/** What of a WebAssembly memory is used. After the memory has grown, its buffer is another one. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** Throws a RangeError unless the address is a multiple of 8 from which the whole area fits. */
function viewsOf(buffer: ArrayBuffer, address: number) {
  const rows = MAX_BATCH_ROWS;
  return {
    buffer,
    head: new DataView(buffer, address, AREA.instrument),
    instrument: new Uint16Array(buffer, address + AREA.instrument, rows),
    kind: new Uint8Array(buffer, address + AREA.kind, rows),
    side: new Uint8Array(buffer, address + AREA.side, rows),
    flags: new Uint8Array(buffer, address + AREA.flags, rows),
    exchangeTime: new BigInt64Array(buffer, address + AREA.exchangeTime, rows),
    receiveTime: new BigInt64Array(buffer, address + AREA.receiveTime, rows),
    price: new Int32Array(buffer, address + AREA.price, 2 * rows),
    quantity: new Int32Array(buffer, address + AREA.quantity, 2 * rows),
    id: new Int32Array(buffer, address + AREA.id, 2 * rows),
    slots: new Int32Array(buffer, address + AREA.slots, (AREA.end - AREA.slots) / 4),
  };
}
type Views = ReturnType<typeof viewsOf>;

export class InputArea {
  readonly #memory: WasmMemory;
  readonly #address: number;
  readonly #tops: Float64Array;
  #views: Views;
  readonly #slot = new Float64Array(SLOT_NUMBERS);

  /** Throws as `viewsOf`. */
  constructor(memory: WasmMemory, address: number, tops: Float64Array) {
    this.#memory = memory;
    this.#address = address;
    this.#tops = tops;
    this.#views = viewsOf(memory.buffer, address);
  }

  #current(): Views {
    const { buffer } = this.#memory;
    if (this.#views.buffer !== buffer) this.#views = viewsOf(buffer, this.#address);
    return this.#views;
  }

  /** The subscribed instruments, and what of them is known: nothing before the first batch. */
  writeSlots(
    instruments: StrategyContext<unknown, unknown>['instruments'],
    position: (instrument: number) => number,
  ): void {
    const { head, slots } = this.#current();
    head.setInt32(AREA.slotCount, instruments.length, true);
    instruments.forEach(({ id, priceScale, quantityScale }, slot) => {
      this.#slot.set([id, priceScale, quantityScale, position(id)]);
      const tops = this.#tops.subarray(slot * BOOK_FIELDS, (slot + 1) * BOOK_FIELDS);
      this.#slot.set(tops, FIRST_TOP);
      writeIntegers(slots.subarray(2 * SLOT_NUMBERS * slot), this.#slot, SLOT_NUMBERS);
    });
  }

  writeBatch(batch: BatchView, context: StrategyContext<unknown, unknown>): void {
    const { length } = batch;
    const views = this.#current();
    views.head.setInt32(AREA.stream, batch.stream, true);
    views.head.setInt32(AREA.rows, length, true);
    views.head.setBigInt64(AREA.sequence, BigInt(batch.sequence), true);
    views.head.setBigInt64(AREA.time, context.timeNs, true);
    views.head.setInt32(AREA.reportCount, context.reports.length, true);
    views.instrument.set(batch.instrument.subarray(0, length));
    views.kind.set(batch.kind.subarray(0, length));
    views.side.set(batch.side.subarray(0, length));
    views.flags.set(batch.flags.subarray(0, length));
    views.exchangeTime.set(batch.exchangeNs.subarray(0, length));
    views.receiveTime.set(batch.receiveNs.subarray(0, length));
    writeIntegers(views.price, batch.price, length);
    writeIntegers(views.quantity, batch.quantity, length);
    writeIntegers(views.id, batch.id, length);
    this.writeSlots(context.instruments, (id) => context.position(id));
  }
}
