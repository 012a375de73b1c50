import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHex, toHex, utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { Result } from '../../../wire/result.ts';
import {
  MemoryTree,
  TreeEdge,
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  nodeHash,
  rootAt,
  verifyConsistency,
  verifyInclusion,
} from '../../../wire/tlog/merkle.ts';
import type { ConsistencyClaim, InclusionClaim } from '../../../wire/tlog/merkle.ts';

const SIZES = 70;
const ACCEPTED = 'accepted';
const NOT_INCLUDED = 'inclusion_invalid';
const NOT_CONSISTENT = 'consistency_invalid';

// The eight leaves of Certificate Transparency's merkle tree tests, and the roots of their prefixes.
const CT_LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const CT_ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

function bytesOf(hex: string): Uint8Array {
  const bytes = parseHex(hex);
  if (bytes === null) throw new Error('bad hex in a test');
  return bytes;
}

function treeOf(size: number): MemoryTree {
  const tree = new MemoryTree(nodeCrypto);
  for (let index = 0; index < size; index++) {
    tree.append(leafHash(nodeCrypto, utf8(`leaf ${index}`)));
  }
  return tree;
}

/** RFC 6962 2.1 written down as it stands there. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (first === undefined) return emptyRoot(nodeCrypto);
  if (leaves.length === 1) return leafHash(nodeCrypto, first);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(nodeCrypto, naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)));
}

function flipped(bytes: Uint8Array, bit = 0): Uint8Array {
  const copy = bytes.slice();
  const at = Math.floor(bit / 8);
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit % 8));
  return copy;
}

const tree = treeOf(SIZES);

function inclusionOf(index: number, size: number): InclusionClaim {
  return {
    index,
    size,
    leafHash: leafHash(nodeCrypto, utf8(`leaf ${index}`)),
    root: tree.root(size),
    proof: inclusionProof(nodeCrypto, tree, index, size),
  };
}

function consistencyOf(oldSize: number, size: number): ConsistencyClaim {
  return {
    oldSize,
    oldRoot: tree.root(oldSize),
    size,
    root: tree.root(size),
    proof: consistencyProof(nodeCrypto, tree, oldSize, size),
  };
}

function verdict(result: Result<true>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

function included(claim: InclusionClaim): string {
  return verdict(verifyInclusion(nodeCrypto, claim));
}

function consistent(claim: ConsistencyClaim): string {
  return verdict(verifyConsistency(nodeCrypto, claim));
}

/** Ways to spoil a list of hashes. */
function* spoiled(proof: readonly Uint8Array[]): Generator<readonly Uint8Array[]> {
  for (const [at, hash] of proof.entries()) {
    yield proof.with(at, flipped(hash, at));
    yield proof.toSpliced(at, 1);
    yield proof.with(at, hash.subarray(1));
  }
  yield [...proof, new Uint8Array(32)];
  yield [new Uint8Array(32), ...proof];
}

describe('Merkle tree', () => {
  it('has the roots of the Certificate Transparency vectors', () => {
    const memory = new MemoryTree(nodeCrypto);
    const edge = new TreeEdge(nodeCrypto);
    const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    expect(toHex(memory.root())).toBe(empty);
    expect(toHex(edge.root())).toBe(empty);
    for (const [index, leaf] of CT_LEAVES.entries()) {
      memory.append(leafHash(nodeCrypto, bytesOf(leaf)));
      edge.append(leafHash(nodeCrypto, bytesOf(leaf)));
      expect(toHex(memory.root())).toBe(CT_ROOTS[index]);
      expect(toHex(edge.root())).toBe(CT_ROOTS[index]);
    }
  });

  it('has the proofs of the Certificate Transparency vectors', () => {
    const memory = new MemoryTree(nodeCrypto);
    for (const leaf of CT_LEAVES) memory.append(leafHash(nodeCrypto, bytesOf(leaf)));
    expect(inclusionProof(nodeCrypto, memory, 0, 8).map((hash) => toHex(hash))).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(consistencyProof(nodeCrypto, memory, 6, 8).map((hash) => toHex(hash))).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(consistencyProof(nodeCrypto, memory, 2, 5).map((hash) => toHex(hash))).toEqual([
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ]);
  });

  it('gives the same roots by edge, by memory and by the definition', () => {
    const leaves = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 600 });
    fc.assert(
      fc.property(leaves, (list) => {
        const memory = new MemoryTree(nodeCrypto);
        const edge = new TreeEdge(nodeCrypto);
        for (const leaf of list) {
          memory.append(leafHash(nodeCrypto, leaf));
          edge.append(leafHash(nodeCrypto, leaf));
        }
        expect(edge.size).toBe(list.length);
        const root = toHex(naiveRoot(list));
        expect(toHex(edge.root())).toBe(root);
        expect(toHex(memory.root())).toBe(root);
      }),
      { numRuns: 50 },
    );
  });

  it('finds the roots of all earlier sizes', () => {
    const edge = new TreeEdge(nodeCrypto);
    for (let size = 0; size <= SIZES; size++) {
      expect(toHex(rootAt(nodeCrypto, tree, size))).toBe(toHex(edge.root()));
      edge.append(leafHash(nodeCrypto, utf8(`leaf ${size}`)));
    }
  });

  it('answers no hash of a subtree that is not complete', () => {
    const memory = treeOf(7);
    expect(memory.node(0, 6)).not.toBeNull();
    expect(memory.node(0, 7)).toBeNull();
    expect(memory.node(1, 2)).not.toBeNull();
    expect(memory.node(1, 3)).toBeNull();
    expect(memory.node(2, 1)).toBeNull();
    expect(() => memory.root(8)).toThrow(RangeError);
    expect(() => inclusionProof(nodeCrypto, memory, 7, 7)).toThrow(RangeError);
    expect(() => consistencyProof(nodeCrypto, memory, 8, 7)).toThrow(RangeError);
  });
});

