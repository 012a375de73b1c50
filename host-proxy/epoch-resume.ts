// Where the host's own copy of an epoch goes on: with nothing, or behind the part of it whose commits are not
// in the spool any more. That part is read from the log folder and must lead to the head that the enclave has
// signed for it; a folder that does not is `spool_corrupt`.

import { equalBytes } from '../wire/bytes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { verifyCheckpoint } from '../wire/tlog/checkpoint.ts';
import { inclusionProof, leafHash, verifyInclusion } from '../wire/tlog/merkle.ts';
import { entriesPath, MAX_BUNDLE_BYTES, parseEntryBundle, TILE_WIDTH } from '../wire/tlog/tile.ts';
import { CommitChecker, readHeaderLeaf } from './commit-check.ts';
import type { EpochFolder } from './epoch-folder.ts';
import type { EpochStart } from './epoch-start.ts';
import { EpochTree } from './epoch-tree.ts';
import { FolderReader } from './folder-reader.ts';
import { Publisher } from './publisher.ts';

export interface EpochCopy {
  /** Its full tiles and bundles in the log folder. */
  readonly published: FolderReader;
  readonly tree: EpochTree;
  readonly checker: CommitChecker;
  readonly publisher: Publisher;
}

/** Of an epoch from its first commit on. */
export function beginEpoch(crypto: WireCrypto, folder: EpochFolder, epoch: number): EpochCopy {
  const published = new FolderReader(crypto, folder, 0);
  const tree = new EpochTree(crypto, (level, index) => published.tile(level, index));
  return {
    published,
    tree,
    checker: new CommitChecker(crypto, tree, epoch),
    publisher: new Publisher(crypto, folder, tree),
  };
}

/** Behind what `start` says. Refuses `spool_corrupt` when the folder does not have just that. */
export function resumeEpoch(
  crypto: WireCrypto,
  folder: EpochFolder,
  epoch: number,
  start: EpochStart,
): Result<EpochCopy> {
  const { published: part } = start;
  const { size } = part;
  const damaged = (what: string): Result<never> =>
    refuse('spool_corrupt', { epoch, size, folder: what });
  const published = new FolderReader(crypto, folder, 0);
  const block = readBlock(folder, size);
  if (block === null) return damaged('entries');
  const hashes = block.map((leaf) => leafHash(crypto, leaf));
  const tiles = (level: number, index: number): Uint8Array | null => published.tile(level, index);
  const tree = EpochTree.resume(crypto, tiles, size, hashes);
  if (tree === null) return damaged('tile');
  const leafZero = size < TILE_WIDTH ? block[0] : published.leaf(0);
  if (leafZero === undefined || leafZero === null) return damaged('leaf 0');
  const header = readHeaderLeaf(crypto, leafZero, epoch);
  if (!header.ok) return damaged('leaf 0');
  const { origin, logKey } = header.value;
  const head = verifyCheckpoint(crypto, part.note, origin, logKey);
  if (!head.ok || head.value.size !== size) return damaged('note');
  const { root } = head.value;
  if (!equalBytes(root, tree.root())) return damaged('tile');
  const proof = inclusionProof(crypto, tree, 0, size);
  const claim = { index: 0, size, root, proof, leafHash: leafHash(crypto, leafZero) };
  if (!verifyInclusion(crypto, claim).ok) return damaged('leaf 0');
  return accept({
    published,
    tree,
    checker: new CommitChecker(crypto, tree, epoch, header.value),
    publisher: Publisher.resume(crypto, folder, tree, part, block),
  });
}

/** Leaves behind the last full bundle of `size`: the bundle may be full by now, or still in part there. */
function readBlock(folder: EpochFolder, size: number): readonly Uint8Array[] | null {
  const width = size % TILE_WIDTH;
  const index = Math.floor(size / TILE_WIDTH);
  if (width === 0) return [];
  for (const there of [TILE_WIDTH, width]) {
    const bytes = folder.read(entriesPath(index, there), MAX_BUNDLE_BYTES);
    const leaves = bytes === null ? null : parseEntryBundle(bytes, there);
    if (leaves !== null) return leaves.ok ? leaves.value.slice(0, width) : null;
  }
  return null;
}
