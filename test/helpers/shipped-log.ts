// Reads a shipped log as a stranger would, from the store alone, and says everything that is wrong with it:
// keys with more than one version, holes in the numbers of commits, tiles that are not those of the tree,
// a close that does not follow. Empty means that nothing is.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import { parseCommit } from '../../wire/commit.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { parseHeader } from '../../wire/header.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import { blobOf, openLeaf } from '../../wire/open-leaf.ts';
import { encodeBundleIndex } from '../../wire/log-index.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { ObjectStore } from '../../wire/node/objects/store.ts';
import { claimKey, commitsKey, epochPrefix } from '../../wire/object-keys.ts';
import { blobKey, checkpointKey, closeKey, indexKey } from '../../wire/host-keys.ts';
import { entriesKey, tileKey } from '../../wire/tile-keys.ts';
import { MAX_OBJECT_BYTES, parseCommitGroup } from '../../wire/objects.ts';
import { parseEpochClose } from '../../wire/epoch-close.ts';
import { assertAccepted } from '../../wire/result.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash, MemoryTree, verifyInclusion } from '../../wire/tlog/merkle.ts';
import { encodeEntryBundle, TILE_WIDTH, tilesOf } from '../../wire/tlog/tile.ts';

export interface ShippedEpoch {
  readonly epoch: number;
  readonly size: number;
  readonly leaves: readonly Uint8Array[];
  readonly groups: number;
  readonly checkpoints: number;
  /** Its last leaf is a close leaf. */
  readonly closed: boolean;
}

export interface ShippedLog {
  readonly findings: readonly string[];
  readonly epochs: readonly ShippedEpoch[];
}

