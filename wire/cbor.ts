// CBOR (RFC 8949) for everything that is signed or comes from outside: a small subset, decoded
// strictly. Hostile input can at most cost time linear in its size: depth, byte lengths and the number of
// values are checked before anything is allocated, and every refusal has a code. An empty map takes one
// byte of input and 200 of memory: the number counts for the whole input, not for each list.
//
//   head   major type (3 bits) | additional information (5 bits) [1, 2, 4 or 8 bytes, big endian]
//   used   0 uint, 1 nint, 2 bstr, 3 tstr, 4 array, 5 map, 6 tag (only when asked for), 7 false/true/null
//   never  floats, undefined, other simple values, chunked strings, duplicate map keys, trailing bytes
//
// `deterministic` is RFC 8949 4.2.1: shortest heads, definite lengths, map keys sorted by their bytes.
// The other mode is for documents that AWS signs, which use indefinite-length maps and their own order.

import { parseUtf8, utf8, utf8Bytes } from './bytes.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

/** Integers are numbers up to 2^53-1 in magnitude and bigints beyond. */
export type CborValue =
  number | bigint | string | boolean | null | Uint8Array | readonly CborValue[] | CborMap | CborTag;

export type CborKey = number | bigint | string;
export type CborMap = ReadonlyMap<CborKey, CborValue>;

export class CborTag {
  readonly tag: number;
  readonly value: CborValue;
  constructor(tag: number, value: CborValue) {
    this.tag = tag;
    this.value = value;
  }
}

export interface CborOptions {
  /** The whole input; refused before it is read when longer. */
  readonly maxBytes: number;
  /** Nesting of arrays, maps and tags. Default 8. */
  readonly maxDepth?: number;
  /** Values of the whole input, keys included. Default 65,536. */
  readonly maxItems?: number;
  /** RFC 8949 4.2.1. Default true. */
  readonly deterministic?: boolean;
  /** Tags that may occur. Default none. */
  readonly tags?: readonly number[];
  /** Only the first so many entries of the outermost map are read; what is behind them is not looked at. */
  readonly firstEntries?: number;
}

class Reader {
  readonly bytes: Uint8Array;
  readonly maxDepth: number;
  readonly maxItems: number;
  readonly deterministic: boolean;
  readonly tags: readonly number[];
  readonly firstEntries: number;
  offset = 0;
  /** Values so far. */
  items = 0;

  constructor(bytes: Uint8Array, options: CborOptions) {
    this.bytes = bytes;
    this.maxDepth = options.maxDepth ?? 8;
    this.maxItems = options.maxItems ?? 65_536;
    this.deterministic = options.deterministic ?? true;
    this.tags = options.tags ?? [];
    this.firstEntries = options.firstEntries ?? Infinity;
  }
}

class Malformed extends Error {
  readonly code: 'cbor_truncated' | 'cbor_malformed' | 'cbor_not_deterministic' | 'cbor_limit';
  constructor(code: Malformed['code']) {
    super(code);
    this.code = code;
  }
}

/** Decodes exactly one value; byte strings are views into `bytes`. */
export function parseCbor(bytes: Uint8Array, options: CborOptions): Result<CborValue> {
  if (bytes.length > options.maxBytes) {
    return refuse('cbor_limit', { bytes: bytes.length, maximum: options.maxBytes });
  }
  const reader = new Reader(bytes, options);
  try {
    const value = readValue(reader, 0);
    if (reader.offset !== bytes.length && options.firstEntries === undefined) {
      return refuse('cbor_trailing_bytes', { offset: reader.offset });
    }
    return accept(value);
  } catch (error) {
    if (error instanceof Malformed) return refuse(error.code, { offset: reader.offset });
    throw error;
  }
}

function readByte(reader: Reader): number {
  const byte = reader.bytes[reader.offset];
  if (byte === undefined) throw new Malformed('cbor_truncated');
  reader.offset++;
  return byte;
}

/** The argument of a head: a number, or a bigint above 2^53-1. */
function readArgument(reader: Reader, info: number): number | bigint {
  if (info < 24) return info;
  if (info > 27) throw new Malformed('cbor_malformed');
  const width = 1 << (info - 24);
  if (reader.offset + width > reader.bytes.length) throw new Malformed('cbor_truncated');
  let value = 0;
  if (width === 8) {
    const view = new DataView(reader.bytes.buffer, reader.bytes.byteOffset + reader.offset, 8);
    const wide = view.getBigUint64(0);
    reader.offset += 8;
    if (reader.deterministic && wide <= 0xffff_ffffn) throw new Malformed('cbor_not_deterministic');
    return wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
  }
  for (let step = 0; step < width; step++) value = value * 256 + readByte(reader);
  const shortest = width === 1 ? 24 : width === 2 ? 256 : 65_536;
  if (reader.deterministic && value < shortest) throw new Malformed('cbor_not_deterministic');
  return value;
}

