import * as cborg from 'cborg';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, parseHex, toHex } from '../../wire/bytes.ts';
import type { CborOptions, CborValue } from '../../wire/cbor.ts';
import { CborTag, encodeCbor, encodeCborHead, parseCbor } from '../../wire/cbor.ts';
import { assertAccepted } from '../../wire/result.ts';

const OPTIONS: CborOptions = { maxBytes: 4096 };

function hex(text: string): Uint8Array {
  const bytes = parseHex(text);
  if (bytes === null) throw new Error(`bad hex ${text}`);
  return bytes;
}

function codeOf(text: string, options: Partial<CborOptions> = {}): string {
  const result = parseCbor(hex(text), { ...OPTIONS, ...options });
  return result.ok ? 'accepted' : result.refusal.code;
}

/** 128 lists, all but the last of 511 empty maps. */
function lists(last: number): string {
  const head = toHex(Uint8Array.of(0x99, last >> 8, last));
  return `9880${`9901ff${'a0'.repeat(511)}`.repeat(127)}${head}${'a0'.repeat(last)}`;
}

const scalar = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: -(2n ** 64n), max: -(2n ** 53n) }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.uint8Array({ maxLength: 300 }),
  fc.boolean(),
  fc.constant(null),
);
const key = fc.oneof(fc.integer({ min: -300, max: 70_000 }), fc.string({ maxLength: 30 }));
const { value } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }).map((pairs) => new Map(pairs)),
  ),
}));

describe('encodeCbor', () => {
  it('measures every text as TextEncoder writes it, halves of surrogate pairs included', () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
      maxLength: 40,
    });
    const long = fc.string({ unit: 'binary', minLength: 300, maxLength: 400 });
    const short = fc.string({ unit: 'binary', maxLength: 40 });
    fc.assert(
      fc.property(fc.oneof(text, short, long), (value) => {
        const bytes = new TextEncoder().encode(value);
        expect(encodeCbor(value)).toEqual(concatBytes(encodeCborHead(3, bytes.length), bytes));
      }),
    );
  });

  // RFC 8949 appendix A.
  it.each<[CborValue, string]>([
    [0, '00'],
    [23, '17'],
    [24, '1818'],
    [255, '18ff'],
    [256, '190100'],
    [65_535, '19ffff'],
    [65_536, '1a00010000'],
    [4_294_967_296, '1b0000000100000000'],
    [18_446_744_073_709_551_615n, '1bffffffffffffffff'],
    [-18_446_744_073_709_551_616n, '3bffffffffffffffff'],
    [-1, '20'],
    [-1000, '3903e7'],
    [Uint8Array.of(1, 2, 3, 4), '4401020304'],
    ['\u{6c34}', '63e6b0b4'],
    [[1, [2, 3], [4, 5]], '8301820203820405'],
    [
      new Map<string, CborValue>([
        ['b', [2, 3]],
        ['a', 1],
      ]),
      'a26161016162820203',
    ],
    [true, 'f5'],
    [null, 'f6'],
    [new CborTag(18, []), 'd280'],
  ])('%s', (item, expected) => {
    expect(toHex(encodeCbor(item))).toBe(expected);
  });

  it('answers what is read back, and reads nothing else back', () => {
    fc.assert(
      fc.property(value, (item) => {
        const bytes = encodeCbor(item);
        const back = assertAccepted(parseCbor(bytes, { maxBytes: 1 << 20 }));
        expect(back).toEqual(item);
        expect(encodeCbor(back)).toEqual(bytes);
      }),
    );
  });

  it('agrees with cborg', () => {
    fc.assert(
      fc.property(value, (item) => {
        expect(toHex(encodeCbor(item))).toBe(toHex(cborg.encode(item, cborg.rfc8949EncodeOptions)));
      }),
    );
  });

  it.each([1.5, Number.NaN, 2 ** 53])('throws for %s', (number) => {
    expect(() => encodeCbor(number)).toThrow(RangeError);
  });
});

