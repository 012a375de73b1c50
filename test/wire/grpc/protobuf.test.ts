import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { PROTO_FILES } from '../../../scripts/grpc/proto-files.ts';
import * as messages from '../../../wire/grpc/messages.ts';
import type { MessageSchema } from '../../../wire/grpc/protobuf.ts';
import { decodeMessage, encodeMessage } from '../../../wire/grpc/protobuf.ts';
import { assertAccepted } from '../../../wire/result.ts';

const FOLDER = new URL('../../../wire/grpc/proto/', import.meta.url);
const MAX_BYTES = 1024 * 1024;

const root = new protobuf.Root();
for (const name of PROTO_FILES) protobuf.parse(readFileSync(new URL(name, FOLDER), 'utf8'), root);
root.resolveAll();

function isSchema(value: unknown): value is MessageSchema {
  return typeof value === 'object' && value !== null && 'fields' in value;
}

const SCHEMAS = Object.values<unknown>({ ...messages })
  .filter(isSchema)
  // An entry of a map is no message of its own for the other library.
  .filter(({ name }) => !name.endsWith('Entry'));

type Plain = Record<string, unknown>;

function arbitraryOf(schema: MessageSchema, depth = 0): fc.Arbitrary<Plain> {
  const fields = schema.fields.map(({ name, type, label }) => {
    const value = {
      string: fc.string({ maxLength: 12, unit: 'grapheme' }),
      bytes: fc.uint8Array({ maxLength: 12 }),
      bool: fc.boolean(),
      int32: fc.integer(),
      int64: fc.maxSafeInteger(),
    };
    const one: fc.Arbitrary<unknown> =
      typeof type === 'function' ? message(type, depth) : value[type];
    if (label === 'repeated') return [name, fc.array(one, { maxLength: 3 })] as const;
    const absent = label === 'optional' && !(typeof type === 'function' && depth > 2);
    return [name, absent ? fc.option(one) : one] as const;
  });
  return fc.record(Object.fromEntries(fields));
}

function message(type: () => MessageSchema, depth: number): fc.Arbitrary<unknown> {
  // A reflection request is in its own answer, and nowhere deeper.
  return depth > 3 ? fc.constant(null) : arbitraryOf(type(), depth + 1);
}

/** Of members of a oneof only one: the other library keeps the last. */
function withoutRivals(type: protobuf.Type, plain: Plain): Plain {
  const kept: Plain = { ...plain };
  for (const oneof of type.oneofsArray.filter(({ isProto3Optional }) => !isProto3Optional)) {
    let seen = false;
    for (const { name } of oneof.fieldsArray) {
      if (kept[name] === null) continue;
      if (seen) kept[name] = null;
      seen = true;
    }
  }
  for (const field of type.fieldsArray) {
    const { resolvedType, name } = field.resolve();
    if (!(resolvedType instanceof protobuf.Type)) continue;
    const value = kept[name];
    if (Array.isArray(value))
      kept[name] = value.map((one: Plain) => withoutRivals(resolvedType, one));
    else if (value !== null) kept[name] = withoutRivals(resolvedType, value as Plain);
  }
  return kept;
}

function typeOf({ name }: MessageSchema): protobuf.Type {
  return root.lookupType(name);
}

/** As the other library has it: absent fields left out, a map as an object. */
function toOther(type: protobuf.Type, plain: Plain): Plain {
  const entries = Object.entries(plain).filter(([, value]) => value !== null);
  return Object.fromEntries(
    entries.map(([name, value]) => {
      const field = type.fields[name]?.resolve();
      if (field?.map === true) {
        const pairs = value as { key: string; value: string }[];
        return [name, Object.fromEntries(pairs.map((pair) => [pair.key, pair.value]))];
      }
      const { resolvedType } = field ?? {};
      if (!(resolvedType instanceof protobuf.Type)) return [name, value];
      return [
        name,
        Array.isArray(value)
          ? value.map((one: Plain) => toOther(resolvedType, one))
          : toOther(resolvedType, value as Plain),
      ];
    }),
  );
}

