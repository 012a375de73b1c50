// The rules of docs/PROTOCOL.md 3 once more, over cborg and bigints, slow and plain: what both this and
// wire/batch.ts accept, they must read alike.

import { decode, encode } from 'cborg';

const LIMIT = 2n ** 53n - 1n;

class Column {
  readonly tag: number;
  readonly bytes: Uint8Array;
  constructor(tag: number, bytes: unknown) {
    if (!(bytes instanceof Uint8Array)) throw new Error('a column is a byte string');
    this.tag = tag;
    this.bytes = bytes;
  }

  values(): readonly bigint[] {
    const width = this.tag === 64 ? 1 : this.tag === 69 ? 2 : 8;
    if (this.bytes.length % width !== 0) throw new Error('half a value');
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    return Array.from({ length: this.bytes.length / width }, (_, index) => {
      if (width === 1) return BigInt(view.getUint8(index));
      if (width === 2) return BigInt(view.getUint16(2 * index, true));
      return view.getBigInt64(8 * index, true);
    });
  }
}

const column =
  (tag: number) =>
  (inner: () => unknown): Column =>
    new Column(tag, inner());

const OPTIONS = {
  useMaps: true,
  strict: true,
  allowIndefinite: false,
  rejectDuplicateMapKeys: true,
  tags: { 64: column(64), 69: column(69), 79: column(79) },
};

function check(condition: boolean): void {
  if (!condition) throw new Error('a rule');
}

/** Null when a rule is broken. */
export function readBatchPlainly(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    return read(bytes);
  } catch {
    return null;
  }
}

function read(bytes: Uint8Array): Record<string, unknown> {
  const map: unknown = decode(bytes, OPTIONS);
  check(map instanceof Map && map.size === 21);
  const fields = map as Map<number, unknown>;
  check([...fields.keys()].every((key, index) => key === index + 1));
  // Floats that are integers would be taken for them.
  for (const key of [1, 2, 3, 4, 5]) check(isUintOf(bytes, key, fields.get(key)));
  const uint = (key: number, minimum: bigint, maximum: bigint): bigint => {
    const value = BigInt(fields.get(key) as number | bigint);
    check(value >= minimum && value <= maximum);
    return value;
  };
  uint(1, 1n, 1n);
  const stream = uint(2, 1n, 999n);
  const sequence = uint(3, 0n, LIMIT);
  const timeNs = uint(4, 0n, 2n ** 63n - 1n);
  const rows = uint(5, 0n, 1024n);
  const values = (key: number, tag: number, count: bigint | null): readonly bigint[] => {
    const value = fields.get(key);
    if (!(value instanceof Column) || value.tag !== tag) throw new Error('another column');
    const list = value.values();
    check(count === null ? list.length <= 1024 : BigInt(list.length) === count);
    return list;
  };
  const groupInstrument = values(15, 69, null);
  const groups = BigInt(groupInstrument.length);
  const batch = {
    stream,
    sequence,
    timeNs,
    rows,
    instrument: values(6, 69, rows),
    kind: values(7, 64, rows),
    side: values(8, 64, rows),
    flags: values(9, 64, rows),
    exchangeTimeNs: values(10, 79, rows),
    receiveTimeNs: values(11, 79, rows),
    price: values(12, 79, rows),
    quantity: values(13, 79, rows),
    id: values(14, 79, rows),
    groups,
    groupInstrument,
    groupFirstRow: values(16, 69, groups),
    groupRows: values(17, 69, groups),
    groupFlags: values(18, 64, groups),
    groupFirstId: values(19, 79, groups),
    groupLastId: values(20, 79, groups),
    groupPreviousId: values(21, 79, groups),
  };
  checkRows(batch);
  checkGroups(batch);
  return batch;
}

/** The value's own shortest encoding follows its key in the bytes: it was no float and no longer form. */
function isUintOf(bytes: Uint8Array, key: number, value: unknown): boolean {
  if (typeof value !== 'number' && typeof value !== 'bigint') return false;
  if (!Number.isInteger(Number(value)) || value < 0) return false;
  const encoded = Buffer.concat([Uint8Array.of(key), encode(value)]);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(encoded) >= 0;
}

type Columns = Readonly<Record<string, readonly bigint[] | bigint>>;

function at(batch: Columns, name: string, index: number): bigint {
  const list = batch[name];
  const value = typeof list === 'object' ? list[index] : undefined;
  if (value === undefined) throw new Error('no such value');
  return value;
}

function checkRows(batch: Columns): void {
  for (let row = 0; row < Number(batch['rows']); row++) {
    const of = (name: string): bigint => at(batch, name, row);
    check(of('kind') >= 1n && of('kind') <= 4n);
    check(of('side') === 1n || of('side') === 2n);
    check(of('flags') <= 1n);
    check(of('exchangeTimeNs') >= 0n && (of('flags') === 1n || of('exchangeTimeNs') === 0n));
    check(of('receiveTimeNs') >= 0n && of('receiveTimeNs') <= (batch['timeNs'] as bigint));
    check(of('price') >= -LIMIT && of('price') <= LIMIT);
    check(of('quantity') >= 0n && of('quantity') <= LIMIT);
    check(of('id') >= 0n && of('id') <= LIMIT);
  }
}

function checkGroups(batch: Columns): void {
  const rows = Number(batch['rows']);
  const groupOf: (number | null)[] = Array.from({ length: rows }, () => null);
  let end = 0n;
  for (let group = 0; group < Number(batch['groups']); group++) {
    const of = (name: string): bigint => at(batch, name, group);
    const [first, count, flags] = [of('groupFirstRow'), of('groupRows'), of('groupFlags')];
    check(first >= end && first + count <= BigInt(rows) && flags <= 7n);
    end = first + count;
    for (let row = Number(first); row < Number(end); row++) groupOf[row] = group;
    check(of('groupFirstId') >= 0n && of('groupFirstId') <= of('groupLastId'));
    check(of('groupLastId') <= LIMIT);
    check(of('groupPreviousId') >= -1n && of('groupPreviousId') <= LIMIT);
    if ((flags & 1n) !== 0n) {
      check(of('groupFirstId') === of('groupLastId') && of('groupPreviousId') === -1n);
    }
  }
  for (const [row, group] of groupOf.entries()) {
    const kind = at(batch, 'kind', row);
    if (group === null) check(kind === 1n || kind === 4n);
    else {
      const snapshot = (at(batch, 'groupFlags', group) & 1n) !== 0n;
      check(kind === (snapshot ? 3n : 2n));
      check(at(batch, 'instrument', row) === at(batch, 'groupInstrument', group));
    }
  }
}
