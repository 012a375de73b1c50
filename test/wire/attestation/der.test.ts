import { describe, expect, it } from 'vitest';
import {
  DerError,
  DerReader,
  readAll,
  readBitStringBytes,
  readBoolean,
  readNamedBits,
  readTime,
  readUnsigned,
} from '../../../wire/attestation/der.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

/** The value, or 'refused'; anything thrown but a DerError fails the test. */
function attempt<T>(hex: string, read: (reader: DerReader) => T): T | 'refused' {
  try {
    return readAll(bytes(hex), read);
  } catch (error) {
    if (error instanceof DerError) return 'refused';
    throw error;
  }
}

function lengthOf(header: string, content: number): number | 'refused' {
  return attempt(header + '00'.repeat(content), (reader) => reader.element(0x04).content.length);
}

function readInner(reader: DerReader): string {
  return reader.inside(0x30, (inside) => toHex(inside.element(0x04).content));
}

describe('lengths', () => {
  it.each([
    ['04 00', 0, 0],
    ['04 7f', 127, 127],
    ['04 81 80', 128, 128],
    ['04 81 ff', 255, 255],
    ['04 82 01 00', 256, 256],
  ])('%s', (header, content, expected) => {
    expect(lengthOf(header, content)).toBe(expected);
  });

  it.each([
    ['longer than needed, 81', '04 81 7f', 127],
    ['longer than needed, 82', '04 82 00 ff', 255],
    ['three bytes', '04 83 00 01 00', 256],
    ['indefinite', '04 80', 2],
    ['reserved', '04 ff', 2],
    ['one byte missing', '04 05', 4],
    ['one byte left over', '04 05', 6],
    ['cut inside the length', '04 82 01', 0],
    ['nothing after the tag', '04', 0],
    ['nothing', '', 0],
  ])('%s is refused', (_, header, content) => {
    expect(lengthOf(header, content)).toBe('refused');
  });

  it('beyond the end are refused at once, not at the end', () => {
    expect(() => new DerReader(bytes('04 02 00')).any()).toThrow(DerError);
  });

  it('of an element inside another cannot reach outside', () => {
    expect(attempt('30 03 04 01 aa', readInner)).toBe('aa');
    expect(attempt('30 03 04 02 aa bb', readInner)).toBe('refused');
    expect(attempt('30 04 04 01 aa bb', readInner)).toBe('refused');
  });
});

it('tags of more than one byte are refused', () => {
  expect(attempt('1f 01 00', (reader) => reader.any().tag)).toBe('refused');
});

function readTwoBytes(reader: DerReader): string {
  return toHex(readUnsigned(reader, 2));
}

describe('integers', () => {
  it.each([
    ['02 01 00', '00'],
    ['02 01 7f', '7f'],
    ['02 02 00 80', '80'],
    ['02 02 7f ff', '7fff'],
    ['02 03 00 ff ff', 'ffff'],
  ])('%s', (hex, value) => {
    expect(attempt(hex, readTwoBytes)).toBe(value);
  });

  it.each(['02 00', '02 01 80', '02 01 ff', '02 02 00 7f', '02 02 00 00', '02 03 01 00 00'])(
    '%s is refused',
    (hex) => {
      expect(attempt(hex, readTwoBytes)).toBe('refused');
    },
  );
});

describe('booleans', () => {
  it.each([
    ['01 01 ff', true],
    ['01 01 00', false],
    ['01 01 01', 'refused'],
    ['01 00', 'refused'],
    ['01 02 ff ff', 'refused'],
  ])('%s', (hex, value) => {
    expect(attempt(hex, (reader) => readBoolean(reader.element(0x01)))).toBe(value);
  });
});

describe('bit strings', () => {
  it.each([
    ['03 02 00 aa', 'aa'],
    ['03 02 01 aa', 'refused'],
    ['03 01 00', 'refused'],
    ['03 00', 'refused'],
  ])('of whole bytes: %s', (hex, value) => {
    expect(attempt(hex, (reader) => toHex(readBitStringBytes(reader)))).toBe(value);
  });

  it.each<[string, readonly number[] | 'refused']>([
    ['03 01 00', []],
    ['03 02 07 80', [0]],
    ['03 02 01 86', [0, 5, 6]],
    ['03 02 00 01', [7]],
    ['03 03 07 80 80', [0, 8]],
    ['03 01 01', 'refused'],
    ['03 02 00 00', 'refused'],
    ['03 02 06 80', 'refused'],
    ['03 02 07 81', 'refused'],
    ['03 02 08 80', 'refused'],
    ['03 02 20 81', 'refused'],
    ['03 03 07 80 00', 'refused'],
    ['03 04 00 80 80 01', 'refused'],
    ['03 00', 'refused'],
  ])('of named bits: %s', (hex, bits) => {
    const read = attempt(hex, readNamedBits);
    expect(read === 'refused' ? read : [...read]).toEqual(bits);
  });
});

function readText(tag: string, text: string): string {
  const hex = `${tag}${text.length.toString(16).padStart(2, '0')}${toHex(utf8(text))}`;
  const value = attempt(hex, readTime);
  return value === 'refused' ? value : new Date(value).toISOString();
}

describe('times', () => {
  it.each([
    ['500101000000Z', '1950-01-01T00:00:00.000Z'],
    ['991231235959Z', '1999-12-31T23:59:59.000Z'],
    ['000229000000Z', '2000-02-29T00:00:00.000Z'],
    ['491028142805Z', '2049-10-28T14:28:05.000Z'],
    ['250229000000Z', 'refused'],
    ['250100000000Z', 'refused'],
    ['2501010000Z', 'refused'],
    ['250101000000', 'refused'],
    ['250101000000+0000', 'refused'],
    ['250101000060Z', 'refused'],
    ['250101 00000Z', 'refused'],
  ])('UTCTime %s', (text, expected) => {
    expect(readText('17', text)).toBe(expected);
  });

  it.each([
    ['20500101000000Z', '2050-01-01T00:00:00.000Z'],
    ['99991231235959Z', '9999-12-31T23:59:59.000Z'],
    ['20491231235959Z', 'refused'],
    ['20500101000000.5Z', 'refused'],
    ['205001010000Z', 'refused'],
    ['20500230000000Z', 'refused'],
  ])('GeneralizedTime %s', (text, expected) => {
    expect(readText('18', text)).toBe(expected);
  });

  it('of another type are refused', () => {
    expect(readText('13', '250101000000Z')).toBe('refused');
  });
});
