// Reads a whole epoch from its files and verifies it: bundles against tiles, leaves in order, the
// checkpoint, every signed head in commits/. What comes from the source is hostile throughout; what this
// answers was verified under the trust that it was given.

import type { WireCrypto } from '../../wire/crypto.ts';
import type { LogTrust } from '../../wire/log-verification/boot.ts';
import type { EpochFacts, ParsedEntry } from '../../wire/log-verification/epoch-verifier.ts';
import { EpochVerifier } from '../../wire/log-verification/epoch-verifier.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Checkpoint } from '../../wire/tlog/checkpoint.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { TILE_WIDTH, tilesOf } from '../../wire/tlog/tile.ts';
import { unsafeNoteText } from '../../wire/tlog/note.ts';
import { parseSuperseded } from '../../wire/parse-superseded.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { EpochFiles } from './epoch-files.ts';
import { hashLeaves, unsafeClaimedSize } from './epoch-files.ts';
import { readAhead } from './read-ahead.ts';

const READ_AHEAD = 8;

export interface CommitFacts {
  /** False when commits/ cannot be listed or has no note: then no intermediate head was looked at. */
  readonly checked: boolean;
  readonly notes: number;
  /** Leaves that these notes cover; hosts write them with a delay. */
  readonly coveredSize: number;
  /** The largest head that was signed beyond the checkpoint: the rest of the log is missing here. */
  readonly beyond: Checkpoint | null;
  /** In a store of objects: the origin of the epoch that ended this one's commits. */
  readonly supersededBy: string | null;
}

class CommitProgress implements CommitFacts {
  checked = false;
  notes = 0;
  coveredSize = 0;
  beyond: Checkpoint | null = null;
  supersededBy: string | null = null;
}

export interface VerifiedEpoch {
  readonly facts: EpochFacts;
  readonly commits: CommitFacts;
  readonly verifier: EpochVerifier;
}

