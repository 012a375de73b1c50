import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TileHashes, tilesAbove, verifyTiles } from '../../../verifier/evidence/tile-hashes.ts';
import { concatBytes, u64 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import {
  MemoryTree,
  inclusionProof,
  leafHash,
  verifyInclusion,
} from '../../../wire/tlog/merkle.ts';
import type { TileAddress } from '../../../wire/tlog/tile.ts';

const LARGEST = 66_000;
const tree = new MemoryTree(nodeCrypto);
for (let index = 0; index < LARGEST; index++) tree.append(leafHash(nodeCrypto, u64(index)));

function bytesOf({ level, index, width }: TileAddress): Uint8Array {
  return concatBytes(
    ...Array.from(
      { length: width },
      (_, at) => tree.node(8 * level, index * 256 + at) ?? new Uint8Array(),
    ),
  );
}

function load(
  tiles: readonly TileAddress[],
  change: (tile: TileAddress, bytes: Uint8Array) => Uint8Array = (_, bytes) => bytes,
): TileHashes {
  const hashes = new TileHashes(nodeCrypto);
  for (const tile of tiles) assertAccepted(hashes.add(tile, change(tile, bytesOf(tile))));
  return hashes;
}

const size = fc.oneof(
  fc.constantFrom(2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_792, 66_000),
  fc.integer({ min: 2, max: LARGEST }),
);
const scene = size.chain((leaves) =>
  fc
    .tuple(fc.nat(leaves - 1), fc.nat(600))
    .map(([first, more]) => ({ leaves, first, last: Math.min(leaves - 1, first + more) })),
);

describe('the tiles above a range', () => {
  it('are enough for the root and for the proof of each leaf in it', () => {
    fc.assert(
      fc.property(scene, fc.nat(), ({ leaves, first, last }, pick) => {
        const tiles = tilesAbove(leaves, [{ first, last }]);
        const hashes = load(tiles);
        const root = tree.root(leaves);
        expect(verifyTiles(nodeCrypto, hashes, tiles, { size: leaves, root }).ok).toBe(true);
        const index = first + (pick % (last - first + 1));
        const proof = inclusionProof(nodeCrypto, hashes, index, leaves);
        const hash = hashes.node(0, index) ?? new Uint8Array();
        const claim = { index, size: leaves, leafHash: hash, root, proof };
        expect(verifyInclusion(nodeCrypto, claim).ok).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('are few', () => {
    expect(tilesAbove(LARGEST, [{ first: 300, last: 301 }])).toHaveLength(5);
    expect(tilesAbove(2, [{ first: 0, last: 1 }])).toEqual([{ level: 0, index: 0, width: 2 }]);
  });

  it('are refused with any hash of any tile changed, and with any tile missing', () => {
    fc.assert(
      fc.property(scene, fc.nat(), fc.nat(), ({ leaves, first, last }, which, byte) => {
        const tiles = tilesAbove(leaves, [{ first, last }]);
        const target = tiles[which % tiles.length];
        const changed = load(tiles, (tile, bytes) => {
          const at = byte % bytes.length;
          return tile === target ? bytes.with(at, (bytes[at] ?? 0) ^ 1) : bytes;
        });
        const head = { size: leaves, root: tree.root(leaves) };
        const outcome = verifyTiles(nodeCrypto, changed, tiles, head);
        expect(outcome.ok ? 'accepted' : outcome.refusal.code).toMatch(/^(?:root|tile)_mismatch$/u);
      }),
      { numRuns: 200 },
    );
  });

  it('lead nowhere without the tile above', () => {
    const tiles = tilesAbove(LARGEST, [{ first: 300, last: 301 }]);
    const head = { size: LARGEST, root: tree.root(LARGEST) };
    for (const missing of tiles) {
      if (missing.level === 0 && missing.width === 256) continue;
      const rest = tiles.filter((tile) => tile !== missing);
      expect(verifyTiles(nodeCrypto, load(rest), rest, head)).toMatchObject({
        ok: false,
        refusal: { code: 'tile_missing' },
      });
    }
  });
});