describe('parseCbor', () => {
  it.each([
    ['nothing', '', 'cbor_truncated'],
    ['a head cut short', '19ff', 'cbor_truncated'],
    ['a string cut short', '43aabb', 'cbor_truncated'],
    ['an array that promises more than is there', '9affffffff', 'cbor_limit'],
    ['an array longer than its bytes', '8501', 'cbor_truncated'],
    ['a 64-bit length', '5bffffffffffffffff', 'cbor_truncated'],
    ['trailing bytes', '0000', 'cbor_trailing_bytes'],
    ['a long head for a small number', '1817', 'cbor_not_deterministic'],
    ['a two-byte head for 255', '1900ff', 'cbor_not_deterministic'],
    ['an eight-byte head for 2^32-1', '1b00000000ffffffff', 'cbor_not_deterministic'],
    ['an indefinite array', '9fff', 'cbor_not_deterministic'],
    ['an indefinite map', 'bfff', 'cbor_not_deterministic'],
    ['a chunked string', '5f4101ff', 'cbor_malformed'],
    ['unsorted keys', 'a202000100', 'cbor_not_deterministic'],
    ['a duplicate key', 'a201000100', 'cbor_malformed'],
    ['a float', 'f93c00', 'cbor_malformed'],
    ['undefined', 'f7', 'cbor_malformed'],
    ['a simple value', 'f820', 'cbor_malformed'],
    ['a break alone', 'ff', 'cbor_malformed'],
    ['a tag', 'c000', 'cbor_malformed'],
    ['an array as key', 'a18000', 'cbor_malformed'],
    ['text that is not UTF-8', '62c328', 'cbor_malformed'],
    ['reserved additional information', '1c', 'cbor_malformed'],
  ])('refuses %s', (_, text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it('depth is limited at exactly the maximum', () => {
    expect(codeOf('8181818180', { maxDepth: 4 })).toBe('accepted');
    expect(codeOf('818181818180', { maxDepth: 4 })).toBe('cbor_limit');
  });

  it('values are limited at exactly the maximum, definite or not', () => {
    expect(codeOf('83000000', { maxItems: 4 })).toBe('accepted');
    expect(codeOf('8400000000', { maxItems: 4 })).toBe('cbor_limit');
    const loose = { maxItems: 4, deterministic: false };
    expect(codeOf('9f000000ff', loose)).toBe('accepted');
    expect(codeOf('9f00000000ff', loose)).toBe('cbor_limit');
    expect(codeOf('bf0000ff', loose)).toBe('accepted');
    expect(codeOf('bf00000100ff', loose)).toBe('cbor_limit');
  });

  it('values are limited over all lists together', () => {
    expect(codeOf('8381008081a0', { maxItems: 6 })).toBe('accepted');
    expect(codeOf('8381008081a0', { maxItems: 5 })).toBe('cbor_limit');
    // With the outer list 65,536 values, and one more.
    expect(codeOf(lists(510), { maxBytes: 100_000 })).toBe('accepted');
    expect(codeOf(lists(511), { maxBytes: 100_000 })).toBe('cbor_limit');
  });

  it('bytes are limited at exactly the maximum', () => {
    expect(codeOf('420000', { maxBytes: 3 })).toBe('accepted');
    expect(codeOf('43000000', { maxBytes: 3 })).toBe('cbor_limit');
  });

  it('the loose form takes what AWS signs, but still no duplicates', () => {
    const loose = { deterministic: false };
    expect(codeOf('bf02000100ff', loose)).toBe('accepted');
    expect(codeOf('1b0000000000000001', loose)).toBe('accepted');
    expect(codeOf('bf02000200ff', loose)).toBe('cbor_malformed');
    expect(codeOf('bf0200180200ff', loose)).toBe('cbor_malformed');
    expect(codeOf('a20100180100', loose)).toBe('cbor_malformed');
    expect(codeOf('5f4101ff', loose)).toBe('cbor_malformed');
    expect(codeOf('d28443a10126a0f640', { ...loose, tags: [18] })).toBe('accepted');
    expect(codeOf('d38443a10126a0f640', { ...loose, tags: [18] })).toBe('cbor_malformed');
  });

  it('never throws and never accepts two spellings of one value', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const result = parseCbor(bytes, OPTIONS);
        const again = result.ok ? encodeCbor(result.value) : bytes;
        expect(again).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});
