// RFC 6962 (section 2.1) Merkle trees over SHA-256: roots, inclusion proofs, consistency proofs.
// The enclave keeps only a TreeEdge; host and verifier also build proofs, from anything that answers
// hashes of complete subtrees. Roots are trusted where they come from a signed checkpoint; proofs are
// hostile: a wrong one is refused, and costs at most one hash per level of the tree.
//
//   leaf hash = SHA-256(0x00 ‖ leaf)      node hash = SHA-256(0x01 ‖ left ‖ right)

import { equalBytes } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { HASH_BYTES, nodeHash, emptyRoot } from './edge.ts';

export * from './edge.ts';

const NO_BYTES = new Uint8Array(0);

function isTreeSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function areHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every((hash) => hash.length === HASH_BYTES);
}

/** Where the hashes of complete subtrees come from: memory, or tiles. */
export interface HashReader {
  /** Hash of the leaves [index × 2^level, (index + 1) × 2^level); null when it is not there. */
  node(level: number, index: number): Uint8Array | null;
}

function readNode(reader: HashReader, level: number, index: number): Uint8Array {
  const hash = reader.node(level, index);
  if (hash === null) throw new RangeError(`no hash at level ${level} index ${index}`);
  return hash;
}

/** The largest power of two below `size`, for a size of at least 2. */
function splitPoint(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/** Root of the leaves [begin, end) where `begin` is a multiple of the next power of two. */
function rangeRoot(crypto: WireCrypto, reader: HashReader, begin: number, end: number): Uint8Array {
  const size = end - begin;
  const level = Math.log2(size);
  if (Number.isInteger(level)) return readNode(reader, level, begin / size);
  const middle = begin + splitPoint(size);
  return nodeHash(
    crypto,
    rangeRoot(crypto, reader, begin, middle),
    rangeRoot(crypto, reader, middle, end),
  );
}

/** Root of the first `size` leaves. Throws a RangeError when the reader does not have them all. */
export function rootAt(crypto: WireCrypto, reader: HashReader, size: number): Uint8Array {
  return size === 0 ? emptyRoot(crypto) : rangeRoot(crypto, reader, 0, size);
}

/** RFC 6962 2.1.1, from the leaf's sibling up. Throws a RangeError unless index < size ≤ the reader's. */
export function inclusionProof(
  crypto: WireCrypto,
  reader: HashReader,
  index: number,
  size: number,
): readonly Uint8Array[] {
  if (!(index >= 0 && index < size)) throw new RangeError('index outside of the tree');
  const proof: Uint8Array[] = [];
  let [begin, end] = [0, size];
  while (end - begin > 1) {
    const middle = begin + splitPoint(end - begin);
    if (index < middle) {
      proof.push(rangeRoot(crypto, reader, middle, end));
      end = middle;
    } else {
      proof.push(rangeRoot(crypto, reader, begin, middle));
      begin = middle;
    }
  }
  return proof.toReversed();
}

/** RFC 6962 2.1.2. Empty when `oldSize` is 0 or `size`. Throws a RangeError for oldSize > size. */
export function consistencyProof(
  crypto: WireCrypto,
  reader: HashReader,
  oldSize: number,
  size: number,
): readonly Uint8Array[] {
  if (!(oldSize >= 0 && oldSize <= size)) throw new RangeError('old size outside of the tree');
  if (oldSize === 0) return [];
  const proof: Uint8Array[] = [];
  let [begin, end] = [0, size];
  while (end !== oldSize) {
    const middle = begin + splitPoint(end - begin);
    if (oldSize <= middle) {
      proof.push(rangeRoot(crypto, reader, middle, end));
      end = middle;
    } else {
      proof.push(rangeRoot(crypto, reader, begin, middle));
      begin = middle;
    }
  }
  // The old tree is a whole subtree of the new one unless its left part was split off above.
  if (begin > 0) proof.push(rangeRoot(crypto, reader, begin, end));
  return proof.toReversed();
}

/** Every hash of a tree, packed, 64 bytes a leaf. For host and verifier; not for the enclave. */
export class MemoryTree implements HashReader {
  readonly #crypto: WireCrypto;
  readonly #levels: Uint8Array[] = [];
  size = 0;

  constructor(crypto: WireCrypto) {
    this.#crypto = crypto;
  }

  append(hash: Uint8Array): void {
    if (hash.length !== HASH_BYTES) throw new RangeError('a tree hash has 32 bytes');
    let node = hash;
    let index = this.size;
    for (let level = 0; ; level++) {
      this.#store(level, index, node);
      if (index % 2 === 0) break;
      node = nodeHash(this.#crypto, this.#slice(level, index - 1), node);
      index = (index - 1) / 2;
    }
    this.size++;
  }

  node(level: number, index: number): Uint8Array | null {
    if (!(index >= 0 && (index + 1) * 2 ** level <= this.size)) return null;
    return this.#slice(level, index);
  }

  root(size: number = this.size): Uint8Array {
    return rootAt(this.#crypto, this, size);
  }

  #slice(level: number, index: number): Uint8Array {
    const hashes = this.#levels[level] ?? NO_BYTES;
    return hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  }

  #store(level: number, index: number, hash: Uint8Array): void {
    let hashes = this.#levels[level] ?? NO_BYTES;
    const offset = index * HASH_BYTES;
    if (offset === hashes.length) {
      const grown = new Uint8Array(Math.max(64 * HASH_BYTES, hashes.length * 2));
      grown.set(hashes);
      this.#levels[level] = hashes = grown;
    }
    hashes.set(hash, offset);
  }
}

export interface ConsistencyClaim {
  readonly oldSize: number;
  readonly oldRoot: Uint8Array;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/**
 * RFC 9162 2.1.4.2: the first `oldSize` leaves of the tree under `root` are the tree under `oldRoot`.
 * An old tree without leaves and equal sizes have the empty proof. Refuses with `consistency_invalid`.
 */
export function verifyConsistency(crypto: WireCrypto, claim: ConsistencyClaim): Result<true> {
  const { oldSize, oldRoot, size, root, proof } = claim;
  const refusal = refuse('consistency_invalid', { oldSize, size, hashes: proof.length });
  if (!isTreeSize(oldSize) || !isTreeSize(size) || oldSize > size) return refusal;
  if (!areHashes([oldRoot, root, ...proof])) return refusal;
  if (oldSize === 0 || oldSize === size) {
    const expected = oldSize === 0 ? emptyRoot(crypto) : root;
    return proof.length === 0 && equalBytes(oldRoot, expected) ? accept(true) : refusal;
  }
  let position = oldSize - 1;
  let last = size - 1;
  while (position % 2 === 1) {
    position = (position - 1) / 2;
    last = Math.floor(last / 2);
  }
  // A whole subtree is its own first hash; the proof leaves it out.
  const hashes = position === 0 ? [oldRoot, ...proof] : proof;
  let oldNode = hashes[0];
  let node = oldNode;
  if (oldNode === undefined || node === undefined) return refusal;
  for (const hash of hashes.slice(1)) {
    if (last === 0) return refusal;
    if (position % 2 === 1 || position === last) {
      oldNode = nodeHash(crypto, hash, oldNode);
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
  const linked = last === 0 && equalBytes(oldNode, oldRoot) && equalBytes(node, root);
  return linked ? accept(true) : refusal;
}
