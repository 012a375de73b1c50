// Commits of an epoch as the enclave has sent them, from the log folder: what the spool of a long epoch does not
// have any more. A commit has one encoding (deterministic CBOR), its leaves are in the bundles, its note and
// with it its end in commits/, its blobs under the names that its leaves give. The epoch was settled, so its
// folder is complete. What is missing or not what it must be is a finding; the caller compares with the store.

import { readU32, parseUtf8, toHex } from '../../wire/bytes.ts';
import { MAX_NOTE_BYTES } from '../../wire/commit.ts';
import { encodeCommit } from '../../wire/messages.ts';
import { parseLeaf } from '../../wire/leaf.ts';
import { blobOf } from '../../wire/open-leaf.ts';
import { MAX_BLOB_BYTES } from '../../wire/limits.ts';
import { parseCheckpoint } from '../../wire/tlog/checkpoint.ts';
import {
  entriesPath,
  MAX_BUNDLE_BYTES,
  parseEntryBundle,
  TILE_WIDTH,
} from '../../wire/tlog/tile.ts';
import { EpochFolder, epochDirectory } from '../epoch-folder.ts';
import type { Files } from '../files.ts';
import { NOTES_PER_FILE } from '../publisher.ts';
import { ShipFinding } from './uploads.ts';

const MAX_NOTES_BYTES: number = NOTES_PER_FILE * (4 + MAX_NOTE_BYTES);

export class FolderCommits {
  readonly #files: Files;
  readonly #logDirectory: string;
  readonly #epoch: number;
  readonly #folder: EpochFolder;
  /** Leaves of the whole epoch. */
  readonly #size: number;
  /** Names in commits/ that are not read yet. */
  #names: readonly string[];
  #notes: readonly Uint8Array[] = [];
  #nextIndex = 0;
  #bundle: { readonly index: number; readonly leaves: readonly Uint8Array[] } | null = null;

  constructor(files: Files, logDirectory: string, epoch: number, size: number) {
    this.#files = files;
    this.#logDirectory = logDirectory;
    this.#epoch = epoch;
    this.#folder = new EpochFolder(files, logDirectory, epoch);
    this.#size = size;
    this.#names = files.list(`${epochDirectory(logDirectory, epoch)}/commits`);
  }

  /** The next commit, from the first on. Throws a ShipFinding. */
  next(): Uint8Array {
    if (this.#notes.length === 0) this.#notes = this.#readNotes();
    const [note = new Uint8Array()] = this.#notes;
    const firstIndex = this.#nextIndex;
    const size = sizeOf(note);
    if (size === null || size <= firstIndex || size > this.#size) throw damaged('commits');
    const leaves: Uint8Array[] = [];
    for (let index = firstIndex; index < size; index++) leaves.push(this.#leaf(index));
    const blobs = leaves.flatMap((leaf) => this.#blob(leaf));
    this.#notes = this.#notes.slice(1);
    this.#nextIndex = size;
    return encodeCommit({ epoch: this.#epoch, firstIndex, leaves, blobs, note });
  }

  #readNotes(): readonly Uint8Array[] {
    const [name = ''] = this.#names;
    const read = this.#folder.read(`commits/${name}`, MAX_NOTES_BYTES);
    const bytes = read ?? new Uint8Array();
    const notes: Uint8Array[] = [];
    for (let at = 0; at + 4 <= bytes.length;) {
      const end = at + 4 + readU32(bytes, at);
      if (end > bytes.length) break;
      notes.push(bytes.subarray(at + 4, end));
      at = end;
    }
    if (notes.length === 0) throw damaged(`commits/${name}`);
    this.#names = this.#names.slice(1);
    return notes;
  }

  #leaf(index: number): Uint8Array {
    const number = Math.floor(index / TILE_WIDTH);
    if (this.#bundle?.index !== number) {
      const width = Math.min(TILE_WIDTH, this.#size - number * TILE_WIDTH);
      const path = entriesPath(number, width);
      const bytes = this.#folder.read(path, MAX_BUNDLE_BYTES);
      const leaves = parseEntryBundle(bytes ?? new Uint8Array(), width);
      if (!leaves.ok) throw damaged(path);
      this.#bundle = { index: number, leaves: leaves.value };
    }
    return this.#bundle.leaves[index % TILE_WIDTH] ?? new Uint8Array();
  }

  #blob(leaf: Uint8Array): readonly Uint8Array[] {
    const parsed = parseLeaf(leaf);
    const named = parsed.ok ? blobOf(parsed.value) : null;
    if (named === null) return [];
    const path = `blobs/${toHex(named.hash)}`;
    const blob = this.#files.readFile(`${this.#logDirectory}/${path}`, MAX_BLOB_BYTES);
    if (blob === null) throw damaged(path);
    return [blob];
  }
}

/** Leaves up to the end of the commit with this note. */
function sizeOf(note: Uint8Array): number | null {
  const text = parseUtf8(note) ?? '';
  const checkpoint = parseCheckpoint(text.slice(0, text.indexOf('\n\n') + 1));
  return checkpoint.ok ? checkpoint.value.size : null;
}

function damaged(path: string): ShipFinding {
  return new ShipFinding('folder_damaged', path);
}