describe('inclusion proofs', () => {
  it('verify for every index of every size', () => {
    for (let size = 1; size <= SIZES; size++) {
      for (let index = 0; index < size; index++)
        expect(included(inclusionOf(index, size))).toBe(ACCEPTED);
    }
  });

  it('are refused for another index, size, leaf or root', () => {
    for (let size = 1; size <= SIZES; size++) {
      for (let index = 0; index < size; index++) {
        const claim = inclusionOf(index, size);
        for (const other of [index - 1, index + 1, size]) {
          expect(included({ ...claim, index: other })).toBe(NOT_INCLUDED);
        }
        expect(included({ ...claim, leafHash: flipped(claim.leafHash) })).toBe(NOT_INCLUDED);
        expect(included({ ...claim, root: flipped(claim.root, 255) })).toBe(NOT_INCLUDED);
        expect(included({ ...claim, size: index })).toBe(NOT_INCLUDED);
      }
    }
  });

  it('are refused when a hash is changed, missing, short or too many', () => {
    for (const size of [1, 2, 7, 8, 33, SIZES]) {
      for (let index = 0; index < size; index++) {
        const claim = inclusionOf(index, size);
        for (const proof of spoiled(claim.proof))
          expect(included({ ...claim, proof })).toBe(NOT_INCLUDED);
      }
    }
  });

  it('are refused for numbers that are no index or size', () => {
    const claim = inclusionOf(3, 8);
    for (const index of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(included({ ...claim, index })).toBe(NOT_INCLUDED);
      expect(included({ ...claim, size: index })).toBe(NOT_INCLUDED);
    }
  });

  it('work beyond 32 bits', () => {
    const [left, right] = [leafHash(nodeCrypto, utf8('l')), leafHash(nodeCrypto, utf8('r'))];
    const index = 2 ** 40;
    const root = nodeHash(nodeCrypto, left, right);
    const claim = { index, size: index + 1, leafHash: right, root, proof: [left] };
    expect(included(claim)).toBe(ACCEPTED);
    expect(included({ ...claim, index: 0 })).toBe(NOT_INCLUDED);
  });
});

describe('consistency proofs', () => {
  it('verify for every pair of sizes', () => {
    for (let size = 0; size <= SIZES; size++) {
      for (let oldSize = 0; oldSize <= size; oldSize++) {
        expect(consistent(consistencyOf(oldSize, size))).toBe(ACCEPTED);
      }
    }
  });

  it('are refused for other roots and sizes', () => {
    for (let size = 1; size <= SIZES; size++) {
      for (let oldSize = 1; oldSize <= size; oldSize++) {
        const claim = consistencyOf(oldSize, size);
        expect(consistent({ ...claim, oldRoot: flipped(claim.oldRoot) })).toBe(NOT_CONSISTENT);
        expect(consistent({ ...claim, root: flipped(claim.root, 9) })).toBe(NOT_CONSISTENT);
        expect(consistent({ ...claim, oldSize: size + 1 })).toBe(NOT_CONSISTENT);
        const asEqual = consistent({ ...claim, oldSize: size });
        expect(asEqual).toBe(oldSize < size ? NOT_CONSISTENT : ACCEPTED);
        expect(consistent({ ...claim, oldSize: 0 })).toBe(NOT_CONSISTENT);
      }
    }
  });

  it('are refused when a hash is changed, missing, short or too many', () => {
    for (const size of [2, 7, 8, 33, SIZES]) {
      for (let oldSize = 1; oldSize <= size; oldSize++) {
        const claim = consistencyOf(oldSize, size);
        for (const proof of spoiled(claim.proof))
          expect(consistent({ ...claim, proof })).toBe(NOT_CONSISTENT);
      }
    }
  });

  it('show that a rewritten leaf is another tree', () => {
    const other = new MemoryTree(nodeCrypto);
    for (let index = 0; index < SIZES; index++) {
      other.append(leafHash(nodeCrypto, utf8(index === 5 ? 'rewritten' : `leaf ${index}`)));
    }
    const proof = consistencyProof(nodeCrypto, other, 40, SIZES);
    const claim = { oldSize: 40, oldRoot: tree.root(40), size: SIZES, root: other.root(), proof };
    expect(consistent(claim)).toBe(NOT_CONSISTENT);
  });
});