/** `locks`: every object must be kept in COMPLIANCE mode. All epochs must be complete. */
export async function readShippedLog(store: ObjectStore, locks: boolean): Promise<ShippedLog> {
  const findings: string[] = [];
  const bytes = new Map<string, Uint8Array>();
  for await (const { key, isDeleteMarker, ordinal } of store.list('')) {
    if (isDeleteMarker) findings.push(`${key} has a delete marker`);
    else if (ordinal > 1) findings.push(`${key} has version ${ordinal}`);
    else {
      const object = await store.get(key, MAX_OBJECT_BYTES);
      if (object === null) findings.push(`${key} is listed and not there`);
      else bytes.set(key, object.bytes);
      if (locks && object?.lock.mode !== 'COMPLIANCE') findings.push(`${key} is not locked`);
    }
  }
  const epochs: ShippedEpoch[] = [];
  // Several leaves, and several epochs, may name the same one.
  const named = new Set<string>();
  const numbers = [...bytes.keys()].map((key) => /^epochs\/(\d{10})\//u.exec(key)?.[1] ?? 0);
  for (const epoch of [...new Set(numbers.map(Number))].toSorted((a, b) => a - b)) {
    if (epoch === 0) continue;
    const reader = new EpochReader(epoch, bytes, named);
    epochs.push(reader.read());
    findings.push(...reader.findings);
  }
  for (const hash of named) {
    const blob = bytes.get(blobKey(hash)) ?? new Uint8Array();
    if (toHex(nodeCrypto.sha256(blob)) !== hash) findings.push(`blob ${hash} is not there`);
    bytes.delete(blobKey(hash));
  }
  findings.push(...[...bytes.keys()].map((key) => `${key} belongs to nothing`));
  return { findings, epochs };
}

/** Takes what it has understood out of `objects`. */
class EpochReader {
  readonly findings: string[] = [];
  readonly #epoch: number;
  readonly #objects: Map<string, Uint8Array>;
  readonly #tree = new MemoryTree(nodeCrypto);
  readonly #leaves: Uint8Array[] = [];
  readonly #notes = new Map<number, Uint8Array>();

  readonly #named: Set<string>;

  constructor(epoch: number, objects: Map<string, Uint8Array>, named: Set<string>) {
    this.#epoch = epoch;
    this.#objects = objects;
    this.#named = named;
  }

  read(): ShippedEpoch {
    const groups = this.#readCommits();
    this.#compareTiles();
    const checkpoints = this.#compareCheckpoints();
    this.#compareClose();
    return {
      epoch: this.#epoch,
      size: this.#leaves.length,
      leaves: this.#leaves,
      groups,
      checkpoints,
      closed: this.#endsWithClose(),
    };
  }

  #endsWithClose(): boolean {
    const leaf = parseLeaf(this.#leaves.at(-1) ?? new Uint8Array());
    return leaf.ok && leaf.value.kind === KIND.close;
  }

  #take(key: string): Uint8Array | null {
    const bytes = this.#objects.get(key) ?? null;
    this.#objects.delete(key);
    if (bytes === null) this.findings.push(`${key} is missing`);
    return bytes;
  }

  #expect(key: string, expected: Uint8Array): void {
    const bytes = this.#take(key);
    if (bytes !== null && !equalBytes(bytes, expected)) this.findings.push(`${key} is different`);
  }

  #readCommits(): number {
    const claim = this.#take(claimKey(this.#epoch));
    if (claim !== null) this.#addCommit(claim);
    const prefix = `${epochPrefix(this.#epoch)}commits/`;
    const count = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).length;
    for (let number = 1; number <= count; number++) {
      const group = this.#take(commitsKey(this.#epoch, number));
      const commits = assertAccepted(parseCommitGroup(group ?? new Uint8Array()));
      for (const commit of commits) this.#addCommit(commit);
    }
    return count;
  }

  #addCommit(payload: Uint8Array): void {
    const { firstIndex, leaves, note } = assertAccepted(parseCommit(payload));
    if (firstIndex !== this.#leaves.length) {
      this.findings.push(`a commit from ${firstIndex} behind ${this.#leaves.length} leaves`);
    }
    for (const bytes of leaves) {
      this.#leaves.push(bytes);
      this.#tree.append(leafHash(nodeCrypto, bytes));
      const blob = blobOf(assertAccepted(parseLeaf(bytes)));
      if (blob !== null) this.#named.add(toHex(blob.hash));
    }
    const { origin, logKey } = this.#header();
    const checked = assertAccepted(verifyCheckpoint(nodeCrypto, note, origin, logKey));
    if (!equalBytes(checked.root, this.#tree.root())) {
      this.findings.push(`the root of ${checked.size} leaves is another one`);
    }
    this.#notes.set(checked.size, note);
  }

  #header(): EpochHeader {
    const leaf = assertAccepted(parseLeaf(this.#leaves[0] ?? new Uint8Array()));
    const { plaintext } = assertAccepted(openLeaf(nodeCrypto, leaf, null, null));
    return assertAccepted(parseHeader(plaintext));
  }

  #compareTiles(): void {
    const size = this.#leaves.length;
    for (const { level, index, width } of tilesOf(size)) {
      const hashes = Array.from({ length: width }, (_, at) => {
        const node = this.#tree.node(8 * level, index * TILE_WIDTH + at);
        return [...(node ?? [])];
      });
      this.#expect(tileKey(this.#epoch, level, index, width), new Uint8Array(hashes.flat()));
      if (level > 0) continue;
      const first = index * TILE_WIDTH;
      const leaves = this.#leaves.slice(first, first + width);
      this.#expect(entriesKey(this.#epoch, index, width), encodeEntryBundle(leaves));
      const encoded = encodeBundleIndex(nodeCrypto, this.#epoch, first, leaves);
      const { day, bytes } = assertAccepted(encoded);
      this.#expect(indexKey(day, this.#epoch, first), bytes);
    }
  }

  #compareCheckpoints(): number {
    let count = 0;
    for (const [size, note] of this.#notes) {
      const key = checkpointKey(this.#epoch, size);
      const isLast = size === this.#leaves.length;
      if (!this.#objects.has(key) && !isLast) continue;
      this.#expect(key, note);
      count++;
    }
    return count;
  }

  #compareClose(): void {
    const bytes = this.#take(closeKey(this.#epoch));
    if (bytes === null) return;
    const { note, lastLeaf, proof } = assertAccepted(parseEpochClose(bytes));
    const size = this.#leaves.length;
    const last = this.#leaves.at(-1) ?? new Uint8Array();
    if (!equalBytes(note, this.#notes.get(size) ?? new Uint8Array())) {
      this.findings.push('the close has another note');
    }
    if (!equalBytes(lastLeaf, last)) this.findings.push('the close has another leaf');
    const hash = leafHash(nodeCrypto, last);
    const claim = { leafHash: hash, index: size - 1, size, proof, root: this.#tree.root() };
    if (!verifyInclusion(nodeCrypto, claim).ok) this.findings.push('the close has another proof');
  }
}
