// A log as an epoch has it, in memory and unsigned: execution reads signals from it exactly as it reads them
// from an enclave's. Its root commits to everything that a run got and gave, so that two runs are the same
// run when their roots are. Nothing here is evidence for anybody but its owner.

import type { InclusionAnswer, LogReader } from '../../host-proxy/epoch-log.ts';
import { u64 } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Kind, Label } from '../../wire/leaf.ts';
import { encodePublicLeaf, KIND, SALT_BYTES } from '../../wire/leaf.ts';
import { inclusionProof, leafHash, MemoryTree } from '../../wire/tlog/merkle.ts';

export interface LeafDraft {
  readonly kind: Kind;
  readonly stream: number;
  readonly label: Label;
  readonly causes: readonly number[];
  readonly plaintext: Uint8Array;
  readonly timeNs: bigint;
}

export interface AppendedLeaf {
  readonly index: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

export class MemoryLog implements LogReader {
  readonly #crypto: WireCrypto;
  readonly #tree: MemoryTree;
  /** Of outputs only: nobody asks for others. */
  readonly #outputs = new Map<number, Uint8Array>();
  readonly #sequences = new Map<number, number>();

  constructor(crypto: WireCrypto) {
    this.#crypto = crypto;
    this.#tree = new MemoryTree(crypto);
  }

  get size(): number {
    return this.#tree.size;
  }

  /** Throws while the log is empty. */
  get root(): Uint8Array {
    return this.#tree.root();
  }

  /** A leaf of ours. Salts are made from the index, because two runs must give the same root. */
  append(draft: LeafDraft): AppendedLeaf {
    const { kind, stream, label, causes, plaintext, timeNs } = draft;
    const sequence = this.#sequences.get(stream) ?? 0;
    this.#sequences.set(stream, sequence + 1);
    const salt = this.#crypto.sha256(u64(this.size)).slice(0, SALT_BYTES);
    const header = { kind, timeNs, stream, label, sequence, causes };
    const { bytes } = encodePublicLeaf(this.#crypto, header, salt, plaintext);
    const index = this.add(bytes, kind === KIND.output);
    return { index, salt, hash: leafHash(this.#crypto, bytes) };
  }

  /** A leaf as it is, from another log; answers its index. */
  add(bytes: Uint8Array, isOutput: boolean): number {
    const index = this.size;
    this.#tree.append(leafHash(this.#crypto, bytes));
    if (isOutput) this.#outputs.set(index, bytes);
    return index;
  }

  leaf(index: number): Uint8Array | null {
    return this.#outputs.get(index) ?? null;
  }

  inclusion(index: number): InclusionAnswer | null {
    const { size } = this;
    if (!(index >= 0 && index < size)) return null;
    const proof = inclusionProof(this.#crypto, this.#tree, index, size);
    return { proof, size, root: this.root };
  }
}
