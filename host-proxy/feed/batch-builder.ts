// Collects rows and groups in columns and encodes them as one batch (docs/PROTOCOL.md 3) with cbor-x.
// Values come from our own parsers, which have checked their ranges; the enclave checks everything again.

import { Encoder } from 'cbor-x';
import { GROUP_FLAG, ROW_FLAG } from '../../wire/batch.ts';
import { MAX_BATCH_GROUPS, MAX_BATCH_ROWS, PROTOCOL_VERSION } from '../../wire/limits.ts';

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

/** Typed arrays get their RFC 8746 tags, maps keep the order of their keys. */
const encoder = new Encoder({ useRecords: false, mapsAsObjects: false, tagUint8Array: true });

/** 64-bit integers from safe numbers, two words each: BigInt would cost an allocation per value. */
class IntegerColumn {
  readonly #words: Int32Array;
  readonly #bytes: BigInt64Array;

  constructor(length: number) {
    this.#bytes = new BigInt64Array(length);
    this.#words = new Int32Array(this.#bytes.buffer);
  }

  set(index: number, value: number): void {
    this.#words[2 * index] = value;
    this.#words[2 * index + 1] = Math.floor(value / TWO_32);
  }

  head(length: number): BigInt64Array {
    return this.#bytes.subarray(0, length);
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
    const encoded = new Map<number, unknown>();
    encoded.set(1, PROTOCOL_VERSION);
    encoded.set(2, this.#stream);
    encoded.set(3, shortestUint(sequence));
    encoded.set(4, timeNs < TWO_32 ? Number(timeNs) : timeNs);
    encoded.set(5, rows);
    encoded.set(6, this.#instrument.subarray(0, rows));
    encoded.set(7, this.#kind.subarray(0, rows));
    encoded.set(8, this.#side.subarray(0, rows));
    encoded.set(9, this.#flags.subarray(0, rows));
    encoded.set(10, this.#exchangeTimeNs.subarray(0, rows));
    encoded.set(11, this.#receiveTimeNs.subarray(0, rows));
    encoded.set(12, this.#price.head(rows));
    encoded.set(13, this.#quantity.head(rows));
    encoded.set(14, this.#id.head(rows));
    encoded.set(15, this.#groupInstrument.subarray(0, groups));
    encoded.set(16, this.#groupFirstRow.subarray(0, groups));
    encoded.set(17, this.#groupRows.subarray(0, groups));
    encoded.set(18, this.#groupFlags.subarray(0, groups));
    encoded.set(19, this.#groupFirstId.head(groups));
    encoded.set(20, this.#groupLastId.head(groups));
    encoded.set(21, this.#groupPreviousId.head(groups));
    this.#rows = 0;
    this.#groups = 0;
    return encoder.encode(encoded);
  }
}

/** cbor-x writes numbers above 32 bits as floats and small bigints as 64 bits: neither is allowed. */
function shortestUint(value: number): number | bigint {
  return value < TWO_32 ? value : BigInt(value);
}
