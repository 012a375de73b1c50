// The tree of an epoch from its entry bundles alone: hashes of everything, and the few leaves that
// somebody wants. Nothing is verified here but that the bundles have the layout and the count.

import type { WireCrypto } from '../../wire/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import { MemoryTree } from '../../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../../wire/tlog/tile.ts';
import type { EpochFiles } from './epoch-files.ts';
import { hashLeaves } from './epoch-files.ts';
import { readAhead } from './read-ahead.ts';

const READ_AHEAD = 8;

export interface UnverifiedTree {
  readonly tree: MemoryTree;
  /** The wanted leaves that exist, by index. */
  readonly leaves: ReadonlyMap<number, Uint8Array>;
}

export interface TreeListeners {
  readonly onLeaves?: (firstIndex: number, leaves: readonly Uint8Array[]) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

export async function readTree(
  crypto: WireCrypto,
  files: EpochFiles,
  size: number,
  wanted: readonly number[],
  { onLeaves, onProgress }: TreeListeners = {},
): Promise<Result<UnverifiedTree>> {
  const tree = new MemoryTree(crypto);
  const leaves = new Map<number, Uint8Array>();
  const bundles = readAhead(Math.ceil(size / TILE_WIDTH), READ_AHEAD, (index) =>
    files.leaves(index, Math.min(TILE_WIDTH, size - index * TILE_WIDTH)),
  );
  for await (const bundle of bundles) {
    if (!bundle.ok) return bundle;
    for (const index of wanted) {
      const leaf = bundle.value[index - tree.size];
      // A copy, so that the whole bundle can go.
      if (leaf !== undefined) leaves.set(index, leaf.slice());
    }
    onLeaves?.(tree.size, bundle.value);
    for (const hash of hashLeaves(bundle.value)) tree.append(hash);
    onProgress?.(tree.size, size);
  }
  return accept({ tree, leaves });
}