describe.each(SCHEMAS.map((schema) => [schema.name, schema] as const))('%s', (_, schema) => {
  const type = typeOf(schema);
  const plain = arbitraryOf(schema).map((value) => withoutRivals(type, value));

  it('is read by another library as it was written, and back', () => {
    fc.assert(
      fc.property(plain, (value) => {
        const ours = encodeMessage(schema, value);
        const theirs = type.encode(type.fromObject(toOther(type, value))).finish();
        expect(assertAccepted(decodeMessage(schema, ours, MAX_BYTES))).toEqual(value);
        const other = type.toObject(type.decode(ours), {
          longs: Number,
          bytes: Array,
          defaults: true,
        });
        const again = type.toObject(type.decode(theirs), {
          longs: Number,
          bytes: Array,
          defaults: true,
        });
        expect(other).toEqual(again);
        // The other library keeps one of two equal keys of a map.
        const read = assertAccepted(decodeMessage(schema, theirs, MAX_BYTES));
        expect({ ...read, metadata: [] }).toEqual({ ...value, metadata: [] });
      }),
      { numRuns: 60 },
    );
  });

  it('hostile bytes are refused or read, and never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const read = decodeMessage(schema, bytes, MAX_BYTES);
        expect(read.ok ? 'call_malformed' : read.refusal.code).toBe('call_malformed');
      }),
      { numRuns: 200 },
    );
  });
});

/** As many `gaps` of Coverage. */
function gaps(count: number): readonly number[] {
  return Array.from({ length: count }, () => [0x1a, 0]).flat();
}

/** Field 1 in field 1, so many times. */
function deep(depth: number): readonly number[] {
  return Array.from({ length: depth }, (_, index) => [0x0a, 2 * (depth - 1 - index)]).flat();
}

