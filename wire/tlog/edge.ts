// RFC 6962 (section 2.1) Merkle trees over SHA-256, what the enclave needs of them: the right edge of a growing tree, and
// inclusion proofs, which are hostile. The rest is in merkle.ts.
//
//   leaf hash = SHA-256(0x00 ‖ leaf)      node hash = SHA-256(0x01 ‖ left ‖ right)

import { equalBytes } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

export const HASH_BYTES = 32;

const LEAF_PREFIX = Uint8Array.of(0);

const NO_BYTES = new Uint8Array(0);

// Filled anew for every node, so that hashing one costs a single call and no garbage.
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = 1;

/** Of a leaf in one piece or in several that follow one another. */
export function leafHash(crypto: WireCrypto, ...leaf: readonly Uint8Array[]): Uint8Array {
  return crypto.sha256(LEAF_PREFIX, ...leaf);
}

export function nodeHash(crypto: WireCrypto, left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) {
    throw new RangeError('a tree hash has 32 bytes');
  }
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return crypto.sha256(nodeInput);
}

/** The root of the tree without leaves. */
export function emptyRoot(crypto: WireCrypto): Uint8Array {
  return crypto.sha256(NO_BYTES);
}

/** The right edge of a growing tree: the roots of its complete subtrees, one per set bit of `size`. */
export class TreeEdge {
  readonly #crypto: WireCrypto;
  readonly #subtrees: Uint8Array[] = [];
  size = 0;

  constructor(crypto: WireCrypto) {
    this.#crypto = crypto;
  }

  append(hash: Uint8Array): void {
    let node = hash;
    for (let rest = this.size; rest % 2 === 1; rest = (rest - 1) / 2) {
      const left = this.#subtrees.pop();
      if (left === undefined) throw new Error('TreeEdge lost a subtree');
      node = nodeHash(this.#crypto, left, node);
    }
    this.#subtrees.push(node);
    this.size++;
  }

  root(): Uint8Array {
    let node = this.#subtrees.at(-1);
    if (node === undefined) return emptyRoot(this.#crypto);
    for (let index = this.#subtrees.length - 2; index >= 0; index--) {
      node = nodeHash(this.#crypto, this.#subtrees[index] ?? NO_BYTES, node);
    }
    return node;
  }
}

export interface InclusionClaim {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

function isTreeSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function areHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every((hash) => hash.length === HASH_BYTES);
}

/** RFC 9162 2.1.3.2. Refuses with `inclusion_invalid`. */
export function verifyInclusion(crypto: WireCrypto, claim: InclusionClaim): Result<true> {
  const { index, size, root, proof } = claim;
  const refusal = refuse('inclusion_invalid', { index, size, hashes: proof.length });
  if (!isTreeSize(index) || !isTreeSize(size) || index >= size) return refusal;
  if (!areHashes([claim.leafHash, ...proof])) return refusal;
  let node = claim.leafHash;
  let position = index;
  let last = size - 1;
  for (const hash of proof) {
    if (last === 0) return refusal;
    if (position % 2 === 1 || position === last) {
      node = nodeHash(crypto, hash, node);
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      node = nodeHash(crypto, node, hash);
    }
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(node, root) ? accept(true) : refusal;
}
