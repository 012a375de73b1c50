// What the host checks of a commit before it acknowledges it: a host that stores garbage loses evidence,
// its own among it. The first commit of an epoch brings the log key in its leaf 0; whether an attested
// enclave owns that key is for the verifier, not for the host. Hostile commits are refused with a
// code; after a refusal the epoch is over.

import { equalBytes } from '../wire/bytes.ts';
import { parseCommit } from '../wire/commit.ts';
import type { Commit } from '../wire/commit.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { EpochHeader } from '../wire/header.ts';
import { parseHeader } from '../wire/header.ts';
import { KIND, parseLeaf } from '../wire/leaf.ts';
import { blobOf, checkBlob, openLeaf } from '../wire/open-leaf.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { verifyCheckpoint } from '../wire/tlog/checkpoint.ts';
import { leafHash } from '../wire/tlog/merkle.ts';
import type { EpochTree } from './epoch-tree.ts';

/** A commit whose leaves lead to the root that the epoch's log key has signed. */
export interface CheckedCommit {
  readonly commit: Commit;
  /** Leaves of the tree with this commit. */
  readonly size: number;
  readonly root: Uint8Array;
  /** Leaf indexes of outputs in it. */
  readonly outputs: readonly number[];
  /** Of each report in it the output that it names; null for a late one. */
  readonly reports: readonly (number | null)[];
  /** Its last leaf is a close leaf. */
  readonly closed: boolean;
}

export class CommitChecker {
  readonly #crypto: WireCrypto;
  readonly #tree: EpochTree;
  readonly #epoch: number;
  #header: EpochHeader | null = null;
  #refused = false;
  #closed = false;

  /** `tree` grows with the commits; when it has leaves already, `header` is its first. */
  constructor(
    crypto: WireCrypto,
    tree: EpochTree,
    epoch: number,
    header: EpochHeader | null = null,
  ) {
    this.#crypto = crypto;
    this.#tree = tree;
    this.#epoch = epoch;
    this.#header = header;
  }

  /** Leaf 0, once it is known. */
  get header(): EpochHeader | null {
    return this.#header;
  }

  /** Checks the next commit; a refusal ends the epoch, later commits are refused too. */
  check(payload: Uint8Array): Result<CheckedCommit> {
    if (this.#refused) return refuse('commit_mismatch', { after: 'refusal' });
    const checked = this.#check(payload);
    this.#refused = !checked.ok;
    return checked;
  }

  #check(payload: Uint8Array): Result<CheckedCommit> {
    const parsed = parseCommit(payload);
    if (!parsed.ok) return parsed;
    const commit = parsed.value;
    const { epoch, firstIndex, leaves } = commit;
    if (epoch !== this.#epoch) {
      return refuse('commit_mismatch', { expected_epoch: this.#epoch, epoch });
    }
    if (firstIndex !== this.#tree.size) {
      return refuse('commit_mismatch', { expected_index: this.#tree.size, index: firstIndex });
    }
    const read = this.#readLeaves(commit);
    if (!read.ok) return read;
    if (this.#header === null) {
      const header = readHeaderLeaf(this.#crypto, leaves[0] ?? new Uint8Array(), this.#epoch);
      if (!header.ok) return header;
      this.#header = header.value;
    }
    return this.#checkNote(commit, this.#header, read.value);
  }

  #readLeaves({ firstIndex, leaves, blobs }: Commit): Result<LeafFacts> {
    const outputs: number[] = [];
    const reports: (number | null)[] = [];
    let blobsUsed = 0;
    for (const [at, bytes] of leaves.entries()) {
      if (this.#closed) return refuse('leaf_after_close', { index: firstIndex + at });
      const leaf = parseLeaf(bytes);
      if (!leaf.ok) return leaf;
      if (blobOf(leaf.value) !== null) {
        const blob = checkBlob(this.#crypto, leaf.value, blobs[blobsUsed++] ?? null);
        if (!blob.ok) return blob;
      }
      if (leaf.value.kind === KIND.output) outputs.push(firstIndex + at);
      if (leaf.value.kind === KIND.report) reports.push(leaf.value.causes[0] ?? null);
      this.#closed = leaf.value.kind === KIND.close;
    }
    if (blobsUsed !== blobs.length) return refuse('blob_mismatch', { unnamed: blobs.length });
    return accept({ outputs, reports, closed: this.#closed });
  }

  #checkNote(commit: Commit, header: EpochHeader, facts: LeafFacts): Result<CheckedCommit> {
    const checkpoint = verifyCheckpoint(this.#crypto, commit.note, header.origin, header.logKey);
    if (!checkpoint.ok) return checkpoint;
    const { size, root } = checkpoint.value;
    if (size !== commit.firstIndex + commit.leaves.length) {
      return refuse('commit_mismatch', {
        expected_size: commit.firstIndex + commit.leaves.length,
        size,
      });
    }
    for (const leaf of commit.leaves) this.#tree.append(leafHash(this.#crypto, leaf));
    if (!equalBytes(root, this.#tree.root())) return refuse('root_mismatch', { size });
    return accept({ commit, size, root, ...facts });
  }
}

/** Leaf 0 of an epoch. */
export function readHeaderLeaf(
  crypto: WireCrypto,
  bytes: Uint8Array,
  epoch: number,
): Result<EpochHeader> {
  const leaf = parseLeaf(bytes);
  if (!leaf.ok) return leaf;
  if (leaf.value.kind !== KIND.header) return refuse('header_mismatch', { kind: leaf.value.kind });
  const opened = openLeaf(crypto, leaf.value, null, null);
  if (!opened.ok) return opened;
  const header = parseHeader(opened.value.plaintext);
  if (header.ok && header.value.epoch !== epoch) {
    return refuse('header_mismatch', { expected: epoch, epoch: header.value.epoch });
  }
  return header;
}

type LeafFacts = Pick<CheckedCommit, 'outputs' | 'reports' | 'closed'>;
