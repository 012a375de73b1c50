// Collects rows and groups in columns and encodes them as one batch (docs/PROTOCOL.md 3). Values come from
// our own parsers, which have checked their ranges; the enclave checks everything again.

import { GROUP_FLAG, ROW_FLAG } from '../batch.ts';
import { encodeCborHead } from '../cbor.ts';
import {
  MAX_BATCH_GROUPS,
  MAX_BATCH_ROWS,
  MAX_FEED_IN_BYTES,
  PROTOCOL_VERSION,
} from '../limits.ts';

const TWO_32 = 0x1_0000_0000;

export interface Row {
  readonly instrument: number;
  /** A value of ROW. */
  readonly kind: number;
  /** A value of BOOK_SIDE. */
  readonly side: number;
  /** Null where the venue gives none. */
  readonly exchangeTimeNs: bigint | null;
  readonly receiveTimeNs: bigint;
  /** Scaled, safe integers, as `quantity` and `id`. */
  readonly price: number;
  readonly quantity: number;
  readonly id: number;
}

export interface Group {
  readonly instrument: number;
  readonly firstRow: number;
  readonly rows: number;
  /** Bits of GROUP_FLAG. */
  readonly flags: number;
  readonly firstId: number;
  readonly lastId: number;
  readonly previousId: number;
}

/** 64-bit integers from safe numbers, two words each: BigInt would cost an allocation per value. */
class IntegerColumn {
  readonly values: BigInt64Array;
  readonly #words: Int32Array;

  constructor(length: number) {
    this.values = new BigInt64Array(length);
    this.#words = new Int32Array(this.values.buffer);
  }

  set(index: number, value: number): void {
    this.#words[2 * index] = value;
    // A division only where it is needed.
    const small = value >= 0 && value < TWO_32;
    this.#words[2 * index + 1] = small ? 0 : Math.floor(value / TWO_32);
  }
}

export class BatchBuilder {
  readonly #stream: number;
  readonly #instrument = new Uint16Array(MAX_BATCH_ROWS);
  readonly #kind = new Uint8Array(MAX_BATCH_ROWS);
  readonly #side = new Uint8Array(MAX_BATCH_ROWS);
  readonly #flags = new Uint8Array(MAX_BATCH_ROWS);
  readonly #exchangeTimeNs = new BigInt64Array(MAX_BATCH_ROWS);
  readonly #receiveTimeNs = new BigInt64Array(MAX_BATCH_ROWS);
  readonly #price = new IntegerColumn(MAX_BATCH_ROWS);
  readonly #quantity = new IntegerColumn(MAX_BATCH_ROWS);
  readonly #id = new IntegerColumn(MAX_BATCH_ROWS);
  readonly #groupInstrument = new Uint16Array(MAX_BATCH_GROUPS);
  readonly #groupFirstRow = new Uint16Array(MAX_BATCH_GROUPS);
  readonly #groupRows = new Uint16Array(MAX_BATCH_GROUPS);
  readonly #groupFlags = new Uint8Array(MAX_BATCH_GROUPS);
  readonly #groupFirstId = new IntegerColumn(MAX_BATCH_GROUPS);
  readonly #groupLastId = new IntegerColumn(MAX_BATCH_GROUPS);
  readonly #groupPreviousId = new IntegerColumn(MAX_BATCH_GROUPS);
  readonly #writer = new ColumnWriter();
  #rows = 0;
  #groups = 0;

  constructor(stream: number) {
    this.#stream = stream;
  }

  get rows(): number {
    return this.#rows;
  }

  get groups(): number {
    return this.#groups;
  }

  /** Rows that still fit. */
  get freeRows(): number {
    return MAX_BATCH_ROWS - this.#rows;
  }

  get freeGroups(): number {
    return MAX_BATCH_GROUPS - this.#groups;
  }

