import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  equalBytes,
  parseBase64,
  parseHex,
  parseUtf8,
  readU32,
  toBase64,
  toHex,
  u64,
  writeU32,
} from '../../wire/bytes.ts';

describe('text forms of bytes', () => {
  it('agree with Node for every byte string', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
        expect(parseHex(toHex(bytes))).toEqual(bytes);
        expect(parseBase64(toBase64(bytes))).toEqual(bytes);
      }),
    );
  });

  it.each(['A', 'AA', 'AAA', 'AA=', 'AB==', 'AAB=', '====', 'A===', 'AA==AA==', 'AA-_', 'AA A'])(
    'base64 refuses the odd spelling %s',
    (text) => {
      expect(parseBase64(text)).toBeNull();
    },
  );

  it.each(['a', 'AB', '0x', 'zz', ' 00'])('hex refuses %s', (text) => {
    expect(parseHex(text)).toBeNull();
  });

  it('UTF-8 must be well formed and keeps a byte order mark', () => {
    expect(parseUtf8(Uint8Array.of(0xc3, 0x28))).toBeNull();
    expect(parseUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\u{feff}a');
  });
});

describe('integers', () => {
  it('are big endian', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (value) => {
        const bytes = new Uint8Array(6);
        writeU32(bytes, 1, value);
        expect(Buffer.from(bytes).readUInt32BE(1)).toBe(value);
        expect(readU32(bytes, 1)).toBe(value);
      }),
    );
    expect(toHex(u64(2 ** 53 - 1))).toBe('001fffffffffffff');
  });

  it('equalBytes compares length and content', () => {
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(equalBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(false);
  });
});
