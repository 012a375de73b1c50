// proto3 messages by tables that are made at build time (messages.ts): nothing is generated or interpreted at run time but
// the bytes. Hostile bytes are refused with `call_malformed`: more than was asked for, a field of another wire type, one that
// is there twice, text that is not UTF-8, a number beyond 2^53. Unknown fields are skipped, groups refused.
//
//   message  (varint(number << 3 | wire type) value)*     wire types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes

import { parseUtf8, utf8 } from '../bytes.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

export type ScalarType = 'string' | 'bytes' | 'bool' | 'int32' | 'int64';

export interface FieldSchema {
  /** As in the interface. */
  readonly name: string;
  readonly number: number;
  readonly type: ScalarType | (() => MessageSchema);
  /** `one`: its default is not written; `optional`: null when it is absent. Messages are never `one`. */
  readonly label: 'one' | 'optional' | 'repeated';
}

/** `Message` is the interface of what it reads and writes. */
export interface MessageSchema<Message = object> {
  /** With its package. */
  readonly name: string;
  readonly fields: readonly FieldSchema[];
  /** Never there: binds the interface to the table. */
  readonly message?: Message;
}

const MAX_DEPTH = 8;
/** Of one field: an element may take two bytes and become an object. */
const MAX_ITEMS = 4096;
const MAX_VARINT_BYTES = 10;
const WIRE = { varint: 0, eight: 1, bytes: 2, four: 5 } as const;

type Value = string | Uint8Array | boolean | number | object;
type Values = Record<string, Value | readonly Value[] | null>;

/** Thrown inside `decodeMessage` only; it becomes a refusal there. */
class ProtobufError extends Error {
  /** A name of a schema of ours, or empty. */
  readonly field: string;

  constructor(field: string) {
    super('protobuf');
    this.field = field;
  }
}

function defaultOf(type: ScalarType): Value {
  if (type === 'string') return '';
  if (type === 'bytes') return new Uint8Array(0);
  return type === 'bool' ? false : 0;
}

function isDefault(value: Value): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === '' || value === false || value === 0;
}

const FIRST_BYTES = 256;
/** A length of one byte. */
const MAX_SHORT_TEXT = 0x7f;
const ASCII = /^[\x20-\x7e]*$/u;

class Writer {
  #bytes = new Uint8Array(FIRST_BYTES);
  #at = 0;

  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  /** Two's complement of 64 bits. */
  varint(value: number): void {
    if (value < 0) {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest > 0x7fn; rest >>= 7n) this.byte(Number(rest & 0x7fn) | 0x80);
      this.byte(Number(rest));
      return;
    }
    let left = value;
    for (; left > 0x7f; left = Math.floor(left / 128)) this.byte((left % 128) | 0x80);
    this.byte(left);
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Most are short and ASCII. */
  text(value: string): void {
    if (value.length > MAX_SHORT_TEXT || !ASCII.test(value)) {
      this.bytes(utf8(value));
      return;
    }
    this.#reserve(1 + value.length);
    this.#bytes[this.#at++] = value.length;
    for (let at = 0; at < value.length; at++) this.#bytes[this.#at++] = value.charCodeAt(at);
  }

  #reserve(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.written);
    this.#bytes = grown;
  }
}

function isVarint(type: FieldSchema['type']): boolean {
  return type === 'bool' || type === 'int32' || type === 'int64';
}

function writeNumber(writer: Writer, value: Value): void {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError('not an integer');
  writer.varint(number);
}

function writeField(writer: Writer, { type, number }: FieldSchema, value: Value): void {
  if (isVarint(type)) {
    writer.varint(number * 8 + WIRE.varint);
    writeNumber(writer, value);
    return;
  }
  writer.varint(number * 8 + WIRE.bytes);
  if (typeof type === 'function') writer.bytes(encodeMessage(type(), value as object));
  else if (value instanceof Uint8Array) writer.bytes(value);
  else writer.text(value as string);
}

function writeRepeated(writer: Writer, field: FieldSchema, items: readonly Value[]): void {
  if (!isVarint(field.type)) {
    for (const item of items) writeField(writer, field, item);
    return;
  }
  if (items.length === 0) return;
  const packed = new Writer();
  for (const item of items) writeNumber(packed, item);
  writer.varint(field.number * 8 + WIRE.bytes);
  writer.bytes(packed.written);
}

