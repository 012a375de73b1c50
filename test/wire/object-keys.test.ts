import { describe, expect, it } from 'vitest';
import { claimKey, commitsKey } from '../../wire/object-keys.ts';
import { blobKey, checkpointKey, closeKey, indexKey, isObjectKey } from '../../wire/host-keys.ts';
import { entriesKey, tileKey } from '../../wire/tile-keys.ts';

describe('keys of the log', () => {
  it('are those of docs/PROTOCOL.md', () => {
    const keys = [
      claimKey(42),
      commitsKey(42, 1),
      tileKey(42, 0, 1234067, 256),
      tileKey(42, 1, 0, 7),
      entriesKey(42, 0, 256),
      checkpointKey(42, 123),
      closeKey(42),
      blobKey('ab'.repeat(32)),
      indexKey('2026-11-21', 42, 256),
    ];
    expect(keys).toEqual([
      'epochs/0000000042/claim',
      'epochs/0000000042/commits/000000000001',
      'epochs/0000000042/tile/0/x001/x234/067',
      'epochs/0000000042/tile/1/000.p/7',
      'epochs/0000000042/tile/entries/000',
      'epochs/0000000042/checkpoints/00000000000000000123',
      'epochs/0000000042/close',
      `blobs/${'ab'.repeat(32)}`,
      'index/2026/11/21/0000000042-00000000000000000256.json',
    ]);
    expect(keys.every(isObjectKey)).toBe(true);
  });

  it.each(['', '/', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', 'a/./b', 'a\\b', 'a b', 'é'])(
    'no store takes %j',
    (key) => {
      expect(isObjectKey(key)).toBe(false);
    },
  );

  it.each(['a', '.a', 'a..b', '...', 'a/.p/7'])('a store takes %j', (key) => {
    expect(isObjectKey(key)).toBe(true);
  });

  it('has 128 characters in a part and 512 in all, no more', () => {
    expect(isObjectKey('a'.repeat(128))).toBe(true);
    expect(isObjectKey('a'.repeat(129))).toBe(false);
    const long = `${`${'a'.repeat(99)}/`.repeat(5)}${'a'.repeat(12)}`;
    expect(isObjectKey(long)).toBe(true);
    expect(isObjectKey(`${long}a`)).toBe(false);
  });
});
