// proto3 messages by tables that are made at build time (messages.ts): nothing is generated or interpreted at run time but
// the bytes. Hostile bytes are refused with `call_malformed`: more than was asked for, a field of another wire type, one that
// is there twice, text that is not UTF-8, a number beyond 2^53. Unknown fields are skipped, groups refused.
//
//   message  (varint(number << 3 | wire type) value)*     wire types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes

import { parseUtf8, utf8Bytes, writeUtf8 } from '../bytes.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { MAX_VARINT_BYTES, ProtobufError, ProtobufReader } from './protobuf-reader.ts';

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
const WIRE = { varint: 0, eight: 1, bytes: 2, four: 5 } as const;

type Value = string | Uint8Array | boolean | number | object;
type Values = Record<string, Value | readonly Value[] | null>;

const NO_BYTES = new Uint8Array(0);

function defaultOf(type: ScalarType): Value {
  if (type === 'string') return '';
  if (type === 'bytes') return NO_BYTES;
  return type === 'bool' ? false : 0;
}

function isDefault(value: Value): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === '' || value === false || value === 0;
}

/** Two's complement of 64 bits. */
function varintBytes(value: number): number {
  if (value < 0) return MAX_VARINT_BYTES;
  let bytes = 1;
  for (let left = value; left > 0x7f; left = Math.floor(left / 128)) bytes++;
  return bytes;
}

/** Fills a buffer of the size that was measured: what is answered is allocated once. */
class Writer {
  readonly bytes: Uint8Array;
  #at = 0;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes);
  }

  varint(value: number): void {
    if (value < 0) {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest > 0x7fn; rest >>= 7n) this.#byte(Number(rest & 0x7fn) | 0x80);
      this.#byte(Number(rest));
      return;
    }
    let left = value;
    for (; left > 0x7f; left = Math.floor(left / 128)) this.#byte((left % 128) | 0x80);
    this.#byte(left);
  }

  copy(value: Uint8Array): void {
    this.bytes.set(value, this.#at);
    this.#at += value.length;
  }

  text(value: string, bytes: number): void {
    writeUtf8(this.bytes, this.#at, value, bytes);
    this.#at += bytes;
  }

  #byte(value: number): void {
    this.bytes[this.#at++] = value;
  }
}

/** Lengths of what has one, in the order in which they are written. */
class Lengths {
  readonly #lengths: number[] = [];
  #next = 0;

  /** Of what is measured now; what is in it has lengths of its own, which come after this one. */
  reserve(): number {
    return this.#lengths.push(0) - 1;
  }

  /** Gives what the bytes take with their length before them. */
  set(at: number, bytes: number): number {
    this.#lengths[at] = bytes;
    return varintBytes(bytes) + bytes;
  }

  next(): number {
    return this.#lengths[this.#next++] ?? 0;
  }
}

function isVarint(type: FieldSchema['type']): boolean {
  return type === 'bool' || type === 'int32' || type === 'int64';
}

function isPacked({ label, type }: FieldSchema): boolean {
  return label === 'repeated' && isVarint(type);
}

function numberOf(value: Value): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError('not an integer');
  return number;
}

/** What is not written: it is what a reader fills in. */
function isAbsent({ label }: FieldSchema, value: Value | readonly Value[] | null): boolean {
  if (value === null) return true;
  if (label === 'repeated') return (value as readonly Value[]).length === 0;
  return label === 'one' && isDefault(value);
}

/** Each item has a tag of its own; numbers of a list are one item. */
function isList(field: FieldSchema): boolean {
  return field.label === 'repeated' && !isPacked(field);
}

function tagOf({ number, type, label }: FieldSchema): number {
  return number * 8 + (isVarint(type) && label !== 'repeated' ? WIRE.varint : WIRE.bytes);
}

function measureItem(lengths: Lengths, field: FieldSchema, item: Value): number {
  const { type } = field;
  const tag = varintBytes(tagOf(field));
  if (isVarint(type) && !isPacked(field)) return tag + varintBytes(numberOf(item));
  const at = lengths.reserve();
  let bytes = 0;
  if (typeof type === 'function') bytes = measure(lengths, type(), item as Values);
  else if (isPacked(field)) {
    for (const one of item as readonly Value[]) bytes += varintBytes(numberOf(one));
  } else bytes = item instanceof Uint8Array ? item.length : utf8Bytes(item as string);
  return tag + lengths.set(at, bytes);
}

function measure(lengths: Lengths, { fields }: MessageSchema, message: Values): number {
  let bytes = 0;
  for (const field of fields) {
    const value = message[field.name] ?? null;
    if (isAbsent(field, value)) continue;
    if (!isList(field)) bytes += measureItem(lengths, field, value as Value);
    else for (const item of value as readonly Value[]) bytes += measureItem(lengths, field, item);
  }
  return bytes;
}

