import { beforeAll, describe, expect, it } from 'vitest';
import { EpochTree } from '../../host-proxy/epoch-tree.ts';
import { toHex, u64 } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { inclusionProof, leafHash, MemoryTree } from '../../wire/tlog/merkle.ts';

/** Two full tiles of level 1 and a little more: 256 × 256 × 2 + 256 × 3 + 5 leaves. */
const LEAVES = 131_845;

const hashes: Uint8Array[] = [];
const peer = new MemoryTree(nodeCrypto);

beforeAll(() => {
  for (let index = 0; index < LEAVES; index++) {
    const hash = leafHash(nodeCrypto, u64(index));
    hashes.push(hash);
    peer.append(hash);
  }
});

function treeOf(
  size: number,
  published: (level: number, index: number) => Uint8Array | null = () => null,
): EpochTree {
  const tree = new EpochTree(nodeCrypto, published);
  for (const hash of hashes.slice(0, size)) tree.append(hash);
  return tree;
}

const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : toHex(bytes));

describe('the tree of the running epoch', () => {
  it('has the root of every size up to three tiles, and of the sizes around full ones', () => {
    const tree = treeOf(0);
    const around = new Set([65_535, 65_536, 65_537, 131_071, 131_072, 131_073, LEAVES]);
    const roots = new Map<number, string>();
    for (const [index, hash] of hashes.entries()) {
      tree.append(hash);
      if (index < 770 || around.has(index + 1)) roots.set(index + 1, toHex(tree.root()));
    }
    for (const [size, root] of roots) expect(root).toBe(toHex(peer.root(size)));
    expect(roots.size).toBe(777);
    expect(tree.size).toBe(LEAVES);
  });

  it('answers every complete subtree and none that is not complete', () => {
    for (const size of [1, 2, 255, 256, 257, 700]) {
      const tree = treeOf(size);
      for (let level = 0; level <= 10; level++) {
        const complete = Math.floor(size / 2 ** level);
        for (let index = 0; index < complete; index++) {
          expect(hex(tree.node(level, index))).toBe(hex(peer.node(level, index)));
        }
        expect(tree.node(level, complete)).toBeNull();
      }
    }
  });

  it('reads from the folder what was published, and gives the same proofs', () => {
    const folder = new Map<string, Uint8Array>();
    const tree = treeOf(LEAVES, (level, index) => folder.get(`${level}/${index}`) ?? null);
    const before = treeOf(LEAVES);
    for (const [level, full] of [515, 2].entries()) {
      for (let index = 0; index < full; index++) {
        const tile = tree.tile(level, index);
        expect(tile).toHaveLength(8192);
        folder.set(`${level}/${index}`, (tile ?? new Uint8Array()).slice());
        tree.forget(level, index);
      }
    }
    for (const index of [0, 255, 256, 65_535, 65_536, 131_071, 131_072, 131_840, LEAVES - 1]) {
      const proof = inclusionProof(nodeCrypto, peer, index, LEAVES).map(toHex);
      expect(inclusionProof(nodeCrypto, tree, index, LEAVES).map(toHex)).toEqual(proof);
      expect(inclusionProof(nodeCrypto, before, index, LEAVES).map(toHex)).toEqual(proof);
    }
    expect(toHex(tree.root())).toBe(toHex(peer.root()));
    expect(hex(tree.node(16, 1))).toBe(hex(peer.node(16, 1)));
    expect(tree.tile(0, 515)).toHaveLength(5 * 32);
    expect(tree.tile(1, 2)).toHaveLength(3 * 32);
    expect(tree.tile(2, 0)).toHaveLength(2 * 32);
    expect(tree.tile(0, 516)).toBeNull();
  });
});
