import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CrcIndex, joinCrcs } from '../../host-proxy/crc-index.ts';

describe('checksums of parts', () => {
  const bytes = Buffer.alloc(20_000, 'some bytes of a file that are not all the same');

  it('are those of the parts themselves', () => {
    const index = new CrcIndex(bytes);
    const edges = [0, 1, 4095, 4096, 4097, 8191, 8192, 19_999, 20_000];
    for (const begin of edges) {
      for (const end of edges.filter((edge) => edge >= begin)) {
        expect(index.of(begin, end), `${begin} to ${end}`).toBe(crc32(bytes.subarray(begin, end)));
      }
    }
    fc.assert(
      fc.property(fc.nat(bytes.length), fc.nat(bytes.length), (a, b) => {
        const [begin, end] = [Math.min(a, b), Math.max(a, b)];
        expect(index.of(begin, end)).toBe(crc32(bytes.subarray(begin, end)));
      }),
    );
  });

  it('are joined as if the bytes were', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array({ maxLength: 300 }), (a, b) => {
        expect(joinCrcs(crc32(a), crc32(b), b.length)).toBe(crc32(Buffer.concat([a, b])));
      }),
    );
  });
});
