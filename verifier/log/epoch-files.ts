// The files of one epoch (docs/PROTOCOL.md 7) out of a source: checkpoint, bundles, tiles, notes, blobs.
// A partial tile may be gone when the full one is there (C2SP tlog-tiles), then its first part serves.

import { equalBytes, readU32 } from '../../wire/bytes.ts';
import { MAX_NOTE_BYTES, parseCommit } from '../../wire/commit.ts';
import { MAX_BLOB_BYTES } from '../../wire/limits.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { MAX_COMMIT_GROUP_BYTES, parseCommitGroup } from '../../wire/objects.ts';
import { parseSuperseded } from '../../wire/parse-superseded.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { parseCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { HASH_BYTES, leafHash } from '../../wire/tlog/merkle.ts';
import { MAX_SIGNED_NOTE_BYTES, unsafeNoteText } from '../../wire/tlog/note.ts';
import {
  MAX_BUNDLE_BYTES,
  TILE_WIDTH,
  entriesPath,
  parseEntryBundle,
  tilePath,
} from '../../wire/tlog/tile.ts';
import type { LogSource } from './source.ts';

/** Notes of a file in commits/: more than any host of ours writes into one. */
const MAX_NOTES = 16_384;
const MAX_COMMITS_BYTES: number = MAX_NOTES * (4 + MAX_NOTE_BYTES);

export interface CommitsFile {
  /** Below the epoch's folder. */
  readonly name: string;
  /** Indexes of its first and last leaf, as the name says; null where names are numbers. */
  readonly first: number | null;
  readonly last: number | null;
}

/** What a file of commits/ holds; or the object by which a later epoch took over. */
export interface CommitsContent {
  readonly notes: readonly Uint8Array[];
  readonly superseded: Uint8Array | null;
}

export function epochPath(epoch: number): string {
  return `epochs/${String(epoch).padStart(10, '0')}/`;
}

export class EpochFiles {
  readonly source: LogSource;
  readonly #prefix: string;

  /** `epoch` null: the source is the folder of one epoch. */
  constructor(source: LogSource, epoch: number | null) {
    this.source = source;
    this.#prefix = epoch === null ? '' : epochPath(epoch);
  }

  /** The note as it is, nothing verified. Null when there is no epoch. */
  checkpoint(): Promise<Result<Uint8Array | null>> {
    return this.source.read(`${this.#prefix}checkpoint`, MAX_SIGNED_NOTE_BYTES);
  }

