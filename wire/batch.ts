// Market-data batches (docs/PROTOCOL.md 3): the columns, and a strict decoder of our own, because a
// general CBOR decoder would make objects of hostile input first. Trusts nothing: lengths are compared
// with `rows` before a column is copied, every rule of the protocol is checked, and there is exactly one
// encoding of a batch. Hostile input can still invent prices; it cannot break the layout.
//
//   b5 | 01 version | 02 stream | 03 sequence | 04 time | 05 rows | 06 column … 15 column
//   column = d8 tag | byte string head | little-endian values      tag 40 uint8, 45 uint16, 4f sint64

import { MAX_BATCH_GROUPS, MAX_BATCH_ROWS, MAX_FEED_IN_BYTES, PROTOCOL_VERSION } from './limits.ts';
import type { Refusal, Result } from './result.ts';
import { accept, refuse } from './result.ts';

export const ROW = { trade: 1, level: 2, snapshotLevel: 3, best: 4 } as const;
export const BOOK_SIDE = { bid: 1, ask: 2 } as const;
export const ROW_FLAG = { exchangeTimeValid: 1 } as const;
export const GROUP_FLAG = { snapshot: 1, first: 2, last: 4 } as const;
export const MAX_INPUT_STREAM = 999;
export const NO_PREVIOUS_ID: -1 = -1;

/** Columns of one batch; all row columns have `rows` elements, all group columns `groups`. */
export interface Batch {
  readonly stream: number;
  readonly sequence: number;
  /** No receive time of the batch is later. */
  readonly timeNs: bigint;
  readonly rows: number;
  readonly instrument: Uint16Array;
  /** A value of ROW. */
  readonly kind: Uint8Array;
  /** A value of BOOK_SIDE; of a trade the side that took: bid is a buyer. */
  readonly side: Uint8Array;
  readonly flags: Uint8Array;
  /** 0 where the flag says that the venue gives none. */
  readonly exchangeTimeNs: BigInt64Array;
  readonly receiveTimeNs: BigInt64Array;
  /** Scaled, safe integers. */
  readonly price: Float64Array;
  /** Scaled, safe integers ≥ 0. */
  readonly quantity: Float64Array;
  /** Trade id or update id, 0 where there is none. */
  readonly id: Float64Array;
  readonly groups: number;
  readonly groupInstrument: Uint16Array;
  readonly groupFirstRow: Uint16Array;
  readonly groupRows: Uint16Array;
  /** Bits of GROUP_FLAG. */
  readonly groupFlags: Uint8Array;
  readonly groupFirstId: Float64Array;
  readonly groupLastId: Float64Array;
  /** NO_PREVIOUS_ID where the venue gives none. */
  readonly groupPreviousId: Float64Array;
}

/** Ids of the instruments that the configuration has; a Set will do. */
export interface KnownInstruments {
  has(instrument: number): boolean;
}

const MAP_OF_21 = 0xb5;
const TAG_UINT8 = 64;
const TAG_UINT16 = 69;
const TAG_SINT64 = 79;
const COLUMNS = 16;
const COLUMN_ALIGNMENT = 8;
const TWO_32 = 0x1_0000_0000;
const MAX_HIGH_WORD = 0x1f_ffff;

/** A rule of the layout that `field` breaks; caught in `parseBatch` only. */
class Malformed extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super('batch');
    this.refusal = refusal;
  }
}

function malformed(field: number, index = -1): Malformed {
  return new Malformed({
    code: 'batch_malformed',
    detail: index < 0 ? { field } : { field, index },
  });
}

/**
 * Memory for the columns of one batch at a time, for who reads many: a batch that was parsed into it is
 * overwritten by the next. At most twice the largest batch.
 */
export class BatchMemory {
  #bytes = new ArrayBuffer(0);