function readLength(reader: Reader, info: number): number {
  const length = readArgument(reader, info);
  if (typeof length === 'bigint') throw new Malformed('cbor_truncated');
  return length;
}

function readString(reader: Reader, info: number): Uint8Array {
  const length = readLength(reader, info);
  if (length > reader.bytes.length - reader.offset) throw new Malformed('cbor_truncated');
  const slice = reader.bytes.subarray(reader.offset, reader.offset + length);
  reader.offset += length;
  return slice;
}

/** The number of items to read, or null when they end with a break byte. */
function readCount(reader: Reader, info: number): number | null {
  if (info === 31) {
    if (reader.deterministic) throw new Malformed('cbor_not_deterministic');
    return null;
  }
  const count = readLength(reader, info);
  if (count > reader.maxItems) throw new Malformed('cbor_limit');
  // Each item takes at least one byte: a count beyond what is left cannot be honest.
  if (count > reader.bytes.length - reader.offset) throw new Malformed('cbor_truncated');
  return count;
}

function atEnd(reader: Reader, count: number | null, done: number): boolean {
  if (count !== null) return done === count;
  if (reader.bytes[reader.offset] !== 0xff) return false;
  reader.offset++;
  return true;
}

function readArray(reader: Reader, info: number, depth: number): CborValue[] {
  const count = readCount(reader, info);
  const items: CborValue[] = [];
  while (!atEnd(reader, count, items.length)) items.push(readValue(reader, depth + 1));
  return items;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function readMap(reader: Reader, info: number, depth: number): CborMap {
  const count = readCount(reader, info);
  const map = new Map<CborKey, CborValue>();
  let previous: Uint8Array | null = null;
  let pairs = 0;
  const most = depth > 0 ? Infinity : reader.firstEntries;
  while (pairs < most && !atEnd(reader, count, pairs)) {
    const start = reader.offset;
    const key = readValue(reader, depth + 1);
    if (typeof key !== 'number' && typeof key !== 'string' && typeof key !== 'bigint') {
      throw new Malformed('cbor_malformed');
    }
    const keyBytes = reader.bytes.subarray(start, reader.offset);
    if (map.has(key)) throw new Malformed('cbor_malformed');
    if (reader.deterministic && previous !== null && compareBytes(previous, keyBytes) >= 0) {
      throw new Malformed('cbor_not_deterministic');
    }
    previous = keyBytes;
    map.set(key, readValue(reader, depth + 1));
    pairs++;
  }
  return map;
}

function readValue(reader: Reader, depth: number): CborValue {
  if (depth > reader.maxDepth || ++reader.items > reader.maxItems) {
    throw new Malformed('cbor_limit');
  }
  const head = readByte(reader);
  const info = head & 31;
  switch (head >> 5) {
    case 0:
      return readArgument(reader, info);
    case 1: {
      const argument = readArgument(reader, info);
      const negative = -1n - BigInt(argument);
      return negative >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(negative) : negative;
    }
    case 2:
      return readString(reader, info);
    case 3: {
      const text = parseUtf8(readString(reader, info));
      if (text === null) throw new Malformed('cbor_malformed');
      return text;
    }
    case 4:
      return readArray(reader, info, depth);
    case 5:
      return readMap(reader, info, depth);
    case 6: {
      const tag = readArgument(reader, info);
      if (typeof tag === 'bigint' || !reader.tags.includes(tag)) {
        throw new Malformed('cbor_malformed');
      }
      return new CborTag(tag, readValue(reader, depth + 1));
    }
    default:
      if (head === 0xf4) return false;
      if (head === 0xf5) return true;
      if (head === 0xf6) return null;
      throw new Malformed('cbor_malformed');
  }
}

/** The head of an item: `major` 0..7 and an argument up to 2^64-1, in the shortest form. */
export function encodeCborHead(major: number, argument: number | bigint): Uint8Array {
  const writer = new Writer(headBytes(argument));
  writer.head(major, argument);
  return writer.bytes;
}

/** RFC 8949 4.2.1 deterministic encoding. Throws a RangeError for a number that is no safe integer. */
export function encodeCbor(value: CborValue): Uint8Array {
  // Measured first: what is large is copied once, and nothing is allocated that is not answered.
  const writer = new Writer(bytesOf(value));
  writeValue(writer, value);
  return writer.bytes;
}

type NumberedFields = readonly (readonly [number, CborValue])[];

/** A map of numbered fields, as our messages are. */
export function cborMap(...fields: NumberedFields): CborValue {
  return new Map(fields);
}

export function encodeMap(...fields: NumberedFields): Uint8Array {
  return encodeCbor(cborMap(...fields));
}

function headBytes(argument: number | bigint): number {
  if (argument < 24) return 1;
  if (argument < 0x100) return 2;
  if (argument < 0x1_0000) return 3;
  return argument < 0x1_0000_0000 ? 5 : 9;
}

function bytesOf(value: CborValue): number {
  if (typeof value === 'number') return headBytes(value < 0 ? -1 - value : value);
  if (typeof value === 'bigint') return headBytes(value < 0 ? -1n - value : value);
  if (typeof value === 'boolean' || value === null) return 1;
  if (typeof value === 'string') {
    const bytes = utf8Bytes(value);
    return headBytes(bytes) + bytes;
  }
  if (value instanceof Uint8Array) return headBytes(value.length) + value.length;
  if (value instanceof CborTag) return headBytes(value.tag) + bytesOf(value.value);
  let bytes = 0;
  if (value instanceof Map) {
    const map = value as CborMap;
    map.forEach((item, key) => {
      bytes += bytesOf(key) + bytesOf(item);
    });
    return headBytes(map.size) + bytes;
  }
  const items = value as readonly CborValue[];
  for (const item of items) bytes += bytesOf(item);
  return headBytes(items.length) + bytes;
}

/** Fills `bytes`, which has the size of what is written. */
class Writer {
  readonly bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes);
  }

  byte(value: number): void {
    this.bytes[this.#offset++] = value;
  }

  copy(value: Uint8Array): void {
    this.bytes.set(value, this.#offset);
    this.#offset += value.length;
  }

  text(value: string, bytes: number): void {
    if (bytes === value.length) {
      for (let at = 0; at < bytes; at++) this.byte(value.charCodeAt(at));
    } else {
      this.copy(utf8(value));
    }
  }

  head(major: number, argument: number | bigint): void {
    const type = major << 5;
    if (argument < 24) this.byte(type | Number(argument));
    else if (argument < 0x100) this.#headAndWord(type | 24, 1, Number(argument));
    else if (argument < 0x1_0000) this.#headAndWord(type | 25, 2, Number(argument));
    else if (argument < 0x1_0000_0000) this.#headAndWord(type | 26, 4, Number(argument));
    else {
      const wide = BigInt(argument);
      this.#headAndWord(type | 27, 4, Number(wide >> 32n));
      this.#word(4, Number(wide & 0xffff_ffffn));
    }
  }

  #headAndWord(first: number, width: number, word: number): void {
    this.byte(first);
    this.#word(width, word);
  }

  #word(width: number, word: number): void {
    for (let shift = (width - 1) * 8; shift >= 0; shift -= 8) this.byte(word >>> shift);
  }
}