function writeItem(writer: Writer, lengths: Lengths, field: FieldSchema, item: Value): void {
  const { type } = field;
  writer.varint(tagOf(field));
  if (isVarint(type) && !isPacked(field)) {
    writer.varint(numberOf(item));
    return;
  }
  const bytes = lengths.next();
  writer.varint(bytes);
  if (typeof type === 'function') write(writer, lengths, type(), item as Values);
  else if (isPacked(field))
    for (const one of item as readonly Value[]) writer.varint(numberOf(one));
  else if (item instanceof Uint8Array) writer.copy(item);
  else writer.text(item as string, bytes);
}

function write(writer: Writer, lengths: Lengths, { fields }: MessageSchema, message: Values): void {
  for (const field of fields) {
    const value = message[field.name] ?? null;
    if (isAbsent(field, value)) continue;
    if (!isList(field)) writeItem(writer, lengths, field, value as Value);
    else for (const item of value as readonly Value[]) writeItem(writer, lengths, field, item);
  }
}

/** Throws a RangeError for a number that is no integer, which is a bug. */
export function encodeMessage<Message extends object>(
  schema: MessageSchema<Message>,
  message: Message,
): Uint8Array {
  const lengths = new Lengths();
  const writer = new Writer(measure(lengths, schema, message as Values));
  write(writer, lengths, schema, message as Values);
  return writer.bytes;
}

function skip(reader: ProtobufReader, wire: number): void {
  if (wire === WIRE.varint) reader.skipVarint();
  else if (wire === WIRE.bytes) reader.bytes('');
  else if (wire === WIRE.eight) reader.skip(8);
  else if (wire === WIRE.four) reader.skip(4);
  else throw new ProtobufError('');
}

function readScalar(reader: ProtobufReader, type: ScalarType, name: string): Value {
  if (type === 'int32') return reader.integer(name, 32);
  if (type === 'int64') return reader.integer(name, 53);
  if (type === 'bool') {
    const value = reader.integer(name, 32);
    if (value !== 0 && value !== 1) throw new ProtobufError(name);
    return value === 1;
  }
  if (type === 'bytes') return reader.bytes(name);
  const text = parseUtf8(reader.bytes(name));
  if (text === null) throw new ProtobufError(name);
  return text;
}

function readValue(reader: ProtobufReader, { type, name }: FieldSchema, depth: number): Value {
  if (typeof type !== 'function') return readScalar(reader, type, name);
  const outer = reader.enter(name);
  const message = read(type(), reader, depth + 1);
  reader.leave(outer);
  return message;
}

function readItem(reader: ProtobufReader, field: FieldSchema, items: Value[], depth: number): void {
  if (items.length >= MAX_ITEMS) throw new ProtobufError(field.name);
  items.push(readValue(reader, field, depth));
}

function readPacked(
  reader: ProtobufReader,
  field: FieldSchema,
  items: Value[],
  depth: number,
): void {
  const outer = reader.enter(field.name);
  while (!reader.done) readItem(reader, field, items, depth);
  reader.leave(outer);
}

function emptyOf({ fields }: MessageSchema): Values {
  const values: Values = {};
  for (const { name, type, label } of fields) {
    if (label === 'repeated') values[name] = [];
    else values[name] = label === 'optional' || typeof type === 'function' ? null : defaultOf(type);
  }
  return values;
}

function fieldOf({ fields }: MessageSchema, number: number): FieldSchema | null {
  for (const field of fields) if (field.number === number) return field;
  return null;
}

function read(schema: MessageSchema, reader: ProtobufReader, depth: number): Values {
  if (depth > MAX_DEPTH) throw new ProtobufError('');
  const values = emptyOf(schema);
  const seen: FieldSchema[] = [];
  while (!reader.done) {
    const tag = reader.integer('', 53);
    const wire = tag % 8;
    const number = Math.floor(tag / 8);
    if (number < 1 || number > 0x1fff_ffff) throw new ProtobufError('');
    const field = fieldOf(schema, number);
    if (field === null) {
      skip(reader, wire);
      continue;
    }
    const expected = isVarint(field.type) ? WIRE.varint : WIRE.bytes;
    if (field.label === 'repeated') {
      const items = values[field.name] as Value[];
      if (wire === expected) readItem(reader, field, items, depth);
      else if (wire === WIRE.bytes) readPacked(reader, field, items, depth);
      else throw new ProtobufError(field.name);
      continue;
    }
    if (wire !== expected || seen.includes(field)) throw new ProtobufError(field.name);
    seen.push(field);
    values[field.name] = readValue(reader, field, depth);
  }
  return values;
}

/** Of a field, as the .proto has it. */
export function protoNameOf(name: string): string {
  return name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
}

/** Refuses `call_malformed`, with the name of a field of the .proto where there is one. */
export function decodeMessage<Message extends object>(
  schema: MessageSchema<Message>,
  bytes: Uint8Array,
  maxBytes: number,
): Result<Message> {
  if (bytes.length > maxBytes) {
    return refuse('call_malformed', { message: schema.name, bytes: bytes.length, maxBytes });
  }
  try {
    // What is in it are views of one copy.
    return accept(read(schema, new ProtobufReader(new Uint8Array(bytes)), 0) as Message);
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    return refuse('call_malformed', { message: schema.name, field: protoNameOf(error.field) });
  }
}