/** Throws a RangeError for a number that is no integer, which is a bug. */
export function encodeMessage<Message extends object>(
  schema: MessageSchema<Message>,
  message: Message,
): Uint8Array {
  const writer = new Writer();
  for (const field of schema.fields) {
    const value = (message as Values)[field.name];
    if (value === null || value === undefined) continue;
    if (field.label === 'repeated') writeRepeated(writer, field, value as readonly Value[]);
    else if (field.label === 'optional' || !isDefault(value)) writeField(writer, field, value);
  }
  return writer.written;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Signed, of 64 bits. */
  #varint(field: string): bigint {
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new ProtobufError(field);
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) {
        if (value >= 1n << 64n) throw new ProtobufError(field);
        return BigInt.asIntN(64, value);
      }
    }
    throw new ProtobufError(field);
  }

  /** Most are of one byte or two. */
  #short(): number | null {
    const low = this.#bytes[this.#at];
    if (low === undefined) return null;
    if (low < 0x80) {
      this.#at++;
      return low;
    }
    const high = this.#bytes[this.#at + 1];
    if (high === undefined || high >= 0x80) return null;
    this.#at += 2;
    return (high << 7) | (low & 0x7f);
  }

  skipVarint(): void {
    this.#varint('');
  }

  integer(field: string, bits: 32 | 53): number {
    const short = this.#short();
    if (short !== null) return short;
    const value = this.#varint(field);
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw new ProtobufError(field);
    if (bits === 32 && BigInt.asIntN(32, value) !== value) throw new ProtobufError(field);
    return number;
  }

  bytes(field: string): Uint8Array {
    const length = this.integer(field, 53);
    if (length < 0) throw new ProtobufError(field);
    return this.take(length, field);
  }

  take(length: number, field: string): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new ProtobufError(field);
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}

function skip(reader: Reader, wire: number): void {
  if (wire === WIRE.varint) reader.skipVarint();
  else if (wire === WIRE.bytes) reader.bytes('');
  else if (wire === WIRE.eight) reader.take(8, '');
  else if (wire === WIRE.four) reader.take(4, '');
  else throw new ProtobufError('');
}

function readScalar(reader: Reader, type: ScalarType, name: string): Value {
  if (type === 'int32') return reader.integer(name, 32);
  if (type === 'int64') return reader.integer(name, 53);
  if (type === 'bool') {
    const value = reader.integer(name, 32);
    if (value !== 0 && value !== 1) throw new ProtobufError(name);
    return value === 1;
  }
  // A copy, also of a Buffer, whose slice() is none.
  if (type === 'bytes') return new Uint8Array(reader.bytes(name));
  const text = parseUtf8(reader.bytes(name));
  if (text === null) throw new ProtobufError(name);
  return text;
}

function readValue(reader: Reader, { type, name }: FieldSchema, depth: number): Value {
  if (typeof type !== 'function') return readScalar(reader, type, name);
  return read(type(), reader.bytes(name), depth + 1);
}

function readRepeated(
  reader: Reader,
  field: FieldSchema,
  wire: number,
  { items, depth }: { readonly items: Value[]; readonly depth: number },
): void {
  const take = (source: Reader): void => {
    if (items.length >= MAX_ITEMS) throw new ProtobufError(field.name);
    items.push(readValue(source, field, depth));
  };
  if (!isVarint(field.type) || wire === WIRE.varint) {
    take(reader);
    return;
  }
  const packed = new Reader(reader.bytes(field.name));
  while (!packed.done) take(packed);
}

function emptyOf({ fields }: MessageSchema): Values {
  const values: Values = {};
  for (const { name, type, label } of fields) {
    if (label === 'repeated') values[name] = [];
    else values[name] = label === 'optional' || typeof type === 'function' ? null : defaultOf(type);
  }
  return values;
}

function read(schema: MessageSchema, bytes: Uint8Array, depth: number): Values {
  if (depth > MAX_DEPTH) throw new ProtobufError('');
  const values = emptyOf(schema);
  const seen = new Set<FieldSchema>();
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = reader.integer('', 53);
    const wire = tag % 8;
    const number = Math.floor(tag / 8);
    if (number < 1 || number > 0x1fff_ffff) throw new ProtobufError('');
    const field = schema.fields.find((candidate) => candidate.number === number);
    if (field === undefined) {
      skip(reader, wire);
      continue;
    }
    const expected = isVarint(field.type) ? WIRE.varint : WIRE.bytes;
    if (field.label === 'repeated') {
      if (wire !== expected && wire !== WIRE.bytes) throw new ProtobufError(field.name);
      readRepeated(reader, field, wire, { items: values[field.name] as Value[], depth });
      continue;
    }
    if (wire !== expected || seen.has(field)) throw new ProtobufError(field.name);
    seen.add(field);
    values[field.name] = readValue(reader, field, depth);
  }
  return values;
}

/** Refuses `call_malformed`, with the name of a field of the table where there is one. */
export function decodeMessage<Message extends object>(
  schema: MessageSchema<Message>,
  bytes: Uint8Array,
  maxBytes: number,
): Result<Message> {
  if (bytes.length > maxBytes) {
    return refuse('call_malformed', { message: schema.name, bytes: bytes.length, maxBytes });
  }
  try {
    return accept(read(schema, bytes, 0) as Message);
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    return refuse('call_malformed', { message: schema.name, field: error.field });
  }
}