  addRow(row: Row): void {
    const index = this.#rows;
    if (index === MAX_BATCH_ROWS) throw new Error('the batch is full');
    this.#rows = index + 1;
    this.#instrument[index] = row.instrument;
    this.#kind[index] = row.kind;
    this.#side[index] = row.side;
    this.#flags[index] = row.exchangeTimeNs === null ? 0 : ROW_FLAG.exchangeTimeValid;
    this.#exchangeTimeNs[index] = row.exchangeTimeNs ?? 0n;
    this.#receiveTimeNs[index] = row.receiveTimeNs;
    this.#price.set(index, row.price);
    this.#quantity.set(index, row.quantity);
    this.#id.set(index, row.id);
  }

  addGroup(group: Group): void {
    const index = this.#groups;
    if (index === MAX_BATCH_GROUPS) throw new Error('the batch is full');
    if (group.flags > (GROUP_FLAG.snapshot | GROUP_FLAG.first | GROUP_FLAG.last)) {
      throw new Error('unknown group flags');
    }
    this.#groups = index + 1;
    this.#groupInstrument[index] = group.instrument;
    this.#groupFirstRow[index] = group.firstRow;
    this.#groupRows[index] = group.rows;
    this.#groupFlags[index] = group.flags;
    this.#groupFirstId.set(index, group.firstId);
    this.#groupLastId.set(index, group.lastId);
    this.#groupPreviousId.set(index, group.previousId);
  }

  /** The batch's bytes; the builder is empty afterwards. `timeNs`: no receive time is later. */
  encode(sequence: number, timeNs: bigint): Uint8Array {
    const rows = this.#rows;
    const groups = this.#groups;
    const writer = this.#writer;
    writer.start(KEYS);
    writer.uint(1, PROTOCOL_VERSION);
    writer.uint(2, this.#stream);
    writer.uint(3, sequence);
    writer.uint(4, timeNs);
    writer.uint(5, rows);
    writer.column(6, this.#instrument, rows);
    writer.column(7, this.#kind, rows);
    writer.column(8, this.#side, rows);
    writer.column(9, this.#flags, rows);
    writer.column(10, this.#exchangeTimeNs, rows);
    writer.column(11, this.#receiveTimeNs, rows);
    writer.column(12, this.#price.values, rows);
    writer.column(13, this.#quantity.values, rows);
    writer.column(14, this.#id.values, rows);
    writer.column(15, this.#groupInstrument, groups);
    writer.column(16, this.#groupFirstRow, groups);
    writer.column(17, this.#groupRows, groups);
    writer.column(18, this.#groupFlags, groups);
    writer.column(19, this.#groupFirstId.values, groups);
    writer.column(20, this.#groupLastId.values, groups);
    writer.column(21, this.#groupPreviousId.values, groups);
    this.#rows = 0;
    this.#groups = 0;
    return writer.take();
  }
}

const KEYS = 21;
const TAG = 0xd8;
/** RFC 8746; the memory of all our machines is little endian, as the layout is. */
const TAG_OF_WIDTH: Readonly<Record<number, number>> = { 1: 64, 2: 69, 8: 79 };

/** Deterministic CBOR of one map, in memory that is used again. */
class ColumnWriter {
  readonly #bytes = new Uint8Array(MAX_FEED_IN_BYTES);
  #offset = 0;

  /** The head of a map of `pairs`, whose keys are below 24. */
  start(pairs: number): void {
    this.#offset = 0;
    this.#head(5, pairs);
  }

  uint(key: number, value: number | bigint): void {
    this.#head(0, key);
    this.#head(0, value);
  }

  column(key: number, values: Uint8Array | Uint16Array | BigInt64Array, count: number): void {
    const length = count * values.BYTES_PER_ELEMENT;
    this.#head(0, key);
    this.#bytes[this.#offset++] = TAG;
    this.#bytes[this.#offset++] = TAG_OF_WIDTH[values.BYTES_PER_ELEMENT] ?? 0;
    this.#head(2, length);
    this.#bytes.set(new Uint8Array(values.buffer, values.byteOffset, length), this.#offset);
    this.#offset += length;
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#offset);
  }

  #head(major: number, argument: number | bigint): void {
    if (argument < 24) {
      this.#bytes[this.#offset++] = (major << 5) | Number(argument);
      return;
    }
    const head = encodeCborHead(major, argument);
    this.#bytes.set(head, this.#offset);
    this.#offset += head.length;
  }
}
