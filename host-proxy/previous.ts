// What the host offers an enclave as its previous epoch: head, log key, last leaf and its proof, read from
// the log folder, and the outputs that were logged and never released. An operator can offer an older
// epoch than the last; that becomes signed evidence against it once the later one is seen.

import type { WireCrypto } from '../wire/crypto.ts';
import { parseHeader } from '../wire/header.ts';
import { parseLeaf } from '../wire/leaf.ts';
import { openLeaf } from '../wire/open-leaf.ts';
import type { Previous } from '../wire/messages.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { parseCheckpoint, verifyCheckpoint } from '../wire/tlog/checkpoint.ts';
import { inclusionProof } from '../wire/tlog/merkle.ts';
import { parseUtf8 } from '../wire/bytes.ts';
import { EpochFolder } from './epoch-folder.ts';
import type { Files } from './files.ts';
import { FolderReader } from './folder-reader.ts';
import type { HostFolders } from './recovery.ts';

export const MAX_CHECKPOINT_BYTES = 4096;

export interface PreviousEpoch {
  readonly epoch: number;
  readonly previous: Previous;
}

/** Epochs with a checkpoint, ascending. */
export function listEpochs(files: Files, folders: HostFolders): readonly number[] {
  return files
    .list(`${folders.log}/epochs`)
    .filter((name) => /^\d{10}$/u.test(name))
    .filter((name) => files.size(`${folders.log}/epochs/${name}/checkpoint`) !== null)
    .map(Number);
}

/** The last epoch of the folder, or null for a new log. Refuses when the folder contradicts itself. */
export function readPrevious(
  files: Files,
  crypto: WireCrypto,
  folders: HostFolders,
  unreleased: readonly number[],
): Result<PreviousEpoch | null> {
  const epoch = listEpochs(files, folders).at(-1);
  if (epoch === undefined) return accept(null);
  const folder = new EpochFolder(files, folders.log, epoch);
  const note = folder.read('checkpoint', MAX_CHECKPOINT_BYTES);
  const size = note === null ? null : claimedSize(note);
  if (note === null || size === null) return refuse('checkpoint_malformed', { epoch });
  const reader = new FolderReader(crypto, folder, size);
  const leafZero = reader.leaf(0);
  const header = readHeader(crypto, leafZero);
  if (!header.ok) return header;
  const { origin, logKey } = header.value;
  const head = verifyCheckpoint(crypto, note, origin, logKey);
  if (!head.ok) return head;
  const lastLeaf = reader.leaf(size - 1);
  if (leafZero === null || lastLeaf === null) {
    return refuse('tile_missing', { epoch, leaf: size - 1 });
  }
  try {
    const proof = inclusionProof(crypto, reader, size - 1, size);
    const leafZeroProof = inclusionProof(crypto, reader, 0, size);
    const ends = { lastLeaf, proof, leafZero, leafZeroProof };
    const previous = { origin, note, logKey, ...ends, unreleased, nextCommit: null };
    return accept({ epoch, previous });
  } catch (error) {
    if (error instanceof RangeError) return refuse('tile_missing', { epoch });
    throw error;
  }
}

/** The size that a note states, before its key is known. */
export function claimedSize(note: Uint8Array): number | null {
  const text = parseUtf8(note) ?? '';
  const checkpoint = parseCheckpoint(text.slice(0, text.indexOf('\n\n') + 1));
  return checkpoint.ok && checkpoint.value.size > 0 ? checkpoint.value.size : null;
}

/** Of leaf 0. */
export function readHeader(
  crypto: WireCrypto,
  bytes: Uint8Array | null,
): ReturnType<typeof parseHeader> {
  if (bytes === null) return refuse('tile_missing', { leaf: 0 });
  const leaf = parseLeaf(bytes);
  if (!leaf.ok) return leaf;
  const opened = openLeaf(crypto, leaf.value, null, null);
  return opened.ok ? parseHeader(opened.value.plaintext) : opened;
}