function writeValue(writer: Writer, value: CborValue): void {
  if (typeof value === 'number' || typeof value === 'bigint') {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) {
      throw new RangeError('CBOR: only safe integers are encoded');
    }
    if (value < 0) writer.head(1, typeof value === 'number' ? -1 - value : -1n - value);
    else writer.head(0, value);
  } else if (typeof value === 'string') {
    const bytes = utf8Bytes(value);
    writer.head(3, bytes);
    writer.text(value, bytes);
  } else if (typeof value === 'boolean') {
    writer.byte(value ? 0xf5 : 0xf4);
  } else if (value === null) {
    writer.byte(0xf6);
  } else if (value instanceof Uint8Array) {
    writer.head(2, value.length);
    writer.copy(value);
  } else if (value instanceof CborTag) {
    writer.head(6, value.tag);
    writeValue(writer, value.value);
  } else if (value instanceof Map) {
    writeMap(writer, value as CborMap);
  } else {
    const items = value as readonly CborValue[];
    writer.head(4, items.length);
    for (const item of items) writeValue(writer, item);
  }
}

/** The order of unsigned integers is the order of their encodings. */
function hasAscendingUints(map: CborMap): boolean {
  let previous = -1;
  for (const key of map.keys()) {
    if (typeof key !== 'number' || key <= previous) return false;
    previous = key;
  }
  return true;
}

function writeMap(writer: Writer, map: CborMap): void {
  writer.head(5, map.size);
  if (hasAscendingUints(map)) {
    map.forEach((value, key) => {
      writeValue(writer, key);
      writeValue(writer, value);
    });
    return;
  }
  const pairs = Array.from(map, ([key, value]) => ({ key: encodeCbor(key), value }));
  pairs.sort((a, b) => compareBytes(a.key, b.key));
  for (const { key, value } of pairs) {
    writer.copy(key);
    writeValue(writer, value);
  }
}