  /** At least `length` bytes, of any content. */
  take(length: number): ArrayBuffer {
    const { byteLength } = this.#bytes;
    if (length > byteLength) this.#bytes = new ArrayBuffer(Math.max(length, 2 * byteLength));
    return this.#bytes;
  }
}

class Reader {
  readonly bytes: Uint8Array;
  offset = 0;
  readonly #view: DataView;
  /** All columns of a batch lie in one buffer: sixteen small ones would cost more than the rest. */
  readonly #columns: ArrayBuffer;
  #used = 0;

  constructor(bytes: Uint8Array, memory: BatchMemory) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#columns = memory.take(bytes.length + COLUMNS * COLUMN_ALIGNMENT);
  }

  byte(field: number): number {
    const byte = this.bytes[this.offset];
    if (byte === undefined) throw malformed(field);
    this.offset++;
    return byte;
  }

  expect(byte: number, field: number): void {
    if (this.byte(field) !== byte) throw malformed(field);
  }

  /** The argument of a head of `major` in its shortest form; a bigint above 2^53-1. */
  argument(major: number, field: number): number | bigint {
    const head = this.byte(field);
    const info = head & 31;
    if (head >> 5 !== major || info > 27) throw malformed(field);
    if (info < 24) return info;
    if (info === 27) return this.#wideArgument(field);
    const width = 1 << (info - 24);
    let value = 0;
    for (let step = 0; step < width; step++) value = value * 256 + this.byte(field);
    const shortest = width === 1 ? 24 : width === 2 ? 0x100 : 0x1_0000;
    if (value < shortest) throw malformed(field);
    return value;
  }

  #wideArgument(field: number): number | bigint {
    const end = this.offset + 8;
    if (end > this.bytes.length) throw malformed(field);
    const value = this.#view.getBigUint64(this.offset);
    if (value < BigInt(TWO_32)) throw malformed(field);
    this.offset = end;
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  uint64(field: number): bigint {
    this.expect(field, field);
    return BigInt(this.argument(0, field));
  }

  uint(field: number, minimum: number, maximum: number): number {
    this.expect(field, field);
    const value = this.argument(0, field);
    if (typeof value === 'bigint' || value < minimum || value > maximum) throw malformed(field);
    return value;
  }

  /** Where the bytes of a column begin. `count` null: as many as there are; answers the count too. */
  column(
    field: number,
    tag: number,
    width: number,
    count: number | null,
    most: number,
  ): { readonly begin: number; readonly count: number } {
    this.expect(field, field);
    this.expect(0xd8, field);
    this.expect(tag, field);
    const length = this.argument(2, field);
    if (typeof length === 'bigint') throw malformed(field);
    const counted = count ?? length / width;
    if (length !== counted * width || !Number.isInteger(counted) || counted > most) {
      throw malformed(field);
    }
    const begin = this.offset;
    if (begin + length > this.bytes.length) throw malformed(field);
    this.offset = begin + length;
    return { begin, count: counted };
  }

  /** Aligned room for a column. */
  #room(bytes: number): number {
    const begin = this.#used;
    this.#used += Math.ceil(bytes / COLUMN_ALIGNMENT) * COLUMN_ALIGNMENT;
    return begin;
  }

  /** A copy, so that it is aligned. */
  #copy(begin: number, length: number): number {
    const room = this.#room(length);
    const copy = new Uint8Array(this.#columns, room, length);
    // A call costs more than a few bytes by hand.
    if (length > 64) copy.set(this.bytes.subarray(begin, begin + length));
    else for (let at = 0; at < length; at++) copy[at] = this.bytes[begin + at] ?? 0;
    return room;
  }

  uint8s(field: number, count: number): Uint8Array {
    const { begin } = this.column(field, TAG_UINT8, 1, count, count);
    return new Uint8Array(this.#columns, this.#copy(begin, count), count);
  }

  /** `count` null: as many as there are, at most `most`. */
  uint16s(field: number, count: number | null, most: number): Uint16Array {
    const column = this.column(field, TAG_UINT16, 2, count, most);
    const room = this.#copy(column.begin, 2 * column.count);
    return new Uint16Array(this.#columns, room, column.count);
  }

  times(field: number, count: number): BigInt64Array {
    const { begin } = this.column(field, TAG_SINT64, 8, count, count);
    return new BigInt64Array(this.#columns, this.#copy(begin, 8 * count), count);
  }

  /** 64-bit values from `minimum` to 2^53-1, as exact doubles. */
  integers(field: number, count: number, minimum: number): Float64Array {
    const { begin } = this.column(field, TAG_SINT64, 8, count, count);
    const values = new Float64Array(this.#columns, this.#room(8 * count), count);
    const view = this.#view;
    for (let index = 0, at = begin; index < count; index++, at += 8) {
      const high = view.getInt32(at + 4, true);
      const value = high * TWO_32 + view.getUint32(at, true);
      if (high > MAX_HIGH_WORD || value < minimum) throw malformed(field, index);
      values[index] = value;
    }
    return values;
  }
}

function readBatch(bytes: Uint8Array, memory: BatchMemory): Batch {
  const reader = new Reader(bytes, memory);
  reader.expect(MAP_OF_21, 0);
  reader.uint(1, PROTOCOL_VERSION, PROTOCOL_VERSION);
  const stream = reader.uint(2, 1, MAX_INPUT_STREAM);
  const sequence = reader.uint(3, 0, Number.MAX_SAFE_INTEGER);
  const timeNs = reader.uint64(4);
  if (timeNs >= 1n << 63n) throw malformed(4);
  const rows = reader.uint(5, 0, MAX_BATCH_ROWS);
  const instrument = reader.uint16s(6, rows, rows);
  const kind = reader.uint8s(7, rows);
  const side = reader.uint8s(8, rows);
  const flags = reader.uint8s(9, rows);
  const exchangeTimeNs = reader.times(10, rows);
  const receiveTimeNs = reader.times(11, rows);
  const price = reader.integers(12, rows, Number.MIN_SAFE_INTEGER);
  const quantity = reader.integers(13, rows, 0);
  const id = reader.integers(14, rows, 0);
  const groupInstrument = reader.uint16s(15, null, MAX_BATCH_GROUPS);
  const groups = groupInstrument.length;
  const batch: Batch = {
    stream,
    sequence,
    timeNs,
    rows,
    instrument,
    kind,
    side,
    flags,
    exchangeTimeNs,
    receiveTimeNs,
    price,
    quantity,
    id,
    groups,
    groupInstrument,
    groupFirstRow: reader.uint16s(16, groups, groups),
    groupRows: reader.uint16s(17, groups, groups),
    groupFlags: reader.uint8s(18, groups),
    groupFirstId: reader.integers(19, groups, 0),
    groupLastId: reader.integers(20, groups, 0),
    groupPreviousId: reader.integers(21, groups, NO_PREVIOUS_ID),
  };
  if (reader.offset !== bytes.length) throw malformed(0);
  return batch;
}

function checkRows(batch: Batch): void {
  const { rows, kind, side, flags } = batch;
  for (let row = 0; row < rows; row++) {
    const kindOfRow = kind[row] ?? 0;
    if (kindOfRow < ROW.trade || kindOfRow > ROW.best) throw malformed(7, row);
    const sideOfRow = side[row] ?? 0;
    if (sideOfRow !== BOOK_SIDE.bid && sideOfRow !== BOOK_SIDE.ask) throw malformed(8, row);
    if ((flags[row] ?? 0) > ROW_FLAG.exchangeTimeValid) throw malformed(9, row);
  }
}

function wordsOf(times: BigInt64Array): Int32Array {
  return new Int32Array(times.buffer, times.byteOffset, 2 * times.length);
}

/** Times are compared as two words: a bigint for each would cost more than the rest of the decoder. */
function checkTimes(batch: Batch): void {
  const exchange = wordsOf(batch.exchangeTimeNs);
  const receive = wordsOf(batch.receiveTimeNs);
  const lastHigh = Number(batch.timeNs >> 32n);
  const lastLow = Number(batch.timeNs & 0xffff_ffffn);
  for (let row = 0; row < batch.rows; row++) {
    const low = exchange[2 * row] ?? 0;
    const high = exchange[2 * row + 1] ?? 0;
    if (high < 0 || (batch.flags[row] === 0 && (low | high) !== 0)) throw malformed(10, row);
    const receiveHigh = receive[2 * row + 1] ?? 0;
    if (receiveHigh < 0 || receiveHigh > lastHigh) throw malformed(11, row);
    if (receiveHigh === lastHigh && (receive[2 * row] ?? 0) >>> 0 > lastLow) {
      throw malformed(11, row);
    }
  }
}

/** Every book row is in exactly one group of its instrument and kind, and no other row is in any. */
function checkGroups(batch: Batch): void {
  let free = 0;
  for (let group = 0; group < batch.groups; group++) {
    const start = batch.groupFirstRow[group] ?? 0;
    const end = start + (batch.groupRows[group] ?? 0);
    if (start < free) throw malformed(16, group);
    if (end > batch.rows) throw malformed(17, group);
    const flags = batch.groupFlags[group] ?? 0;
    const snapshot = (flags & GROUP_FLAG.snapshot) !== 0;
    if (flags > 7) throw malformed(18, group);
    const firstId = batch.groupFirstId[group] ?? 0;
    const lastId = batch.groupLastId[group] ?? 0;
    if (lastId < firstId || (snapshot && lastId !== firstId)) throw malformed(20, group);
    if (snapshot && batch.groupPreviousId[group] !== NO_PREVIOUS_ID) throw malformed(21, group);
    checkUngrouped(batch, free, start);
    const kind = snapshot ? ROW.snapshotLevel : ROW.level;
    const instrument = batch.groupInstrument[group];
    for (let row = start; row < end; row++) {
      if (batch.kind[row] !== kind) throw malformed(7, row);
      if (batch.instrument[row] !== instrument) throw malformed(15, group);
    }
    free = end;
  }
  checkUngrouped(batch, free, batch.rows);
}

function checkUngrouped(batch: Batch, start: number, end: number): void {
  for (let row = start; row < end; row++) {
    const kind = batch.kind[row];
    if (kind === ROW.level || kind === ROW.snapshotLevel) throw malformed(7, row);
  }
}

function checkInstruments(column: Uint16Array, known: KnownInstruments): void {
  let last = -1;
  for (const instrument of column) {
    if (instrument === last) continue;
    if (!known.has(instrument)) {
      throw new Malformed({ code: 'instrument_unknown', detail: { instrument } });
    }
    last = instrument;
  }
}

/**
 * Decodes one batch. The columns are copies, in `memory` or in memory of their own: `bytes` may be used
 * again. Refuses `batch_malformed` {field: key of the protocol, index: row or group} and
 * `instrument_unknown` {instrument}. Whether stream and sequence fit is for whoever knows the batch before.
 */
export function parseBatch(
  bytes: Uint8Array,
  knownInstruments: KnownInstruments | null = null,
  memory: BatchMemory = new BatchMemory(),
): Result<Batch> {
  if (bytes.length > MAX_FEED_IN_BYTES) {
    return refuse('batch_malformed', { bytes: bytes.length, maximum: MAX_FEED_IN_BYTES });
  }
  try {
    const batch = readBatch(bytes, memory);
    checkRows(batch);
    checkTimes(batch);
    checkGroups(batch);
    if (knownInstruments !== null) {
      checkInstruments(batch.instrument, knownInstruments);
      checkInstruments(batch.groupInstrument, knownInstruments);
    }
    return accept(batch);
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, refusal: error.refusal };
    throw error;
  }
}