export interface EpochRequest {
  readonly files: EpochFiles;
  readonly trust: LogTrust;
  readonly keys: PrivateKeys | null;
  /** Leaves that were verified so far but for the signature over the whole. */
  readonly onLeaves?: (firstIndex: number, entries: readonly ParsedEntry[]) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Null when there is no epoch at that place. */
export async function verifyEpoch(
  crypto: WireCrypto,
  request: EpochRequest,
): Promise<Result<VerifiedEpoch | null>> {
  const { files, trust, keys } = request;
  const note = await files.checkpoint();
  if (!note.ok || note.value === null) return note.ok ? accept(null) : note;
  const size = unsafeClaimedSize(note.value);
  if (!size.ok) return size;
  const verifier = new EpochVerifier(crypto, trust, keys);
  const read = await readLeaves(crypto, request, verifier, note.value, size.value);
  if (!read.ok) return read;
  const facts = verifier.finish(note.value);
  if (!facts.ok) return facts;
  const tiles = await checkTiles(files, verifier, size.value);
  if (!tiles.ok) return tiles;
  const commits = await checkCommits(files, verifier);
  if (!commits.ok) return commits;
  const { beyond } = commits.value;
  // A signed head behind the close leaf: the enclave went on, and somebody cut that off.
  if (beyond !== null && facts.value.closeReason !== null) {
    return refuse('leaf_after_close', { size: size.value, signed: beyond.size });
  }
  return accept({ facts: facts.value, commits: commits.value, verifier });
}

interface Bundle {
  readonly leaves: readonly Uint8Array[];
  readonly hashes: readonly Uint8Array[];
}

async function readBundle(files: EpochFiles, index: number, size: number): Promise<Result<Bundle>> {
  const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
  const leaves = await files.leaves(index, width);
  if (!leaves.ok) return leaves;
  const hashes = hashLeaves(leaves.value);
  const tile = await files.checkTile(0, index, hashes);
  return tile.ok ? accept({ leaves: leaves.value, hashes }) : tile;
}

async function readLeaves(
  crypto: WireCrypto,
  { files, onLeaves, onProgress }: EpochRequest,
  verifier: EpochVerifier,
  note: Uint8Array,
  size: number,
): Promise<Result<null>> {
  const count = Math.ceil(size / TILE_WIDTH);
  const bundles = readAhead(count, READ_AHEAD, (index) => readBundle(files, index, size));
  for await (const bundle of bundles) {
    if (!bundle.ok) return bundle;
    const { leaves, hashes } = bundle.value;
    const entries = verifier.parse(leaves, hashes);
    if (!entries.ok) return entries;
    const blobs = await readBlobs(files, entries.value);
    if (!blobs.ok) return blobs;
    const first = verifier.tree.size;
    const added = verifier.add(entries.value, blobs.value);
    if (!added.ok) return added;
    // As soon as the key is attested: a long log without a signature is not worth reading.
    if (first === 0 && verifier.boot !== null) {
      const { origin, logKey } = verifier.boot.header;
      const signed = verifyCheckpoint(crypto, note, origin, logKey);
      if (!signed.ok) return signed;
    }
    onLeaves?.(first, entries.value);
    onProgress?.(verifier.tree.size, size);
  }
  return accept(null);
}

async function readBlobs(
  files: EpochFiles,
  entries: readonly ParsedEntry[],
): Promise<Result<ReadonlyMap<string, Uint8Array>>> {
  const blobs = new Map<string, Uint8Array>();
  for (const { blobHash } of entries) {
    if (blobHash === null) continue;
    const blob = await files.blob(blobHash);
    if (!blob.ok) return blob;
    if (blob.value !== null) blobs.set(blobHash, blob.value);
  }
  return accept(blobs);
}

/** The tiles above the leaves; level 0 was compared while the leaves were read. */
async function checkTiles(
  files: EpochFiles,
  { tree }: EpochVerifier,
  size: number,
): Promise<Result<null>> {
  for (const { level, index, width } of tilesOf(size)) {
    if (level === 0) continue;
    const hashes = Array.from(
      { length: width },
      (_, at) => tree.node(8 * level, index * TILE_WIDTH + at) ?? new Uint8Array(),
    );
    const tile = await files.checkTile(level, index, hashes);
    if (!tile.ok) return tile;
  }
  return accept(null);
}

async function checkCommits(
  files: EpochFiles,
  verifier: EpochVerifier,
): Promise<Result<CommitFacts>> {
  const listed = await files.commits();
  if (!listed.ok) return listed;
  const facts = new CommitProgress();
  for (const file of listed.value ?? []) {
    const { coveredSize } = facts;
    if (facts.supersededBy !== null) {
      return refuse('commit_mismatch', { file: file.name, what: 'behind the end' });
    }
    if (file.first !== null && file.first !== coveredSize) {
      return refuse('commit_mismatch', { file: file.name, expected: coveredSize });
    }
    const content = await files.notes(file);
    if (!content.ok) return content;
    const { notes, superseded } = content.value;
    if (superseded !== null) {
      const successor = checkSuperseded(verifier, file.name, superseded, coveredSize);
      if (!successor.ok) return successor;
      facts.supersededBy = successor.value;
    }
    for (const note of notes) {
      const head = verifier.checkNote(note);
      if (!head.ok) return mismatch(file.name, head.refusal);
      const { size } = head.value;
      if (size <= facts.coveredSize) return refuse('commit_mismatch', { file: file.name, size });
      facts.checked = true;
      facts.notes++;
      facts.coveredSize = size;
      facts.beyond = size > verifier.tree.size ? head.value : null;
    }
    if (file.last !== null && file.last !== facts.coveredSize - 1) {
      return refuse('commit_mismatch', { file: file.name, size: facts.coveredSize });
    }
  }
  return accept(facts);
}

/**
 * The origin of the epoch that took over. Its key may be known to nobody; what counts is that the object
 * stands at this place, and names the state in which this epoch was fenced.
 */
function checkSuperseded(
  verifier: EpochVerifier,
  file: string,
  note: Uint8Array,
  coveredSize: number,
): Result<string> {
  const text = unsafeNoteText(note);
  const parsed = text.ok ? parseSuperseded(text.value) : text;
  if (!parsed.ok) return mismatch(file, parsed.refusal);
  const { origin, number, size, root, successor } = parsed.value;
  const own = verifier.boot?.header.origin;
  const fits =
    origin === own &&
    file === `commits/${String(number).padStart(12, '0')}` &&
    size === coveredSize &&
    size <= verifier.tree.size &&
    equalBytes(root, verifier.tree.root(size));
  return fits
    ? accept(successor)
    : refuse('commit_mismatch', { file, what: 'superseded', size, expected: coveredSize });
}

/** A head that contradicts the tree is a fork; anything else is a damaged or forged file. */
function mismatch(file: string, { code, detail }: Refusal): Result<never> {
  return code === 'fork'
    ? refuse('fork', { file, ...detail })
    : refuse('commit_mismatch', { file, cause: code, ...detail });
}