describe('bounds', () => {
  const { SyncJobRequestSchema, CoverageSchema, ServerReflectionResponseSchema } = messages;
  const refusal = (
    bytes: readonly number[],
    schema: MessageSchema = SyncJobRequestSchema,
  ): unknown => {
    const read = decodeMessage(schema, Uint8Array.from(bytes), MAX_BYTES);
    return read.ok ? 'accepted' : [read.refusal.code, read.refusal.detail['field']];
  };

  it('bytes beyond the maximum: N taken, N+1 refused', () => {
    const request = { userUid: 'u', exchange: '', type: 0, startDate: 0, endDate: 0 };
    const bytes = encodeMessage(SyncJobRequestSchema, request);
    expect(decodeMessage(SyncJobRequestSchema, bytes, bytes.length).ok).toBe(true);
    expect(decodeMessage(SyncJobRequestSchema, bytes, bytes.length - 1).ok).toBe(false);
  });

  it.each([
    ['a field twice', [0x0a, 1, 0x61, 0x0a, 1, 0x61], 'user_uid'],
    ['a field of another wire type', [0x08, 1], 'user_uid'],
    ['text that is not UTF-8', [0x0a, 1, 0xff], 'user_uid'],
    ['a length beyond the end', [0x0a, 5, 0x61], 'user_uid'],
    ['a negative length', [0x0a, ...Array<number>(9).fill(0xff), 1], 'user_uid'],
    ['an int64 beyond 2^53', [0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], 'start_date'],
    ['an enum beyond 32 bits', [0x18, 0x80, 0x80, 0x80, 0x80, 0x10], 'type'],
    ['a varint of eleven bytes', [0x18, ...Array<number>(10).fill(0x80), 1], 'type'],
    ['a varint beyond 64 bits', [0x18, ...Array<number>(9).fill(0xff), 2], 'type'],
    ['a varint without end', [0x18, 0x80], 'type'],
    ['field number 0', [0x02, 0], ''],
    ['a group', [0x7b, 0x7c], ''],
    ['an unknown field that does not end', [0x7a, 5, 0], ''],
  ])('%s', (_, bytes, field) => {
    expect(refusal(bytes)).toEqual(['call_malformed', field]);
  });

  it('an unknown field is skipped, of each wire type', () => {
    const bytes = [0x78, 1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 1, 0, 0x7d, 1, 2, 3, 4];
    expect(refusal(bytes)).toBe('accepted');
  });

  // TextEncoder.encodeInto of Node 26 stops early in a buffer that is full to its last byte.
  it.each([`${'a'.repeat(29)}жжжж`, `${'é'.repeat(94)}${'a'.repeat(164)}é`])(
    'a text of several bytes a letter at the end of all: %s',
    (exchange) => {
      const request = { userUid: '', exchange };
      const bytes = encodeMessage(messages.AggregatedMetricsRequestSchema, request);
      expect(decodeMessage(messages.AggregatedMetricsRequestSchema, bytes, MAX_BYTES)).toEqual({
        ok: true,
        value: request,
      });
    },
  );

  it('texts of any length and letters at the end of all', () => {
    const letter = fc.constantFrom('a', 'é', '水', '\u{1f512}', '\ud800');
    const text = fc.array(letter, { minLength: 20, maxLength: 400 }).map((all) => all.join(''));
    fc.assert(
      fc.property(text, (exchange) => {
        const request = { userUid: 'u', exchange };
        const bytes = Buffer.from(encodeMessage(messages.AggregatedMetricsRequestSchema, request));
        expect(bytes.subarray(-Buffer.byteLength(exchange)).toString()).toBe(
          Buffer.from(exchange).toString(),
        );
      }),
    );
  });

  it('what was read does not change with the bytes that it was read from', () => {
    const evidence = encodeMessage(messages.EvidenceSchema, {
      ...assertAccepted(decodeMessage(messages.EvidenceSchema, new Uint8Array(0), 0)),
      statement: Uint8Array.of(1, 2, 3),
    });
    for (const source of [evidence, Buffer.from(evidence)]) {
      const read = assertAccepted(decodeMessage(messages.EvidenceSchema, source, MAX_BYTES));
      source.fill(0);
      expect(read.statement).toEqual(Uint8Array.of(1, 2, 3));
    }
  });

  it('a bool is 0 or 1', () => {
    expect(refusal([0x10, 1], CoverageSchema)).toBe('accepted');
    expect(refusal([0x10, 2], CoverageSchema)).toEqual(['call_malformed', 'complete']);
  });

  it('repeated fields end at 4,096 of them, one by one or packed', () => {
    expect(refusal(gaps(4096), CoverageSchema)).toBe('accepted');
    expect(refusal(gaps(4097), CoverageSchema)).toEqual(['call_malformed', 'gaps']);
    const packed = (count: number): unknown => {
      const numbers = Array<number>(count).fill(1);
      const schema = messages.ExtensionNumberResponseSchema;
      const bytes = encodeMessage(schema, { baseTypeName: '', extensionNumber: numbers });
      return refusal([...bytes], schema);
    };
    expect(packed(4096)).toBe('accepted');
    expect(packed(4097)).toEqual(['call_malformed', 'extension_number']);
  });

  it('messages in messages end at a depth of eight', () => {
    const nested: MessageSchema = {
      name: 'test.Nested',
      fields: [{ name: 'inner', number: 1, type: () => nested, label: 'optional' }],
    };
    expect(refusal(deep(8), nested)).toBe('accepted');
    expect(refusal(deep(9), nested)).toEqual(['call_malformed', '']);
  });

  it('what is written to an int field is an integer', () => {
    const wrong = { polls: 0.5, complete: true, gaps: [] };
    expect(() => encodeMessage(CoverageSchema, wrong)).toThrow(RangeError);
    expect(ServerReflectionResponseSchema.fields).toHaveLength(6);
  });
});
