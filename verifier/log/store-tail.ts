// The end of an epoch in a store of objects (docs/PROTOCOL.md 7): its last head, and the leaves that are in
// no full bundle yet, out of the numbered groups of commits. Nothing is verified: notes and hashes are, by
// whoever reads.

import { parseCommit } from '../../wire/commit.ts';
import type { Commit } from '../../wire/commit.ts';
import { claimKey, commitsKey } from '../../wire/object-keys.ts';
import { closeKey } from '../../wire/host-keys.ts';
import { entriesKey } from '../../wire/tile-keys.ts';
import { MAX_COMMIT_GROUP_BYTES, parseCommitGroup } from '../../wire/objects.ts';
import { parseEpochClose } from '../../wire/epoch-close.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { toHex } from '../../wire/bytes.ts';
import { TILE_WIDTH } from '../../wire/tlog/tile.ts';
import { unsafeClaimedSize } from './epoch-files.ts';

/** Leaves that a shipper may be behind: what is in memory here. */
const MAX_TAIL_BYTES: number = 256 * 1024 * 1024;

/** Objects by key; null where there is none. */
export interface ObjectReader {
  read(key: string, maximum: number): Promise<Result<Uint8Array | null>>;
  exists(key: string): Promise<Result<boolean>>;
}

export interface EpochTail {
  /** The last signed head, as it is. */
  readonly note: Uint8Array;
  /** What it says of its size, unverified. */
  readonly size: number;
  /** Leaves behind the last full bundle of the store, by index; none once the epoch is closed. */
  readonly leaves: ReadonlyMap<number, Uint8Array>;
  /** Blobs of those commits, by SHA-256 in hex. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

/** The commits of a group; null for another object, such as the one that ends the epoch's commits. */
export function commitsOf(bytes: Uint8Array): readonly Commit[] | null {
  const group = parseCommitGroup(bytes);
  if (!group.ok) return null;
  const commits: Commit[] = [];
  for (const payload of group.value) {
    const commit = parseCommit(payload);
    if (!commit.ok) return null;
    commits.push(commit.value);
  }
  return commits;
}

/** Null when the epoch has no claim. */
export async function readTail(
  reader: ObjectReader,
  epoch: number,
): Promise<Result<EpochTail | null>> {
  const close = await reader.read(closeKey(epoch), MAX_COMMIT_GROUP_BYTES);
  if (!close.ok) return close;
  if (close.value !== null) {
    const parsed = parseEpochClose(close.value);
    if (!parsed.ok) return parsed;
    const { note } = parsed.value;
    const size = unsafeClaimedSize(note);
    if (!size.ok) return size;
    return accept({ note, size: size.value, leaves: new Map(), blobs: new Map() });
  }
  const claim = await reader.read(claimKey(epoch), MAX_COMMIT_GROUP_BYTES);
  if (!claim.ok || claim.value === null) return claim.ok ? accept(null) : claim;
  const first = parseCommit(claim.value);
  if (!first.ok) return first;
  return readOpenTail(reader, epoch, first.value);
}

async function readOpenTail(
  reader: ObjectReader,
  epoch: number,
  claim: Commit,
): Promise<Result<EpochTail>> {
  const last = await lastGroup(reader, epoch);
  if (!last.ok) return last;
  const leaves = new Map<number, Uint8Array>();
  const blobs = new Map<string, Uint8Array>();
  let newest: Commit | null = null;
  let [needed, bytes] = [Number.POSITIVE_INFINITY, 0];
  for (let number = last.value; number >= 0; number--) {
    const group: Result<readonly Commit[] | null> =
      number === 0 ? accept([claim]) : await readGroup(reader, epoch, number);
    if (!group.ok) return group;
    // Only the last object may be something else: the one by which a later epoch took over.
    if (group.value === null && number < last.value) {
      return refuse('commit_mismatch', { epoch, number });
    }
    for (const commit of group.value?.toReversed() ?? []) {
      if (newest === null) {
        newest = commit;
        const begin = await firstUnbundled(reader, epoch, commit);
        if (!begin.ok) return begin;
        needed = begin.value;
      }
      bytes += keep(commit, leaves, blobs);
    }
    if (bytes > MAX_TAIL_BYTES) {
      return refuse('file_unreadable', {
        what: 'leaves without a bundle',
        maximum: MAX_TAIL_BYTES,
      });
    }
    const [first] = group.value ?? [];
    if (first !== undefined && first.firstIndex <= needed) break;
  }
  const { note } = newest ?? claim;
  const size = unsafeClaimedSize(note);
  return size.ok ? accept({ note, size: size.value, leaves, blobs }) : size;
}

async function readGroup(
  reader: ObjectReader,
  epoch: number,
  number: number,
): Promise<Result<readonly Commit[] | null>> {
  const bytes = await reader.read(commitsKey(epoch, number), MAX_COMMIT_GROUP_BYTES);
  if (!bytes.ok) return bytes;
  if (bytes.value === null) return refuse('tile_missing', { path: commitsKey(epoch, number) });
  return accept(commitsOf(bytes.value));
}

/** Numbers are dense: by doubling and halving. 0 when there is no group. */
async function lastGroup(reader: ObjectReader, epoch: number): Promise<Result<number>> {
  let [there, missing] = [0, 1];
  for (;;) {
    const found = await reader.exists(commitsKey(epoch, missing));
    if (!found.ok) return found;
    if (!found.value) break;
    there = missing;
    missing *= 2;
  }
  while (missing - there > 1) {
    const middle = Math.floor((there + missing) / 2);
    const found = await reader.exists(commitsKey(epoch, middle));
    if (!found.ok) return found;
    if (found.value) there = middle;
    else missing = middle;
  }
  return accept(there);
}

/** The first leaf that is in no full bundle of the store. */
async function firstUnbundled(
  reader: ObjectReader,
  epoch: number,
  { firstIndex, leaves }: Commit,
): Promise<Result<number>> {
  let bundles = Math.floor((firstIndex + leaves.length) / TILE_WIDTH);
  for (; bundles > 0; bundles--) {
    const found = await reader.exists(entriesKey(epoch, bundles - 1, TILE_WIDTH));
    if (!found.ok) return found;
    if (found.value) break;
  }
  return accept(bundles * TILE_WIDTH);
}

/** Answers the bytes that stay in memory. */
function keep(
  { firstIndex, leaves: added, blobs: named }: Commit,
  leaves: Map<number, Uint8Array>,
  blobs: Map<string, Uint8Array>,
): number {
  let bytes = 0;
  for (const [at, leaf] of added.entries()) {
    leaves.set(firstIndex + at, leaf);
    bytes += leaf.length;
  }
  for (const blob of named) {
    blobs.set(toHex(nodeCrypto.sha256(blob)), blob);
    bytes += blob.length;
  }
  return bytes;
}
