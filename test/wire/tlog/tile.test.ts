import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assertAccepted } from '../../../wire/result.ts';
import {
  MAX_ENTRY_BYTES,
  TILE_WIDTH,
  encodeEntryBundle,
  entriesPath,
  parseEntryBundle,
  parseTile,
  tilePath,
  tilesOf,
} from '../../../wire/tlog/tile.ts';

function code(bundle: Uint8Array, count: number): string {
  const result = parseEntryBundle(bundle, count);
  return result.ok ? 'accepted' : result.refusal.code;
}

describe('tile paths', () => {
  it('are those of C2SP tlog-tiles', () => {
    expect(tilePath(0, 0, 256)).toBe('tile/0/000');
    expect(tilePath(0, 999, 256)).toBe('tile/0/999');
    expect(tilePath(1, 1000, 1)).toBe('tile/1/x001/000.p/1');
    expect(tilePath(0, 1_234_067, 256)).toBe('tile/0/x001/x234/067');
    expect(entriesPath(1_234_067, 255)).toBe('tile/entries/x001/x234/067.p/255');
    expect(tilePath(63, 0, 1)).toBe('tile/63/000.p/1');
  });

  it('refuse to be built from nonsense', () => {
    for (const width of [0, 257, 1.5]) expect(() => tilePath(0, 0, width)).toThrow(RangeError);
    for (const index of [-1, 0.5, 2 ** 53]) expect(() => entriesPath(index, 1)).toThrow(RangeError);
    expect(() => tilePath(64, 0, 1)).toThrow(RangeError);
  });
});

describe('tiles of a tree', () => {
  it('are those of the example in C2SP tlog-tiles, 70,000 leaves', () => {
    const tiles = Array.from(tilesOf(70_000));
    const partial = tiles.filter(({ width }) => width < TILE_WIDTH);
    expect(tiles.filter(({ level, width }) => level === 0 && width === 256)).toHaveLength(273);
    expect(tiles.filter(({ level, width }) => level === 1 && width === 256)).toHaveLength(1);
    expect(partial).toEqual([
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ]);
  });

  it('have no empty tiles', () => {
    expect(Array.from(tilesOf(0))).toEqual([]);
    expect(Array.from(tilesOf(256))).toEqual([
      { level: 0, index: 0, width: 256 },
      { level: 1, index: 0, width: 1 },
    ]);
  });
});

describe('entry bundles', () => {
  it('keep 1, 255 and 256 leaves', () => {
    for (const count of [1, 255, 256]) {
      const leaves = Array.from({ length: count }, (_, index) => new Uint8Array(index).fill(index));
      const bytes = encodeEntryBundle(leaves);
      expect(assertAccepted(parseEntryBundle(bytes, count))).toEqual(leaves);
    }
    expect(() => encodeEntryBundle([])).toThrow(RangeError);
    const many = Array.from({ length: 257 }, () => new Uint8Array(1));
    expect(() => encodeEntryBundle(many)).toThrow(RangeError);
  });

  it('keep a leaf of 65,535 bytes and no larger one', () => {
    const leaf = new Uint8Array(MAX_ENTRY_BYTES).fill(7);
    const bytes = encodeEntryBundle([leaf]);
    expect(assertAccepted(parseEntryBundle(bytes, 1))[0]).toEqual(leaf);
    expect(() => encodeEntryBundle([new Uint8Array(MAX_ENTRY_BYTES + 1)])).toThrow(RangeError);
  });

  it('are refused when cut, too long or of another count', () => {
    const leaf = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(fc.array(leaf, { minLength: 1, maxLength: 20 }), fc.nat(), (leaves, at) => {
        const bytes = encodeEntryBundle(leaves);
        expect(code(bytes, leaves.length)).toBe('accepted');
        expect(code(bytes.subarray(0, at % bytes.length), leaves.length)).toBe('tile_mismatch');
        expect(code(bytes, leaves.length + 1)).toBe('tile_mismatch');
        expect(code(bytes, leaves.length - 1)).toBe('tile_mismatch');
        expect(code(Uint8Array.of(...bytes, 0), leaves.length)).toBe('tile_mismatch');
      }),
      { numRuns: 100 },
    );
  });
});

describe('hash tiles', () => {
  it('are exactly width × 32 bytes', () => {
    const bytes = new Uint8Array(64).fill(3, 32);
    expect(assertAccepted(parseTile(bytes, 2))).toEqual([
      new Uint8Array(32),
      new Uint8Array(32).fill(3),
    ]);
    for (const width of [1, 3]) {
      const result = parseTile(bytes, width);
      expect(result.ok ? 'accepted' : result.refusal.code).toBe('tile_mismatch');
    }
  });
});