  /** Leaves of bundle `index`, of which the tree has `width`. */
  async leaves(index: number, width: number): Promise<Result<readonly Uint8Array[]>> {
    const file = await this.#readTile(
      (w) => entriesPath(index, w),
      width,
      () => MAX_BUNDLE_BYTES,
    );
    if (!file.ok) return file;
    const { bytes, path, fileWidth } = file.value;
    const leaves = parseEntryBundle(bytes, fileWidth);
    return leaves.ok
      ? accept(leaves.value.slice(0, width))
      : refuse(leaves.refusal.code, { path, ...leaves.refusal.detail });
  }

  /** `tile_mismatch` unless the tile has exactly these hashes, 1 to 256. */
  async checkTile(
    level: number,
    index: number,
    hashes: readonly Uint8Array[],
  ): Promise<Result<null>> {
    const pathOf = (width: number): string => tilePath(level, index, width);
    const file = await this.#readTile(pathOf, hashes.length, (width) => width * HASH_BYTES);
    if (!file.ok) return file;
    const { bytes, path, fileWidth } = file.value;
    const same = hashes.every((hash, at) =>
      equalBytes(hash, bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES)),
    );
    return same && bytes.length === fileWidth * HASH_BYTES
      ? accept(null)
      : refuse('tile_mismatch', { path });
  }

  /** A hash tile as it is, `width` hashes, nothing verified. */
  async tile(level: number, index: number, width: number): Promise<Result<Uint8Array>> {
    const pathOf = (fileWidth: number): string => tilePath(level, index, fileWidth);
    const file = await this.#readTile(pathOf, width, (fileWidth) => fileWidth * HASH_BYTES);
    if (!file.ok) return file;
    const { bytes, path, fileWidth } = file.value;
    return bytes.length === fileWidth * HASH_BYTES
      ? accept(bytes.subarray(0, width * HASH_BYTES))
      : refuse('tile_mismatch', { path });
  }

  /** Files of commits/ in order; null when the source cannot list them. Unknown names are refused. */
  async commits(): Promise<Result<readonly CommitsFile[] | null>> {
    const names = await this.source.list(`${this.#prefix}commits`);
    if (!names.ok || names.value === null) return names.ok ? accept(null) : names;
    const sorted = names.value.toSorted();
    const areNumbers = sorted.length > 0 && sorted.every((name) => /^\d{12}$/u.test(name));
    if (areNumbers) return numberedCommits(sorted);
    const files: CommitsFile[] = [];
    for (const name of sorted) {
      const match = /^(\d{20})-(\d{20})$/u.exec(name);
      if (match === null) return refuse('commit_mismatch', { what: 'a name in commits/' });
      files.push({ name: `commits/${name}`, first: Number(match[1]), last: Number(match[2]) });
    }
    return accept(files);
  }

  /** The notes of one file of commits/. */
  async notes({ name, first }: CommitsFile): Promise<Result<CommitsContent>> {
    const maximum = first === null ? MAX_COMMIT_GROUP_BYTES : MAX_COMMITS_BYTES;
    const bytes = await this.source.read(`${this.#prefix}${name}`, maximum);
    if (!bytes.ok) return bytes;
    if (bytes.value === null) return refuse('tile_missing', { path: name });
    return first === null ? notesOfGroup(name, bytes.value) : notesOfFile(name, bytes.value);
  }

  /** Null when it is not there. */
  blob(hash: string): Promise<Result<Uint8Array | null>> {
    return this.source.read(`blobs/${hash}`, MAX_BLOB_BYTES);
  }

  async #readTile(
    pathOf: (width: number) => string,
    width: number,
    maximum: (width: number) => number,
  ): Promise<Result<{ bytes: Uint8Array; path: string; fileWidth: number }>> {
    for (const fileWidth of width === TILE_WIDTH ? [width] : [width, TILE_WIDTH]) {
      const path = pathOf(fileWidth);
      const bytes = await this.source.read(this.#prefix + path, maximum(fileWidth));
      if (!bytes.ok) {
        const tooLarge = bytes.refusal.detail['maximum'] !== undefined;
        return tooLarge ? refuse('tile_mismatch', { path, ...bytes.refusal.detail }) : bytes;
      }
      if (bytes.value !== null) return accept({ bytes: bytes.value, path, fileWidth });
    }
    return refuse('tile_missing', { path: pathOf(width) });
  }
}

/** What an unverified checkpoint says of its size, to know what to read. */
export function unsafeClaimedSize(note: Uint8Array): Result<number> {
  const text = unsafeNoteText(note);
  if (!text.ok) return text;
  const checkpoint = parseCheckpoint(text.value);
  return checkpoint.ok ? accept(checkpoint.value.size) : checkpoint;
}

export function hashLeaves(leaves: readonly Uint8Array[]): readonly Uint8Array[] {
  return leaves.map((leaf) => leafHash(nodeCrypto, leaf));
}

/** Groups of commits by their numbers, from 1 without holes, behind the claim. */
function numberedCommits(names: readonly string[]): Result<readonly CommitsFile[]> {
  const hole = names.findIndex((name, at) => Number(name) !== at + 1);
  if (hole !== -1) return refuse('commit_mismatch', { what: 'numbers', expected: hole + 1 });
  const files = ['claim', ...names.map((name) => `commits/${name}`)];
  return accept(files.map((name) => ({ name, first: null, last: null })));
}

function notesOfFile(name: string, bytes: Uint8Array): Result<CommitsContent> {
  const notes: Uint8Array[] = [];
  let offset = 0;
  while (offset + 4 <= bytes.length) {
    const end = offset + 4 + readU32(bytes, offset);
    if (end > bytes.length) break;
    notes.push(bytes.subarray(offset + 4, end));
    offset = end;
  }
  return offset === bytes.length && notes.length > 0
    ? accept({ notes, superseded: null })
    : refuse('commit_mismatch', { file: name, what: 'lengths' });
}

function notesOfGroup(name: string, bytes: Uint8Array): Result<CommitsContent> {
  if (name === 'claim') {
    const claim = parseCommit(bytes);
    return claim.ok ? accept({ notes: [claim.value.note], superseded: null }) : claim;
  }
  const text = unsafeNoteText(bytes);
  if (text.ok && parseSuperseded(text.value).ok) return accept({ notes: [], superseded: bytes });
  const group = parseCommitGroup(bytes);
  if (!group.ok) return refuse('commit_mismatch', { file: name, what: 'group' });
  const notes: Uint8Array[] = [];
  for (const payload of group.value) {
    const commit = parseCommit(payload);
    if (!commit.ok) return refuse('commit_mismatch', { file: name, cause: commit.refusal.code });
    notes.push(commit.value.note);
  }
  return accept({ notes, superseded: null });
}
