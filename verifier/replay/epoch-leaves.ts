// The leaves of an epoch in order, for a replay: the tree is built again and must be the one that the
// checkpoint signs, under the key in the header. Whether an enclave has that key, only its attestation
// shows: `verify log`, or the same options here.

import type { WireCrypto } from '../../wire/crypto.ts';
import type { EpochHeader } from '../../wire/header.ts';
import type { Leaf } from '../../wire/leaf.ts';
import { parseLeaf } from '../../wire/leaf.ts';
import { blobOf, checkBlob } from '../../wire/open-leaf.ts';
import { readHeaderLeaf } from '../../wire/log-verification/boot.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { TreeEdge, leafHash } from '../../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../../wire/tlog/tile.ts';
import type { EpochFiles } from '../log/epoch-files.ts';
import { unsafeClaimedSize } from '../log/epoch-files.ts';
import { readAhead } from '../log/read-ahead.ts';

const READ_AHEAD = 8;

export interface ReplayLeaf {
  readonly index: number;
  /** As they are in the tree. */
  readonly bytes: Uint8Array;
  readonly leaf: Leaf;
  readonly blob: Uint8Array | null;
}

export interface EpochHead {
  readonly header: EpochHeader;
  readonly size: number;
  readonly root: Uint8Array;
}

export class EpochLeaves {
  readonly #crypto: WireCrypto;
  readonly #files: EpochFiles;
  readonly #leafZero: Uint8Array;
  readonly head: EpochHead;

  private constructor(
    crypto: WireCrypto,
    files: EpochFiles,
    leafZero: Uint8Array,
    head: EpochHead,
  ) {
    this.#crypto = crypto;
    this.#files = files;
    this.#leafZero = leafZero;
    this.head = head;
  }

  /** Reads header and checkpoint, and checks the one's signature under the other's key. */
  static async open(crypto: WireCrypto, files: EpochFiles): Promise<Result<EpochLeaves>> {
    const note = await files.checkpoint();
    if (!note.ok) return note;
    if (note.value === null) return refuse('file_unreadable', { what: 'no checkpoint' });
    const size = unsafeClaimedSize(note.value);
    if (!size.ok) return size;
    const first = await files.leaves(0, Math.min(size.value, TILE_WIDTH));
    if (!first.ok) return first;
    const leafZero = (first.value[0] ?? new Uint8Array()).slice();
    const read = readHeaderLeaf(crypto, leafZero);
    if (!read.ok) return read;
    const { header } = read.value;
    const { origin, logKey } = header;
    const checkpoint = verifyCheckpoint(crypto, note.value, origin, logKey);
    if (!checkpoint.ok) return checkpoint;
    const { root } = checkpoint.value;
    return accept(new EpochLeaves(crypto, files, leafZero, { header, size: size.value, root }));
  }

  /** Hands every leaf to `take`, then compares the root. Stops at the first refusal. */
  async read(take: (leaf: ReplayLeaf) => Promise<Result<null>>): Promise<Result<null>> {
    const { size, root } = this.head;
    const edge = new TreeEdge(this.#crypto);
    const bundles = readAhead(Math.ceil(size / TILE_WIDTH), READ_AHEAD, (index) =>
      this.#files.leaves(index, Math.min(TILE_WIDTH, size - index * TILE_WIDTH)),
    );
    for await (const bundle of bundles) {
      if (!bundle.ok) return bundle;
      for (const bytes of bundle.value) {
        const index = edge.size;
        // A server may answer twice: the header in use is the one in the tree.
        if (index === 0 && !equalBytes(bytes, this.#leafZero)) {
          return refuse('header_mismatch', { what: 'leaf 0' });
        }
        edge.append(leafHash(this.#crypto, bytes));
        const taken = await this.#take(index, bytes, take);
        if (!taken.ok) return taken;
      }
    }
    return equalBytes(edge.root(), root) ? accept(null) : refuse('root_mismatch', { size });
  }

  async #take(
    index: number,
    bytes: Uint8Array,
    take: (leaf: ReplayLeaf) => Promise<Result<null>>,
  ): Promise<Result<null>> {
    const leaf = parseLeaf(bytes);
    if (!leaf.ok) return leaf;
    const named = blobOf(leaf.value);
    const blob = named === null ? accept(null) : await this.#files.blob(toHex(named.hash));
    if (!blob.ok) return blob;
    const checked = checkBlob(this.#crypto, leaf.value, blob.value);
    return checked.ok ? take({ index, bytes, leaf: leaf.value, blob: blob.value }) : checked;
  }
}
