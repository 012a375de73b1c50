// Epochs that the store has and this host's log folder has not: after the loss of a disk, or because another
// host ran them. Their folders are made from the commits in the store, which are checked like an enclave's.
// Without them no epoch can begin under policy s3, which asks for the end of the last one. What only the
// lost host knew stays unknown: which of their signals were executed.

import type { WireCrypto } from '../../wire/crypto.ts';
import type { ObjectStore, StoredObject } from '../../wire/node/objects/store.ts';
import { claimKey, commitsKey } from '../../wire/object-keys.ts';
import { MAX_COMMIT_GROUP_BYTES, parseCommitGroup } from '../../wire/objects.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { CommitChecker } from '../commit-check.ts';
import { EpochFolder } from '../epoch-folder.ts';
import { EpochTree } from '../epoch-tree.ts';
import type { Files } from '../files.ts';
import { FolderReader } from '../folder-reader.ts';
import { listEpochs } from '../previous.ts';
import { Publisher } from '../publisher.ts';
import type { HostFolders } from '../recovery.ts';
import { isSuperseded } from './next-commit.ts';

export interface RestoredEpoch {
  readonly epoch: number;
  readonly size: number;
}

export interface RestoreOptions {
  readonly run: <T>(call: (store: ObjectStore) => Promise<T>) => Promise<T>;
  readonly files: Files;
  readonly crypto: WireCrypto;
  readonly folders: HostFolders;
}

/**
 * The epochs behind the last one of the folder, in their order. Doing it again after a crash changes nothing
 * that is there. Refuses what the checks refuse; rejects with a StoreError, DiskFailure or FolderConflict.
 */
export async function restoreEpochs(
  options: RestoreOptions,
): Promise<Result<readonly RestoredEpoch[]>> {
  const { files, folders } = options;
  const restored: RestoredEpoch[] = [];
  for (let epoch = (listEpochs(files, folders).at(-1) ?? 0) + 1; ; epoch++) {
    const one = await restoreEpoch(options, epoch);
    if (!one.ok) return one;
    if (one.value === 0) return accept(restored);
    restored.push({ epoch, size: one.value });
  }
}

/** Answers the size; 0 when the store does not know the epoch. */
async function restoreEpoch(options: RestoreOptions, epoch: number): Promise<Result<number>> {
  const { run, files, crypto, folders } = options;
  const read = (key: string): Promise<StoredObject | null> =>
    run((store) => store.get(key, MAX_COMMIT_GROUP_BYTES));
  const claim = await read(claimKey(epoch));
  if (claim === null) return accept(0);
  const folder = new EpochFolder(files, folders.log, epoch);
  const published = new FolderReader(crypto, folder, 0);
  const tree = new EpochTree(crypto, (level, index) => published.tile(level, index));
  const checker = new CommitChecker(crypto, tree, epoch);
  const publisher = new Publisher(crypto, folder, tree);
  await folder.open();
  let commits: readonly Uint8Array[] = [claim.bytes];
  let size = 0;
  for (let number = 1; ; number++) {
    for (const payload of commits) {
      const checked = checker.check(payload);
      if (!checked.ok) return checked;
      await publisher.add(checked.value.commit);
      ({ size } = checked.value);
    }
    const object = await read(commitsKey(epoch, number));
    if (object === null || isSuperseded(object.bytes)) break;
    const group = parseCommitGroup(object.bytes);
    if (!group.ok) return refuse('commit_mismatch', { epoch, object: number });
    commits = group.value;
  }
  await publisher.finish();
  return accept(size);
}
