import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSecretFields, wipeFields } from '../../../enclave/desk/secret-fields.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { assertAccepted } from '../../../wire/result.ts';

/** Back to what JSON.parse would have made. */
function plain(text: string): unknown {
  const fields = assertAccepted(parseSecretFields(utf8(text)));
  return Object.fromEntries(
    Array.from(fields, ([name, value]) => {
      if (Buffer.isBuffer(value)) return [name, value.toString('utf8')];
      if (Array.isArray(value)) return [name, value.map((one: Buffer) => one.toString('utf8'))];
      return [name, value];
    }),
  );
}

function check(one: Uint8Array): void {
  expect(parseSecretFields(one).ok).toBeTypeOf('boolean');
}

// Well formed: JSON.stringify escapes halves of pairs, which are refused.
const text = fc.string({ unit: 'grapheme', maxLength: 60 });
const name = fc
  .string({ unit: 'grapheme-ascii', maxLength: 32 })
  .filter((key) => key !== '__proto__');

describe('fields of an envelope', () => {
  it('are what JSON says', () => {
    const value = fc.oneof(
      text,
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      fc.array(text),
    );
    fc.assert(
      fc.property(fc.dictionary(name, value, { maxKeys: 16 }), fc.nat(3), (fields, indent) => {
        const json = JSON.stringify(fields, null, indent).replaceAll(':-0', ':0');
        expect(plain(json)).toEqual(JSON.parse(json));
      }),
    );
  });

  it.each([
    ['escapes', String.raw`{"a":"\"\\\/\b\f\n\r\t\u0041\u20ac\u00e9"}`],
    ['spaces', ' { "a" : [ "b" , "c" ] ,\t"d"\n:\r-12 } '],
    ['nothing', '{}'],
    ['an empty list', '{"a":[]}'],
    ['16 fields', JSON.stringify(Object.fromEntries(Array.from({ length: 16 }, (_, i) => [i, i])))],
    ['a key of 32 bytes', JSON.stringify({ ['k'.repeat(32)]: 1 })],
    ['100 texts', JSON.stringify({ a: Array(100).fill('x') })],
  ])('with %s', (_, json) => {
    expect(plain(json)).toEqual(JSON.parse(json));
  });

  it.each([
    ['nothing', ''],
    ['no object', '[]'],
    ['a text', '"a"'],
    ['an open object', '{'],
    ['an open text', '{"a":"b'],
    ['an open escape', '{"a":"b\\'],
    ['an open list', '{"a":["b"'],
    ['a comma too many', '{"a":1,}'],
    ['a comma too few', '{"a":1 "b":2}'],
    ['bytes behind', '{"a":1}x'],
    ['two objects', '{}{}'],
    ['a key twice', '{"a":1,"a":2}'],
    ['a key twice, escaped', String.raw`{"a":1,"\u0061":2}`],
    ['an object inside', '{"a":{}}'],
    ['a list inside of a list', '{"a":[[]]}'],
    ['a number in a list', '{"a":[1]}'],
    ['a fraction', '{"a":1.5}'],
    ['an exponent', '{"a":1e3}'],
    ['a leading zero', '{"a":01}'],
    ['minus zero', '{"a":-0}'],
    ['a plus sign', '{"a":+1}'],
    ['beyond 2^53-1', '{"a":9007199254740992}'],
    ['no number', '{"a":-}'],
    ['nonsense', '{"a":nul}'],
    ['an unknown escape', String.raw`{"a":"\x"}`],
    ['half an escape', String.raw`{"a":"\u00"}`],
    ['an escape that is not hex', String.raw`{"a":"\u00g0"}`],
    ['half a pair', String.raw`{"a":"\ud83d"}`],
    ['a pair, escaped', String.raw`{"a":"\ud83d\ude00"}`],
    ['a control character', '{"a":"\u0001"}'],
    ['17 fields', JSON.stringify(Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, i])))],
    ['a key of 33 bytes', JSON.stringify({ ['k'.repeat(33)]: 1 })],
    ['101 texts', JSON.stringify({ a: Array(101).fill('x') })],
  ])('that are %s are refused', (_, json) => {
    expect(parseSecretFields(utf8(json))).toEqual({
      ok: false,
      refusal: { code: 'envelope_malformed', detail: {} },
    });
  });

  it('that are not UTF-8 are refused', () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]]) {
      const json = Uint8Array.from([...utf8('{"a":"'), ...bytes, ...utf8('"}')]);
      expect(parseSecretFields(json).ok).toBe(false);
    }
  });

  it('of any bytes never throw', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    const pieces = fc.array(
      fc.constantFrom('{', '}', '"', ':', ',', '[', ']', '\\', 'u0', 'a', '1'),
    );
    fc.assert(fc.property(bytes, check));
    fc.assert(
      fc.property(pieces, (one) => {
        check(utf8(one.join('')));
      }),
    );
  });

  it('are wiped when they are told to be', () => {
    const fields = assertAccepted(parseSecretFields(utf8('{"a":"secret","b":["more"],"c":1}')));
    const [a, b] = [fields.get('a') as Buffer, (fields.get('b') as Buffer[])[0]];
    wipeFields(fields);
    expect([a.toString('hex'), b?.toString('hex')]).toEqual(['000000000000', '00000000']);
  });
});
